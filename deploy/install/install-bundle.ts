/**
 * deploy --install: puts a bundle that was proved into a folder of the board, to be used and proved at boot. The release before
 * stays, and stays current until the new one has answered its golden prompts from where it lies now.
 *
 *     FOLDER/releases/KEY/{em-run, model.blob, prove}   FOLDER/current -> releases/KEY   FOLDER/previous   FOLDER/start
 */
import type { Manifest } from '../../codegen/bundle/manifest.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { type CommandEnd, shellWord } from '../session/board-link.js';
import type { BoardSession } from '../session/board-session.js';
import { boardBundle } from '../session/bundle-files.js';
import { remotePath } from '../session/remote-path.js';
import { proveScript, startScript, switchFunction, systemdUnit, unitName } from './install-scripts.js';

export interface Installation {
  /** On the board, absolute. */
  readonly folder: string;
  /** Name of the release that is current, and of the one that can be gone back to; null: there is none. */
  readonly current: string;
  readonly previous: string | null;
  /** What runs FOLDER/start at boot; null: nothing does yet. */
  readonly startedBy: 'systemd' | 'systemd --user' | null;
}

/** Folders on boards: absolute or below the home folder, of characters that mean nothing to a shell or to systemd. */
export const installFolderPattern = /^(~\/|\/)[\w.+@-][\w.+@/-]*$/;

/**
 * `uploaded`: folder on the board that has the files of the bundle. Throws EM4033 where the folder cannot be written, EM4039 where
 * the new release does not answer: then the release before is current as it was.
 */
export async function installBundle(
  session: BoardSession,
  bundle: string,
  manifest: Manifest,
  uploaded: string,
  wished: string,
): Promise<Installation> {
  const { key, files } = boardBundle(bundle, manifest);
  const install = new Install(session, key, uploaded, await makeFolder(session, wished));
  const sums = files.map(({ name, sha256 }) => `${sha256}  ${name}`).join('\n');
  await install.stage(sums, proveScript(manifest));
  await install.prove();
  const previous = await install.switch();
  return { folder: install.folder, current: key, previous, startedBy: await install.startAtBoot() };
}

async function makeFolder(session: BoardSession, wished: string): Promise<string> {
  const path = remotePath(wished);
  const end = await session.command(`mkdir -p ${path}/releases && cd ${path} && pwd -P`);
  const folder = end.stdout.trim().split('\n').at(-1) ?? '';
  if (end.code === 0 && installFolderPattern.test(folder)) return folder;
  const why = end.code === 0 ? `it is ${folder}, which has characters that units cannot name` : lastLine(end);
  throw new EmbedError('EM4033', { where: `${session.link.address}: ${wished}`, why });
}

class Install {
  private readonly release: string;

  constructor(
    private readonly session: BoardSession,
    private readonly key: string,
    private readonly uploaded: string,
    readonly folder: string,
  ) {
    this.release = `${folder}/releases/${key}`;
  }

  /** The files, complete and right, under a name that nothing uses yet. A release that is there already is made anew beside it. */
  async stage(sums: string, prove: string): Promise<void> {
    const part = shellWord(`${this.release}.part`);
    await this.demand(
      'copy',
      `rm -rf ${part} && mkdir -p ${part} && cd ${part} || exit 1
cp ${shellWord(this.uploaded)}/* . || exit 1
sha256sum -c >/dev/null <<'SUMS' || exit 1
${sums}
SUMS
cat > prove <<'SCRIPT' && chmod 755 prove em-run && sync
${prove}SCRIPT`,
    );
  }

  /** Has the new release answer where it lies; it is thrown away where it does not. */
  async prove(): Promise<void> {
    const part = shellWord(`${this.release}.part`);
    const end = await this.run(`${part}/prove`);
    if (end.code === 0) return;
    await this.session.command(`rm -rf ${part}`);
    throw this.failed(`the new release did not answer: ${lastLine(end)}`);
  }

  /** Makes it current, has what runs at boot prove it once more, and removes what is neither current nor previous. */
  async switch(): Promise<string | null> {
    await this.demand(
      'switch',
      `cd ${shellWord(this.folder)} || exit 1
cat > start.new <<'SCRIPT' && chmod 755 start.new && mv -f start.new start || exit 1
${startScript}SCRIPT
${switchFunction}
old=$(readlink current)
if [ "$old" = releases/${this.key} ]; then rm -rf releases/${this.key} || exit 1
elif [ -n "$old" ]; then switch_to previous "$old" || exit 1; fi
mv releases/${this.key}.part releases/${this.key} || exit 1
switch_to current releases/${this.key} && sync`,
    );
    const started = await this.run(`${shellWord(this.folder)}/start`);
    const { stdout } = await this.demand(
      'look',
      `cd ${shellWord(this.folder)} && basename "$(readlink current)" && basename "$(readlink previous)" 2>/dev/null || true`,
    );
    const [current, previous = ''] = stdout.trim().split('\n');
    if (started.code !== 0 || current !== this.key)
      throw this.failed(`${lastLine(started)}; current is ${current}`);
    await this.demand(
      'remove old releases',
      `cd ${shellWord(`${this.folder}/releases`)} || exit 1
for d in *; do case $d in ${this.key}|${previous === '' ? this.key : previous}) ;; *) rm -rf "./$d" ;; esac; done`,
    );
    return previous === '' ? null : previous;
  }

  /** Has systemd run FOLDER/start at boot, of the system where root is logged in, else of the user. */
  async startAtBoot(): Promise<Installation['startedBy']> {
    const unit = unitName(this.folder);
    const write = (path: string, wantedBy: string) => `cat > ${path}/${unit} <<'UNIT'
${systemdUnit(this.folder, wantedBy)}UNIT`;
    const end = await this.demand(
      'unit',
      `[ -d /run/systemd/system ] || { echo none; exit 0; }
if [ "$(id -u)" = 0 ]; then
${write('/etc/systemd/system', 'multi-user.target')}
systemctl daemon-reload && systemctl enable --quiet ${unit} && echo system
elif systemctl --user show-environment >/dev/null 2>&1; then
mkdir -p "$HOME/.config/systemd/user"
${write('"$HOME/.config/systemd/user"', 'default.target')}
systemctl --user daemon-reload && systemctl --user enable --quiet ${unit} && echo user
else echo none; fi`,
    );
    const word = end.stdout.trim().split('\n').at(-1);
    if (word === 'system') return 'systemd';
    if (word === 'user') return 'systemd --user';
    this.session.options.progress.warn(
      `no systemd there that could start anything: have ${this.folder}/start run at boot`,
    );
    return null;
  }

  private run(script: string): Promise<CommandEnd> {
    const { board, link, options } = this.session;
    return link.run(`exec ${script} < /dev/null`, {
      timeoutMs: board.limits.run * 1000,
      signal: options.signal,
    });
  }

  /** A step that has to succeed. */
  private async demand(what: string, script: string): Promise<CommandEnd> {
    const end = await this.session.command(script);
    if (end.code === 0) return end;
    throw new EmbedError('EM4033', {
      where: `${this.session.link.address}: ${this.folder} (${what})`,
      why: lastLine(end),
    });
  }

  private failed(why: string): EmbedError {
    return new EmbedError('EM4039', { where: `${this.session.link.address}: ${this.folder}`, why });
  }
}

const lastLine = ({ code, stdout, stderr }: CommandEnd): string =>
  (stderr.trim() || stdout.trim()).split('\n').at(-1) || `exit code ${code}`;
