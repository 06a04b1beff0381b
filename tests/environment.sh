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
ok 'environment: a plain plug-in is built' plugin plain
ok 'environment: a plug-in that flushes subnormals when loaded is built' plugin flush -DLOAD_FLUSH
ok 'environment: a plug-in that changes the rounding mode when loaded is built' plugin round -DLOAD_ROUND
# The option makes the linker add the constructor, as far as the compiler is one that does so.
ok 'environment: a plug-in linked with -ffast-math is built' plugin fast -ffast-math -fno-finite-math-only

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
ok 'subnormals: their codes are verified' figures
cp figures expected
ok 'subnormals: the report has their SNR' grep -q 'SNR [0-9.]* dB' expected
the_same() { figures "$@" && diff expected figures; }
in_path() { ( QUANTBENCH_PLUGIN_PATH=$PWD/$1.so; export QUANTBENCH_PLUGIN_PATH; shift; the_same "$@" ) }
for tap_which in flush round fast; do
    ok "$tap_which.so in QUANTBENCH_PLUGIN_PATH: subnormals have the same result" in_path $tap_which
    ok "$tap_which.so in QUANTBENCH_PLUGIN_PATH: cpu_generic has the same result" in_path $tap_which --kernel=cpu_generic
    ok "$tap_which.so with --no-isolate: subnormals have the same result" in_path $tap_which --no-isolate
    ok "$tap_which.so with --isolate: subnormals have the same result" in_path $tap_which --isolate
done
for tap_which in plain flush round; do
    ok "$tap_which.so: its kernel is verified" the_same --plugin=$tap_which.so --kernel=environment_none
    ok "$tap_which.so with --no-isolate: its kernel is verified" the_same --plugin=$tap_which.so \
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
    ok "kernel that changes the environment: $tap_one is refused" rejected environment_$tap_one "$tap_words"
    ok "kernel that changes the environment: $tap_one is refused with --no-isolate" rejected environment_$tap_one "$tap_words" --no-isolate
    ok "kernel that changes the environment: $tap_one leaves the next kernels right" others_survive environment_$tap_one
done
if plugin threaded -fopenmp 2>/dev/null; then
    mv threaded.so plain.so
    ok 'kernel that changes the environment: its threads are noticed' rejected environment_threads 'the rounding mode'
    ok 'kernel that changes the environment: its threads leave the next kernels right' others_survive environment_threads
    if [ "$(uname -m)" = x86_64 ]; then
        ok 'kernel that changes the environment: SSE alone, in its threads, is noticed' rejected environment_sse 'the rounding mode'
    else
        skip 'kernel that changes the environment: SSE alone, in its threads, is noticed' 'there is no SSE'
    fi
else
    skip 'kernel that changes the environment: its threads are noticed' "$CC takes no -fopenmp"
    skip 'kernel that changes the environment: its threads leave the next kernels right' "$CC takes no -fopenmp"
    skip 'kernel that changes the environment: SSE alone, in its threads, is noticed' "$CC takes no -fopenmp"
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
    ok 'changed before main(): flushed subnormals have the same result' preloaded preload_flush the_same
    ok 'changed before main(): another rounding mode has the same result' preloaded preload_round the_same
    ok 'changed before main(): a worker has the same result' preloaded preload_flush the_same --isolate
    ok 'reference: another conversion is refused, with a value' refuses conversion 'expected 0x'
    ok 'reference: another ldexpf() is refused, by its digest' refuses power digest
    ok 'reference: a wrong one is not refused where nothing is verified' preloaded conversion run 0 --list-devices
else
    skip 'changed before main(): libraries that are preloaded' 'nothing can be preloaded here'
fi
done_testing
