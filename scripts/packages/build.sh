#!/bin/sh
# build.sh VERSION [PATTERN...]
#
# Makes the packages in dist/, or $DIST, from the programs that lie there: all, or those
# whose FORMAT/ARCHITECTURE a pattern names, such as 'deb/*' or ipk/mipsel_24kc.
# The same bytes come from the same commit: every time is the commit's.
set -eu
cd "$(dirname "$0")/../.."

[ $# -gt 0 ] || {
	echo "usage: build.sh VERSION [PATTERN...]" >&2
	exit 2
}
NFPM='go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0'
export PKG_VERSION="$1"
shift
[ $# -gt 0 ] || set -- '*'
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
dist=$(cd "${DIST:-dist}" 2>/dev/null && pwd) || {
	echo "build.sh: there is no ${DIST:-dist} with programs to package: make packages builds them first" >&2
	exit 1
}
export SOURCE_DATE_EPOCH TZ=UTC GOFLAGS=

# matrix tells which program runs where.
matrix() { sed /^#/d scripts/packages/matrix; }

wanted() {
	for pattern in $patterns; do
		# shellcheck disable=SC2254  # it is a pattern
		case $1 in $pattern) return 0 ;; esac
	done
	return 1
}

# lists writes what OpenWrt's scripts want to know of an apk.
lists() {
	mkdir "$stage/lists"
	sed -n '/&router/,/scripts:/s/.*dst: \([^,]*\),.*/\1/p' scripts/packages/nfpm.yaml | sort >"$stage/lists/ratchetd.list"
	echo /etc/config/ratchet >"$stage/lists/ratchetd.conffiles"
	sum=$(sha256sum <scripts/openwrt/ratchet.config)
	echo "/etc/config/ratchet ${sum%% *}" >"$stage/lists/ratchetd.conffiles_static"
}

# needs PROGRAM ends all where a program is missing.
needs() {
	[ -f "$dist/$1" ] || {
		echo "build.sh: $dist/$1 is missing: make DIST=$dist $dist/$1 VERSION=$PKG_VERSION builds it, make packages all of them" >&2
		exit 1
	}
}

# archive FOLDER NAME... is the same for the same bytes, whoever makes it.
archive() {
	folder=$1
	shift
	tar --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=go=u,go-w -C "$folder" -cf - "$@" | gzip -9n
}

# inBytes gives an ipk its installed size in bytes: nfpm writes KiB, and opkg would
# begin to unpack where there is room for a thousandth.
inBytes() {
	work=$stage/ipk
	rm -rf "$work"
	mkdir -p "$work/control"
	tar -xzf "$1" -C "$work"
	tar -xzf "$work/control.tar.gz" -C "$work/control"
	size=$(tar --numeric-owner -tvzf "$work/data.tar.gz" | awk '{ n += $3 } END { printf "%.0f", n }')
	sed -i "s/^Installed-Size: .*/Installed-Size: $size/" "$work/control/control"
	grep -qx "Installed-Size: $size" "$work/control/control"
	(cd "$work/control" && find . -type f | LC_ALL=C sort) >"$work/names"
	# shellcheck disable=SC2046  # they are names without spaces
	archive "$work/control" $(cat "$work/names") >"$work/control.tar.gz"
	archive "$work" ./debian-binary ./control.tar.gz ./data.tar.gz >"$1"
}

# pack DESCRIPTION NAME FORMAT/ARCHITECTURE PROGRAM
pack() {
	needs "$4"
	export PKG_ARCH="${3#*/}" PKG_BINARY="$dist/$4"
	file=$dist/$2_${PKG_VERSION}_$PKG_ARCH.${3%/*}
	(cd "$stage" && $NFPM package --config "scripts/packages/$1" --packager "${3%/*}" --target "$file") >/dev/null || {
		echo "build.sh: nfpm did not make $file" >&2
		exit 1
	}
	case $3 in ipk/*) inBytes "$file" ;; esac
	echo "$file"
}

set -f # a pattern is no file
all=$(matrix | cut -d' ' -f2- | tr '\n' ' ')
for patterns; do
	found=
	for target in $all; do ! wanted "$target" || found=1; done
	[ -n "$found" ] || {
		echo "build.sh: no package is made for $patterns; there are: $all" >&2
		exit 1
	}
done
patterns=$*
# A copy whose times are the commit's: some formats hold those of the scripts.
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cp -r scripts LICENSE "$stage"
lists
find "$stage" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
matrix | while read -r go targets; do
	for target in $targets; do
		wanted "$target" || continue
		pack nfpm.yaml ratchetd "$target" "ratchetd-linux-$go" </dev/null
		case $target in deb/amd64 | deb/arm64)
			pack operator.yaml ratchet "$target" "ratchet-linux-$go" </dev/null
			;;
		esac
	done
done
