#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check.sh - all that a release needs, from a build folder: "make release-check". It takes an hour, root for the clean
# root, and what "./bootstrap tools" installs; what could not be done is named at the end, and then this fails.
#
#   QUANTBENCH_PREVIOUS=FILE    libquantbench.so of the previous release, not stripped, for abidiff
#   CUDA_HOME=DIR               the CUDA toolkit, if nvcc is not in PATH
set -eu

here=$(realpath "$(dirname "$0")")
folder=$PWD/_release
mkdir -p "$folder"
left_out=

# step WHAT COMMAND...
step()
{
    what=$1
    shift
    echo "=== $what"
    status=0
    "$@" || status=$?
    case $status in
    0) ;;
    77) left_out="$left_out
  $what" ;;
    *)
        echo "release-check: failed: $what"
        exit 1
        ;;
    esac
}

with_cuda()
{
    PATH=$PATH${CUDA_HOME:+:$CUDA_HOME/bin}:/usr/local/cuda/bin command -v nvcc >/dev/null ||
        { echo "SKIP: no nvcc here"; return 77; }
    "$@"
}

reproducible()
{
    make -s dist && mv "$1" "$folder/first.tar.xz" && make -s dist && cmp "$1" "$folder/first.tar.xz"
}

# builds.sh leaves a build out without failing.
other_build()
{
    "$here/builds.sh" "$tarball" "$folder" "$1" >"$folder/out" || { cat "$folder/out"; return 1; }
    cat "$folder/out"
    ! grep -q '^SKIP' "$folder/out" || return 77
}

soname() { objdump -p "$1" | awk '$1 == "SONAME" { print $2 }'; }

abi()
{
    if [ -z "${QUANTBENCH_PREVIOUS-}" ]; then
        echo "no previous release is named by QUANTBENCH_PREVIOUS: nothing to compare with"
        return 0
    fi
    command -v abidiff >/dev/null || { echo "SKIP: no abidiff here"; return 77; }
    [ -e .libs/libquantbench.so ] || { echo "SKIP: no shared library is built here"; return 77; }
    if [ "$(soname "$QUANTBENCH_PREVIOUS")" != "$(soname .libs/libquantbench.so)" ]; then
        echo "another soname than before: programs have to be linked again"
        return 0
    fi
    # Of the types only those of the header are an interface, and what is added breaks nothing.
    mkdir -p "$folder/include"
    cp "$here/../../src/libquantbench/quantbench.h" "$folder/include"
    abidiff --no-added-syms --headers-dir1 "$folder/include" --headers-dir2 "$folder/include" "$QUANTBENCH_PREVIOUS" \
        .libs/libquantbench.so
}

tarball=$PWD/quantbench-$1.tar.xz
step "everything is committed" \
    sh -c '! test -e "$1/.git" || test -z "$(git -C "$1" status --porcelain)"' - "$here/../.."
step "the tarball is reproducible" reproducible "$tarball"
step "make distcheck, for all CUDA architectures" with_cuda make -s -j"$(nproc)" distcheck DISTCHECK_CONFIGURE_FLAGS='-q --with-cuda'
step "make distcheck, without CUDA" make -s -j"$(nproc)" distcheck DISTCHECK_CONFIGURE_FLAGS='-q --without-cuda'
for build in clang shared musl arm64 cuda11; do
    step "$build" other_build $build
done
step "the ABI" abi
step "packages" "$here/packages.sh" "$tarball" "$folder/main"
step "make install" "$here/installed.sh" "$tarball" "$folder/main" "$folder/installed"
step "packages, in a clean root" "$here/cleanroot.sh" "$folder/main"
# nvidia-cuda-toolkit may be here in another form than as that package: -d.
step "packages with CUDA" with_cuda env DEB_BUILD_OPTIONS=nocheck "$here/packages.sh" "$tarball" "$folder/cuda" -d \
    -Ppkg.quantbench.cuda
step "packages with CUDA, in a clean root" with_cuda "$here/cleanroot.sh" "$folder/cuda"

if [ -n "$left_out" ]; then
    echo "release-check: this could not be done here:$left_out"
    exit 1
fi
echo "release-check: all is well"
