# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# tap.sh - what the shell tests share: each check is one line of TAP. Sourced, with $srcdir, $builddir and $QUANTBENCH
# set by make; without them it is run in the top folder of a build in the source tree.
# A test works in a folder of its own, $work, which is removed at the end.

count=0
: "${srcdir:=.}" "${builddir:=.}" "${QUANTBENCH:=$builddir/quantbench}"
# All three are used from another folder, so a path must not depend on where it is read.
srcdir=$(cd "$srcdir" && pwd) || exit 99
builddir=$(cd "$builddir" && pwd) || exit 99
case $QUANTBENCH in
*/*) QUANTBENCH=$(cd "$(dirname "$QUANTBENCH")" && pwd)/$(basename "$QUANTBENCH") || exit 99 ;;
esac
# Messages in English, and the tool without the settings that the user's shell may have for it.
LC_ALL=C
export LC_ALL
unset COLUMNS QUANTBENCH_PLUGIN_PATH QUANTBENCH_ISA POSIXLY_CORRECT
unset OMP_NUM_THREADS OMP_THREAD_LIMIT OMP_DYNAMIC OMP_PLACES GOMP_CPU_AFFINITY KMP_AFFINITY
# Tests run side by side: threads that are bound would meet on the first cores.
OMP_PROC_BIND=false
export OMP_PROC_BIND
work=$(mktemp -d "${TMPDIR:-/tmp}/quantbench-test.XXXXXX") || exit 99
# A process that stays keeps what reads the test's output waiting; so those of beside() end with the test, however that
# ends. They are waited for, so that none is left as a zombie either.
tap_pid='' tap_beside=''
tap_end()
{
    if [ -n "$tap_beside" ]; then
        # shellcheck disable=SC2086 # a list of words
        kill -s KILL $tap_beside 2>/dev/null
        wait
    fi
    rm -rf "$work"
}
trap tap_end EXIT
trap 'exit 99' HUP INT TERM
cd "$work" || exit 99
# What this machine does at the moment does not matter to most tests: they see its memory alone, and a small cache, which
# takes few buffers to be cold.
QUANTBENCH_FSROOT=$work/.root
export QUANTBENCH_FSROOT
tap_cache=.root/sys/devices/system/cpu/cpu0/cache/index0
mkdir -p .root/proc $tap_cache || exit 99
for tap_file in /proc/meminfo /proc/cpuinfo; do
    [ ! -e $tap_file ] || ln -s $tap_file ".root$tap_file" || exit 99
done
echo 3 >$tap_cache/level && echo Unified >$tap_cache/type && echo 256K >$tap_cache/size || exit 99

# need_fake_device: measure on fake_module.c, or skip all checks where it cannot be loaded.
need_fake_device()
{
    QUANTBENCH_MODULE_DIR=$builddir/tests/fake/.libs
    export QUANTBENCH_MODULE_DIR
    if ! "$QUANTBENCH" --list-kernels | grep -q '^fake_'; then
        echo "1..0 # SKIP the CUDA backend is built in, or modules cannot be built"
        exit 0
    fi
}

# ok TEXT COMMAND...: the check TEXT passes if COMMAND succeeds.
ok()
{
    tap_text=$1
    shift
    count=$((count + 1))
    if "$@"; then
        echo "ok $count - $tap_text"
    else
        echo "not ok $count - $tap_text"
        echo "# failed: $*"
        if [ -s err ]; then sed 's/^/# stderr: /' err | head -n 10; fi
    fi
}

# skip TEXT REASON
skip()
{
    count=$((count + 1))
    echo "ok $count - $1 # SKIP $2"
}

# run STATUS ARGUMENT...: run quantbench, its output in ./out and ./err; succeeds if it exits with STATUS.
run()
{
    tap_want=$1
    shift
    "$QUANTBENCH" "$@" >out 2>err
    tap_got=$?
    [ "$tap_got" -eq "$tap_want" ] && return 0
    echo "# quantbench $*: exit status $tap_got, not $tap_want"
    return 1
}

# beside COMMAND...: run it in the background until joined(), or until the test ends. Its id is $tap_pid. Where its output
# goes the test's own shell opens: not a FIFO, which would wait for a reader.
beside()
{
    "$@" &
    tap_pid=$!
    tap_beside="$tap_beside $tap_pid"
}

# joined: wait for the last one of beside(); its exit status.
joined()
{
    wait "$tap_pid"
    set -- $?
    tap_beside=$(echo "$tap_beside " | sed "s/ $tap_pid / /")
    return "$1"
}

# reports_again NAME FORMAT:SUFFIX...: a check for each format: the record NAME.json gives the report that the run itself
# wrote to NAME.SUFFIX.
report_again() { run 0 --report="$1.json" --format="$2" && cmp out "$1.$3"; }
reports_again()
{
    tap_record=$1
    shift
    for tap_format; do
        ok "reports: the record as ${tap_format%%:*} is the run's own" report_again "$tap_record" "${tap_format%%:*}" \
            "${tap_format##*:}"
    done
}

# out_has WORD, err_has WORD: WORD (a fixed string) is in what the last run wrote.
out_has()
{
    grep -qF -e "$1" out || { echo "# not on standard output: $1"; return 1; }
}

err_has()
{
    grep -qF -e "$1" err || { echo "# not on standard error: $1"; return 1; }
}

# same WANT GOT
same()
{
    [ "$1" = "$2" ] || { echo "# want '$1', got '$2'"; return 1; }
}

# fails STATUS WORD ARGUMENT...: quantbench exits with STATUS, prints nothing on stdout, and WORD (a fixed string) on
# stderr.
fails()
{
    tap_status=$1 tap_word=$2
    shift 2
    run "$tap_status" "$@" && [ ! -s out ] && err_has "$tap_word"
}

# cases COUNT ARGUMENT...: a dry run with the options of $small has that many cases, in ./out as JSON.
cases()
{
    tap_cases=$1
    shift
    # It is a list of words.
    # shellcheck disable=SC2086,SC2154
    run 0 $small --dry-run --format=json "$@" && same "$tap_cases" "$(grep -c '"kernel": ' out)"
}

# closed_pipe ARGUMENT...: quantbench reports that its standard output, a pipe, has no reader. The reader closes its end
# before it lets the writer begin. SIGPIPE would end the writer with status 141.
closed_pipe()
{
    rm -f go status
    mkfifo go
    {
        read -r _ <go
        "$QUANTBENCH" "$@" 2>err
        echo $? >status
    } | {
        exec <&-
        echo >go
    }
    same 3 "$(cat status)" && err_has 'standard output' && err_has 'pipe'
}

# tensor BYTES: an .npy file of 4 x 16 halves, each of these two bytes, which are escapes of printf, on standard
# output.
tensor()
{
    printf '\223NUMPY\001\000\166\000'
    printf '%-117s\n' "{'descr': '<f2', 'fortran_order': False, 'shape': (4, 16), }"
    i=0
    # shellcheck disable=SC2059
    while [ $i -lt 64 ]; do printf "$1"; i=$((i + 1)); done
}

# done_testing: the last line, TAP's plan.
done_testing()
{
    echo "1..$count"
}
