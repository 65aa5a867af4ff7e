#!/bin/sh
# A whole life of the package on OpenWrt: busybox's ash, and stand-ins for uci,
# a package manager and procd. BROKER is the address of one; /packages holds 1.0.0, 1.1.0 and 1.2.0.
# FORMAT is ipk or apk, and names the stand-in that is there.
set -eu
say() { echo "== $*"; }
await() { # what, in which words
	what=$1
	shift
	for _ in $(seq 150); do
		"$@" 2>/dev/null | grep -q "$what" && return
		sleep 0.2
	done
	echo "never: $what in $*"
	"$@" || true
	cat /tmp/log.info /tmp/log.err /tmp/procd/said /tmp/broken 2>/dev/null || true
	exit 1
}
log() { cat /tmp/log.info /tmp/log.err; }
status() { ratchetd status --config /etc/ratchet/ratchet.toml; }
package() { echo "/packages/ratchetd_$1_x86_64.$FORMAT"; }
add() { if [ "$FORMAT" = ipk ]; then opkg install "$(package "$1")"; else apk add --allow-untrusted "$(package "$1")"; fi; }
remove() { if [ "$FORMAT" = ipk ]; then opkg remove ratchetd; else apk del ratchetd; fi; }

# What a sysupgrade kept of a package that had its launcher there.
mkdir /usr/lib/ratchet
touch /usr/lib/ratchet/ratchetd-start /usr/lib/ratchet/ratchetd-uci
reload_config # as at the end of a boot
uci set other.other.changed=1 # and not reloaded, which is its owner's to do
add 1.0.0
[ ! -e /usr/lib/ratchet ]
[ ! -e /tmp/reloaded ]
if [ "$FORMAT" = ipk ]; then # what opkg asks for room by
	[ "$(sed -n 's/^Installed-Size: //p' /usr/lib/opkg/info/ratchetd.control)" -gt "$(wc -c </usr/sbin/ratchetd)" ]
fi
if [ "$FORMAT" = apk ]; then
	while read -r file; do [ -e "$file" ] || [ "$file" = /etc/uci-defaults/95-ratchet ]; done </lib/apk/packages/ratchetd.list
	while read -r file sum; do echo "$sum  $file" | sha256sum -c - >/dev/null; done </lib/apk/packages/ratchetd.conffiles_static
fi
[ -L /etc/rc.d/S95ratchet ] && [ ! -e /etc/uci-defaults/95-ratchet ]
grep -q /usr/sbin/ratchetd /lib/upgrade/keep.d/ratchet
await 'link.broker: set it' log
say "installed: it runs, and says that it has no broker"

echo 'vars = {own = "kept"}' >/etc/ratchet/conf.d/own.toml
uci set ratchet.main.broker="tcp://$BROKER"
uci set ratchet.main.spread=0s
uci add_list ratchet.main.tag='site=a "b" \c'
uci commit ratchet
reload_config
grep -qx ratchet /tmp/reloaded
await '  connected for' status
grep -q 'kept' /etc/ratchet/conf.d/own.toml
ratchetd check | grep -q 'site = "a \\"b\\" \\\\c"'
[ "$(grep -c started /tmp/procd/said)" = 1 ]
say "a setting is a reload, and no restart"

uci set ratchet.policy.maxSize=lots
cp /etc/ratchet/ratchet.toml /tmp/before
/etc/init.d/ratchet reload
cmp /tmp/before /etc/ratchet/ratchet.toml
grep -q 'daemon.err.*maxSize.*lots' /tmp/logger
uci set ratchet.policy.maxSize=64MB
/etc/init.d/ratchet reload
grep -q 64MB /etc/ratchet/ratchet.toml
say "a setting that is wrong changes nothing and is told"

# refused WHAT: the settings are not taken for this reason, and the agent goes on.
refused() {
	cp /etc/ratchet/ratchet.toml /tmp/before
	/etc/init.d/ratchet reload
	/etc/init.d/ratchet start
	cmp /tmp/before /etc/ratchet/ratchet.toml
	tail -n 1 /tmp/logger | grep -q "daemon.err.*the settings before stay: .*$1" || { cat /tmp/logger; exit 1; }
	await '  connected for' status
}
uci add_list ratchet.policy.allow=file
uci add_list ratchet.policy.allow=package
uci add_list ratchet.policy.allow=command
/etc/init.d/ratchet reload
ratchetd check | grep -q 'allow = \["command", "package", "file"\]'
uci set ratchet.policy.maxtime=1h
refused 'ratchet.policy.maxtime is not known: it is ratchet.policy.maxTime'
uci delete ratchet.policy.maxtime
cp /etc/config/ratchet /tmp/settings
: >/etc/config/ratchet
refused 'the section main is missing'
cp /tmp/settings /etc/config/ratchet
/etc/init.d/ratchet reload
say "a setting that is not known changes nothing and is told, and so is none at all"

: >/tmp/procd/said
ACTION=ifup INTERFACE=loopback sh /etc/hotplug.d/iface/95-ratchet
ACTION=ifdown INTERFACE=wan sh /etc/hotplug.d/iface/95-ratchet
ACTION=ifupdate INTERFACE=wan IFUPDATE_ADDRESSES='' sh /etc/hotplug.d/iface/95-ratchet
[ ! -s /tmp/procd/said ]
ACTION=ifup INTERFACE=wan sh /etc/hotplug.d/iface/95-ratchet
grep -q 'signal USR1' /tmp/procd/said
await '  connected for [0-3]s' status
say "a new address is a new connection"

cp "$(package 1.1.0)" "/feed/ratchetd.$FORMAT"
cat >/tmp/job.json <<-END
	{"id": "upgrade-1", "steps": [
	  {"name": "agent", "package": {"upgrade": ["ratchetd"], "refresh": true}},
	  {"name": "after", "command": {"argv": ["/usr/sbin/ratchetd", "version"]}}]}
END
ratchetd submit /tmp/job.json
await 'upgrade-1.*succeeded' ratchetd jobs
ratchetd jobs upgrade-1
ratchetd status | grep -q 'ratchetd 1.1.0'
ratchetd jobs --json upgrade-1 | grep -q 'ratchetd 1.1.0'
[ -L /etc/rc.d/S95ratchet ] && [ ! -e /etc/uci-defaults/95-ratchet ] && grep -q "$BROKER" /etc/config/ratchet
grep -q /usr/sbin/ratchetd /lib/upgrade/keep.d/ratchet
say "the agent upgraded itself by its package, and its job went on"

cat >/tmp/job.json <<-END
	{"id": "busy-1", "steps": [
	  {"name": "busy", "command": {"shell": "echo began >>/tmp/busy; [ -e /tmp/enough ] || sleep 60"}},
	  {"name": "after", "command": {"argv": ["/usr/sbin/ratchetd", "version"]}}]}
END
ratchetd submit /tmp/job.json
await began cat /tmp/busy
(sleep 1; touch /tmp/enough) &
add 1.2.0
await 'busy-1.*succeeded' ratchetd jobs
ratchetd jobs busy-1
ratchetd status | grep -q 'ratchetd 1.2.0'
ratchetd jobs --json busy-1 | grep -q 'ratchetd 1.2.0'
[ "$(grep -c began /tmp/busy)" = 2 ]
say "upgraded by hand in a step: the new agent runs it again, and no old one is left"
[ "$(pidof ratchetd | wc -w)" = 1 ]

remove
[ ! -e /etc/rc.d/S95ratchet ]
for _ in $(seq 100); do pidof ratchetd >/dev/null || break; sleep 0.2; done
if pidof ratchetd; then exit 1; fi
[ -d /etc/ratchet/state ]
for left in /usr/sbin/*ratchet* /usr/sbin/.ratchet* /usr/lib*/ratchet* /etc/init.d/ratchet /etc/hotplug.d/iface/*; do
	[ ! -e "$left" ] || { echo "left: $left"; exit 1; }
done
[ ! -e /tmp/broken ] || { cat /tmp/broken; exit 1; }
say "removed: it is stopped, and its state stays"
