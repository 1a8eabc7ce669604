/*
 * signer.S - the certificate whose signature the weights must have.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
    .section .rodata.em_signer, "a"
    .globl em_signer
em_signer:
    .incbin "signer.x509"
    .globl em_signer_end
em_signer_end:
