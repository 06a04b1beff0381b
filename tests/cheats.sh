#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cheats.sh - kernels that do less while the clock runs are found, and honest ones are not suspected.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

build()
{
    # CC is a list of words.
    # shellcheck disable=SC2086
    ${CC:-cc} -std=gnu11 -O2 -ffp-contract=off -Wall -Wextra -Werror -fPIC -shared -I"$srcdir/src/libquantbench" \
        -o cheat.so "$srcdir/tests/plugins/cheat.c" -lm -lpthread
}
ok 'cheats: the plug-in with cheating kernels is built' build

few='--device=cpu --threads=1 --num-iters=4 --rounds=2 --num-warmup-iters=1'
# found KERNEL WORDS OPTION...: KERNEL is found out, and WORDS say how; there is no time.
found()
{
    tap_kernel=$1 tap_words=$2
    shift 2
    # It is a list of words.
    # shellcheck disable=SC2086
    run 4 $few --dtype=float --plugin=cheat.so --kernel="cheat_$tap_kernel" --num-tokens=16 --hidden-size=1024 "$@" &&
        err_has "wrong result: kernel cheat_$tap_kernel, while it was timed: $tap_words" &&
        ! grep -q 'Kernel running time' out
}
for cache in cold hot; do
    for strict in '' --strict; do
        # An option, or none.
        # shellcheck disable=SC2086
        for kernel in memo partial half late; do
            ok "cheats: $kernel is found, $cache $strict" found $kernel 'work left undone' --granularity=token --cache=$cache $strict
        done
        # shellcheck disable=SC2086
        ok "cheats: scalecache is found, $cache $strict" found scalecache 'an earlier scale reused' --granularity=token \
            --cache=$cache $strict
        # It remembers by address, where another case's scale may have been: its codes are wrong in either way.
        # shellcheck disable=SC2086
        ok "cheats: given is found, $cache $strict" found given '' --static-scale --cache=$cache $strict
        # shellcheck disable=SC2086
        ok "cheats: copy is found, $cache $strict" found copy 'an earlier answer reused' --granularity=token --cache=$cache $strict
    done
done
for kernel in memo partial half scalecache copy late; do
    ok "cheats: $kernel is found with isolated launches" found $kernel '' --granularity=token --launch=isolated --num-iters=20
done
# What its first visit wrote would pass for the work of the second.
# shellcheck disable=SC2086 # a list of words
once() { run 4 $few --dtype=float --plugin=cheat.so --kernel=cheat_once --granularity=token --num-tokens=16 \
    --hidden-size=1024 && err_has 'wrong result: kernel cheat_once' && ! grep -q 'Kernel running time' out; }
# A cache that takes many sets, of which a sample goes into a few.
echo 32768K >"$tap_cache/size"
ok 'cheats: once is found, as each visit begins with outputs that nobody has written' once
echo 256K >"$tap_cache/size"
ok 'cheats: memo is found with --no-isolate' found memo 'work left undone' --granularity=token --no-isolate
ok 'cheats: copy is found with --profile' found copy 'an earlier answer reused' --granularity=token --profile
ok 'cheats: scalecache is found with --profile' found scalecache 'an earlier scale reused' --granularity=token --profile
# These are lists of words.
# shellcheck disable=SC2086
unverified() { run 0 $few --dtype=float --plugin=cheat.so --kernel=cheat_memo --granularity=token --num-tokens=16 \
    --hidden-size=512 --no-verify && out_has 'not verified'; }
ok 'cheats: --no-verify asks no questions' unverified

# Honest kernels: everything that a challenge depends on.
# shellcheck disable=SC2086
honest() { run 0 $few "$@" && ! grep -q WRONG out; }
all='--granularity=tensor,token,channel,group:32,block:8x24 --scale=dynamic,static,amax'
# shellcheck disable=SC2086
for dtype in half bfloat16 float; do
    for output in int8 fp8 e5m2; do
        ok "honest kernels: $dtype to $output passes" honest $all --dtype=$dtype --quant-dtype=$output --num-tokens=19 --hidden-size=77 --isa=generic
    done
done
# shellcheck disable=SC2086
for dist in uniform outliers zeros lognormal; do
    ok "honest kernels: $dist data pass" honest $all --dist=$dist --num-tokens=9 --hidden-size=33 --isa=generic
done
# shellcheck disable=SC2086
for shape in '1 1' '1 100' '100 1' '2 4097'; do
    set -- $shape
    ok "honest kernels: $1 x $2 passes" honest $all --num-tokens="$1" --hidden-size="$2" --isa=generic
done
# shellcheck disable=SC2086
ok 'honest kernels: a hot cache passes' honest $all --cache=hot --num-tokens=9 --hidden-size=33 --isa=generic
# shellcheck disable=SC2086
ok 'honest kernels: isolated launches pass' honest $all --launch=isolated --num-tokens=9 --hidden-size=33 --isa=generic
# shellcheck disable=SC2086
ok 'honest kernels: two threads pass' honest $all --threads=2 --num-tokens=9 --hidden-size=33 --isa=generic
# shellcheck disable=SC2086
ok 'honest kernels: an upper bound passes' honest $all --scale-ub=1.5 --num-tokens=9 --hidden-size=33 --isa=generic

done_testing
