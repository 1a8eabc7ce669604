#!/bin/bash
# make-systemd-board.sh FOLDER
# Makes FOLDER/kernel, initramfs.gz, disk.img, key and version of a virtual x86_64 board that runs systemd and OpenSSH from a disk, as
# a Debian system that was installed: for what happens at boot. Users: root, and "user" with no rights. Needs root (debootstrap), apt-get,
# cpio, depmod, modprobe, mke2fs, ssh-keygen, on x86_64.
set -euo pipefail
folder=$1
PATH=$PATH:/usr/sbin:/sbin
work=$(mktemp -d "${TMPDIR:-/tmp}/em-make-board.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder"
cd "$work"
root=$work/root
mirror=$(apt-get indextargets --format '$(SITE)' | grep -v security | head -n 1)
debootstrap --variant=minbase --include=systemd,systemd-sysv,udev,dbus,libpam-systemd,kmod,openssh-server,busybox-static \
    bookworm "$root" "$mirror" > debootstrap.log 2>&1 || { tail -n 2 debootstrap.log >&2; exit 1; }

# Point releases rename the kernel's package: the metapackage knows its name.
apt-get update -qq
image=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ { print $2; exit }')
apt-get download -qq "$image" > download.log 2>&1 || { cat download.log >&2; exit 1; }
dpkg-deb --fsys-tarfile ./*.deb | tar -x -C "$root" ./boot ./lib/modules
version=$(ls "$root/lib/modules")
depmod -b "$root" "$version"
cp "$root/boot/vmlinuz-$version" "$folder/kernel"
rm -rf "$root"/boot/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*

# The initramfs only finds the disk.
ird=$work/initramfs
mkdir -p "$ird"/{bin,proc,sys,dev,modules,new}
cp "$root/bin/busybox" "$ird/bin/busybox"
ln -s busybox "$ird/bin/sh"
for module in virtio_pci virtio_blk ext4; do
    modprobe -d "$root" -S "$version" --show-depends "$module" | awk '/^insmod/ { print $2 }'
done | awk '!seen[$0]++' > order
while read -r path; do
    cp "$path" "$ird/modules/"
    basename "$path" >> "$ird/modules/order"
done < order
cat > "$ird/init" <<'INIT'
#!/bin/sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for m in $(cat /modules/order); do insmod /modules/$m || echo "insmod $m failed"; done
n=0; while [ ! -e /dev/vda ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done
mount -t ext4 /dev/vda /new || exec sh
umount /proc /sys
exec switch_root /new /sbin/init
INIT
chmod 755 "$ird/init"
(cd "$ird" && find . | cpio -o -H newc --quiet -R 0:0 | gzip -1) > "$folder/initramfs.gz"

rm -f "$folder/key" "$folder/key.pub"
ssh-keygen -q -t ed25519 -N '' -C board -f "$folder/key"
chroot "$root" useradd --create-home --shell /bin/bash user
for home in root home/user; do
    install -d -m 700 "$root/$home/.ssh"
    install -m 600 "$folder/key.pub" "$root/$home/.ssh/authorized_keys"
done
chroot "$root" chown -R user: /home/user
echo board > "$root/etc/hostname"
echo '/dev/vda / ext4 defaults 0 1' > "$root/etc/fstab"
cat > "$root/etc/systemd/network/board.network" <<'NETWORK'
[Match]
Type=ether

[Network]
Address=10.0.2.15/24
Gateway=10.0.2.2
NETWORK
cat > "$root/etc/systemd/system/board-ready.service" <<'UNIT'
[Unit]
After=multi-user.target ssh.service systemd-networkd.service

[Service]
Type=oneshot
StandardOutput=tty
TTYPath=/dev/console
ExecStart=/bin/sh -c 'echo "BOARD-READY $(cut -d " " -f 1 /proc/uptime) s"'

[Install]
WantedBy=multi-user.target
UNIT
chroot "$root" systemctl --quiet enable systemd-networkd ssh board-ready
chroot "$root" systemctl --quiet disable apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    2> /dev/null || true
mke2fs -q -t ext4 -d "$root" "$folder/disk.img.new" 1G
echo "$version" > "$folder/version"
mv "$folder/disk.img.new" "$folder/disk.img"
