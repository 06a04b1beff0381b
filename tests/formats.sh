#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# formats.sh - a format is a row of the table in formats.h: a build with one more format of one byte, and no kernel for it,
# quantizes to it by the generic routines, and --help, completion and the manual have it. A format that no kernel knows is
# refused. That build is made here, from the same sources; QUANTBENCH_TEST_ADDITION=no leaves it out.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

skip_all()
{
    echo "1..0 # SKIP $1"
    exit 0
}
[ "${QUANTBENCH_TEST_ADDITION-}" != no ] || skip_all 'QUANTBENCH_TEST_ADDITION=no: the tool is not built again'
[ -z "${EMULATOR-}" ] || skip_all 'the build is for another architecture'
[ ! -e "$srcdir/config.status" ] || skip_all 'the sources are configured themselves'
command -v make >/dev/null 2>&1 || skip_all 'there is no make'
# A list of words.
# shellcheck disable=SC2086
command -v ${CC:-cc} >/dev/null 2>&1 || skip_all "there is no ${CC:-cc}"

# ---- The build -----------------------------------------------------------------------------------------------------

cat >more.h <<'END_OF_ROWS'
#define QB_FORMAT_E3M4  ((enum qb_format)QB_FORMAT_COUNT)
#define QB_FORMAT_INT16 ((enum qb_format)(QB_FORMAT_COUNT + 1))
#define QB__MORE_BYTE_FORMATS(ROW)                                                       \
    ROW(E3M4, e3m4, "e3m4", "fp8_e3m4", "FP8 E3M4, largest value 30",                    \
        8, 3, 4, 3, 30.0f, 0x7E, 0x7F, QB_SPECIALS_NAN, false, true, false)
#define QB__MORE_FORMATS(ROW)                                                            \
    ROW(INT16, int16, "int16", "i16", "two's complement integer, -32768 to 32767",       \
        16, 0, 15, 0, 32767.0f, 0x7FFF, 0, QB_SPECIALS_NONE, true, true, false)
END_OF_ROWS

# What the tool itself was configured with, but for the CPU alone, and of the two instruction sets of x86 the first, which
# is enough for a kernel that does not know the format.
configures()
{
    eval "set -- $("$builddir/config.status" --config)"
    "$srcdir/configure" "$@" -q --disable-shared --enable-static --without-cuda --disable-cuda-plugin CFLAGS=-O1 \
        CPPFLAGS="-I$work -DQB__MORE_FORMATS_FILE='\"more.h\"'" qb_cv_simd_avx512=no >out 2>err
}
# -Werror is for what is compiled, not for what configure tries.
builds()
{
    make -s -j"$(getconf _NPROCESSORS_ONLN)" CFLAGS='-O1 -Werror' \
        FORMATS="$srcdir/src/libquantbench/formats.h $work/more.h" \
        quantbench completion/quantbench man/quantbench-numerics.7 >out 2>err
}
unset CFLAGS CPPFLAGS LDFLAGS LIBS MAKEFLAGS MFLAGS MAKELEVEL NVCC
ok 'formats: a build with more of them is configured' configures
ok 'formats: a build with more of them compiles without a warning' builds
QUANTBENCH=$work/quantbench
[ -x "$QUANTBENCH" ] || { done_testing; exit; }

# ---- A format without a kernel of its own --------------------------------------------------------------------------

small='--device=cpu --num-tokens=8 --hidden-size=256 --cache=hot --num-iters=1 --num-warmup-iters=0'
# The cases of a CSV whose COLUMNs are the VALUEs: count COLUMN=VALUE...
count()
{
    awk -F, -v wanted="$*" '
        NR == 1 { for (i = 1; i <= NF; i++) place[$i] = i; n = split(wanted, pairs, " "); next }
        {
            good = 1
            for (i = 1; i <= n; i++) {
                split(pairs[i], pair, "=")
                good = good && pair[1] in place && $place[pair[1]] == pair[2]
            }
            cases += good
        }
        END { print cases + 0 }' out
}
# $small is a list of options.
# shellcheck disable=SC2086
verified()
{
    run 0 $small --quant-dtype=e3m4 --format=csv --dtype=half,bfloat16,float --scale=static,dynamic \
        --granularity=tensor,token,channel,group:128,block:4x64 || return 1
    same 30 "$(count quant_dtype=e3m4 kernel=cpu_generic verification=verified wrong_codes=0 wrong_scales=0)"
}
ok 'formats: the generic routines quantize to a new one, and are verified' verified
# shellcheck disable=SC2086
reported()
{
    run 0 $small --quant-dtype=e3m4 --output=record.json && run 0 --report=record.json &&
        out_has 'quantize  half -> e3m4' && out_has 'codes     verified'
}
ok 'formats: a record of a new one is read again' reported
# refuses WORD OPTION...: no kernel is found, or not that which was asked for; there is no report, and no crash.
# shellcheck disable=SC2086
refuses()
{
    tap_word=$1
    shift
    fails 3 "$tap_word" $small "$@"
}
if "$QUANTBENCH" --list-kernels | grep -qx cpu_avx2; then
    ok 'formats: a kernel without routines for a new one refuses it' refuses "'cpu_avx2' cannot run half -> e3m4" --quant-dtype=e3m4 \
        --kernel=cpu_avx2
else
    skip 'formats: a kernel without routines for a new one refuses it' 'there is no kernel but the generic one, or none for x86'
fi
ok 'formats: codes that no kernel knows are refused' refuses 'device cpu lacks a kernel that can run' --quant-dtype=int16
ok 'formats: codes that it lacks are refused by the generic kernel' refuses 'cannot run half -> int16' --quant-dtype=int16 --kernel=cpu_generic
ok 'formats: an input that no kernel knows is refused' refuses 'device cpu lacks a kernel that can run' --dtype=int16
ok 'formats: an input that no kernel knows is refused with new codes too' refuses 'device cpu lacks a kernel that can run' --dtype=int16 --quant-dtype=e3m4

# ---- Where formats are listed --------------------------------------------------------------------------------------

"$QUANTBENCH" --help >out
helps() { tr -s '\n ' ' ' <out | grep -qF 'output: int8, fp8, e5m2, e2m1, e2m3, e3m2, int4, uint4, e3m4, int16, mxfp8, mxfp8-e5m2, mxfp6, mxfp6-e3m2, mxfp4, nvfp4 (or i8, e4m3, fp8_e5m2, fp4, fp6_e2m3, fp6_e3m2, i4, u4, fp8_e3m4, i16) [int8]'; }
ok 'formats: --help has a new one' helps
ok 'formats: the completion has a new one' grep -qF -e "--quant-dtype) choices='mxfp8 mxfp8-e5m2 mxfp6 mxfp6-e3m2 mxfp4 nvfp4 int8 fp8 e5m2 e2m1 e2m3 e3m2 int4 uint4 e3m4 int16'" completion/quantbench
ok 'formats: the error of an unknown one has a new one' fails 2 'e3m4' --quant-dtype=bogus
row() { same "$2" "$(grep "^$1	" man/quantbench-numerics.7 | tr '\t' ';')"; }
ok 'formats: the table of the manual has a new one' row e3m4 'e3m4;1, 3, 4;3;30;NaN 0x7F, 0xFF'
ok 'formats: the table of the manual has an integer' row int16 'int16;16, integer;\-;32767;none'
ok 'formats: the table of the manual has a number that C writes in another way' row bfloat16 'bfloat16;1, 8, 7;127;3.39e38;as in IEEE 754'
done_testing
