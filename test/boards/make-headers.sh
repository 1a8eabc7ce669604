#!/bin/bash
# make-headers.sh ARCH RELEASE FOLDER
# Unpacks what modules of a Debian kernel are built with into FOLDER and links FOLDER/build to the folder that is given to
# `make -C`. ARCH: x86_64, aarch64 or riscv64. RELEASE: as `uname -r` says it; those of Debian 13 have deb13 in their names, and
# FOLDER/bin has the compiler that their flags for x86_64 and aarch64 want. Debian's archive has the newest of a branch only. The
# programs that kbuild runs are those for the machine this runs on, an x86_64.
# Needs apt-get, dpkg.
set -euo pipefail
arch=$1 release=$2 folder=$3
. "$(dirname "$0")/apt-root.sh"
parts=$folder.new
rm -rf "$parts"
mkdir -p "$parts"
trap 'rm -rf "$work" "$parts"' EXIT

case $release in
*deb13*) suite=trixie ;;
*) suite= ;;
esac
headers=linux-headers-$release
apt_root "$(debian_name "$arch")" "$suite"
common=$(depends "$headers" '^linux-headers-.*-common' | head -n 1)
kbuild=$(depends "$headers" '^linux-kbuild' | head -n 1)
download "$headers" "$common"
apt_root amd64 "$suite"
download "$kbuild"
[ -z "$suite" ] || download libc6 libelf1t64 libzstd1 zlib1g # its kbuild programs want newer ones than Debian 12's
case $suite-$arch in
trixie-x86_64) gnu=x86-64-linux-gnu gnulib=libgcc-14-dev ;;
trixie-aarch64) gnu=aarch64-linux-gnu gnulib=libgcc-14-dev-arm64-cross ;;
*) gnu= ;;
esac
if [ -n "$gnu" ]; then
    download "gcc-14-$gnu" "cpp-14-$gnu" "$gnulib" libcc1-0 libisl23 libmpc3 libmpfr6 libgmp10 \
        "binutils-$gnu" libbinutils libctf0 libctf-nobfd0 libsframe1 libjansson4
fi
unpack "$parts"

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
if [ -n "$gnu" ]; then
    # The wrapper runs what the compiler starts (cc1, as) with the newer C library, too.
    triplet=$arch-linux-gnu
    mkdir -p "$parts/bin/tools"
    for tool in as ld; do ln -s "../../usr/bin/$triplet-$tool" "$parts/bin/tools/$tool"; done
    printf '#!/bin/sh\nexec %s --library-path %s %s -B%s/ -wrapper %s,--library-path,%s "$@"\n' "$loader" "$libraries" \
        "$folder/usr/bin/$triplet-gcc-14" "$folder/bin/tools" "$loader" "$libraries" > "$parts/bin/$triplet-gcc-14"
    chmod 755 "$parts/bin/$triplet-gcc-14"
fi
ln -s "usr/src/$headers" "$parts/build"
rm -rf "$folder"
mv "$parts" "$folder"
