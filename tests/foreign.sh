#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# foreign.sh - what foreign code does to the processes that it runs in: forged results, and side effects of plug-ins.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

# build NAME SOURCE FLAG...: the plug-in ./NAME.so.
build()
{
    tap_name=$1 tap_source=$2
    shift 2
    # CC and CFLAGS are lists of words.
    # shellcheck disable=SC2086
    ${CC:-cc} -std=gnu11 -O2 -ffp-contract=off -Wall -Wextra -Werror -fPIC -shared -I"$srcdir/src/libquantbench" \
        -I"$srcdir/src/quantbench" "$@" -o "$tap_name.so" "$srcdir/tests/plugins/$tap_source" -lm
}

case='--device=cpu --threads=1 --dtype=float --granularity=token --num-tokens=5 --hidden-size=37 --num-iters=4 --rounds=2
    --num-warmup-iters=0 --cache=hot --kernel-timeout=2'

# ---- Forged results ------------------------------------------------------------------------------------------------

ok 'the plug-in that forges results is built' build forger forger.c
# forged KERNEL WORDS: its time is not reported, and the other one's is.
forged()
{
    # $case is a list of words.
    # shellcheck disable=SC2086
    run 3 $case --plugin=forger.so --kernel="forger_$1,cpu_generic" --format=csv &&
        err_has "kernel forger_$1: it disturbs the process that it runs in: $2" &&
        same "cpu_generic 0 timed
forger_$1 3 -" "$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
            { print $at["kernel"], $at["exit_status"], ($at["median_ns"] != "" ? "timed" : "-") }' out | sort)"
}
ok 'a time that is NaN' forged nan 'a sample is not a time'
ok 'a negative time' forged negative 'a sample is not a time'
ok 'a time longer than the visit' forged long 'its samples took longer than the whole visit'
ok 'a text without an end' forged text 'the first difference is not a line of text'
ok 'a count beyond all memory' forged count 'it has more samples than were asked for'
ok 'a measurement that takes for ever' forged alive 'its answer is unknown'
ok 'bytes of all kinds' forged garbage 'its answer is unknown'

done_testing
