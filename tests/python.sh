#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# python.sh - the examples for Python run: on a record, with NumPy and PyTorch where they are, and on workloads.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

examples=$srcdir/doc/examples/python
# Without files of bytecode in the sources.
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE
# has_python MODULE: set $python to a Python that has MODULE.
has_python()
{
    for python in python3 /usr/bin/python3; do
        "$python" -c "import sys, $1; sys.exit(sys.version_info < (3, 9))" 2>/dev/null && return
    done
    return 1
}
if ! has_python json; then
    echo '1..0 # SKIP Python 3.9 is not installed'
    exit 0
fi

# ---- Records -------------------------------------------------------------------------------------------------------

record()
{
    "$python" "$examples/record.py" "$srcdir/doc/records/epyc.json" "$srcdir/doc/records/h200.json" >out 2>err &&
        same 6 "$(wc -l <out)" && out_has 'NVIDIA H200  cuda_tensor_fused  half int8  tensor       4096    8192    29.395     85.2'
}
ok 'record: a table of two records' record
rated()
{
    tensor '\000\074' >a.npy && run 0 -q --quality --input=a.npy --quant-dtype=fp8 --output=rated.json &&
        "$python" "$examples/record.py" rated.json >out 2>err && same 2 "$(wc -l <out)" && grep -q ' half fp8 .* - ' out
}
ok 'record: cases without a time' rated
strange() { echo '{}' >strange.json && ! "$python" "$examples/record.py" strange.json >out 2>err && err_has 'not a record'; }
ok 'record: another file is refused' strange

# ---- Workloads of FlashInfer-Bench ---------------------------------------------------------------------------------

# define TYPE NAME INPUTS: a definition of 64 columns.
define()
{
    mkdir -p data/definitions/"$1" data/workloads/"$1" &&
        cat >data/definitions/"$1"/"$2".json <<END
{"name": "$2", "op_type": "$1", "axes": {"rows": {"type": "var"}, "columns": {"type": "const", "value": 64}},
 "inputs": {$3}, "outputs": {}, "reference": ""}
END
}
# work TYPE NAME ROWS...: a line of each workload.
work()
{
    work_type=$1 work_name=$2
    shift 2
    for rows; do
        echo "{\"definition\": \"$work_name\", \"solution\": null, \"workload\": {\"uuid\": \"$work_name-$rows\", \"axes\":" \
            "{\"rows\": $rows}, \"inputs\": {\"A\": {\"type\": \"random\"}}}, \"evaluation\": null}"
    done >data/workloads/"$work_type/$work_name".jsonl
}
two='"shape": ["rows", "columns"], "dtype":'
define gemm gemm_k64 "\"A\": {$two \"float16\"}, \"B\": {\"shape\": [\"columns\", \"columns\"], \"dtype\": \"float16\"}"
define rmsnorm norm_h64 "\"hidden_states\": {$two \"bfloat16\"}, \"weight\": {\"shape\": [\"columns\"], \"dtype\": \"bfloat16\"}"
define rmsnorm added_h64 "\"hidden_states\": {$two \"bfloat16\"}, \"residual\": {$two \"bfloat16\"}"
define moe moe_h64 "\"routing_logits\": {\"shape\": [\"rows\", \"experts\"], \"dtype\": \"float32\"}, \"hidden_states\": {$two \"float8_e4m3fn\"}"
define sampling top_k "\"probs\": {$two \"float32\"}"
work gemm gemm_k64 1 4 1 1
work rmsnorm norm_h64 2
work rmsnorm added_h64 2
work moe moe_h64 7
work sampling top_k 1 2
cat >expected <<'END'
{"name": "gemm_k64", "dtype": "half", "num_tokens": 1, "hidden_size": 64, "count": 3}
{"name": "gemm_k64", "dtype": "half", "num_tokens": 4, "hidden_size": 64, "count": 1}
{"name": "moe_h64", "dtype": "bfloat16", "num_tokens": 7, "hidden_size": 64, "count": 1}
{"name": "added_h64", "dtype": "bfloat16", "num_tokens": 2, "hidden_size": 64, "op": "add-rms-norm", "count": 1}
{"name": "norm_h64", "dtype": "bfloat16", "num_tokens": 2, "hidden_size": 64, "op": "rms-norm", "count": 1}
END
converted()
{
    "$python" "$examples/flashinfer_bench.py" data/workloads/*/*.jsonl >cases.jsonl 2>err && diff expected cases.jsonl &&
        err_has 'left out: 2 workloads of sampling'
}
ok 'workloads: equal sizes are one case, and other operations are left out' converted
measured()
{
    run 0 -q --cases=cases.jsonl --quant-dtype=fp8 --granularity=token --device=cpu --num-iters=2 --num-warmup-iters=0 \
        --rounds=1 --cache=hot && out_has 'spent     all: 7 launches, ' && out_has 'gemm_k64 '
}
ok 'workloads: quantbench measures the list' measured

# ---- The library ---------------------------------------------------------------------------------------------------

QUANTBENCH_LIBRARY=$builddir/.libs/libquantbench.so
export QUANTBENCH_LIBRARY
if [ ! -e "$QUANTBENCH_LIBRARY" ] || [ -n "${EMULATOR-}" ]; then
    for text in 'structures are as in quantbench.h' 'errors have the words of the library' 'an array of NumPy' \
        'an operator of PyTorch'; do
        skip "library: $text" 'there is no shared library, or it does not run by itself'
    done
    done_testing
    exit
fi
PYTHONPATH=$examples
export PYTHONPATH
layouts()
{
    cat >layouts.py <<'END'
from libquantbench import Problem, Tensors
print("#include <quantbench.h>\n#include <stdio.h>\nint main(void)\n{")
for name, structure in (("problem", Problem), ("tensors", Tensors)):
    for member, kind in structure._fields_:
        place = getattr(structure, member)
        print(f'    printf("{name} {member} %zu %zu\\n", offsetof(struct qb_{name}, {member}) - {place.offset},'
              f' sizeof((struct qb_{name} *)0)->{member} - {place.size});')
print("    return 0;\n}")
END
    # The addresses in struct qb_tensors are more.
    "$python" layouts.py >layouts.c 2>err && sed 's/printf("tensors at .*;//' layouts.c >few.c &&
        ${CC:-cc} -I"$srcdir/src/libquantbench" -o layouts few.c 2>err && ./layouts >out && [ "$(wc -l <out)" -ge 17 ] &&
        ! grep -v ' 0 0$' out
}
ok 'library: structures are as in quantbench.h' layouts
# shellcheck disable=SC2016 # it is Python
errors()
{
    ! "$python" -c 'import libquantbench; libquantbench.make_problem((1, 0), "half", "fp8")' 2>err && err_has 'Error: ' &&
        err_has hidden && ! "$python" -c 'import libquantbench; libquantbench.Queue("tpu")' 2>err && err_has tpu
}
ok 'library: errors have the words of the library' errors
if has_python numpy; then
    arrays()
    {
        "$python" "$examples/numpy_quantize.py" >out 2>err && out_has 'int8  first code 0x10, scale 0.0314961, SNR 48.31 dB' &&
            out_has 'fp8   first code 0x66, scale 0.00892857, exact' && [ ! -s err ]
    }
    ok 'library: an array of NumPy' arrays
    # Each code of FP8, of a tensor scale of 1, is itself.
    every()
    {
        "$python" -c 'import numpy, numpy_quantize
values = numpy_quantize.decode_fp8(numpy.delete(numpy.arange(256, dtype=numpy.uint8), [127, 255])).reshape(2, 127)
codes, scales = numpy_quantize.quantize(values, "fp8", "tensor")
assert scales.shape == (1, 1) and scales[0, 0] == 1
assert (codes.ravel() == numpy.delete(numpy.arange(256), [127, 255])).all()
assert numpy_quantize.quantize(numpy.ones((4, 96), numpy.float16), "int8", "group", 32)[1].shape == (4, 3)' 2>err
    }
    ok 'library: every code of FP8 comes back from NumPy' every
else
    skip 'library: an array of NumPy' 'NumPy is not installed'
    skip 'library: every code of FP8 comes back from NumPy' 'NumPy is not installed'
fi
if has_python torch; then
    operator() { "$python" "$examples/torch_op.py" >out 2>err && out_has 'the same bytes as PyTorch' && ! grep DIFFERENT out; }
    ok 'library: an operator of PyTorch' operator
else
    skip 'library: an operator of PyTorch' 'PyTorch is not installed'
fi
done_testing
