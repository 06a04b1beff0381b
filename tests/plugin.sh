#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# plugin.sh - kernels from plug-ins: loading, the arithmetic that they declare, and every way in which one can misbehave.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

# build NAME SOURCE FLAG...: the plug-in ./NAME.so.
build()
{
    tap_name=$1 tap_source=$2
    shift 2
    # CC and CFLAGS are lists of words.
    # shellcheck disable=SC2086
    ${CC:-cc} -std=gnu11 -O2 -ffp-contract=off -Wall -Wextra -Werror -fPIC -shared -I"$srcdir/src/libquantbench" "$@" \
        -o "$tap_name.so" "$srcdir/tests/plugins/$tap_source" -lm
}
ok 'build: the plug-in whose kernels misbehave is built' build wrong wrong.c
ok "build: the plug-in with others' conventions is built" build peers peers.c
ok "build: the plug-in with others' conventions of narrow formats is built" build narrow_peers narrow_peers.c

# ---- Loading -------------------------------------------------------------------------------------------------------

# variant NAME DEFINITION...: wrong.c with another table.
variant()
{
    tap_variant=$1
    shift
    build "$tap_variant" wrong.c -Wno-unused "$@"
}
# refused STATUS WORD NAME DEFINITION
refused()
{
    tap_status=$1 tap_word=$2 tap_variant=$3
    shift 3
    variant "$tap_variant" "$@" && fails "$tap_status" "$tap_word" --plugin="$tap_variant.so" --list-kernels &&
        err_has "--plugin=$tap_variant.so"
}
table='const struct qb_plugin quantbench_plugin'
row='{.name = "a", .description = "b", .backend = "cpu", .supports = supports, .run = run_none'
one() { echo "-DWRONG_PLUGIN=static const struct qb_plugin_kernel rows[] = {$1}; QB_PLUGIN(rows)"; }

ok 'loading: a missing file is refused' fails 3 'No such file' --plugin=missing.so --list-kernels
mkdir folder
ok 'loading: a folder is refused' fails 3 'not a regular file' --plugin=folder --list-kernels
echo 'no object' >text.so
ok 'loading: a file that is not a shared object' fails 2 'cannot be loaded' --plugin=text.so --list-kernels
: >empty.so
ok 'loading: an empty file is refused' fails 2 'cannot be loaded' --plugin=empty.so --list-kernels
head -c 40 wrong.so >short.so
ok 'loading: the beginning of a shared object is refused' fails 2 'cannot be loaded' --plugin=short.so --list-kernels
# The C library maps it before it finds out, and may not survive that.
head -c 2000 wrong.so >cut.so
cut_off() { fails 3 'crashed' --plugin=cut.so --list-kernels || fails 2 'cannot be loaded' --plugin=cut.so --list-kernels; }
ok 'loading: a shared object that was cut off' cut_off
ok 'loading: another symbol is refused' refused 2 'lacks the symbol quantbench_plugin' symbol '-DWRONG_PLUGIN=int other_plugin'
ok 'loading: another ABI is refused' refused 2 'version 77 of the plug-in interface' abi \
    "-DWRONG_PLUGIN=$table = {77, 1, sizeof kernels[0], kernels}"
ok 'loading: a plug-in without kernels is refused' refused 2 'lacks kernels' none "-DWRONG_PLUGIN=$table = {QB_PLUGIN_ABI, 0, sizeof kernels[0], kernels}"
ok 'loading: a missing table is refused' refused 2 'lacks kernels' nulltable "-DWRONG_PLUGIN=$table = {QB_PLUGIN_ABI, 1, sizeof kernels[0], NULL}"
ok 'loading: too many kernels are refused' refused 2 '99999 kernels' many \
    "-DWRONG_PLUGIN=$table = {QB_PLUGIN_ABI, 99999, sizeof kernels[0], kernels}"
ok 'loading: rows that are too short are refused' refused 2 '16 bytes' rows "-DWRONG_PLUGIN=$table = {QB_PLUGIN_ABI, 1, 16, kernels}"
# A plug-in that was compiled with the header of a later version has longer rows.
longer() { echo "-DWRONG_PLUGIN=static const struct longer { struct qb_plugin_kernel kernel; void *more; } rows[] = {{$row}, $1}}; $table = {QB_PLUGIN_ABI, 1, sizeof rows[0], &rows[0].kernel}"; }
ok 'loading: a member that the library does not know is refused' refused 2 'unknown to this version' longer "$(longer '(void *)1')"
ok 'loading: a member that the library does not know, and is not set' variant longer_zero "$(longer NULL)"
ok 'loading: the kernel of a plug-in with a member that is not set' run 0 --plugin=longer_zero.so --list-kernels
ok 'loading: a missing name is refused' refused 2 'lacks a name' noname "$(one "{.description = \"b\", .backend = \"cpu\"}")"
ok 'loading: a name with a comma is refused' refused 2 'lacks a name' comma "$(one "{.name = \"a,b\"}")"
ok 'loading: a missing description is refused' refused 2 'lacks a description' nodescription "$(one "{.name = \"a\"}")"
ok 'loading: another backend is refused' refused 2 "unknown backend 'tpu'; expected cpu or cuda" backend \
    "$(one "{.name = \"a\", .description = \"b\", .backend = \"tpu\"}")"
ok 'loading: a missing run() is refused' refused 2 'lacks run()' norun \
    "$(one "{.name = \"a\", .description = \"b\", .backend = \"cpu\", .supports = supports}")"
ok 'loading: a missing supports() is refused' refused 2 'lacks supports()' nosupports \
    "$(one "{.name = \"a\", .description = \"b\", .backend = \"cpu\", .run = run_none}")"
ok 'loading: an impossible alignment is refused' refused 2 'alignment 48' alignment "$(one "$row, .alignment = 48}")"
ok 'loading: an unknown arithmetic is refused' refused 2 'quotient is 9' quotient "$(one "$row, .arithmetic = {.quotient = 9}}")"
ok 'loading: an unknown floor is refused' refused 2 'scale_floor is -1' floor "$(one "$row, .arithmetic = {.scale_floor = -1}}")"
ok 'loading: an unknown operation is refused' refused 2 'operation 77 is not in enum qb_operation' operation \
    "$(one "$row, .operation = (enum qb_operation)77}")"
ok 'loading: two kernels of one name are refused' refused 2 'two kernels are called a' twice "$(one "$row}, $row}")"
ok "loading: a name of quantbench's own is refused" refused 2 'there is a kernel cpu_generic already' own \
    "$(one "{.name = \"cpu_generic\", .description = \"b\", .backend = \"cpu\", .supports = supports, .run = run_none}")"
ok 'loading: a constructor that crashes is refused' refused 3 'crashed (signal' constructor -DWRONG_CONSTRUCTOR
cp wrong.so twin.so
ok 'loading: two plug-ins with the same names' fails 2 'there is a kernel wrong_none already' --plugin=wrong.so --plugin=twin.so \
    --list-kernels
listed_once() { run 0 "$@" --list-kernels && same 1 "$(grep -cx wrong_none out)"; }
ok 'loading: one plug-in twice' listed_once --plugin=wrong.so --plugin="$PWD/wrong.so"

# Its supports() would say yes to any operation.
only_its_own()
{
    variant norm "$(one "$row, .operation = QB_OPERATION_RMS_NORM}")" || return 1
    tap_case='--plugin=norm.so --kernel=a --device=cpu --dtype=float --granularity=token --num-tokens=4 --hidden-size=8 --dry-run'
    # The case is a list of words.
    # shellcheck disable=SC2086
    run 0 $tap_case --op=rms-norm && for tap_op in quantize silu-mul gelu-mul add-rms-norm; do
        fails 3 "'a' cannot run" $tap_case --op=$tap_op || return 1
    done
}
ok 'loading: a kernel is asked about its own operation only' only_its_own

listed() { run 0 --plugin=wrong.so --list-kernels && out_has wrong_none && out_has 'from wrong.so; computes the contract'; }
ok 'loading: --list-kernels' listed
listed_json()
{
    run 0 --plugin=wrong.so --plugin=peers.so --list-kernels --format=json && out_has '"plugin": "wrong.so"' &&
        out_has '"plugin": null' && out_has '"arithmetic": "the contract"' &&
        out_has '"arithmetic": "x * (qmax / amax), s = amax * (1 / qmax), amax >= 1.00000001e-10, truncated, NaN to the lowest code, infinite scales"'
}
ok 'loading: --list-kernels --format=json' listed_json

listed_narrow()
{
    run 0 --plugin=narrow_peers.so --list-kernels --format=json &&
        out_has '"arithmetic": "x / s, s = amax / qmax, infinite scales, NaN scales, e8m0 of the amax'"'"'s ceiling, divisor >= 1.17549435e-38"' &&
        out_has '"arithmetic": "x * (1 / (f * g)), f = S * (amax * (1 / qmax)), infinite scales, codes 0 where f = 0"' &&
        out_has '"arithmetic": "x / (f * g), f = (amax / qmax) / g, f >= 0.015625, infinite scales"' &&
        out_has '"arithmetic": "x * (1 / s), s = amax / qmax, infinite scales, range without 0"'
}
ok 'loading: the arithmetic of narrow formats in --list-kernels' listed_narrow

# The files and folders of QUANTBENCH_PLUGIN_PATH.
mkdir some && cp peers.so some/b.so && cp text.so some/a.so && echo >some/readme
path() { QUANTBENCH_PLUGIN_PATH=$1 run 0 --list-kernels; }
ok 'QUANTBENCH_PLUGIN_PATH: a file' path wrong.so
ok 'loading: the kernels of a file in QUANTBENCH_PLUGIN_PATH are there' out_has wrong_none
ok 'QUANTBENCH_PLUGIN_PATH: a folder' path ":$PWD/wrong.so::some:"
both() { out_has wrong_none && out_has vllm_fp8_token; }
ok 'loading: the kernels of a file and of a folder are there' both
warned() { err_has 'warning: QUANTBENCH_PLUGIN_PATH: some/a.so: cannot be loaded' && same 1 "$(wc -l <err)"; }
ok 'loading: what is not a plug-in is warned of' warned
ok 'QUANTBENCH_PLUGIN_PATH: nothing there' path "$PWD/nowhere"
ok 'loading: a missing folder in QUANTBENCH_PLUGIN_PATH is warned of' err_has 'nowhere: No such file'

# ---- Choosing ------------------------------------------------------------------------------------------------------

small='--device=cpu --threads=1 --profile'
case='--dtype=float --granularity=token --num-tokens=5 --hidden-size=37'
# Its two are lists of words.
# shellcheck disable=SC2086
wrong() { tap_status=$1; shift; run "$tap_status" $small $case --plugin=wrong.so --kernel-timeout=1 "$@"; }
automatic() { wrong 0 && ! grep -q '^kernel *wrong' out; }
ok "choosing: the automatic choice is one of quantbench's own" automatic
chosen() { wrong 0 --kernel='wrong_n*' && grep -q '^kernel *wrong_none' out && out_has 'Kernel running time: '; }
ok 'choosing: --kernel chooses by a wildcard' chosen
ok 'choosing: a kernel runs in this process' wrong 0 --kernel=wrong_none --no-isolate
ok "choosing: quantbench's own kernel runs in a process of its own" wrong 0 --isolate
ok 'choosing: a kernel has a workspace' wrong 0 --kernel=wrong_workspace
ok 'choosing: a workspace is asked for every other time' wrong 0 --kernel=wrong_turns
ok 'choosing: a problem that it cannot do' wrong 3 --kernel=wrong_none --granularity=channel
ok 'choosing: a problem that a kernel cannot do is named' err_has "'wrong_none' cannot run"
verified() { wrong 0 --kernel=wrong_none --format=json && out_has '"verified"'; }
ok 'choosing: the kernel is verified' verified

# ---- Arithmetic ----------------------------------------------------------------------------------------------------

# Zeros, NaN, infinities, ties, the smallest and largest numbers: a tensor of 8 x 16 of float.
special()
{
    printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (8, 16), }"
    zero='\0\0\0\0' one='\0\0\200\077' nan='\0\0\300\177' inf='\0\0\200\177' minf='\0\0\200\377' tiny='\1\0\0\0'
    negative='\0\0\0\200' half='\0\0\0\077' large='\377\377\177\177' normal='\0\0\200\0' tie='\0\0\20\101' x='\33\17\111\300'
    row() { printf "$1$2$3$4$1$2$3$4$1$2$3$4$1$2$3$4"; }
    row $zero $zero $negative $zero
    row $one $nan $half $x
    row $nan $nan $nan $nan
    row $inf $one $x $half
    row $tiny $zero $tiny $negative
    row $tie $half $x $one
    row $minf $nan $one $zero
    row $normal $tiny $large $x
}
special >special.npy
# peer STATUS KERNEL ARGUMENT...
# shellcheck disable=SC2086
peer() { tap_status=$1 tap_kernel=$2; shift 2; run "$tap_status" $small --plugin=peers.so --kernel="$tap_kernel" "$@"; }
# A convention on generated data of all kinds, and on the special values.
agrees()
{
    tap_kernel=$1
    shift
    peer 0 "$tap_kernel" "$@" --dtype=bfloat16,float --num-tokens=3,64 --hidden-size=16,250 \
        --dist=normal,outliers,zeros,lognormal &&
        peer 0 "$tap_kernel" "$@" --input=special.npy
}
ok 'vLLM: FP8, one dynamic scale' agrees vllm_fp8_tensor --quant-dtype=fp8
ok 'vLLM: FP8, one static scale' agrees vllm_fp8_static --quant-dtype=fp8 --static-scale
ok 'vLLM: FP8 per token' agrees vllm_fp8_token --quant-dtype=fp8 --granularity=token
ok 'vLLM: FP8 per token, with an upper bound' agrees vllm_fp8_token --quant-dtype=fp8 --granularity=token --scale-ub=1.5
ok 'vLLM: FP8 per group' agrees vllm_fp8_group --quant-dtype=fp8 --granularity=group:32
ok 'vLLM: FP8 per group, powers of two' agrees vllm_fp8_group_pow2 --quant-dtype=fp8 --granularity=group:16
ok 'vLLM: INT8 per token' agrees vllm_int8_token --granularity=token
ok 'vLLM: INT8, one static scale' agrees vllm_int8_static --static-scale
ok 'Triton: INT8 per token' agrees triton_int8_token --granularity=token
ok 'SGLang: FP8 per token' agrees sglang_fp8_token --quant-dtype=fp8 --granularity=token
ok 'SGLang: FP8 per group' agrees sglang_fp8_group --quant-dtype=fp8 --granularity=group:16
ok 'SGLang: INT8 per group, truncated' agrees sglang_int8_group --granularity=group:16
ok 'SGLang: FP8 per token with fast math, within one code' peer 0 sglang_fp8_token_fast --quant-dtype=fp8 \
    --granularity=token --num-tokens=64 --hidden-size=1024 --dtype=bfloat16,float
near()
{
    peer 0 sglang_fp8_token_fast --quant-dtype=fp8 --granularity=token --num-tokens=64 --hidden-size=1024 \
        --dtype=bfloat16 --output=near.json --output=near.csv &&
        tr -s '\n ' ' ' <out | # lines may end anywhere
        grep -q 'verified on 65536 elements and [1-9][0-9]* hard cases: [1-9][0-9]* codes and [0-9]* scales differ' &&
        out_has "no more than the kernel's arithmetic allows" && out_has 'arithmetic: x * (1 / s),' && out_has ' within one code' &&
        run 0 --report near.json --format=markdown && out_has '| within 1' &&
        [ "$(sed -n 's/.*"near_codes": \([0-9]*\),/\1/p' near.json)" -gt 0 ] && grep -q '"plugin": "peers.so"' near.json &&
        grep -q ',verified,0,0,[1-9][0-9]*,[0-9]*,[1-9][0-9]*,.*,"x \* (1 / s),.*",peers.so,' near.csv
}
ok 'arithmetic: the report has the codes that differ, the file and the arithmetic' near
ok 'TensorRT-LLM: FP8 per token' agrees trt_fp8_token --quant-dtype=fp8 --granularity=token
ok 'TensorRT-LLM: the multiplier is stored' agrees trt_fp8_multiplier --quant-dtype=fp8 --granularity=token
ok 'TensorRT-LLM: the multiplier is given' agrees trt_fp8_static --quant-dtype=fp8 --static-scale
ok 'TransformerEngine: FP8, the inverse of a scale' agrees te_fp8_tensor --quant-dtype=fp8

differs() { peer 4 "$@" && err_has 'wrong result' && err_has "kernel $1"; }
big='--num-tokens=64 --hidden-size=1024 --dtype=bfloat16'
# shellcheck disable=SC2086
{
    ok 'arithmetic: fast math does not match exactly' differs sglang_fp8_token_fast.exact --quant-dtype=fp8 --granularity=token $big
    ok 'arithmetic: a product is not a quotient' differs vllm_fp8_tensor.divide --quant-dtype=fp8 --num-tokens=64 \
        --hidden-size=4096 --dtype=bfloat16
    ok 'arithmetic: truncating is not rounding' differs sglang_int8_group.rounded --granularity=group:16 $big
    ok 'arithmetic: amax * (1 / qmax) is not amax / qmax' differs sglang_fp8_group.quotient --quant-dtype=fp8 \
        --granularity=group:16 $big
    ok 'arithmetic: a scale of 0 is none of 2^-126' differs vllm_int8_token.floor --granularity=token $big --dist=zeros
    ok 'arithmetic: NaN as 448 is none as NaN' differs vllm_fp8_static.nan --quant-dtype=fp8 --static-scale --input=special.npy
}

# The same of narrow formats: narrow STATUS KERNEL ARGUMENT..., and what a kernel with another declaration says.
# shellcheck disable=SC2086
narrow()
{
    tap_status=$1 tap_kernel=$2
    shift 2
    run "$tap_status" $small --plugin=narrow_peers.so --kernel="$tap_kernel" --dtype=float --num-tokens=3,40 \
        --hidden-size=72 --dist=normal,zeros "$@"
}
narrow_differs() { narrow 4 "$@" && err_has 'wrong result' && err_has "kernel $1"; }
ok 'arithmetic: torchao, MXFP4, scales rounded down' narrow 0 torchao_mx_floor --quant-dtype=mxfp4 --scale-rounding=floor
ok 'arithmetic: torchao, MXFP8, scales to even' narrow 0 torchao_mx_even --quant-dtype=mxfp8 --scale-rounding=even
ok 'arithmetic: torchao, MXFP8, scales by the ceiling' narrow 0 torchao_mx_ceil --quant-dtype=mxfp8
ok 'arithmetic: torchao, MXFP4, scales rounded up' narrow 0 torchao_mx_rceil --quant-dtype=mxfp4
ok 'arithmetic: MXFP4, scales of at least code 1' narrow 0 mx_least_1 --quant-dtype=mxfp4
ok 'arithmetic: MXFP8, code 127 for zeros' narrow 0 mx_zero_127 --quant-dtype=mxfp8
for peer in te flashinfer vllm modelopt torchao; do
    ok "arithmetic: $peer, NVFP4, a tensor scale is given" narrow 0 "${peer}_nvfp4" --quant-dtype=nvfp4 --tensor-scale=given
done
ok 'arithmetic: INT8, zero points of a range without 0' narrow 0 open_azp --asymmetric --granularity=token
ok 'arithmetic: INT8, zero points of one-sided ranges without 0' narrow 0 open_azp --asymmetric --granularity=token \
    --dist=lognormal
for dist in normal,zeros lognormal outliers; do
    ok "arithmetic: vLLM, INT8, zero points of 32 bits: $dist" narrow 0 vllm_azp --zero-points=int32 --granularity=token \
        --dist=$dist
done
ok 'arithmetic: zero points of 32 bits, of a range with 0' narrow_differs vllm_azp.closed --zero-points=int32 \
    --granularity=token --dist=lognormal
ok 'arithmetic: a ceiling is not rounded up' narrow_differs torchao_mx_ceil.up --quant-dtype=mxfp8
ok 'arithmetic: a tile with NaN has another scale' narrow_differs torchao_mx_floor.nan --quant-dtype=mxfp4 \
    --scale-rounding=floor
ok 'arithmetic: a least scale is not one of zeros alone' narrow_differs mx_least_1.zero --quant-dtype=mxfp4

# ---- Misbehaviour --------------------------------------------------------------------------------------------------

# caught STATUS KERNEL WORD ARGUMENT...: the kernel is named with WORD, and another one's result is kept.
caught()
{
    tap_status=$1 tap_kernel=$2 tap_word=$3
    shift 3
    wrong "$tap_status" --kernel="wrong_$tap_kernel,cpu_generic" --format=csv "$@" && err_has "kernel wrong_$tap_kernel" &&
        err_has "$tap_word" && grep -q '.*,cpu_generic,.*,verified,' out && ! grep -q "wrong_$tap_kernel,.*,verified," out
}
ok 'misbehavior: a wrong code' caught 4 result '1 of 185 codes'
ok 'misbehavior: a wrong scale' caught 4 scale '1 scales differ'
ok 'misbehavior: an error of its own' caught 3 fails 'no luck today'
ok 'misbehavior: a crash' caught 3 crash 'crashed (signal'
ok 'misbehavior: the end of the process' caught 3 exit 'ended the process'
ok 'misbehavior: a hang' caught 3 hang 'did not end within 1 s'
ok 'misbehavior: a write before the codes' caught 4 before '3 bytes before their beginning'
ok 'misbehavior: a write after the codes' caught 4 behind '4 bytes after their end'
ok 'misbehavior: a write after the scales' caught 4 behind_scales 'around the scales'
ok 'misbehavior: a write between rows' caught 4 gap 'after row 0'
ok 'misbehavior: a read outside the input' caught 4 reads 'reads outside its input'
ok 'misbehavior: codes unwritten' caught 4 unwritten 'leaves outputs unwritten: 1 bytes of the codes'
ok 'misbehavior: scales unwritten' caught 4 unwritten_scales '4 bytes of the scales'
ok 'misbehavior: a changed input' caught 4 input 'changes its input: the first changed byte is byte 8'
ok 'misbehavior: changed static scales' caught 4 given 'changes its scales' --static-scale
ok 'misbehavior: another result in another run' caught 4 random 'different results from run to run'
ok 'misbehavior: a result that depends on the outputs' caught 4 before_it 'what was in its outputs before'
ok 'misbehavior: a crash over the question what it supports' caught 3 supports 'asked what it supports'
if grep -q '^#define HAVE_LIBC_MALLOC 1' "$builddir/config.h" && ! grep -q 'fsanitize' "$builddir/config.status"; then
    ok 'misbehavior: memory allocated in a run' caught 4 allocates 'allocates memory in every run, 1 times'
else
    skip 'misbehavior: memory allocated in a run' 'allocations cannot be counted in this build'
fi
# The same of a kernel that goes wrong while it is measured: whatever it does, the tool and the other results survive.
caught_later()
{
    tap_status=$1 tap_kernel=$2 tap_word=$3 tap_verdict=$4
    shift 4
    # shellcheck disable=SC2086
    run "$tap_status" --device=cpu --threads=1 $case --plugin=wrong.so --kernel-timeout=1 --num-iters=4 --rounds=2 \
        --num-warmup-iters=0 --cache=hot --format=csv "$@" && err_has "kernel wrong_$tap_kernel" && err_has "$tap_word" &&
        same "cpu_generic verified 0 timed
wrong_$tap_kernel $tap_verdict $tap_status -" "$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
            { print $at["kernel"], $at["verification"], $at["exit_status"], ($at["median_ns"] > 0 ? "timed" : "-") }' out | sort)"
}
for how in --kernel= --compare=; do
    ok "misbehavior: a crash while it is measured, $how" caught_later 3 crash_later 'crashed (signal' verified "${how}cpu_generic,wrong_crash_later"
    ok "misbehavior: a hang while it is measured, $how" caught_later 3 hang_later 'its measurement did not end within' verified \
        "${how}cpu_generic,wrong_hang_later"
    ok "misbehavior: a wrong code while it is measured, $how" caught_later 4 result_later 'wrong result' WRONG \
        "${how}wrong_result_later,cpu_generic"
done
# The signal comes while the other process measures.
ended()
{
    # shellcheck disable=SC2086
    run 143 --device=cpu --threads=1 $case --plugin=wrong.so --kernel=wrong_ends_parent --num-iters=100000 --rounds=1 \
        --num-warmup-iters=0 --cache=hot && err_has 'interrupted: what was measured until then is reported' &&
        out_has ' of 100000 (interrupted)' && out_has 'codes     verified' && out_has 'Kernel running time: '
}
ok 'misbehavior: SIGTERM while a process apart measures' ended
# A journal that ends after the first visit.
resumed()
{
    tap_again="--device=cpu --threads=1 $case --plugin=wrong.so --kernel=wrong_none,cpu_generic --num-iters=4 --rounds=2"
    # shellcheck disable=SC2086
    rm -f whole.journal && run 0 $tap_again --journal=whole.journal && head -n 2 whole.journal >part.journal &&
        run 0 $tap_again --resume=part.journal && same "$(wc -l <whole.journal)" "$(wc -l <part.journal)" &&
        same 2 "$(grep -c 'verified' out)"
}
ok 'misbehavior: a journal is resumed with kernels of a plug-in' resumed
unproven_hang()
{
    wrong 3 --kernel=wrong_hang,cpu_generic --no-verify --num-iters=2 --rounds=1 --num-warmup-iters=0 --format=csv &&
        err_has 'kernel wrong_hang: hangs: a run did not end within 1 s' && grep -q ',cpu_generic,.*,not verified,' out
}
ruined()
{
    # shellcheck disable=SC2086
    run 0 --device=cpu --threads=1 $case --plugin=wrong.so --kernel=wrong_ruins,wrong_ruined --num-iters=8 --rounds=4 \
        --num-warmup-iters=0 --cache=hot && err_has 'warning: kernel wrong_ruined: crashed' &&
        err_has 'it is run again where no other kernel has run' && same 2 "$(grep -c 'verified' out)"
}
small='--device=cpu --threads=1' ok '--no-verify: a hang is one' unproven_hang
ok 'misbehavior: another kernel is not blamed for the process that one has ruined' ruined
# The threads of our kernels are bound, and those of others are not: not in the same process either.
unbound()
{
    # shellcheck disable=SC2086
    run 0 --device=cpu $case --bind=cores --plugin=wrong.so --kernel=cpu_generic,wrong_threads --num-iters=6 --rounds=6 \
        --num-warmup-iters=0 --cache=hot --format=json "$@" && out_has '"binding": "cores"'
}
if [ "$(nproc)" -gt 1 ]; then
    ok 'binding: a third-party kernel may use all CPUs' unbound
    ok 'binding: a third-party kernel may use all CPUs in this process' unbound --no-isolate
else
    skip 'binding: a third-party kernel may use all CPUs' 'there is one'
fi
# A kernel in each of whose runs the system is at work: no sample is taken in peace.
# disturbed STATUS OPTION...: ten samples of it.
disturbed()
{
    tap_status=$1
    shift
    # $case is a list of words.
    # shellcheck disable=SC2086
    run "$tap_status" --device=cpu --threads=1 $case --plugin=wrong.so --kernel=wrong_faults --num-iters=10 --rounds=2 \
        --num-warmup-iters=0 --cache=hot --output=faults.json --output=faults.csv "$@" &&
        out_has '6 samples repeated because the system interrupted them,' && out_has '10 interrupted ones kept' &&
        out_has 'doubt     disturbed: 10 of 10 samples' &&
        same 2 "$(grep -c '"retaken_samples": 3' faults.json)" && same 2 "$(grep -c '"disturbed_samples": 5' faults.json)" &&
        grep -q ',6,10,' faults.csv
}
ok 'disturbance: samples are taken again, but few of a round that is disturbed as a whole' disturbed 0
ok 'disturbance: the same of one launch each' disturbed 0 --launch=isolated
ok 'disturbance: the same in this process' disturbed 0 --no-isolate
ok 'disturbance: a doubt' disturbed 5 --strict
unproven() { wrong 0 --kernel=wrong_gap,wrong_before_it --no-verify; }
ok '--no-verify: nothing is proved' unproven
done_testing
