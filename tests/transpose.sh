#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# transpose.sh - codes of the transposed input, alone and beside those of the rows, from the command line to the
# reports: their tensors and bytes, what does not go together, and that each kernel of this CPU is proved.
# wrong_operations.sh has kernels that are wrong.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

small='--device=cpu --threads=1 --num-tokens=10 --hidden-size=96'
fast='--num-iters=2 --num-warmup-iters=0 --rounds=2'

# ---- Cases ----------------------------------------------------------------------------------------------------------

ok 'cases: operations are swept' cases 6 --op=quantize,transpose,dual --granularity=group:32,block:16x16

# moved READ WRITTEN ARGUMENT...
moved()
{
    tap_read=$1 tap_written=$2
    shift 2
    cases 1 "$@" && out_has "\"bytes_read\": $tap_read," && out_has "\"bytes_written\": $tap_written,"
}
ok 'bytes: transposed codes, and a scale for each group of tokens' moved $((10 * 96 * 2)) $((10 * 96 + 96 * 3 * 4)) \
    --op=transpose --granularity=group:4
ok 'bytes: the input once, and both results' moved $((10 * 96 * 2)) $((2 * 10 * 96 + 10 * 24 * 4 + 96 * 3 * 4)) \
    --op=dual --granularity=group:4
ok 'bytes: a scale for each block in both' moved $((10 * 96 * 2)) $((2 * 10 * 96 + 2 * 6 * 4)) --op=dual \
    --granularity=block:16x16
ok 'bytes: of MXFP8 a byte for each group' moved $((10 * 96 * 2)) $((2 * 10 * 96 + 10 * 3 + 96)) --op=dual \
    --quant-dtype=mxfp8
tensors()
{
    cases 1 --op=dual --granularity=group:32 &&
        same 'input codes scales transposed codes transposed scales ' "$(sed -n 's/.*"role": "\(.*\)",*/\1/p' out | tr '\n' ' ')"
}
ok 'tensors: both results' tensors
# shellcheck disable=SC2086
text()
{
    run 0 $small --dry-run --op=dual --granularity=group:4 && grep -q '^transposed codes .* 96 x 10 .*written$' out &&
        grep -q '^transposed scales .* 96 x 3 .*written$' out
}
ok 'tensors: as text' text

# ---- What does not go together --------------------------------------------------------------------------------------

# shellcheck disable=SC2086
refused()
{
    tap_why=$1
    shift
    fails 2 "$tap_why" $small "$@"
}
for op in transpose dual; do
    ok "refused: one scale for all of $op" refused "--granularity=tensor: conflicts with --op=$op; it requires group:G or block:RxC" \
        --op=$op
    ok "refused: given scales of $op" refused "--scale=static: conflicts with --op=$op; it requires dynamic" --op=$op \
        --granularity=group:32 --scale=static
    ok "refused: codes of 4 bits of $op" refused "--op=$op: requires codes of 8 bits" --op=quantize,$op --quant-dtype=mxfp4
    ok "refused: scales in half of $op" refused "--scale-format=half: conflicts with --op=$op; it requires float or e8m0" \
        --op=$op --granularity=group:32 --scale-format=half
    ok "refused: the cost of scales of $op" refused "--split: conflicts with --op=$op" --op=$op --granularity=group:32 --split
    ok "refused: kept values of $op" refused "--keep-values: conflicts with --op=$op" --op=$op --granularity=group:32 --keep-values
done

# ---- Files ----------------------------------------------------------------------------------------------------------

tensor '\000\074' >tensor.npy
file() { run 0 --device=cpu --threads=1 --op=dual --granularity=group:4 --input=tensor.npy $fast && out_has ' verified on '; }
ok 'file: its rows and columns' file

# ---- Kernels --------------------------------------------------------------------------------------------------------

"$QUANTBENCH" --list-kernels --format=json >kernels
for kernel in $(sed -n 's/.*"name": "\(cpu_[a-z0-9]*_\(transpose\|dual\)\)".*/\1/p' kernels); do
    op=${kernel##*_}
    # shellcheck disable=SC2086
    proved()
    {
        run 0 $small $fast --kernel="$kernel" --op="$op" --isolate --granularity=group:32,group:5,block:4x16 \
            --quant-dtype=int8,fp8,e5m2 && same 9 "$(grep -c ' verified' out)"
    }
    # shellcheck disable=SC2086
    laid_out()
    {
        run 0 $small $fast --kernel="$kernel" --op="$op" --isolate --num-tokens=1,70 --quant-dtype=mxfp8 \
            --scale-layout=rows,columns,packed,tiled-128x4,tiled-8x4 && same 10 "$(grep -c ' verified' out)"
    }
    if "$QUANTBENCH" --dry-run --device=cpu --kernel="$kernel" --op="$op" --granularity=group:32 >/dev/null 2>&1; then
        ok "kernels: $kernel is proved, alone and while it is timed" proved
        ok "kernels: $kernel with MXFP8 in each layout" laid_out
    else
        skip "kernels: $kernel is proved" 'this CPU lacks its instructions'
    fi
done
ok 'kernels: there are some' grep -q '"operation": "dual"' kernels

# ---- Reports --------------------------------------------------------------------------------------------------------

# shellcheck disable=SC2086
measured() { run 0 $small $fast --op=transpose,dual --granularity=group:32 --output=t.json --output=t.csv --output=t.md && cp out t.txt; }
ok 'reports: a run of both' measured
reports_again t text:txt json:json csv:csv markdown:md
# shellcheck disable=SC2086
both() { run 0 $small $fast --op=dual --granularity=block:16x16 && out_has "verified on $((2 * 10 * 96)) elements"; }
ok 'reports: the elements of both results are counted' both

done_testing
