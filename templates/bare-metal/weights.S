/*
 * weights.S - the blob of the model, in the image.
 * SPDX-License-Identifier: MIT-0
 */
    .section .rodata.weights, "a"
    .globl em_weights, em_weights_end
    .balign 64
em_weights:
    .incbin "model.blob"
em_weights_end:
    .section .note.GNU-stack, "", %progbits
