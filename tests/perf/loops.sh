#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# loops.sh - what a kernel's hot loops are made of: of each innermost loop of FUNCTION in OBJECT that stores past the
# caches, how often it has which instruction. Run it in a build folder:
#   tests/perf/loops.sh src/libquantbench/cpu/.libs/libqbavx512_la-kernels_avx512.o encode_f16_int8_avx512
[ $# -eq 2 ] || { echo "Usage: $0 OBJECT FUNCTION" >&2; exit 2; }
objdump -d --no-show-raw-insn "$1" | awk -v function_="<$2>:" '
    $2 == function_ { inside = 1; next }
    /^$/ { inside = 0 }
    inside { sub(/:$/, "", $1); where[$1] = ++lines; name[lines] = $2; target[lines] = $3; text[lines] = $0 }
    END {
        for (last = 1; last <= lines; last++) {
            first = where[target[last]]
            if (name[last] !~ /^j/ || !first || first > last) {
                continue
            }
            stores = jumps = 0
            for (i = first; i < last; i++) {
                stores += name[i] ~ /^vmovnt/
                jumps += name[i] ~ /^j/ && where[target[i]] >= first && where[target[i]] <= i
            }
            if (stores && !jumps) {
                split("", count)
                memory = 0
                for (i = first; i <= last; i++) {
                    count[name[i]]++
                    memory += text[i] ~ /\(%/ && name[i] !~ /^(lea|prefetch|nop)/
                }
                printf "%d instructions, %d with memory:", last - first + 1, memory
                for (i = first; i <= last; i++) {
                    if (count[name[i]]) {
                        printf " %d %s", count[name[i]], name[i]
                        count[name[i]] = 0
                    }
                }
                print ""
            }
        }
    }'
