#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# measure.sh - what is measured, and what is doubted, on a device whose clock follows a script: see FAKE_CLOCK in
# fake_module.c. Its times do not depend on how fast this machine is.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

need_fake_device

# measure STATUS CLOCK ARGUMENT...: run a small case on a device with this CLOCK, as JSON.
measure()
{
    tap_status=$1
    FAKE_CLOCK=$2
    export FAKE_CLOCK
    shift 2
    run "$tap_status" --device=cuda --kernel=fake_right --num-tokens=4 --hidden-size=64 --num-warmup-iters=0 \
        --format=json "$@"
}

# value NAME: the numbers and words that members of this name have in the last run's document.
value()
{
    sed -n -e 's/,$//' -e "s/^ *\"$1\": //p" out | tr -d '"' | tr '\n' ' ' | sed 's/ $//'
}

# is NAME WANT
is()
{
    same "$2" "$(value "$1")" || { echo "# in $1"; return 1; }
}

# interval END: its lower (2) or upper (3) end, of the first case.
interval()
{
    awk -v line="$1" '/"median_ci95"/ { start = NR } start && NR == start + line - 1 { sub(",", ""); print $1; exit }' out
}

# holds CONDITION: of numbers, as awk has it.
holds()
{
    awk "BEGIN { exit !($1) }" || { echo "# not so: $1"; return 1; }
}

# strict_doubt CLOCK WORD ARGUMENT...: the text report doubts with WORD, and --strict ends with 5.
strict_doubt()
{
    clock=$1 word=$2
    shift 2
    measure 0 "$clock" --format=text "$@" && grep -q "^doubt  *$word" out && [ "$(grep -c '^doubt' out)" -eq 1 ] &&
        measure 5 "$clock" --strict "$@" && err_has '1 of 1 results are in doubt'
}

# ---- The timer -----------------------------------------------------------------------------------------------------

coarse=tick=30000,copy=9300
coarse_tick()
{
    measure 0 $coarse && is tick_ns 30000.0
}
blocks_grow()
{
    measure 0 kernel=10000 && fine=$(value launches_per_sample) && measure 0 $coarse &&
        launches=$(value launches_per_sample) && holds "$launches > $fine" &&
        holds "30000 / 2 <= 0.0005 * $launches * 10000" &&
        holds "$launches % $(value buffer_sets) == 0"
}
tick_term()
{
    measure 0 $coarse && term="30000 / (2 * $(value launches_per_sample))" &&
        holds "$(interval 3) - $(value median) >= 0.999 * $term" &&
        holds "$(value median) - $(interval 2) >= 0.999 * $term"
}
# Whole blocks are whole ticks here, so that all samples are equal and the interval is the tick's part alone.
tick_alone()
{
    measure 0 tick=10000,copy=9300 && is tick_ns 10000.0 && is min 10000.0 && is max 10000.0 &&
        term="10000 / (2 * $(value launches_per_sample))" && holds "$(interval 3) - 10000 >= 0.999 * $term" &&
        holds "$(interval 3) - 10000 <= 1.001 * $term" && holds "10000 - $(interval 2) >= 0.999 * $term" &&
        holds "10000 - $(interval 2) <= 1.001 * $term"
}
# A precision that needs longer blocks than the default has.
precise_blocks()
{
    measure 0 $coarse --precision=0.1 --timeout=600 && is converged true &&
        holds "30000 / 2 <= 0.001 / 4 * $(value launches_per_sample) * 10000"
}
ok "timer: the tick of a coarse one is found" coarse_tick
ok "timer: a coarse one makes blocks longer, of whole rotations, until half a tick is within 0.05 %" blocks_grow
ok "timer: the interval is no narrower than the tick allows" tick_term
ok "timer: with equal samples the interval is half a tick of a block at each end" tick_alone
ok "timer: --precision makes half a tick a quarter of what is asked for" precise_blocks

# ---- Noise ---------------------------------------------------------------------------------------------------------

# Two equal cases: medians_agree is whether each median is in the other's interval.
drifts()
{
    measure 0 drift=0.000001 --num-tokens=4,4 --num-iters=60 && is ci95_basis 'rounds rounds' &&
        same 2 "$(value median | wc -w | tr -d ' ')" || return 1
    awk '/"median":/ { median[++n] = $2 + 0 } /"median_ci95"/ { at = NR }
        at && NR == at + 1 { low[n] = $1 + 0 } at && NR == at + 2 { high[n] = $1 + 0 }
        END { exit !(n == 2 && low[1] < median[2] && median[2] < high[1] && low[2] < median[1] && median[1] < high[2] &&
            high[1] > 1.01 * low[1]) }' out
}
outliers()
{
    measure 0 outlier=10000 --num-iters=60 && is mild_outliers 0 && holds "$(value severe_outliers) > 0" &&
        same 60 "$(awk '/"samples": \[/ { inside = 1; next } /\]/ { inside = 0 } inside' out | wc -l | tr -d ' ')" &&
        holds "$(value max) > 1.02 * $(value median)" && holds "$(value median) == 10000"
}
outliers_shown()
{
    measure 0 outlier=10000 --num-iters=60 --format=text && grep -q 'outliers: 0 mild, [1-9][0-9]* severe; none is left out' out
}
converges()
{
    measure 0 jitter=0.01 --precision=1 --timeout=600 --strict && is converged true && is num_iters 0 &&
        holds "$(value start_s | wc -w) >= 6" &&
        holds "$(interval 3) - $(interval 2) <= 2 * 0.01 * $(value median)"
}
# What the visit took is more than a microsecond, and no interval is so narrow.
gives_up()
{
    measure 0 jitter=0.1 --precision=0.000001 --timeout=0.000001 && is converged false
}
# The first visit has one sample at least; then a microsecond is over.
ends_early()
{
    measure 0 kernel=10000 --max-time=0.000001 && is out_of_time true && is max_time_s 1e-6 && is converged null &&
        is samples '[ 1' && is ci95_basis none
}
has_time() { measure 0 kernel=10000 && is out_of_time false && is max_time_s 60.0; }
# A precision has --timeout; less counts.
precise_time()
{
    measure 0 jitter=0.1 --precision=0.000001 --max-time=0.000001 && is converged false && is timeout_s 1e-6 &&
        is out_of_time null && is max_time_s null
}
compared_time()
{
    measure 0 kernel=10000 --compare=dtype --dtype=half,float --max-time=0.000001 && is out_of_time 'true true' &&
        same 4 "$(grep -c '"samples": [0-9]' out)"
}
isolated_time() { measure 0 kernel=10000 --isolate --max-time=0.000001 && is out_of_time true && is samples '[ 1'; }
runs_time() { measure 0 kernel=10000 --runs=2 --max-time=0.000001 && is out_of_time true; }
ok "--max-time: a case ends with one sample at least, and says so" ends_early
ok "--max-time: a case that has time has all its samples" has_time
ok "--max-time: less than --timeout ends a precision" precise_time
ok "--max-time: cases that are compared end" compared_time
ok "--max-time: a case in a process of its own ends" isolated_time
ok "--max-time: what one of --runs lacks is said" runs_time
ok "--max-time: a case that lacks samples fails under --strict" strict_doubt kernel=10000 \
    'out of time: 1 of 100 samples after 1e-06 s' --max-time=0.000001
ok "drift: spreads over equal cases, whose medians agree; the interval is that of the rounds" drifts
ok "outliers: counted, and kept" outliers
ok "outliers: shown in the report" outliers_shown
ok "--precision: goes on until it is reached" converges
ok "--precision: gives up after --timeout, and says so" gives_up
ok "--precision: one that was not reached fails under --strict" strict_doubt jitter=0.1 'not converged: .* after 1e-06 s, 1e-06 % was asked for' \
    --precision=0.000001 --timeout=0.000001

# ---- The state of the process -------------------------------------------------------------------------------------

state_kept() { measure 0 floor=1000,later=1040 --strict && is process_state one-stream; }
ok 'process state: empty launches that take as long at the end are not a doubt' state_kept
ok 'process state: empty launches that take longer at the end are a doubt' \
    strict_doubt floor=1000,later=1400 'other state: launch overhead 1.00'
state_asked() { measure 0 tick=0 --process-state=several-streams --strict && is process_state several-streams; }
ok 'process state: several streams are launched into, and the record says so' state_asked
state_implied() { measure 0 tick=0 --streams=2 && is process_state several-streams; }
ok 'process state: --streams=2 implies several streams' state_implied

# ---- What cannot be so ---------------------------------------------------------------------------------------------

plausible()
{
    measure 0 kernel=10000 --strict && is cache cold && is cache_check passed && is implausible false &&
        is hot_time_ns 5000.0 && is floor_ns 1000.0 && is streaming_ns 9000.0 && is plain_ns 9900.0
}
cache_undecided()
{
    measure 0 hot=1,kernel=50000 --strict && is cache_check undecided
}
# Near the ceiling, but an empty launch takes nearly as long: the cache cannot make it faster.
floor_undecided()
{
    measure 0 hot=1,kernel=9500,floor=6000 --strict && is cache_check undecided
}
# Three percent are the margin of measurement.
at_the_ceiling()
{
    measure 0 kernel=8800 --strict && is implausible false && measure 0 kernel=8700 && is implausible true
}
floor_limits()
{
    measure 0 kernel=10000,floor=11000 && is implausible true && is best_ns 11000.0
}
ok "plausibility: a plausible case passes" plausible
ok "plausibility: a kernel faster than memory is in doubt" strict_doubt kernel=5000 'implausible: faster than memory allows, 9.000 us'
ok "plausibility: only beyond three percent of the ceiling" at_the_ceiling
# 22.5 times as fast as memory allows: no figure that anybody could take for one.
impossible()
{
    measure 0 kernel=400 --format=text && grep -q '^ceiling   > 100 % of the best possible, 9.000 us' out &&
        measure 0 kernel=400 --cache=both --format=text && grep -q ' > 100 % .* verified \*$' out &&
        measure 0 kernel=400 && is implausible true && is share null && measure 0 kernel=400 --format=csv &&
        ! grep -q ',22\.5' out
}
ok "an impossible share of the ceiling is not a figure" impossible
# The record's own word does not count.
lied()
{
    measure 0 kernel=10000 && sed 's/"best_ns": 9000.0/"best_ns": 25299800.0/' out >lied.json &&
        run 0 --report=lied.json && out_has 'doubt     implausible' && out_has 'ceiling   > 100 %' && ! grep 252998 out
}
ok "plausibility: an impossible share in a record is not a figure either" lied
# ci LOW HIGH: a record whose median of 10 us has this interval, in microseconds.
ci()
{
    measure 0 kernel=10000 --num-iters=40 --rounds=10 && awk -v low="$1" -v high="$2" '
        /"median_ci95"/ { print "        \"median_ci95\": [" low * 1000 ".0, " high * 1000 ".0],"; skip = 3; next }
        skip > 0 { skip--; next } { print }' out >ci.json && run 0 --report=ci.json
}
precise() { ci 9 11 && out_has '+- 10.00 %' && ! grep imprecise out; }
imprecise()
{
    ci 0 11154 && out_has 'doubt     imprecise: +- 5.58e+04 %, more than 10 %' &&
        run 0 --report=ci.json --format=markdown && out_has '* row 1: imprecise: ' &&
        run 0 --report=ci.json --format=csv && out_has ',imprecise,' &&
        run 0 --report=ci.json --format=gbench && out_has ', in doubt: imprecise"' &&
        run 0 --report=ci.json --format=junit && out_has 'skipped="1"' && out_has '; in doubt: imprecise: ' &&
        run 0 --report=ci.json --format=github && grep -q '^::warning .*; in doubt: imprecise' out &&
        run 0 --report=ci.json --format=json && tr -d ' \n' <out | grep -qF '"doubts":["imprecise"]'
}
ok "an interval of 10 % is not a doubt" precise
ok "interval: a wider one is in doubt, in every format" imprecise
ok "plausibility: an empty launch is a limit too" floor_limits
ok "cold cache: a rotation that does not fit is in doubt" strict_doubt cache=1000000 'partly cold: 16384 copies of the tensors' \
    --num-tokens=1 --hidden-size=1 --num-iters=6 --rounds=1
ok "cold cache: a time as fast as from the cache is in doubt" strict_doubt hot=1,kernel=9500 'not cold: .* 9.500 us'
ok "cold cache: undecided where memory is not the limit" cache_undecided
ok "cold cache: undecided where the launch is the limit" floor_undecided

# ---- Ways to measure -----------------------------------------------------------------------------------------------

# row WORD TIME CEILING: of the table; columns in between are not looked at.
row()
{
    grep -Eq "^ *$1  *$2 .* $3 %.*  verified\$" out || { echo "# no row $1 $2 $3"; return 1; }
}
both_states()
{
    measure 0 kernel=10000 --cache=both --strict --format=text && row cold 10.000 90.0 && row hot 5.000 90.0 &&
        measure 0 kernel=10000 --cache=both && is cache 'cold hot' && is buffer_sets '316 1' &&
        is cache_check 'passed none'
}
launches()
{
    measure 0 kernel=10000 --launch=graph,stream,isolated --format=text && grep -q '^launch .*median us .*host us' out &&
        for way in graph stream isolated; do
            row $way 10.000 90.0 || return 1
        done
}
launches_json()
{
    measure 0 kernel=10000 --launch=graph,stream,isolated && is launch 'graph stream isolated' &&
        is launches_per_sample '316 316 1' &&
        for host in $(value host_time_ns); do
            holds "$host > 0" || return 1
        done
}
# There are fewer samples than buffer sets, and yet all sets are written, and proved.
isolated_proved()
{
    measure 0 kernel=10000 --launch=isolated --num-iters=12 --num-warmup-iters=3 && is buffer_sets 316 &&
        is verification verified &&
        measure 4 kernel=10000 --launch=isolated --num-iters=12 --kernel=fake_wrong_later && is verification WRONG
}
# The clock runs through what the streams do one after the other: together they are as fast as one.
streams()
{
    measure 0 kernel=10000 --streams=1,3,4 && is streams '1 3 4' && is buffer_sets '316 318 316' || return 1
    for time in $(value median); do
        holds "$time > 9999.9 && $time < 10000.1" || return 1
    done
    measure 0 kernel=10000 --streams=1,4 --format=text && row 1 10.000 90.0 &&
        grep -Eq "^ *4  *10.000 .*  -  .*verified\$" out
}
# Each sample has a block before it that is not counted, so more time passes.
burst()
{
    measure 0 drift=0.000001 && is regime sustained && last=$(value max) &&
        measure 0 drift=0.000001 --regime=burst --num-iters=100 && is regime burst && holds "$(value max) > 1.02 * $last"
}
# In Google Benchmark's document each case has a name of its own, and the host's time beside the device's.
gbench()
{
    measure 0 kernel=10000 --launch=graph,stream --cache=both --num-iters=13 --rounds=5 --output=x.json \
        --output=x.gbench.json && run 0 --report=x.json --format=gbench && cmp out x.gbench.json &&
        is repetition_index '0 1 2 3 4 0 1 2 3 4 0 1 2 3 4 0 1 2 3 4' &&
        same '/cache:hot /cache:hot/launch:stream /launch:stream fake_right' \
            "$(value run_name | tr ' ' '\n' | sed 's,.*fake_right/,/,; s,.*/fake_right$,fake_right,' | sort -u | tr '\n' ' ' | sed 's/ $//')" &&
        ! is cpu_time "$(value real_time)" >differ &&
        holds "$(value real_time | cut -d ' ' -f 1) == 10000 && $(value cpu_time | cut -d ' ' -f 1) > 0"
}
ok "--cache=both has a row for each, with its own ceiling" both_states
ok "--launch=graph,stream,isolated has a row for each" launches
ok "--launch: JSON has the host's time, and an isolated sample is one launch" launches_json
ok "--launch=isolated: a right and a wrong kernel are told apart" isolated_proved
ok "--streams=1,3,4 gives each stream as many sets, and their rates add up" streams
ok "--streams: each has its entries for Google Benchmark, and a record gives the same ones" gbench
ok "--regime=burst begins again for each sample" burst

# ---- Rounds --------------------------------------------------------------------------------------------------------

# sizes: how many samples each round has, of a document with one case.
sizes()
{
    value samples | sed 's/^\[ //'
}
uneven()
{
    measure 0 kernel=10000 --num-iters=13 --rounds=5 && is planned_rounds 5 && same '3 3 3 2 2' "$(sizes)"
}
few()
{
    measure 0 kernel=10000 --num-iters=3 --rounds=5 && same '1 1 1' "$(sizes)" && is ci95_basis none
}
one_round()
{
    measure 0 kernel=10000 --num-iters=7 --rounds=1 && same 7 "$(sizes)"
}

# order SEED: run four cases in six rounds, and print which was visited when.
order()
{
    measure 0 kernel=10000 --num-tokens=1,2,3,4 --num-iters=6 --rounds=6 --seed="$1" || return 1
    awk '/"problem":/ { c++ } /"start_s":/ { printf "%.9f %d\n", $2, c }' out | sort -n | awk '{ printf "%s", $2 }'
}
# each_round ORDER: whether every round visits each case once.
each_round()
{
    same 6 "$(echo "$1" | sed 's/..../& /g' | tr ' ' '\n' | awk '/1/ && /2/ && /3/ && /4/ && length == 4' | wc -l | tr -d ' ')"
}
seeded()
{
    first=$(order 1) && again=$(order 1) && other=$(order 2) && each_round "$first" && each_round "$other" &&
        same "$first" "$again" && [ "$first" != "$other" ]
}
differ()
{
    holds "$(order 1 | sed 's/..../& /g' | tr ' ' '\n' | sort -u | grep -c .) > 1"
}
ok "rounds: samples that cannot be shared equally are all taken" uneven
ok "rounds: fewer samples than rounds" few
ok "rounds: --rounds=1 takes all samples in one" one_round
ok "rounds: the seed determines the order of cases, each once a round" seeded
ok "rounds: different rounds have different orders" differ
# 1 is the power cap, 4 its hardware's thermal limit: in the first and in the third of the rounds.
throttled()
{
    FAKE_CONDITIONS='1980:0 1200:1 1980:0 900:4 1980:0'
    export FAKE_CONDITIONS
    measure "$@"
    tap_result=$?
    unset FAKE_CONDITIONS
    return $tap_result
}
slowed_down()
{
    throttled 5 kernel=10000 --strict --rounds=4 --format=text "$@" &&
        out_has 'doubt     throttled in 2 of 4 rounds, power cap' && throttled 0 kernel=10000 --rounds=4 "$@" &&
        [ "$(grep -c '"power cap"' out)" -eq 1 ]
}
ok 'slowdown: a slowed round is in doubt, with the reason' slowed_down
under_load()
{
    FAKE_LOAD=1
    export FAKE_LOAD
    for mode in graph stream isolated; do
        slowed_down --launch=$mode || return
    done
    unset FAKE_LOAD
}
ok 'slowdown: also in doubt when its own work causes it' under_load

done_testing
