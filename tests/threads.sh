#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# threads.sh - threads that cannot be had: the report says how many there were, and the process never ends with the
# status of something else.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

case='--device=cpu --num-tokens=256 --hidden-size=4096 --num-iters=2 --num-warmup-iters=0'

# threads NAME: the rounds' member NAME, each value once.
threads() { sed -n "s/^ *\"$1\": \([0-9a-z]*\).*/\1/p" out | sort -u; }
if ! run 0 $case --threads=3 --format=json; then
    echo '1..0 # SKIP this build has no OpenMP'
    exit 0
fi
ok 'threads: the record has how many were wanted' same 3 "$(threads threads_wanted)"
ok 'threads: the record has how many were obtained' same 3 "$(threads threads_obtained)"
run 0 --device=cpu --num-tokens=1 --hidden-size=32 --num-iters=2 --threads=3 --format=json
ok 'threads: a small tensor wants one' same 1 "$(threads threads_wanted)"

# dynamic ARGUMENT...: OpenMP may give fewer threads, and does if there are more than CPUs.
dynamic() { ( OMP_DYNAMIC=true; export OMP_DYNAMIC; run "$@" ); }
if [ "$(getconf _NPROCESSORS_ONLN)" -lt 24 ]; then
    ok 'OMP_DYNAMIC: a case is measured on fewer threads' dynamic 0 $case --threads=24 --format=json
    ok 'OMP_DYNAMIC: the record has how many were wanted' same 24 "$(threads threads_wanted)"
    ok 'OMP_DYNAMIC: the record has how many ran' test "$(threads threads_obtained)" -lt 24
    short() { dynamic 0 $case --threads=24 && out_has 'short of threads: launches ran on' && out_has 'of 24'; }
    ok 'OMP_DYNAMIC: the report says how many ran' short
    ok 'OMP_DYNAMIC: missing threads fail under --strict' dynamic 5 $case --threads=24 --strict
else
    skip 'OMP_DYNAMIC: a case is measured on fewer threads' 'this machine has 24 CPUs'
fi

limit=$builddir/tests/fake/.libs/threads.so
# limited THREADS STATUS ARGUMENT...: no more THREADS can be started.
limited()
{
    tap_limit=$1
    shift
    ( LD_PRELOAD=$limit FAKE_THREADS=$tap_limit OMP_NUM_THREADS=2; export LD_PRELOAD FAKE_THREADS OMP_NUM_THREADS; run "$@" )
}
if [ -e "$limit" ] && ( LD_PRELOAD=$limit "$QUANTBENCH" --version ) >out 2>&1 && ! grep -q -i 'preload\|runtime' out; then
    ok 'thread limit: a case is measured on fewer threads' limited 1 0 $case --threads=4 --format=json
    ok 'thread limit: the record has how many were wanted' same 4 "$(threads threads_wanted)"
    ok 'thread limit: the record has how many ran' test "$(threads threads_obtained)" -lt 4
    # The loops of the tool itself ask OpenMP for two.
    no_thread() { limited 0 3 $case --threads=1 && err_has 'quantbench: a library has ended the process'; }
    ok 'thread limit: no thread at all ends the run with a message' no_thread
else
    skip 'thread limit: a case is measured on fewer threads' 'no library can be loaded before the program'
fi
done_testing
