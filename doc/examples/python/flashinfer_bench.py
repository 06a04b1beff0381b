# SPDX-License-Identifier: Apache-2.0
"""Make a list for quantbench --cases of FlashInfer-Bench's workloads.

    python3 flashinfer_bench.py DATASET/workloads/rmsnorm/*.jsonl >cases.jsonl
    quantbench --cases=cases.jsonl --quant-dtype=fp8 --granularity=token

A line of a workload file is an input that a served model had: a definition,
which is in DATASET/definitions, and the sizes of its axes. The list has the
quantization that such an operation needs: of the input of a GEMM or of experts,
and of the result of RMSNorm, in the same launch. Equal sizes of a definition
are one case, and count says how many lines have them: the data set says which
sizes occur, not how often. Other operations, such as attention, are left out.
Where RMSNorm quantizes the input of a GEMM, name the files of one of the two.
"""
import collections
import json
import pathlib
import sys

# What is in FP8 already was quantized from bfloat16.
_dtypes = {"float16": "half", "bfloat16": "bfloat16", "float32": "float",
           "float8_e4m3fn": "bfloat16", "float8_e5m2": "bfloat16"}
_inputs = ("hidden_states", "A")


def read_definition(workloads):
    """Return the definition of a workload file, which lies in a folder of the same name."""
    parts = ["definitions" if part == "workloads" else part for part in workloads.parts]
    return json.loads(pathlib.Path(*parts).with_suffix(".json").read_text(encoding="utf-8"))


def find_case(definition, axes):
    """Return the options of the case of DEFINITION with these AXES, or None if it needs no quantization."""
    sizes = {name: axis["value"] for name, axis in definition["axes"].items() if axis["type"] == "const"} | axes
    name = next((name for name in _inputs if name in definition["inputs"]), None)
    if name is None or len(definition["inputs"][name]["shape"]) != 2 or definition["inputs"][name]["dtype"] not in _dtypes:
        return None
    tokens, hidden = (sizes[axis] for axis in definition["inputs"][name]["shape"])
    case = {"dtype": _dtypes[definition["inputs"][name]["dtype"]], "num_tokens": tokens, "hidden_size": hidden}
    if definition["op_type"] == "rmsnorm":
        case["op"] = "add-rms-norm" if "residual" in definition["inputs"] else "rms-norm"
    return case


def main():
    cases, left_out = collections.Counter(), collections.Counter()
    if not sys.argv[1:]:
        sys.exit(__doc__.strip())
    for file in map(pathlib.Path, sys.argv[1:]):
        definition = read_definition(file)
        for line in file.read_text(encoding="utf-8").splitlines():
            case = find_case(definition, json.loads(line)["workload"]["axes"])
            if case is None:
                left_out[definition["op_type"]] += 1
            else:
                cases[tuple({"name": definition["name"], **case}.items())] += 1
    for case, count in cases.items():
        print(json.dumps({**dict(case), "count": count}))
    for op_type, count in left_out.items():
        print(f"left out: {count} workloads of {op_type}", file=sys.stderr)


if __name__ == "__main__":
    main()
