/** Options that several commands take for running a program. */
import type { LocalMode } from '../../deploy/local.js';
import { EmbedError } from '../diagnostics/error.js';
import { flag, integer } from './option.js';

/** 2^20 positions are more than any model that is read was trained for. */
export const contextRange = { min: 1, max: 2 ** 20 } as const;

export const tokensOption = integer('most tokens to generate', { min: 0, max: contextRange.max }, 64);

/** As em-run takes them. */
export const threadsOption = integer('threads; 0: one for each processor', { min: 0, max: 1024 }, 0);

export const placeOptions = {
  host: flag('run on this machine itself, or fail'),
  emulator: flag('run under the emulator of the target, even where this machine could'),
} as const;

/** Throws EM1208 where both are given. */
export function placeOf(values: { readonly host: boolean; readonly emulator: boolean }): LocalMode {
  if (values.host && values.emulator) throw exclusive('--host', '--emulator');
  return values.host ? 'host' : values.emulator ? 'emulator' : 'auto';
}

/** EM1208 for two options of which only one makes sense. */
export function exclusive(one: string, other: string): EmbedError {
  return new EmbedError('EM1208', { where: `${one} and ${other}`, why: 'they exclude each other' });
}
