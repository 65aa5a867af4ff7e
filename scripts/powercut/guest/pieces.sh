#!/bin/sh
# A plugin that writes a file in three pieces, and saves how many there are.
set -eu
input=$(cat)
to=$(printf '%s' "$input" | sed 's/.*"to":"\([^"]*\)".*/\1/')
n=$(printf '%s' "$input" | sed -n 's/.*"state":\([0-9]*\).*/\1/p')
case $1 in
run)
	mark ran
	mkdir -p "${to%/*}"
	for n in $(seq $((${n:-0} + 1)) 3); do
		seq 1 "$n" > "$to.new"
		sync
		mv "$to.new" "$to"
		sync
		echo "{\"state\":$n}" >&3
		read -r answer <&4
		[ "$answer" = ok ]
		sleep 0.1
	done
	mark ended
	;;
undo)
	rm -f "$to" "$to.new"
	sync
	;;
*) exit 64 ;;
esac
