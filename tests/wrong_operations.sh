#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# wrong_operations.sh - kernels of all operations that are right are verified, and each that is wrong in one way is
# found.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

# The kernels call the reference, so they find it in the tool. CC is a list of words.
# shellcheck disable=SC2086
build()
{
    ${CC:-cc} -std=gnu11 -O2 -ffp-contract=off -Wall -Wextra -Werror -fPIC -shared -I"$srcdir/src/libquantbench" \
        -o wrong_operations.so "$srcdir/tests/plugins/wrong_operations.c" -lm
}
ok 'operations: the plug-in is built' build

# operation STATUS KERNEL OPERATION ARGUMENT...
operation()
{
    tap_status=$1 tap_kernel=$2 tap_operation=$3
    shift 3
    run "$tap_status" --device=cpu --threads=1 --profile --plugin=wrong_operations.so --kernel="op_$tap_kernel" \
        --op="$tap_operation" --num-tokens=9 --hidden-size=96 "$@"
}
right() { operation 0 "$@" && out_has 'verified on ' && out_has 'hard cases'; }
for format in int8 fp8 mxfp8 mxfp4 nvfp4 uint4; do
    ok "operations: a right norm to $format is verified" right right_rms rms-norm --quant-dtype=$format
    ok "operations: a right gate to $format is verified" right right_silu silu-mul --quant-dtype=$format
done
for type in half bfloat16 float; do
    for how in input last float; do
        ok "operations: a right norm of $type, intermediate $how, with a residual and its values is verified" \
            right right_add add-rms-norm --dtype=$type --intermediate=$how --keep-values --granularity=token
    done
    ok "operations: gelu of $type is verified" right right_gelu gelu-mul --dtype=$type --granularity=group:32 --gate=interleaved
    ok "operations: gelu by the error function of $type is verified" right right_gelu gelu-mul --dtype=$type --gelu=erf
    ok "operations: dequantizing to $type is verified" right right_dequantize dequantize --dtype=$type \
        --quant-dtype=mxfp4 --scale-layout=tiled-128x4
done
ok 'operations: a gate with a limit, alpha and an offset is verified' right right_silu silu-mul --gate-limit=7 \
    --alpha=1.702 --up-offset=1 --granularity=token
ok 'operations: given scales are verified' right right_silu silu-mul --scale=static --quant-dtype=fp8
ok 'operations: scales alone are verified' operation 0 right_rms rms-norm --scale=amax

# found KERNEL OPERATION TEXT ARGUMENT...: that it is wrong is found, and TEXT says how.
found()
{
    tap_found=$1 tap_of=$2 tap_words=$3
    shift 3
    operation 4 "$tap_found" "$tap_of" "$@" && err_has "kernel op_$tap_found" && err_has "$tap_words"
}
for type in half bfloat16 float; do
    for heads in '--head-size=96' '--head-size=32 --rotary=20 --pairing=adjacent --weights=float --intermediate=float'; do
        for scale in '--scale=static' '--granularity=token --keep-values' '--granularity=group:16'; do
            # Lists of options.
            # shellcheck disable=SC2086
            ok "operations: a right rotation of $type, $heads $scale, is verified" right right_rope rope --dtype=$type $heads $scale
        done
    done
done
# Where the products of halves are exact, they may be fused.
ok 'operations: fused products that are exact are verified' right unrounded_rope rope --head-size=96 --quant-dtype=fp8
ok 'operations: a rounding that a rotation leaves out is found' found unrounded_rope rope 'wrong result' --head-size=96 \
    --dtype=float --keep-values --weights=float
ok 'operations: it is found in halves rotated by binary32' found unrounded_rope rope 'wrong result' --head-size=96 --keep-values \
    --weights=float --num-tokens=400
ok 'operations: positions that are ignored are found' found no_positions rope 'wrong result' --head-size=96
ok 'operations: positions that are taken for one after the other are found on hard data' found running rope 'hard data' \
    --head-size=32
ok 'operations: pairs of other elements are found' found other_pairs rope 'wrong result' --head-size=32
ok 'operations: rotated values that are not written are found' found no_values_rope rope 'leaves outputs unwritten' --keep-values \
    --head-size=32
ok 'operations: a rounding that a gate leaves out is found' found unrounded_silu silu-mul 'wrong result'
ok 'operations: a rounding that a norm leaves out is found' found unrounded_rms rms-norm 'wrong result'
ok 'operations: a missing epsilon is found' found no_epsilon rms-norm 'wrong result'
ok 'operations: another order of additions is found' found in_order rms-norm 'wrong result' --dtype=float --keep-values
ok 'operations: a coarse root is found' found coarse rms-norm 'wrong result'
for type in half bfloat16; do
    for format in int8 fp8 nvfp4; do
        ok "operations: a coarse root passes for fast math, $type to $format" operation 0 fast rms-norm --dtype=$type \
            --quant-dtype=$format --num-tokens=300 --keep-values
    done
done
ok 'operations: a limit that is dropped is found' found no_limit silu-mul 'wrong result' --gate-limit=2
ok 'operations: an offset that is dropped is found' found no_offset silu-mul 'wrong result' --up-offset=1
ok 'operations: gate and up in other places are found' found swapped silu-mul 'wrong result'
ok 'operations: another form of GELU is found' found other_gelu gelu-mul 'wrong result' --gelu=erf
ok 'operations: an exponential of binary32 is found on hard data' found naive silu-mul 'every gate' --keep-values
ok 'operations: a wrong sum is found and named' found sum_of_input add-rms-norm 'sum ['
ok 'operations: a sum that is not written is found' found no_sum add-rms-norm 'leaves outputs unwritten'
ok 'operations: values that are not written are found' found no_values rms-norm 'leaves outputs unwritten' --keep-values
# Caches of 9 tokens with 2 heads of 24, in pages of 4.
right_kv() { operation 0 right_kv kv-write --head-size=24 --page-size=4 "$@" && out_has 'verified on ' && out_has 'hard cases'; }
for layout in nhd hnd; do
    for format in int8 fp8 e5m2; do
        ok "operations: a right write of $format into $layout pages is verified" right_kv --page-layout=$layout --quant-dtype=$format
    done
    for type in half bfloat16 float; do
        for kind in token group:24 group:8; do
            ok "operations: one of $type, $kind, into $layout pages is verified" right_kv --page-layout=$layout --dtype=$type \
                --quant-dtype=fp8 --granularity=$kind
        done
    done
    ok "operations: one by given scales of heads, into $layout pages, is verified" right_kv --page-layout=$layout \
        --granularity=group:24 --scale=static
done
for size in 1 3 64; do
    ok "operations: one into pages of $size is verified" right_kv --page-size=$size --granularity=token
done
# found_kv KERNEL TEXT ARGUMENT...
found_kv()
{
    tap_fault=$1 tap_says=$2
    shift 2
    found "$tap_fault" kv-write "$tap_says" --head-size=24 --page-size=4 "$@"
}
for kind in tensor token; do
    ok "operations: a token that has no slot but is written is found, $kind" found_kv all_tokens 'slots that no token has' \
        --granularity=$kind --num-tokens=2
    ok "operations: pages of another layout are found, $kind" found_kv other_pages 'slots that no token has' --granularity=$kind
    ok "operations: slots that are counted, not read, are found, $kind" found_kv by_token 'slots that no token has' \
        --granularity=$kind
    ok "operations: keys in the place of values are found, $kind" found_kv exchanged 'wrong result' --granularity=$kind
done
ok 'operations: scales of other heads are found' found_kv other_scales 'scale [' --granularity=group:24
# In NVFP4, of heads of 64, so that a head has four scales.
nvfp4='--quant-dtype=nvfp4 --hidden-size=256 --head-size=64'
for layout in nhd hnd; do
    # Lists of options, as below.
    # shellcheck disable=SC2086
    {
        ok "operations: a right write of NVFP4 into $layout pages is verified" right_kv --page-layout=$layout $nvfp4
        ok "operations: one tensor scale for keys and values is found, $layout" found_kv one_tensor 'scale [' --page-layout=$layout $nvfp4
        ok "operations: interleaved scales of values are found, $layout" found_kv interleaved 'slots that no token has' \
            --page-layout=$layout $nvfp4
        ok "operations: NVFP4 in pages of another layout is found, $layout" found_kv other_pages 'slots that no token has' \
            --page-layout=$layout $nvfp4
        ok "operations: a token in NVFP4 that has no slot but is written is found, $layout" found_kv all_tokens \
            'slots that no token has' --page-layout=$layout $nvfp4 --num-tokens=2
        ok "operations: slots that are counted, not read, are found in NVFP4, $layout" found_kv by_token 'slots that no token has' \
            --page-layout=$layout $nvfp4
        ok "operations: keys in the place of values are found in NVFP4, $layout" found_kv exchanged 'wrong result' \
            --page-layout=$layout $nvfp4
        ok "operations: scales of other groups are found in NVFP4, $layout" found_kv other_scales 'scale [' --page-layout=$layout $nvfp4
    }
done
# Data of which both tensor scales are the same: the hard data tell.
for data in '--dist=zeros' '--dist=outliers --scale-ub=1'; do
    # shellcheck disable=SC2086
    ok "operations: one tensor scale is found on hard data, $data" found_kv one_tensor 'hard data' $data $nvfp4
done
# Reading such caches.
right_read() { operation 0 right_read kv-read --head-size=24 --page-size=4 "$@" && out_has 'verified on ' && out_has 'hard cases'; }
found_read()
{
    tap_fault=$1 tap_says=$2
    shift 2
    found "${tap_fault}_read" kv-read "$tap_says" --head-size=24 --page-size=4 "$@"
}
for layout in nhd hnd; do
    for type in half bfloat16 float; do
        # shellcheck disable=SC2086
        for kind in '--quant-dtype=int8' '--quant-dtype=e5m2 --granularity=token' '--quant-dtype=fp8 --granularity=group:8' \
            '--quant-dtype=fp8 --granularity=group:24 --scale=static' "$nvfp4"; do
            ok "operations: a right read to $type of $layout pages, $kind, is verified" right_read --page-layout=$layout \
                --dtype=$type $kind
        done
    done
    # shellcheck disable=SC2086
    for kind in '--granularity=tensor' '--granularity=token' "$nvfp4"; do
        ok "operations: a row of a token without a slot that is written is found, $layout, $kind" found_read all_tokens \
            'rows of tokens that have no slot' --page-layout=$layout $kind
        ok "operations: reading pages of another layout is found, $layout, $kind" found_read other_pages 'wrong result' \
            --page-layout=$layout $kind
        ok "operations: reading slots that are counted is found, $layout, $kind" found_read by_token 'wrong result' \
            --page-layout=$layout $kind
        ok "operations: reading keys in the place of values is found, $layout, $kind" found_read exchanged 'wrong result' \
            --page-layout=$layout $kind
        ok "operations: reading scales of others is found, $layout, $kind" found_read other_scales 'wrong result' \
            --page-layout=$layout $kind
    done
    # shellcheck disable=SC2086
    {
        ok "operations: reading by one tensor scale is found, $layout" found_read one_tensor 'wrong result' --page-layout=$layout $nvfp4
        ok "operations: it is found on hard data, $layout" found_read one_tensor 'hard data' --page-layout=$layout $nvfp4 --dist=zeros
        ok "operations: reading interleaved scales is found, $layout" found_read interleaved 'wrong result' --page-layout=$layout $nvfp4
    }
done
# Columns.
for op in transpose dual; do
    for type in half bfloat16 float; do
        for kind in group:32 group:4 block:16x32; do
            ok "operations: right columns of $type, $kind, by $op are verified" right right_$op $op --dtype=$type \
                --quant-dtype=fp8 --granularity=$kind
        done
    done
    for layout in rows columns packed tiled-128x4 tiled-8x4; do
        ok "operations: right columns by $op with scales in $layout are verified" right right_$op $op --quant-dtype=mxfp8 \
            --scale-layout=$layout --num-tokens=100
    done
    ok "operations: codes that $op did not transpose are found" found unturned_$op $op 'wrong result' --granularity=group:32
done
ok 'operations: one of two results that is wrong is named' found unturned_dual dual 'transposed scale [' --granularity=group:32
ok 'operations: codes of the rows in the place of those of the columns are found' found own_scales dual 'transposed code [' \
    --granularity=group:32
ok 'operations: they are right for blocks' operation 0 own_scales dual --granularity=block:16x16
ok 'operations: scales of the other side are found' found other_side dual 'transposed scale [' --granularity=block:16x16 \
    --num-tokens=40
ok 'operations: a code of NaN that becomes 0 is found' found no_nan dequantize 'any codes and scales' --quant-dtype=fp8

# A kernel that stops working after its proof.
lazy()
{
    # An operation, and its options.
    # shellcheck disable=SC2086
    run 4 --device=cpu --threads=1 --plugin=wrong_operations.so --kernel="op_$1" --op=$2 --num-tokens=4 --hidden-size=64 \
        --cache=hot --num-iters=2000 && err_has 'work left undone'
}
ok 'operations: a gate that stops working is found while it is timed' lazy once_silu silu-mul
ok 'operations: a rotation that stops working is found while it is timed' lazy once_rope 'rope --head-size=32'
ok 'operations: a write into a cache that stops working is found while it is timed' lazy once_kv 'kv-write --head-size=32'
ok 'operations: reading a cache that stops is found while it is timed' lazy once_read 'kv-read --head-size=32'
ok 'operations: columns that stop working are found while they are timed' lazy once_transpose 'transpose --granularity=group:32'
ok 'operations: those beside rows that go on are too' lazy once_dual 'dual --granularity=group:32'
ok 'operations: a norm that stops working is found while it is timed' lazy once_add add-rms-norm
ok 'operations: an operation without a kernel names it' run 3 --device=cpu --kernel=cpu_generic --op=rms-norm
done_testing
