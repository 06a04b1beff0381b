#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# narrow.sh - narrow formats from the command line to the reports: each recipe in each layout is verified on the CPU, what
# does not go together is a usage error, reports tell cases apart, and a kernel that is wrong in one bit is caught.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

# Sizes with tails: of rows, of groups, and of bytes.
small='--device=cpu --num-tokens=5 --hidden-size=131 --num-iters=2 --num-warmup-iters=0 --rounds=1'
# verified OPTION...: there is a case for each combination, and all are verified.
# shellcheck disable=SC2086
verified()
{
    tap_cases=$1
    shift
    run 0 $small --format=csv "$@" || return 1
    same "$tap_cases" "$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) place[$i] = i; next }
        $place["verification"] == "verified" && $place["wrong_codes"] == 0 && $place["wrong_scales"] == 0 { n++ }
        END { print n + 0 }' out)"
}

# ---- Verified ------------------------------------------------------------------------------------------------------

for recipe in mxfp8 mxfp8-e5m2 mxfp6 mxfp6-e3m2 mxfp4; do
    ok "narrow: $recipe: every layout and rounding" verified 15 --quant-dtype=$recipe \
        --scale-layout=rows,columns,packed,tiled-128x4,tiled-8x4 --scale-rounding=up,floor,even
    ok "narrow: $recipe: static scales, and scales alone" verified 4 --quant-dtype=$recipe --scale=static,amax \
        --scale-layout=columns,tiled-128x4
done
ok 'narrow: codes of 6 bits, four in three bytes' verified 8 --quant-dtype=mxfp6,mxfp6-e3m2 --packing=bytes,dense \
    --scale=dynamic,static
ok 'narrow: nvfp4: every layout, with each tensor scale' verified 12 --quant-dtype=nvfp4 --tensor-scale=none,given,computed \
    --scale-layout=rows,columns,tiled-128x4,tiled-8x4
ok 'narrow: nvfp4: static scales' verified 2 --quant-dtype=nvfp4 --scale=static --tensor-scale=none,given
ok 'narrow: nvfp4: every input' verified 2 --quant-dtype=nvfp4 --dtype=bfloat16,float --tensor-scale=computed
ok 'narrow: int4: symmetric' verified 12 --quant-dtype=int4 --scale-format=float,half --scale=dynamic,static \
    --granularity=tensor,token,group:32
ok 'narrow: int4, int8 and uint4: asymmetric' verified 18 --quant-dtype=int4,int8,uint4 --asymmetric --scale=dynamic,static \
    --granularity=tensor,token,group:32
# The report says what a format has by default, as it does for a recipe.
# shellcheck disable=SC2086
groups()
{
    tap_granularity=$1
    shift
    run 0 $small --dry-run --format=json "$@" && same "$tap_granularity" \
        "$(sed -n 's/.*"granularity": "\(.*\)",/\1/p' out | paste -sd ' ' -)"
}
ok 'narrow: int4 and uint4 have groups of 128 by default' groups 'group:128 group:128 tensor' --quant-dtype=int4,uint4,int8
ok 'narrow: int4 has the granularity that is given' groups 'tensor token' --quant-dtype=int4 --granularity=tensor,token
# shellcheck disable=SC2086
reported() { run 0 $small --quant-dtype=int4 && out_has 'half -> int4, dynamic, group:128,'; }
ok 'narrow: the report says so' reported
# shellcheck disable=SC2086
# paired PAIRS ARGUMENT...: what is compared with what, as numbers of results.
# shellcheck disable=SC2086
paired()
{
    tap_pairs=$1
    shift
    run 0 $small --rounds=2 --compare=quant-dtype --margin=99 --format=json "$@" &&
        same "$tap_pairs" "$(sed -n 's/.*"\(baseline_\)*result": \([0-9]*\),.*/\2/p' out | paste -sd ' ' -)"
}
ok 'narrow: int4 and int8 are compared, each with its own granularity' paired '1 0' --quant-dtype=int4,int8
ok 'narrow: int4 and int8 are compared in the granularities that are given' paired '1 0 3 2' --quant-dtype=int4,int8 \
    --granularity=group:128,tensor
# warned CASES WARNING ARGUMENT...: there are that many cases, and one line that warns.
# shellcheck disable=SC2086
warned()
{
    tap_cases=$1 tap_warning=$2
    shift 2
    run 0 $small --dry-run --format=json "$@" && same "$tap_cases" "$(grep -c '"kernel": ' out)" &&
        same "quantbench: warning: --quant-dtype=$tap_warning" "$(cat err)"
}
ok 'narrow: a problem with two names is measured once' warned 1 'e2m1: the same as mxfp4 with these options; it is measured once' \
    --quant-dtype=mxfp4,e2m1 --scale-format=e8m0 --granularity=group:32
ok 'narrow: only combinations that are the same are left out' warned 3 \
    'e2m1: the same as mxfp4 with these options; it is measured once' \
    --quant-dtype=mxfp4,e2m1,fp8,e2m3 --scale-format=e8m0 --granularity=group:32
ok "narrow: an option that replaces a recipe's scales is announced" warned 1 \
    'mxfp4: --scale-format=e4m3 replaces a part of the recipe; reports call the result e2m1' \
    --quant-dtype=mxfp4 --scale-format=e4m3
ok "narrow: an option that replaces a recipe's groups is announced" warned 1 \
    'mxfp8: --granularity=group:64 replaces a part of the recipe; reports call the result fp8' \
    --quant-dtype=mxfp8 --granularity=group:64
ok 'narrow: uint4 is asymmetric by itself' verified 1 --quant-dtype=uint4 --scale-format=half --granularity=group:128
ok 'narrow: fp8 in groups of 128: the layouts of its scales' verified 5 --quant-dtype=fp8 --granularity=group:128 \
    --scale-format=e8m0 --scale-layout=rows,columns,packed,tiled-128x4,tiled-8x4
ok 'narrow: scales in binary32 in columns' verified 1 --quant-dtype=fp8 --granularity=group:128 --scale-layout=columns
ok 'narrow: a tensor of zeros' verified 4 --quant-dtype=mxfp4,nvfp4,uint4,mxfp6 --dist=zeros
ok 'narrow: groups of another size than the recipe has' verified 1 --quant-dtype=mxfp4 --granularity=group:64

# ---- What does not go together --------------------------------------------------------------------------------------

# refused WORDS OPTION...: a usage error that says WORDS.
# shellcheck disable=SC2086
refused()
{
    tap_words=$1
    shift
    fails 2 "$tap_words" $small "$@"
}
ok 'narrow: a recipe requires groups' refused '--quant-dtype=nvfp4: conflicts with --granularity=token; it requires groups' \
    --quant-dtype=nvfp4 --granularity=token
ok 'narrow: so does a format of scales' refused '--scale-format=e8m0: conflicts with --granularity=tensor; it requires groups' \
    --quant-dtype=fp8 --scale-format=e8m0
ok 'narrow: and a layout' refused '--scale-layout=columns: conflicts with --granularity=token' --scale-layout=columns \
    --granularity=token
ok 'narrow: a rounding requires E8M0' refused '--scale-rounding=even: conflicts with scales in float' --scale-rounding=even
ok 'narrow: a tensor scale requires E4M3' refused '--tensor-scale=given: conflicts with scales in e8m0' --quant-dtype=mxfp4 \
    --tensor-scale=given
ok 'narrow: packed scales are in E8M0' refused '--scale-layout=packed: conflicts with scales in e4m3' --quant-dtype=nvfp4 \
    --scale-layout=packed
ok 'narrow: tiles are of bytes' refused '--scale-layout=tiled-8x4: conflicts with scales in float' --quant-dtype=fp8 \
    --granularity=group:128 --scale-layout=tiled-8x4
ok 'narrow: static scales come with a given tensor scale' refused '--tensor-scale=computed: conflicts with --scale=static' \
    --quant-dtype=nvfp4 --scale=static --tensor-scale=computed
ok 'narrow: dense codes have 6 bits' refused '--packing=dense: conflicts with --quant-dtype=int8' --packing=dense
ok 'narrow: zero points are for integers' refused '--asymmetric: conflicts with --quant-dtype=mxfp4' --asymmetric \
    --quant-dtype=mxfp4
ok 'narrow: and not for channels' refused '--asymmetric: conflicts with --granularity=channel' --asymmetric \
    --granularity=channel
ok 'narrow: one wrong combination of several is an error' refused '--quant-dtype=mxfp8: conflicts with --granularity=token' \
    --quant-dtype=int8,mxfp8 --granularity=group:32,token
ok 'narrow: an unknown recipe' refused "unknown value 'mxfp5'" --quant-dtype=mxfp5

# ---- Reports --------------------------------------------------------------------------------------------------------

# shellcheck disable=SC2086
says_what_it_set()
{
    run 0 $small --quant-dtype=nvfp4 && tr -s '\n ' ' ' <out | grep -qF -e \
        'half -> nvfp4 (e2m1), dynamic, group:16, e4m3 scales, tensor scale given, 5 x 131' && out_has 'out of range'
}
ok 'narrow: the report says what a recipe has set' says_what_it_set
# shellcheck disable=SC2086
read_again()
{
    run 0 $small --quant-dtype=mxfp6,nvfp4 --scale-layout=rows,tiled-8x4 --output=record.json && cp out table &&
        run 0 --report=record.json && cmp out table && out_has 'mxfp6' && out_has 'tiled-8x4' &&
        run 0 --report=record.json --format=json && cmp out record.json && out_has '"recipe": "nvfp4"' &&
        out_has '"scale_layout": "tiled-8x4"' && out_has '"rest_snr_db": '
}
ok 'narrow: a record of it is read again' read_again
# shellcheck disable=SC2086
told_apart()
{
    run 0 $small --quant-dtype=mxfp4 --scale-layout=rows,columns --format=gbench &&
        same 2 "$(sed -n 's/ *"name": "\(quantize.*\)",*/\1/p' out | sed 's/_\(mean\|median\)$//' | sort -u | wc -l | tr -d ' ')"
}
ok 'narrow: names for Google Benchmark tell cases apart' told_apart
# shellcheck disable=SC2086
compared()
{
    run 0 $small --num-iters=24 --quant-dtype=fp8,mxfp8,nvfp4 --compare=quant-dtype &&
        out_has 'mxfp8' && out_has 'nvfp4'
}
ok 'narrow: recipes are compared, with what they bring along' compared
# compares HEAD BASELINE NAME OPTION...: NAME is compared with BASELINE.
# shellcheck disable=SC2086
compares()
{
    tap_head=$1 tap_baseline=$2 tap_name=$3
    shift 3
    run 0 $small --num-iters=24 "$@" && out_has "compare   $tap_head with $tap_baseline" &&
        sed '1,/^compare /d' out | grep -qE "(^| )$tap_name "
}
ok 'narrow: layouts are compared' compares layout rows tiled-8x4 --compare=scale-layout \
    --scale-layout=rows,tiled-8x4 --quant-dtype=mxfp4
ok 'narrow: formats of scales are compared' compares scales float e8m0 --compare=scale-format \
    --scale-format=float,e8m0 --quant-dtype=fp8 --granularity=group:32
ok 'narrow: roundings are compared' compares rounding up even --compare=scale-rounding --scale-rounding=up,even \
    --quant-dtype=mxfp4
ok 'narrow: tensor scales are compared' compares 'tensor scale' given computed --compare=tensor-scale \
    --tensor-scale=given,computed --quant-dtype=nvfp4
ok 'narrow: packings are compared' compares packing bytes dense --compare=packing --packing=bytes,dense \
    --quant-dtype=mxfp6
# A journal and a baseline are those of their own cases.
# shellcheck disable=SC2086
journaled()
{
    rm -f journal
    run 0 $small --quant-dtype=mxfp4 --scale-layout=rows,columns --journal=journal &&
        fails 2 'options.scale-layout is "rows,columns" there' $small --quant-dtype=mxfp4 --scale-layout=rows,packed \
            --resume=journal
}
ok 'narrow: a journal is resumed by its own layouts alone' journaled
# shellcheck disable=SC2086
baseline()
{
    rm -f base.json
    run 0 $small --quant-dtype=mxfp4 --scale-layout=columns --runs=6 --save-baseline=base.json --force || return 1
    "$QUANTBENCH" $small --quant-dtype=mxfp4 --scale-layout=packed --runs=6 --baseline=base.json --force >out 2>err
    same 2 $?
    err_has 'packed'
}
ok 'narrow: a baseline has its own layout alone' baseline
dry()
{
    # 5 x 131 codes of 4 bits take 5 x 66 bytes, the scales of 5 x 5 groups in tiles of 128 x 4 two tiles.
    run 0 --device=cpu --num-tokens=5 --hidden-size=131 --quant-dtype=mxfp4 --scale-layout=tiled-128x4 --dry-run \
        --format=json && out_has "\"bytes_written\": $((5 * 66 + 1024))" && out_has '"scale_layout": "tiled-128x4"'
}
ok 'narrow: --dry-run counts packed codes, and padding' dry

# ---- Caught ---------------------------------------------------------------------------------------------------------

# CC is a list of words.
# shellcheck disable=SC2086
if ! ${CC:-cc} -std=gnu11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$srcdir/src/libquantbench" -o narrow.so \
    "$srcdir/tests/plugins/narrow.c" >compile.log 2>&1; then
    skip 'narrow: plug-ins that are wrong in one bit' 'there is no compiler'
elif ! "$QUANTBENCH" --list-kernels --plugin=narrow.so 2>&1 | grep -qx narrow_right; then
    skip 'narrow: plug-ins that are wrong in one bit' 'plug-ins cannot call the library in this build'
else
    # caught KERNEL WORDS OPTION...: the kernel is found wrong, and the message says where.
    # shellcheck disable=SC2086
    caught()
    {
        tap_kernel=$1 tap_words=$2
        shift 2
        run 4 $small --plugin=narrow.so --kernel="narrow_$tap_kernel" "$@" && err_has "$tap_words"
    }
    mx='--quant-dtype=mxfp4' nv='--quant-dtype=nvfp4 --tensor-scale=computed'
    for options in "$mx --scale-layout=tiled-128x4" "$nv --scale-layout=columns" '--quant-dtype=uint4' \
        '--quant-dtype=mxfp6 --packing=dense' "$mx --scale=static --scale-layout=packed" \
        '--quant-dtype=nvfp4 --scale=static --scale-layout=columns'; do
        ok "narrow: a plug-in that is right is verified: $options" verified 1 --plugin=narrow.so --kernel=narrow_right $options
    done
    ok 'narrow: a byte of padding is found' caught padding 'the padding of the scales, byte 1023: got 0x01 (' $mx \
        --scale-layout=tiled-128x4
    ok 'narrow: one bit of a scale is found' caught scale 'scale [4, 0]: got 0x' $mx --scale-layout=packed
    ok 'narrow: one bit of a half of a byte is found' caught nibble 'code [4, 1] (element 525): input ' $mx
    ok 'narrow: and the scale is told' caught nibble 'scale 0x' $mx
    ok 'narrow: with the tensor scale' caught nibble ', tensor scale ' $nv
    ok 'narrow: and the zero point' caught nibble ', zero point ' --quant-dtype=uint4
    ok 'narrow: a bit after the last code is found' caught tail 'the bits after the last code of row 4: got 0x1, want 0' $mx
    ok 'narrow: a zero point that is off by one is found' caught zero_point 'zero point [4, 0]: got ' --quant-dtype=int8 \
        --asymmetric --granularity=token
    ok 'narrow: one bit of the tensor scale is found' caught tensor_scale 'the tensor scale: got ' $nv
    ok 'narrow: a tensor scale that was kept is found while it is timed' caught stale ', while it was timed: ' $nv --num-tokens=16 \
        --hidden-size=1024 --num-iters=8
fi
done_testing
