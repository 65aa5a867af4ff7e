#!/bin/sh
# What a slot of the board does at its start: the partition that both slots
# share, and the network. The agent comes behind it.
mount -t tmpfs tmp /tmp
mount -t ext4 -o noatime /dev/vda4 /data
mount -o bind /data/etc /etc/ratchet
mount -o bind /data/state /var/lib/ratchet
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
echo "slot: version $(cat /etc/version) runs"
