/** What a model must be to run inside a kernel. Checked before minutes of work are spent where that is possible. */
import type { Architecture, Target, VectorBracket } from '../../targets/target.js';
import { EmbedError } from '../diagnostics/error.js';

/** Weights stay in memory that cannot be swapped out for as long as the module is loaded. */
export const maxModuleBlobBytes = 100_000_000;

/** Modules share an address range of 128 MB with the kernel on some machines, and are read into memory twice while they load. */
export const maxLinkedBlobBytes = 16_000_000;

/** Half of the 16 KiB that Linux gives a thread on these architectures: system call and interrupts have the rest. */
const maxStackBytes = 8192;

/** Brackets that the sources of the module have. */
const brackets: Partial<Record<Architecture, VectorBracket>> = {
  x86_64: 'kernel_fpu',
  aarch64: 'kernel_neon',
};

/** Throws EM5003 for kernels in vector registers without what they must stand between: user space owns those registers. */
export function requireKernelModeTarget({ name, arch, kernelSet, kernelModeVectors }: Target): void {
  const general = kernelSet === 'swar' || kernelSet === 'portable';
  if (kernelModeVectors === (general ? null : brackets[arch])) return;
  const why = general
    ? `its kernel set, ${kernelSet}, uses no vector registers, and kernelModeVectors says otherwise`
    : `its kernel set, ${kernelSet}, uses vector registers, and kernelModeVectors does not say how`;
  throw new EmbedError('EM5003', { where: `--target ${name}`, why });
}

/** `linked`: whether they are linked into the module. Throws EM5001. */
export function requireModuleSize(blobBytes: number, linked = false): void {
  const limit = linked ? maxLinkedBlobBytes : maxModuleBlobBytes;
  if (blobBytes <= limit) return;
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  const advice = linked ? ' of weights in the module itself; without --single-file it is larger' : '';
  const why = `they take ${megabytes(blobBytes)}, and the limit is ${megabytes(limit)}${advice}`;
  throw new EmbedError('EM5001', { where: 'model.blob', why });
}

/** Throws EM5004. */
export function requireModuleStack(stackBytes: number): void {
  if (stackBytes <= maxStackBytes) return;
  const why = `its deepest chain of calls takes ${stackBytes} bytes, and the limit is ${maxStackBytes}`;
  throw new EmbedError('EM5004', { where: 'src', why });
}
