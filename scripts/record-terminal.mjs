/**
 * Records a command in a terminal as an animated SVG without fonts or scripts. Needs tmux, which is the terminal.
 *
 *     node scripts/record-terminal.mjs docs/recording.svg 100x40 npm run demo
 *
 * The screen is read five times a second. An SVG element is a row of the screen with one content; it is visible for as long as
 * the row had that content. Viewers without animation, or with prefers-reduced-motion, show the last screen.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const samplingMs = 200;
/** Longer stretches in which nothing moves are shortened to this. */
const longestPauseMs = 1200;
const lastScreenMs = 8000;

const fontSize = 14;
const columnWidth = 8.4;
const rowHeight = 18;
const padding = 14;
const colors = {
  background: '#16181d',
  text: '#d7dae0',
  dim: '#7d8590',
  // The terminal's 30 to 37.
  palette: ['#484f58', '#ff7b72', '#7ee787', '#e3b341', '#79c0ff', '#d2a8ff', '#56d4dd', '#d7dae0'],
};

const socket = `record-${process.pid}`;

function tmux(...args) {
  const { status, stdout, stderr, error } = spawnSync('tmux', ['-L', socket, ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`tmux ${args[0]}: ${error?.message ?? stderr.trim()}`);
  return stdout;
}

const quoted = (word) => (/^[\w./:=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** Runs the command; returns the different screens, each as rows with escape sequences, and when they appeared, in ms. */
async function record(command, columns, rows) {
  const line = command.map(quoted).join(' ');
  const typed = `printf '$ %s\\n' ${quoted(line)}; ${line}`;
  tmux('-f', '/dev/null', 'new-session', '-d', '-x', columns, '-y', rows, 'sh', '-c', `sleep 1; ${typed}`);
  tmux('set-option', '-g', 'remain-on-exit', 'on');
  tmux('set-option', '-g', 'remain-on-exit-format', '');
  const screens = [];
  try {
    for (let isOver = false; !isOver; await sleep(samplingMs)) {
      isOver = tmux('display-message', '-p', '#{pane_dead}').trim() === '1';
      const content = tmux('capture-pane', '-e', '-p');
      if (content.trim() === '' || content === screens.at(-1)?.content) continue;
      screens.push({ at: performance.now(), content });
    }
    return screens.map(({ at, content }) => ({ at, rows: content.replace(/\n$/, '').split('\n') }));
  } finally {
    tmux('kill-server');
  }
}

/** Moves the screens to a time that begins at 0 and has no long pauses. */
function withoutPauses(screens) {
  let now = 0;
  return screens.map(({ at, rows }, i) => {
    now += i === 0 ? 0 : Math.min(longestPauseMs, at - screens[i - 1].at);
    return { at: now, rows };
  });
}

/** Select Graphic Rendition, as in ECMA-48, 8.3.117: what tmux writes for colors. */
const renditions = new RegExp(`${String.fromCharCode(27)}\\[([\\d;]*)m`);

/** Words of a row in one style, { column, text, fill, bold }, apart where there is more than one space between them. */
function pieces(row) {
  const found = [];
  let style = { fill: colors.text, bold: false };
  let column = 0;
  row.split(renditions).forEach((part, i) => {
    if (i % 2 === 1) {
      for (const code of part.split(';').map(Number)) style = restyled(style, code);
      return;
    }
    for (const text of part.split(/(\s{2,}|^\s|\s$)/)) {
      if (text.trim() !== '') found.push({ column, text, ...style });
      column += [...text].length;
    }
  });
  return found;
}

function restyled(style, code) {
  if (code === 0) return { fill: colors.text, bold: false };
  if (code === 1) return { ...style, bold: true };
  if (code === 2) return { ...style, fill: colors.dim };
  if (code === 39) return { ...style, fill: colors.text };
  const color = colors.palette[code >= 90 ? code - 90 : code - 30];
  return color === undefined ? style : { ...style, fill: color };
}

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

function textElement(row, index, className) {
  const y = padding + rowHeight * index + fontSize;
  const spans = pieces(row).map(({ column, text, fill, bold }) => {
    const x = (padding + columnWidth * column).toFixed(1);
    const width = (columnWidth * [...text].length).toFixed(1);
    const looks = `${fill === colors.text ? '' : ` fill="${fill}"`}${bold ? ' font-weight="bold"' : ''}`;
    return `<tspan x="${x}" textLength="${width}"${looks}>${escaped(text)}</tspan>`;
  });
  return `<text y="${y}"${className === '' ? '' : ` class="${className}"`}>${spans.join('')}</text>`;
}

/** Every content that a row had, from when until when; `to` is undefined for what is on the last screen. */
function spells(screens, rows) {
  return Array.from({ length: rows }, (_, index) => {
    const ofRow = [];
    for (const screen of screens) {
      const row = screen.rows[index] ?? '';
      if (row === ofRow.at(-1)?.row) continue;
      if (ofRow.length > 0) ofRow.at(-1).to = screen.at;
      ofRow.push({ index, row, from: screen.at });
    }
    return ofRow.filter(({ row }) => row.trim() !== '');
  }).flat();
}

function svg(screens, columns, rows) {
  const total = screens.at(-1).at + lastScreenMs;
  const percent = (ms) => `${((100 * ms) / total).toFixed(2)}%`;
  const keyframes = new Map(); // class name by the keyframes it stands for
  const className = ({ from, to }) => {
    const end = to === undefined ? '' : `${percent(to)}{visibility:hidden}`;
    const frames = `${from === 0 ? '' : '0%{visibility:hidden}'}${percent(from)}{visibility:visible}${end}`;
    if (!keyframes.has(frames)) keyframes.set(frames, `k${keyframes.size}`);
    // Without animation only what is on the last screen is visible.
    return `${keyframes.get(frames)}${to === undefined ? '' : ' gone'}`;
  };
  const texts = spells(screens, rows).map((spell) => textElement(spell.row, spell.index, className(spell)));
  const width = Math.ceil(2 * padding + columnWidth * columns);
  const height = 2 * padding + rowHeight * rows;
  const seconds = (total / 1000).toFixed(1);
  const rules = [...keyframes].map(
    ([frames, name]) => `@keyframes ${name}{${frames}}.${name}{animation-name:${name}}`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<style>
text{font:${fontSize}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:${colors.text}}
.gone{visibility:hidden}
@media (prefers-reduced-motion:no-preference){
text{animation:${seconds}s step-end infinite}
${rules.join('\n')}
}
</style>
<rect width="100%" height="100%" rx="8" fill="${colors.background}"/>
${texts.join('\n')}
</svg>
`;
}

const [file, size, ...command] = process.argv.slice(2);
const [, columns, rows] = /^(\d+)x(\d+)$/.exec(size ?? '') ?? [];
if (rows === undefined || command.length === 0) {
  console.error('usage: node scripts/record-terminal.mjs FILE.svg COLUMNSxROWS COMMAND...');
  process.exit(2);
}
const screens = withoutPauses(await record(command, columns, rows));
writeFileSync(file, svg(screens, Number(columns), Number(rows)));
console.log(`${file}: ${screens.length} screens`);
