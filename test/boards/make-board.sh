#!/bin/bash
# make-board.sh ARCH FOLDER [trixie]
# Makes FOLDER/kernel, FOLDER/initramfs.gz and FOLDER/key of a virtual board out of Debian packages: a stock kernel, busybox,
# dropbear and OpenSSH's sftp-server. ARCH: x86_64, aarch64 or riscv64. trixie: of Debian 13 instead of the release that this machine
# runs; riscv64 always is.
# Needs apt-get, dpkg, cpio, depmod, modprobe, xz, ssh-keygen.
set -euo pipefail
arch=$1 folder=$2 suite=${3:-}
[ "$arch" != riscv64 ] || suite=trixie # Debian has riscv64 since 13
. "$(dirname "$0")/apt-root.sh"
debian=$(debian_name "$arch")
root=$work/root
mkdir -p "$root" "$folder"

triplet=$arch-linux-gnu
case $arch in
x86_64)  image=linux-image-cloud-amd64 modules='virtio_pci virtio_net' ;;
aarch64) image=linux-image-cloud-arm64 modules='virtio_mmio virtio_net' ;;
riscv64) image=linux-image-riscv64 modules='virtio_mmio virtio_net macb' ;;
esac

apt_root "$debian" "$suite"
# Point releases rename the image: the metapackage knows its name.
image=$(depends "$image" '^linux-image' | head -n 1)
download "$image" busybox-static dropbear-bin libtomcrypt1 libtommath1 libgmp10 zlib1g libcrypt1 libc6 openssh-sftp-server
unpack "$root"

cd "$work"
modroot=$root
[ -d "$modroot/lib/modules" ] || modroot=$root/usr
version=$(ls "$modroot/lib/modules")
depmod -b "$modroot" "$version" 2> depmod.log || { cat depmod.log >&2; exit 1; }
cp "$root"/boot/vmlinu[xz]-"$version" "$folder/kernel.new"

ird=$work/initramfs
mkdir -p "$ird"/{bin,sbin,etc/dropbear,proc,sys,dev,tmp,root/.ssh,lib/modules,usr/bin,usr/sbin,usr/lib/openssh,var/run,var/log}
busybox=$root/bin/busybox
[ -e "$busybox" ] || busybox=$root/usr/bin/busybox
cp "$busybox" "$ird/bin/busybox"
ln -s busybox "$ird/bin/sh"
for module in $modules; do
    modprobe -d "$modroot" -S "$version" --show-depends "$module" 2>> depmod.log | awk '/^insmod/ { print $2 }' || true
done | awk '!seen[$0]++' > order
while read -r path; do
    name=$(basename "$path" .xz)
    case $path in
    *.xz) xz -dc "$path" > "$ird/lib/modules/$name" ;;
    *) cp "$path" "$ird/lib/modules/$name" ;;
    esac
    echo "$name" >> "$ird/etc/modules"
done < order
# Where the libraries lie and what the loader is called differs by architecture and release.
mkdir -p "$ird/lib/$triplet"
for library in libtomcrypt.so.1 libtommath.so.1 libgmp.so.10 libz.so.1 libcrypt.so.1 libc.so.6 libm.so.6; do
    found=$(find "$root" -path "*$triplet/$library" | head -n 1)
    [ -z "$found" ] || cp -L "$found" "$ird/lib/$triplet/"
done
case $arch in
x86_64) loader=lib64/ld-linux-x86-64.so.2 ;;
aarch64) loader=lib/ld-linux-aarch64.so.1 ;;
riscv64) loader=lib/ld-linux-riscv64-lp64d.so.1 ;;
esac
mkdir -p "$ird/$(dirname $loader)"
cp -L "$(find "$root" -path "*$triplet/$(basename $loader)" | head -n 1)" "$ird/$loader"
cp "$root/usr/sbin/dropbear" "$ird/usr/sbin/"
cp "$root/usr/lib/openssh/sftp-server" "$ird/usr/lib/openssh/"
ln -s openssh/sftp-server "$ird/usr/lib/sftp-server"
echo 'root:*:0:0:root:/root:/bin/sh' > "$ird/etc/passwd"
echo 'root:x:0:' > "$ird/etc/group"
echo /bin/sh > "$ird/etc/shells"
rm -f "$folder/key" "$folder/key.pub"
ssh-keygen -q -t ed25519 -N '' -C board -f "$folder/key"
cp "$folder/key.pub" "$ird/root/.ssh/authorized_keys"
chmod 700 "$ird/root" "$ird/root/.ssh"
chmod 600 "$ird/root/.ssh/authorized_keys"
cat > "$ird/init" <<'INIT'
#!/bin/sh
/bin/busybox --install -s
export PATH=/sbin:/usr/sbin:/bin:/usr/bin HOME=/root
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts; mount -t devpts devpts /dev/pts; mount -t tmpfs tmp /tmp
hostname board
for m in $(cat /etc/modules); do insmod /lib/modules/$m || echo "insmod $m failed"; done
ip link set lo up
n=0; while [ ! -e /sys/class/net/eth0 ] && [ $n -lt 30 ]; do sleep 0.1; n=$((n + 1)); done
ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0 && ip route add default via 10.0.2.2
dropbear -R -s -E 2>/var/log/dropbear
read up rest < /proc/uptime
echo "BOARD-READY $up s, $(uname -mr)"
while true; do setsid cttyhack sh -l; done
INIT
chmod 755 "$ird/init"
# Owned by root also where this runs as somebody else: dropbear looks.
(cd "$ird" && find . | cpio -o -H newc --quiet -R 0:0 | gzip -1) > "$folder/initramfs.gz.new"
mv "$folder/initramfs.gz.new" "$folder/initramfs.gz"
mv "$folder/kernel.new" "$folder/kernel"
echo "$version" > "$folder/version"
