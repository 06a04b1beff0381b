#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# harness.sh - tap.sh itself: whatever becomes of a test, it leaves no process and no folder behind.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

# ended HOW: a test that ends by HOW while its reader of a pipe waits for ever leaves neither the reader nor its folder.
ended()
{
    rm -f pid folder pipe
    mkfifo pipe
    cat >inner.sh <<END
. "\$srcdir/tests/tap.sh"
echo "\$work" >"$work/folder"
beside cat "$work/pipe"
echo "\$tap_pid" >"$work/pid"
$1
END
    srcdir=$srcdir builddir=$builddir QUANTBENCH=$QUANTBENCH sh inner.sh >inner 2>&1
    [ -s pid ] && ! kill -0 "$(cat pid)" 2>/dev/null && [ -s folder ] && [ ! -e "$(cat folder)" ] && return 0
    echo "# left: $(cat pid folder)"
    # What the failure is about must not keep this test's reader waiting.
    kill "$(cat pid)"
    return 1
}
ok 'a test that ends by itself leaves no process' ended done_testing
ok 'a test that exits leaves none' ended 'exit 1'
ok 'a test that is interrupted leaves none' ended 'kill -s INT $$'
ok 'a test that is terminated leaves none' ended 'kill -s TERM $$'

# Two at once, of which one is waited for: the other still ends with the test.
status_of() { beside sh -c 'exit 7' && joined; same 7 $?; }
ok 'joined gives the exit status' status_of
ok 'one of two that is waited for' ended 'beside true; joined'

# A background process of a test's own would outlive it.
by_hand()
{
    ! grep -nE '[^&>\\|]&([[:space:]]+#.*|[[:space:]]*)$' "$srcdir"/tests/*.sh | grep -v '/tap\.sh:' | sed 's/^/# /' | grep .
}
ok 'no test puts a process into the background but by beside' by_hand
done_testing
