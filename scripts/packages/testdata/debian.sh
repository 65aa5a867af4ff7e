#!/bin/sh
# From nothing to a finished job in a Debian root, then an upgrade, removal and
# purge. BROKER and STORE are the addresses of one each; /packages holds 1.0.0 and
# 1.1.0. Each command is shown with the seconds since the first one.
set -eu
zero=$(date +%s%N)
say() { echo "[$(awk -v n="$(date +%s%N)" -v z="$zero" 'BEGIN { printf "%5.2f", (n - z) / 1e9 }')] $*"; }
do_() {
	say "\$ $*"
	"$@" 2>&1 | sed 's/^/        /'
}
daemon() {
	/usr/libexec/ratchetd/ratchetd-start /usr/bin/ratchetd run >>/tmp/ratchetd.log 2>&1 &
	pid=$!
}
await() {
	for _ in $(seq 100); do
		ratchetd status 2>&1 | grep -q "$1" && return
		sleep 0.2
	done
	ratchetd status
	exit 1
}
end() { kill "$pid" && wait "$pid"; }
export RATCHET_BROKER="tcp://$BROKER"

do_ dpkg -i /packages/ratchetd_1.0.0_amd64.deb /packages/ratchet_1.0.0_amd64.deb
dpkg --verify ratchetd
# Another root has no network card to make an id from.
echo 'device = "gw-7"' >/etc/ratchet/conf.d/device.toml
say "an agent without a broker"
daemon
await 'link.broker: set it'
do_ ratchetd status
echo "${TOKEN:-any}" >/root/token
do_ ratchetd enroll --broker "tcp://$BROKER" --device gw-7 --token-file /root/token
say "\$ systemctl reload ratchetd   # kill -HUP: there is no systemd here"
kill -HUP "$pid"
await '  connected for'
do_ ratchetd check --connect | grep -e '#' -e '\$'
cat >/root/hello.yaml <<END
id: hello-1
steps:
  - name: settings
    file: {path: /etc/hello.conf, content: "listen = 80\n"}
  - name: report
    command: {argv: [cat, /etc/hello.conf]}
END
do_ ratchet submit /root/hello.yaml --to device/gw-7 --watch
[ "$(cat /etc/hello.conf)" = "listen = 80" ]
say "the first job is done"

# Recipes as they are, but at once, and with a store that is here.
recipe() {
	sed -e '/^spread:/d; /^window:/d' -e "s|https://store.example.com|http://$STORE|" "/usr/share/doc/ratchet/cookbook/$1.yaml" >"/root/$1.yaml"
	do_ ratchet submit "/root/$1.yaml" --to device/gw-7 --watch
	ratchetd jobs "$(sed -n 's/^id: //p' "/root/$1.yaml")" | grep -q ' succeeded$'
}
mkdir -p /etc/ratchet/secrets /var/lib/sensors
(umask 077 && echo only-for-this-test >/etc/ratchet/secrets/store-token)
for value in 1 2 6; do echo "{\"sensor\": \"a\", \"time\": 1793491500, \"value\": $value}"; done >/var/lib/sensors/day.jsonl
recipe backup
recipe certificates
recipe data-reduction
[ "$(cat /var/lib/sensors/day.json)" = '{"sensor":"a","time":"2026-11-01T00:00:00Z","max":6,"mean":3,"n":3}' ]
say "three recipes are done"

mkdir -p /etc/systemd/system/ratchetd.service.d
echo 'ExecStart=/usr/lib/ratchet/ratchetd-start /usr/bin/ratchetd run --verbose' >/etc/systemd/system/ratchetd.service.d/own.conf
do_ dpkg -i /packages/ratchetd_1.1.0_amd64.deb
grep -qx 'ExecStart=/usr/libexec/ratchetd/ratchetd-start /usr/bin/ratchetd run --verbose' /etc/systemd/system/ratchetd.service.d/own.conf
rm -r /etc/systemd/system/ratchetd.service.d
do_ ratchetd enroll --broker "tcp://$BROKER" --device gw-7 --token-file /root/token | grep -e 'nothing was changed' -e '\$'
end
daemon
await '  connected for'
do_ ratchetd version
sed 's/hello-1/hello-2/' /root/hello.yaml >/root/hello-2.yaml
do_ ratchet submit /root/hello-2.yaml --to device/gw-7 --watch
[ "$(ratchetd jobs | grep -c succeeded)" = 5 ]
say "the journal of 1.0.0 is read by 1.1.0"
end

do_ dpkg --remove ratchetd
[ ! -e /usr/bin/ratchetd ]
[ -e /etc/ratchet/ratchet.toml ]
[ -e /var/lib/ratchet/ratchet.db ]
do_ dpkg --purge ratchetd ratchet
left=$(find / -xdev -path /proc -prune -o \( -name '*ratchet*' ! -path '/packages*' ! -path '/tmp/*' ! -path '/var/log/*' \) -print)
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
say "nothing is left"
