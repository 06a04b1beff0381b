#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# builds.sh - the other ways to build: each is configured from the release tarball, built and tested in a folder of its
# own, without CUDA unless it is about that, and without a single warning. One whose compiler is not here is left out, and
# says so.
#
#   builds.sh TARBALL FOLDER BUILD...
#
#   clang     the other compiler, and no shared library
#   musl      the other C library: the shared library alone, since Debian has no jansson and no libcheck for it
#   shared    no static library
#   arm64     cross-compiled with Debian's compiler, with libcheck and jansson for arm64 from where apt gets its
#             packages here, or the library alone; the programs run under qemu-user
#   cuda11    with CUDA 11.8, the oldest, for one architecture; cuda11.sh gets it, unless QUANTBENCH_CUDA11 names a
#             folder that it has filled
#
# QUANTBENCH_TESTS holds a list of those tests of "make check" that are to run; without it all run.
set -eu

tarball=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
shift 2
unset TAR_OPTIONS MAKEFLAGS MFLAGS MAKELEVEL
jobs=$(nproc)

# build NAME COMPILER TESTS [CONFIGURE OPTION]...: for NAME, if there is COMPILER. No TESTS means all.
build()
{
    name=$1 tests=$3
    if ! command -v "$2" >/dev/null; then
        echo "SKIP: $name: no $2 here"
        return 0
    fi
    shift 3
    echo "== $name: configure $*"
    rm -rf "${folder:?}/$name"
    mkdir -p "$folder/$name/source" "$folder/$name/build"
    tar -xf "$tarball" -C "$folder/$name/source" --strip-components=1
    # -Werror is for what is compiled, not for what configure tries.
    (cd "$folder/$name/build" && ../source/configure -q --without-cuda "$@" &&
        make -s -j"$jobs" CFLAGS='-g -O2 -Werror' &&
        make -s -j"$jobs" check CFLAGS='-g -O2 -Werror' ${tests:+"TESTS=$tests"}) >"$folder/$name/log" 2>&1 || {
        tail -n 60 "$folder/$name/log"
        echo "builds.sh: $name failed; all it said is in $folder/$name/log"
        exit 1
    }
    grep -aE '^# (TOTAL|PASS|SKIP|FAIL|ERROR):' "$folder/$name/log"
}

# Unpack libcheck and jansson for arm64 into $sysroot; nothing is installed. apt must not think of this machine's own
# packages.
libraries_for_arm64()
{
    state=$folder/apt-arm64
    rm -rf "$state" "$sysroot"
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/debs" "$sysroot"
    (
        cd "$state/debs"
        set -- -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::Lists="$state/lists" \
            -o Dir::State::Status=/dev/null -o Dir::Cache="$state/cache" -o APT::Sandbox::User=root
        apt-get "$@" -o APT::Update::Error-Mode=any update &&
            apt-get "$@" download check libsubunit-dev libjansson-dev &&
            for deb in *.deb; do dpkg-deb -x "$deb" "$sysroot" || exit 1; done
    ) >"$state/log" 2>&1
}

arm64()
{
    qemu-aarch64 --version >/dev/null 2>&1 || { echo "SKIP: arm64: no qemu-aarch64 here"; return 0; }
    sysroot=$folder/sysroot-arm64
    libraries=$sysroot/usr/lib/aarch64-linux-gnu
    # What depends on the architecture. The tool's own tests are left out, since the tool starts itself.
    tests="check_cpu.test check_format.test check_problem.test check_tensor_file.test
        tests/examples.sh tests/library_manual.sh"
    set -- --host=aarch64-linux-gnu --disable-shared
    if libraries_for_arm64; then
        set -- "$@" PKG_CONFIG_LIBDIR="$libraries/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$sysroot"
    else
        echo "arm64: the library alone, since apt cannot get libcheck and jansson: $(tail -n 1 "$folder/apt-arm64/log")"
        tests="tests/examples.sh tests/library_manual.sh"
        set -- "$@" --disable-tool PKG_CONFIG_LIBDIR=/nonexistent
    fi
    EMULATOR="qemu-aarch64 -L /usr/aarch64-linux-gnu"
    TEST_LOG_COMPILER=$EMULATOR
    export EMULATOR TEST_LOG_COMPILER
    build arm64 aarch64-linux-gnu-gcc "${QUANTBENCH_TESTS-$tests}" "$@"
    unset EMULATOR TEST_LOG_COMPILER
}

cuda11()
{
    here=$(dirname "$0")
    toolkit=${QUANTBENCH_CUDA11-$folder/cuda11-toolkit}
    if [ -z "${QUANTBENCH_CUDA11-}" ]; then
        status=0
        "$here/cuda11.sh" "$toolkit" >"$folder/cuda11-toolkit.log" 2>&1 || status=$?
        case $status in
        0) ;;
        77) sed 's/^SKIP: /SKIP: cuda11: /' "$folder/cuda11-toolkit.log"; return 0 ;;
        *) cat "$folder/cuda11-toolkit.log"; exit 1 ;;
        esac
    fi
    build cuda11 "$toolkit/bin/nvcc" "${QUANTBENCH_TESTS-check_cuda.test check_conditions.test}" --disable-shared \
        --with-cuda="$toolkit" --with-cuda-arch=75 \
        NVCCFLAGS="-O2 -ccbin $toolkit/gcc/usr/bin/g++-11 -Werror all-warnings"
}

for build; do
    case $build in
    clang) build clang clang "${QUANTBENCH_TESTS-}" CC=clang --disable-shared ;;
    musl)
        build musl musl-gcc "${QUANTBENCH_TESTS-}" CC=musl-gcc --disable-static --disable-openmp --disable-tool \
            PKG_CONFIG_LIBDIR=/nonexistent
        ;;
    shared) build shared cc "${QUANTBENCH_TESTS-}" --disable-static ;;
    arm64) arm64 ;;
    cuda11) cuda11 ;;
    *)
        echo "builds.sh: '$build': expected clang, musl, shared, arm64 or cuda11" >&2
        exit 2
        ;;
    esac
done
