/** doctor with a board: everything that could keep it from serving, or make its figures mean little. */
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { findTarget, targets } from '../../targets/index.js';
import type { Finding } from '../doctor.js';
import { conditionsScript, parseConditions } from '../session/board-conditions.js';
import { type BoardFacts, factsScript, misfit, parseFacts } from '../session/board-facts.js';
import { type BoardLink, shellWord } from '../session/board-link.js';
import { readLock } from '../session/board-lock.js';
import type { SessionOptions } from '../session/board-session.js';
import { decodeOwner, describeOwner } from '../session/lock-owner.js';
import { openLink } from '../session/open-link.js';
import { reachBoard } from '../session/reach-board.js';
import { remotePath } from '../session/remote-path.js';
import type { Board } from './board.js';

/** A bundle of the largest default size. */
const wantedFreeBytes = 100e6;
/** Many processors slow down from here on. */
const hotC = 80;

/** Connects and looks; leaves nothing there but the folder of boards.json. Throws only what the signal says. */
export async function diagnoseBoard(
  board: Board,
  options: Omit<SessionOptions, 'waitMs' | 'force' | 'allowSlow'>,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  try {
    return await reachBoard(board, { ...options, waitMs: 0 }, async (reached) => {
      const link = await openLink(reached, options);
      try {
        findings.push({ status: 'ok', subject: 'connection', detail: link.address });
        const run = async (script: string) =>
          (await link.run(script, { timeoutMs: board.limits.command * 1000, signal: options.signal })).stdout;
        const facts = parseFacts(await run(factsScript));
        findings.push(...(await aboutProcessor(board, facts)));
        findings.push(...(await aboutFolder(board, link, run)));
        findings.push(...aboutConditions(parseConditions(await run(conditionsScript))));
        findings.push(aboutBoot(await run('[ -d /run/systemd/system ] && echo systemd || true')));
        return findings;
      } finally {
        await link.close();
      }
    });
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!(error instanceof EmbedError)) throw error;
    const { code, what, why, fix } = error;
    const subject = findings.length === 0 ? 'connection' : 'board';
    return [...findings, { status: 'fail', subject, detail: `${code}: ${what}: ${why}`, fix }];
  }
}

async function aboutProcessor(board: Board, facts: BoardFacts): Promise<Finding[]> {
  const { cpu, kernel, processors, memoryBytes, missing } = facts;
  const fitting = targets.filter((target) => misfit(facts, target, []) === null).map(({ name }) => name);
  const target = board.target === null ? null : await findTarget(board.target);
  const obstacle = misfit(facts, target, board.features);
  const memory = memoryBytes === null ? '' : `, ${(memoryBytes / 1e6).toFixed(0)} MB of memory`;
  return [
    missing.length === 0
      ? { status: 'ok', subject: 'programs', detail: 'all that is needed' }
      : {
          status: 'fail',
          subject: 'programs',
          detail: `no ${missing.join(', ')}`,
          fix: 'install them; busybox has all',
        },
    { status: 'ok', subject: 'machine', detail: `${cpu}, ${processors} processors${memory}, ${kernel}` },
    fitting.length === 0
      ? {
          status: 'fail',
          subject: 'targets',
          detail: 'it runs programs of none',
          fix: 'embed-model targets lists them',
        }
      : { status: 'ok', subject: 'targets', detail: `it runs programs of ${fitting.join(', ')}` },
    ...(obstacle === null
      ? []
      : [
          {
            status: 'fail',
            subject: 'boards.json',
            detail: obstacle,
            fix: 'correct target or features there',
          } as const,
        ]),
  ];
}

/** Makes the folder, writes a program into it, runs it and removes it. */
async function aboutFolder(
  { folder }: Board,
  link: BoardLink,
  run: (script: string) => Promise<string>,
): Promise<Finding[]> {
  const path = remotePath(folder);
  const said =
    await run(`{ mkdir -p ${path} && cd ${path} && p=$PWD/probe.$$ && printf '#!/bin/sh\\n' > "$p" && chmod 700 "$p"; } 2>&1 || exit 0
"$p" 2>/dev/null && echo runs || echo noexec
rm -f "$p"
pwd -P
df -Pk . | tail -n 1`);
  const [first = '', root = '', disk = ''] = said.trim().split('\n');
  const subject = 'folder';
  if (first !== 'runs' && first !== 'noexec') {
    const fix = 'set permissions, make room, or choose another (folder in boards.json)';
    return [{ status: 'fail', subject, detail: said.trim() || `${folder} cannot be written`, fix }];
  }
  if (first === 'noexec') {
    const fix = 'choose one that is not mounted noexec (folder in boards.json)';
    return [{ status: 'fail', subject, detail: `nothing in ${root} can be run`, fix }];
  }
  const columns = disk.trim().split(/\s+/);
  const free = Number(columns.at(-3)) * 1024;
  const isKnown = Number(columns.at(-5)) > 0 && Number.isFinite(free);
  const detail = isKnown ? `${root}, ${(free / 1e6).toFixed(0)} MB free` : root;
  const held = await readLock(link, root, 30_000);
  const owner = held === null ? null : decodeOwner(held);
  return [
    isKnown && free < wantedFreeBytes
      ? { status: 'warn', subject, detail, fix: `make room: a bundle may have ${wantedFreeBytes / 1e6} MB` }
      : { status: 'ok', subject, detail },
    held === null
      ? { status: 'ok', subject: 'lock', detail: 'free' }
      : {
          status: 'warn',
          subject: 'lock',
          detail: `held by ${owner === null ? held : describeOwner(owner)}`,
          fix: `wait, or embed-model boards unlock (it is ${shellWord(`${root}/lock`)})`,
        },
  ];
}

function aboutConditions(reading: ReturnType<typeof parseConditions>): Finding[] {
  const { governor, frequencyMHz, temperatureC, energyJ } = reading;
  const clock = frequencyMHz === null ? '' : `, ${frequencyMHz} MHz now`;
  return [
    governor === null
      ? { status: 'ok', subject: 'governor', detail: `the board does not tell${clock}` }
      : governor === 'performance'
        ? { status: 'ok', subject: 'governor', detail: `${governor}${clock}` }
        : {
            status: 'warn',
            subject: 'governor',
            detail: `${governor}${clock}: speeds vary with it`,
            fix: 'as root there: echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor',
          },
    temperatureC === null
      ? { status: 'ok', subject: 'temperature', detail: 'the board does not tell' }
      : temperatureC >= hotC
        ? {
            status: 'warn',
            subject: 'temperature',
            detail: `${temperatureC} °C`,
            fix: 'cool it: it may be slowed down',
          }
        : { status: 'ok', subject: 'temperature', detail: `${temperatureC} °C` },
    { status: 'ok', subject: 'energy', detail: energyJ === null ? 'the board does not tell' : 'is measured' },
  ];
}

function aboutBoot(said: string): Finding {
  return said.trim() === 'systemd'
    ? { status: 'ok', subject: 'boot', detail: 'systemd runs what --install puts there' }
    : {
        status: 'ok',
        subject: 'boot',
        detail: 'no systemd: what --install puts there has to be started by hand',
      };
}
