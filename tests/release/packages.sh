#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# packages.sh - build the Debian packages from the release tarball, twice, in folders of different paths; they must
# differ in nothing, and lintian must have no error and no warning.
#
#   packages.sh [--once] TARBALL FOLDER [DPKG-BUILDPACKAGE OPTION]...
#
# The packages come to FOLDER. Exits with 77, and says why, where the tools are not here. DEB_BUILD_OPTIONS holds for the
# first build; the second runs no tests, and is left out with --once.
set -eu

once=no
if [ "$1" = --once ]; then
    once=yes
    shift
fi
tarball=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
shift 2
for tool in dpkg-buildpackage dh lintian; do
    command -v $tool >/dev/null || { echo "SKIP: no $tool here"; exit 77; }
done
# These are make's, and would reach the tar of dpkg-source.
unset TAR_OPTIONS MAKEFLAGS MFLAGS MAKELEVEL

# build WHERE OPTION...: unpack the tarball in WHERE, and build the packages there.
build()
{
    where=$1
    shift
    rm -rf "$where"
    mkdir -p "$where"
    tar -xf "$tarball" -C "$where"
    echo "dpkg-buildpackage -us -uc $* (in $where)"
    (cd "$where"/quantbench-* && dpkg-buildpackage -us -uc "$@") >"$where/log" 2>&1 || {
        tail -n 40 "$where/log"
        echo "packages.sh: dpkg-buildpackage failed; all it said is in $where/log"
        exit 1
    }
    grep -aE '^# (TOTAL|PASS|SKIP|FAIL|ERROR):' "$where/log" || :
}

build "$folder/first" "$@"
if [ $once = no ]; then
    DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS-} nocheck" build "$folder/the-second" "$@"
    for file in "$folder"/first/*.deb "$folder"/first/*.tar.xz "$folder"/first/*.dsc; do
        cmp "$file" "$folder/the-second/${file##*/}" || {
            ! command -v diffoscope >/dev/null || diffoscope "$file" "$folder/the-second/${file##*/}" || :
            echo "packages.sh: ${file##*/} is not reproducible"
            exit 1
        }
    done
    echo "packages.sh: two builds are equal"
fi
# apt-get installs what is in this folder; packages of debug symbols are built but not installed.
rm -f "$folder"/*.deb
cp "$folder"/first/*.deb "$folder"
lintian -i -I --pedantic --fail-on error,warning "$folder"/first/*.changes >"$folder/lintian.log" 2>&1 || {
    cat "$folder/lintian.log"
    echo "packages.sh: lintian has errors or warnings"
    exit 1
}
grep -E '^[IPXO]: ' "$folder/lintian.log" || echo "packages.sh: lintian says nothing"
