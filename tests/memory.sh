#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# memory.sh - one allocation fails, each in its turn: what is written is what was written with all of them, or nothing,
# with a message and exit status 3. By default some of the many; all with QUANTBENCH_TEST_SOAK.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

library=$builddir/tests/fake/.libs/malloc.so
# Libtool's script would start many programs for each run of the tool.
tool=$builddir/.libs/quantbench
[ -x "$tool" ] || tool=$QUANTBENCH
LD_LIBRARY_PATH=$builddir/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
OMP_NUM_THREADS=1
export LD_LIBRARY_PATH OMP_NUM_THREADS

case='--device=cpu --hidden-size=32 --num-iters=2 --rounds=2 --num-warmup-iters=0 --threads=1'
# shellcheck disable=SC2086 # a list of words
"$tool" $case --num-tokens=4 --format=json >record.json 2>err || exit 99

# allocations ARGUMENT...: how many there are.
allocations()
{
    rm -f calls
    FAKE_MALLOC_COUNT=$work/calls LD_PRELOAD=$library "$tool" "$@" >/dev/null 2>&1
    cat calls 2>/dev/null || echo 0
}
# What comes before the first row, with another allocator: the same number.
if [ ! -e "$library" ] || [ "$(allocations --report=record.json)" -lt 100 ]; then
    echo '1..0 # SKIP this allocator cannot be replaced'
    exit 0
fi

# steps FIRST LAST MOST: numbers from FIRST to LAST, at most MOST of them.
steps()
{
    awk -v first="$1" -v last="$2" -v most="$3" -v all="$QUANTBENCH_TEST_SOAK" 'BEGIN {
        step = all != "" || last - first < most ? 1 : (last - first) / most
        for (x = first; int(x) <= last; x += step) print int(x)
    }'
}

# fail_at NUMBER NAME ARGUMENT...: the status, with NAME.out and NAME.err.
fail_at()
{
    tap_number=$1 tap_name=$2
    shift 2
    FAKE_MALLOC=$tap_number LD_PRELOAD=$library "$tool" "$@" >"$tap_name.out" 2>"$tap_name.err"
}

# output_fails NAME NUMBERS ARGUMENT...: at each, the whole output or none.
output_fails()
{
    tap_output=$1 tap_numbers=$2
    shift 2
    "$tool" "$@" >"$tap_output.want" 2>/dev/null || return 1
    for tap_at in $tap_numbers; do
        fail_at "$tap_at" "$tap_output" "$@"
        case $? in
        0) cmp -s "$tap_output.want" "$tap_output.out" || { echo "# allocation $tap_at: another output"; return 1; } ;;
        3)
            grep -q '^quantbench: ' "$tap_output.err" || { echo "# allocation $tap_at: no message"; return 1; }
            [ ! -s "$tap_output.out" ] || { echo "# allocation $tap_at: a part of the output"; return 1; }
            ;;
        *)
            echo "# allocation $tap_at: another status: $(head -n 1 "$tap_output.err")"
            return 1
            ;;
        esac
    done
}
# report_fails FORMAT NUMBER...: of a report.
report_fails()
{
    tap_format=$1
    shift
    output_fails "$tap_format" "$*" --report=record.json "--format=$tap_format"
}
# shellcheck disable=SC2046 # a list of numbers
ok 'failing allocations: each of the first 300 while a record is read' report_fails text $(seq 1 300)
read=$(allocations --report=record.json --format=csv)
for format in text json csv markdown gbench junit github gnuplot openmetrics bmf; do
    # What reads comes first, and is the same for all.
    # shellcheck disable=SC2046
    ok "failing allocations: some of those while $format is written" report_fails $format $(steps $((read - 30)) "$(allocations --report=record.json --format=$format)" 80)
done

cp record.json other.json
merged='--report=record.json --report=other.json --format=json'
# shellcheck disable=SC2086,SC2046
ok 'failing allocations: some of those while records are merged' output_fails merged "$(steps 300 "$(allocations $merged)" 80)" $merged
for file in 0 1; do
    printf '\223NUMPY\001\000\166\000'
    printf '%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 32), }"
    head -c 256 "$tool"
done >dumps
head -c 384 dumps >q-0.npy && tail -c 384 dumps >q-1.npy
for format in text json csv; do
    dumps="-q --calibrate=amax,percentile:90 --input=q-0.npy --input=q-1.npy --dumps-of=q --format=$format"
    # shellcheck disable=SC2086,SC2046
    ok "failing allocations: some of those of a calibration as $format" output_fails scales "$(steps 1 "$(allocations $dumps)" 80)" $dumps
done

# ---- A case, with a journal and a file -----------------------------------------------------------------------------

members() { grep -o '"[a-z_0-9]*":' "$1"; }
# case_fails NAME MODE NUMBER...: at each, the whole result or an error.
case_fails()
{
    tap_part=$1 tap_mode=$2
    shift 2
    # shellcheck disable=SC2086
    "$tool" $case --num-tokens=4 $tap_mode --format=json >"$tap_part.one" && members "$tap_part.one" >"$tap_part.want"
    for tap_at; do
        rm -f "$tap_part.journal" "$tap_part.json"
        # shellcheck disable=SC2086
        fail_at "$tap_at" "$tap_part" $case --num-tokens=4 $tap_mode --format=json "--journal=$tap_part.journal" \
            "--output=$tap_part.json"
        case $? in
        0)
            # A ceiling is not a part of the result, but that there is none is said.
            if grep -q 'the ceiling could not be measured' "$tap_part.err"; then
                same 1 "$(grep -c '^}' "$tap_part.out")" || return 1
                continue
            fi
            members "$tap_part.out" | cmp -s - "$tap_part.want" && cmp -s "$tap_part.out" "$tap_part.json" ||
                { echo "# allocation $tap_at: another result"; return 1; }
            ;;
        3)
            grep -q '^quantbench: ' "$tap_part.err" || { echo "# allocation $tap_at: no message"; return 1; }
            [ ! -e "$tap_part.json" ] || "$tool" "--report=$tap_part.json" >/dev/null ||
                { echo "# allocation $tap_at: a part of a report"; return 1; }
            ;;
        *)
            echo "# allocation $tap_at: another status: $(head -n 1 "$tap_part.err")"
            return 1
            ;;
        esac
        # Only whole lines, or a head that is begun again.
        [ ! -s "$tap_part.journal" ] || same '' "$(tail -c 1 "$tap_part.journal")" ||
            { echo "# allocation $tap_at: a part of a line"; return 1; }
    done
}
# case_fails_at MODE NUMBER...: in two processes.
case_fails_at()
{
    tap_mode=$1
    shift
    # shellcheck disable=SC2046
    beside case_fails odd "$tap_mode" $(printf '%s\n' "$@" | awk 'NR % 2') >odd.log
    # shellcheck disable=SC2046
    case_fails even "$tap_mode" $(printf '%s\n' "$@" | awk '!(NR % 2)')
    tap_even=$?
    joined
    tap_odd=$?
    cat odd.log
    [ $tap_even -eq 0 ] && [ $tap_odd -eq 0 ]
}
# shellcheck disable=SC2046
ok 'failing allocations: each of the first 300 of one launch' case_fails_at --profile $(seq 1 300)
# shellcheck disable=SC2086,SC2046
ok 'failing allocations: some of those of a timed case' case_fails_at '' $(steps 300 "$(allocations $case --num-tokens=4 --journal=j --output=j.json)" 20)

# ---- A baseline ----------------------------------------------------------------------------------------------------

baseline_fails()
{
    for tap_at; do
        rm -f base.json
        # shellcheck disable=SC2086
        fail_at "$tap_at" base $case --num-tokens=4 --runs=5 --save-baseline=base.json
        case $? in
        0 | 5) "$tool" --report=base.json >/dev/null || { echo "# allocation $tap_at: a part"; return 1; } ;;
        3) [ ! -e base.json ] && grep -q '^quantbench: ' base.err || { echo "# allocation $tap_at"; return 1; } ;;
        *)
            echo "# allocation $tap_at: another status: $(head -n 1 base.err)"
            return 1
            ;;
        esac
    done
}
# shellcheck disable=SC2046
ok 'failing allocations: some of those of a comparison with a baseline' baseline_fails $(steps 1 300 12)
done_testing
