#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fleet.sh - --fleet: files and folders of records to one report, in each format, and its exit status. What the verdicts
# are worth is in check_fleet.c.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

# shellcheck source=tests/fleet_records.sh
. "$srcdir/tests/fleet_records.sh"

fleet good
fleet slow 5

# verdict NAME WORD: the line of the device NAME has WORD.
verdict()
{
    grep -F "$1 " out | grep -qF " $2" || { echo "# $1 is not $2"; return 1; }
}

# ---- Verdicts and statuses -----------------------------------------------------------------------------------------

ok 'all are alike: exit status 0' run 0 --fleet=good
ok 'all are alike: a line each, and the last line' test "$(grep -c ' OK$' out)" -eq 9 # with the last line
ok 'all are alike: the last line counts' out_has 'Fleet: 8 devices: 8 OK'
ok 'slow: exit status 5, since it was not measured again' run 5 --fleet=slow
ok 'slow: it is named' verdict 'node1 cuda:1' SUSPECT
ok 'slow: the nodes to measure again' out_has '  node1'

cp -r slow again
date=1 record node1 1 27500 >again/again.json
ok 'measured again: exit status 1' run 1 --fleet=again
ok 'measured again: it is named' verdict 'node1 cuda:1' SLOWER
date=1 record node1 1 25000 >again/again.json
ok 'not slow again: exit status 0' run 0 --fleet=again
ok 'not slow again: it is named' verdict 'node1 cuda:1' TRANSIENT

cp -r good wrong
record node0 2 25000 '"verification": "WRONG", "exit_status": 4, "first_difference": "code [1, 2]: 0x7f, not 0x7e"' |
    sed 's/{"median_ns[^]]*//' >wrong/2.json
ok 'wrong result: exit status 4' run 4 --fleet=wrong
ok 'wrong result: it is named' verdict 'node0 cuda:2' WRONG
ok 'wrong result: the first difference' out_has 'code [1, 2]: 0x7f, not 0x7e'

ok 'one device: no verdict, exit status 5' run 5 --fleet=good/0.json
ok 'one device: the reason' out_has 'too few peers'

cp -r good other
driver=0.9 record node1 3 25000 >other/7.json
ok 'another driver: exit status 0' run 0 --fleet=other
ok 'another driver: it is named' out_has 'driver: 1.0 on 7 devices; 0.9 on node1 cuda:3'

# Two records of each device: together with the others of its node, which costs 1 %, and in turns with them.
mkdir coupled
for i in 0 1 2 3; do
    record node0 $i $((25250 + i)) | sed 's/"seed"/"together": "all", "seed"/' >coupled/all$i.json
    date=1 record node0 $i $((25000 + i)) | sed 's/"seed"/"together": "node-turns", "seed"/' >coupled/turns$i.json
done
ok 'coupling: no second measurement: exit status 0' run 0 --fleet=coupled
ok 'coupling: the median' out_has 'coupling 1.0100 (4 devices)'
ok 'coupling: json: of all' run 0 --fleet=coupled --format=json
ok 'coupling: json: of all and of each' same 5 "$(grep -c '"coupling": 1.0' out)"
rm coupled/all*
ok 'coupling: in turns alone: they count' run 0 --fleet=coupled
ok 'coupling: in turns alone: there is none' same 0 "$(grep -c 'coupling' out)"

ok 'fleet-margin: a smaller slowdown does not count' run 0 --fleet=slow --fleet-margin=20

# ---- Who is missing ------------------------------------------------------------------------------------------------

ok 'expect: as many as there are' run 0 --fleet=good --expect=8
ok 'expect: fewer than expected: exit status 3' run 3 --fleet=good --expect=10
ok 'expect: how many' out_has '2 of the expected devices  NO ANSWER'
printf '# hosts\nnode0 slots=4\nnode1.example.org:5\nnode2\n' >hosts
ok 'expect: hosts: exit status 3' run 3 --fleet=good --expect=hosts
ok 'expect: hosts: the node that is absent' out_has 'node2  NO ANSWER  absent'
ok 'expect: hosts: the node that lacks a device' out_has 'node1.example.org: 1 of the expected devices'
ok 'expect: a file that is missing' fails 3 'expected a number of devices, or a file' --fleet=good --expect=none
rm good/3.json
ok 'fewer devices than the other node: named' run 0 --fleet=good
ok 'fewer devices than the other node: the node' out_has 'devices: '
fleet good

# ---- Files ---------------------------------------------------------------------------------------------------------

cat good/*.json >all.json
ok 'several records in a file' run 0 --fleet=all.json
ok 'several records in a file: all of them' out_has '8 devices'
ok 'several files' run 0 --fleet=good/0.json,good/1.json,good/2.json
ok 'several files: all of them' out_has '3 devices'
cp -r good mixed
head -c 400 good/0.json >mixed/0.json
echo '{"schema": "quantbench-doctor"}' >mixed/doctor.json
echo text >mixed/notes.txt
ok 'a folder with other files: they are left out' run 0 --fleet=mixed
ok 'a folder with other files: what is whole is reported' out_has '7 devices'
ok 'a folder with other files: a part of a record is named' err_has 'mixed/0.json: is not a whole record'
ok 'a folder with other files: another document is named' err_has 'mixed/doctor.json: is not a record'
ok 'a file that is not a record' fails 2 'is not a record' --fleet=mixed/doctor.json
ok 'a file that is missing' fails 3 'No such file' --fleet=none.json
mkdir empty
ok 'an empty folder' fails 2 'there is no record' --fleet=empty
ok 'nothing is measured' fails 2 'conflicts with --num-tokens' --fleet=good --num-tokens=3
ok 'expect: requires --fleet' fails 2 'requires --fleet' --expect=3

# A record of this program, on the CPU: it has all that is read.
run 0 --device=cpu --num-tokens=4 --hidden-size=64 --num-iters=10 --output=own.json
ok 'a record of this program' run 5 --fleet=own.json
ok 'a record of this program: its case in words' out_has 'half to int8, dynamic scale, tensor, 4 x 64, stream, cold'

# ---- Formats -------------------------------------------------------------------------------------------------------

ok 'json' run 5 --fleet=slow --format=json
ok 'json: schema' out_has '"schema": "quantbench-fleet"'
ok 'json: verdict' out_has '"verdict": "SUSPECT"'
ok 'json: exit status' out_has '"exit_status": 5'
ok 'csv' run 5 --fleet=slow --format=csv
ok 'csv: a line a device' test "$(wc -l <out)" -eq 9
ok 'csv: as many fields in each line' same 15 "$(sed 's/"[^"]*"//g' out | awk -F, '{ print NF }' | sort -u)"
ok 'markdown' run 5 --fleet=slow --format=markdown
ok 'markdown: a line' out_has '| SUSPECT | unknown |'
ok 'junit' run 4 --fleet=wrong --format=junit
ok 'junit: counts' out_has 'tests="8" failures="1" errors="0" skipped="0"'
ok 'junit: the failure' out_has 'WRONG: code [1, 2]: 0x7f, not 0x7e'
# Names of others stay text in each.
mkdir hostile
for i in 0 1 2 3; do record '=<a|b>' $i 25000 >hostile/$i.json; done
hostile()
{
    run 0 --fleet=hostile --format=csv && same 4 "$(grep -c "^'=<a|b>," out)" &&
        run 0 --fleet=hostile --format=markdown && out_has '| =\<a\|b\> cuda:0 (' &&
        run 0 --fleet=hostile --format=junit && out_has '=&#60;a|b&#62; cuda:0' && ! out_has '<a'
}
ok 'names stay text' hostile
ok 'openmetrics' run 5 --fleet=slow --format=openmetrics
ok 'openmetrics: the device' out_has 'quantbench_fleet_device_status{node="node1",device="cuda:1",model="G",uuid="GPU-node1-1"} 5'
ok 'openmetrics: its ratio' grep -q '^quantbench_fleet_ratio{node="node1",device="cuda:1",.*} 1\.[01]' out
ok 'openmetrics: counts' out_has 'quantbench_fleet_devices{verdict="SUSPECT"} 1'
ok 'openmetrics: each value has one line' same '' "$(grep -v '^#' out | sed 's/ [^ ]*$//' | sort | uniq -d)"
ok 'openmetrics: the end' same '# EOF' "$(tail -n 1 out)"
ok 'files: as --output says' run 0 --fleet=good --output=report.txt --output=report.csv --junit=report.xml
ok 'files: they are there' test -s report.txt -a -s report.csv -a -s report.xml
ok 'a format that cannot show a fleet' fails 2 'cannot show a fleet' --fleet=good --format=gbench
ok 'a closed pipe is an error' closed_pipe --fleet=good

# ---- Measuring for a fleet: gates, a start, and faults -------------------------------------------------------------

small='--device=cpu --num-tokens=4 --hidden-size=64 --num-iters=12 --num-warmup-iters=0 --rounds=6'
# A rank is known to the record, and what the host is.
# shellcheck disable=SC2086 # a list of words
{
    QUANTBENCH_RANK=7 run 0 $small --output=rank.json
    ok 'rank: the record has it' grep -q '"rank": 7' rank.json
    ok 'facts: the record has those of the host' grep -q '"cpus_usable": "' rank.json
    ok 'facts: the record is the same when it was read' run 0 --report=rank.json --format=json
    ok 'facts: the record is the same when it was read: all of it' cmp -s out rank.json

    # The launcher: it answers six times, and keeps what it was told.
    mkfifo in out_fifo
    launcher() { exec 3<out_fifo 4>in; while read -r word rest <&3; do echo "$word $rest" >>told; [ "$word" != ready ] || printf g >&4; done; }
    beside launcher
    # shellcheck disable=SC2094 # a FIFO is open at both ends
    exec 5<>in 6>out_fifo 7<in
    ok 'gate: a run whose rounds begin when told' run 0 $small --round-gate=7,6
    exec 5>&- 6>&- 7<&-
    joined
    ok 'gate: six rounds are ready' same 'ready 0 ready 1 ready 2 ready 3 ready 4 ready 5' "$(grep ready told | tr '\n' ' ' | sed 's/ $//')"
    ok 'gate: six rounds are done' same 6 "$(grep -c '^done [0-5] [0-9.]*$' told)"
    : >closed
    exec 8<closed 9>told
    "$QUANTBENCH" $small --round-gate=8,9 --output=partly.json >out 2>err
    ok 'gate: without a launcher it ends as after SIGTERM' same 143 $?
    exec 8<&- 9>&-
    ok 'gate: without a launcher: the reason' err_has 'the launcher is gone'
    ok 'gate: a descriptor that is not open' fails 2 'is not open' $small --round-gate=8,9
    ok 'gate: one descriptor' fails 2 'expected two descriptors' $small --round-gate=1
    ok 'start: a moment that is over' run 0 $small --start-at=1
    ok 'start: a moment that is over: a warning' err_has 'this moment was over'
    moment=$(($(date +%s) + 2))
    ok 'start: a moment to come' run 0 $small --start-at="$moment"
    ok 'start: a moment to come: it is over when the run is' test "$(date +%s)" -ge "$moment"

    outputs='--output=fault.json --output=fault.csv --output=fault.md --output=fault.xml --output=fault.txt'
    QUANTBENCH_INJECT=wrong run 4 $small $outputs --format=github
    ok 'inject: wrong: exit status 4' same 4 "$tap_got"
    ok 'inject: wrong: the first difference says so' grep -q '"first_difference": "code .*a fault was injected"' fault.json
    ok 'inject: wrong: so does each report' same 6 "$(grep -lF injected fault.json fault.csv fault.md fault.xml fault.txt out | wc -l)"
    mv fault.json wrong.json
    QUANTBENCH_INJECT=slow:100 run 0 $small $outputs --format=github
    ok 'inject: slow: each report says so' same 6 "$(grep -lF injected fault.json fault.csv fault.md fault.xml fault.txt out | wc -l)"
    ok 'inject: slow: text names the variable' grep -qF 'QUANTBENCH_INJECT was slow:100' fault.txt
    mv fault.json slow.json
    ok 'inject: slow: the times are' test "$(sed -n 's/.*"median": \([0-9]*\).*/\1/p' slow.json)" -gt \
        "$((10 * $(sed -n 's/.*"median": \([0-9]*\).*/\1/p' rank.json)))"
    QUANTBENCH_INJECT='exit' run 3 $small
    ok 'inject: exit: exit status 3' same 3 "$tap_got"
    QUANTBENCH_RANK=1 QUANTBENCH_INJECT=wrong@2 run 0 $small
    ok 'inject: another rank: nothing' same 0 "$tap_got"
    QUANTBENCH_INJECT='more' run 2 $small
    ok 'inject: an unknown fault' err_has 'expected wrong, wrong-once, slow:FACTOR, hang or exit'
    ok 'inject: the fleet says so' run 4 --fleet=wrong.json,slow.json
    ok 'inject: the fleet says so: both' same 1 "$(grep -c 'fault injected' out)" # of the CPU's last record
}

done_testing
