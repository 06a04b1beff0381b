#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# compare.sh - verdicts of the whole tool, on a device that only pretends to be one and whose clock counts launches, so
# that nothing depends on speed.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

need_fake_device
small="--device=cuda --num-tokens=4 --hidden-size=64 --num-iters=3 --num-warmup-iters=1"

# measure STATUS ARGUMENT...: run a small case on the fake device.
measure()
{
    wanted=$1
    shift
    # shellcheck disable=SC2086 # a list of words
    run "$wanted" $small "$@"
}
# refuses STATUS WORD ARGUMENT...: nothing is measured, and WORD says why.
refuses()
{
    refused_status=$1 refused_word=$2
    shift 2
    # shellcheck disable=SC2086 # a list of words
    fails "$refused_status" "$refused_word" $small "$@"
}

# ---- Several processes, and a baseline -----------------------------------------------------------------------------

# All launches take 10 us, so the times in a record can be made others by a change of that number.
save() { measure 0 --kernel=fake_right --runs=6 --save-baseline=base.json && [ ! -s err ]; }
scaled() { sed "s/^\( *\(\"[a-z0-9_]*\": \)\{0,1\}\)10000\.0/\1$2/" base.json >"$1"; }
ok 'baseline: a baseline of six processes' save
ok 'baseline: the file is a record' grep -q '"runs": 6' base.json
ok 'baseline: the report says what its samples are' out_has 'samples   6, each the median of one process'
base_again() { run 0 --report=base.json --format=json && cmp out base.json; }
ok 'baseline: the file can be reported' base_again
scaled slower.json 9800.0
scaled faster.json 10500.0
scaled near.json 9901.0
ok 'baseline: a file with other times can be made' grep -q '^ *9800.0' slower.json
# with STATUS FILE VERDICT ARGUMENT...: compare with FILE.
with()
{
    with_status=$1 with_file=$2 with_verdict=$3
    shift 3
    measure "$with_status" --kernel=fake_right --runs=5 --baseline="$with_file" "$@" && out_has "$with_verdict"
}
ok 'baseline: the same times are SAME' with 0 base.json 'fake_right  1.0000  1.0000 to 1.0000  SAME'
ok 'baseline: two percent more are SLOWER, with exit status 1' with 1 slower.json 'fake_right  1.0204  1.0204 to 1.0204  SLOWER'
ok 'baseline: two percent are within a margin of 3 %' with 0 slower.json SAME --margin=3%
ok 'baseline: five percent less are FASTER' with 0 faster.json 'FASTER'
ok 'baseline: less than the margin is SAME' with 0 near.json SAME
ok 'baseline: less than the default margin counts without one' with 1 near.json SLOWER --margin=0
ok 'baseline: four processes give no verdict' with 0 slower.json 'INCONCLUSIVE, 1 more' --runs=4
ok 'baseline: four processes fail under --strict' with 5 slower.json INCONCLUSIVE --runs=4 --strict
ok 'baseline: one process has no ratio' with 5 slower.json none --runs=1 --strict
ok 'baseline: the line of what is compared' with 0 base.json 'compare   with base.json of '
# Each of the processes warns of the same. Only the first is heard, and it has a name.
warned_once()
{
    rm -rf text && mkdir text && echo 'not a plug-in' >text/a.so || return 1
    measure 0 --kernel=fake_right --runs=3 && [ ! -s err ] || return 1
    QUANTBENCH_PLUGIN_PATH=text measure 0 --kernel=fake_right --runs=3 && same 1 "$(grep -c 'a\.so' err)" || return 1
    measure 3 --kernel=fake_right --runs=2 --num-tokens=1000000000000000 && err_has 'quantbench: run 1 of 2: ' &&
        err_has 'quantbench: run 2 of 2: '
}
ok '--runs: a warning comes once, and errors name the run' warned_once
ten() { with 0 base.json '10 runs and 6 of the baseline' --runs=10; }
ok 'baseline: the numbers of processes' ten

sweep()
{
    measure 0 --kernel=fake_right --num-tokens=4,8 --runs=5 --save-baseline=sweep.json &&
        sed 's/^\( *\)10000.0/\19800.0/' sweep.json >slow_sweep.json &&
        measure 1 --kernel=fake_right --num-tokens=4,8 --runs=5 --baseline=slow_sweep.json --output=s.json \
            --output=s.csv --output=s.md --junit=s.xml --output=s.gha &&
        [ "$(grep -c SLOWER out)" -eq 2 ] && out_has 'mean      1.0204, 95 % interval 1.0204 to 1.0204, geometric mean of 2'
}
ok 'baseline: a sweep has a mean' sweep
ok 'baseline: JUnit has failures' grep -q 'failures="2"' s.xml
ok 'baseline: GitHub has errors' grep -q '^::error title=half -> int8%2C dynamic.*::SLOWER: fake_right takes 1.0204 times' s.gha
ok 'baseline: CSV has the verdict' grep -qE ',fake_right,1\.02040816327,1\.0204[0-9]*,1\.0204[0-9]*,0,SLOWER,0,' s.csv
ok 'baseline: Markdown has a table' grep -q '^| 8 | fake\\_right | 1.0204 | 1.0204 to 1.0204 | SLOWER |$' s.md
# again NAME: the files NAME.* are reports of one run, whose standard output is still there.
again()
{
    cp out $1.out && run 0 --report=$1.json && cmp out $1.out && for format in json csv markdown junit github; do
        run 0 --report=$1.json --format=$format || return 1
        case $format in
        markdown) cmp out $1.md ;;
        junit) cmp out $1.xml ;;
        github) cmp out $1.gha ;;
        *) cmp out $1.$format ;;
        esac || return 1
    done
}
ok 'baseline: --report gives the reports of the run' again s
fewer() { measure 0 --kernel=fake_right --num-tokens=8 --runs=5 --baseline=sweep.json && out_has SAME; }
ok 'baseline: a part of what was saved' fewer

wrong()
{
    measure 4 --kernel=fake_wrong_code --runs=5 --save-baseline=wrong.json && ! [ -e wrong.json ] &&
        err_has 'not written'
}
ok 'baseline: a wrong result is not a baseline' wrong
kept() { measure 4 --kernel='fake_right,fake_wrong_code' --runs=2 && grep -q 'fake_right .* 10.000 ' out; }
ok 'baseline: other kernels than a wrong one keep their times' kept

# doubtful STATUS ARGUMENT...: a kernel that is faster than memory.
doubtful() ( FAKE_CLOCK=kernel=5000; export FAKE_CLOCK; measure "$@" --kernel=fake_right --runs=5 )
refused_doubt()
{
    doubtful 3 --save-baseline=doubt.json --junit=doubt.xml --output=asked.json && [ ! -e doubt.json ] &&
        err_has 'not written, because 1 of 1 results are in doubt' && grep -q 'errors="1"' doubt.xml &&
        grep -q '^  "exit_status": 3,' asked.json
}
ok 'baseline: a result in doubt is not a baseline, and JUnit says so' refused_doubt
forced_doubt() { doubtful 0 --save-baseline=doubt.json --force && err_has 'warning: --save-baseline' && [ -s doubt.json ]; }
ok 'baseline: a result in doubt is one with --force' forced_doubt
known_doubt() { doubtful 0 --baseline=doubt.json && out_has SAME && err_has 'warning: --baseline: 1 results'; }
ok 'baseline: a doubt that was forced need not be forced again' known_doubt
sed 's/"forced": true/"forced": false/' doubt.json >unforced.json
other_doubt() { doubtful 3 --baseline=unforced.json && err_has 'in doubt, as its report says' && [ ! -s out ]; }
ok 'baseline: another record in doubt is not a baseline either' other_doubt
ok 'baseline: another record in doubt is one with --force' doubtful 0 --baseline=unforced.json --force

# What is refused, and why.
ok 'baseline: another case is refused' refuses 2 'lacks a time of half -> fp8' --kernel=fake_right --quant-dtype=fp8 --baseline=base.json
ok 'baseline: another shape is refused' refuses 2 'lacks a time of' --kernel=fake_right --hidden-size=32 --baseline=base.json
changed() { sed "$1" base.json >changed.json; }
changed 's/"driver": "1.0"/"driver": "0.9"/; s/"uuid": ""/"uuid": "GPU-1"/'
sed 's/"regime": "sustained"/"regime": "burst"/' base.json >burst.json
ok 'baseline: another regime is refused' refuses 3 "regime 'sustained' was 'burst'" --kernel=fake_right --baseline=burst.json
ok 'baseline: another driver and device is refused' refuses 3 "driver '1.0' was '0.9'" --kernel=fake_right --baseline=changed.json
ok 'baseline: all that differs is named' err_has "UUID '' was 'GPU-1'"
forced() { with 0 changed.json SAME --force && err_has 'warning: --baseline'; }
ok 'baseline: another device is compared with --force' forced
changed 's/"schema_version": 2/"schema_version": 1/'
ok 'baseline: an older schema is refused' refuses 2 'written by an older version of quantbench' --baseline=changed.json
changed 's/"schema": "quantbench-result"/"schema": "x"/'
ok 'baseline: something else is refused' refuses 2 'schema: expected "quantbench-result"' --baseline=changed.json
changed 's/^\( *\)10000\.0,$/\1"fast",/'
ok 'baseline: a time that is none is refused' refuses 2 'results[0].time_ns.' --baseline=changed.json
changed 's/"runs": 6/"runs": 0/'
ok 'baseline: times of one process are refused' refuses 2 'has the times of one process' --baseline=changed.json
: >empty.json
ok 'baseline: an empty file is refused' refuses 2 'empty.json: line 1' --baseline=empty.json
truncated()
{
    for part in 1 2 3 4 5 6 7; do
        head -c $(($(wc -c <base.json) * part / 8)) base.json >cut.json
        refuses 2 'cut.json: line' --baseline=cut.json || return 1
    done
}
ok 'baseline: a file that is cut off' truncated
huge()
{
    awk 'BEGIN { for (i = 0; i < 300000; i++) printf "[[[[[[[[" }' >huge.json
    refuses 2 'huge.json: line 1' --baseline=huge.json
}
ok 'baseline: a file of millions of brackets' huge
many()
{
    awk '/"samples": \[/ { print; for (i = 0; i < 200000; i++) print "10000.0,"; next } { print }' base.json |
        sed '0,/"samples": 1,/s//"samples": 200001,/' >many.json
    with 0 many.json SAME
}
ok 'baseline: a file of many samples' many
ok 'baseline: no such file is refused' refuses 3 'none.json: No such file' --baseline=none.json
ok 'baseline: a folder is refused' refuses 2 'is a directory' --baseline=.
ok 'baseline: no name is refused' refuses 2 "--baseline: invalid value ''" --baseline=
ok 'baseline: nowhere to write it is refused' refuses 3 'none/x.json' --save-baseline=none/x.json
ok 'baseline: too few processes for a baseline is refused' refuses 2 'at least 5' --save-baseline=x.json --runs=4
ok 'baseline: no processes is refused' refuses 2 '--runs' --runs=0
ok 'baseline: --profile is refused' refuses 2 '--profile' --profile --runs=5
ok 'baseline: --force alone is refused' refuses 2 '--force' --force
for margin in 100 -1 x 1x 1%% nan ''; do
    ok "baseline: a margin of '$margin' is refused" refuses 2 '--margin' --margin="$margin" --runs=5
done
ok 'baseline: --report compares nothing' fails 2 '--baseline' --report=base.json --baseline=base.json

# ---- Data ----------------------------------------------------------------------------------------------------------

tensor '\000\074' >ones.npy
tensor '\000\100' >twos.npy
# of STATUS FILE ARGUMENT...: measure the tensor in FILE.
of()
{
    of_status=$1 of_file=$2
    shift 2
    run "$of_status" --device=cuda --num-iters=3 --num-warmup-iters=1 --kernel=fake_right --runs=5 --input="$of_file" "$@"
}
# obstacle TEXT COMMAND...: COMMAND finds nothing to compare, because of TEXT.
obstacle()
{
    obstacle_text=$1
    shift
    "$@" && [ ! -s out ] && err_has "$obstacle_text" && err_has '--force compares them anyway'
}
digest_of() { sed -n 's/^ *"data_digest": "\([0-9a-f]*\)",$/\1/p' "$1"; }
ok 'data: a baseline of a file' of 0 ones.npy --save-baseline=ones.json
ok 'data: the record has the base name and the digest' grep -q '"data": "ones.npy, digest 4fdc8912f204cf99"' ones.json
ok 'data: the same in all versions' same 4fdc8912f204cf99 "$(digest_of ones.json)"
mkdir -p elsewhere && cp ones.npy elsewhere/one.npy
moved() { of 0 elsewhere/one.npy --baseline=ones.json && out_has SAME && [ ! -s err ]; }
ok 'data: the same data in another file' moved
ones="'ones.npy, digest 4fdc8912f204cf99'"
ok "data: another file's data" obstacle "' was $ones" of 3 twos.npy --baseline=ones.json
ok "data: another file's data are named" err_has "data 'twos.npy, digest "
ok "data: another file's data are compared with --force" of 0 twos.npy --baseline=ones.json --force
ok 'data: forced data are a warning' err_has "warning: --baseline: taken under other conditions: data 'twos.npy"
ok 'data: generated data' obstacle "data 'normal, seed 0' was $ones" measure 3 --kernel=fake_right --hidden-size=16 --baseline=ones.json
generated() { measure 0 --kernel=fake_right --hidden-size=16 --runs=5 --save-baseline=normal.json; }
ok 'data: a baseline of generated data' generated
ok "data: a file's data differ from generated ones" obstacle "' was 'normal, seed 0'" of 3 ones.npy --baseline=normal.json
ok 'data: another seed' obstacle "data 'normal, seed 1' was 'normal, seed 0'" measure 3 --kernel=fake_right --seed=1 --baseline=base.json
ok 'data: another distribution' obstacle "data 'zeros, seed 0' was 'normal, seed 0'" \
    measure 3 --kernel=fake_right --dist=zeros --baseline=base.json
forced_dist() { with 0 base.json SAME --dist=zeros --force; }
ok 'data: another distribution is compared with --force' forced_dist
two_dists()
{
    measure 0 --kernel=fake_right --dist=normal,zeros --runs=5 --save-baseline=dists.json &&
        with 0 dists.json SAME --dist=zeros && [ ! -s err ] && with 0 dists.json SAME --dist=zeros --seed=1
}
ok 'data: the seed of zeros means nothing' two_dists
sed 's/"data_digest": ".*"/"data_digest": null/' ones.json >unknown.json
ok 'data: a record without a digest' obstacle "was 'ones.npy, digest unknown'" of 3 ones.npy --baseline=unknown.json
sed 's/(4, 16), /(2, 32), /' ones.npy >wide.npy
shape() { of 0 wide.npy --save-baseline=wide.json && ! same "$(digest_of ones.json)" "$(digest_of wide.json)" >differ; }
ok 'data: another shape has another digest' shape
names()
{
    of 0 ones.npy --format=gbench && out_has '/hidden_size:16/data:ones.npy,_digest_4fdc8912f204cf99/cuda:0/' &&
        measure 0 --kernel=fake_right --seed=7 --format=gbench && out_has '/hidden_size:64/dist:normal/seed:7/cuda:0/'
}
ok 'data: names for Google Benchmark say which data' names
junit_name() { of 0 ones.npy --format=junit && out_has ', ones.npy, digest 4fdc8912f204cf99" classname='; }
ok 'data: names for JUnit say which data' junit_name

# ---- Rounds in one process -----------------------------------------------------------------------------------------

compare() { compare_status=$1; shift; measure "$compare_status" --num-iters=40 "$@"; }
pair() { compare "$1" --compare=fake_right,"$2" && out_has "$2  $3" && out_has 'margin 1 %, 20 rounds'; }
ok 'compare: a kernel and itself' pair 0 fake_right '1.0000  1.0000 to 1.0000  SAME'
ok 'compare: a kernel and one that is 2 % slower' pair 1 slow_right '1.0200  1.0200 to 1.0200  SLOWER'
other_way() { compare 0 --compare=slow_right,fake_right && out_has 'fake_right  0.9804  0.9804 to 0.9804  FASTER'; }
ok 'compare: a kernel that is faster, the other way round' other_way
best() { out_has 'best      fake_right, 2.00 % faster than slow_right'; }
ok 'compare: the best one is named' best
# undecided STATUS WHY ARGUMENT...
undecided()
{
    undecided_why=$2
    compare "$1" "$3" --rounds="$4" && out_has "best      undecided: $undecided_why" && ! grep -q '^best.*faster' out
}
ok 'compare: four rounds have no best' undecided 0 'slow_right may be better' --compare=fake_right,slow_right 4
ok 'compare: a kernel whose rivals are all wrong has no best' undecided 4 'there is no verdict' --compare=fake_right,fake_wrong_code 5
ok 'compare: there is no best if the baseline is wrong' undecided 4 'there is no verdict' \
    --compare=fake_wrong_code,fake_right,slow_right 5
best_as_json()
{
    compare 4 --compare=fake_wrong_code,fake_right --rounds=5 --format=json --output=x.md && grep -q '"result": null' out &&
        grep -q '^\* best: undecided' x.md && compare 0 --compare=slow_right,fake_right --format=json --output=x.json &&
        tr -d ' \n' <out | grep -qF '"best":[{"baseline_result":0,"result":1}]'
}
ok 'compare: Markdown and JSON have the best one' best_as_json
# The interval of the faster one lets it be slower than what is not called faster.
may_be()
{
    compare 1 --compare=fake_right,slow_right --format=json --output=x.json &&
        awk '/"ratio_ci95"/ { print "\"ratio_ci95\": [0.97, 1.03],"; skip = 3; next } skip > 0 { skip--; next }
            { sub("SLOWER", "INCONCLUSIVE"); print }' x.json >y.json &&
        run 0 --report=y.json && out_has 'best      undecided: slow_right may be better' &&
        sed 's/\[0\.97,/[0.995,/' y.json >x.json && run 0 --report=x.json && out_has 'best      fake_right, the baseline'
}
ok 'compare: the best is decided if no other can be better' may_be
too_fast()
(
    FAKE_CLOCK=kernel=5000
    export FAKE_CLOCK
    undecided 0 'there is no verdict' --compare=slow_right,fake_right 5 || undecided 0 'fake_right may be better' --compare=slow_right,fake_right 5
)
ok 'compare: what is faster than memory is not best' too_fast
noisy()
(
    FAKE_CLOCK='jitter=0.01 drift=0.000001'
    export FAKE_CLOCK
    compare 1 --compare=fake_right,slow_right,fake_right --num-tokens=4,8 --output=n.json --output=n.csv \
        --output=n.md --junit=n.xml --output=n.gha &&
        same 2 "$(grep -c SLOWER out)" && same 2 "$(grep -c SAME out)" && same 2 "$(grep -c '^mean' out)"
)
ok 'compare: drift and a noise of 1 % change no verdict' noisy
ok 'compare: --report gives the reports of the run' again n
narrow() { ! awk 'length > 80' n.out | grep .; }
ok 'compare: the table of verdicts has 80 columns' narrow
rounds() { compare 0 --compare=fake_right,fake_right --rounds=7 --format=json && same 1 "$(grep -c '"medians_ns"' out)"; }
ok 'compare: --rounds' rounds
few() { compare 0 --compare=fake_right,slow_right --rounds=4 && out_has 'INCONCLUSIVE, 1 more'; }
ok 'compare: four rounds give no verdict' few
few_strict() { compare 5 --compare=fake_right,slow_right --rounds=4 --strict; }
ok 'compare: four rounds fail under --strict' few_strict
axis() { compare 0 --compare="$1" "$2" "$3" && same 1 "$(grep -c 'SAME$' out)"; }
ok 'compare: granularities' axis granularity --granularity=tensor,group:8 --num-tokens=4
ok 'compare: formats' axis quant-dtype --quant-dtype=int8,fp8 --num-tokens=4
ok 'compare: input formats' axis dtype --dtype=half,float --num-tokens=4
ok 'compare: scales' axis scale --scale=static,dynamic --num-tokens=4
ok 'compare: distributions' axis dist --dist=normal,zeros --num-tokens=4
grid() { compare 0 --compare=granularity --granularity=tensor,token --num-tokens=4,8 && same 2 "$(grep -c 'SAME$' out)"; }
ok 'compare: granularities of several sizes' grid
wrong_side()
{
    compare 4 --compare=fake_right,fake_wrong_code,slow_right && out_has 'none' && out_has SLOWER &&
        same 1 "$(grep -c 'codes' err)"
}
ok 'compare: a wrong result has no verdict, and the others keep theirs' wrong_side
later() { compare 4 --compare=fake_right,fake_wrong_later --rounds=5 && out_has none; }
ok 'compare: one that goes wrong later is found' later
tune() { compare 4 --tune && out_has 'slow_right        1.0200  1.0200 to 1.0200  SLOWER' && out_has 'best      fake_right, the baseline'; }
ok 'compare: --tune compares all kernels' tune
self_test()
{
    compare 0 --self-test && out_has 'compared  20 times with itself, in 20 rounds each' && out_has 'different 0 of 20' &&
        out_has 'visible   a slowdown of 1.00 %'
}
ok 'compare: --self-test' self_test
self_test_noisy()
(
    FAKE_CLOCK='jitter=0.01 drift=0.000001'
    export FAKE_CLOCK
    compare 0 --self-test --format=json && grep -q '"different": 0,' out && grep -q '"detectable": 0.010' out
)
ok 'compare: --self-test on a noisy device, as JSON' self_test_noisy
ok 'compare: one granularity is nothing to compare' refuses 2 'only one granularity' --compare=granularity
ok 'compare: one kernel is nothing to compare' refuses 2 'only one kernel' --compare=fake_right
ok 'compare: a kernel that there is not is refused' refuses 2 'bogus' --compare=fake_right,bogus
ok 'compare: --compare and --kernel are refused' refuses 2 '--kernel' --compare=fake_right,slow_right --kernel=fake_right
ok 'compare: --compare and --tune are refused' refuses 2 '--compare: conflicts with --tune' --compare=granularity --tune
ok 'compare: --compare and --runs are refused' refuses 2 '--runs' --compare=fake_right,slow_right --runs=5
ok 'compare: --compare and --profile are refused' refuses 2 '--profile' --compare=fake_right,slow_right --profile
ok 'compare: --self-test and --output are refused' refuses 2 '--output' --self-test --output=x.json
resumed()
{
    compare 1 --compare=fake_right,slow_right --journal=x.journal && cp out first.out &&
        head -n 40 x.journal >y.journal && compare 1 --compare=fake_right,slow_right --resume=y.journal &&
        cmp out first.out
}
ok 'compare: a comparison goes on with its journal' resumed
ok 'compare: --compare and --precision are refused' refuses 2 '--precision' --compare=fake_right,slow_right --precision=1
ok 'compare: --runs and --journal are refused' refuses 2 '--journal' --runs=5 --journal=x.journal
ok 'compare: no rounds is refused' refuses 2 '--rounds' --compare=fake_right,slow_right --rounds=0

# ---- Every report and the exit status ------------------------------------------------------------------------------

# agree STATUS FAILURES ERRORS SKIPPED ARGUMENT...: JUnit has this many of each, and all reports have the exit status.
agree()
{
    agree_status=$1 agree_counts="failures=\"$2\" errors=\"$3\" skipped=\"$4\"" agree_bad=$(($2 + $3))
    shift 4
    measure "$agree_status" --num-iters=40 "$@" --junit=a.xml --output=a.json --output=a.csv --output=a.gha \
        --output=a.gbench.json && cp err a.err && { grep -qF "$agree_counts" a.xml || { head -n 3 a.xml | sed 's/^/# /'; return 1; }; } &&
        same "$agree_bad" "$(grep -c '^::error' a.gha)" && grep -q "^  \"exit_status\": $agree_status,\$" a.json &&
        ! sed 1d a.csv | grep -v ",$agree_status\$" && grep -q "\"exit_status\": $agree_status" a.gbench.json &&
        for agree_format in junit csv github gbench; do
            run 0 --report=a.json --format=$agree_format && cmp out a.$(suffix_of $agree_format) || return 1
        done
}
suffix_of() { case $1 in junit) echo xml ;; github) echo gha ;; gbench) echo gbench.json ;; *) echo "$1" ;; esac; }
ok 'reports: a run in which all is well' agree 0 0 0 0 --kernel=fake_right
ok 'reports: SAME' agree 0 0 0 0 --compare=fake_right,fake_right
ok 'reports: SLOWER' agree 1 1 0 0 --compare=fake_right,slow_right
ok 'reports: slower, which --split expects' agree 0 0 0 0 --split --kernel=fake_right
ok 'reports: inconclusive' agree 0 0 0 1 --compare=fake_right,slow_right --rounds=4
ok 'reports: inconclusive, with --strict' agree 5 1 0 0 --compare=fake_right,slow_right --rounds=4 --strict
ok 'reports: --strict says how many' grep -qF -e '--strict: 1 of 1 comparisons have no verdict' a.err
ok 'reports: a wrong result' agree 4 1 0 0 --kernel=fake_right,fake_wrong_code
ok 'reports: a wrong result without a verdict' agree 4 1 0 0 --compare=fake_right,fake_wrong_code
in_doubt() ( FAKE_CLOCK=kernel=5000; export FAKE_CLOCK; agree "$@" --kernel=fake_right )
ok 'reports: a result in doubt' in_doubt 0 0 0 1
ok 'reports: in doubt, with --strict' in_doubt 5 1 0 0 --strict
ok 'reports: in doubt in several processes' in_doubt 5 1 0 0 --strict --runs=5
ok 'reports: a case that cannot run' agree 3 0 1 0 --kernel=fake_right --num-tokens=4,1000000000000000
slower_is_fine()
{
    compare 1 --compare=fake_right,slow_right --format=json --output=x.json &&
        sed 's/"slower_fails": true/"slower_fails": false/; s/"exit_status": 1/"exit_status": 0/' x.json >y.json &&
        run 0 --report=y.json --format=junit && out_has 'failures="0" errors="0" skipped="0"'
}
ok 'reports: slower, where a choice is all that is asked for' slower_is_fine

split()
{
    measure 0 --kernel=fake_right --split && same 'static dynamic amax ' "$(sed -n 's/^\(static\|dynamic\|amax\) .*verified.*/\1/p' out | tr '\n' ' ')" &&
        [ "$(grep -cE 'SAME|SLOWER|FASTER' out)" -eq 2 ]
}
ok '--split: given scales, computed ones, and the scales alone' split

done_testing
