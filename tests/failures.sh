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
# The field of a column by its head; no field of these has a comma.
field() { awk -F , -v head="$1" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i } NR == 2 { print $(at[head]) }' out; }
ok 'and empty' same ' ' " $(field huge_page_bytes)"
ok 'threads are known' same 1 "$(field threads_obtained)"
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
    ok 'a report above the limit of the size of files: no signal, no temporary file' limited_size
else
    skip 'a report above the limit of the size of files' 'this shell cannot limit it'
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
    ok 'a journal that is removed' touched 'rm j5' 'j5: the journal was removed or replaced'
    ok 'one that is replaced' touched 'cp j5 j6 && mv j6 j5' 'j5: the journal was removed or replaced'
    ok 'one that somebody else writes' touched 'echo >>j5' 'j5: the journal was changed'
else
    skip 'a journal that is removed' 'no library can be loaded before the program'
fi

# ---- Pipes ---------------------------------------------------------------------------------------------------------

mkfifo lonely
ok 'a pipe without a reader' run 3 --report=record.json --output=text:lonely
ok 'says so' err_has 'lonely: nobody reads from this pipe'
read_pipe()
{
    beside sh -c 'cat lonely >read.out'
    run 0 --report=record.json --output=json:lonely && joined && run 0 --report=read.out
}
ok 'a pipe with a reader' read_pipe
ok 'a record from a pipe without a writer' fails 3 'lonely: nobody writes to this pipe' --report=lonely
written_pipe()
{
    beside sh -c 'cat record.json >lonely'
    run 0 --report=lonely --format=json && joined && cmp out record.json
}
ok 'a record from a pipe with a writer' written_pipe
from_stdin() { cat record.json | "$QUANTBENCH" --report=/dev/stdin --format=json >out && cmp out record.json; }
ok 'a record from standard input' from_stdin
ok 'a baseline from a pipe without a writer' fails 3 'nobody writes' $small --runs=2 --baseline=lonely
ok 'a record that is a device without an end' fails 3 'is a character device' --report=/dev/zero
ok 'a baseline that is one' fails 3 'is a character device' $small --runs=2 --baseline=/dev/zero
truncate -s 1000000001 long.json
ok 'a record that is too long' fails 3 'is longer than 1 GB' --report=long.json
rm long.json
ok 'a journal that is a pipe' fails 3 'lonely: is not a file' $small --journal=lonely
ok 'one to resume' fails 3 'lonely: is not a file' $small --resume=lonely
ok 'an input that is a pipe' fails 2 'a pipe' --device=cpu --input=lonely
ok 'a plug-in that is a pipe' run 3 $small --plugin=./lonely
done_testing
