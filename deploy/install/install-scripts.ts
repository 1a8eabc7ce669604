/** What an installed bundle brings along: scripts of a POSIX shell, and the unit that starts one of them at boot. */
import type { GoldenRun, Manifest } from '../../codegen/bundle/manifest.js';
import { runnerArguments } from '../run-bundle.js';
import { shellWord } from '../session/board-link.js';

/** Ends with 0 if the release that it lies in answers all golden prompts: tokens, logits and build id are compared. */
export function proveScript({ build, golden, singleFile }: Manifest): string {
  const check = (run: GoldenRun) => {
    const { promptIds: ids, tokenIds, sampling, logitsDigest } = run;
    const request = { prompt: null, ids, tokens: tokenIds.length, sampling, threads: 0, chunk: null };
    const words = [logitsDigest, tokenIds.join(','), ...runnerArguments(request)];
    return `answers ${words.map(shellWord).join(' ')} || exit 1`;
  };
  return `#!/bin/sh
# Made by embed-model. Exit code 0: this release computes what the reference computes.
cd "$(dirname "$0")" || exit 3
answers() { # DIGEST TOKENS ARGUMENT...
    digest=$1 tokens=$2; shift 2
    out=$(./em-run ${singleFile ? '' : 'model.blob '}"$@" < /dev/null) || return 1
    case $out in *" build=${build.id} "*" value=$digest "*) ;; *) return 1 ;; esac
    ids=$(printf '%s\\n' "$out" | sed -n 's/^em1 [0-9]* token .*id=\\([0-9]*\\) .*/\\1/p' | tr '\\n' ,)
    [ "$ids" = "$tokens," ]
}
${golden.map(check).join('\n')}
`;
}

/** Gives `current` another release, in one step: whoever looks sees the old one or the new one. */
export const switchFunction = `switch_to() { # LINK RELEASE
    rm -f "$1.new" && ln -s "$2" "$1.new" && mv -fT "$1.new" "$1"
}`;

/** Run at boot: proves the current release and its kernel module, and goes back to the previous one where that fails. */
export const startScript = `#!/bin/sh
# Made by embed-model. Proves the release that is current; if it fails, the previous one takes its place.
cd "$(dirname "$0")" || exit 3
${switchFunction}
answers() { "$1/prove" && { [ ! -x module ] || ./module use "$1"; }; }
if answers current; then
    echo "embed-model: $(readlink current) answers its golden prompts"
    exit 0
fi
echo "embed-model: $(readlink current) FAILED its golden prompts" >&2
[ -x previous/prove ] && answers previous || { echo "embed-model: no earlier release that answers" >&2; exit 1; }
switch_to current "$(readlink previous)" && rm -f previous || exit 3
echo "embed-model: went back to $(readlink current)" >&2
`;

/** `folder`: absolute, of letters, digits and . _ + @ - only. */
export function systemdUnit(folder: string, wantedBy: string): string {
  return `[Unit]
Description=embed-model in ${folder}: golden prompts, or back to the release before
ConditionPathExists=${folder}/current
RequiresMountsFor=${folder}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${folder}/start

[Install]
WantedBy=${wantedBy}
`;
}

/** One for every folder. */
export const unitName = (folder: string): string => `embed-model${folder.replaceAll('/', '-')}.service`;
