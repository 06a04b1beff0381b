#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# soak.sh - --soak: a wrong byte is found, named, repeated and kept, whatever ends the soak; and --fleet reads its records.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

small='--device=cpu --num-tokens=4 --hidden-size=256 --threads=1'
one="$small --dtype=half --quant-dtype=fp8 --granularity=token --kernel=cpu_generic"

# number NAME [FILE]: the first number with this name in a JSON document.
number() { sed -n 's/^.*"'"$1"'": \([0-9.e+-]*\),*$/\1/p' "${2:-out}" | head -n 1; }
string() { sed -n 's/^.*"'"$1"'": "\(.*\)",*$/\1/p' "${2:-out}" | head -n 1; }

# ---- All is right --------------------------------------------------------------------------------------------------

# shellcheck disable=SC2086 # lists of words
{
ok 'right: exit status 0' run 0 $one --soak=3x
ok 'right: the bound' grep -q '^Soak: no wrong byte in [0-9.e-]* hours at work: fewer than [0-9.e+]* an hour (95 %)$' out
ok 'right: rounds and launches' out_has '3 rounds, of 1 of 1 cases'
ok 'json: a document' run 0 $one --soak=3x --format=json --output=right.json
ok 'json: the same as in the file' same "$(string schema)" "$(string schema right.json)"
ok 'json: its schema' same quantbench-soak "$(string schema)"
ok 'json: rounds' same 3 "$(number rounds)"
ok 'json: all bytes are compared: codes and scales of each launch' same "$(($(number launches) * (4 * 256 + 4 * 4)))" "$(number bytes)"
ok 'json: a bound' test -n "$(number most_per_hour)"
ok 'a duration: it ends' run 0 $one --soak=0.1s
ok 'a duration: the work of it' out_has 'no wrong byte'

# All of the list: each format and operation, with all kernels.
run 0 $small --soak=1x --format=json
cases=$(grep -c '"launches": ' out)
cases=$((cases - 1)) # one is the sum
ok 'the list: many cases' test "$cases" -ge 50
ok 'the list: all of it is right' run 0 $small --soak="${cases}x" --format=json --output=list.json
ok 'the list: each case has its round' same 0 "$(grep -c '"launches": 0,*$' out)"
for word in quantize dequantize silu-mul gelu-mul rms-norm add-rms-norm rope kv-write kv-read transpose dual; do
    ok "the list: $word" out_has "\"operation\": \"$word\""
done
ok 'the list: rows of experts' grep -q '"experts": 8' out
for word in sustained burst idle; do
    ok "the list: $word load" test "$(number $word)" -gt 0
done
ok 'the list: what the user says instead' run 0 $small --op=rms-norm --dtype=bfloat16 --soak=2x --format=json
ok 'the list: what the user says instead: only that' same rms-norm "$(sed -n 's/.*"operation": "\(.*\)",/\1/p' out | sort -u)"

digests() { sed -n 's/.*"digest": "\(.*\)".*/\1/p' "$1"; }
run 0 $small --soak=7x --output=a.json
run 0 $small --soak=9x --output=b.json
run 0 $small --soak=7x --seed=1 --output=c.json
list() { sed -n 's/.*"list_digest": "\(.*\)".*/\1/p' "$1"; }
run 0 $small --soak=1x --dist=normal --output=dist.json
run 0 $small --soak=1x --dist=uniform --output=dist2.json
run 0 $small --soak=1x --experts=8 --output=experts.json
run 0 $small --soak=1x --experts=8 --expert-load=sparse --output=load.json
ok 'list_digest: of all that the data follow from' same 6 \
    "$(for file in a c dist dist2 experts load; do list $file.json; done | sort -u | grep -c .)"
ok 'list_digest: the same in another soak of it' same "$(list a.json)" "$(list b.json)"
ok 'the list: experts replace it' run 0 $small --experts=8 --soak=2x --format=json
ok 'the list: experts replace it: all cases have them' same quantize "$(sed -n 's/.*"operation": "\(.*\)",/\1/p' out | sort -u)"
ok 'no room: a round is left out' run 0 --device=cpu --num-tokens=4,100000000 --hidden-size=65536 --dtype=half --kernel=cpu_generic --soak=4x --output=room.json
ok 'no room: a round is left out: counted' same 2 "$(number left_out room.json)"
ok 'no room: a digest that lacks a round' test "$(grep -c '"digest": null' room.json)" -ge 1
ok 'the same seed: the same rounds' same "$(digests a.json | head -n 3)" "$(digests b.json | head -n 3)"
ok 'the same seed: digests' same 3 "$(digests a.json | wc -l)"
other() { [ "$(digests a.json | head -n 1)" != "$(digests c.json | head -n 1)" ]; }
ok 'another seed: other rounds' other

# ---- Something is wrong --------------------------------------------------------------------------------------------

QUANTBENCH_INJECT=wrong run 4 $one --soak=2x --soak-first=5 --seed=9 --output=wrong.json --output=wrong.txt
ok 'wrong: exit status 4' same 4 "$tap_got"
ok 'wrong: the place' err_has 'round 5: byte 512 of the codes: got 0x'
ok 'wrong: text: the place' out_has 'byte 512 of the codes: got 0x'
ok 'wrong: text: xor' out_has 'xor 0x01; 1 byte of it differs'
ok 'wrong: text: the element' out_has 'code [2, 0] (element 512): '
ok 'wrong: text: it is repeatable' grep -q 'wrong in [0-9]* of [0-9]* repetitions; a fault was injected' out
ok 'wrong: text: the last line' grep -q '^Soak: [0-9]* of [0-9]* launches WRONG, in 2 rounds; 2 repeatable$' out
ok 'wrong: json: all launches that were wrong' same "$(number wrong wrong.json)" \
    $((2 + $(sed -n 's/^ *"wrong_repetitions": \(.*\),/\1/p' wrong.json | paste -sd +)))
ok 'wrong: json: rounds' same 2 "$(number wrong_rounds wrong.json)"
ok 'wrong: text: the same in the file' cmp -s out wrong.txt
ok 'wrong: json: index' same 512 "$(number byte wrong.json)"
ok 'wrong: json: xor' same 1 "$(number xor wrong.json)"
ok 'wrong: json: the seed of the round' same 14 "$(sed -n 's/^ *"seed": \([0-9]*\),$/\1/p' wrong.json | sed -n 2p)"
ok 'wrong: json: no bound' grep -q '"most_per_hour": null' wrong.json
ok 'wrong: json: status' same 4 "$(number exit_status wrong.json)"

# The command that repeats it runs the same round.
command=$(sed -n 's/^  quantbench //p' out | head -n 1)
ok 'wrong: a command repeats it' test -n "$command"
repeats()
{
    tap_fault=$1 tap_status=$2
    # It is for a shell.
    eval "set -- $command"
    QUANTBENCH_INJECT=$tap_fault run "$tap_status" "$@"
}
ok 'wrong: the command without the fault' repeats '' 0
ok 'wrong: the command with it' repeats wrong 4
ok 'wrong: the command with it: the same round' err_has 'round 5: byte 512 of the codes: got 0x'

# Memory has room for three sets. A comparison that leaves one out lacks a third of what is wrong.
mkdir -p few/proc
echo 'MemTotal: 8000000 kB
MemAvailable: 80 kB' >few/proc/meminfo
QUANTBENCH_FSROOT=few QUANTBENCH_INJECT=wrong run 4 $one --soak=12x --output=sets.json
ok 'wrong: any set' same '0 1 2' "$(sed -n 's/^ *"set": \(.*\),$/\1/p' sets.json | sort -u | xargs)"
ok 'wrong: any set: all rounds' same 12 "$(number wrong_rounds sets.json)"
ok 'wrong: any set: all launches' same $((12 + 12 * 34)) "$(number wrong sets.json)"

QUANTBENCH_INJECT=wrong-once run 4 $one --soak=3x --output=once.json
ok 'wrong once: exit status 4' same 4 "$tap_got"
ok 'wrong once: right when it is repeated' grep -q 'right in [0-9]* repetitions; a fault was injected' out
ok 'wrong once: the last line' grep -q '^Soak: 1 of [0-9]* launches WRONG, in 1 round; 0 repeatable$' out
QUANTBENCH_INJECT=wrong-once run 4 $one --num-iters=10
ok 'wrong once: in a measurement too' err_has 'wrong result'

# ---- The end -------------------------------------------------------------------------------------------------------

# The launcher of a gate lets one round run, then goes, or kills.
mkfifo go said
ends()
{
    exec 3<>go 4<>said
    beside "$QUANTBENCH" $one --soak=1000000x --round-gate=3,4 --output=cut.json >out 2>err 3<go 4>said
    read -r _ <&4 && printf g >&3
    read -r _ <&4 && read -r _ <&4 # "done 0", and the next one is ready
    kill -s "$1" "$tap_pid"
    joined
    tap_got=$?
    exec 3<&- 4<&-
}
rm -f cut.json
ends KILL
ok 'SIGKILL: the status' same 137 "$tap_got"
ok 'SIGKILL: a record is there' same 1 "$(number rounds cut.json)"
ok 'SIGKILL: the record has no end' grep -q '"ended": false' cut.json
ok 'SIGKILL: the record has no exit status' grep -q '"exit_status": null' cut.json
ok 'SIGKILL: the fleet: exit status 3' run 3 --fleet=cut.json
ok 'SIGKILL: the fleet: how much was done' out_has 'unfinished: 1 of 1000000 rounds'
ok 'SIGKILL: the fleet: json' run 3 --fleet=cut.json --format=json
ok 'SIGKILL: the fleet: json: the cause' out_has '"cause": "unfinished"'
sed 's/"wanted_rounds": 1000000/"wanted_rounds": null/; s/"wanted_s": null/"wanted_s": 36000.0/; s/"elapsed_s": .*,/"elapsed_s": 5.0,/' cut.json >hours.json
ok 'SIGKILL: the fleet: how much of a duration was done' run 3 --fleet=hours.json
ok 'SIGKILL: the fleet: how much of a duration was done: its text' out_has 'unfinished: 5.0 s of 10.0 h'
ok 'SIGKILL: nothing else is' same '' "$(find . -name '.*cut*' -o -name 'cut.json?*')"
# A folder that is not there for a while. A soak that ends then says so.
away()
{
    "$QUANTBENCH" $one --soak=2x --round-gate=3,4 --output=there/x.json >out 2>err 3<go 4>said
    tap_got=$?
    echo "gone $tap_got" >&4
    exit "$tap_got"
}
mkdir there
exec 3<>go 4<>said
beside away
read -r _ <&4 && mv there away && printf g >&3
read -r _ <&4 && read -r word <&4
mv away there
printf g >&3
joined
tap_got=$?
exec 3<&- 4<&-
ok 'a record that cannot be written once: the next round' same ready "${word% *}"
ok 'a record that cannot be written once: a warning' err_has 'the files could not be written'
ok 'a record that cannot be written once: it is at the end' grep -q '"ended": true' there/x.json
ok 'a record that cannot be written once: the status' same 0 "$tap_got"
rm -f cut.json
ends TERM
ok 'SIGTERM: the status' same 143 "$tap_got"
ok 'SIGTERM: the report' out_has 'interrupted after 1 of 1000000 rounds: this is what was done until then'
ok 'SIGTERM: the bound of what was done' out_has 'no wrong byte'
ok 'SIGTERM: the record has its end' grep -q '"ended": true' cut.json
ok 'SIGTERM: the record' grep -q '"interrupted": true' cut.json
ok 'SIGTERM: the fleet: exit status 5' run 5 --fleet=cut.json
ok 'SIGTERM: the fleet: not OK' out_has 'Fleet: 1 device: 1 NO VERDICT'
ok 'SIGTERM: the fleet: how much was done' out_has 'short: 1 of 1000000 rounds'
ok 'SIGTERM: the fleet: json: the cause' run 5 --fleet=cut.json --format=json
ok 'SIGTERM: the fleet: json: the cause: its word' out_has '"cause": "short"'
ok 'SIGTERM: the fleet: a whole soak of the device makes up for it' run 0 --fleet=cut.json,right.json
minutes() { sed 's/"wanted_rounds": 1000000/"wanted_rounds": null/; s/"wanted_s": null/"wanted_s": 3600.0/; s/"elapsed_s": .*,/"elapsed_s": '"$1"',/' cut.json; }
minutes 720.0 >minutes.json
ok 'SIGTERM: the fleet: how much of a duration was done' run 5 --fleet=minutes.json
ok 'SIGTERM: the fleet: how much of a duration was done: its text' out_has 'short: 12.0 min of 60.0 min'
minutes 3600.5 >minutes.json
ok 'SIGTERM: the fleet: at the end' run 0 --fleet=minutes.json
sed 's/"launches": [0-9]*,/"launches": 0,/' cut.json >nothing.json
ok 'SIGTERM: the fleet: before the first launch' run 3 --fleet=nothing.json
sed 's/"wrong": 0,/"wrong": 1,/; s/"exit_status": 0/"exit_status": 4/' cut.json >wrongly.json
ok 'SIGTERM: the fleet: a wrong byte counts more' run 4 --fleet=wrongly.json
}

# ---- The fleet -----------------------------------------------------------------------------------------------------

ok 'fleet: right: exit status 0' run 0 --fleet=right.json
ok 'fleet: right: the device' out_has 'Fleet: 1 device: 1 OK'
ok 'fleet: right: the bound' grep -q 'fewer than [0-9.e+]* a device hour (95 %)' out
ok 'fleet: wrong: exit status 4' run 4 --fleet=wrong.json
ok 'fleet: wrong: the device' out_has 'Fleet: 1 device: 1 WRONG'
ok 'fleet: wrong: the place' out_has 'byte 512 of the codes, xor 0x01'
ok 'fleet: wrong: a fault was injected' out_has 'fault injected: wrong'
ok 'fleet: wrong once: exit status 4' run 4 --fleet=once.json
ok 'fleet: wrong once: the device' out_has 'Fleet: 1 device: 1 TRANSIENT'
ok 'fleet: wrong once: the place' out_has 'wrong in 0 of'
ok 'fleet: json' run 4 --fleet=right.json,once.json --format=json
ok 'fleet: json: status' same 4 "$(number exit_status)"
ok 'fleet: json: sums' grep -q '"wrong": 1\.0' out
ok 'fleet: junit: a failure' run 4 --fleet=once.json --format=junit
ok 'fleet: junit: a failure: counted' out_has 'failures="1"'
ok 'fleet: openmetrics' run 4 --fleet=once.json --format=openmetrics
ok 'fleet: openmetrics: the status' grep -q '^quantbench_fleet_device_status{.*} 4$' out
ok 'fleet: csv' run 4 --fleet=once.json --format=csv
ok 'fleet: csv: the verdict' out_has 'TRANSIENT'
# A host whose reference is another one: its CPU errs.
for host in x y z; do
    sed "s/\"name\": \"$(hostname)\"/\"name\": \"$host\"/" a.json >ref-$host.json
done
sed -i 's/"digest": "\(.*\)"/"digest": "0\1"/' ref-z.json
ok 'fleet: another reference: named' run 0 --fleet=ref-x.json,ref-y.json,ref-z.json
ok 'fleet: another reference: the host' out_has 'rounds 0 to 0 of soak'
ok 'fleet: another reference: which' grep -q 'on z cpu' out
for word in c dist; do
    sed "s/\"name\": \"$(hostname)\"/\"name\": \"z\"/" $word.json >ref-z.json
    ok "fleet: other data ($word): no CPU errs" run 0 --fleet=ref-x.json,ref-y.json,ref-z.json
    ok "fleet: other data ($word): no CPU errs: said nowhere" same 0 "$(grep -c 'the reference, rounds' out)"
done
sed "s/\"name\": \"$(hostname)\"/\"name\": \"z\"/; s/\"digest\": \".*\"/\"digest\": null/" a.json >ref-z.json
ok 'fleet: rounds left out: no CPU errs' run 0 --fleet=ref-x.json,ref-y.json,ref-z.json
ok 'fleet: rounds left out: no CPU errs: said nowhere' same 0 "$(grep -c 'the reference, rounds' out)"
head -c 3000 right.json >part.json
ok 'fleet: a part of a record' fails 2 'is not a whole record' --fleet=part.json
sed 's/"launches"/"lunches"/' right.json >part.json
ok 'fleet: a record without its sums' fails 2 'is not a whole record' --fleet=part.json

# ---- Usage ---------------------------------------------------------------------------------------------------------

for value in 0s 8 -1h 1.5x x nans 1hour ''; do
    ok "usage: '$value'" fails 2 'expected a duration such as 90s, 30min, 8h or 2d' --soak="$value"
done
ok 'usage: a format' fails 2 'cannot show a soak' --soak=1x --format=csv
ok 'usage: a file' fails 2 'cannot show a soak' --soak=1x --output=x.csv
ok 'usage: a comparison' fails 2 'nothing is timed' --soak=1x --tune
ok 'usage: data of a file' fails 2 'the data change' --soak=1x --input=x.npy
ok 'usage: the first round alone' fails 2 'requires --soak' --soak-first=3
ok 'usage: two devices' fails 2 'expected one device' --soak=1x --device=cpu,cpu
ok 'usage: a report that cannot be written' fails 3 'missing' --soak=1x --output=missing/x.json

# ---- Kernels that are wrong ----------------------------------------------------------------------------------------

QUANTBENCH_MODULE_DIR=$builddir/tests/fake/.libs
export QUANTBENCH_MODULE_DIR
if "$QUANTBENCH" --list-kernels | grep -q '^fake_'; then
    fake='--device=cuda --num-tokens=4 --hidden-size=64 --granularity=token'
    # shellcheck disable=SC2086 # lists of words
    {
    ok 'a right kernel' run 0 $fake --kernel=fake_right --soak=3x
    ok 'a wrong kernel: exit status 4' run 4 $fake --kernel=fake_wrong_code --soak=1x
    ok 'a wrong kernel: the place' out_has 'byte 64 of the codes'
    ok 'a wrong kernel: each launch' grep -q 'wrong in \([0-9]*\) of \1 repetitions' out
    ok 'a wrong kernel: all launches count' grep -q '^Soak: \([0-9]*\) of \1 launches WRONG, in 1 round; 1 repeatable$' out
    # The node dies in the first launch after the difference.
    rm -f gone.json
    FAKE_MODULE=gone "$QUANTBENCH" $fake --kernel=fake_wrong_code --soak=1x --output=gone.json >out 2>err
    ok 'gone after a difference: it was killed' same 137 $?
    ok 'gone after a difference: the message' err_has 'byte 64 of the codes: got 0x'
    ok 'gone after a difference: the record has the place' same 64 "$(number byte gone.json)"
    ok 'gone after a difference: the record has the exit status' same 4 "$(number exit_status gone.json)"
    ok 'gone after a difference: it was not repeated' same 0 "$(number repetitions gone.json)"
    ok 'gone after a difference: the fleet: exit status 4' run 4 --fleet=gone.json
    ok 'gone after a difference: the fleet: not transient' out_has 'Fleet: 1 device: 1 WRONG'
    ok 'gone after a difference: the fleet: why' grep -q '; not repeated$' out
    ok 'a wrong scale: exit status 4' run 4 $fake --kernel=fake_wrong_scale --dist=normal --soak=1x
    ok 'a wrong scale: the tensor' out_has 'of the scales'
    ok 'a kernel that is wrong later: exit status 4' run 4 $fake --kernel=fake_wrong_later --soak=3x --format=json
    ok 'a kernel that is wrong later: conditions of the device' grep -q '"memory_clock_mhz": 2619' out
    ok 'a kernel that fails: exit status 3' run 3 $fake --kernel=fake_fails --soak=3x --output=fails.json
    ok 'a kernel that fails: why' err_has 'the fake device fell over'
    ok 'a kernel that fails: the fleet' run 3 --fleet=fails.json
    }
else
    skip 'kernels that are wrong' 'the CUDA backend is built in, or modules cannot be built'
fi
done_testing
