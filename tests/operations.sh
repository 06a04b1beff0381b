#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# operations.sh - operations from the command line to the reports: the cases of a sweep, their tensors, what does not go
# together, and reports and comparisons that tell operations apart. The kernels are the reference, in a plug-in.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

# CC and CFLAGS are lists of words.
# shellcheck disable=SC2086
if ! ${CC:-cc} -std=gnu11 -O2 -ffp-contract=off -fPIC -shared -I"$srcdir/src/libquantbench" -o operations.so \
    "$srcdir/tests/plugins/operations.c" -lm 2>err; then
    echo "1..0 # SKIP plug-ins cannot be built"
    exit 0
fi
all=quantize,dequantize,silu-mul,gelu-mul,rms-norm,add-rms-norm,rope
small='--device=cpu --plugin=operations.so --num-tokens=4 --hidden-size=64 --threads=1'
heads=--head-size=16
ours='--kernel=operations_[!u]*'
fast='--num-iters=2 --num-warmup-iters=0 --rounds=2'

# ---- Cases ----------------------------------------------------------------------------------------------------------

ok 'operations: a case of each' cases 7 "$ours" --op=$all $heads
ok 'operations: an option sweeps those that read it' cases 10 "$ours" --op=$all $heads --gate=halves,interleaved --pairing=halves,adjacent
ok 'operations: both forms of GELU' cases 8 "$ours" --op=$all $heads --gelu=tanh,erf
ok 'operations: each with its formats' cases 14 "$ours" --op=$all $heads --quant-dtype=int8,fp8
ok 'operations: lists of several are multiplied' cases 20 "$ours" --op=quantize,silu-mul,rms-norm --intermediate=input,last,float \
    --weights=float,input --quant-dtype=fp8,int8

# tensors ROLES ARGUMENT...: the case has just these, in this order.
tensors()
{
    tap_roles=$1
    shift
    cases 1 "$ours" "$@" && same "$tap_roles" "$(sed -n 's/.*"role": "\(.*\)",*/\1/p' out | tr '\n' ',')"
}
ok 'tensors: of silu-mul' tensors input,codes,scales, --op=silu-mul
ok 'tensors: of rms-norm, with its values' tensors input,codes,scales,weights,values, --op=rms-norm --keep-values
ok 'tensors: of add-rms-norm' tensors input,codes,scales,weights,residual,sum, --op=add-rms-norm
ok 'tensors: of rope' tensors input,codes,scales,angles,positions, --op=rope $heads
ok 'tensors: of dequantize' tensors codes,scales,values, --op=dequantize
# OP may have options of its own.
# shellcheck disable=SC2086
moved() { cases 1 "$ours" --op=$1 --quant-dtype=fp8 --granularity=token && out_has "\"bytes_read\": $2," && out_has "\"bytes_written\": $3,"; }
ok 'bytes: silu-mul reads two rows for one' moved silu-mul $((4 * 2 * 64 * 2)) $((4 * 64 + 4 * 4))
ok 'bytes: add-rms-norm has a residual and its sum' moved add-rms-norm $((2 * 4 * 64 * 2 + 64 * 2)) $((4 * 64 * 2 + 4 * 64 + 4 * 4))
ok 'bytes: rope has positions, and of its angles as many as there are tokens' moved 'rope --head-size=16 --rotary=8' \
    $((4 * 64 * 2 + 4 * 8 * 2 + 4 * 8)) $((4 * 64 + 4 * 4))
ok 'bytes: dequantize is the other way round' moved dequantize $((4 * 64 + 4 * 4)) $((4 * 64 * 2))
text()
{
    # shellcheck disable=SC2086
    run 0 $small $ours --dry-run --op=add-rms-norm && grep -q '^residual .* 4 x 64 .*read$' out && grep -q '^sum .*written$' out &&
        out_has 'op add-rms-norm'
}
ok 'tensors: those of a single case as text' text

# ---- Files ----------------------------------------------------------------------------------------------------------

tensor '\000\074' >even.npy
sed 's/(4, 16)/(8, 8)/' even.npy >wide.npy
{ printf '\223NUMPY\001\000\166\000'; printf '%-117s\n' "{'descr': '<f2', 'fortran_order': False, 'shape': (1, 3), }"; printf '\0\0\0\0\0\0'; } >odd.npy
file="--device=cpu --plugin=operations.so --threads=1 $ours"
# shellcheck disable=SC2086
halves() { run 0 $file --input=even.npy --op=quantize,silu-mul --dry-run --format=json && same '16 8' "$(sed -n 's/.*"hidden_size": \(.*\),/\1/p' out | tr '\n' ' ' | sed 's/ $//')"; }
ok 'file: gate and up are its columns' halves
# shellcheck disable=SC2086
ok 'file: an odd number of columns is refused' fails 2 '--input: 3 columns, an odd number; --op=gelu-mul requires' $file \
    --input=odd.npy --op=gelu-mul
# shellcheck disable=SC2086
ok 'limit: a number that the input lacks is refused' fails 2 '--gate-limit=7.3: not a number of half; the nearest is 7.30' $small \
    $ours --op=silu-mul --gate-limit=7.3
# shellcheck disable=SC2086
ok 'limit: another type may have it' run 0 $small $ours --op=silu-mul --gate-limit=7.3 --dtype=float --dry-run

# shellcheck disable=SC2086
ok 'heads: an odd number that is rotated is refused' fails 2 '--rotary=7: expected an even number up to --head-size=16' $small $ours \
    --op=rope $heads --rotary=7
# shellcheck disable=SC2086
ok 'heads: more than there is to rotate is refused' fails 2 '--rotary=18: expected an even number up to --head-size=16' $small \
    $ours --op=rope $heads --rotary=18
# shellcheck disable=SC2086
ok 'heads: rows of a part of one are refused' fails 2 '--hidden-size=64: not whole heads; --op=rope requires whole heads, a multiple of 48' $small $ours --op=rope \
    --head-size=48

# ---- Kernels --------------------------------------------------------------------------------------------------------

listed() { run 0 --plugin=operations.so --list-kernels && same 2 "$(grep -cx ' *for --op=rms-norm' out | sed 's/[2-9]/2/')"; }
ok 'kernels: --list-kernels has the operation' listed
listed_json()
{
    run 0 --plugin=operations.so --list-kernels --format=json &&
        same '"operation": "gelu-mul"' "$(grep -A 5 '"name": "operations_gelu_mul"' out | sed -n 's/^ *\("operation.*\)/\1/p')"
}
ok 'kernels: --list-kernels --format=json has it' listed_json
# shellcheck disable=SC2086
ok 'kernels: one of another operation is refused' fails 3 "'operations_silu_mul' cannot run gelu-mul, half -> int8" $small \
    --kernel=operations_silu_mul --op=gelu-mul
left_out()
{
    # shellcheck disable=SC2086
    run 0 $small --kernel=operations_silu_mul --op=silu-mul,gelu-mul --dry-run && err_has 'left out: ' && out_has '1 case,'
}
ok 'kernels: a sweep leaves out what none can run' left_out
# isa OP: --isa takes the one kernel for it; plug-ins have none, whatever their names are.
isa()
{
    # shellcheck disable=SC2086 # a list of options
    run 0 --device=cpu --num-tokens=4 --hidden-size=64 --isa=generic --op="$1" --dry-run --format=json $2 &&
        same 1 "$(grep -c '"kernel": "cpu_generic' out)"
}
"$QUANTBENCH" --list-kernels >kernels
for op in $(echo $all | tr , ' '); do
    if [ "$op" = quantize ] || grep -qx "cpu_generic_$(echo "$op" | tr - _)" kernels; then
        case $op in rope) tap_heads=$heads ;; *) tap_heads= ;; esac
        ok "kernels: --isa chooses that of $op" isa "$op" "$tap_heads"
    fi
done
sed 's/"operations_"/"cpu_generic_x_"/' "$srcdir/tests/plugins/operations.c" >foreign.c
# shellcheck disable=SC2086
foreign()
{
    ${CC:-cc} -std=gnu11 -O2 -fPIC -shared -DFOREIGN -I"$srcdir/src/libquantbench" -o foreign.so foreign.c -lm 2>err &&
        run 0 --plugin=foreign.so --list-kernels && isa_of_plugin
}
isa_of_plugin()
{
    run 0 --device=cpu --plugin=foreign.so --num-tokens=4 --hidden-size=64 --isa=generic --dry-run --format=json &&
        same '"kernel": "cpu_generic",' "$(grep -o '"kernel": .*' out)"
}
ok 'kernels: --isa takes none of a plug-in' foreign

# ---- Comparisons ----------------------------------------------------------------------------------------------------

fused()
{
    # shellcheck disable=SC2086
    run 0 $small --compare=fused --op=silu-mul,rms-norm --dry-run --format=json &&
        same 'unfused_silu_mul silu_mul unfused_rms_norm rms_norm' \
            "$(sed -n 's/.*"kernel": "\(operations_\|cpu_[a-z0-9]*_\)\(.*\)",/\2/p' out | tr '\n' ' ' | sed 's/ $//')"
}
ok 'fused: several launches are the baseline of one' fused
# shellcheck disable=SC2086
ok 'fused: without a kernel of several launches an error says so' fails 3 \
    '--compare=fused: device cpu lacks a kernel that can run half -> int8' $small --compare=fused --op=quantize
# shellcheck disable=SC2086
# What conflicts is said in the user's own words.
ok 'fused: --kernel is refused beside it' fails 2 '--kernel: conflicts with --compare=fused, ' $small $ours --compare=fused \
    --op=silu-mul
ok 'fused: --isa is refused beside it' fails 2 '--isa: conflicts with --compare=fused, ' $small --isa=generic \
    --compare=fused --op=silu-mul
ok 'tune: --isa is refused beside it' fails 2 '--isa: conflicts with --tune, ' $small --isa=generic --tune
# shellcheck disable=SC2086
judged()
{
    run 0 $small $fast --compare=fused --op=silu-mul --margin=99 --format=json && out_has '"between": "kernel"' &&
        same 1 "$(grep -c '"baseline_name": "operations_unfused_silu_mul"' out)"
}
ok 'fused: the two are judged' judged
# compared AXIS PAIRS ARGUMENT...
# shellcheck disable=SC2086
compared()
{
    tap_axis=$1 tap_pairs=$2
    shift 2
    run 0 $small $ours $fast --compare="$tap_axis" --margin=99 --format=json "$@" && out_has "\"between\": \"$tap_axis\"" &&
        same "$tap_pairs" "$(grep -c '"baseline_name"' out)"
}
ok 'compare: operations, each with what belongs to it' compared op 4 --op=quantize,silu-mul,rms-norm,dequantize,rope \
    --epsilon=1e-5 $heads
ok 'compare: roundings' compared intermediate 2 --op=rms-norm --intermediate=input,last,float
ok 'compare: forms of GELU' compared gelu 1 --op=gelu-mul --gelu=tanh,erf
ok 'compare: places of the gate' compared gate 1 --op=silu-mul --gate=halves,interleaved
ok 'compare: pairings' compared pairing 1 --op=rope $heads --pairing=halves,adjacent
ok 'compare: types of weights' compared weights 1 --op=rms-norm --weights=input,float

# ---- Reports --------------------------------------------------------------------------------------------------------

# shellcheck disable=SC2086
measured()
{
    run 0 $small $ours $fast --op=$all $heads --alpha=1.702 --gate-limit=7 --up-offset=1 --gelu=erf --epsilon=1e-5 --output=all.json --output=all.csv \
        --output=all.md --output=gbench:all.gb --output=all.xml --output=github:all.gha && cp out all.txt
}
ok 'reports: a run of all operations' measured
reports_again all text:txt json:json csv:csv markdown:md gbench:gb junit:xml github:gha
# in_all FILE: it names each operation but to quantize.
in_all()
{
    for tap_op in dequantize silu-mul gelu-mul rms-norm add-rms-norm rope; do
        grep -qw -e "$tap_op" "$1" || { echo "# $1 lacks $tap_op"; return 1; }
    done
}
for file in all.txt all.csv all.md all.gb all.xml all.gha; do
    ok "reports: $file names the operations" in_all $file
done
# cell COLUMN OP: of that operation's row in CSV.
cell()
{
    sed 's/"[^"]*"/x/g' all.csv | awk -F, -v column="$1" -v op="$2" 'NR == 1 { for (i = 1; i <= NF; i++) place[$i] = i; next }
        $place["operation"] == op { print $place[column] }'
}
cells() { same 'erf ' "$(cell gelu gelu-mul) $(cell gelu silu-mul)" &&
    same '1.702 7 1 ' "$(cell alpha silu-mul) $(cell gate_limit gelu-mul) $(cell up_offset gelu-mul) $(cell alpha gelu-mul)" &&
    same '1e-05  0' "$(cell epsilon rms-norm) $(cell epsilon silu-mul) $(cell keep_values rms-norm)" &&
    same '16 16 halves 4096 ' "$(cell head_size rope) $(cell rotary rope) $(cell pairing rope) $(cell positions rope) $(cell head_size rms-norm)"; }
ok 'reports: CSV has the members that an operation reads' cells
names() { same 7 "$(sed -n 's/.*"run_name": "\([a-z-]*\/half.*\)",/\1/p' all.gb | sort -u | wc -l | tr -d ' ')"; }
ok 'reports: the names of gbench differ' names
# shellcheck disable=SC2086
plain() { run 0 $small $ours $fast --op=silu-mul && out_has 'op        silu-mul, half -> int8, dynamic, tensor, 4 x 64'; }
ok 'reports: the text of a single case' plain

# ---- Identity -------------------------------------------------------------------------------------------------------

# shellcheck disable=SC2086
saved() { run 0 $small $ours $fast --no-verify --op=rms-norm --runs=5 --save-baseline=base.json; }
ok 'baseline: of a norm' saved
# other ARGUMENT...: the baseline lacks such a case.
# shellcheck disable=SC2086
other() { fails 2 '--baseline: lacks a time of ' $small $ours $fast --no-verify --runs=5 --baseline=base.json "$@"; }
ok 'baseline: a quantization is another case' other --op=quantize
ok 'baseline: so is another epsilon' other --op=rms-norm --epsilon=1e-5
ok 'baseline: so are other weights' other --op=rms-norm --weights=float
ok 'baseline: so is another rounding' other --op=rms-norm --intermediate=last
ok 'baseline: so are values that are kept' other --op=rms-norm --keep-values
# shellcheck disable=SC2086
same_norm() { run 0 $small $ours $fast --no-verify --runs=5 --baseline=base.json --op=rms-norm --epsilon=1e-6 --margin=99 --force; }
ok 'baseline: the defaults, spelled out, are the same case' same_norm
# shellcheck disable=SC2086
journaled()
{
    run 0 $small $ours $fast --no-verify --op=silu-mul --journal=silu.journal && grep -q 'silu-mul, half -> int8' silu.journal &&
        fails 2 'a journal of another run' $small $ours $fast --no-verify --op=silu-mul --gate=interleaved --resume=silu.journal &&
        run 0 $small $ours $fast --no-verify --op=silu-mul --resume=silu.journal
}
ok 'journal: it is of its operation' journaled

# ---- A device that only quantizes -----------------------------------------------------------------------------------

QUANTBENCH_MODULE_DIR=$builddir/tests/fake/.libs
export QUANTBENCH_MODULE_DIR
device='--device=cuda --num-tokens=4 --hidden-size=64'
# shellcheck disable=SC2086
left_out_by_device()
{
    run 0 $device --op=rms-norm,quantize --dry-run &&
        err_has 'left out: device cuda:0 lacks a kernel that can run rms-norm, half -> int8, dynamic, tensor, 4 x 64' &&
        out_has '1 case,'
}
if "$QUANTBENCH" --list-kernels | grep -q '^fake_'; then
    # shellcheck disable=SC2086
    ok 'device: without a kernel of the operation an error says so' fails 3 'device cuda:0 lacks a kernel that can run silu-mul' \
        $device --op=silu-mul
    ok 'device: a sweep leaves it out' left_out_by_device
    # shellcheck disable=SC2086
    ok 'device: a sweep of nothing else is an error' fails 3 'there is nothing to run' $device --op=silu-mul,gelu-mul
else
    skip 'device: without a kernel of the operation' 'the CUDA backend is built in, or modules cannot be built'
fi

done_testing
