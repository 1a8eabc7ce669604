#!/bin/bash
# make-headers.sh ARCH RELEASE FOLDER
# Unpacks what modules of a Debian kernel are built with into FOLDER and links FOLDER/build to the folder that is given to
# `make -C`. ARCH: x86_64, aarch64 or riscv64. RELEASE: as `uname -r` says it; those of Debian 13 have deb13 in their names, and
# FOLDER/bin has the compiler that their x86_64 flags want. Debian's archive has the newest of a branch only. Nothing of the
# system is changed: packages come through an APT root of their own (apt.conf(5), Dir::State) and are only unpacked. The programs that kbuild runs here are those for the machine this runs on, an x86_64.
# Needs apt-get, dpkg.
set -euo pipefail
arch=$1 release=$2 folder=$3
work=$(mktemp -d "${TMPDIR:-/tmp}/em-make-headers.XXXXXX")
parts=$folder.new
trap 'rm -rf "$work" "$parts"' EXIT
rm -rf "$parts"
mkdir -p "$parts"

case $release in
*deb13*) suite=trixie ;;
*) suite= ;;
esac
case $arch in
x86_64)  debian=amd64 ;;
aarch64) debian=arm64 ;;
riscv64) debian=riscv64 ;;
*) echo "no kernel for $arch" >&2; exit 2 ;;
esac

# apt_root NAME ARCHITECTURE: an APT root in $work/NAME; later commands use it.
apt_root() {
    local apt=$work/$1
    mkdir -p "$apt"/{state/lists/partial,cache/archives/partial,parts}
    touch "$apt/state/status"
    cat > "$apt/apt.conf" <<CONF
APT::Architecture "$2";
APT::Architectures { "$2"; };
APT::Sandbox::User "root";
Dir::State "$apt/state";
Dir::State::status "$apt/state/status";
Dir::Cache "$apt/cache";
CONF
    if [ -n "$suite" ]; then
        echo "deb [arch=$2 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" \
            > "$apt/sources.list"
        printf 'Dir::Etc::sourcelist "%s";\nDir::Etc::sourceparts "%s";\n' "$apt/sources.list" "$apt/parts" \
            >> "$apt/apt.conf"
    fi
    export APT_CONFIG=$apt/apt.conf
    apt-get update -qq
}

# Names of the packages that a package depends on and that match a pattern.
depends() { apt-cache depends "$1" | awk -v want="$2" '$1 == "Depends:" && $2 ~ want { print $2 }'; }

download() {
    (cd "$work" && apt-get download -qq "$@" > download.log 2>&1) || { cat "$work/download.log" >&2; exit 1; }
}

mirror=$(apt-get indextargets --format '$(SITE)' | grep -v security | head -n 1)
apt_root target "$debian"
headers=linux-headers-$release
common=$(depends "$headers" '^linux-headers-.*-common' | head -n 1)
kbuild=$(depends "$headers" '^linux-kbuild' | head -n 1)
download "$headers" "$common"
apt_root host amd64
download "$kbuild"
[ -z "$suite" ] || download libc6 libelf1t64 libzstd1 zlib1g # its kbuild programs want newer ones than Debian 12's
if [ -n "$suite" ] && [ "$arch" = x86_64 ]; then
    download gcc-14-x86-64-linux-gnu cpp-14-x86-64-linux-gnu gcc-14-base libgcc-14-dev libcc1-0 libisl23 libmpc3 libmpfr6 libgmp10 \
        binutils-x86-64-linux-gnu libbinutils libctf0 libctf-nobfd0 libsframe1 libjansson4 libgprofng0
fi
for package in "$work"/*.deb; do dpkg -x "$package" "$parts"; done

build=$parts/usr/src/$headers
# The makefile of the headers includes the common one by the path it has where the package is installed.
sed -i "s#^include /usr/src/#include $folder/usr/src/#" "$build/Makefile"
if [ -n "$suite" ]; then
    loader="$folder/usr/lib64/ld-linux-x86-64.so.2"
    libraries=$folder/usr/lib/x86_64-linux-gnu
    kbuild=$(find "$parts/usr/lib" -maxdepth 1 -name 'linux-kbuild-*')
    # run_newer PROGRAM REAL: makes PROGRAM a script that runs REAL with its own C library.
    run_newer() {
        printf '#!/bin/sh\nexec %s --library-path %s %s "$@"\n' "$loader" "$libraries" "$folder${2#"$parts"}" > "$1.script"
        mv "$1.script" "$1"
        chmod 755 "$1"
    }
    run_newer "$kbuild/scripts/mod/modpost" "$kbuild/scripts/mod/modpost.real-lsb-64"
    [ "$arch" != x86_64 ] || run_newer "$kbuild/tools/objtool/objtool" "$kbuild/tools/objtool/objtool.real-x86"
fi
if [ -n "$suite" ] && [ "$arch" = x86_64 ]; then
    # Its flags want its own compiler: the wrapper runs what that starts (cc1, as) with the newer C library, too.
    mkdir -p "$parts/bin/tools"
    for tool in as ld; do ln -s "../../usr/bin/x86_64-linux-gnu-$tool" "$parts/bin/tools/$tool"; done
    gcc=$folder/usr/bin/x86_64-linux-gnu-gcc-14
    printf '#!/bin/sh\nexec %s --library-path %s %s -B%s/ -wrapper %s,--library-path,%s "$@"\n' "$loader" "$libraries" "$gcc" \
        "$folder/bin/tools" "$loader" "$libraries" > "$parts/bin/x86_64-linux-gnu-gcc-14"
    chmod 755 "$parts/bin/x86_64-linux-gnu-gcc-14"
fi
ln -s "usr/src/$headers" "$parts/build"
rm -rf "$folder"
mv "$parts" "$folder"
