#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# h200.sh - what the CUDA kernels reach on an H200, against what they must: times as ratios to a copy of as many bytes in
# the same run, small sizes in microseconds, and the best of other libraries' kernels (doc/performance.md says whose and
# how they were timed). Not a part of "make check": a test that depends on speed is not a test.
#
# usage: [QUANTBENCH=path] tests/perf/h200.sh [quantbench option]...
set -eu
: "${QUANTBENCH:=quantbench}"
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT

# measure OPTION...: a line for each case: tokens hidden dtype quant granularity scale kernel median copy, in us.
measure()
{
    "$QUANTBENCH" --device=cuda -q --format=json "$@" | awk -F'": ' '
        function value(text) { gsub(/[",]/, "", text); return text }
        { key = $1; gsub(/[ "]/, "", key) }
        key == "num_tokens" { tokens = value($2) }
        key == "hidden_size" { hidden = value($2) }
        key == "dtype" { dtype = value($2) }
        key == "quant_dtype" { quant = value($2) }
        key == "granularity" { granularity = value($2) }
        key == "scale" { scale = value($2) }
        key == "kernel" { kernel = value($2) }
        key == "verification" { verification = value($2) }
        key == "median" { median = value($2) }
        key == "copy_ns" { copy = value($2) }
        key == "exit_status" {
            if (verification == "verified")
                print tokens, hidden, dtype, quant, granularity, scale, kernel, median / 1000, copy / 1000
            median = 0
        }' >>"$rows"
}

measure "$@" --granularity=tensor,token,channel,group:128,group:64,block:128x128 --scale=dynamic,static \
    --quant-dtype=int8,fp8 --dtype=half,bfloat16
measure "$@" --granularity=tensor --scale=static --quant-dtype=e5m2
measure "$@" --granularity=tensor,token,group:128 --scale=dynamic,static --quant-dtype=fp8 --dtype=float
measure "$@" --hidden-size=8191,8193,4097,1368 --granularity=tensor --scale=static --quant-dtype=fp8
measure "$@" --hidden-size=8191,8193,4097,1368 --granularity=token --quant-dtype=fp8
measure "$@" --num-tokens=8192 --hidden-size=8192,16384 --granularity=tensor,token,group:128 --scale=dynamic,static \
    --quant-dtype=int8,fp8
for sizes in '1,16,128 8192' '1024 4096'; do
    small="--num-tokens=${sizes% *} --hidden-size=${sizes#* } --quant-dtype=int8,fp8"
    # shellcheck disable=SC2086 # options are words
    measure "$@" $small --granularity=tensor --scale=static,dynamic
    # shellcheck disable=SC2086
    measure "$@" $small --granularity=token,group:128
done

awk -v rows="$rows" '
    BEGIN {
        while ((getline line <rows) > 0) {
            split(line, f, " ")
            key = f[1] "x" f[2] " " f[3] " " f[4] " " f[5] " " f[6]
            kernel[key] = f[7]; time[key] = f[8]; copy[key] = f[9]
        }
    }
    /^#/ { print (NR > 1 ? "\n" : "") substr($0, 3); missed_in_table = 0; kind = $2; next }
    NF == 0 { next }
    {
        key = $1 " " $2 " " $3 " " $4 " " $5
        if (!(key in time)) { printf "%-46s no verified time\n", key; failed++; next }
        if (kind == "Ratio") {
            ratio = time[key] / copy[key]
            verdict = ratio <= $7 ? "aim" : ratio <= $6 ? "must" : "MISSED"
            printf "%-46s %8.3f us  ratio %5.3f  must %4.2f  aim %4.2f  %-6s  %s\n", key, time[key], ratio, $6, $7, verdict, kernel[key]
        } else {
            verdict = time[key] <= $6 ? "met" : "MISSED"
            printf "%-46s %8.3f us  %s %6.2f us  %-6s  %s\n", key, time[key], kind == "Small" ? "must" : "peer", $6, verdict, kernel[key]
        }
        count[verdict]++
    }
    END {
        printf "\n"
        for (verdict in count) printf "%s %d  ", verdict, count[verdict]
        printf "%s\n", failed ? "without a time " failed : ""
    }' <<'EOT'
# Ratio to copy, lower is better
4096x8192 half int8 tensor static 1.03 0.98
4096x8192 half fp8 tensor static 1.03 0.98
4096x8192 half e5m2 tensor static 1.03 0.98
4096x8192 half int8 token dynamic 1.01 0.97
4096x8192 half fp8 token dynamic 1.01 0.97
4096x8192 half int8 group:128 dynamic 1.04 1.00
4096x8192 half fp8 group:128 dynamic 1.04 1.00
4096x8192 half int8 group:64 dynamic 1.04 1.00
4096x8192 half fp8 group:64 dynamic 1.04 1.00
4096x8192 half int8 block:128x128 dynamic 1.05 1.00
4096x8192 half fp8 block:128x128 dynamic 1.05 1.00
4096x8192 half int8 channel dynamic 1.40 1.10
4096x8192 half fp8 channel dynamic 1.40 1.10
4096x8192 half int8 token static 1.05 1.00
4096x8192 half fp8 token static 1.05 1.00
4096x8192 half int8 channel static 1.05 1.00
4096x8192 half fp8 channel static 1.05 1.00
4096x8192 half int8 group:128 static 1.05 1.00
4096x8192 half fp8 group:128 static 1.05 1.00
4096x8192 half int8 tensor dynamic 1.22 1.10
4096x8192 half fp8 tensor dynamic 1.22 1.10
8192x8192 half int8 tensor dynamic 1.45 1.30
8192x8192 half fp8 tensor dynamic 1.45 1.30
8192x16384 half int8 tensor dynamic 1.62 1.45
8192x16384 half fp8 tensor dynamic 1.62 1.45
4096x8192 bfloat16 int8 tensor static 1.03 0.98
4096x8192 bfloat16 fp8 tensor static 1.03 0.98
4096x8192 bfloat16 int8 token dynamic 1.01 0.97
4096x8192 bfloat16 fp8 token dynamic 1.01 0.97
4096x8192 bfloat16 int8 group:128 dynamic 1.04 1.00
4096x8192 bfloat16 fp8 group:128 dynamic 1.04 1.00
4096x8192 bfloat16 fp8 block:128x128 dynamic 1.05 1.00
4096x8192 bfloat16 fp8 channel dynamic 1.40 1.10
4096x8192 bfloat16 int8 tensor dynamic 1.22 1.10
4096x8192 bfloat16 fp8 tensor dynamic 1.22 1.10
4096x8192 float fp8 tensor static 1.03 1.00
4096x8192 float fp8 token dynamic 1.03 1.00
4096x8192 float fp8 group:128 dynamic 1.03 1.00
4096x8192 float fp8 tensor dynamic 1.50 1.35
4096x8191 half fp8 tensor static 1.20 1.05
4096x8193 half fp8 tensor static 1.20 1.05
4096x4097 half fp8 tensor static 1.20 1.05
4096x1368 half fp8 tensor static 1.20 1.05
4096x8191 half fp8 token dynamic 1.20 1.05
4096x8193 half fp8 token dynamic 1.20 1.05
4096x4097 half fp8 token dynamic 1.20 1.05
4096x1368 half fp8 token dynamic 1.20 1.05
# Small sizes, microseconds per launch
1x8192 half fp8 tensor static 1.35
16x8192 half fp8 tensor static 1.6
128x8192 half fp8 tensor static 2.55
1024x4096 half fp8 tensor static 4.8
1x8192 half fp8 token dynamic 1.5
16x8192 half fp8 token dynamic 1.75
128x8192 half fp8 token dynamic 2.7
1024x4096 half fp8 token dynamic 4.9
1x8192 half fp8 group:128 dynamic 1.4
16x8192 half fp8 group:128 dynamic 1.65
128x8192 half fp8 group:128 dynamic 2.6
1024x4096 half fp8 group:128 dynamic 4.85
1x8192 half fp8 tensor dynamic 1.6
16x8192 half fp8 tensor dynamic 2.5
128x8192 half fp8 tensor dynamic 3.6
1024x4096 half fp8 tensor dynamic 6.5
# Peers: the best of vLLM, SGLang and TorchInductor, microseconds per launch
1x8192 half fp8 tensor static 1.73
128x8192 half fp8 tensor static 2.95
1024x4096 half fp8 tensor static 5.3
4096x8192 half fp8 tensor static 26.0
8192x8192 half fp8 tensor static 47.8
8192x16384 half fp8 tensor static 95.5
1x8192 half int8 tensor static 2.73
128x8192 half int8 tensor static 4.15
1024x4096 half int8 tensor static 6.34
4096x8192 half int8 tensor static 30.2
8192x8192 half int8 tensor static 56.3
8192x16384 half int8 tensor static 109.5
1x8192 half fp8 tensor dynamic 3.1
128x8192 half fp8 tensor dynamic 5.3
1024x4096 half fp8 tensor dynamic 8.3
4096x8192 half fp8 tensor dynamic 45.8
8192x8192 half fp8 tensor dynamic 84.3
8192x16384 half fp8 tensor dynamic 166
1x8192 half fp8 token dynamic 2.45
128x8192 half fp8 token dynamic 3.95
1024x4096 half fp8 token dynamic 6.0
4096x8192 half fp8 token dynamic 33.3
8192x8192 half fp8 token dynamic 59.9
8192x16384 half fp8 token dynamic 120.7
1x8192 half int8 token dynamic 2.45
128x8192 half int8 token dynamic 4.09
1024x4096 half int8 token dynamic 5.80
4096x8192 half int8 token dynamic 26.8
8192x8192 half int8 token dynamic 49.0
8192x16384 half int8 token dynamic 119.9
1x8192 half fp8 group:128 dynamic 1.5
128x8192 half fp8 group:128 dynamic 2.8
1024x4096 half fp8 group:128 dynamic 5.2
4096x8192 half fp8 group:128 dynamic 25.7
8192x8192 half fp8 group:128 dynamic 48.2
8192x16384 half fp8 group:128 dynamic 96.2
1x8192 half int8 group:128 dynamic 1.97
128x8192 half int8 group:128 dynamic 3.76
1024x4096 half int8 group:128 dynamic 8.37
4096x8192 half int8 group:128 dynamic 49.0
8192x8192 half int8 group:128 dynamic 94.3
8192x16384 half int8 group:128 dynamic 185.3
EOT
