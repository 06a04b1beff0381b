#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# inside.sh - what cleanroot.sh runs inside the clean root.
set -eu
cd /tests

fail() { echo "FAIL: $*"; exit 1; }
apt() { apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0 "$@" >apt.log 2>&1 || { tail -n 30 apt.log; fail "apt-get $*"; }; }
installed() { dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | sort; }
# Every file, but what dpkg, apt and the caches of man and the linker write for any package.
files()
{
    find / -xdev \( -path /proc -o -path /tests -o -path /debs -o -path /tmp -o -path /root -o -path /var/cache -o -path /var/lib/apt \
        -o -path /var/lib/dpkg -o -path /var/log -o -path /run \) -prune -o -print | sort
}

apt update
installed >packages.before
files >files.before

echo "== apt-get install ./quantbench ./libquantbench0"
apt install /debs/quantbench_*.deb /debs/libquantbench0_*.deb
installed | comm -13 packages.before - >packages.new
sed 's/^/   /' packages.new
grep -vE '^ii  (quantbench|libquantbench0|libgomp1|libjansson4|gcc-[0-9]+-base)$' packages.new &&
    fail "packages that nothing declares have come"

echo "== quantbench"
quantbench --quiet >out 2>err || fail "quantbench: $(cat err)"
sed 's/^/   /' out
grep -q '^Kernel running time: .* us$' out || fail "there is no time"
grep -q 'verified' out || fail "it was not verified"
quantbench --list-devices >out
sed 's/^/   /' out
grep -q '^cuda .*no device: not built in' out || fail "it does not say why there is no CUDA device"
man -w quantbench >/dev/null || fail "man does not find quantbench"
man quantbench >out 2>err </dev/null
grep -q 'Kernel running time: ' out || fail "man quantbench shows nothing"
if [ -s err ]; then fail "man quantbench: $(cat err)"; fi
mandb -q
man -k quantbench | grep -q '^quantbench (1)' || fail "man -k quantbench"
apropos quantization | grep -q '^quantbench-numerics (7)' || fail "apropos quantization"
apropos quantize | grep -q '^quantbench (1)' || fail "apropos quantize"

if ls /debs/libquantbench-cuda_*.deb >/dev/null 2>&1; then
    echo "== libquantbench-cuda"
    apt install /debs/libquantbench-cuda_*.deb
    quantbench --list-devices >out
    sed 's/^/   /' out
    # A machine with a GPU finds it; one without says what is missing; neither asks for a configuration.
    grep -qE '^cuda(:0| .*no device: no NVIDIA driver)' out || fail "the module was not loaded"
    module=$(dpkg -L libquantbench-cuda | grep 'quantbench_cuda\.so$')
    version=$(quantbench --version | sed 's/.* //')
    cp "$module" module
    other=$(echo "$version" | tr 0-9 9)
    sed -i "s/$(echo "$version" | sed 's/\./\\./g')/$other/g" "$module"
    quantbench --list-devices >out
    sed 's/^/   /' out
    grep -q 'another version' out || fail "a module of another version was not refused"
    quantbench --quiet --num-tokens=8 --hidden-size=64 >out || fail "the CPU does not go on"
    cat module >"$module"
    apt purge libquantbench-cuda
fi

echo "== upgrade"
# shellcheck disable=SC2046 # a list of words
apt install --allow-downgrades /debs/previous/quantbench.deb /debs/previous/libquantbench0.deb
[ "$(dpkg-query -W -f '${Version}' quantbench)" = 0.0.1 ] || fail "the previous version is not installed"
apt install /debs/quantbench_*.deb /debs/libquantbench0_*.deb /debs/libquantbench-dev_*.deb
dpkg --verify quantbench libquantbench0 libquantbench-dev >out
[ ! -s out ] || fail "files differ from those of the packages: $(cat out)"

echo "== debian/tests"
# What the tests need besides the packages, as control says it.
needs=$(sed -n 's/^Depends: //p' debian/tests/control | tr ',' '\n' | tr -d ' ' | grep -vE '^(@|libquantbench|quantbench)' | sort -u)
installed >packages.tested
files >files.tested
# shellcheck disable=SC2086 # a list of words
apt install $needs
if ls /debs/quantbench-mpi_*.deb >/dev/null 2>&1; then
    apt install /debs/quantbench-mpi_*.deb
fi
for test in $(sed -n 's/^Tests: //p' debian/tests/control | tr -d ','); do
    AUTOPKGTEST_TMP=$(mktemp -d)
    export AUTOPKGTEST_TMP
    if [ "$test" = mpi ] && ! command -v quantbench-mpi >/dev/null; then
        echo "   SKIP: $test: the packages were built without quantbench-mpi"
    elif "debian/tests/$test" >out 2>&1; then
        echo "   PASS: $test"
    elif [ $? -eq 77 ]; then
        echo "   SKIP: $test: $(tail -n 1 out)"
    else
        sed 's/^/   /' out
        fail "debian/tests/$test"
    fi
    rm -rf "$AUTOPKGTEST_TMP"
done

echo "== remove and purge"
if command -v quantbench-mpi >/dev/null; then
    apt purge quantbench-mpi
fi
apt remove quantbench
[ ! -e /usr/bin/quantbench ] || fail "still there"
dpkg --purge quantbench libquantbench-dev libquantbench0 >/dev/null 2>&1 || fail "dpkg --purge"
# shellcheck disable=SC2046 # a list of words
apt purge $(installed | comm -13 packages.before - | sed 's/^...//') >/dev/null
installed | diff packages.before - || fail "packages are left"
mandb -q
files >files.after
# Of the packages that the tests needed some leave files; quantbench's must not.
comm -13 files.before files.after | grep -iE 'quantbench' && fail "files are left"
echo "cleanroot.sh: nothing is left"
