/** embed-model boards: boards.json, what could stand in it, and whether the boards can be used. */
import type { BoardEntry } from '../../deploy/boards/board.js';
import { EmbedError } from '../diagnostics/error.js';
import { nearestName } from '../diagnostics/nearest-name.js';
import { boardChoice, boardOptions } from './board-options.js';
import { defineCommand, type Invocation } from './command.js';
import { flag } from './option.js';
import { textTable } from './text-table.js';

const actions = ['list', 'scan', 'check', 'unlock'] as const;
type Action = (typeof actions)[number];

const { wait: _wait, 'allow-slow': _slow, force: _force, ...reaching } = boardOptions;

const options = {
  ...reaching,
  write: flag('scan: add what is new to boards.json, or make it; what stands there is left as it is'),
  force: flag('unlock: also where the owner may still be at work'),
} as const;

type Call = Invocation<typeof options>;

export const boards = defineCommand({
  name: 'boards',
  summary: 'list, find, check and unlock the boards of boards.json',
  description: [
    'list (the default) shows boards.json of this folder or the nearest above. scan looks for serial ports ' +
      'by their stable names and for the hosts of ~/.ssh/config; with --write it adds what is new. check ' +
      'connects to every board, or to the one that is named, and says what it is or why it cannot be used. ' +
      'unlock removes a lock that a dead process left; with --force, any.',
  ],
  argument: { name: 'ACTION', help: `one of ${actions.join(', ')}`, required: false },
  options,
  examples: [
    { command: 'embed-model boards scan --write', note: 'a boards.json to begin with' },
    { command: 'embed-model boards check', note: 'all of them, side by side' },
    { command: 'embed-model boards unlock --board pi4 --force', note: 'after the machine that had it died' },
  ],
  cleansUp: true,
  exitCodes: { 3: 'check: a board cannot be used', 4: 'unlock: the owner may still be at work' },
  async dryRun({ argument, values }) {
    const action = actionOf(argument);
    if (action === 'list' || (action === 'scan' && !values.write)) return null;
    const { board, ssh, serial } = values;
    const named = board ?? ssh ?? serial ?? 'every board of boards.json';
    if (action !== 'scan') {
      const note =
        action === 'check' ? `Would connect to ${named}.` : `Would connect to ${named} and remove its lock.`;
      return { files: [], commands: [], notes: [note] };
    }
    const { boardsFileName } = await import('../../deploy/boards/boards-file.js');
    const { path } = await fileEntries();
    return { files: [{ path: path ?? boardsFileName, bytes: null }], commands: [], notes: [] };
  },
  async run(call) {
    switch (actionOf(call.argument)) {
      case 'list':
        return list(call);
      case 'scan':
        return scan(call);
      case 'check':
        return check(call);
      case 'unlock':
        return unlock(call);
    }
  },
});

function actionOf(word: string | null): Action {
  const found = actions.find((action) => action === (word ?? 'list'));
  if (found !== undefined) return found;
  const nearest = nearestName(word ?? '', actions);
  throw new EmbedError('EM1201', {
    where: 'embed-model boards',
    why: `there is no '${word}'; there are ${actions.join(', ')}`,
    ...(nearest === undefined ? {} : { fix: `did you mean ${nearest}?` }),
  });
}

function transportOf({ ssh, serial, labgrid }: BoardEntry): string {
  if (ssh !== undefined) {
    const user = ssh.user === undefined ? '' : `${ssh.user}@`;
    return `ssh ${user}${ssh.host}${ssh.port === undefined ? '' : `:${ssh.port}`}`;
  }
  if (serial !== undefined) return `serial ${serial.port}@${serial.baud ?? 115200}`;
  return `labgrid place ${labgrid?.place}`;
}

async function fileEntries(): Promise<{ path: string | null; boards: readonly BoardEntry[] }> {
  const { findBoardsFile, readBoardsFile } = await import('../../deploy/boards/boards-file.js');
  const path = findBoardsFile();
  return path === null ? { path, boards: [] } : readBoardsFile(path);
}

async function list({ output }: Call): Promise<0> {
  const { path, boards: entries } = await fileEntries();
  const columns = [{ title: 'name' }, { title: 'target' }, { title: 'reached by' }, { title: 'notes' }];
  output.result({ path, boards: entries }, () =>
    entries.length === 0
      ? `no boards: ${path === null ? 'there is no boards.json here or above' : `${path} is empty`}; embed-model boards scan finds some`
      : textTable(
          columns,
          entries.map((entry) => [entry.name, entry.target ?? '', transportOf(entry), entry.notes ?? '']),
        ),
  );
  return 0;
}

async function scan({ values, output }: Call): Promise<0> {
  const { scanBoards, addBoards, createBoardsFile } = await import('../../deploy/boards/scan-boards.js');
  const { boardsFileName } = await import('../../deploy/boards/boards-file.js');
  const { path, boards: entries } = await fileEntries();
  const candidates = scanBoards(entries);
  const fresh = candidates.filter(({ known }) => known === null).map(({ entry }) => entry);
  let written: string | null = null;
  if (values.write && fresh.length > 0) {
    written = path ?? boardsFileName;
    if (path === null) createBoardsFile(written, fresh, schemaPath());
    else await addBoards(path, fresh);
  }
  output.result({ candidates, written }, () =>
    [
      candidates.length === 0
        ? 'nothing found: no serial port that is a board’s, no Host in ~/.ssh/config'
        : textTable(
            [{ title: 'name' }, { title: 'reached by' }, { title: '' }],
            candidates.map(({ entry, known, reason }) => [
              entry.name,
              transportOf(entry),
              reason ?? (known === null ? 'new' : 'in boards.json'),
            ]),
          ),
      ...(written === null
        ? []
        : [`wrote ${fresh.length} to ${written}; embed-model boards check says whether they can be used`]),
    ].join('\n'),
  );
  return 0;
}

/** Where editors find the schema when the package is a dependency of the project that has the boards. */
const schemaPath = () => './node_modules/embed-model/schemas/boards.schema.json';

async function check({ values, output, context }: Call): Promise<0 | 3> {
  const { boardOf } = await import('../../deploy/boards/board.js');
  const { selectBoard } = await import('../../deploy/boards/select-board.js');
  const { checkBoard } = await import('../../deploy/boards/check-board.js');
  const choice = boardChoice({ ...values, wait: 0, 'allow-slow': false, force: false });
  const chosen = choice === null ? (await fileEntries()).boards.map(boardOf) : [await selectBoard(choice)];
  const link = { acceptNew: values['accept-new'], ...context };
  const checks = await Promise.all(chosen.map((board) => checkBoard(board, link)));
  const widest = Math.max(...checks.map(({ name }) => name.length));
  output.result({ boards: checks }, () =>
    checks.length === 0
      ? 'no boards to check: embed-model boards scan finds some'
      : checks
          .map(({ name, usable, cpu, kernel, processors, reason, fix }) => {
            const what = [cpu, kernel, processors === null ? null : `${processors} processors`]
              .filter(Boolean)
              .join(', ');
            const line = `${usable ? 'ok  ' : 'fail'}  ${name.padEnd(widest)}  ${[what, reason].filter(Boolean).join('; ')}`;
            return fix === null ? line : `${line}\n      fix: ${fix}`;
          })
          .join('\n'),
  );
  return checks.every(({ usable }) => usable) ? 0 : 3;
}

async function unlock({ values, output, context }: Call): Promise<0> {
  const { selectBoard } = await import('../../deploy/boards/select-board.js');
  const { unlockBoard } = await import('../../deploy/boards/unlock-board.js');
  const choice = boardChoice({ ...values, wait: 0, 'allow-slow': false, force: false });
  if (choice === null) {
    throw new EmbedError('EM1210', {
      where: 'embed-model boards unlock',
      why: 'no board is named',
      fix: 'give --board NAME',
    });
  }
  const link = { acceptNew: values['accept-new'], signal: context.signal };
  const done = await unlockBoard(await selectBoard(choice), values.force, link);
  output.result({ done }, () => done);
  return 0;
}
