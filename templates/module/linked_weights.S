/*
 * linked_weights.S - the weights, linked into the module: read-only, and used where they lie.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
    .section .rodata.em_linked_weights, "a"
    .balign 64 /* EM_ALIGNMENT */
    .globl em_linked_weights
em_linked_weights:
    .incbin "model.blob"
    .globl em_linked_weights_end
em_linked_weights_end:
