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
    same 3 $? && err_has 'standard output' && ! [ -e j1 ] && ! [ -e o1.json ]
}
ok 'closed descriptors: nothing is measured or written without standard output' no_stdout
no_stdin()
{
    "$QUANTBENCH" $small --journal=j1 --output=o1.json <&- >out 2>err
    same 0 $? && whole_journal j1 && run 0 --report=o1.json
}
ok 'closed descriptors: journal and report are whole without standard input' no_stdin
no_stderr()
{
    "$QUANTBENCH" $small --journal=j2 --output=o2.json -v >out 2>&-
    same 0 $? && whole_journal j2 && run 0 --report=o2.json
}
ok 'closed descriptors: journal and report are whole without standard error' no_stderr
none()
{
    "$QUANTBENCH" $small --isolate --journal=j3 --output=o3.json -v <&- >out 2>&-
    same 0 $? && whole_journal j3 --isolate && run 0 --report=o3.json
}
ok 'closed descriptors: journal and report are whole without both, with a worker' none

# ---- A system that tells nothing -----------------------------------------------------------------------------------

mkdir nothing || exit 99
untold()
{
    ( QUANTBENCH_FSROOT=$work/nothing; export QUANTBENCH_FSROOT; run "$@" )
}
ok 'no /proc and /sys: a case is measured' untold 0 $small
ok 'no /proc and /sys: a journal is kept' untold 0 $small --journal=j4
ok 'no /proc and /sys: a dry run succeeds' untold 0 $small --dry-run --format=json
ok 'no /proc and /sys: the dry run does not know if a case fits' out_has '"fits": null'
ok 'no /proc and /sys: a case is reported in JSON' untold 0 $small --format=json
ok 'no /proc and /sys: unknown huge pages are null in JSON' out_has '"huge_page_bytes": null'
untold 0 $small --format=csv
# The field of a column by its head; no field of these has a comma.
field() { awk -F , -v head="$1" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i } NR == 2 { print $(at[head]) }' out; }
ok 'no /proc and /sys: unknown huge pages are empty in CSV' same ' ' " $(field huge_page_bytes)"
ok 'no /proc and /sys: the number of threads is known' same 1 "$(field threads_obtained)"
ok 'no /proc and /sys: devices are listed' untold 0 --list-devices --device=cpu
ok 'no /proc and /sys: a memory of unknown size is listed' out_has 'unknown memory'
untold_limits()
{
    untold "$1" --doctor --device=cpu --format=json || return 1
    # A quota that nobody tells is not none.
    sed -n '/"cpu_quota"/,/}/p; /"memory_limit_bytes"/,/}/p' out >facts
    grep -q unknown facts && ! grep -q none facts
}
QUANTBENCH_FSROOT=$work/nothing "$QUANTBENCH" --doctor --device=cpu >out 2>err
ok 'no /proc and /sys: --doctor reports limits as unknown' untold_limits $?

# ---- Files ---------------------------------------------------------------------------------------------------------

run 0 $small --format=json && cp out record.json
# large FILE: a report of more than a kibibyte does not get past a limit of the size of files.
limited_size()
{
    rm -rf dir && mkdir dir
    ( ulimit -f 1; "$QUANTBENCH" --report=record.json --output=dir/large.json >out 2>err )
    same 3 $? && err_has 'large.json: File too large' && same '' "$(ls dir)"
}
# Of shells that count in blocks of 512 bytes or more, the record is longer than two of them.
if [ "$(wc -c <record.json)" -gt 2048 ] && (ulimit -f 1) 2>/dev/null; then
    ok 'file size limit: a larger report leaves no temporary file, and no signal ends the run' limited_size
else
    skip 'file size limit: a larger report' 'this shell cannot limit it'
fi

# touched COMMAND WORD: COMMAND is run when the journal j5 has two lines; WORD is in the error.
killer=$builddir/tests/fake/.libs/killer.so
touched()
{
    rm -f j5
    ( LD_PRELOAD=$killer FAKE_KILL=2 FAKE_KILL_COMMAND=$1; export LD_PRELOAD FAKE_KILL FAKE_KILL_COMMAND
      run 3 $small --journal=j5 ) && err_has "$2" && same 1 "$(grep -c j5: err)"
}
if [ -e "$killer" ] && ( LD_PRELOAD=$killer "$QUANTBENCH" --version ) >out 2>&1 && ! grep -q -i 'preload\|runtime' out; then
    ok 'journal: one removed during the run is noticed' touched 'rm j5' 'j5: the journal was removed or replaced'
    ok 'journal: one replaced during the run is noticed' touched 'cp j5 j6 && mv j6 j5' 'j5: the journal was removed or replaced'
    ok 'journal: one written by somebody else is noticed' touched 'echo >>j5' 'j5: the journal was changed'
else
    skip 'journal: one removed during the run is noticed' 'no library can be loaded before the program'
fi

# ---- Pipes ---------------------------------------------------------------------------------------------------------

mkfifo lonely
ok 'pipes: a report to a pipe without a reader fails' run 3 --report=record.json --output=text:lonely
ok 'pipes: the missing reader is named' err_has 'lonely: nobody reads from this pipe'
read_pipe()
{
    beside sh -c 'cat lonely >read.out'
    run 0 --report=record.json --output=json:lonely && joined && run 0 --report=read.out
}
ok 'pipes: a report to a pipe with a reader is whole' read_pipe
ok 'pipes: a record from a pipe without a writer is refused' fails 3 'lonely: nobody writes to this pipe' --report=lonely
written_pipe()
{
    beside sh -c 'cat record.json >lonely'
    run 0 --report=lonely --format=json && joined && cmp out record.json
}
ok 'pipes: a record from a pipe with a writer is read' written_pipe
from_stdin() { cat record.json | "$QUANTBENCH" --report=/dev/stdin --format=json >out && cmp out record.json; }
ok 'pipes: a record from standard input is read' from_stdin
ok 'pipes: a baseline from a pipe without a writer is refused' fails 3 'nobody writes' $small --runs=2 --baseline=lonely
ok 'devices: an endless device is refused as a record' fails 3 'is a character device' --report=/dev/zero
ok 'devices: an endless device is refused as a baseline' fails 3 'is a character device' $small --runs=2 --baseline=/dev/zero
truncate -s 1000000001 long.json
ok 'record: one longer than 1 GB is refused' fails 3 'is longer than 1 GB' --report=long.json
rm long.json
ok 'pipes: a pipe is refused by --journal' fails 3 'lonely: is not a file' $small --journal=lonely
ok 'pipes: a pipe is refused by --resume' fails 3 'lonely: is not a file' $small --resume=lonely
ok 'pipes: a pipe is refused by --input' fails 2 'a pipe' --device=cpu --input=lonely
ok 'pipes: a plug-in that is a pipe does not hang the run' run 3 $small --plugin=./lonely
done_testing
