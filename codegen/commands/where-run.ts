import type { MachineDescription } from '../../deploy/machine.js';

/** Where something was run, in words. */
export function whereRun({ transport, name, cpu, kernel, emulated }: MachineDescription): string {
  if (transport === 'emulator') return `under ${name}`;
  if (transport === 'host') return `on this machine (${cpu ?? 'unknown CPU'})`;
  const way = transport === 'ssh' ? 'SSH' : 'serial console';
  return `on ${name} by ${way} (${[cpu, kernel, ...(emulated ? ['emulated'] : [])].filter(Boolean).join(', ')})`;
}
