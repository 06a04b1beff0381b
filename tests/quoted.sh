#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# quoted.sh - what README, the other pages and the manual quote of reports is what quantbench makes of the records in doc/records.
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
# quotes PAGE
quotes()
{
    awk -v quantbench="$QUANTBENCH" -v top="$srcdir" -f "$srcdir/doc/quote.awk" "$srcdir/$1" >page.md &&
        is_file "$srcdir/$1" page.md "\"make quotes\" puts the reports (>) into $1"
}
for page in README.md doc/performance.md; do
    ok "$page has the reports of the records" quotes "$page"
done

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
    ok "$name.json: a page quotes it" grep -q "^<!-- doc/records/$name.json: .* -->\$" "$srcdir/README.md" \
        "$srcdir/doc/performance.md"
done
# The pictures of the pages are those that "make pictures" draws; another release of gnuplot draws them otherwise.
drawn()
{
    release=$(sed -n 's/.*Produced by GNUPLOT \([^<]*[^ <]\) *<.*/\1/p' "$srcdir/doc/pictures/$2.svg")
    grep -qF "(pictures/$2.svg)" "$srcdir/doc/performance.md" || { echo "# doc/performance.md lacks pictures/$2.svg"; return 1; }
    [ "gnuplot $release" = "$(gnuplot --version 2>/dev/null)" ] || { echo "# drawn by gnuplot $release: not compared"; return 0; }
    run 0 --report="$srcdir/doc/records/$2.json" --plot="$1:drawn.svg" &&
        is_file "$srcdir/doc/pictures/$2.svg" drawn.svg '"make pictures" draws it'
}
# shellcheck disable=SC2013 # words of one line
for picture in $(sed -n 's/^pictures = //p' "$srcdir/doc/local.mk"); do
    ok "pictures/${picture#*:}.svg: is the picture of its record" drawn "${picture%:*}" "${picture#*:}"
done
ok 'quoted: there are no other pictures' same "$(sed -n 's/^pictures = //p' "$srcdir/doc/local.mk" | wc -w)" \
    "$(find "$srcdir/doc/pictures" -type f | wc -l)"
# shown PAGE FOLDER: PAGE, which lies in FOLDER, shows a picture, and each of its pictures is there.
shown()
{
    sed -n 's/^!\[.*\](\(.*\))$/\1/p' "$srcdir/$1" >files && [ -s files ] && while read -r file; do
        [ -s "$srcdir/$2/$file" ] || { echo "# $1 shows $2/$file, which does not exist"; return 1; }
    done <files
}
ok 'quoted: README shows a picture that exists' shown README.md .
ok 'quoted: doc/performance.md shows pictures that exist' shown doc/performance.md doc
# The page says to which options; the record knows.
asked()
{
    sed -n '/"argv"/,/]/s/^ *"\(--.*\)",*$/\1/p' "$srcdir/doc/records/epyc.json" | grep -v -e '^--output=' >options
    [ -s options ] && tr -s '\140 ,\n' ' ' <"$srcdir/doc/performance.md" >words && tr ',' ' ' <options | while read -r option; do
        grep -qF -e "$option" words || { echo "# doc/performance.md does not say $option"; exit 1; }
    done
}
ok 'quoted: doc/performance.md says what the CPU was asked for' asked

# README's comparison with the peers, and the numbers of cases that it says, are those of doc/performance.md.
peers()
{
    awk '/^Peers: / { inside = 1; next } /^$/ { inside = 0 }
        inside { print "| " $1, $2, $3, $4, $5 " | " $6 " | " $9 " |" }' "$srcdir/doc/performance.md" >peers.perf
    awk '/^\|---/ { inside = 1; next } !/^\|/ { inside = 0 } inside' "$srcdir/README.md" >peers.readme
    [ "$(wc -l <peers.readme)" -ge 5 ] && grep -vxFf peers.perf peers.readme | sed 's/^/# not in doc\/performance.md: /' >strange &&
        cat strange && [ ! -s strange ] || return 1
    tr '\n' ' ' <"$srcdir/README.md" | grep -qF "$(awk '{ ratio = $8 / $10; faster += ratio < 1; if (ratio > most) most = ratio }
        END {
            if (faster == NR)
                printf "faster in all %d cases", NR
            else
                printf "faster in %d of %d cases, and at most %.1f %% slower", faster, NR, 100 * (most - 1)
        }' peers.perf)"
}
ok "quoted: README has the peers' times of doc/performance.md" peers
# hosts SIZE: the times by the host's clock and of the kernel, as doc/performance.md has them.
hosts()
{
    words=$(sed -n "s/^| $1 | \([0-9.]* us\) | \([0-9.]* us\) |\$/it says \1, where the same kernel takes \2/p" \
        "$srcdir/doc/performance.md")
    [ -n "$words" ] && tr '\n' ' ' <"$srcdir/README.md" | grep -qF "$words"
}
ok "quoted: README has the time by the host's clock of doc/performance.md" hosts 128x8192

run 0 --report="$srcdir/doc/records/h200.json"
ok 'quoted: quantbench(1) has the last line' grep -qxF "$(tail -n 1 out)" "$builddir/man/quantbench.1"

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
ok 'quoted: the examples are as many as they should be' test "$(grep -c '^\$ ' transcript)" -ge 5

done_testing
