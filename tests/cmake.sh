#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cmake.sh - the installed library as a CMake package: found, linked and run, shared and static, wherever it was moved.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

if ! command -v cmake >/dev/null; then
    echo '1..0 # SKIP cmake is not installed'
    exit 0
fi
if [ -n "${EMULATOR-}" ]; then
    echo '1..0 # SKIP the library does not run by itself'
    exit 0
fi
# Not the make that runs the tests, whose options are not meant for this one.
install_here()
{
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -C "$builddir" install-libLTLIBRARIES install-includeHEADERS \
        install-nodist_cmakeDATA DESTDIR="$work/root" >out 2>err
}
ok 'package: make install puts it below DESTDIR' install_here
config=$(find root -name quantbench-config.cmake)
library=${config%/cmake/quantbench/quantbench-config.cmake}
ok 'package: it lies beside the library' test -n "$config" -a -e "$library/libquantbench.la"

# The program of README.
mkdir project
# shellcheck disable=SC2016 # a pattern
sed -n '/^```c$/,/^```$/{ /^```/d; p; }' "$srcdir/README.md" >project/program.c
cat >project/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.10)
project(program C)
find_package(quantbench ${wanted} CONFIG REQUIRED)
find_package(quantbench CONFIG REQUIRED)
add_executable(program program.c)
target_link_libraries(program PRIVATE ${target})
END
# configured TREE TARGET VERSION: a build in ./TREE.TARGET.
configured()
{
    cmake -S project -B "$1.$2" -Dtarget="quantbench::$2" -Dwanted="$3" \
        -Dquantbench_DIR="$work/$1/${library#root/}/cmake/quantbench" >out 2>err
}
runs()
{
    configured "$1" "$2" "$version" && cmake --build "$1.$2" >out 2>err && "$1.$2/program" >out && grep -qF "\`$(cat out)\`" \
        "$srcdir/README.md"
}
version=$(sed -n 's/^set(PACKAGE_VERSION "\(.*\)")/\1/p' "${config%.cmake}-version.cmake")
# As configure was told to compile and link, such as with sanitizers; CC is in the environment.
CFLAGS=$(sed -n 's/^CFLAGS = //p' "$builddir/Makefile")
LDFLAGS=$(sed -n 's/^LDFLAGS = //p' "$builddir/Makefile")
export CFLAGS LDFLAGS
ok "package: README's program is built and runs" runs root quantbench
# Not ldd, which reads programs of its own C library only.
needed() { readelf -d "$1" >needed && grep NEEDED needed; }
if [ -e "$library/libquantbench.so" ]; then
    shared() { needed root.quantbench/program | grep -qF libquantbench.so; }
    ok 'package: the first target is the shared library' shared
else
    skip 'package: the first target is the shared library' 'there is none'
fi
if [ -e "$library/libquantbench.a" ]; then
    ok 'package: the static library has the libraries that it requires' runs root quantbench_static
    alone() { needed root.quantbench_static/program >list && ! grep -F libquantbench list; }
    ok 'package: the static target links no shared one' alone
else
    skip 'package: the static library has the libraries that it requires' 'there is none'
    skip 'package: the static target links no shared one' 'there is none'
fi
moved() { mv root 'moved to here' && ln -s 'moved to here' link && runs link quantbench; }
ok 'package: it may be moved, and be found by a link' moved

# refused VERSION
refused() { rm -rf link.quantbench && ! configured link quantbench "$1" && grep -q 'version' err; }
ok 'version: the next major one is not there' refused $((${version%%.*} + 1)).0
ok 'version: a later minor one is not there' refused "${version%%.*}.9999"
none()
{
    rm -rf link.quantbench "link/${library#root/}"/libquantbench.[sa]* && ! configured link quantbench "$version" &&
        tr -s ' \n' ' ' <err | grep -qF 'has neither libquantbench.so nor libquantbench.a'
}
ok 'package: without a library, the error says so' none
done_testing
