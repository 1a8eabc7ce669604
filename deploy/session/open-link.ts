/** Opens the way to a board that its settings name. */
import { EmbedError } from '../../codegen/diagnostics/error.js';
import type { Board } from '../boards/board.js';
import type { BoardLink } from './board-link.js';

export interface LinkOptions {
  /** Whether the SSH key of a host that is not known yet is taken and written down. */
  readonly acceptNew: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Throws EM4003, EM4005, EM4010 to EM4015, EM4020, EM4021, EM4026. Packages are loaded here, when a board is really wanted. */
export async function openLink(board: Board, { acceptNew, signal }: LinkOptions): Promise<BoardLink> {
  const timeoutMs = board.limits.connect * 1000;
  if (board.transport.kind === 'ssh') {
    const { SshLink } = await import('../ssh/ssh-link.js');
    return SshLink.open(board.transport.ssh, { timeoutMs, acceptNew, signal });
  }
  if (board.transport.kind === 'labgrid') {
    const { place } = board.transport.labgrid;
    throw new EmbedError('EM4005', {
      where: `labgrid:${place}`,
      why: 'it has to be acquired before it is connected to',
    });
  }
  const { serial } = board.transport;
  if (serial.uboot !== undefined) {
    const why = 'its entry has serial.uboot, and this needs a shell';
    throw new EmbedError('EM4026', { where: `${board.name} (${serial.port})`, why });
  }
  const { SerialLink } = await import('../serial/serial-link.js');
  return SerialLink.open(serial, { timeoutMs, signal });
}
