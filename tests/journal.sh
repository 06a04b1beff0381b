#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# journal.sh - a run that is killed goes on from its journal: nothing is lost, nothing is done twice, and a journal of
# another run is refused.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

cases=4
sweep='--device=cpu --hidden-size=32 --num-tokens=2,3,4,5 --num-iters=2 --num-warmup-iters=0 --quant-dtype=fp8'

# sweep STATUS ARGUMENT...
sweep()
{
    tap_sweep=$1
    shift
    # shellcheck disable=SC2086 # a list of words
    run "$tap_sweep" $sweep "$@"
}

# parts JOURNAL: which parts it has, in order.
parts() { sed -n 's/^{"case":\([0-9]*\),"round":\([0-9]*\),.*/\1 \2/p' "$1" | sort; }
# What a report says of the results, without the date and the command line.
results() { sed -n '/^  "results"/,$p' "$1"; }

ok 'journal: a sweep writes one' sweep 0 --journal=full --output=full.json
parts full >full.parts
ok 'journal: it has every case' test "$(cut -d ' ' -f 1 full.parts | sort -u | wc -l)" -ge $cases
ok 'journal: it has each part once' same '' "$(uniq -d full.parts)"
size=$(wc -c <full)
head_size=$(head -n 1 full | wc -c)

# again: the journal that was resumed is whole, and the report has what was in the journal before.
again()
{
    cp "$1" before && sweep 0 "--resume=$1" --output=again.json && parts "$1" >again.parts &&
        cmp full.parts again.parts
}
nothing_to_do() { cp full done && again done && cmp full done && results full.json >a && results again.json >b && cmp a b; }
ok 'resume: a finished run is only reported' nothing_to_do
other_order()
{
    # shellcheck disable=SC2086 # a list of words
    run 0 --quant-dtype=fp8 --quiet $sweep --resume=done --format=csv && same $((cases + 1)) "$(wc -l <out)"
}
ok 'resume: cases in another order, reported in another format' other_order

# torn SIZE: the first SIZE bytes of the journal, as a machine that stops leaves them. What was whole stays.
torn()
{
    head -c "$1" full >torn && again torn || return 1
    tap_whole=$(head -c "$1" full | grep -c '$')
    # The last line may lack its end.
    [ "$(head -c "$1" full | tail -c 1 | wc -l)" -eq 1 ] || tap_whole=$((tap_whole - 1))
    [ "$tap_whole" -gt 0 ] || tap_whole=1
    head -n "$tap_whole" full >whole
    head -n "$tap_whole" torn | cmp - whole
}
each_torn()
{
    for tap_size; do
        torn "$tap_size" || { echo "# of $tap_size bytes"; return 1; }
    done
}
ok 'resume: a journal torn in its head' each_torn 0 1 $((head_size / 2)) $((head_size - 1))
ok 'resume: a journal of a head alone' each_torn "$head_size"
sizes=
i=$((head_size + 1))
while [ $i -lt "$size" ]; do
    sizes="$sizes $i"
    i=$((i + 97))
done
# shellcheck disable=SC2086 # a list of words
ok 'resume: a journal torn in a part' each_torn $sizes $((size - 2)) $((size - 1))
garbage()
{
    { head -n 2 full; printf '{"case":1,"round":0,"pa\000\000\000\n'; } >torn && again torn
}
ok 'resume: a last line that never reached the disk' garbage
twice()
{
    { cat full; sed -n 2p full; } >torn && sweep 0 --resume=torn --output=again.json && results again.json >b && cmp a b
}
ok 'resume: a part that is there twice counts once' twice

# ---- Killed --------------------------------------------------------------------------------------------------------

killer=$builddir/tests/fake/.libs/killer.so
# The program may be a script of Libtool's, and its tools need no killing.
# shellcheck disable=SC2086 # a list of words
killed()
{
    rm -f killed
    ( LD_PRELOAD=$killer FAKE_KILL=$1; export LD_PRELOAD FAKE_KILL; "$QUANTBENCH" $sweep --journal=killed ) >out 2>err
    same 137 $? && same "$1" "$(grep -c '$' killed)" && cp killed whole && again killed && head -n "$1" killed | cmp - whole
}
if [ -e "$killer" ] && ( LD_PRELOAD=$killer "$QUANTBENCH" --version ) >out 2>&1 && ! grep -q -i 'preload\|runtime' out; then
    line=1
    while [ $line -le "$(grep -c '$' full)" ]; do
        ok "resume: a run killed after $line lines" killed $line
        line=$((line + 1))
    done
else
    skip 'resume: a run that was killed' 'no library can be loaded before the program'
fi

# A wrong result that an earlier part of the run found stays one.
remembered()
{
    { cat full; echo '{"case":1,"failed":{"differs":true,"wrong_codes":3,"wrong_scales":0,"first_difference":"code 7"}}'; } >failed
    sweep 4 --resume=failed --output=failed.json && err_has 'in an earlier part of the run' && err_has 'code 7' &&
        same 1 "$(grep -c '"verification": "WRONG"' failed.json)" && same 1 "$(grep -c '"time_ns": null' failed.json)" &&
        same 3 "$(grep -c '"verification": "verified"' failed.json)"
}
ok 'resume: a wrong result is remembered' remembered

# ---- Refused -------------------------------------------------------------------------------------------------------

# refused WORD ARGUMENT...: exit status 2, WORD in the error, and the journal stays as it is.
refused()
{
    tap_refused=$1
    shift
    cp full kept
    # shellcheck disable=SC2086 # a list of words
    fails 2 "$tap_refused" $sweep "$@" --resume=kept && cmp full kept
}
ok 'resume: another value of an option is refused' refused 'options.seed is missing there and "1" here' --seed=1
sed 's/"fp8"/"int8"/' full >changed
ok 'resume: a refusal names both values' fails 2 '"int8" there and "fp8" here' $sweep --resume=changed
sed '1s/"version":"[^"]*"/"version":"0.0.0"/' full >changed
ok 'resume: a journal of another version is refused' fails 2 'version is "0.0.0" there' $sweep --resume=changed
sed '1s/"name":"[^"]*"/"name":"Z80"/' full >changed
ok 'resume: a journal of another device is refused' fails 2 'devices[0].name is "Z80" there' $sweep --resume=changed
sed '3s/^.*$/{}/' full >changed
ok 'resume: a line that is not JSON is named' fails 2 'line 3' $sweep --resume=changed
sed 's/"samples":\[/"samples":["x",/' full >changed
fails_in_part() { sweep 2 "--resume=$1" && err_has 'expected samples'; }
ok 'resume: a damaged part is named' fails_in_part changed
sed 's/"launches":[0-9]*/"launches":99999999999999999/' full >changed
ok 'resume: launches that no sample has are refused' fails_in_part changed
sed 's/"launches":[0-9]*/"launches":-1/' full >changed
ok 'resume: a negative number of launches is refused' fails_in_part changed
echo '{"schema":"quantbench-result"}' >other
ok 'resume: other JSON is refused' fails 2 'quantbench --journal has written' $sweep --resume=other
printf 'text' >other
ok 'resume: a text file is refused' fails 2 'quantbench --journal has written' $sweep --resume=other
ok 'resume: a refused file is left as it is' same text "$(cat other)"
ok 'journal: one that exists already is refused, and --resume named' fails 2 '--resume=full' $sweep --journal=full
ok 'resume: a missing file is named' fails 3 'missing: No such file' $sweep --resume=missing
ok 'journal: a missing folder is named' fails 3 'no/journal: No such file' $sweep --journal=no/journal
ok 'resume: a folder is refused' fails 3 'Is a directory' $sweep --resume=.
ok 'journal: a device is refused' fails 3 'is not a file' $sweep --journal=/dev/null
ok 'journal: --journal and --resume conflict' fails 2 '--journal' $sweep --journal=new --resume=full
ok 'resume: an empty name is refused' fails 2 "--resume: invalid value ''" $sweep --resume=
ok 'journal: refused with --list-kernels' fails 2 '--journal' --list-kernels --journal=new
ok 'journal: refused with --dry-run' fails 2 '--journal' $sweep --dry-run --journal=new
ok 'journal: refused with --runs' fails 2 '--journal' $sweep --runs=5 --journal=new
ok 'journal: a refused command line creates no file' test ! -e new
if command -v flock >/dev/null 2>&1; then
    locked() { flock full "$QUANTBENCH" $sweep --resume=full >out 2>err; same 3 $? && err_has 'another run'; }
    ok 'resume: a journal that another run is writing is refused' locked
else
    skip 'resume: a journal that another run is writing is refused' 'flock is not here'
fi
changed_input()
{
    tensor='{"w":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]}}'
    { printf '\070\000\000\000\000\000\000\000'; printf '%s' "$tensor"; printf '\000\074\000\074'; } >w.safetensors
    run 0 --device=cpu --profile --input=w.safetensors --journal=input || return 1
    { printf '\070\000\000\000\000\000\000\000'; printf '%s' "$tensor"; printf '\000\074\000\075'; } >w.safetensors
    fails 2 'input is' --device=cpu --profile --input=w.safetensors --resume=input
}
ok 'resume: an input whose content changed is refused' changed_input
full_disk()
{
    ( trap '' XFSZ; ulimit -f 1; sweep 3 --journal=small ) && err_has 'small: File too large'
}
if (trap '' XFSZ && ulimit -f 1) 2>/dev/null; then
    ok 'journal: one that can no longer be written ends the run' full_disk
else
    skip 'journal: one that can no longer be written ends the run' 'this shell cannot limit the size of files'
fi
dangling_journal()
{
    ln -s nothing link && sweep 3 --journal=link && err_has 'a symbolic link to a file that does not exist' &&
        [ ! -e nothing ]
}
ok 'a link to nothing is not a journal' dangling_journal
linked_journal() { cp full kept && ln -s kept link2 && sweep 0 --resume=link2 && cmp full kept && [ -L link2 ]; }
ok 'resume: a link to a journal is followed' linked_journal
done_testing
