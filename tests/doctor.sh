#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# doctor.sh - verdicts on machines that are made of files, and on a device that is made up; --dry-run.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

QUANTBENCH_FSROOT=$work/root
cpu=/sys/devices/system/cpu

# put FILE TEXT: a file of the made-up machine.
put()
{
    mkdir -p "$QUANTBENCH_FSROOT/$(dirname "$1")" && echo "$2" >"$QUANTBENCH_FSROOT/$1"
}

# put_cpus NAME TEXT: the same for each CPU there may be.
put_cpus()
{
    tap_cpu=0
    while [ $tap_cpu -lt "$(nproc --all)" ]; do
        put "$cpu/cpu$tap_cpu/$1" "$2"
        tap_cpu=$((tap_cpu + 1))
    done
}

# A machine on which nothing is wrong.
healthy()
{
    rm -rf "$QUANTBENCH_FSROOT"
    put_cpus cpufreq/scaling_governor performance
    put_cpus cpufreq/scaling_cur_freq 3000000
    put $cpu/cpufreq/boost 0
    put $cpu/smt/active 0
    put /proc/loadavg '0.00 0.00 0.00 1/100 1'
    put /proc/meminfo 'MemTotal: 8000000 kB
MemAvailable: 7000000 kB'
    put /proc/buddyinfo 'Node 0, zone Normal 0 0 0 0 0 0 0 0 0 99 99'
    put /sys/kernel/mm/transparent_hugepage/enabled 'always [madvise] never'
}

# finds STATUS VERDICT NAME VALUE: the doctor's line on one fact, and its exit status.
finds()
{
    run "$1" --doctor --device=cpu && grep -qE "^  $2 +$3 +$4\$" out || { grep -A 2 " $3 " out | sed 's/^/# /'; return 1; }
}

healthy
ok 'doctor: a machine without problems passes' finds 0 ok governor performance
ok 'doctor: the count of problems is 0' out_has '0 problems'
put_cpus cpufreq/scaling_governor powersave
ok 'doctor: a governor that saves power is a problem' finds 5 problem governor powersave
ok 'doctor: the command that mends the governor is named' out_has '-> cpupower frequency-set --governor performance'
healthy
put $cpu/cpufreq/boost 1
put $cpu/smt/active 1
ok 'doctor: boost is a note' finds 0 note boost on
ok 'doctor: threads that share a core are a note' finds 0 note smt on
put /sys/kernel/mm/transparent_hugepage/enabled 'always madvise [never]'
ok 'doctor: no transparent huge pages are a note' finds 0 note huge_pages never
put /proc/buddyinfo 'Node 0, zone Normal 9 9 9 9 9 9 9 9 9 0 0'
ok 'doctor: no free huge pages are a note' finds 0 note huge_pages_free 0
healthy
put /proc/loadavg '99.00 9.00 9.00 500/999 1'
busy() { finds 5 problem other_tasks_running 499 && finds 5 note load_1min 99 && out_has '1 problem'; }
ok 'doctor: other processes that run are one problem, and the load of them is not ok' busy
put /proc/loadavg '99.00 9.00 9.00 1/999 1'
ok 'doctor: a load that has just ended is ok' finds 0 ok load_1min 99
put /proc/loadavg '0.00 0.00 0.00 500/999 1'
ok 'doctor: a load that has just begun is not a problem yet' finds 0 ok load_1min 0
healthy
put /proc/self/cgroup '0::/'
put /sys/fs/cgroup/cpu.max '150000 100000'
put /sys/fs/cgroup/memory.max 4096000000
put /sys/fs/cgroup/memory.current 96000000
ok 'doctor: a CPU quota is a problem' finds 5 problem cpu_quota 1.5
ok 'doctor: a memory limit is a note' finds 5 note memory_limit_bytes 4096000000
rm -rf "$QUANTBENCH_FSROOT"
ok 'doctor: a machine that hides everything is unknown' finds 0 unknown governor unknown

json()
{
    healthy
    put /sys/fs/cgroup/cpu.max '150000 100000'
    put /proc/self/cgroup '0::/'
    run 5 --doctor --device=cpu --format=json && out_has '"schema": "quantbench-doctor"' && out_has '"problems": 1' &&
        out_has '"name": "cpu_quota"' && out_has '"value": "1.5"' && out_has '"verdict": "problem"'
}
ok 'doctor: --format=json has every property' json
ok 'doctor: other formats are refused' fails 2 'text or json' --doctor --format=csv
# The time is that of the test, the rest is in --version and in the record of a run.
identified()
{
    run 0 --device=cpu --num-tokens=4 --hidden-size=32 --num-iters=1 --num-warmup-iters=0 --output=run.json &&
        run 5 --doctor --device=cpu --format=json --output=checks.json --output=checks.txt && cmp out checks.json &&
        grep -q '^1 problem$' checks.txt && grep -qE '"date": "20[0-9-]+T[0-9:]+Z"' out || return 1
    for member in '"version"' '"system"' '"cpus"'; do
        same "$(grep "$member" run.json | head -n 1 | tr -d ,)" "$(grep "$member" out | head -n 1 | tr -d ,)" || return 1
    done
}
ok 'doctor: --output writes text and JSON, which names version, date and host' identified
ok 'doctor: --output as CSV is refused' fails 2 'text or json' --doctor --output=x.csv
ok 'doctor: --output that cannot be written is refused' fails 3 'missing' --doctor --device=cpu --output=missing/x.json
ok 'doctor: --junit is refused' fails 2 '--junit' --doctor --junit=x.xml

# ---- A device ------------------------------------------------------------------------------------------------------

healthy
QUANTBENCH_MODULE_DIR=$builddir/tests/fake/.libs
export QUANTBENCH_MODULE_DIR
# gpu FACTS CONDITIONS STATUS VERDICT NAME VALUE
gpu()
(
    FAKE_FACTS=$1 FAKE_CONDITIONS=$2
    export FAKE_FACTS FAKE_CONDITIONS
    shift 2
    run "$1" --doctor --device=cuda && grep -qE "^  $2 +$3 +$4\$" out
)
if "$QUANTBENCH" --list-kernels | grep -q '^fake_'; then
    ok 'doctor, device: one without problems passes' gpu 'persistence=on other_processes=0' '1980:0' 0 ok throttle none
    ok 'doctor, device: throttling is a problem' gpu '' '1410:3' 5 problem throttle 'power cap, thermal'
    ok 'doctor, device: other processes are a problem' gpu 'other_processes=2' '1980:0' 5 problem other_processes 2
    ok 'doctor, device: a busy one is a problem' gpu 'utilization_percent=80' '1980:0' 5 problem utilization_percent 80
    ok 'doctor, device: persistence off is a note' gpu 'persistence=off' '1980:0' 0 note persistence off
    ok 'doctor, device: MIG is a note' gpu 'mig=on' '1980:0' 0 note mig on
    ok 'doctor, device: a lowered power limit is a note' gpu 'power_limit_mw=500000 power_limit_default_mw=700000' '1980:0' 0 note power_limit_mw 500000
    ok 'doctor, device: the default power limit is ok' gpu 'power_limit_mw=700000 power_limit_default_mw=700000' '1980:0' 0 ok power_limit_mw 700000
    ok 'doctor, device: a narrow link is a note' gpu 'pcie_width=8 pcie_width_max=16' '1980:0' 0 note pcie_width 8
    ok 'doctor, device: a link of all lanes is ok' gpu 'pcie_width=16 pcie_width_max=16' '1980:0' 0 ok pcie_width 16
    ok 'doctor, device: a lowered clock is a note' gpu 'application_clock_mhz=1500 clock_max_mhz=1980' '1980:0' 0 note application_clock_mhz 1500
    ok 'doctor, device: one that hides everything is unknown' gpu 'ecc=unknown' '' 0 unknown throttle unknown
else
    skip 'doctor, device: its properties' 'the CUDA backend is built in, or modules cannot be built'
fi

# ---- --dry-run -----------------------------------------------------------------------------------------------------

healthy
small='--device=cpu --hidden-size=32'
dry()
{
    # shellcheck disable=SC2086 # a list of words
    run 0 $small --dry-run --num-tokens=2,3,4 && same 3 "$(grep -c '^ *[234]  ' out)" && out_has '3 cases, ' &&
        ! grep -q 'running time\|verified' out && [ ! -s err ]
}
ok 'dry run: a line for each case' dry
# What all cases have in common is above the table, so that it is narrow.
narrow()
{
    for width in 60 80; do
        # shellcheck disable=SC2030,SC2031 # the variable is the program's
        ( COLUMNS=$width; export COLUMNS; run 0 $small --dry-run "$@" ) && grep -qE '^[0-9]+ cases?,' out &&
            ! grep -E "^.{$((width + 1))}" out || return 1
    done
}
ok 'dry run: one case on 60 and on 80 columns' narrow --num-tokens=2
ok 'dry run: a sweep on 60 and on 80 columns' narrow --num-tokens=2,3 --dtype=half,float
moved()
{
    # 1000 x 1000 of half to INT8 with one scale: 2 MB read, 1 MB and 4 bytes written.
    run 0 --device=cpu --dry-run --num-tokens=1000 --hidden-size=1000 --format=json &&
        out_has '"bytes_read": 2000000' && out_has '"bytes_written": 1000004' && out_has '"fits": true' &&
        out_has '"host_memory_bytes": 3000004' && out_has '"kernel": "cpu_'
}
ok 'dry run: bytes moved and memory are right' moved
# hosts BYTES ARGUMENT...: 1000 x 1000 elements take BYTES bytes of the host.
hosts()
{
    tap_bytes=$1
    shift
    run 0 --device=cpu --dry-run --num-tokens=1000 --hidden-size=1000 --format=json "$@" &&
        out_has "\"host_memory_bytes\": $tap_bytes"
}
# Twice as many elements of half, values of half, codes and a scale; and exact values of float.
ok 'dry run: values and exact values take memory of the host' hosts 11000004 --op=silu-mul
ok 'dry run: without a reference the data and values take memory' hosts 6000000 --op=silu-mul --no-verify
ok 'dry run: weights are data' hosts 5002004 --op=rms-norm --no-verify
same_memory()
{
    run 0 --device=cpu --dry-run --num-tokens=8 --hidden-size=32 --format=json || return 1
    tap_memory=$(sed -n 's/.*"device_memory_bytes": \([0-9]*\).*/\1/p' out)
    run 0 --device=cpu --num-tokens=8 --hidden-size=32 --num-iters=1 --num-warmup-iters=0 --format=json &&
        out_has "\"rotated_bytes\": $tap_memory"
}
ok 'dry run: the memory is that of a run' same_memory
# Four rotations of 512 MB each: the memory that is free holds all, and then one.
plans()
{
    put /proc/meminfo "MemTotal: 64000000 kB
MemAvailable: $1 kB" && run 0 --device=cpu --dry-run --num-tokens=64,65,66,67 --hidden-size=512 --format=json &&
        sed -n 's/.*"device_memory_bytes": \([0-9]*\).*/\1/p' out >"$2" && same 4 "$(grep -c '' "$2")"
}
same_plans()
{
    for file in level:3 type:Unified size:131072K; do
        put "/sys/devices/system/cpu/cpu0/cache/index0/${file%%:*}" "${file#*:}"
    done
    plans 60000000 free && plans 900000 short && cmp free short && [ "$(head -n 1 free)" -gt 500000000 ]
}
ok 'dry run: how much memory is free does not decide how many buffers there are' same_plans
healthy
# Each case takes as long with 10000 of them as with 10: 2 s of CPU time together, where they took 170 s.
many='--device=cpu --dry-run --num-tokens=1:100:+1 --hidden-size=1:100:+1'
# shellcheck disable=SC2086,SC3045 # a list of words; it is tried first
many() ( ulimit -t 40; run 0 $many && same 10000 "$(grep -c '^ *[0-9][0-9]*  *[0-9][0-9]*  *[0-9]' out)" )
# 3 s where they took 100 s.
# shellcheck disable=SC3045
pairs()
(
    ulimit -t 40
    run 0 --device=cpu --dry-run --num-tokens=1:100:+1 --hidden-size=1:150:+1 --dtype=half,float --compare=dtype
)
# shellcheck disable=SC3045
if (ulimit -t 40) 2>/dev/null; then
    ok 'dry run: 10000 cases in time' many
    ok 'dry run: 30000 compared cases in time' pairs
else
    skip 'dry run: 10000 cases in time' 'this shell cannot limit the time'
    skip 'dry run: 30000 compared cases in time' 'this shell cannot limit the time'
fi
# The pipe is full before all cases are printed, and is emptied only when the signal was sent.
stopped()
{
    rm -f cases && mkfifo cases || return 1
    # shellcheck disable=SC2016,SC2086 # a list of words
    beside sh -c 'exec "$0" "$@" >cases 2>err' "$QUANTBENCH" $many
    exec 3<cases
    read -r _ <&3
    kill -TERM $tap_pid
    cat <&3 >out
    exec 3<&-
    joined
    same 143 $? && err_has 'interrupted: the cases until then are reported' &&
        { [ "$(wc -l <out)" -lt 5000 ] || { echo "# $(wc -l <out) lines"; return 1; }; }
}
ok 'dry run: a signal ends it' stopped
# shellcheck disable=SC2086 # a list of words
{
    ok 'dry run: a case that does not fit fails' run 3 $small --dry-run --num-tokens=4,1000000000000000
    ok 'dry run: a case that does not fit is marked' grep -qE '^1000000000000000 .* does not fit$' out
    ok 'dry run: a usage error is found' fails 2 '--dtype' $small --dry-run --dtype=bogus
    ok 'dry run: CSV is refused' fails 2 'text or json' $small --dry-run --format=csv
    ok 'dry run: --output is refused' fails 2 '--output' $small --dry-run --output=x.csv
}
done_testing
