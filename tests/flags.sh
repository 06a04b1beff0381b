#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# flags.sh - whatever the user's CFLAGS say, what they leave of the compiler computes in IEEE arithmetic: the reference,
# compiled as make would with them, passes its own check.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

cat >print.mk <<'END'
include Makefile
print-flags:
	@echo "flags: $(LDFLAGS) $(CPPFLAGS) $(CFLAGS)"
END
# flags_for CFLAGS: what the Makefile makes of them, in ./flags.
flags_for()
{
    MAKEFLAGS='' ${MAKE:-make} -s -C "$builddir" -f "$work/print.mk" --no-print-directory print-flags \
        CPPFLAGS="$1" CFLAGS="$1" LDFLAGS="$1" >said 2>err && sed -n 's/^flags: //p' said >flags && [ -s flags ]
}

cat >main.c <<'END'
#include <config.h>
#include "quantbench.h"
#include <stdio.h>
int main(void)
{
    enum qb_status status = qb_reference_check();
    printf("%s\n", status == QB_OK ? "right" : qb_error_detail());
    return 0;
}
END
library=$srcdir/src/libquantbench
# compile NAME FLAG...: the reference without the rest of the library.
compile()
{
    tap_program=$1
    shift
    # CC is a list of words.
    # shellcheck disable=SC2086
    ${CC:-cc} -std=gnu11 -DHAVE_CONFIG_H "$@" -I"$builddir" -I"$library" -o "$tap_program" main.c "$library/format.c" \
        "$library"/operation*.c "$library/composition.c" "$library/reference_check.c" "$library/environment.c" \
        "$library/arithmetic.c" "$library/problem.c" "$library/experts.c" "$library/status.c" -lm 2>err
}
says() { ${EMULATOR-} "./$1" >out && same "$2" "$(cat out)"; }
right()
{
    flags_for "$1" || return 1
    # shellcheck disable=SC2046
    compile right $(cat flags) && says right right
}
# As a user may write them.
for tap_flags in '-Ofast' '-Ofast -fno-finite-math-only' '-O3 -ffast-math' '-O2 -ffast-math -fno-finite-math-only' \
    '-O2 -funsafe-math-optimizations' '-O2 -freciprocal-math' '-O2 -fassociative-math' '-O2 -ffinite-math-only' \
    '-O3 -ffp-contract=fast' '-O2 -fno-signed-zeros'; do
    ok "the reference is right with CFLAGS='$tap_flags'" right "$tap_flags"
done
# Processors that compute in _Float16 have another FLT_EVAL_METHOD.
for tap_target in native sapphirerapids; do
    tap_text="the reference is compiled, and not refused, with -march=$tap_target"
    if echo 'int x;' >x.c && ${CC:-cc} -march=$tap_target -c x.c 2>/dev/null; then
        ok "$tap_text" compile target -O3 -march=$tap_target -ffp-contract=off
    else
        skip "$tap_text" "the compiler has no such target"
    fi
done

# Contraction shows in machine code only where there is a fused operation: that it is taken back is seen in the order.
last_is_off() { flags_for '-O3 -ffp-contract=fast' && grep -q 'ffp-contract=fast.*-ffp-contract=off' flags; }
ok 'CFLAGS: -ffp-contract=off comes last' last_is_off
left_out() { flags_for '-Ofast -ffast-math -funsafe-math-optimizations' && ! grep -qE -e '-Ofast|-ffast-math|-funsafe' flags; }
ok 'CFLAGS: options that flush subnormals in every user of the library are left out' left_out
kept() { flags_for '-O3 -g -funroll-loops' && [ "$(grep -o -e '-O3 -g -funroll-loops' flags | wc -l)" -eq 3 ]; }
ok 'CFLAGS: all other options stay' kept

# Without make's help the compiler is refused, where it tells.
refused() { ! compile refused -O2 -ffast-math && err_has 'needs IEEE arithmetic'; }
ok 'config.h: a file compiled with -ffast-math is refused' refused
# ... and the check finds what config.h cannot see.
sed 's/^#error.*//' "$builddir/config.h" >config.h
found() { compile found -I. -O2 -ffast-math && ${EMULATOR-} ./found >out && grep -q 'expected' out; }
ok 'reference check: -ffast-math is found' found
done_testing
