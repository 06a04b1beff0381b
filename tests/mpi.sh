#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# mpi.sh - quantbench-mpi: one report of all ranks, whatever becomes of one of them. Most checks run fake_tool.sh, which
# takes no time, and all of them on this machine, by shared memory.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

# shellcheck source=tests/mpi_jobs.sh
. "$srcdir/tests/mpi_jobs.sh"
need_jobs

# ---- All are well --------------------------------------------------------------------------------------------------

ok 'two ranks: too few for a verdict' job 5 2
ok 'two ranks: both are in the report' out_has 'Fleet: 2 devices: 2 NO VERDICT'
ok 'four ranks: exit status 0' job 0 4
ok 'four ranks: one report' same 'Fleet: 4 devices: 4 OK' "$(grep Fleet out)"
ok 'four ranks: a record each' same 4 "$(find records -name '0000[0-3]-*.json' | wc -l)"
ok 'sixteen ranks: one report' job 0 16
ok 'sixteen ranks: all of them' out_has 'Fleet: 16 devices: 16 OK'
ok 'the report in another format' job 0 4 --format=csv --output=fleet.md
ok 'the report in another format: a line each' same 5 "$(wc -l <out)"
ok 'the report in a file' grep -q '^|' fleet.md

FAKE_TOLD=$work/told
export FAKE_TOLD
ok 'all together: a run' job 0 3
# The order within a round is free: a round is over before the next one begins.
ok 'all together: round by round' same '0 0 0 1 1 1 2 2 2 3 3 3 4 4 4 5 5 5' "$(cut -d ' ' -f 1 told | tr '\n' ' ' | sed 's/ $//')"
rm told
ok 'in turns: a run' job 0 3 --together=node-turns
ok 'in turns: one rank after the other' same "$(for i in 0 1 2 3 4 5; do printf '%s 0\n%s 1\n%s 2\n' $i $i $i; done)" "$(cat told)"
rm told
ok 'both: a run' job 0 3 --together=both
ok 'both: first all together' same "$(printf '0 0\n0 1\n0 2')" "$(head -n 3 told | sort)"
ok 'both: then in turns' same "$(for i in 0 1 2 3 4 5; do printf '%s 0\n%s 1\n%s 2\n' $i $i $i; done)" "$(tail -n 18 told)"
unset FAKE_TOLD
ok 'both: records of each' same '3 3' "$(find records -name '0000?-*_turns.json' | wc -l) $(find records -name '0000?-*[!s].json' | wc -l)"
ok 'both: the coupling' out_has 'coupling 1.0000 (3 devices)'
ok 'both: one that is coupled: a run' faulty coupled@2 0 4 --together=both
ok 'both: one that is coupled: how much, and which' grep -q 'the largest 1.0150, .* rank 2' out
ok 'both: one that is coupled: json' faulty coupled@2 0 4 --together=both --format=json
ok 'both: one that is coupled: json: how much' grep -q '"coupling": 1\.01[45]' out

# ---- Something is wrong with one -----------------------------------------------------------------------------------

ok 'wrong: exit status 4' faulty wrong@2 4 4
ok 'wrong: the rank' verdict 2 WRONG
ok 'wrong: the place' out_has 'code [1, 2]: 0x7f, not 0x7e'
ok 'slow: exit status 1' faulty slow@1 1 4
ok 'slow: it was measured again' test -s "$(find records -name '00001-*_again.json')"
ok 'slow: only this one was' same 5 "$(find records -name '0*.json' | wc -l)"
ok 'slow: the rank' verdict 1 SLOWER
ok 'slow: not again with --once' faulty slow@1 5 4 --once
ok 'slow: not again with --once: a suspect' verdict 1 SUSPECT
ok 'slow once: exit status 0' faulty slow-once@3 0 4
ok 'slow once: the rank' verdict 3 TRANSIENT
ok 'exit: exit status 3' faulty exit@0 3 4
ok 'exit: the rank, and why' err_has 'rank 0 on'
ok 'exit: why' err_has 'NO ANSWER: the tool ended with exit status 3: quantbench: fake: cannot go on'
ok 'exit: the others' out_has '3 OK; 1 device missing'
ok 'hang: exit status 3' faulty hang@2 3 4 --deadline=5
ok 'hang: the rank' grep -q 'rank 2 on .*NO ANSWER: the tool did not go on' err
ok 'hang: the others' out_has '3 OK; 1 device missing'
ok 'deaf to SIGTERM: exit status 3' faulty deaf@2 3 4 --deadline=5
ok 'deaf to SIGTERM: the others' out_has '3 OK; 1 device missing'
ok 'a child that stays does not keep the job' faulty child@1 0 4
gone() { ! kill -0 "$(cat records/stray)" 2>/dev/null; }
ok 'a child that stays is ended with its tool' gone

FAKE_OPEN=$work/open
export FAKE_OPEN
ok 'descriptors: a run' job 5 1
ok 'descriptors: the tool has its gate, and no other' same '0 1 2 3 4 1[1-9]' "$(cat open)"
unset FAKE_OPEN

# A rank that is frozen cannot be waited for, nor be taken out of a meeting.
before=$(date +%s)
ok "SIGSTOP of a rank: exit status $left" faulty stop@2 "$left" 4 --deadline=5
ok 'SIGSTOP of a rank: it is named' grep -q 'rank 2 on .*NO ANSWER: the rank does not answer' err
ok 'SIGSTOP of a rank: the others' out_has '3 OK; 1 device missing'
ok 'SIGSTOP of a rank: not before the deadline' test $(($(date +%s) - before)) -ge 5
ok "SIGSTOP of rank 0: exit status $left" faulty stop@0 "$left" 4 --deadline=5
ok 'SIGSTOP of rank 0: it is named' err_has 'rank 0: NO ANSWER; report the records with: quantbench --fleet=records'

# The job ends with a rank that is killed. The tools write what they have measured; the FIFO has its end when all did.
killed()
{
    rm -f end
    mkfifo end
    beside cat end
    FAKE_END=$work/end
    export FAKE_END
    faulty "kill@$1" "$killed" 4
    set -- $?
    unset FAKE_END
    joined
    return "$1"
}
for rank in 2 0; do
    ok "SIGKILL of rank $rank: the job ends" killed $rank
    ok "SIGKILL of rank $rank: four records" same 4 "$(find records -name '0*.json' | wc -l)"
    ok "SIGKILL of rank $rank: they give a report" run 5 --fleet=records
    ok "SIGKILL of rank $rank: of four" out_has 'Fleet: 4 devices: '
done

# ---- Devices -------------------------------------------------------------------------------------------------------

FAKE_DEVICES=4
export FAKE_DEVICES
ok 'devices: one for each rank' job 0 4
ok 'devices: each of them' same 4 "$(grep -c 'cuda:[0-3] (GPU-n-[0-3]) .*OK' out)"
ok 'devices: fewer ranks' job 0 3
ok 'devices: fewer ranks: it is said' err_has '1 of its 4 devices have no rank'
FAKE_DEVICES=3
ok 'devices: more ranks' job 0 4
ok 'devices: more ranks: one is idle' err_has 'rank 3 on'
ok 'devices: more ranks: why' err_has 'idle, since the node has 3 devices for 4 ranks'
FAKE_DEVICES=1
ok 'devices: two ranks on one are refused' job 2 2
ok 'devices: two ranks on one: both are named' grep -q 'rank 0 on .*GPU-n-0) and rank 1 on .*GPU-n-0) have the same device' err
unset FAKE_DEVICES

# Two nodes, as their boots say, one of them with a device less; each has a folder of its own for records.
mkdir -p a/root/proc/sys/kernel/random b/root/proc/sys/kernel/random
echo 11111111-0000 >a/root/proc/sys/kernel/random/boot_id
echo 22222222-0000 >b/root/proc/sys/kernel/random/boot_id
on_node()
{
    echo "-n $2 -wdir $work/$1 env QUANTBENCH_FSROOT=$work/$1/root FAKE_NODE=$1 FAKE_DEVICES=$2 \
$builddir/quantbench-mpi --tool=$srcdir/tests/fake_tool.sh --records=records"
}
# shellcheck disable=SC2046 # lists of words
timeout -k 5 300 mpirun $(on_node a 3) : $(on_node b 2) >out 2>err
ok 'two nodes: exit status 0' same 0 $?
ok 'two nodes: the one with fewer devices' grep -q ': 2 devices, the others 3$' err
ok 'two nodes: all are in the report' out_has 'Fleet: 5 devices: 5 OK'
ok 'two nodes: records of the other one were sent' same 5 "$(find a/records -name '0*.json' | wc -l)"

# ---- Usage ---------------------------------------------------------------------------------------------------------

# alone STATUS WORD OPTION...: without a launcher.
alone()
{
    tap_want=$1 tap_word=$2
    shift 2
    timeout -k 5 120 "$builddir/quantbench-mpi" "$@" >out 2>err
    same "$tap_want" $? && [ ! -s out ] && err_has "$tap_word"
}
ok 'usage: an option that cannot be shared' alone 2 'this option is for one process' --journal=x
ok 'usage: an abbreviation' alone 2 'expected --device=VALUE, spelled out' --dev=cpu
ok 'usage: an unknown meeting' alone 2 'expected all, node-turns or both' --together=never
ok 'usage: a deadline' alone 2 'expected seconds' --deadline=no
ok 'usage: two devices' alone 2 'expected one device' --device=cuda:0,cuda:1
ok 'usage: an error of the tool' job 2 2 --refused
ok 'usage: an error of the tool: its message' err_has 'quantbench: --refused: unknown option'
mkdir used && : >used/00007-other.json
ok 'usage: a folder with records' alone 2 'there are records already' --device=cpu --records=used
ok 'usage: no folder' alone 3 'choose another folder with --records' --device=cpu --records=missing/folder
one_of_four() { SLURM_NTASKS=4 alone 2 'one process of 4, but MPI knows only itself' --device=cpu; }
ok 'usage: four processes that are each alone' one_of_four

"$builddir/quantbench-mpi" --help >help
documented()
{
    grep -oE '^  --[a-z-]+' help | tr -d ' ' | while read -r option; do
        grep -qF "$(echo "$option" | sed 's/-/\\-/g')" "$srcdir/man/quantbench-mpi.1.in" || echo "# not in the manual: $option"
    done | grep . && return 1
    test "$(grep -cE '^  --' help)" -ge 7
}
ok 'usage: the manual has all options' documented

# An MPI_Init() that does not return.
hung()
{
    echo '#include <unistd.h>
        int MPI_Init_thread(int *argc, char ***argv, int wanted, int *got);
        int MPI_Init_thread(int *argc, char ***argv, int wanted, int *got)
        { (void)argc; (void)argv; (void)wanted; (void)got; for (;;) pause(); }' >hang.c
    # shellcheck disable=SC2086 # CC may have options
    ${CC:-cc} -shared -fPIC -o hang.so hang.c && LD_PRELOAD=$work/hang.so alone 3 'not all ranks are there in time' \
        --device=cpu --init-timeout=0.5
}
ok 'MPI_Init hangs: an end, and a way without it' hung

# ---- The tool itself -----------------------------------------------------------------------------------------------

# The speed of four ranks on this machine is not for the test to judge.
mpirun -n 4 "$builddir/quantbench-mpi" --tool="$QUANTBENCH" --records=real --device=cpu --num-tokens=4 --hidden-size=64 \
    --num-iters=12 --rounds=6 --fleet-margin=100 >out 2>err
status=$?
ok 'the tool: a status' test $status -eq 0 -o $status -eq 1
ok 'the tool: a report of four' grep -q '^Fleet: 4 devices: ' out
ok 'the tool: each rank knows which one it is' same '0 1 2 3' "$(sed -n 's/^  "rank": \([0-9]*\),$/\1/p' real/0*-"$(hostname)".json | sort | tr '\n' ' ' | sed 's/ $//')"
QUANTBENCH_INJECT=wrong@1 mpirun -n 3 "$builddir/quantbench-mpi" --tool="$QUANTBENCH" --records=real2 --device=cpu \
    --num-tokens=4 --hidden-size=64 --num-iters=12 --rounds=6 >out 2>err
ok 'the tool: one wrong byte: exit status 4' same 4 $?
ok 'the tool: one wrong byte: the rank' verdict 1 WRONG
ok 'the tool: one wrong byte: the index' out_has 'element 128'
ok 'the tool: one wrong byte: it was asked for' out_has 'fault injected: wrong@1'

QUANTBENCH_INJECT=wrong@1 mpirun -n 3 "$builddir/quantbench-mpi" --tool="$QUANTBENCH" --records=soak --device=cpu \
    --num-tokens=4 --hidden-size=256 --soak=4x >out 2>err
ok 'soak: one wrong byte: exit status 4' same 4 $?
ok 'soak: one wrong byte: the rank' verdict 1 WRONG
ok 'soak: one wrong byte: the place' out_has 'byte 512 of the '
ok 'soak: the others' out_has 'Fleet: 3 devices: 1 WRONG, 2 OK'
ok 'soak: all ranks run the same rounds' same 1 "$(cat soak/0*.json | sed -n 's/.*"digest": "\(.*\)".*/\1/p' | sort | uniq -c | awk '{ print $1 % 3 == 0 }' | sort -u)"
ok 'soak: each has what it found' same '0 4 0' "$(for i in 0 1 2; do sed -n 's/^    "wrong_rounds": \([0-9]*\),$/\1/p' soak/0000$i-*.json; done | tr '\n' ' ' | sed 's/ $//')"

# ---- Packages ------------------------------------------------------------------------------------------------------

# needs_mpi FILE
needs_mpi() { readelf -d "$1" | grep NEEDED | grep -qi 'mpi'; }
if command -v readelf >/dev/null; then
    tool=$builddir/.libs/quantbench
    [ -e "$tool" ] || tool=$builddir/quantbench
    ok 'dependencies: quantbench-mpi links MPI' needs_mpi "$builddir/quantbench-mpi"
    for file in "$tool" "$builddir"/.libs/libquantbench.so; do
        without_mpi() { ! needs_mpi "$file"; }
        [ ! -e "$file" ] || ok "dependencies: $(basename "$file") does not" without_mpi
    done
else
    skip 'dependencies' 'no readelf here'
fi
done_testing
