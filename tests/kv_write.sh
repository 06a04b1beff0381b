#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kv_write.sh - writes into a KV cache and reads of one, from the command line to the reports: the cases of a sweep,
# their tensors and bytes, what does not go together, and that each kernel of this CPU is proved and judged.
# wrong_operations.sh has kernels that are wrong.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

small='--device=cpu --threads=1 --op=kv-write --num-tokens=10 --hidden-size=128 --head-size=32 --page-size=4'
fast='--num-iters=2 --num-warmup-iters=0 --rounds=2'

# ---- Cases ----------------------------------------------------------------------------------------------------------

ok 'cases: pages and layouts are swept' cases 6 --page-size=1,4,16 --page-layout=nhd,hnd
ok 'cases: they multiply no other operation' cases 5 --op=quantize,kv-write --page-size=1,16 --page-layout=nhd,hnd \
    --granularity=token
scaling() { cases 3 --granularity=tensor,token,group:32 && same 'static dynamic dynamic ' "$(sed -n 's/.*"scale": "\(.*\)",/\1/p' out | tr '\n' ' ')"; }
ok 'cases: scales are given for the tensor, and computed for tokens and groups' scaling
by_default() { cases 1 && out_has '"pages": 4,' && out_has '"page_layout": "nhd"' && out_has '"head_size": 32,'; }
ok 'cases: a fourth more pages than the tokens take' by_default
ok 'cases: what is written, and read again' cases 12 --op=kv-write,kv-read --page-size=1,4,16 --page-layout=nhd,hnd

# moved READ WRITTEN ARGUMENT...
moved()
{
    tap_read=$1 tap_written=$2
    shift 2
    cases 1 "$@" && out_has "\"bytes_read\": $tap_read," && out_has "\"bytes_written\": $tap_written,"
}
ok 'bytes: the input, slots, two scales, and codes' moved $((10 * 128 * 2 + 10 * 8 + 8)) $((10 * 128))
ok 'bytes: a scale for each token and head' moved $((10 * 128 * 2 + 10 * 8)) $((10 * 128 + 10 * 4 * 4)) --granularity=group:32
ok 'bytes: a larger cache takes no more' moved $((10 * 128 * 2 + 10 * 8 + 8)) $((10 * 128)) --pages=1000
ok 'bytes: half of one for a code of NVFP4, one for 16 of them, and two tensor scales' moved $((10 * 128 * 2 + 10 * 8 + 8)) \
    $((10 * 128 / 2 + 10 * 128 / 16)) --quant-dtype=nvfp4
tensors() { cases 1 && same 'input codes scales slots ' "$(sed -n 's/.*"role": "\(.*\)",*/\1/p' out | tr '\n' ' ')"; }
ok 'tensors: the cache, its scales and the slots' tensors
with_tensor_scales() { cases 1 --quant-dtype=nvfp4 && same 'input codes scales tensor scale slots ' "$(sed -n 's/.*"role": "\(.*\)",*/\1/p' out | tr '\n' ' ')"; }
ok 'tensors: NVFP4 has tensor scales besides' with_tensor_scales
read_tensors()
{
    cases 1 --op=kv-read --quant-dtype=nvfp4 &&
        same 'codes scales tensor scale values slots ' "$(sed -n 's/.*"role": "\(.*\)",*/\1/p' out | tr '\n' ' ')"
}
ok 'tensors: a read has values in place of the input' read_tensors
ok 'bytes: a read of codes, slots and two scales, and values' moved $((10 * 128 + 10 * 8 + 8)) $((10 * 128 * 2)) --op=kv-read
ok 'bytes: a read of a scale for each token and head' moved $((10 * 128 + 10 * 8 + 10 * 4 * 4)) $((10 * 128 * 4)) --op=kv-read \
    --granularity=group:32 --dtype=float
ok 'bytes: a read of NVFP4' moved $((10 * 128 / 2 + 10 * 128 / 16 + 10 * 8 + 8)) $((10 * 128 * 2)) --op=kv-read --quant-dtype=nvfp4
# shellcheck disable=SC2086
read_text()
{
    run 0 $small --op=kv-read --quant-dtype=fp8 --granularity=token --dry-run && grep -q '^codes *fp8 * 32 x 64 .*read$' out &&
        grep -q '^scales *float * 32 x 1 .*read$' out && grep -q '^values *half * 10 x 128 .*written$' out &&
        out_has 'scale dynamic' && out_has 'page size 4'
}
ok 'tensors: those of a read as text' read_text
# shellcheck disable=SC2086
text()
{
    run 0 $small --dry-run && grep -q '^codes .* 32 x 64 .*written$' out && grep -q '^slots .* 10 x 1 .*read$' out &&
        out_has 'head size 32' && out_has 'page size 4' && out_has 'pages 4'
}
ok 'tensors: as text' text
# shellcheck disable=SC2086
nvfp4_text()
{
    run 0 $small --quant-dtype=nvfp4 --page-layout=hnd --dry-run && out_has 'quant nvfp4' && out_has 'granularity group:16' &&
        out_has 'scales e4m3, tensor scale given' && grep -q '^codes *e2m1 * 64 x 32 .*written$' out &&
        grep -q '^scales *fp8 * 64 x 2 .*written$' out && grep -q '^tensor scale *float * 2 x 1 .*read$' out
}
ok 'tensors: the settings of NVFP4 as text' nvfp4_text

# ---- What does not go together --------------------------------------------------------------------------------------

# shellcheck disable=SC2086
refused()
{
    tap_why=$1
    shift
    fails 2 "$tap_why" $small "$@"
}
ok 'refused: pages that are too few' refused '--pages=2: too few for 10 tokens; pages of 4 require at least 3' --pages=2
ok 'refused: columns that are not whole heads' refused \
    '--hidden-size=128: not whole heads; --op=kv-write requires keys and values of whole heads, a multiple of 96 with --head-size=48' \
    --head-size=48
ok 'refused: groups that do not divide a head' refused '--granularity=group:24: does not divide --head-size=32; --op=kv-write requires groups within a head' \
    --granularity=group:24
ok 'refused: codes of less than a byte' refused '--quant-dtype=int4: conflicts with --op=kv-write; it requires int8, fp8, e5m2 or nvfp4' \
    --quant-dtype=int4
ok 'refused: by the name of the operation' refused '--quant-dtype=int4: conflicts with --op=kv-read;' --quant-dtype=int4 --op=kv-read
ok 'refused: another recipe' refused '--quant-dtype=mxfp8: conflicts with --op=kv-write;' --quant-dtype=mxfp8
ok 'refused: another format of scales' refused '--scale-format=half: conflicts with --op=kv-write; it requires float, or --quant-dtype=nvfp4' \
    --scale-format=half --granularity=token
ok 'refused: zero points' refused '--asymmetric: conflicts with --op=kv-write; caches have no zero points, leave it out' \
    --asymmetric
ok 'refused: scales that are computed for all tokens' refused '--granularity=tensor: conflicts with --op=kv-write --scale=dynamic' \
    --scale=dynamic
ok 'refused: heads of NVFP4 that are not whole groups' refused '--head-size=8: conflicts with --quant-dtype=nvfp4; it requires a multiple of 16' \
    --quant-dtype=nvfp4 --head-size=8
ok 'refused: NVFP4 in other groups' refused '--granularity=group:32: conflicts with --op=kv-write --quant-dtype=nvfp4; it requires group:16' \
    --quant-dtype=nvfp4 --granularity=group:32
ok 'refused: NVFP4 by scales that are given' refused '--scale=static: conflicts with --op=kv-write --quant-dtype=nvfp4; it requires dynamic' \
    --quant-dtype=nvfp4 --scale=static
ok 'refused: tensor scales that are computed' refused '--tensor-scale=computed: conflicts with --op=kv-write --quant-dtype=nvfp4; it requires given' \
    --quant-dtype=nvfp4 --tensor-scale=computed
ok 'refused: scales of NVFP4 in another layout' refused '--scale-layout=tiled-128x4: conflicts with --op=kv-write; it requires rows' \
    --quant-dtype=nvfp4 --scale-layout=tiled-128x4
exact() { cases 1 --pages=3 --num-tokens=12 && out_has '"pages": 3,'; }
ok 'pages: just enough will do' exact
# shellcheck disable=SC2086
exact_scales()
{
    run 0 $small $fast --pages=3 --num-tokens=12 --granularity=token,group:32 --page-layout=nhd,hnd --quant-dtype=fp8,int8 &&
        run 0 $small $fast --pages=3 --num-tokens=12 --scale=dynamic --page-layout=nhd,hnd --quant-dtype=nvfp4
}
ok 'pages: just enough will do for scales in pages' exact_scales

# ---- Files ----------------------------------------------------------------------------------------------------------

tensor '\000\074' >tensor.npy
wrong_columns() { fails 2 '--input: 16 columns; --op=kv-write requires keys and values of whole heads, a multiple of 24 with --head-size=12' \
    --device=cpu --op=kv-write --input=tensor.npy --head-size=12; }
ok 'file: columns that are not whole heads' wrong_columns
file() { run 0 --device=cpu --threads=1 --op=kv-write --input=tensor.npy --head-size=4 $fast --format=json && out_has '"hidden_size": 16,' &&
    grep -q '"data": ".*, digest .*, seed 0"' out; }
ok 'file: its columns are keys and values, and the seed gives the slots' file

# ---- Kernels --------------------------------------------------------------------------------------------------------

"$QUANTBENCH" --list-kernels --format=json >kernels
for kernel in $(sed -n 's/.*"name": "\(cpu_[a-z0-9]*_kv_[a-z]*\)".*/\1/p' kernels); do
    op=$(echo "$kernel" | sed 's/.*_kv_/kv-/')
    # shellcheck disable=SC2086
    proved()
    {
        run 0 $small $fast --op=$op --kernel="$kernel" --isolate --granularity=tensor,token,group:32,group:8 --page-layout=nhd,hnd \
            --quant-dtype=int8,fp8,e5m2 && same 24 "$(grep -c ' verified' out)"
    }
    # shellcheck disable=SC2086
    proved_nvfp4()
    {
        run 0 $small $fast --op=$op --kernel="$kernel" --isolate --page-layout=nhd,hnd --quant-dtype=nvfp4 --page-size=1,16,64 \
            --dtype=half,bfloat16,float && same 18 "$(grep -c ' verified' out)"
    }
    if "$QUANTBENCH" --dry-run --device=cpu --kernel="$kernel" --op="$op" >/dev/null 2>&1; then
        ok "kernels: $kernel is proved, alone and while it is timed" proved
        ok "kernels: $kernel is proved with NVFP4" proved_nvfp4
    else
        skip "kernels: $kernel is proved" 'this CPU lacks its instructions'
    fi
done
ok 'kernels: some write' grep -q '"operation": "kv-write"' kernels
ok 'kernels: some read' grep -q '"operation": "kv-read"' kernels

# ---- Reports --------------------------------------------------------------------------------------------------------

# shellcheck disable=SC2086
measured() { run 0 $small $fast --page-layout=nhd,hnd --output=kv.json --output=kv.csv --output=kv.md --output=gbench:kv.gb && cp out kv.txt; }
ok 'reports: a run of both layouts' measured
reports_again kv text:txt json:json csv:csv markdown:md gbench:gb
cells()
{
    same 'head_size page_size pages page_layout 32 4 4 nhd 32 4 4 hnd ' "$(sed 's/"[^"]*"/x/g' kv.csv | awk -F, '
        NR == 1 { for (i = 1; i <= NF; i++) place[$i] = i }
        { printf "%s %s %s %s ", $place["head_size"], $place["page_size"], $place["pages"], $place["page_layout"] }')"
}
ok 'reports: CSV has the members of a cache' cells
# shellcheck disable=SC2086
judged() { run 0 $small $fast --compare=page-layout --page-layout=nhd,hnd --margin=99 --format=json && out_has '"between": "page-layout"'; }
ok 'compare: layouts of pages' judged
# shellcheck disable=SC2086
saved() { run 0 $small $fast --no-verify --runs=5 --save-baseline=base.json; }
ok 'baseline: of a cache' saved
# shellcheck disable=SC2086
other() { fails 2 '--baseline: lacks a time of ' $small $fast --no-verify --runs=5 --baseline=base.json "$@"; }
ok 'baseline: other pages are another case' other --page-size=8
ok 'baseline: so is another layout' other --page-layout=hnd
ok 'baseline: so are other heads' other --head-size=16
ok 'baseline: so are more pages' other --pages=6

done_testing
