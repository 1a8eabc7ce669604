import type { ElfObject, ElfSection } from './elf-object.js';

/** Bytes by what they are on the board. */
export interface SectionSizes {
  readonly textBytes: number;
  /** Constants, with those that hold addresses and are relocated before the program starts. */
  readonly rodataBytes: number;
  readonly dataBytes: number;
  readonly bssBytes: number;
}

type SectionKind = keyof SectionSizes;

/** undefined for what is not there when the program runs: symbols, notes, attributes. */
export function sectionKind({ name, ...section }: ElfSection): SectionKind | undefined {
  if (!section.isLoaded || section.isNote) {
    return undefined;
  }
  if (section.isCode) {
    return 'textBytes';
  }
  if (!section.isWritable || /^\.data\.rel\.ro(?:\.|$)/.test(name)) {
    return 'rodataBytes';
  }
  return section.isZero ? 'bssBytes' : 'dataBytes';
}

/** Sizes of all objects together. */
export function sectionSizes(objects: readonly ElfObject[]): SectionSizes {
  const sizes = { textBytes: 0, rodataBytes: 0, dataBytes: 0, bssBytes: 0 };
  for (const { sections, symbols } of objects) {
    for (const section of sections) {
      const kind = sectionKind(section);
      if (kind !== undefined) {
        sizes[kind] += section.bytes;
      }
    }
    for (const { section, bytes } of symbols) {
      sizes.bssBytes += section === '*COM*' ? bytes : 0;
    }
  }
  return sizes;
}
