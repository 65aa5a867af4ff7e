#!/bin/sh
# Runs the agent in a folder, as the machine's first program does: with a boot of
# its own, and with what it says of itself going to the pipe.
cd "$1" || exit 1
mount --make-rprivate /
mount -t proc proc proc
cat /proc/sys/kernel/random/uuid > boot_id
mount --bind boot_id proc/sys/kernel/random/boot_id
mount -t tmpfs tmpfs dev
for device in null zero urandom; do
	: > dev/$device
	mount --bind /dev/$device dev/$device
done
: > dev/vdb
mount --bind marks dev/vdb
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
chroot . /bin/sh -c '/data/board/board boot; exec /usr/libexec/ratchetd/ratchetd-start /data/bin/ratchetd run --config /data/etc/ratchet.toml'
