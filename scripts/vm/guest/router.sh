#!/bin/sh
# What the router does at its start, before the agent comes.
mount -t tmpfs tmp /tmp
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
echo "router: runs, $(cat /flash)"
