#!/bin/sh
# The first program of the machine: mounts the disk that may lose writes, and
# keeps the agent running.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module"; done < /modules/order
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
options=$(sed 's/.*options=\([^ ]*\).*/\1/' /proc/cmdline)
type=$(sed 's/.*type=\([^ ]*\).*/\1/' /proc/cmdline)
if ! mount -t "$type" -o "$options" /dev/vda /data; then
	mark unmountable
	reboot -f
fi
/data/board/board boot
sync
while :; do
	/usr/libexec/ratchetd/ratchetd-start /data/bin/ratchetd run --config /data/etc/ratchet.toml
	echo "the agent ended with $?"
	sleep 1
done
