#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# builds.sh - the other ways to build: each is configured from the release tarball, built and tested in a folder of its
# own, without CUDA. One whose compiler is not here is left out, and says so.
#
#   builds.sh TARBALL FOLDER BUILD...
#
#   clang     the other compiler, and no shared library
#   musl      the other C library: the library alone, since Debian has no jansson and no libcheck for it
#   shared    no static library
#   arm64     the library alone, cross-compiled with Debian's compiler, its programs run under qemu-user
set -eu

tarball=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
shift 2
unset TAR_OPTIONS MAKEFLAGS MFLAGS MAKELEVEL
jobs=$(nproc)

# build NAME COMPILER [CONFIGURE OPTION]...: for NAME, if there is COMPILER.
build()
{
    name=$1
    if ! command -v "$2" >/dev/null; then
        echo "SKIP: $name: no $2 here"
        return 0
    fi
    shift 2
    echo "== $name: configure $*"
    rm -rf "${folder:?}/$name"
    mkdir -p "$folder/$name/source" "$folder/$name/build"
    tar -xf "$tarball" -C "$folder/$name/source" --strip-components=1
    (cd "$folder/$name/build" && ../source/configure -q --without-cuda "$@" && make -s -j"$jobs" &&
        make -s -j"$jobs" check) >"$folder/$name/log" 2>&1 || {
        tail -n 60 "$folder/$name/log"
        echo "builds.sh: $name failed; all it said is in $folder/$name/log"
        exit 1
    }
    grep -aE '^# (TOTAL|PASS|SKIP|FAIL|ERROR):' "$folder/$name/log"
}

for build; do
    case $build in
    clang) build clang clang CC=clang --disable-shared ;;
    musl) build musl musl-gcc CC=musl-gcc --disable-openmp --disable-tool PKG_CONFIG_LIBDIR=/nonexistent ;;
    shared) build shared cc --disable-static ;;
    arm64)
        if command -v qemu-aarch64 >/dev/null; then
            EMULATOR="qemu-aarch64 -L /usr/aarch64-linux-gnu"
            export EMULATOR
            build arm64 aarch64-linux-gnu-gcc --host=aarch64-linux-gnu --disable-shared --disable-tool \
                PKG_CONFIG_LIBDIR=/nonexistent
            unset EMULATOR
        else
            echo "SKIP: arm64: no qemu-aarch64 here"
        fi
        ;;
    *)
        echo "builds.sh: '$build': one of clang, musl, shared, arm64 is accepted" >&2
        exit 2
        ;;
    esac
done
