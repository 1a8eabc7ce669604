/*
 * embedded_blob.S - the weights, linked into the runner: read-only, and used where they lie. Assembled in the folder
 * that holds model.blob.
 * SPDX-License-Identifier: MIT-0
 */
    .section .rodata.em_embedded_blob, "a"
    .balign 64 /* EM_ALIGNMENT */
    .globl em_embedded_blob
em_embedded_blob:
    .incbin "model.blob"
    .globl em_embedded_blob_end
em_embedded_blob_end:

    .section .note.GNU-stack, "", %progbits /* no executable stack */
