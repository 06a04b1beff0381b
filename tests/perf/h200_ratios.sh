#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# h200_ratios.sh - what CUDA kernels reach on an H200, as ratios to a copy of as many bytes in the same run, against what
# they must: those for narrow formats, block scales and zero points, or those of operations. Not a part of "make check",
# as h200.sh.
#
# usage: [QUANTBENCH=path] tests/perf/h200_ratios.sh narrow|operations [quantbench option]...
set -eu
: "${QUANTBENCH:=quantbench}"
area=${1:?narrow or operations}
shift

measure()
{
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
                    printf "%-84s no verified time\n", name
                    exit
                }
                ratio = median / copy
                printf "%-84s %7.3f us  ratio %5.3f  must %4.2f  aim %4.2f  %-6s  %s\n", name, median / 1000, ratio, must,
                    aim, ratio <= aim ? "aim" : ratio <= must ? "must" : "MISSED", kernel
            }'
    done
}

# Each line: must, aim, and the options of one case, half, 4096 x 8192 unless they say otherwise.
narrow()
{
    cat <<'EOT'
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
}

operations()
{
    cat <<'EOT'
1.05 1.00 --op=rms-norm --quant-dtype=fp8 --scale=static
1.08 1.00 --op=rms-norm --quant-dtype=fp8 --granularity=token
1.08 1.00 --op=rms-norm --quant-dtype=int8 --granularity=token
1.08 1.00 --op=rms-norm --quant-dtype=fp8 --granularity=group:128
1.04 1.00 --op=add-rms-norm --quant-dtype=fp8 --granularity=token
1.04 1.00 --op=add-rms-norm --quant-dtype=fp8 --scale=static
1.00 0.98 --op=silu-mul --hidden-size=14336 --quant-dtype=fp8 --scale=static
1.02 0.98 --op=silu-mul --hidden-size=14336 --quant-dtype=fp8 --granularity=token
1.00 0.98 --op=silu-mul --hidden-size=14336 --quant-dtype=fp8 --granularity=group:128
1.25 1.15 --op=silu-mul --hidden-size=14336 --quant-dtype=fp8 --granularity=group:128 --num-tokens=128
1.10 1.02 --op=rope --hidden-size=5120 --quant-dtype=fp8 --scale=static
1.10 1.02 --op=rope --hidden-size=5120 --quant-dtype=fp8 --scale=static --weights=float
1.10 1.02 --op=rope --hidden-size=5120 --quant-dtype=fp8 --granularity=group:128
1.10 1.02 --op=rope --hidden-size=5120 --quant-dtype=fp8 --granularity=token
1.15 1.05 --op=kv-write --hidden-size=2048 --quant-dtype=fp8
1.15 1.05 --op=kv-write --hidden-size=2048 --quant-dtype=fp8 --granularity=group:128
1.15 1.05 --op=kv-write --hidden-size=2048 --quant-dtype=fp8 --page-layout=hnd
1.20 1.10 --op=kv-write --hidden-size=2048 --quant-dtype=nvfp4
1.20 1.10 --op=kv-write --hidden-size=2048 --quant-dtype=nvfp4 --page-layout=hnd
1.20 1.05 --op=kv-read --hidden-size=2048 --quant-dtype=fp8
1.20 1.05 --op=kv-read --hidden-size=2048 --quant-dtype=fp8 --page-layout=hnd
1.40 1.10 --op=kv-read --hidden-size=2048 --quant-dtype=nvfp4
1.40 1.10 --op=kv-read --hidden-size=2048 --quant-dtype=nvfp4 --page-layout=hnd
1.10 1.03 --op=dual --quant-dtype=fp8 --granularity=block:128x128
1.10 1.03 --op=dual --quant-dtype=fp8 --granularity=group:128
1.10 1.03 --op=dual --quant-dtype=mxfp8
1.10 1.03 --op=transpose --quant-dtype=fp8 --granularity=block:128x128
2.00 1.20 --op=transpose --quant-dtype=fp8 --granularity=block:128x128 --num-tokens=4097
2.00 1.20 --op=dual --quant-dtype=fp8 --granularity=group:128 --num-tokens=4097
2.00 1.15 --op=dual --quant-dtype=fp8 --granularity=group:128 --dtype=float
1.00 0.98 --op=dequantize --quant-dtype=fp8 --granularity=group:128
1.20 1.05 --experts=8 --quant-dtype=fp8 --granularity=group:128
1.40 1.15 --experts=8 --quant-dtype=mxfp4
1.60 1.20 --experts=8 --quant-dtype=nvfp4
1.60 1.20 --experts=8 --quant-dtype=nvfp4 --scale-layout=tiled-128x4
1.60 1.20 --experts=8 --quant-dtype=int4 --granularity=group:128
EOT
}

case $area in
narrow | operations) "$area" | measure "$@" ;;
*)
    echo "usage: $0 narrow|operations [quantbench option]..." >&2
    exit 2
    ;;
esac
