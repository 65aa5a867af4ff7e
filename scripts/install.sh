#!/bin/sh
# install.sh [--from FOLDER|FILE] [--key PUBLIC] [--root DIR] [--unverified]
# install.sh --uninstall [--purge] [--root DIR]
#
# Installs ratchetd where there is no package for the system: from a release's
# folder (by default the one this lies in) or from one program. It is run again
# for an upgrade; what is as it should be it leaves alone.
#
#   --key         the minisign public key that must have signed SHA256SUMS, in
#                 which each file that is installed must stand then
#   --unverified  take a program that no SHA256SUMS vouches for
#   --root        install below this directory, and start nothing
#   --purge       remove settings, secrets and the journal too
set -eu

say() { echo "install.sh: $*"; }
die() {
	echo "install.sh: $*" >&2
	exit 1
}

here=$(cd "$(dirname "$0")" && pwd)
from=$here root='' key='' unverified='' uninstall='' purge='' changed=''
while [ $# -gt 0 ]; do
	case $1 in
	--from | --key | --root)
		[ $# -gt 1 ] || die "$1 wants a value"
		case $1 in --from) from=$2 ;; --key) key=$2 ;; --root) root=${2%/} ;; esac
		shift
		;;
	--unverified) unverified=1 ;;
	--uninstall) uninstall=1 ;;
	--purge) purge=1 ;;
	-h | --help)
		sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	*) die "$1 is not known: see --help" ;;
	esac
	shift
done

bin=$root/usr/local/bin/ratchetd
lib=$root/usr/local/libexec/ratchetd
once=$root/usr/local/lib/ratchet # where older releases had that
unfinished=$lib/unfinished
etc=$root/etc/ratchet
unit=$root/etc/systemd/system/ratchetd.service
rc=$root/etc/init.d/ratchetd

# byte N is that of the shell, an ELF file: 4 is 1 for 32 bits, 5 is 1 for
# little-endian. A kernel may be of 64 bits where the programs are of 32.
byte() { dd if="$root/bin/sh" bs=1 skip="$1" count=1 2>/dev/null | od -An -tu1 | tr -d ' \n'; }

# processor is as the programs of a release are named.
processor() {
	case $(uname -m) in
	x86_64) if [ "$(byte 4)" = 1 ]; then echo 386; else echo amd64; fi ;;
	i?86) echo 386 ;;
	aarch64 | armv8*) if [ "$(byte 4)" = 1 ]; then echo armv7; else echo arm64; fi ;;
	armv7*) echo armv7 ;;
	armv6*) echo armv6 ;;
	armv5*) echo armv5 ;;
	mips64*) if [ "$(byte 5)" = 1 ]; then echo mips64le; else die "there is no ratchetd for big-endian MIPS of 64 bits"; fi ;;
	mips*) if [ "$(byte 5)" = 1 ]; then echo mipsle; else echo mips; fi ;;
	riscv64) echo riscv64 ;;
	*) die "there is no ratchetd for $(uname -m)" ;;
	esac
}

# take NAME [PLACE] copies a file of the release into a folder that only root can
# write: what is verified there is what is installed, whoever writes to the release
# meanwhile. Where nothing vouches for the release, the file may come from the
# sources that this lies in.
take() {
	if [ -f "$folder/$1" ]; then
		cp "$folder/$1" "$temp/$1"
	elif [ -z "$key" ] && [ ! -e "$temp/SHA256SUMS" ] && [ -n "${2:-}" ] && [ -f "$here/$2/$1" ]; then
		cp "$here/$2/$1" "$temp/$1"
	else
		die "$1 is missing in $folder"
	fi
}

# vouched checks a copy against the copy of SHA256SUMS.
vouched() {
	[ -e "$temp/SHA256SUMS" ] || return 0
	want=$(awk -v n="$1" '$2 == n || $2 == "*" n { print $1; exit }' "$temp/SHA256SUMS")
	[ -n "$want" ] || die "$folder/SHA256SUMS does not name $1"
	got=$(sha256sum "$temp/$1" | cut -d' ' -f1)
	[ "$got" = "$want" ] || die "$folder/$1 is not what SHA256SUMS says: got $got, want $want"
}

# sums copies SHA256SUMS, if the release has one, and checks its signature.
sums() {
	if [ -n "$key" ]; then
		take SHA256SUMS
		take SHA256SUMS.minisig
		command -v minisign >/dev/null || die "minisign is not installed, and --key wants it"
		minisign -Vqm "$temp/SHA256SUMS" -P "$key" || die "$folder/SHA256SUMS was not signed by $key"
	elif [ -e "$folder/SHA256SUMS" ]; then
		take SHA256SUMS
		say "the signature of SHA256SUMS is not verified: --key names who must have signed it"
	elif [ -n "$unverified" ]; then
		say "$name is not verified"
	else
		die "nothing vouches for $folder/$name: want SHA256SUMS beside it, or --unverified"
	fi
}

# put FROM TO MODE replaces a file durably, where it differs.
put() {
	if cmp -s "$1" "$2"; then
		return 0
	fi
	mkdir -p "${2%/*}"
	mkdir -p "$lib"
	rm -f "$2.new"
	: >"$unfinished" # a cut from here on leaves it, and the next run does all of the rest
	cp "$1" "$2.new"
	chmod "$3" "$2.new"
	sync
	mv -f "$2.new" "$2"
	sync
	say "wrote $2"
	changed=1
}

# prog runs a program of the system, unless this is for another root.
prog() {
	[ -n "$root" ] || "$@"
}

init() {
	if [ -d "$root/run/systemd/system" ] || { [ -n "$root" ] && [ -d "$root/usr/lib/systemd/system" ]; }; then
		echo systemd
	elif [ -x "$root/sbin/openrc-run" ]; then
		echo openrc
	fi
}

systemd() {
	sed "s|/usr/libexec/ratchetd/|${lib#"$root"}/|; s|/usr/bin/ratchetd|${bin#"$root"}|" "$temp/ratchetd.service" >"$temp/unit"
	put "$temp/unit" "$unit" 644
	wants=${unit%/*}/multi-user.target.wants
	mkdir -p "$wants"
	ln -sf "${unit#"$root"}" "$wants/ratchetd.service"
	[ -n "$changed" ] || return 0
	prog systemctl daemon-reload
	prog systemctl restart ratchetd || die "systemd did not start it: systemctl status ratchetd tells why; then run this again"
	forget
}

openrc() {
	cat >"$temp/rc" <<-END
		#!/sbin/openrc-run
		# supervise-daemon never gives up; a step that runs gets 20 s.
		description="Ratchet: takes jobs over MQTT and never slips back"
		supervisor=supervise-daemon
		command=${lib#"$root"}/ratchetd-start
		command_args="${bin#"$root"} run --syslog"
		respawn_delay=5
		respawn_max=0
		retry="TERM/40/KILL/5"
		extra_started_commands=reload
		depend() { use net logger; }
		reload() { supervise-daemon "\$RC_SVCNAME" --signal HUP; }
	END
	put "$temp/rc" "$rc" 755
	[ -n "$changed" ] || return 0
	prog rc-update add ratchetd default
	prog rc-service ratchetd restart || die "OpenRC did not start it: rc-service ratchetd status tells how it is; then run this again"
	forget
}

install() {
	case $from in
	/*) ;;
	*) from=$PWD/$from ;;
	esac
	if [ -d "$from" ]; then
		folder=$from name=ratchetd-linux-$(processor)
	else
		folder=${from%/*} name=${from##*/}
	fi
	[ -f "$folder/$name" ] || die "$folder/$name is missing: --from names a release's folder, or a program"
	temp=$(mktemp -d)
	trap 'rm -rf "$temp"' EXIT
	sums
	take "$name"
	take ratchetd-start openwrt
	take ratchetd.service systemd
	for file in "$name" ratchetd-start ratchetd.service; do vouched "$file"; done
	chmod 755 "$temp/$name"
	[ -n "$root" ] || "$temp/$name" version >/dev/null || die "$folder/$name does not run on this machine"
	if [ -e "$unfinished" ] || [ -e "$once/unfinished" ]; then changed=1; fi
	put "$temp/ratchetd-start" "$lib/ratchetd-start" 755
	put "$temp/$name" "$bin" 755
	settings
	case $(init) in
	systemd) systemd ;;
	openrc) openrc ;;
	*)
		say "no systemd and no OpenRC: have your init start, and start again for ever: ${lib#"$root"}/ratchetd-start ${bin#"$root"} run"
		[ ! -e "$once/ratchetd-start" ] || say "where it starts $once/ratchetd-start, change it and remove that"
		;;
	esac
	rm -f "$unfinished"
	if [ -z "$changed" ]; then
		say "nothing was changed: all is as it should be"
	elif [ ! -e "$etc/conf.d/enroll.toml" ]; then
		say "next: ratchetd enroll --broker URL --token-file FILE"
	fi
}

# settings makes an empty configuration, with which the agent starts and says
# what is missing. One that is there is its owner's.
settings() {
	[ ! -e "$etc/ratchet.toml" ] || return 0
	cat >"$temp/toml" <<-'END'
	# The settings of this device; ratchetd enroll puts the broker into conf.d/enroll.toml.
	#state = "/var/lib/ratchet"  # the journal and undo data: on flash or disk
	END
	put "$temp/toml" "$etc/ratchet.toml" 644
	mkdir -p "$etc/conf.d"
}

uninstall() {
	if [ -e "$unit" ]; then
		prog systemctl disable --now ratchetd || say "systemd did not stop it"
		drop "$unit" "${unit%/*}/multi-user.target.wants/ratchetd.service"
		prog systemctl daemon-reload || :
	fi
	if [ -e "$rc" ]; then
		prog rc-service ratchetd stop || say "OpenRC did not stop it"
		prog rc-update del ratchetd default || say "OpenRC has it in no runlevel"
		drop "$rc"
	fi
	drop "$bin" "${bin%/*}/.ratchetd.old" "${bin%/*}/.ratchetd.trial" "$lib"
	forget
	if [ -n "$purge" ]; then
		drop "$etc" "$root/var/lib/ratchet"
	elif [ -e "$etc" ]; then
		say "$etc and $root/var/lib/ratchet stay: --purge removes them"
	fi
}

# forget removes what older releases had elsewhere, and nothing else that lies there.
forget() {
	drop "$once/ratchetd-start" "$once/unfinished"
	rmdir "$once" 2>/dev/null || :
}

drop() {
	for path; do
		[ -e "$path" ] || [ -h "$path" ] || continue
		rm -rf "$path"
		say "removed $path"
	done
}

[ -z "$key" ] || [ -z "$unverified" ] || die "--key and --unverified contradict each other"
[ -n "$root" ] || [ "$(id -u)" = 0 ] || die "run this as root"
if [ -n "$uninstall" ]; then uninstall; else install; fi
