/**
 * deploy --install: puts a bundle that was proved into a folder of the board, to be used and proved at boot. The release before
 * stays, and stays current until the new one has answered its golden prompts from where it lies now.
 *
 *     FOLDER/releases/KEY/{em-run, model.blob, prove}   FOLDER/current -> releases/KEY   FOLDER/previous   FOLDER/start
 *
 * With a kernel module also releases/KEY/{embed_model.ko, module.facts} and FOLDER/module, which puts the module where the kernel's
 * own programs look for it.
 */
import type { Manifest } from '../../codegen/bundle/manifest.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { type CommandEnd, shellWord } from '../session/board-link.js';
import type { BoardMachine } from '../session/board-machine.js';
import type { BoardSession } from '../session/board-session.js';
import { boardBundle, boardModule, bundleOf } from '../session/bundle-files.js';
import { remotePath } from '../session/remote-path.js';
import { proveScript, startScript, switchFunction, systemdUnit, unitName } from './install-scripts.js';
import { moduleFacts, moduleScript } from './module-script.js';

export interface Installation {
  /** On the board, absolute. */
  readonly folder: string;
  /** Name of the release that is current, and of the one that can be gone back to; null: there is none. */
  readonly current: string;
  readonly previous: string | null;
  /** What runs FOLDER/start at boot; null: nothing does yet. */
  readonly startedBy: 'systemd' | 'systemd --user' | null;
  /** Release of the kernel that has the module now; null: the bundle has none that is compiled. */
  readonly moduleKernel: string | null;
}

/** Folders on boards: absolute or below the home folder, of characters that mean nothing to a shell or to systemd. */
export const installFolderPattern = /^(~\/|\/)[\w.+@-][\w.+@/-]*$/;

/**
 * Whether the bundle can be installed, as far as that can be said before anything is sent: modules need root and their kernel.
 * Throws EM4039, EM5008.
 */
export async function requireInstallable(
  session: BoardSession,
  bundle: string,
  manifest: Manifest,
): Promise<void> {
  const { progress } = session.options;
  if (manifest.kernelModule === undefined) return;
  const { kernel } = manifest.kernelModule;
  if (kernel === null) {
    progress.warn(`${bundle}/module has sources only: no kernel module is installed`);
    return;
  }
  const where = session.link.address;
  if (session.facts.kernel !== `Linux ${kernel}`) {
    const why = `it is for Linux ${kernel}, the board runs ${session.facts.kernel}`;
    throw new EmbedError('EM5008', { where, why });
  }
  if ((await session.command('id -u')).stdout.trim() === '0') return;
  throw new EmbedError('EM5008', { where, why: 'only root can install it' });
}

/**
 * Throws EM4033 where the folder cannot be written, EM4039 where the new release does not answer: then the release before is
 * current as it was. What is not on the board yet is brought there.
 */
export async function installBundle(
  machine: BoardMachine,
  bundle: string,
  manifest: Manifest,
  wished: string,
): Promise<Installation> {
  const program = boardBundle(bundle, manifest);
  const module = boardModule(bundle, manifest);
  const uploaded = [await machine.provide(bundle, manifest)];
  if (module !== null) uploaded.push(await machine.bring(module));
  const { key, files } = module === null ? program : bundleOf([...program.files, ...module.files]);
  const { session } = machine;
  const install = new Install(session, key, uploaded, await makeFolder(session, wished), module !== null);
  const sums = files.map(({ name, sha256 }) => `${sha256}  ${name}`).join('\n');
  await install.stage(sums, proveScript(manifest), moduleFacts(manifest));
  await install.prove();
  const previous = await install.switch();
  const startedBy = await install.startAtBoot();
  const moduleKernel = module === null ? null : (manifest.kernelModule?.kernel ?? null);
  return { folder: install.folder, current: key, previous, startedBy, moduleKernel };
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
    private readonly uploaded: readonly string[],
    readonly folder: string,
    private readonly hasModule: boolean,
  ) {
    this.release = `${folder}/releases/${key}`;
  }

  /** The files, complete and right, under a name that nothing uses yet. A release that is there already is made anew beside it. */
  async stage(sums: string, prove: string, facts: string): Promise<void> {
    const part = shellWord(`${this.release}.part`);
    const sources = this.uploaded.map((folder) => `${shellWord(folder)}/*`).join(' ');
    await this.demand(
      'copy',
      `rm -rf ${part} && mkdir -p ${part} && cd ${part} || exit 1
cp ${sources} . || exit 1
sha256sum -c >/dev/null <<'SUMS' || exit 1
${sums}
SUMS
cat > prove <<'SCRIPT' && chmod 755 prove em-run || exit 1
${prove}SCRIPT
${this.hasModule ? `${this.moduleFiles(facts)}\n` : ''}sync`,
    );
  }

  private moduleFiles(facts: string): string {
    return `cat > module.facts <<'FACTS' || exit 1
${facts}FACTS
cd ${shellWord(this.folder)} || exit 1
cat > module.new <<'SCRIPT' && chmod 755 module.new && mv -f module.new module || exit 1
${moduleScript}SCRIPT`;
  }

  /** Has the new release answer where it lies, in user space and in the kernel; it is thrown away where it does not. */
  async prove(): Promise<void> {
    const part = `releases/${this.key}.part`;
    const folder = shellWord(this.folder);
    const tries = this.hasModule ? ` && ./module try ${part}` : '';
    const end = await this.run(`sh -c ${shellWord(`cd ${folder} && ${part}/prove${tries}`)}`);
    if (end.code === 0) return;
    await this.session.command(`cd ${folder} && ${forget(part)}`);
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
      `cd ${shellWord(this.folder)} || exit 1
for d in releases/*; do case $d in */${this.key}|*/${previous || this.key}) ;; *) ${forget('"$d"')} ;; esac; done`,
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

/** Deletes a release: with a kernel module, its weights too. */
const forget = (release: string) =>
  `if [ -x module ]; then ./module forget ${release}; else rm -rf ${release}; fi`;

const lastLine = ({ code, stdout, stderr }: CommandEnd): string =>
  (stderr.trim() || stdout.trim()).split('\n').at(-1) || `exit code ${code}`;
