#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# environment.sh - verdicts do not depend on what plug-ins, or what is preloaded, do to the floating-point environment;
# and a process whose reference is broken gives none.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

# build NAME SOURCE FLAG...: the shared object ./NAME.so.
build()
{
    tap_name=$1 tap_source=$2
    shift 2
    # CC is a list of words.
    # shellcheck disable=SC2086
    ${CC:-cc} -std=gnu11 -O2 -ffp-contract=off -Wall -Wextra -Werror -fPIC -shared -I"$srcdir/src/libquantbench" \
        -o "$tap_name.so" "$@" "$tap_source" -lm
}
plugin() { tap_plugin=$1; shift; build "$tap_plugin" "$srcdir/tests/plugins/environment.c" "$@"; }
ok 'a plug-in is built' plugin plain
ok 'one that flushes subnormals when it is loaded' plugin flush -DLOAD_FLUSH
ok 'one that changes the rounding mode when it is loaded' plugin round -DLOAD_ROUND
# The option makes the linker add the constructor, as far as the compiler is one that does so.
ok 'one that is linked with -ffast-math' plugin fast -ffast-math -fno-finite-math-only

# Four rows of subnormal numbers: by the contract the scale is 2^-126, and nearly all codes are zeros.
{
    printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 16), }"
    for tap_row in 1 2 3 4; do
        for tap_column in 1 2 3 4 5 6 7; do printf '\1\2\3\0\7\0\0\200'; done
        printf '\0\0\020\0\377\377\177\0'
    done
} >subnormal.npy

small='--device=cpu --threads=2 --profile --granularity=token'
# figures ARGUMENT...: what the report says of the codes, in ./figures.
# shellcheck disable=SC2086
figures() { run 0 $small --input=subnormal.npy "$@" && grep -E '^(codes|quality)' out >figures; }
ok 'subnormal numbers are verified' figures
cp figures expected
ok 'and nearly all are flushed' grep -q 'SNR [0-9.]* dB' expected
the_same() { figures "$@" && diff expected figures; }
in_path() { ( QUANTBENCH_PLUGIN_PATH=$PWD/$1.so; export QUANTBENCH_PLUGIN_PATH; shift; the_same "$@" ) }
for tap_which in flush round fast; do
    ok "the same with $tap_which.so in QUANTBENCH_PLUGIN_PATH" in_path $tap_which
    ok "the same of cpu_generic with $tap_which.so" in_path $tap_which --kernel=cpu_generic
    ok "the same with $tap_which.so without isolation" in_path $tap_which --no-isolate
    ok "the same in a worker with $tap_which.so" in_path $tap_which --isolate
done
for tap_which in plain flush round; do
    ok "the kernel of $tap_which.so is verified" the_same --plugin=$tap_which.so --kernel=environment_none
    ok "the kernel of $tap_which.so is verified in this process" the_same --plugin=$tap_which.so \
        --kernel=environment_none --no-isolate
done

# rejected KERNEL WORDS ARGUMENT...
# shellcheck disable=SC2086
rejected()
{
    tap_kernel=$1 tap_words=$2
    shift 2
    run 4 $small --dtype=float --num-tokens=4 --hidden-size=64 --plugin=plain.so --kernel="$tap_kernel" "$@" &&
        err_has "kernel $tap_kernel: leaves the floating-point environment changed: $tap_words"
}
others_survive()
{
    run 4 $small --dtype=float --num-tokens=4 --hidden-size=64 --plugin=plain.so --no-isolate \
        --kernel="$1,environment_none,cpu_generic" && [ "$(grep -v ' not verified$' out | grep -c ' verified$')" -eq 2 ]
}
case $(uname -m) in x86_64 | aarch64) tap_kernels='round flush' ;; *) tap_kernels=round ;; esac
for tap_one in $tap_kernels; do
    case $tap_one in round) tap_words='the rounding mode' ;; *) tap_words='flush to zero' ;; esac
    ok "a kernel that leaves it changed: $tap_one" rejected environment_$tap_one "$tap_words"
    ok "in this process: $tap_one" rejected environment_$tap_one "$tap_words" --no-isolate
    ok "the next kernels are none the worse: $tap_one" others_survive environment_$tap_one
done
if plugin threaded -fopenmp 2>/dev/null; then
    mv threaded.so plain.so
    ok 'a kernel that leaves it changed in its threads' rejected environment_threads 'the rounding mode'
    ok 'the next kernels are none the worse' others_survive environment_threads
    if [ "$(uname -m)" = x86_64 ]; then
        ok 'one that changes the mode of SSE alone there' rejected environment_sse 'the rounding mode'
    else
        skip 'one that changes the mode of SSE alone there' 'there is no SSE'
    fi
else
    skip 'a kernel that leaves it changed in its threads' "$CC takes no -fopenmp"
    skip 'the next kernels are none the worse' "$CC takes no -fopenmp"
    skip 'one that changes the mode of SSE alone there' "$CC takes no -fopenmp"
fi

# ---- What is preloaded -----------------------------------------------------------------------------------------------

preloaded() { ( LD_PRELOAD=$PWD/$1.so; export LD_PRELOAD; shift; "$@" ) }
plugin preload_flush -DLOAD_ONLY -DLOAD_FLUSH
plugin preload_round -DLOAD_ONLY -DLOAD_ROUND
cat >conversion.c <<'END'
#include "quantbench.h"
#include <math.h>
uint32_t qb_format_encode(enum qb_format format, float value) /* which truncates */
{
    return format == QB_FORMAT_INT8 && fabsf(value) < 127 ? (uint8_t)(int8_t)value : 0x7F;
}
END
cat >power.c <<'END'
#include <math.h>
float ldexpf(float value, int exponent) /* of half the value */
{
    return (float)ldexp((double)value, exponent - 1);
}
END
refuses()
{
    # shellcheck disable=SC2086
    preloaded "$1" run 3 $small --num-tokens=4 --hidden-size=64 && err_has 'the reference does not compute the contract' &&
        err_has "$2" && [ ! -s out ]
}
if build conversion conversion.c -O2 && build power power.c -fno-builtin && [ -e "$builddir/.libs/libquantbench.so" ] &&
    preloaded power "$QUANTBENCH" --version >out 2>&1 && ! grep -q -i 'preload\|runtime' out; then
    ok 'the same where subnormals were flushed before main()' preloaded preload_flush the_same
    ok 'the same where the rounding mode was changed before main()' preloaded preload_round the_same
    ok 'the same of a worker there' preloaded preload_flush the_same --isolate
    ok 'a reference with another conversion is refused, with a value' refuses conversion 'expected 0x'
    ok 'a reference with another ldexpf() is refused, by its digest' refuses power digest
    ok 'nothing is refused that does not verify' preloaded conversion run 0 --list-devices
else
    skip 'what is preloaded' 'nothing can be preloaded here'
fi
done_testing
