#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# quoted.sh - what README and the manual quote of reports is what quantbench makes of the records in doc/records.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

# is_file FILE MADE WORDS: FILE is as it was made now; WORDS say how to mend it.
is_file()
{
    diff "$1" "$2" >differ && return 0
    sed 's/^/# /' differ
    echo "# $3"
    return 1
}
readme()
{
    awk -v quantbench="$QUANTBENCH" -v top="$srcdir" -f "$srcdir/doc/quote.awk" "$srcdir/README" >README &&
        is_file "$srcdir/README" README '"make quotes" puts the reports (>) into README'
}
ok 'README has the reports of the records' readme

# What a record must be to be shown: all that was to be run, verified, nothing in doubt, of no machine of anyone's.
# presentable RECORD NAME
presentable()
{
    run 0 --report="$1" && ! grep -E 'doubt|\*|failed|WRONG|not verified' out && run 0 --report="$1" --format=csv &&
        same "$2" "$(sed -n '2s/^[^,]*,\([^,]*\),.*/\1/p' out)" &&
        ! grep -nE '"(/|[^"]*=/)' "$1"
}
for record in "$srcdir"/doc/records/*.json; do
    name=$(basename "$record" .json)
    ok "$name.json: is fit to be shown" presentable "$record" "$name"
    ok "$name.json: README quotes it" grep -q "doc/records/$name.json:\$" "$srcdir/README"
done
# README says to which options; the record knows.
asked()
{
    sed -n '/"argv"/,/]/s/^ *"\(--.*\)",*$/\1/p' "$srcdir/doc/records/epyc.json" | grep -v -e '^--output=' >options
    [ -s options ] && tr -s ' ,\n' ' ' <"$srcdir/README" >words && tr ',' ' ' <options | while read -r option; do
        grep -qF -e "$option" words || { echo "# README does not say $option"; exit 1; }
    done
}
ok 'README says what the CPU was asked for' asked

# Two times behind the H200's report are rows of a table.
table()
{
    awk '/^4096x8192 half int8 (tensor static|token dynamic) / { time[$5] = sprintf("%.1f", $6) }
        END { print "takes " time["static"] " and " time["dynamic"] " us" }' "$srcdir/doc/performance.md" >times.perf
    grep -qFf times.perf "$srcdir/README" || { echo "# README does not say: $(cat times.perf)"; return 1; }
}
ok "README has the times of doc/performance.md" table

run 0 --report="$srcdir/doc/records/h200.json"
ok 'the last line, in quantbench(1)' grep -qxF "$(tail -n 1 out)" "$builddir/man/quantbench.1"

# The examples of quantbench-output(5): a line that begins with $ is a command, lines that begin with > are more of it,
# and what follows is its output. The record is the H200's; quantbench is found where the shell looks for programs.
cp "$srcdir/doc/records/h200.json" result.json
mkdir bin
printf '#!/bin/sh\nexec "%s" "$@"\n' "$QUANTBENCH" >bin/quantbench
chmod +x bin/quantbench
PATH=$PWD/bin:$PATH
awk '/^\.SH / { inside = $2 == "EXAMPLES" } inside' "$builddir/man/quantbench-output.5" |
    sed -n '/^\.EX/,/^\.EE/p' | sed -e '/^\.E[XE]/d' -e 's/\\-/-/g' -e "s/\\\\(aq/'/g" -e 's/\\(dq/"/g' -e 's/\\(ha/^/g' \
    -e 's/\\e/\\/g' -e 's/^\\&//' >transcript
# The commands, each with what it prints, in a file of its own.
awk '/^\$ / { file = sprintf("example.%02d", ++n) } /^[$>] / { print substr($0, 3) >file; next } { print >(file ".out") }' \
    transcript
prints()
{
    : >>"$1.out"
    sh "$1" >out 2>err && [ ! -s err ] && is_file "$1.out" out 'put what the command prints (>) into quantbench-output(5)'
}
for example in example.??; do
    text=$(head -n 1 "$example")
    if grep -q '^jq ' "$example" && ! command -v jq >/dev/null 2>&1; then
        skip "$text" 'jq is not here'
    else
        ok "$text" prints "$example"
    fi
done
ok 'the examples are as many as they should be' test "$(grep -c '^\$ ' transcript)" -ge 5

done_testing
