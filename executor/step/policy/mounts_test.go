package policy

import (
	"slices"
	"strings"
	"testing"
)

// What OpenWrt shows after its boot, and binds of both layers.
const router = `21 1 0:13 / / rw,noatime - overlay overlayfs:/overlay rw,lowerdir=/,upperdir=/overlay/upper,workdir=/overlay/work
22 21 31:5 / /rom ro,relatime - squashfs /dev/root ro
23 21 0:12 / /overlay rw,noatime - ubifs /dev/ubi0_1 rw
24 21 0:15 / /tmp rw,nosuid - tmpfs tmpfs rw
25 24 0:12 /upper/etc/ratchet /tmp/a\040bind rw - ubifs /dev/ubi0_1 rw
26 21 8:1 /@/etc /mnt/etc rw - btrfs /dev/sda1 rw,subvol=/@
27 21 8:1 /@ /mnt/root rw - btrfs /dev/sda1 rw,subvol=/@
`

func TestOneFileHasOneNameByWhateverMount(t *testing.T) {
	list := readMounts(strings.NewReader(router))
	for _, same := range [][]string{
		{"/etc/ratchet/link.key", "/overlay/upper/etc/ratchet/link.key", "/tmp/a bind/link.key"},
		{"/mnt/etc/shadow", "/mnt/root/etc/shadow"},
	} {
		for _, a := range same {
			for _, b := range same {
				if !anyBelow(list.names(a), list.names(b)) {
					t.Errorf("%s and %s have no name in common: %q, %q", a, b, list.names(a), list.names(b))
				}
			}
		}
	}
	for _, other := range []string{"/etc/ratchet-other", "/overlay/work/etc/ratchet", "/tmp/etc/ratchet", "/rom/etc/ratchet", "/mnt/etc/ratchet"} {
		if names := list.names(other); anyBelow(names, list.names("/etc/ratchet")) || len(names) == 0 {
			t.Errorf("%s has the names %q, which are those of /etc/ratchet too", other, names)
		}
	}
	if got, want := list.names("/etc/x"), []string{"0:13:/etc/x", "0:12:/upper/etc/x"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOverlaysOfOverlaysEnd(t *testing.T) {
	list := readMounts(strings.NewReader(`1 0 0:1 / / rw - overlay o rw,lowerdir=/a:/b,upperdir=/u,workdir=/w
2 1 0:2 / /u rw - overlay o rw,lowerdir=/,upperdir=/v,workdir=/w
3 2 0:3 / /v rw - overlay o rw,lowerdir=/u,upperdir=/,workdir=/w
`))
	if got := len(list.names("/f")); got == 0 || got > 10_000 {
		t.Errorf("got %d names", got)
	}
}
