#!/bin/sh
# The first program of a machine whose system lies on its disk.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module"; done < /modules/order
mount -t ext4 /dev/vda /root
for dir in dev proc sys; do mount -o move /$dir /root/$dir; done
exec switch_root /root /sbin/init
