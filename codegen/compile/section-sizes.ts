import { runTool } from './run-tool.js';
import type { Toolchain } from './toolchain.js';

/** Bytes by what they are on the board. */
export interface SectionSizes {
  readonly textBytes: number;
  /** Constants, with those that hold addresses and are relocated before the program starts. */
  readonly rodataBytes: number;
  readonly dataBytes: number;
  readonly bssBytes: number;
}

type SectionKind = keyof SectionSizes;

/** First match counts. Sections of other names (symbols, notes, attributes) are not loaded. */
const kinds: readonly (readonly [RegExp, SectionKind])[] = [
  [/^\.text/, 'textBytes'],
  [/^\.(?:rodata|srodata|data\.rel\.ro|eh_frame)/, 'rodataBytes'],
  [/^\.(?:data|sdata|tdata|init_array|fini_array|ctors|dtors)/, 'dataBytes'],
  [/^(?:\.bss|\.sbss|\.tbss|COMMON|\.common)/, 'bssBytes'],
];

export const sectionKind = (section: string): SectionKind | undefined =>
  kinds.find(([pattern]) => pattern.test(section))?.[1];

/** Sizes of all objects together, from `size -A`. */
export async function sectionSizes(
  toolchain: Toolchain,
  objects: readonly string[],
  signal?: AbortSignal,
): Promise<SectionSizes> {
  const { stdout } = await runTool([toolchain.size, '-A', ...objects], { signal });
  const sizes = { textBytes: 0, rodataBytes: 0, dataBytes: 0, bssBytes: 0 };
  for (const [, section, bytes] of stdout.matchAll(/^(\S+)\s+(\d+)\s+\d+$/gm)) {
    const kind = sectionKind(section);
    if (kind !== undefined) {
      sizes[kind] += Number(bytes);
    }
  }
  return sizes;
}
