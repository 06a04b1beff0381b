#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# experts.sh - the rows of experts from the command line to the reports: the cases of a sweep, their tensors and bytes,
# how rows are shared out, what does not go together, that each kernel of this CPU is proved, and that each of a plug-in
# that is wrong in one way is found.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

small='--device=cpu --threads=1 --num-tokens=24 --hidden-size=64 --experts=4 --quant-dtype=fp8 --granularity=group:16'
fast='--num-iters=2 --num-warmup-iters=0 --rounds=2'

# ---- Cases ----------------------------------------------------------------------------------------------------------

ok 'cases: both kinds of rows are swept' cases 4 --expert-rows=offsets,masked --op=quantize,silu-mul
by_default() { cases 1 && out_has '"experts": 4,' && out_has '"expert_rows": "offsets",' && out_has '"expert_tokens": 24'; }
ok 'cases: experts have all rows by offsets' by_default
half() { cases 1 --expert-rows=masked && out_has '"expert_tokens": 12'; }
ok 'cases: of masked rows half' half
# moved READ WRITTEN ARGUMENT...
moved()
{
    tap_read=$1 tap_written=$2
    shift 2
    cases 1 "$@" && out_has "\"bytes_read\": $tap_read," && out_has "\"bytes_written\": $tap_written,"
}
ok 'bytes: the input, offsets, codes and scales' moved $((24 * 128 + 40)) $((24 * 64 + 24 * 16))
ok 'bytes: only of rows that there are' moved $((12 * 128 + 32)) $((12 * 64 + 12 * 16)) --expert-rows=masked
ok 'bytes: a scale for each expert' moved $((5 * 128 + 40)) $((5 * 64 + 16)) --granularity=tensor --expert-tokens=5
tensors() { cases 1 && same 'input codes scales experts ' "$(sed -n 's/.*"role": "\(.*\)",*/\1/p' out | tr '\n' ' ')"; }
ok 'tensors: the table of experts' tensors
# shellcheck disable=SC2086
text() { run 0 $small --dry-run && grep -q '^experts .* 5 x 1 .*read$' out && out_has 'experts 4, expert rows offsets, expert tokens 24'; }
ok 'tensors: as text' text

# ---- What does not go together --------------------------------------------------------------------------------------

# shellcheck disable=SC2086
refused()
{
    tap_why=$1
    shift
    fails 2 "$tap_why" $small "$@"
}
ok 'refused: an operation on whole tensors' refused \
    '--experts: conflicts with --op=rms-norm; it requires quantize, silu-mul or gelu-mul' --op=quantize,rms-norm
ok 'refused: scales of columns' refused '--granularity=channel: conflicts with --experts; it requires tensor, token or group:G' \
    --granularity=channel
ok 'refused: scales of blocks' refused '--granularity=block:8x8: conflicts with --experts' --granularity=block:8x8
ok 'refused: zero points' refused '--asymmetric: conflicts with --experts' --quant-dtype=int8 --asymmetric
ok 'refused: as much room for each expert, of which there is a rest' refused '--num-tokens=26: expected a multiple of --experts=4' \
    --num-tokens=26 --expert-rows=masked
ok 'refused: more rows than there are' refused '--expert-tokens=25: more than --num-tokens=24' --expert-tokens=25
for option in --expert-rows=masked --expert-tokens=5 --expert-load=sparse; do
    ok "refused: ${option%=*} without experts" fails 2 "${option%=*}: requires --experts" --device=cpu "$option"
done

# ---- Kernels --------------------------------------------------------------------------------------------------------

"$QUANTBENCH" --list-kernels --format=json >kernels
for isa in avx512 avx2 neon generic; do
    grep -q "\"cpu_${isa}_silu_mul\"" kernels || continue
    # shellcheck disable=SC2086
    proved()
    {
        run 0 $small $fast --kernel="cpu_$isa*" --isolate --op=quantize,silu-mul --expert-rows=offsets,masked \
            --granularity=tensor,token,group:16 --scale=dynamic,static --expert-load=uneven &&
            same 24 "$(grep -c ' verified' out)"
    }
    # shellcheck disable=SC2086
    narrow()
    {
        run 0 $small $fast --kernel="cpu_$isa*" --op=gelu-mul --expert-rows=offsets,masked --keep-values \
            --quant-dtype=mxfp8,mxfp4,nvfp4 --granularity=group:32 --scale-layout=rows,tiled-128x4 --expert-load=sparse \
            --tensor-scale=computed "$@" && same 4 "$(grep -c ' verified' out)"
    }
    if "$QUANTBENCH" --dry-run --device=cpu --kernel="cpu_$isa" >/dev/null 2>&1; then
        ok "kernels: those for $isa are proved, alone and while they are timed" proved
        ok "kernels: NVFP4 with a tensor scale for each expert, for $isa" narrow --quant-dtype=nvfp4 --granularity=group:16
    else
        skip "kernels: those for $isa are proved" 'this CPU lacks its instructions'
    fi
done
# shellcheck disable=SC2086
layouts()
{
    run 0 $small $fast --quant-dtype=mxfp8 --granularity=group:32 --num-tokens=40 --expert-rows=offsets,masked \
        --scale-layout=rows,columns,packed,tiled-128x4,tiled-8x4 --expert-load=uneven && same 10 "$(grep -c ' verified' out)"
}
ok 'kernels: every layout of scales' layouts

# ---- Kernels that are wrong -----------------------------------------------------------------------------------------

# The kernels call the reference, so they find it in the tool. CC is a list of words.
# shellcheck disable=SC2086
build()
{
    ${CC:-cc} -std=gnu11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$srcdir/src/libquantbench" -o wrong_experts.so \
        "$srcdir/tests/plugins/wrong_experts.c"
}
ok 'wrong: the plug-in is built' build
# by STATUS KERNEL ARGUMENT...
by()
{
    tap_status=$1 tap_kernel=$2
    shift 2
    # shellcheck disable=SC2086
    run "$tap_status" $small --profile --plugin=wrong_experts.so --kernel="moe_$tap_kernel" "$@"
}
right() { by 0 "$@" && out_has 'verified on ' && out_has 'hard cases'; }
for rows in offsets masked; do
    for scale in '--granularity=tensor' '--granularity=token --scale=static' '--quant-dtype=mxfp8 --scale-layout=tiled-8x4' \
        '--quant-dtype=nvfp4 --tensor-scale=computed'; do
        # shellcheck disable=SC2086
        ok "wrong: right kernels are verified, $rows, $scale" right right --expert-rows=$rows $scale
        # shellcheck disable=SC2086
        ok "wrong: so are those with a gate" right right_silu --expert-rows=$rows --op=silu-mul --keep-values $scale
    done
done
# found KERNEL TEXT ARGUMENT...: that it is wrong is found, and TEXT says how.
found()
{
    tap_found=$1 tap_words=$2
    shift 2
    by 4 "$tap_found" "$@" && err_has "kernel moe_$tap_found" && err_has "$tap_words"
}
for rows in offsets masked; do
    ok "wrong: a code in a row that no expert has is found, $rows" found other_row \
        'writes to rows that no expert has: 1 bytes of the codes' --expert-rows=$rows --expert-tokens=12
    ok "wrong: the scale of another expert is found, $rows" found first_scale 'wrong result' --expert-rows=$rows \
        --granularity=tensor
    ok "wrong: a row that is left out is found, $rows" found last_row 'leaves outputs unwritten' --expert-rows=$rows
    ok "wrong: padding that is not 0 is found, $rows" found no_padding 'the scales' --expert-rows=$rows \
        --quant-dtype=mxfp8 --scale-layout=tiled-128x4
    ok "wrong: values of a row that no expert has are found, $rows" found other_values 'of the values' \
        --expert-rows=$rows --expert-tokens=12 --op=silu-mul --keep-values
done
ok 'wrong: rows that do not exist have no part in a scale' found wide_amax 'wrong result' --expert-rows=masked \
    --granularity=tensor
ok 'wrong: scales that begin in the tile of another expert are found' found tight_tiles 'wrong result' \
    --quant-dtype=mxfp8 --scale-layout=tiled-8x4
# A kernel that stops working after its proof.
lazy()
{
    # shellcheck disable=SC2086
    run 4 $small --plugin=wrong_experts.so --kernel="moe_$1" --cache=hot --num-iters=2000 --expert-load=sparse \
        --op="$2" --expert-rows="$3" && err_has 'work left undone'
}
for rows in offsets masked; do
    ok "wrong: a kernel that stops working is found while it is timed, $rows" lazy once quantize $rows
    ok "wrong: so is one with a gate" lazy once_silu silu-mul $rows
done
# shellcheck disable=SC2086
unknowing() { fails 3 'moe_unknowing' $small --plugin=wrong_experts.so --kernel=moe_unknowing; }
ok 'plug-ins: a kernel that does not know experts is not asked about them' unknowing

# ---- Reports --------------------------------------------------------------------------------------------------------

# shellcheck disable=SC2086
measured() { run 0 $small $fast --expert-rows=offsets,masked --expert-load=uneven --output=e.json --output=e.csv --output=e.md --output=gbench:e.gb && cp out e.txt; }
ok 'reports: a run of both kinds of rows' measured
reports_again e text:txt json:json csv:csv markdown:md gbench:gb
cells()
{
    same 'experts expert_rows expert_tokens expert_load 4 offsets 24 uneven 4 masked 12 uneven ' "$(sed 's/"[^"]*"/x/g' e.csv | awk -F, '
        NR == 1 { for (i = 1; i <= NF; i++) place[$i] = i }
        { printf "%s %s %s %s ", $place["experts"], $place["expert_rows"], $place["expert_tokens"], $place["expert_load"] }')"
}
ok 'reports: CSV has the members of experts' cells
# shellcheck disable=SC2086
saved() { run 0 $small $fast --no-verify --runs=5 --save-baseline=base.json; }
ok 'baseline: of experts' saved
# shellcheck disable=SC2086
other() { fails 2 '--baseline: ' $small $fast --no-verify --runs=5 --baseline=base.json "$@"; }
ok 'baseline: other experts are another case' other --experts=8
ok 'baseline: so are other rows' other --expert-tokens=23
# shellcheck disable=SC2086
other_data() { fails 3 'seed 0, sparse load' $small $fast --no-verify --runs=5 --baseline=base.json --expert-load=sparse; }
ok 'baseline: another load is other data' other_data

done_testing
