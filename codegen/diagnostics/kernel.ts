import type { Diagnostic } from './catalog.js';

/** EM50xx: kernel modules, and machines without an operating system. */
export const kernelDiagnostics = {
  EM5001: {
    what: 'weights are larger than a kernel module may have',
    fix: 'use fewer bits (--quantize int4 or int4-head8), cut the vocabulary (--prune-vocab), or take a smaller model',
    exit: 2,
  },
  EM5002: {
    what: 'kernel headers cannot be used',
    fix: 'install the headers of the kernel (Debian: linux-headers-...) and give --kernel-headers DIR, which holds include/config',
    exit: 2,
  },
  EM5003: {
    what: 'target has no code for kernel mode',
    fix: 'set kernelModeVectors in the file of the target, or build for x86_64-swar, aarch64-swar or riscv-u74, in general registers',
    exit: 2,
  },
  EM5004: {
    what: 'compiled model needs more stack than a kernel has to give',
    fix: 'report this with the model that it happens with; a program in user space is not concerned',
    exit: 1,
  },
  EM5005: {
    what: 'model does not fit the memory of the board',
    fix: 'use fewer bits (--quantize int4), a smaller --context, or a board with more memory',
    exit: 2,
  },
  EM5006: {
    what: 'board has another processor than the target',
    fix: 'give a --target of the architecture shown',
    exit: 2,
  },
  EM5007: {
    what: 'compiled model needs more stack than an image without an operating system has',
    fix: 'report this with the model that it happens with; a program in user space is not concerned',
    exit: 1,
  },
  EM5008: {
    what: 'kernel module cannot be installed on the board',
    fix: 'log in as root, and build with --kernel-headers of the kernel that the board runs',
    exit: 3,
  },
} as const satisfies Record<`EM5${string}`, Diagnostic>;
