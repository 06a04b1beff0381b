#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# against.sh - --against: the codes of a checkpoint next to ours, as text and JSON, and what is refused.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"
# shellcheck source=tests/safetensors.sh
. "$srcdir/tests/safetensors.sh"

# 2 x 32 elements: 1 in each, and 2 in the last.
{
    safetensors '{"w":{"dtype":"F16","shape":[2,32],"data_offsets":[0,128]}}'
    repeated 63 '\000\074'
    printf '\000\100'
} >original.safetensors
# Codes of FP8 with a scale of 1 for each row: 1 in all.
{
    safetensors '{"w":{"dtype":"F8_E4M3","shape":[2,32],"data_offsets":[0,64]},"w_scale":{"dtype":"BF16","shape":[2,1],"data_offsets":[64,68]}}'
    repeated 64 '\070'
    repeated 2 '\200\077'
} >fp8.safetensors
# NVFP4: 1 in all.
{
    safetensors '{"m.weight":{"dtype":"U8","shape":[2,16],"data_offsets":[0,32]},"m.weight_scale":{"dtype":"F8_E4M3","shape":[2,2],"data_offsets":[32,36]},"m.weight_scale_2":{"dtype":"F32","shape":[],"data_offsets":[36,40]}}'
    repeated 32 '\042'
    repeated 4 '\070'
    printf '\000\000\200\077'
} >nvfp4.safetensors

# ---- What it prints ------------------------------------------------------------------------------------------------

# The signal is 63 + 4, and the error 1: 10 log10(67) = 18.26 dB.
fp8()
{
    run 0 --input=original.safetensors --against=fp8.safetensors &&
        out_has 'original  original.safetensors, tensor w, half [2, 32]' &&
        out_has 'against   fp8.safetensors, tensor w, F8_E4M3 [2, 32]' && out_has 'scales    w_scale, BF16 [2, 1]' &&
        grep -qE "^file's +18\.26 +18\.26 +1 +0 +0  fp8, token\$" out &&
        grep -qE '^ours +146\.99 +146\.99 +8\.941e-08 +0 +0  fp8, token$' out && same 2 "$(grep -c '  fp8, token$' out)"
}
ok 'against: FP8 codes by row, and ours' fp8
nvfp4()
{
    run 0 --input=original.safetensors --against=nvfp4.safetensors --against-tensor=m --quant-dtype=int8,mxfp4 &&
        out_has 'm.weight_scale, F8_E4M3 [2, 2]' &&
        same "file's nvfp4 ours nvfp4 ours int8 ours mxfp4" \
            "$(sed -nE "s/^(file's|ours) .*  ([a-z0-9]+),.*/\1 \2/p" out | xargs -d '\n')"
}
ok 'against: NVFP4 of another name, and what is asked for' nvfp4
json()
{
    run 0 --input=original.safetensors --against=fp8.safetensors --granularity=token,tensor --format=json &&
        out_has '"schema": "quantbench-against"' &&
        out_has '"codes": "F8_E4M3 [2, 32]"' && out_has '"snr_db": 18.26' && same 4 "$(grep -c '"quality": {' out)" &&
        same 1 "$(grep -c '"codes_of": "file"' out)" && same 3 "$(grep -c '"codes_of": "ours"' out)"
}
ok 'against: JSON' json
# Whatever the threads are.
repeats()
{
    run 0 --input=original.safetensors --against=nvfp4.safetensors --against-tensor=m.weight --format=json &&
        mv out first &&
        ( OMP_NUM_THREADS=1; export OMP_NUM_THREADS
            run 0 --input=original.safetensors --against=nvfp4.safetensors --against-tensor=m.weight --format=json ) &&
        cmp first out
}
ok 'against: the same with one thread' repeats
named()
{
    {
        printf '\223NUMPY\001\000\166\000'
        printf '%-117s\n' "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 32), }"
        repeated 64 '\000\074'
    } >original.npy
    run 0 --input=original.npy --against=fp8.safetensors --against-tensor=w && grep -q "^file.s  *exact" out &&
        fails 2 'use --against-tensor=NAME' --input=original.npy --against=fp8.safetensors
}
ok 'against: an original in a .npy file has no name' named

# What is not asked for is as in the file.
asked()
{
    tap_names=$1
    shift
    run 0 --input=original.safetensors --against=fp8.safetensors "$@" && same 2 "$(grep -c ^ours out)" &&
        tr -s '\n ' ' ' <out | grep -q "ours .* ours .* $tap_names \$"
}
ok 'against: --granularity alone keeps the format' asked 'fp8, token' --granularity=token
ok 'against: --scale-format alone keeps the granularity' asked 'fp8, token, half scales' --scale-format=half
ok 'against: an option that the format lacks is refused' fails 2 'use --quant-dtype' \
    --input=original.safetensors --against=fp8.safetensors --asymmetric

# ---- What is refused -----------------------------------------------------------------------------------------------

ok 'against: a missing file' fails 3 'cannot open' --input=original.safetensors --against=missing.safetensors
ok 'against: a .npy file' fails 2 'which has no scales' --input=original.safetensors --against=original.npy
ok 'against: another tensor' fails 2 "has no tensor 'w'; it has 3:" \
    --input=original.safetensors --against=nvfp4.safetensors
ok 'against: a tensor that is not quantized' fails 2 "has element type 'F16'; expected codes" \
    --input=original.safetensors --against=original.safetensors
ok 'against: no original' fails 2 'requires --input' --against=fp8.safetensors
ok 'against: a name without a file' fails 2 'requires --against' --input=original.safetensors --against-tensor=w
for option in kernel=cpu_generic runs=2 compare=dtype op=rms-norm scale=static doctor dry-run; do
    ok "against: --$option is refused" fails 2 '--against: conflicts with' \
        --input=original.safetensors --against=fp8.safetensors --$option
done
ok 'against: CSV is refused' fails 2 'text or json' --input=original.safetensors --against=fp8.safetensors --format=csv
ok 'against: --output is refused' fails 2 '--output: conflicts with --against' \
    --input=original.safetensors --against=fp8.safetensors --output=x.json
ok 'against: combinations that do not fit are refused' fails 2 'conflicts with' \
    --input=original.safetensors --against=fp8.safetensors --quant-dtype=mxfp4 --granularity=token
# A file that ends early, at each length, is refused and does no harm.
truncated()
{
    tap_size=$(wc -c <fp8.safetensors)
    while [ "$tap_size" -gt 0 ]; do
        tap_size=$((tap_size - 7))
        head -c "$((tap_size > 0 ? tap_size : 0))" fp8.safetensors >short.safetensors
        fails 2 short.safetensors --input=original.safetensors --against=short.safetensors || return 1
    done
}
ok 'against: truncated files' truncated
full()
{
    [ -w /dev/full ] || return 0
    "$QUANTBENCH" --input=original.safetensors --against=fp8.safetensors >/dev/full 2>err
    same 3 $? && err_has 'standard output'
}
ok 'against: a full standard output' full

done_testing
