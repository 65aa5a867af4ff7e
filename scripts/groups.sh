#!/bin/sh
# groups.sh mosquitto|emqx FILE [ROOT]
#
# Prints the rules by which a device reads the jobs of its own groups, and of no
# other: for the end of scripts/mosquitto/acl, or for the middle of
# scripts/emqx/acl.conf. Each line of FILE has a device and its groups, as they stand
# in its ratchet.toml:
#
#   gw-7 routers berlin
#
# ROOT is link.root, if that is not ratchet/v1.
set -eu
die() {
	echo "groups.sh: $*" >&2
	exit 1
}
[ $# -ge 2 ] || die "usage: groups.sh mosquitto|emqx FILE [ROOT]"
form=$1 file=$2 root=${3:-ratchet/v1}
case $form in mosquitto | emqx) ;; *) die "$form is not known: want mosquitto or emqx" ;; esac
[ -f "$file" ] || die "$file is missing"

# A name is no part of a pattern, and no rule of its own.
awk -v form="$form" -v root="$root" -v file="$file" '
	function bad(what) {
		printf "groups.sh: %s:%d: %s\n", file, NR, what | "cat >&2"
		failed = 1
		exit 1
	}
	/^[ \t]*(#|$)/ { next }
	{
		if ($1 == "operator") bad($1 " is the operator, no device")
		for (i = 1; i <= NF; i++) if ($i !~ /^[A-Za-z0-9_.:-]+$/) bad($i ": want A-Z a-z 0-9 _ . - only")
		if (form == "mosquitto") {
			rules = rules "\nuser " $1 "\n"
			for (i = 2; i <= NF; i++) rules = rules "topic read " root "/jobs/group/" $i "/+\n"
		} else if (NF > 1) {
			list = ""
			for (i = 2; i <= NF; i++) list = list (i > 2 ? ", " : "") "\"" root "/jobs/group/" $i "/+\""
			rules = rules "{allow, {username, \"" $1 "\"}, subscribe, [" list "]}.\n"
		}
	}
	END { if (!failed) printf "%s", rules }' "$file"
