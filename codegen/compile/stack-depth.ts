import { EmbedError } from '../diagnostics/error.js';
import { type CallNode, sourceName } from './call-graph.js';

export interface StackDepth {
  /** Deepest of all entry points, in bytes, including the return address of the call that enters. */
  readonly bytes: number;
  /** The chain of calls that is deepest: functions and hooks with the bytes of their frames. */
  readonly path: readonly { readonly name: string; readonly frameBytes: number }[];
  /** By entry point, and by function that a hook calls back, perhaps on the stack of another thread. */
  readonly byEntry: Readonly<Record<string, number>>;
  /** Functions of the platform that are called (memcpy ...): their stack is not in the figures. */
  readonly uncounted: readonly string[];
}

interface Depth {
  readonly bytes: number;
  /** What is called on the way to the deepest point. */
  readonly next: CallNode | undefined;
}

/**
 * Sums frames along the call graph. `entryPoints` are names of the C sources; absent: every global function.
 * Throws EM3105 with the cycle if there is one anywhere, EM3006 if an entry point does not exist.
 */
export function measureStackDepth(nodes: readonly CallNode[], entryPoints?: readonly string[]): StackDepth {
  const depths = new Map<CallNode, Depth>();
  for (const node of nodes) {
    visit(node, depths, []);
  }
  const entries = nodes
    .filter(({ kind }) => kind === 'function')
    .filter(({ name, isGlobal }) => entryPoints?.includes(sourceName(name)) ?? isGlobal);
  const absent = entryPoints?.find((entry) => !entries.some(({ name }) => sourceName(name) === entry));
  if (absent !== undefined) {
    throw new EmbedError('EM3006', {
      where: absent,
      why: 'there is no function of that name in the library',
    });
  }
  const calledBack = nodes
    .filter(({ kind }) => kind === 'hook')
    .flatMap((hook) => hook.calls.map(({ callee }) => callee));
  const bytes = (node: CallNode) => depths.get(node)?.bytes ?? 0;
  const deepest = entries.reduce<CallNode | undefined>(
    (most, node) => (most === undefined || bytes(node) > bytes(most) ? node : most),
    undefined,
  );
  const externals = nodes.flatMap(({ calls }) => calls.map(({ callee }) => callee)).filter(isExternal);
  return {
    bytes: deepest === undefined ? 0 : bytes(deepest),
    path: pathFrom(deepest, depths),
    byEntry: Object.fromEntries([...entries, ...calledBack].map((node) => [node.name, bytes(node)])),
    uncounted: [...new Set(externals.map(({ name }) => name))].sort(),
  };
}

const isExternal = ({ kind }: CallNode) => kind === 'external';

function visit(node: CallNode, depths: Map<CallNode, Depth>, path: readonly CallNode[]): Depth {
  const known = depths.get(node);
  if (known !== undefined) {
    return known;
  }
  const start = path.indexOf(node);
  if (start >= 0) {
    const cycle = [...path.slice(start), node].map(({ name }) => name);
    throw new EmbedError('EM3105', { where: node.name, why: cycle.join(' -> ') });
  }
  let deepest: Depth = { bytes: node.frameBytes, next: undefined };
  for (const { callee, depth } of node.calls) {
    const bytes = depth + visit(callee, depths, [...path, node]).bytes;
    if (bytes > deepest.bytes) {
      deepest = { bytes, next: callee };
    }
  }
  depths.set(node, deepest);
  return deepest;
}

function pathFrom(start: CallNode | undefined, depths: ReadonlyMap<CallNode, Depth>): StackDepth['path'] {
  const path: CallNode[] = [];
  for (let node = start; node !== undefined; node = depths.get(node)?.next) {
    path.push(node);
  }
  return path.map(({ name, frameBytes }) => ({ name, frameBytes }));
}
