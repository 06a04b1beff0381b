#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# h200_narrow.sh - what the CUDA kernels for narrow formats, block scales and zero points reach on an H200, as ratios to a
# copy of as many bytes in the same run, against what they must. Not a part of "make check", as h200.sh.
#
# usage: [QUANTBENCH=path] tests/perf/h200_narrow.sh [quantbench option]...
set -eu
: "${QUANTBENCH:=quantbench}"

# Each line: must, aim, and the options of one case, 4096 x 8192 half.
while read -r must aim options; do
    # shellcheck disable=SC2086 # options are words
    "$QUANTBENCH" --device=cuda -q --format=json "$@" $options | awk -F'": ' -v must="$must" -v aim="$aim" \
        -v name="$options" '
        { key = $1; value = $2; gsub(/[ "]/, "", key); gsub(/[",]/, "", value) }
        key == "kernel" { kernel = value }
        key == "verification" { verification = value }
        key == "median" && median == "" { median = value }
        key == "copy_ns" && copy == "" { copy = value }
        END {
            if (verification != "verified" || copy == 0) {
                printf "%-66s no verified time\n", name
                exit
            }
            ratio = median / copy
            printf "%-66s %7.3f us  ratio %5.3f  must %4.2f  aim %4.2f  %-6s  %s\n", name, median / 1000, ratio, must,
                aim, ratio <= aim ? "aim" : ratio <= must ? "must" : "MISSED", kernel
        }'
done <<'EOT'
1.02 0.98 --quant-dtype=mxfp8
1.04 1.00 --quant-dtype=mxfp8 --scale-layout=tiled-128x4
1.10 1.02 --quant-dtype=mxfp6
1.10 1.02 --quant-dtype=mxfp4
1.15 1.02 --quant-dtype=mxfp4 --scale-layout=tiled-128x4
1.15 1.05 --quant-dtype=nvfp4
1.20 1.05 --quant-dtype=nvfp4 --scale-layout=tiled-128x4
1.40 1.25 --quant-dtype=nvfp4 --tensor-scale=computed
1.08 1.02 --quant-dtype=int4 --granularity=group:128
1.08 1.02 --quant-dtype=uint4 --asymmetric --granularity=group:128 --scale-format=half
0.99 0.97 --quant-dtype=int8 --asymmetric --granularity=tensor --scale=static
1.00 0.97 --quant-dtype=int8 --asymmetric --granularity=token
1.00 0.97 --quant-dtype=fp8 --granularity=group:128 --scale-layout=columns
0.99 0.97 --quant-dtype=fp8 --granularity=group:128 --scale-format=e8m0
1.00 0.97 --quant-dtype=fp8 --granularity=group:128 --scale-format=e8m0 --scale-layout=packed
EOT
