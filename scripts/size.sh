#!/bin/sh
# Prints what each program given weighs, raw and as it lies in a router's
# flash, beside the budget where there is one. Fails when a budget is broken.
set -eu

budget_raw=$((11 * 1024 * 1024))      # 11.0 MiB
budget_xz=$((24 * 1024 * 1024 / 10))  # 2.4 MiB

mib() { awk -v n="$1" 'BEGIN { printf "%.2f", n / 1048576 }'; }

over=0
printf '%-28s %10s %6s %10s %6s  %s\n' program bytes MiB 'xz -9e' MiB budget
for file in "$@"; do
	raw=$(wc -c <"$file")
	xz=$(xz -9e -c "$file" | wc -c)
	verdict=
	case $file in
	*-mipsle)
		verdict="$(mib $budget_raw) and $(mib $budget_xz): kept"
		if [ "$raw" -gt $budget_raw ] || [ "$xz" -gt $budget_xz ]; then
			verdict="$(mib $budget_raw) and $(mib $budget_xz): BROKEN"
			over=1
		fi
		;;
	esac
	printf '%-28s %10d %6s %10d %6s  %s\n' "${file##*/}" "$raw" "$(mib "$raw")" "$xz" "$(mib "$xz")" "$verdict"
done
exit $over
