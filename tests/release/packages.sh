#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# packages.sh - build the Debian packages from the release tarball, and again from the checkout that this file is in, if
# it is in one without changes; they must differ in nothing, and lintian must have no error and no warning.
#
#   packages.sh TARBALL FOLDER [DPKG-BUILDPACKAGE OPTION]...
#
# The packages come to FOLDER. Exits with 77, and says why, where the tools are not here. DEB_BUILD_OPTIONS holds for the
# first build; the second runs no tests.
set -eu

tarball=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
source=$(realpath "$(dirname "$0")/../..")
shift 2
for tool in dpkg-buildpackage dh lintian; do
    command -v $tool >/dev/null || { echo "SKIP: no $tool here"; exit 77; }
done
# These are make's, and would reach the tar of dpkg-source.
unset TAR_OPTIONS MAKEFLAGS MFLAGS MAKELEVEL

# from_tarball WHERE, from_checkout WHERE: the sources, in a folder of their name in WHERE.
from_tarball() { tar -xf "$tarball" -C "$1"; }
from_checkout()
{
    name=$(basename "$tarball" .tar.xz)
    git -C "$source" archive --prefix="$name-of-git/" HEAD | tar -x -C "$1"
}

# build FROM WHERE OPTION...: the packages, in WHERE.
build()
{
    from=$1 where=$2
    shift 2
    rm -rf "$where"
    mkdir -p "$where"
    "$from" "$where"
    echo "dpkg-buildpackage -us -uc $* ($from, in $where)"
    (cd "$where"/quantbench-* && dpkg-buildpackage -us -uc "$@") >"$where/log" 2>&1 || {
        tail -n 40 "$where/log"
        echo "packages.sh: dpkg-buildpackage failed; all it said is in $where/log"
        exit 1
    }
    grep -aE '^# (TOTAL|PASS|SKIP|FAIL|ERROR):' "$where/log" || :
}

# same FILE...: each is in the second folder too.
same()
{
    for file; do
        cmp "$file" "$folder/the-second/${file##*/}" || {
            ! command -v diffoscope >/dev/null || diffoscope "$file" "$folder/the-second/${file##*/}" || :
            echo "packages.sh: ${file##*/} is not reproducible"
            exit 1
        }
    done
}

build from_tarball "$folder/first" "$@"
again=from_tarball
if changes=$(git -C "$source" status --porcelain 2>/dev/null) && [ -z "$changes" ]; then
    again=from_checkout
fi
DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS-} nocheck" build $again "$folder/the-second" "$@"
same "$folder"/first/*.deb
# The sources of a checkout have no configure in them.
if [ $again = from_checkout ]; then
    rm -rf "$folder"/the-second/*
    from_tarball "$folder/the-second"
    (cd "$folder/the-second" && dpkg-source -b quantbench-*) >"$folder/the-second/log" 2>&1
fi
same "$folder"/first/*.tar.xz "$folder"/first/*.dsc
echo "packages.sh: two builds are equal"
# apt-get installs what is in this folder; packages of debug symbols are built but not installed.
rm -f "$folder"/*.deb
cp "$folder"/first/*.deb "$folder"
lintian -i -I --pedantic --fail-on error,warning "$folder"/first/*.changes >"$folder/lintian.log" 2>&1 || {
    cat "$folder/lintian.log"
    echo "packages.sh: lintian has errors or warnings"
    exit 1
}
grep -E '^[IPXO]: ' "$folder/lintian.log" || echo "packages.sh: lintian says nothing"
