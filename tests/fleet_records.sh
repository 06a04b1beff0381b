# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# fleet_records.sh - the records of many devices, for the tests of --fleet. Sourced after tap.sh.

# record NODE INDEX MEDIAN [MORE]: a record of a device, on standard output; MORE: members of the result.
record()
{
    printf '{"schema": "quantbench-result", "schema_version": 2, "version": "1", "date": "2026-01-01T00:00:0%sZ",' "${date:-0}"
    printf '"argv": ["quantbench"], "host": {"name": "%s", "system": "Linux", "cpus": 8}, "seed": 0,' "$1"
    printf '"devices": [{"id": "cuda:%s", "name": "G", "isa": "sm_90", "driver": "%s", "uuid": "GPU-%s-%s"}],' \
        "$2" "${driver:-1.0}" "$1" "$2"
    printf '"results": [{"problem": {"dtype": "half", "quant_dtype": "fp8"}, "device": "cuda:%s", "kernel": "k", "rounds": [' "$2"
    printf '%s' "$3" | awk '{ for (i = 0; i < 10; i++)
        printf "%s{\"median_ns\": %.6f}", (i > 0 ? ", " : ""), $1 * (1 + 0.001 * (i % 4)) }'
    printf '], %s"launch": "graph"}]}\n' "${4:+$4, }"
}

# fleet FOLDER [SLOW]: eight devices on two nodes; SLOW of them takes 10 % more.
fleet()
{
    mkdir -p "$1"
    for i in 0 1 2 3 4 5 6 7; do
        time=25000
        [ "$i" != "${2:-none}" ] || time=27500
        record "node$((i / 4))" $((i % 4)) "$((time + 10 * i))" >"$1/$i.json"
    done
}
