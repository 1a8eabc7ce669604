/** FOLDER/module: has the kernel of a board load the module of a release, at once and at every boot. */
import type { Manifest } from '../../codegen/bundle/manifest.js';
import { shellWord } from '../session/board-link.js';

/** What a release says of its module: for which kernel, and the name of its weights below /lib/firmware (empty: linked into it). */
export function moduleFacts({ kernelModule }: Manifest): string {
  return `kernel=${shellWord(kernelModule?.kernel ?? '')}\nfirmware=${shellWord(kernelModule?.firmware ?? '')}\n`;
}

/**
 * `module try RELEASE` loads the module with its self-test, which computes the golden prompts, and unloads it; where that fails, the
 * one that was installed is loaded again. `module use RELEASE` installs it for boot and loads it; a release without a module has what
 * is installed removed, as `module remove` does. `module forget RELEASE` deletes a release, and its weights below /lib/firmware unless
 * another release has the same. Exit code 0: it was done. Only what this folder has installed is ever replaced.
 */
export const moduleScript = `#!/bin/sh
# Made by embed-model. module try RELEASE, module use RELEASE, module forget RELEASE, module remove
PATH=$PATH:/usr/sbin:/sbin
cd "$(dirname "$0")" && folder=$(pwd -P) && action=$1 release=$2 || exit 3
running=$(uname -r)
tree=/lib/modules/$running/updates
autoload=/etc/modules-load.d/embed_model.conf
options=/etc/modprobe.d/embed_model-selftest.conf

fail() { echo "kernel module: $*" >&2; exit 1; }
is_loaded() { [ -d /sys/module/embed_model ]; }
is_ours() { grep -qsxF "# of $folder" "$autoload"; }
unload() { ! is_loaded || rmmod embed_model || fail "the one that is loaded is in use"; }
reason() { dmesg 2>/dev/null | grep 'embed_model' | tail -n 1 | sed 's/^\\[[^]]*\\] *//' | grep . || echo "it does not load"; }

put() { # FILE PLACE: in one step, and by another name of the same file where that is possible
    cmp -s "$1" "$2" && return
    mkdir -p "\${2%/*}" && rm -f "$2.new" || return
    ln "$1" "$2.new" 2>/dev/null || cp "$1" "$2.new" || return
    mv -f "$2.new" "$2"
}
write() { # PLACE TEXT
    [ "$(cat "$1" 2>/dev/null)" = "$2" ] && return
    mkdir -p "\${1%/*}" && printf '%s\\n' "$2" > "$1.new" && mv -f "$1.new" "$1"
}
facts() {
    [ -r "$release/module.facts" ] || fail "$release has no module"
    . "$folder/$release/module.facts"
    [ "$running" = "$kernel" ] || fail "it is for $kernel, the board runs $running"
    is_ours && return
    for file in "$autoload" "$tree/embed_model.ko"; do [ ! -e "$file" ] || fail "$file is not of $folder"; done
    ! is_loaded || fail "one is loaded that $folder has not installed: rmmod embed_model"
}
weights() { [ -z "$firmware" ] || put "$release/model.blob" "/lib/firmware/$firmware"; }
load() { modprobe embed_model selftest=1 && [ -c /dev/embed_model ]; }

try() {
    facts
    weights || fail "/lib/firmware cannot be written"
    is_loaded && before=loaded || before=
    unload
    insmod "$release/embed_model.ko" selftest=1 && why= || why=$(reason)
    [ -n "$why" ] || rmmod embed_model
    [ -z "$before" ] || load || echo "kernel module: the earlier one does not load again" >&2
    [ -z "$why" ] || fail "$why"
}
use() {
    [ -e "$release/embed_model.ko" ] || { remove; return; }
    facts
    if is_loaded && cmp -s "$release/embed_model.ko" "$tree/embed_model.ko" && [ -c /dev/embed_model ] &&
        [ "$(cat /sys/module/embed_model/parameters/selftest)" = Y ]; then return; fi
    { write "$options" "options embed_model selftest=1" && write "$autoload" "# of $folder
embed_model" && weights && put "$release/embed_model.ko" "$tree/embed_model.ko" && depmod; } || fail "it cannot be installed"
    unload
    load || fail "$(reason)"
}
remove() {
    is_ours || return 0
    unload
    rm -f "$autoload" "$options" /lib/modules/*/updates/embed_model.ko
    depmod
}
forget() {
    firmware=
    [ ! -r "$release/module.facts" ] || . "$folder/$release/module.facts"
    rm -rf "$release"
    [ -z "$firmware" ] || grep -qsxF "firmware=$firmware" releases/*/module.facts || rm -f "/lib/firmware/$firmware"
}
case $action in
try | use | remove | forget) $action ;;
*) fail "try RELEASE, use RELEASE, forget RELEASE or remove" ;;
esac
`;
