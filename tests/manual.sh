#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# manual.sh - the manual, --help and the table of options say the same; the examples of the manual run; and
# quantbench-output(5) has all that is written.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

page=$builddir/man/quantbench.1
page5=$builddir/man/quantbench-output.5
table=$srcdir/src/quantbench/cli/options.c

# The sections of the pages as plain lines: \- is a dash, \(aq a quotation mark, \e a backslash, \f changes the font.
# section NAME PAGE
section()
{
    awk -v name="$1" '
        /^\.SH / { sub(/^\.SH /, ""); gsub(/"/, ""); inside = $0 == name; next }
        /^\.TH / { inside = 0 }
        inside { print }' "$2" |
        sed -e 's/\\-/-/g' -e "s/\\\\(aq/'/g" -e 's/\\(dq/"/g' -e 's/\\f[RPBI]//g' -e 's/\\|//g' -e 's/\\e/\\/g'
}

section OPTIONS "$page" >options.man
section TEXT "$page5" >output.man
section JSON "$page5" >json.man
{ section 'QUICK START' "$page"; section EXAMPLES "$page"; } >examples.man
"$QUANTBENCH" --help >help
# The table's rows: {.name = "long-name", .value = "VALUE", ... with .letter = 'c' in front of a short option's.
grep -E '^ *\{(\.letter = .*, )?\.name = "' "$table" >table.rows

# ---- Options -------------------------------------------------------------------------------------------------------

# A term is the line after .TP.
awk 'term { print; term = 0 } /^\.TP/ { term = 1 }' options.man >terms
grep -oE -e '--[a-z-]+' terms | sort >long.man
grep -oE -e '(^| )-[a-zA-Z]( |$)' terms | tr -d ' ' | sort >short.man
# An option of --help stands at the beginning of its line; its explanation may name others.
grep -oE -e '^ +(-., )?--[a-z-]+' help | grep -oE -e '--[a-z-]+' >order.help
sort order.help >long.help
grep -oE -e '^ +-[a-zA-Z],' help | tr -d ' ,' | sort >short.help
sed 's/.*\.name = "\([a-z-]*\)".*/--\1/' table.rows | sort >long.table
sed -n "s/.*\.letter = '\(.\)'.*/-\1/p" table.rows | sort >short.table

# silent COMMAND...: it has nothing to say, and no trouble in finding that out.
silent()
{
    "$@" >said 2>&1
    # diff, and grep without a match, exit with 1; what counts is that nothing is said.
    if [ $? -le 1 ] && [ ! -s said ]; then return 0; fi
    sed 's/^/# /' said
    return 1
}
same_file() { [ -s "$1" ] && silent diff "$1" "$2"; }
ok 'options: there are some to compare' test "$(wc -l <long.table)" -ge 20
ok 'long options: --help has those of the table' same_file long.table long.help
ok 'long options: the manual has those of the table' same_file long.table long.man
ok 'short options: --help has those of the table' same_file short.table short.help
ok 'short options: the manual has those of the table' same_file short.table short.man
ok 'long options: each once' silent uniq -d long.table

# A heading of --help is the line above an option that stands at the margin.
awk '/^ +(-., )?--/ && last ~ /^[A-Z].*:$/ { print last } { last = $0 }' help | sed 's/ (.*//; s/:$//' >headings.help
sed -n 's/^\.SS //p' options.man | tr -d '"' >headings.man
ok 'options: the headings of --help and of the manual are the same' same_file headings.help headings.man
grep -oE -e '--[a-z-]+' terms >order.man
ok 'options: the order in --help and in the manual is the same' same_file order.help order.man

# item FILE OPTION: what the manual (options.man) or --help says of one option, on one line.
item()
{
    if [ "$1" = help ]; then
        awk -v option="$2" '
            /^ +(-., )?--/ { match($0, /--[a-z-]+/); inside = substr($0, RSTART, RLENGTH) == option }
            /^[^ ]|^$/ { inside = 0 }
            inside { print }' help
    else
        awk -v option="$2" '
            /^\.TP/ { getline; inside = match($0, /--[a-z-]+/) && substr($0, RSTART, RLENGTH) == option }
            /^\.SS/ { inside = 0 }
            inside { print }' options.man | sed 's/^\.[A-Z]* //'
    fi | tr '\n' ' ' | tr -s ' '
}

# word_in WORD TEXT: WORD is in TEXT as a word of its own.
word_in() { echo "$2" | tr -s ' ,;()[]="' '\n' | sed 's/[.:]*$//' | grep -qxF -e "$1"; }
# The manual sets the replaceable parts of group:G and block:RxC in another font, as arguments of their own of a macro.
text_in() { echo "$2" | tr -d ' ' | grep -qF -e "$1"; }

# The values that an error names are in --help and in the manual.
values_agree()
{
    run 2 "$1=bogus"
    tap_values=$(sed -n 's/ (did you mean.*//; s/ or /, /; s/.*; expected \(.*\)$/\1/p' err)
    [ -n "$tap_values" ] || { echo '# the error names no values'; return 1; }
    tap_help=$(item help "$1") tap_man=$(item man "$1")
    for tap_value in $(echo "$tap_values" | tr -d ,); do
        case $tap_value in
        *:*) text_in "$tap_value" "$tap_help" && text_in "$tap_value" "$tap_man" ;;
        *) word_in "$tap_value" "$tap_help" && word_in "$tap_value" "$tap_man" ;;
        esac || { echo "# $tap_value is not everywhere"; return 1; }
    done
}
for option in --dtype --quant-dtype --granularity --scale --dist --device --format; do
    ok "$option: error, --help and manual name the same values" values_agree $option
done

run 2 --output=bogus
suffixes=$(sed -n 's/.*ends in \(.*\), or FORMAT:.*/\1/p' err | sed 's/ or / /' | tr -d ,)
ok '--output: there are suffixes to compare' test -n "$suffixes"
suffix_agrees() { word_in "$1" "$(item help --output)" && word_in "$1" "$(item man --output)"; }
for suffix in $suffixes; do
    ok "--output: --help and manual have the suffix $suffix" suffix_agrees "$suffix"
done

# The default in brackets in --help is in the manual.
default_agrees()
{
    item man "$1" | tr -s ' ' | grep -qE "[Tt]he default is $2( ?\.| )" ||
        { echo "# the manual does not say: The default is $2"; return 1; }
}
while read -r option; do
    default=$(item help "$option" | sed -n 's/.*\[\([a-z0-9]*\)\].*/\1/p')
    [ -z "$default" ] || ok "$option: the default is $default" default_agrees "$option" "$default"
done <order.help

# An option takes a value in all three places or in none. One that may be left out is in brackets, with its sign.
takes_value()
{
    tap_in_help=no tap_in_man=no tap_in_table=no
    item help "$1" | grep -qE -e "$1(\[)?=" && tap_in_help=yes
    grep -qE -e "$1( \[)?=" terms && tap_in_man=yes
    grep -qF ".name = \"${1#--}\", .value = \"" table.rows && tap_in_table=yes
    same "$tap_in_table $tap_in_table" "$tap_in_help $tap_in_man"
}
# A list in --help, "N...", is a list in the manual, "N[,N]...".
is_list()
{
    tap_in_help=no tap_in_man=no
    item help "$1" | grep -qF '...' && tap_in_help=yes
    grep -E -e "$1( \[)?=" terms | grep -qF ']...' && tap_in_man=yes
    same $tap_in_help $tap_in_man
}
while read -r option; do
    ok "$option: a value or none" takes_value "$option"
    ok "$option: a list or not" is_list "$option"
done <order.help

ok '--help: no line is longer than 79 columns' silent grep -E '^.{80}' help
sed -n '/^Exit status: /,$p' help | tr '\n' ' ' | sed 's/(1)//' | grep -oE '[0-9]' | sort >status.help
section 'EXIT STATUS' "$page" | sed -n 's/^\.B \([0-9]\)$/\1/p' >status.man
ok 'exit status: the manual has those of --help' same_file status.help status.man

# ---- Output and JSON -----------------------------------------------------------------------------------------------

small='--device=cpu --num-tokens=4 --hidden-size=32'
# The words are options.
# shellcheck disable=SC2086
{
    run 0 $small --num-iters=2 --num-warmup-iters=0
    grep -oE '^[A-Za-z]+( running time)?' out | sort -u >lines.out
    run 0 $small --profile --num-tokens=1,2 --hidden-size=1,2 --dtype=half,float --dist=normal,zeros --quant-dtype=int8,fp8 \
        --granularity=tensor,token --scale=static,dynamic --threads=1 --kernel=cpu_generic
}
awk 'term { print; term = 0 } /^\.TP/ { term = 1 }' output.man | sed 's/^\.B[A-Z]* //' >terms.output
documented() { grep -qxF -e "$1" terms.output || grep -qE "^\.(B|BR) $1( |,|$)" output.man; }
while read -r line; do
    ok "text: the line '$line' is explained" documented "$line"
done <lines.out
for head in device tokens hidden dtype dist quant granularity scale threads kernel cache launch streams \
    'median us' '+- %' 'host us' GB/s ceiling 'SNR dB' codes; do
    ok "text: the column '$head' is explained" documented "$head"
done
heads=$(grep 'median us ' out | tr -s ' ')
ok 'text: the columns are those' same 'tokens hidden dtype dist quant granularity scale median us +- % GB/s ceiling SNR dB codes' \
    "${heads# }"

# The members are set in bold, alone or in a row.
grep -E '^\.B' json.man | sed 's/^\.B[A-Z]* //' | grep -oE '[a-z][a-z0-9_]+' | sort -u >members.man
# shellcheck disable=SC2086
{
    run 0 $small --cache=hot --num-iters=1 --format=json
    cp out all.json
    run 0 --list-devices --format=json
    cat out >>all.json
    run 0 --list-kernels --format=json
    cat out >>all.json
    run 0 --list-models --format=json
    cat out >>all.json
    "$QUANTBENCH" --doctor --format=json >>all.json
    run 0 $small --dry-run --format=json
    cat out >>all.json
    {
        printf '\166\000\000\000\000\000\000\000'
        printf '%s' '{"w":{"dtype":"I8","shape":[4,16],"data_offsets":[0,64]},' \
            '"w_scale":{"dtype":"F16","shape":[1],"data_offsets":[64,66]}}'
        tensor '\000\074' | tail -c 66
    } >int8.safetensors
    tensor '\000\074' >ones.npy
    run 0 --input=ones.npy --against=int8.safetensors --against-tensor=w --format=json
    cat out >>all.json
    run 0 --input=int8.safetensors --list-tensors --format=json
    cat out >>all.json
    run 0 --input=ones.npy --calibrate=amax --format=json
    cat out >>all.json
    cp ones.npy other.npy
    run 0 --input=ones.npy --input=other.npy --quality --best=snr --format=json
    cat out >>all.json
    # How the verdicts come out is not for the test to say.
    run 0 $small --num-iters=1 --num-warmup-iters=0 --num-tokens=1,2 --runs=5 --save-baseline=some.json --force
    "$QUANTBENCH" $small --num-iters=1 --num-warmup-iters=0 --num-tokens=1,2 --runs=2 --baseline=some.json \
        --output=some.txt --format=json >>all.json
    run 0 $small --num-iters=1 --num-warmup-iters=0 --threads=1 --rounds=1 --self-test --format=json
    cat out >>all.json
    run 0 --device=cpu --num-tokens=4 --hidden-size=256 --soak=1x --format=json
    cat out >>all.json
    QUANTBENCH_INJECT=wrong run 4 --device=cpu --num-tokens=4 --hidden-size=256 --soak=1x --format=json
    cat out >>all.json
    run 0 $small --num-iters=1 --num-warmup-iters=0 --format=json
    cp out fleet1.json
    sed '/"host"/,/}/s/"name": .*/"name": "other",/; s/"driver": ""/"driver": "1"/' fleet1.json >fleet2.json
    run 0 --report=fleet1.json --report=fleet2.json --format=json
    cat out >>all.json
    run 3 --fleet=fleet1.json,fleet2.json --expect=3 --format=json
    cat out >>all.json
}
# The members of "facts" are data; their names are those of --doctor.
sed '/"facts": {$/,/}/{/"facts"/!d;}' all.json | grep -oE '"[a-z0-9_]+":' | tr -d '":' | sort -u >members.json
while read -r member; do
    ok "JSON: the member $member is explained" grep -qx "$member" members.man
done <members.json
grep '_' members.man >underscore.man
ok 'JSON: no member is explained that is not written' silent comm -23 underscore.man members.json
for schema in quantbench-result quantbench-devices quantbench-kernels quantbench-models quantbench-doctor quantbench-soak \
    quantbench-against quantbench-calibration quantbench-dry-run quantbench-self-test; do
    ok "JSON: the schema $schema is written" grep -qF "\"$schema\"" all.json
    ok "JSON: the schema $schema is explained" grep -q "^\.SS .*$schema" json.man
done
sed -n '/^compare/,$p' some.txt >compare.txt
ok 'text: the line mean is explained' grep -qx -e '\.B mean' output.man
ok 'text: the line best is explained' grep -qx -e '\.B best' output.man
ok 'text: the line compare is explained' grep -qx -e '\.B compare' output.man
for head in baseline ratio '95 % interval' verdict; do
    ok "text: the column '$head' is explained" documented "$head"
    [ "$head" = baseline ] || ok "the column '$head' is printed" grep -q "$head" compare.txt
done
# Measurements have one version, and the lists and checks another.
versions()
{
    same '1 2' "$(sed -n 's/.*"schema_version": \([0-9]*\).*/\1/p' all.json | sort -u | xargs)" &&
        tr '\n' ' ' <json.man | grep -qF 'schema_version of a measurement is 2, of the other documents 1.'
}
ok 'JSON: the versions of the schemas' versions

# shellcheck disable=SC2086
run 0 $small --profile --format=csv
head -n 1 out | tr , '\n' | sort >columns.csv
section CSV "$page5" | awk 'term { print; term = 0 } /^\.TP/ { term = 1 }' | sed 's/^\.B[A-Z]* //' | tr -d ' "' | tr , '\n' |
    sort >columns.man
ok 'CSV: the columns are explained' same_file columns.csv columns.man
# shellcheck disable=SC2086
run 0 $small --profile --format=gbench
section GBENCH "$page5" | grep -E '^\.B' | grep -oE '[a-z][a-z0-9_]+' | sort -u >gbench.man
# The names of devices are not names of fields.
grep -oE '"[a-z0-9_:]+":' out | tr -d '"' | sed 's/:.*//; s/^\(device\|driver\)_.*/\1_/' | sort -u >gbench.fields
while read -r field; do
    ok "Google Benchmark: the field $field is explained" grep -qx "$field" gbench.man
done <gbench.fields

# ---- Models --------------------------------------------------------------------------------------------------------

run 0 --list-models
section NOTES "$page" | sed -n '/^model  /,/^\.EE/p' | sed '/^\.EE/d' >models.man
ok 'models: the manual has those of --list-models' same_file out models.man

# ---- Examples ------------------------------------------------------------------------------------------------------

# commands FILE: one on a line, a line that ends in a backslash being joined with the next.
commands()
{
    awk '
        /^\.EX/ { inside = 1; next }
        /^\.EE/ { inside = 0; next }
        !inside { next }
        { sub(/^ +/, " "); line = line $0 }
        sub(/\\$/, "", line) { next }
        { print line; line = "" }' "$1" | tr -s ' '
}
commands examples.man >examples
section NOTES "$page" >notes.man
commands notes.man | grep '^quantbench ' >notes

# What an example asks for, made smaller and put on the CPU: as many values in each list, but small ones; files that are
# made here. What stands before quantbench, and a redirection after it, are left out.
smaller()
{
    awk '
        # The list OPTION=a,b,c with values from FIRST on, STEP apart.
        function shrink(word, first, step,    head, parts, n, i) {
            head = word; sub(/=.*/, "=", head)
            n = split(substr(word, length(head) + 1), parts, ",")
            for (i = 0; i < n; i++)
                head = head (i ? "," : "") first + i * step
            return head
        }
        {
            sub(/^.*quantbench( |$)/, "quantbench ")
            sub(/ *[|>].*/, "")
            has_input = /--input=/
            # A record is reported as it is; an example before it has written it.
            if (/--report=|--doctor|--calibrate/) { sub(/^quantbench /, ""); print; next }
            # A single case is measured; of a sweep one launch for each case is enough.
            last = /--dry-run/ ? "" : /,/ ? "--profile" : "--num-iters=2 --num-warmup-iters=0"
            if (/baseline=/) {
                gsub(/--model=[^ ]*/, "--hidden-size=32")
                last = "--num-iters=1 --num-warmup-iters=0 --runs=5 --force"
            }
            line = ""
            for (i = 2; i <= NF; i++) {
                word = $i
                if (word ~ /^--num-tokens=.*:/) word = "--num-tokens=4:8:x2"
                else if (word ~ /^--num-tokens=/) word = shrink(word, 4, 3)
                else if (word ~ /^--hidden-size=/) word = shrink(word, 32, 8)
                else if (word ~ /^--threads=/) word = shrink(word, 1, 0)
                line = line " " word
            }
            print (has_input || /--model=/ ? "" : "--num-tokens=4 --hidden-size=32") line, "--device=cpu", last
        }'
}
# The files that the examples name: one F16 tensor of 4 x 16 ones in each.
ones() { i=0; while [ $i -lt 64 ]; do printf '\000\074'; i=$((i + 1)); done; }
{
    printf '\223NUMPY\001\000\166\000'
    printf '%-117s\n' "{'descr': '<f2', 'fortran_order': False, 'shape': (4, 16), }"
    ones
} >weight.npy
{
    # The header has 72 bytes, octal 110.
    printf '\110\000\000\000\000\000\000\000'
    printf '%s' '{"lm_head.weight":{"dtype":"F16","shape":[4,16],"data_offsets":[0,128]}}'
    ones
} >model.safetensors

{
    # The header has 148 bytes, octal 224.
    printf '\224\000\000\000\000\000\000\000'
    printf '%s' '{"lm_head.weight":{"dtype":"F8_E4M3","shape":[4,16],"data_offsets":[0,64]},' \
        '"lm_head.weight_scale":{"dtype":"F16","shape":[],"data_offsets":[64,66]}}'
    tensor '\000\074' | tail -c 66
} >fp8.safetensors

# Dumps of an activation.
mkdir batch0 batch1 batch2
for folder in batch0 batch1 batch2; do tensor '\000\074' >$folder/q.npy; done

# Quotation marks in an example are the shell's.
# The findings of --doctor and the verdict on a baseline depend on the machine.
runs()
{
    eval "run 0 $(echo "$1" | smaller)" && return 0
    case $tap_got in
    1) echo "$1" | grep -q -e ' --baseline=' ;;
    5) echo "$1" | grep -q -e --doctor -e ' --baseline=' ;;
    *) return 1 ;;
    esac
}
while read -r example; do
    case $example in
    quantbench | quantbench\ * | *\ quantbench\ *) ok "$example" runs "$example" ;;
    esac
done <examples
# Those of the notes are as they stand, but on the CPU, and compare nothing: what they ask for goes together.
goes_together() { eval "run 0 $(echo "${1#quantbench }" | sed 's/ --compare=[^ ]*//') --device=cpu --dry-run"; }
while read -r example; do
    ok "notes: $example" goes_together "$example"
done <notes
ok 'notes: there are examples' test "$(wc -l <notes)" -ge 5
# The pages of section 3 are in a package that whoever has the tool may lack.
package_named()
{
    tap_package=$(basename "$(grep -l 'man/man3' "$srcdir"/debian/*.install)" .install)
    for tap_page in quantbench.1 quantbench-plugin.3; do
        sed 's/\\-/-/g' "$srcdir/man/$tap_page.in" | grep -qF "$tap_package" || { echo "# not in $tap_page"; return 1; }
    done
}
ok 'quantbench.1, quantbench-plugin.3: the package of section 3 is named' package_named
ok 'examples: they are as many as they should be' test "$(grep -c quantbench examples)" -ge 20
# What an inference engineer comes for.
for words in '^quantbench$' 'quant-dtype=fp8$' 'scale=static,dynamic' 'num-tokens=1024 --hidden-size=4096' \
    'num-tokens=4096 --hidden-size=8192' 'num-tokens=8192 --hidden-size=16384' 'dtype=half,bfloat16,float' \
    '^nsys .* --profile' '^ncu .* --profile' 'quant-dtype=int8,fp8' 'num-iters=1000' 'num-tokens=128,1024,8192' \
    'safetensors' 'granularity=tensor,token,group:128' 'dist=normal,outliers' 'output=.*csv' 'report=.*markdown' \
    'device=cpu,cuda' "kernel='cpu_\\*'" 'save-baseline=' ' --baseline=.* --junit='; do
    ok "examples: one has $words" grep -qE -e "$words" examples
done

# ---- The page ------------------------------------------------------------------------------------------------------

headings()
{
    same 'NAME,SYNOPSIS,DESCRIPTION,QUICK START,OPTIONS,OUTPUT,EXIT STATUS,ENVIRONMENT,EXAMPLES,NOTES,AUTHORS,COPYRIGHT,SEE ALSO' \
        "$(sed -n 's/^\.SH //p' "$page" | tr -d '"' | paste -sd , -)"
}
ok 'quantbench.1: the sections and their order' headings
for name in NAME DESCRIPTION TEXT MARKDOWN CSV GBENCH JSON EXAMPLES 'SEE ALSO'; do
    ok "quantbench-output.5: the section $name" grep -qx -e ".SH \"*$name\"*" "$page5"
done
program=$("$QUANTBENCH" --version)
# Bold and underlined characters are printed twice, with a backspace between.
fits()
{
    mandoc -Tascii -O width=78 "$1" |
        awk '{ gsub(/.\010/, "") } length > 80 { print "# " $0; bad = 1 } END { exit bad }'
}
for name in quantbench.1 quantbench-mpi.1 quantbench-plugin.3 quantbench-output.5 quantbench-fleet.7; do
    file=$builddir/man/$name
    # The folders of an installation that "make distcheck" makes for itself are too long for any line.
    sed 's|/[^ ]*/_inst/|/usr/local/|g' "$file" >page
    ok "$name: the version is that of the program" grep -qF "\" \"$program\" \"" "$file"
    ok "$name: the date is filled in" grep -qE '^\.TH [^ ]+ [1357] "20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]"' "$file"
    ok "$name: nothing is left to fill in" silent grep -E '@[A-Za-z_]' "$file"
    if command -v mandoc >/dev/null 2>&1; then
        ok "$name: mandoc -Tlint" silent mandoc -Tlint -W style "$file"
        ok "$name: no line is wider than 80 columns" fits page
    else
        skip "$name: mandoc -Tlint" 'mandoc is not here'
        skip "$name: no line is wider than 80 columns" 'mandoc is not here'
    fi
    if command -v groff >/dev/null 2>&1; then
        ok "$name: groff -ww" silent groff -man -Tascii -ww -z page
    else
        skip "$name: groff -ww" 'groff is not here'
    fi
done

done_testing
