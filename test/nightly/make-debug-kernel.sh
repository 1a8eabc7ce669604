#!/bin/bash
# make-debug-kernel.sh FOLDER
# Compiles Debian's linux-source as debug-kernel.config says: FOLDER/kernel, its configuration, the key that it trusts for modules
# (FOLDER/build/certs), and FOLDER/build, which is given to `make -C` for modules of it. What compiles it comes from Debian packages
# that are only unpacked, except a C compiler, make, openssl and perl, which have to be there. Takes some ten minutes of two cores.
# Needs apt-get, dpkg, gcc, ld, make, openssl, perl, xz.
set -euo pipefail
folder=$1
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../boards/apt-root.sh"
parts=$folder.new
rm -rf "$parts"
mkdir -p "$parts/tools"
trap 'rm -rf "$work" "$parts"' EXIT

apt_root amd64 ''
download linux-source-6.1
unpack "$work/source"
rm "$work"/*.deb
download bc bison flex m4 libelf-dev libelf1 libfl2 libssl-dev libssl3 zlib1g zlib1g-dev
unpack "$parts/tools"
tar -C "$work" -xf "$work"/source/usr/src/linux-source-6.1.tar.xz
cd "$work/linux-source-6.1"

tools=$parts/tools/usr libraries=usr/lib/x86_64-linux-gnu
export PATH=$tools/bin:$PATH BISON_PKGDATADIR=$tools/share/bison M4=$tools/bin/m4 LD_LIBRARY_PATH=$parts/tools/$libraries
# Programs of the build are run later, too, from where they lie then.
settings=(
    HOSTCFLAGS="-I$tools/include -I$tools/include/x86_64-linux-gnu"
    HOSTLDFLAGS="-L$parts/tools/$libraries -Wl,-rpath,$folder/tools/$libraries"
    HOSTPKG_CONFIG=false KBUILD_BUILD_USER=debug KBUILD_BUILD_HOST=kernel
)
make -s "${settings[@]}" allnoconfig KCONFIG_ALLCONFIG="$here/debug-kernel.config" > "$work/make.log" 2>&1 ||
    { tail "$work/make.log" >&2; exit 1; }
# An option that depends on one that is not there would be left out in silence.
missing=$(grep '^CONFIG_' "$here/debug-kernel.config" | grep -vxFf .config || true)
[ -z "$missing" ] || { echo "not in the configuration:" $missing >&2; exit 1; }
make -s -j"$(nproc)" "${settings[@]}" bzImage modules > "$work/make.log" 2>&1 || { tail "$work/make.log" >&2; exit 1; }

mkdir "$parts/build"
cp -a --parents Makefile .config Module.symvers certs/signing_key.pem certs/signing_key.x509 include scripts \
    arch/x86/Makefile* arch/x86/include arch/x86/tools tools/objtool/objtool "$parts/build"
cp arch/x86/boot/bzImage "$parts/kernel"
cp .config "$parts/config"
make -s kernelrelease > "$parts/version"
rm -rf "$folder"
mv "$parts" "$folder"
