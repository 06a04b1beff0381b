#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fake_tool.sh - stands in for quantbench in mpi.sh: it speaks the gate and writes a record, and takes no time. FAKE is
# FAULT@RANK: wrong, slow, slow-once, coupled, hang, deaf, exit, child, kill, stop or cut. FAKE_DEVICES is how many devices it has.
# Reports are those of $REAL.

device=cpu output=/dev/null
for argument; do
    case $argument in
    --fleet=*) exec "$REAL" "$@" ;;
    --list-devices) output=list ;;
    --device=*) device=${argument#*=} ;;
    --output=*) output=${argument#*=} ;;
    --refused) echo 'quantbench: --refused: unknown option' >&2 && exit 2 ;;
    esac
done
if [ "$output" = list ]; then
    echo '{"devices": ['
    i=0
    while [ $i -lt "${FAKE_DEVICES:-0}" ]; do
        printf '{"id": "cuda:%s",\n"name": "G",\n"uuid": "GPU-%s-%s"},\n' $i "${FAKE_NODE:-n}" $i
        i=$((i + 1))
    done
    echo '{"id": "cpu",' '"uuid": ""}]}'
    exit
fi

# What is open, but for the shell's own descriptor of this script.
[ -z "$FAKE_OPEN" ] || (cd /proc/$$/fd && echo [0-9] 1[1-9]) >"$FAKE_OPEN"
rank=$QUANTBENCH_RANK fault=
[ "${FAKE#*@}" != "$rank" ] || fault=${FAKE%@*}
# The rank is the parent of the agent, which is this one's.
launcher=$(cut -d ' ' -f 4 "/proc/$PPID/stat")
time=25000 result=
case $fault in
wrong) result='"verification": "WRONG", "exit_status": 4, "first_difference": "code [1, 2]: 0x7f, not 0x7e", ' ;;
slow) time=26300 ;;
coupled) [ "$QUANTBENCH_TOGETHER" = node-turns ] || time=25375 ;;
slow-once) case $output in *_again.json) ;; *) time=26300 ;; esac ;;
hang) while :; do sleep 1000; done ;;
deaf) trap '' TERM && while :; do sleep 1000; done ;;
exit) echo 'quantbench: fake: cannot go on' >&2 && exit 3 ;;
child)
    setsid sleep 1000 & echo $! >"${output%/*}/stray"
    ;;
esac
# As the tool: what was measured until a signal is a record too.
trap : TERM
[ -z "$FAKE_END" ] || exec 7>"$FAKE_END"
round=0
while [ $round -lt 6 ]; do
    if [ $round -eq 2 ]; then
        case $fault in
        kill) kill -s KILL "$launcher" ;;
        stop) kill -s STOP "$launcher" ;;
        cut) ip link set eth0 down ;;
        esac
    fi
    echo "ready $round" >&4
    [ "$(dd bs=1 count=1 <&3 2>/dev/null)" = g ] || break
    [ -z "$FAKE_TOLD" ] || echo "$round $rank" >>"$FAKE_TOLD"
    echo "done $round 0.1" >&4
    round=$((round + 1))
done
case $device in
cpu) uuid= ;;
*) uuid=GPU-${FAKE_NODE:-n}-${device#*:} ;;
esac
{
    printf '{"schema": "quantbench-result", "schema_version": 2, "version": "1", "date": "2026-01-01T00:00:00Z",'
    printf '"argv": ["quantbench"], "rank": %s, "host": {"name": "%s", "system": "Linux", "cpus": 8}, "seed": 0,' \
        "$rank" "$(hostname)"
    printf '"together": "%s", ' "$QUANTBENCH_TOGETHER"
    printf '"devices": [{"id": "%s", "name": "G", "isa": "sm_90", "driver": "1", "uuid": "%s"}],' "$device" "$uuid"
    printf '"results": [{"problem": {"dtype": "half"}, "device": "%s", "kernel": "k", "rounds": [' "$device"
    [ "$fault" = wrong ] || awk -v n=$round -v time=$((time + 10 * rank)) 'BEGIN { for (i = 0; i < n; i++)
        printf "%s{\"median_ns\": %.6f}", (i > 0 ? ", " : ""), time * (1 + 0.001 * (i % 4)) }'
    printf '], %s"launch": "graph"}]}\n' "$result"
} >"$output.part"
mv "$output.part" "$output"
[ "$fault" != wrong ] || exit 4
