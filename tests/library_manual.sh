#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# library_manual.sh - the pages of the library: all that quantbench.h declares is in one of them, their programs run and
# print what the page says, and every page is clean.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

header=$srcdir/src/libquantbench/quantbench.h
pages=$(cd "$builddir/man" && ls qb_*.3 libquantbench.3)

# What is declared: functions, and types that have a body. quantbench-plugin(3) is written by hand.
sed 's://.*::; s:/\*.*\*/::' "$header" | sed -n 's/^[a-z].*[ *]\(qb_[a-z0-9_]*\)(.*/\1/p; s/^\(struct\|enum\) \(qb_[a-z0-9_]*\) {$/\2/p' |
    grep -v '^qb_plugin' | sort -u >declared
for page in $pages; do
    # The names of the page, and the types that it explains.
    {
        awk -f "$srcdir/man/names.awk" "$builddir/man/$page" | tr ' ' '\n'
        sed -n 's/^\.SS "\(struct\|enum\) \(.*\)"$/\2/p' "$builddir/man/$page"
    } | grep '^qb_' | sort -u
done | sort >named
# A page of the name of a type or of all functions has that name too.
comm -12 declared named >described
uniq -d named >twice
described_once()
{
    diff declared described >differ && [ ! -s twice ] && return 0
    sed 's/^/# /' differ twice
    echo "# what is declared and in no page (<), or in two: see the lines TAKES: of man/qb_*.3.in"
    return 1
}
ok 'pages: there are declarations to look for' test "$(wc -l <declared)" -ge 50
ok 'pages: each function and type of quantbench.h is in one page' described_once
# The other pages are configure's and include.awk's.
replaced() { ! grep -nE '@[A-Za-z_]+@' "$builddir"/man/*.[1-9]; }
ok 'pages: every name between @ was replaced' replaced

silent()
{
    "$@" >said 2>&1
    if [ $? -le 1 ] && [ ! -s said ]; then return 0; fi
    sed 's/^/# /' said
    return 1
}
prints()
{
    awk -v block=2 -f "$srcdir/man/example.awk" "$builddir/man/$1" >expected
    [ -s expected ] || { echo "# no output in man/$1.in"; return 1; }
    # A program of another architecture needs what runs it.
    ${EMULATOR-} "$2" >out 2>err || { echo "# it failed"; return 1; }
    diff expected out >differ && return 0
    sed 's/^/# /' differ
    echo "# put what the program prints (>) into man/$1.in"
    return 1
}
man_warnings() { LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$1" 2>&1 >/dev/null; }
# Bold and underlined characters are printed twice, with a backspace between.
fits()
{
    mandoc -Tascii -O width=78 "$1" | awk '{ gsub(/.\010/, "") } length > 80 { print "# " $0; bad = 1 } END { exit bad }'
}
for page in $pages; do
    program=$builddir/page_$(basename "$page" .3 | sed 's/^qb_//')
    ok "$page: its program prints what it says" prints "$page" "$program"
done
# page_has PAGE WORD...: the words are in the page, as text without its line breaks.
page_has()
{
    mandoc -Tutf8 "$builddir/man/$1" | sed 's/.\x08//g' | tr -s ' \n' '  ' >text
    shift
    for tap_word; do
        grep -qF -e "$tap_word" text || { echo "# not in the page: $tap_word"; return 1; }
    done
}
# The kernels' own expressions, which the page puts into words: if one of them changes, so does the page.
quotients()
{
    grep -qF '__builtin_fmaf(x, reciprocal, x * rest)' "$srcdir/src/libquantbench/cpu/kernels_generic.c" &&
        grep -qF '__fmaf_rn(x, d.r, __fmul_rn(x, d.low))' "$srcdir/cuda/device.cuh" &&
        grep -qF '__fmaf_rn(q, d.s, -x)' "$srcdir/cuda/device.cuh" &&
        grep -qF '__fmaf_rn(-e, d.r, q)' "$srcdir/cuda/device.cuh" &&
        page_has quantbench-numerics.7 'fma(x, r, x × t)' 'x × r' 'fma(-e, r, q)' 'e = fma(q, s, -x)'
}
# check_problem.c has the codes.
nan_codes() { page_has qb_reference.3 '-128 (0x80) in INT8, -448 (0xFE) in E4M3, -57344 (0xFB) in E5M2'; }
# The rows that formats.awk makes of formats.h, and the examples of layouts, which check_narrow.c has too.
tables()
{
    page_has quantbench-numerics.7 'e8m0 0, 8, 0 127 1.70e38 NaN 0xFF' 'e2m1 1, 2, 1 1 6 none' 'uint4 4, integer - 15 none' \
        'E2M1 0x0 0 0.5 1 1.5 2 3 4 6' '0x18 4 4.5 5 5.5 6 6.5 7 7.5' '0x18 8 10 12 14 16 20 24 28'
}
layouts()
{
    sed -n 's/^    {QB_FORMAT_[A-Z0-9]*, QB_SCALE_LAYOUT_[A-Z0-9_]*, [0-9]*, [0-9]*, \([0-9]*, [0-9]*\), \([0-9]*\), [0-9]*},$/\1: \2/p' \
        "$srcdir/tests/check_narrow.c" >examples
    [ "$(wc -l <examples)" -ge 5 ] && while read -r example; do page_has quantbench-numerics.7 "$example" || return 1; done <examples
}
# check_precision.c measures them.
precision()
{
    tr -d '\n' <"$srcdir/tests/check_precision.c" | grep -oE '\{"[A-Z][^"]*",[^{]*\{[^}]*\}\}' |
        sed -E '/NAN/d; s/^\{"([^"]*)".*\{([0-9.]*), *([0-9.]*), *([0-9.]*), *([0-9.]*)\}\}$/\1 \2 \3 \4 \5/' >ratios
    [ "$(wc -l <ratios)" -ge 13 ] && while read -r ratio; do page_has quantbench-numerics.7 "$ratio" || return 1; done <ratios
}
# check_operations.c measures these shares, and check_values.c has the figures of the norm.
intermediates()
{
    for tap_case in 'SILU_MUL silu-mul, groups of 128' 'RMS_NORM rms-norm, per token'; do
        for tap_input in 'BF16 bfloat16' 'F16 half'; do
            tap_shares=$(sed -nE "s/.*QB_OPERATION_${tap_case%% *}, QB_FORMAT_${tap_input%% *}, QB_INTERMEDIATE_[A-Z]*, ([0-9.]*)\}.*/\1/p" \
                "$srcdir/tests/check_operations.c" | tr '\n' ' ')
            [ -n "$tap_shares" ] && page_has quantbench-numerics.7 "${tap_case#* } ${tap_input#* } ${tap_shares% }" || return 1
        done
    done
    for tap_figure in 0x1.52e17cp+16 0x1.ebaad2p-3; do
        grep -qF "${tap_figure}f" "$srcdir/tests/check_values.c" && page_has quantbench-numerics.7 "$tap_figure" || return 1
    done
}
process() { page_has libquantbench.3 'Three things belong to the process' qb_device_bind_threads && ! grep -q 'no state' text; }
if command -v mandoc >/dev/null 2>&1; then
    ok 'numerics: quantbench-numerics(7) has the quotients that the kernels compute' quotients
    ok 'numerics: the codes of NaN by enum qb_nan are right' nan_codes
    ok 'numerics: quantbench-numerics(7) has the bits and values of narrow formats' tables
    ok 'numerics: quantbench-numerics(7) has the examples of layouts that are tested' layouts
    ok 'numerics: quantbench-numerics(7) has the ratios that are tested' precision
    ok 'numerics: quantbench-numerics(7) has the shares of intermediates and the norm that are tested' intermediates
    ok 'pages: what outlives a call is said' process
else
    skip 'pages: quotients, codes of NaN, tables, examples of layouts, ratios and what outlives a call' 'mandoc is not here'
fi
for page in $pages quantbench-numerics.7; do
    ok "$page: nothing is left to fill in" silent grep -E '@[A-Z_]+@' "$builddir/man/$page"
    if command -v mandoc >/dev/null 2>&1; then
        ok "$page: mandoc -Tlint" silent mandoc -Tlint -W style "$builddir/man/$page"
        ok "$page: no line is wider than 80 columns" fits "$builddir/man/$page"
    else
        skip "$page: mandoc -Tlint" 'mandoc is not here'
    fi
    if command -v groff >/dev/null 2>&1; then
        ok "$page: groff -ww" silent groff -t -man -Tutf8 -ww -z "$builddir/man/$page"
    else
        skip "$page: groff -ww" 'groff is not here'
    fi
    if man --version 2>/dev/null | grep -q '^man '; then
        ok "$page: man --warnings" silent man_warnings "$builddir/man/$page"
    else
        skip "$page: man --warnings" 'no man of man-db here'
    fi
done
done_testing
