/** report.html as a browser shows it: three boards, their charts, a board without a result. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import t from 'tap';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { boardFailure } from '../../../deploy/report/board-failure.js';
import { historyEntry } from '../../../deploy/report/history.js';
import { htmlReport } from '../../../deploy/report/html-report.js';
import { reportOf, result } from './sample-result.js';

t.setTimeout(300_000);

const browser = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);

t.test('a page of three boards', { skip: browser === undefined && 'no chromium is installed' }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'em-page-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }));
  const [page, picture] = [join(folder, 'report.html'), join(folder, 'report.png')];
  const boards = [result('pi4', 50, 0.1), result('vf2', 12, 0.2), result('pc', 900)];
  const history = [40, 44, 48, 47].map((rate) => historyEntry(result('pi4', rate), null));
  const gone = boardFailure(
    'shelf-3',
    new EmbedError('EM4010', { where: 'pi@shelf', why: 'no answer within 20 s' }),
  );
  writeFileSync(page, htmlReport(reportOf(boards, { failures: [gone], history })));
  const shot = [
    ...[
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--hide-scrollbars',
      `--user-data-dir=${join(folder, 'profile')}`,
    ],
    ...[
      '--window-size=1100,2400',
      '--blink-settings=preferredColorScheme=1',
      `--screenshot=${picture}`,
      `file://${page}`,
    ],
  ];
  const shown = spawnSync(browser!, shot, { encoding: 'utf8', timeout: 120_000 });
  t.ok(existsSync(picture), shown.stderr.slice(-500));
  const image = decodePng(readFileSync(picture));
  t.same([image.width, image.height], [1100, 2400]);
  const count = (color: string) => pixelsOf(image, color);
  // The colors of the charts (chart-frame.ts): bars of histograms and memory, lines of the repeats.
  t.ok(count('2b6cb0') > 20_000, `${count('2b6cb0')} pixels of the first color`);
  for (const color of ['c2571a', '2f855a']) t.ok(count(color) > 2000, `${count(color)} pixels of ${color}`);
  t.ok(count('c53030') > 20, 'the board without a result stands out');
  const filled = [0, 1, 2].map((third) => inkedRows(image, 500 + third * 600, 1000 + third * 600));
  for (const rows of filled) t.ok(rows > 250, `${rows} of 500 rows have something on them`);
});

interface Image {
  readonly width: number;
  readonly height: number;
  /** Three or four bytes a pixel, rows from the top. */
  readonly pixels: Buffer;
  readonly channels: number;
}

/** 8 bits a channel, RGB or RGBA, not interlaced: what browsers write (PNG, third edition, 9.2). */
function decodePng(bytes: Buffer): Image {
  const [width, height, channels] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20), bytes[25] === 6 ? 4 : 3];
  const parts: Buffer[] = [];
  for (let at = 8; at < bytes.length; at += bytes.readUInt32BE(at) + 12) {
    const length = bytes.readUInt32BE(at);
    if (bytes.toString('latin1', at + 4, at + 8) === 'IDAT')
      parts.push(bytes.subarray(at + 8, at + 8 + length));
  }
  const raw = inflateSync(Buffer.concat(parts));
  const stride = width * channels;
  const pixels = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)];
    for (let x = 0; x < stride; x++) {
      const left = x < channels ? 0 : pixels[y * stride + x - channels];
      const up = y === 0 ? 0 : pixels[(y - 1) * stride + x];
      const corner = x < channels || y === 0 ? 0 : pixels[(y - 1) * stride + x - channels];
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
      pixels[y * stride + x] = raw[y * (stride + 1) + 1 + x] + guess;
    }
  }
  return { width, height, pixels, channels };
}

function paeth(left: number, up: number, corner: number): number {
  const distances = [left, up, corner].map((one) => Math.abs(left + up - corner - one));
  if (distances[0] <= distances[1] && distances[0] <= distances[2]) return left;
  return distances[1] <= distances[2] ? up : corner;
}

function pixelsOf({ pixels, channels }: Image, color: string): number {
  const wanted = Buffer.from(color, 'hex');
  let found = 0;
  for (let at = 0; at < pixels.length; at += channels) {
    if (pixels[at] === wanted[0] && pixels[at + 1] === wanted[1] && pixels[at + 2] === wanted[2]) found += 1;
  }
  return found;
}

/** Rows that are not of one color. */
function inkedRows({ pixels, width, channels }: Image, from: number, to: number): number {
  let rows = 0;
  for (let y = from; y < to; y++) {
    const row = pixels.subarray(y * width * channels, (y + 1) * width * channels);
    const first = row.subarray(0, channels);
    for (let at = channels; at < row.length; at += channels) {
      if (row.compare(first, 0, channels, at, at + channels) === 0) continue;
      rows += 1;
      break;
    }
  }
  return rows;
}
