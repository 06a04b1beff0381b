#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# failures.sh - what goes wrong around a run is told as what it is: closed descriptors, a system that tells nothing of
# itself, files that cannot be written.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

small='--device=cpu --num-tokens=4 --hidden-size=32 --num-iters=2 --num-warmup-iters=0'

# ---- Closed descriptors --------------------------------------------------------------------------------------------

# whole_journal FILE ARGUMENT...: it can be resumed, and nothing but its lines is in it.
whole_journal()
{
    tap_journal=$1
    shift
    same 0 "$(grep -c -v '^{' "$tap_journal")" && run 0 $small "$@" "--resume=$tap_journal"
}
no_stdout()
{
    "$QUANTBENCH" $small --journal=j1 --output=o1.json >&- 2>err
    same 3 $? && err_has 'standard output' && whole_journal j1 && run 0 --report=o1.json
}
ok 'a journal and a report with standard output closed' no_stdout
no_stderr()
{
    "$QUANTBENCH" $small --journal=j2 --output=o2.json -v >out 2>&-
    same 0 $? && whole_journal j2 && run 0 --report=o2.json
}
ok 'with standard error closed' no_stderr
none()
{
    "$QUANTBENCH" $small --isolate --journal=j3 --output=o3.json -v <&- >&- 2>&-
    same 3 $? && whole_journal j3 --isolate && run 0 --report=o3.json
}
ok 'with all three closed, and a worker' none

# ---- A system that tells nothing -----------------------------------------------------------------------------------

mkdir nothing || exit 99
untold()
{
    ( QUANTBENCH_FSROOT=$work/nothing; export QUANTBENCH_FSROOT; run "$@" )
}
ok 'without /proc and /sys it measures' untold 0 $small
ok 'and keeps in a journal' untold 0 $small --journal=j4
ok 'a dry run does not know whether a case fits' untold 0 $small --dry-run --format=json
ok 'and says so' out_has '"fits": null'
ok 'huge pages are unknown' untold 0 $small --format=json
ok 'which is null' out_has '"huge_page_bytes": null'
untold 0 $small --format=csv
ok 'and empty' test "$(tail -n 1 out | tr ',' '\n' | tail -n 3 | head -n 1)" = ''
ok 'a list of devices' untold 0 --list-devices --device=cpu
ok 'has a memory of unknown size' out_has 'unknown memory'
untold_limits()
{
    untold "$1" --doctor --device=cpu --format=json || return 1
    # A quota that nobody tells is not none.
    sed -n '/"cpu_quota"/,/}/p; /"memory_limit_bytes"/,/}/p' out >facts
    grep -q unknown facts && ! grep -q none facts
}
QUANTBENCH_FSROOT=$work/nothing "$QUANTBENCH" --doctor --device=cpu >out 2>err
ok 'limits are unknown' untold_limits $?
done_testing
