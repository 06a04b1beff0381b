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
    --num-warmup-iters=0 --kernel-timeout=2'

# ---- Forged results ------------------------------------------------------------------------------------------------

ok 'forged results: the plug-in is built' build forger forger.c
# forged KERNEL WORDS: its time is not reported, and the other one's is.
forged()
{
    # $case is a list of words.
    # shellcheck disable=SC2086
    run 3 $case --plugin=forger.so --kernel="forger_$1,cpu_generic" --format=csv &&
        err_has "kernel forger_$1: disturbs the process that it runs in: $2" &&
        same "cpu_generic 0 timed
forger_$1 3 -" "$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
            { print $at["kernel"], $at["exit_status"], ($at["median_ns"] != "" ? "timed" : "-") }' out | sort)"
}
ok 'forged results: a time of NaN is refused' forged nan 'a sample is not a time'
ok 'forged results: a negative time is refused' forged negative 'a sample is not a time'
ok 'forged results: a time longer than the visit is refused' forged long 'its samples took longer than the whole visit'
ok 'forged results: a text without an end is refused' forged text 'the first difference is not a line of text'
ok 'forged results: a count beyond all memory is refused' forged count 'has more samples than were asked for'
ok 'forged results: an answer that never ends is refused' forged alive 'its answer is unknown'
ok 'forged results: a visit of hours is refused' forged hours 'its answer is unknown'
ok 'forged results: bytes of all kinds are refused' forged garbage 'its answer is unknown'

# ---- Side effects --------------------------------------------------------------------------------------------------

# effect NAME: the plug-in NAME.so has the effect EFFECT_NAME.
effect() { build "$1" effects.c "-DEFFECT_$1"; }
for tap_effect in NONE PRINT PRINT_LATE FOLDER MASK SIGNALS LOCALE EXIT EXIT_NOW CLOSE HANG DAEMON DESTRUCTOR; do
    ok "side effects: the plug-in with $tap_effect is built" effect $tap_effect
done
# measured STATUS PLUGIN KERNEL ARGUMENT...: one case in JSON, and nothing else on standard output.
measured()
{
    tap_status=$1 tap_plugin=$2 tap_kernel=$3
    shift 3
    # shellcheck disable=SC2086
    run "$tap_status" $case --plugin="$tap_plugin.so" --kernel="effects_$tap_kernel" --format=json "$@" &&
        same '{' "$(head -n 1 out)" && same '}' "$(tail -n 1 out)" && same 1 "$(grep -c '^{' out)"
}
# kept PLUGIN ARGUMENT...: files are where and as the user wants them, numbers too.
kept()
{
    tap_plugin=$1
    shift
    rm -f kept.json && measured 0 "$tap_plugin" quiet --output=kept.json "$@" && out_has '"verified"' &&
        same -rw-r----- "$(find kept.json -perm 640 -exec ls -l {} \; | cut -c 1-10)" && grep -q '^}' kept.json
}
umask 027
for tap_effect in NONE PRINT PRINT_LATE FOLDER MASK SIGNALS LOCALE EXIT DESTRUCTOR; do
    ok "side effects: $tap_effect in a worker changes nothing here" kept $tap_effect
    ok "side effects: $tap_effect with --no-isolate is undone" kept $tap_effect --no-isolate
    ok "side effects: $tap_effect with --profile is undone" kept $tap_effect --profile
done
listed()
{
    run 0 --plugin="$1.so" --list-kernels --format=json && same '{' "$(head -n 1 out)" && same '}' "$(tail -n 1 out)" &&
        out_has '"effects_quiet"'
}
for tap_effect in PRINT PRINT_LATE EXIT DESTRUCTOR; do
    ok "side effects: $tap_effect leaves --list-kernels whole" listed $tap_effect
done
ok 'side effects: _exit(0) at exit does not hide a wrong result' measured 4 EXIT wrong
ok 'side effects: _exit(0) at exit does not hide a wrong result with --no-isolate' measured 4 EXIT wrong --no-isolate
ended() { fails 3 "$@" --list-kernels; }
ok 'constructor: one that ends the process is named' ended 'ended the process' --plugin=EXIT_NOW.so
ok 'constructor: one that ends the process is named with --no-isolate' ended 'a plug-in has ended the process' --plugin=EXIT_NOW.so --no-isolate
ok 'constructor: one that closes files is named' ended 'ended the process' --plugin=CLOSE.so
ok 'constructor: one that closes files is named with --no-isolate' ended 'a plug-in has closed files of this process' --plugin=CLOSE.so --no-isolate
hangs() { fails 3 'did not return within 1 s' --plugin=HANG.so --kernel-timeout=1 --list-kernels "$@"; }
ok 'constructor: one that never returns is stopped' hangs
ok 'constructor: one that never returns is stopped with --no-isolate' hangs --no-isolate
in_path() { QUANTBENCH_PLUGIN_PATH=$PWD/HANG.so:$PWD/EXIT.so run 0 --kernel-timeout=1 --list-kernels && err_has 'HANG.so: did not return'; }
ok 'constructor: one in QUANTBENCH_PLUGIN_PATH that never returns is skipped' in_path
ok 'constructor: the next plug-in in QUANTBENCH_PLUGIN_PATH is listed' out_has effects_quiet
unused() { QUANTBENCH_PLUGIN_PATH=$PWD/PRINT.so run 0 --list-kernels && ! grep -q 'banner' out; }
ok 'side effects: text printed by an unused plug-in stays off standard output' unused
# shellcheck disable=SC2086
answers() { run 3 $case --plugin=NONE.so --kernel=effects_pipe && err_has 'kernel effects_pipe, asked what it supports: disturbs'; }
ok 'forged results: a kernel that writes to the socket and never returns is named' answers

crashes() { measured 3 NONE crash && err_has 'kernel effects_crash: crashed (signal 6'; }
ok 'crash: reported while another process holds the socket' crashes
# left NAME: no process that a plug-in has left behind is there.
left() { err_has "$1: left process " && ! kill -0 "$(sed -n 's/.* left process \([0-9]*\) .*/\1/p' err | head -n 1)" 2>/dev/null; }
daemon() { measured 0 NONE daemon && left 'kernel effects_daemon'; }
daemon_listed() { run 0 --plugin=DAEMON.so --list-kernels && left DAEMON.so; }
if [ -r "/proc/self/task/$$/children" ] || [ -r "/proc/$$/task/$$/children" ]; then
    ok 'left processes: that of a kernel is named and stopped' daemon
    ok 'left processes: that of a constructor is named and stopped' daemon_listed
else
    skip 'left processes: named and stopped' 'the system does not tell the children of a process'
fi
escaped()
{
    measured 3 NONE escape && err_has '\x1b[2Jno luck\x0d\x0aquantbench: all is well' && ! grep -q "$(printf '\033')" err
}
ok 'messages: control characters from a plug-in are escaped' escaped
# shellcheck disable=SC2086
starved() { run 0 $case --plugin=NONE.so --kernel=effects_starved --kernel-timeout=1 && out_has 'codes     verified'; }
if [ -r /proc/self/schedstat ]; then
    ok 'timeout: a kernel that waits for a CPU does not count as hanging' starved
else
    skip 'timeout: a kernel that waits for a CPU does not count as hanging' 'the system does not tell how long it waited'
fi
# Kernels that are compared are visited with up to 16 MiB held aside, so that their own memory lies elsewhere each time:
# the process has another size in most visits. Without that it has four, in steps of 256 KiB.
aside()
{
    rm -f sizes
    # shellcheck disable=SC2086
    EFFECT_SIZES=$PWD/sizes "$QUANTBENCH" $case --rounds=12 --cache=hot --plugin=NONE.so \
        --compare=effects_sizes,effects_quiet "$@" >out 2>err
    # Which of them is slower does not matter.
    [ $? -le 1 ] &&
        awk -v page="$(getconf PAGESIZE)" '!seen[int($1 * page / 2^18)]++ { count++ }
            END { print "# sizes:", count; exit !(count >= 8) }' sizes
}
if [ -r /proc/self/statm ]; then
    ok 'placement: memory is held aside in the process of a plug-in' aside
    ok 'placement: memory is held aside with --no-isolate' aside --no-isolate
else
    skip 'placement: memory is held aside' 'the system does not tell how large a process is'
fi
done_testing
