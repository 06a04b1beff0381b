# SPDX-License-Identifier: Apache-2.0
# tap.sh - what the shell tests share: each check is one line of TAP. Sourced, with $srcdir and $QUANTBENCH set by make.
# A test works in a folder of its own, $work, which is removed at the end.

count=0
: "${srcdir:=.}" "${QUANTBENCH:=quantbench}"
srcdir=$(cd "$srcdir" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/quantbench-test.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 99' HUP INT TERM
cd "$work" || exit 99

# ok TEXT COMMAND...: the check TEXT passes if COMMAND succeeds.
ok()
{
    text=$1
    shift
    count=$((count + 1))
    if "$@"; then
        echo "ok $count - $text"
    else
        echo "not ok $count - $text"
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
    want=$1
    shift
    "$QUANTBENCH" "$@" >out 2>err
    got=$?
    [ "$got" -eq "$want" ] && return 0
    echo "# quantbench $*: exit status $got, not $want"
    return 1
}

# fails STATUS WORD ARGUMENT...: quantbench exits with STATUS, prints nothing on stdout, and WORD (a fixed string) on
# stderr.
fails()
{
    status=$1 word=$2
    shift 2
    run "$status" "$@" && [ ! -s out ] && grep -qF -e "$word" err
}

# done_testing: the last line, TAP's plan.
done_testing()
{
    echo "1..$count"
}
