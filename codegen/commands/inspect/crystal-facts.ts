/** What there is to say of a .crystal file beside its model. */
import { missingScales, readCrystalFileHeader } from '../../checkpoint/crystal-file.js';
import type { CrystalMode } from '../../checkpoint/crystal-header.js';
import { formatAmount } from '../quantities.js';

const storage: Readonly<Record<CrystalMode, string>> = {
  float32: 'float32',
  int8: 'int8, a scale and an offset a tensor',
  int16: 'int16, a scale and an offset a tensor',
  mixed: 'embeddings float32, the rest int16',
  mixed8: 'embeddings float32, the rest int8',
};

/** Lines about version, storage and neurons of a file. Throws EM1001, EM1060. */
export function crystalFacts(path: string): [string, string][] {
  const header = readCrystalFileHeader(path);
  const { version, mode, flags, frozen, active, patterns, headScales } = header;
  const head = headScales ? 'float32, the head behind scales that say nothing' : 'float32, the head int8';
  const stored = version === 2 && mode === 'mixed8' ? head : storage[mode];
  const rows = version === 1 && frozen > 0 ? ` as ${formatAmount(patterns, 'different row')}` : '';
  const missing = missingScales(header);
  return [
    ['version', `${version}, flags 0x${flags.toString(16).padStart(2, '0')}`],
    ['stored', stored],
    ['neurons', `${frozen} frozen${rows}, ${active} active`],
    ...(missing.length === 0
      ? []
      : [
          ['missing', `scales of ${missing.join(', ')}: a build needs --calibration or --scales`] as [
            string,
            string,
          ],
        ]),
  ];
}
