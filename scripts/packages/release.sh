#!/bin/sh
# release.sh VERSION
#
# Makes a release of the programs and packages in dist/, or $DIST: beside them
# install.sh with its parts, what they are made of, and SHA256SUMS. That and the
# programs, which jobs name one by one, are signed by the secret key whose file
# RATCHET_SIGN names; RATCHET_PASSPHRASE_FILE holds its passphrase.
set -eu
cd "$(dirname "$0")/../.."
dist=$(cd "${DIST:-dist}" && pwd)
[ -e "${RATCHET_SIGN:-}" ] || {
	echo "release.sh: RATCHET_SIGN names no secret key: make one with ratchet key new, and keep it offline" >&2
	exit 1
}
for file in "$dist"/*_*_*.*; do
	[ -e "$file" ] || continue
	case ${file##*/} in
	*_"$1"_*) ;;
	*)
		echo "release.sh: ${file##*/} in $dist is not of version $1: remove it" >&2
		exit 1
		;;
	esac
done
install -m 755 scripts/install.sh scripts/openwrt/ratchetd-start "$dist"
install -m 644 scripts/systemd/ratchetd.service "$dist"
cd "$dist"
rm -f -- *.minisig SHA256SUMS
(cd - >/dev/null && go run ./scripts/sbom "$1" "$dist"/ratchet*-linux-*) >ratchet.cdx.json
cd - >/dev/null
sums=$(cd "$dist" && find . -maxdepth 1 -type f -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum)
printf '%s\n' "$sums" >"$dist/SHA256SUMS"
for file in "$dist"/SHA256SUMS "$dist"/ratchetd-linux-*; do
	go run ./cmd/ratchet key sign "$file" --key "$RATCHET_SIGN"
done
