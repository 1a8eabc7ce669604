/** The resources of a place, from what `labgrid-client show` prints, and the way to the board that they are. */
import { EmbedError } from '../../codegen/diagnostics/error.js';
import type { LabgridSettings, SerialSettings, SshSettings } from '../boards/board.js';
import { parsePythonLiteral } from './python-literal.js';

export interface PlaceResource {
  /** Class of labgrid, such as NetworkService. */
  readonly cls: string;
  readonly available: boolean;
  readonly params: Readonly<Record<string, unknown>>;
}

/** Those that are acquired. What cannot be read is left out. */
export function parseResources(text: string): PlaceResource[] {
  const blocks = text
    .split(/^(?=Acquired resource )/m)
    .filter((block) => block.startsWith('Acquired resource '));
  return blocks.flatMap((block) => {
    const indented = block.split('\n').slice(1);
    const end = indented.findIndex((line) => line !== '' && !/^\s/.test(line));
    const value = parsePythonLiteral((end < 0 ? indented : indented.slice(0, end)).join('\n'));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
    const { cls, avail, params } = value;
    if (typeof cls !== 'string' || typeof params !== 'object' || params === null || Array.isArray(params))
      return [];
    return [{ cls, available: avail === true, params }];
  });
}

export type PlaceTransport =
  | { readonly kind: 'ssh'; readonly ssh: SshSettings }
  | { readonly kind: 'serial'; readonly serial: SerialSettings };

/** SSH goes first where a place has both. Throws EM4005 where it has neither. */
export function transportOf(resources: readonly PlaceResource[], settings: LabgridSettings): PlaceTransport {
  const usable = resources.filter(({ available }) => available);
  const service = usable.find(({ cls }) => cls === 'NetworkService');
  if (service !== undefined) return { kind: 'ssh', ssh: sshOf(service, settings) };
  const port = usable.find(({ cls }) => cls === 'NetworkSerialPort');
  if (port !== undefined) return { kind: 'serial', serial: serialOf(port, settings) };
  const found = resources.map(({ cls, available }) => `${cls}${available ? '' : ' (not available)'}`);
  throw new EmbedError('EM4005', {
    where: `labgrid:${settings.place}`,
    why: `it exports no NetworkService and no NetworkSerialPort, but ${found.length === 0 ? 'nothing' : found.join(', ')}`,
  });
}

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;
const portNumber = (value: unknown): number | undefined =>
  Number.isSafeInteger(value) && Number(value) > 0 && Number(value) < 65536 ? Number(value) : undefined;

function sshOf(
  { params }: PlaceResource,
  { place, user: wished, login: _, prompt: __, coordinator: ___, ...own }: LabgridSettings,
): SshSettings {
  const host = text(params.address);
  if (host === undefined || !/^[^\s@/-][^\s@/]*$/.test(host))
    throw unusable(place, 'address', params.address);
  const [port, user] = [portNumber(params.port), wished ?? text(params.username)];
  const { proxy, proxy_required: needsProxy } = (params.extra ?? {}) as Record<string, unknown>;
  const jump = needsProxy === true ? text(proxy) : undefined;
  return {
    ...{ ...own, host },
    ...(port === undefined ? {} : { port }),
    ...(user === undefined ? {} : { user }),
    ...(jump === undefined ? {} : { jump }),
  };
}

function serialOf(
  { params }: PlaceResource,
  { place, login, prompt, passwordEnv }: LabgridSettings,
): SerialSettings {
  const [host, port] = [text(params.host), portNumber(params.port)];
  if (host === undefined) throw unusable(place, 'host', params.host);
  if (port === undefined) throw unusable(place, 'port', params.port);
  const speed = Number(params.speed);
  // Without a word on it, labgrid's own driver speaks RFC 2217.
  const way = params.protocol === 'raw' ? 'tcp' : 'rfc2217';
  return {
    port: `${way}:${host.includes(':') ? `[${host}]` : host}:${port}`,
    ...(Number.isSafeInteger(speed) && speed >= 300 ? { baud: speed } : {}),
    ...(login === undefined ? {} : { login }),
    ...(prompt === undefined ? {} : { prompt }),
    ...(passwordEnv === undefined ? {} : { passwordEnv }),
  };
}

function unusable(place: string, name: string, value: unknown): EmbedError {
  return new EmbedError('EM4005', {
    where: `labgrid:${place}`,
    why: `its ${name} is ${JSON.stringify(value) ?? 'missing'}`,
  });
}
