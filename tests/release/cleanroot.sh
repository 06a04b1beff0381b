#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cleanroot.sh - install the packages into a bare Debian, use them there, upgrade, remove and purge them. Nothing else
# than what they declare may come, and nothing may be left.
#
#   cleanroot.sh PACKAGES [ROOT]
#
# PACKAGES is the folder that packages.sh has filled. ROOT is made with debootstrap, from where apt gets its packages
# here, and kept if it is named. Exits with 77, and says why, where this cannot be done.
set -eu

packages=$(realpath "$1")
source=$(realpath "$(dirname "$0")/../..")
skip() { echo "SKIP: $*"; exit 77; }
[ "$(id -u)" -eq 0 ] || skip "a clean root needs root"
command -v debootstrap >/dev/null || skip "no debootstrap here"
ls "$packages"/quantbench_*.deb >/dev/null
unset TAR_OPTIONS

if [ $# -gt 1 ]; then
    root=$2
    trap 'umount "$root/proc" 2>/dev/null || :' EXIT
else
    root=$(mktemp -d "${TMPDIR:-/tmp}/quantbench-root.XXXXXX")
    trap 'umount "$root/proc" 2>/dev/null || :; rm -rf --one-file-system "$root"' EXIT
fi
trap 'exit 1' HUP INT TERM
if [ ! -x "$root/usr/bin/dpkg" ]; then
    # shellcheck disable=SC1091
    suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
    mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" 'Created-By: Packages' 2>/dev/null | head -n 1)
    echo "debootstrap $suite"
    debootstrap --variant=minbase --include=man-db,ca-certificates "$suite" "$root" ${mirror:+"$mirror"} >"$packages/debootstrap.log" 2>&1 || {
        skip "debootstrap failed: $(tail -n 1 "$packages/debootstrap.log")"
    }
fi
# A slim image leaves the manual out; a machine of a user has it.
rm -f "$root"/etc/dpkg/dpkg.cfg.d/docker "$root"/etc/dpkg/dpkg.cfg.d/excludes
mkdir -p "$root/proc" "$root/debs"
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc" 2>/dev/null || echo "no /proc in the root: not allowed here"
cp "$packages"/*.deb "$root/debs"
rm -f "$root"/debs/*-dbgsym_*.deb
rm -rf "$root/tests"
mkdir -p "$root/tests/debian"
cp -r "$source/debian/tests" "$root/tests/debian"
cp "$source/tests/release/inside.sh" "$root/tests"

# The same packages under an older version, to upgrade from.
mkdir -p "$root/debs/previous"
for deb in "$root"/debs/*.deb; do
    rm -rf "$root/debs/work"
    dpkg-deb -R "$deb" "$root/debs/work"
    version=$(dpkg-deb -f "$deb" Version)
    sed -i "s/$version/0.0.1/g" "$root/debs/work/DEBIAN/control"
    dpkg-deb -b "$root/debs/work" "$root/debs/previous/$(dpkg-deb -f "$deb" Package).deb" >/dev/null
done
rm -rf "$root/debs/work"

chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    sh /tests/inside.sh
