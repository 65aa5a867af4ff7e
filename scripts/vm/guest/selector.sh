#!/bin/sh
# The first program of the board with two slots: what U-Boot does there. It
# counts the boots of a slot that is on trial, goes back to the other one when
# there were more than bootlimit, and hands the machine over to the slot. A
# watchdog runs from here on; a slot that does not feed it is reset.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
while read -r module; do
	case $module in softdog.ko) limit=soft_margin=20 ;; *) limit='' ;; esac
	insmod "/modules/$module" $limit
done < /modules/order
echo boot > /dev/watchdog 2> /dev/null

get() { fw_printenv -n "$1"; }

slot=$(get boot_slot)
if [ "$(get upgrade_available)" = 1 ]; then
	count=$(($(get bootcount) + 1))
	if [ "$count" -gt "$(get bootlimit)" ]; then
		case $slot in A) slot=B ;; *) slot=A ;; esac
		printf 'boot_slot=%s\nupgrade_available=0\nbootcount=0\n' $slot | fw_setenv -s -
		echo "selector: trial given up, back to $slot"
	else
		printf 'bootcount=%s\n' $count | fw_setenv -s -
		echo "selector: trial of $slot, boot $count"
	fi
fi
case $slot in A) part=/dev/vda2 ;; *) part=/dev/vda3 ;; esac
echo "selector: slot $slot"
echo "ratchet.slot=$slot" > /run/cmdline
mount -t ext4 -o ro $part /root || { sync; reboot -f; }
for dir in dev proc sys run; do mount -o move /$dir /root/$dir; done
exec switch_root /root /sbin/init
