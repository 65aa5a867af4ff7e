#!/bin/sh
# The first program of the router: mounts the flash over the root file system
# that cannot be written, as OpenWrt does, and hands the machine over to that.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do
	case $module in
	phram.ko) options=phram=flash,0x2000000,0x1000000,0x10000 ;;
	block2mtd.ko) options=block2mtd=/dev/vdb,65536 ;;
	*) options='' ;;
	esac
	insmod "/modules/$module" $options
done < /modules/order
# What is written to a flash is there: the kernel is not to keep it.
echo 8192 > /proc/sys/vm/dirty_bytes
echo 4096 > /proc/sys/vm/dirty_background_bytes
echo 1 > /proc/sys/vm/dirty_writeback_centisecs
echo 1 > /proc/sys/vm/dirty_expire_centisecs
mount -t ext4 -o ro /dev/vda /rom
type=$(sed 's/.*flash=\([a-z0-9]*\).*/\1/' /proc/cmdline)
case $type in
jffs2) mount -t jffs2 -o noatime mtd0 /overlay ;;
ubifs) insmod /modules/last/ubi.ko mtd=0 && insmod /modules/last/ubifs.ko && mount -t ubifs -o noatime ubi0:data /overlay ;;
esac || echo "flash: $type cannot be mounted"
mkdir -p /overlay/upper /overlay/work
mount -t overlay -o lowerdir=/rom,upperdir=/overlay/upper,workdir=/overlay/work root /root
sed -n 's/.* \/overlay \([^ ]*\) .*/overlay on \1/p' /proc/mounts > /root/flash
for dir in dev proc sys; do mount -o move /$dir /root/$dir; done
exec switch_root /root /sbin/init
