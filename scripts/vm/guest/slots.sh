#!/bin/sh
# What a board with two slots says that are files: version and number of each, which
# one runs, and which one the next boot takes.
dir=/var/lib/slots
boot=$(cat /proc/sys/kernel/random/boot_id)
if [ ! -d $dir ]; then
	mkdir -p $dir
	echo 1 >$dir/A
	echo A >$dir/now
fi
if [ -e $dir/next ] && [ "$(cat $dir/from)" != "$boot" ]; then
	mv $dir/next $dir/now
fi
now=$(cat $dir/now)
take() {
	echo "$boot" >$dir/from
	echo "$1" >$dir/next
	sync
}
case $1 in
state)
	next=$now
	[ ! -e $dir/next ] || next=$(cat $dir/next)
	printf '{"version": "%s", "board": "vm", "slot": "%s", "slots": 2, "next": "%s"}\n' "$(cat $dir/"$now")" "$now" "$next"
	;;
check) [ -s "$2" ] ;;
install)
	other=A
	[ "$now" = B ] || other=B
	echo "$RATCHET_VERSION" >$dir/$other
	take $other
	;;
confirm) ;;
rollback) take "$2" ;;
*) exit 64 ;;
esac
