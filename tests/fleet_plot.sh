#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fleet_plot.sh - the picture of a fleet: few devices as rows, many as points, very many as an area; what is refused, and
# names that others chose.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"
# shellcheck source=tests/fleet_records.sh
. "$srcdir/tests/fleet_records.sh"

fleet slow 5
# No time of this one.
record node0 2 25000 '"verification": "WRONG", "exit_status": 4, "first_difference": "code [1, 2]: 0x7f, not 0x7e"' |
    sed 's/{"median_ns[^]]*//' >slow/2.json
# many FILE DEVICES: eight devices a node, of which all of node 3, and one of node 5, take longer, and were measured again.
many()
{
    awk -v devices="$2" 'function print_record(node, i, date, time,    r) {
            printf "{\"schema\": \"quantbench-result\", \"schema_version\": 2, \"version\": \"1\", \"date\": \"2026-01-01T00:00:0%dZ\",", date
            printf "\"argv\": [\"quantbench\"], \"host\": {\"name\": \"n%d\", \"system\": \"Linux\", \"cpus\": 8}, \"seed\": 0,", node
            printf "\"devices\": [{\"id\": \"cuda:%d\", \"name\": \"G\", \"isa\": \"x\", \"uuid\": \"GPU-%d-%d\"}], \"results\": [{\"problem\":", i, node, i
            printf " {\"dtype\": \"half\"}, \"device\": \"cuda:%d\", \"kernel\": \"k\", \"rounds\": [", i
            for (r = 0; r < 10; r++)
                printf "%s{\"median_ns\": %.3f}", (r > 0 ? ", " : ""), time * (1 + 0.001 * (r % 4))
            print "]}]}"
        }
        BEGIN {
            for (d = 0; d < devices; d++) {
                node = int(d / 8); slow = node == 3 || d == 41
                time = 25000 * (slow ? 1.1 : 1 + 0.001 * (d % 7))
                print_record(node, d % 8, 0, time)
                if (slow)
                    print_record(node, d % 8, 1, time)
            }
        }' >"$1"
}
many strip.json 96
many area.json 2400

# script FLEET STATUS: the script of its picture in ./x.gp.
script() { run "$2" --fleet="$1" --plot=x.gp; }
has() { grep -qF -e "$1" x.gp || { echo "# not in the script: $1"; return 1; }; }
# values VERDICT: the data of those devices, by the number of the verdict.
values() { sed -n "/^\$v$1 << EOD/,/^EOD/p" x.gp | sed '1d;$d'; }
ok_=0 suspect=4 slower=5 wrong=7

rows()
{
    script slow 4 && has "'node0 cuda:0' 1, 'node0 cuda:1' 2" && has 'with xerrorbars' && has 'rectangle from' &&
        same '6 1 1' "$(values $ok_ | wc -l) $(values $suspect | wc -l) $(values $wrong | wc -l)" &&
        has "title 'SUSPECT'" && has "set title 'Fleet: 8 devices: 1 WRONG, 1 SUSPECT, 6 OK'"
}
ok 'rows: one for each of a few devices, by verdict' rows
interval() { script slow 4 && values $suspect | awk '{ exit !($1 == 6 && $3 < $2 && $2 < $4 && $2 > 1.09 && $2 < 1.11) }'; }
ok 'rows: the ratio of the slow device, with its interval' interval
timeless() { script slow 4 && values $wrong | awk '{ exit !($1 == 3 && $2 < 0.97 && $2 == $3) }' && has "'no time'"; }
ok 'rows: a device without a time is apart' timeless
strip()
{
    script strip.json 1 && same '87 9' "$(values $ok_ | wc -l) $(values $slower | wc -l)" && has 'with yerrorbars' &&
        has "set label 'n3 '" && has "set label 'n5 cuda:1'" && has "'n0' 4.5" && has "devices, node by node"
}
ok 'points: node by node, and those that stand out are named' strip
counted()
{
    script strip.json 1 && has "'n2'" && has "'n10'" && sed -n 's/^set xtics //p' x.gp | grep -q "'n2'.*'n10'"
}
ok 'points: n2 comes before n10' counted
area()
{
    script area.json 1 && has "with filledcurves" && [ "$(values $ok_ | wc -l)" -le 800 ] && same 9 "$(values $slower | wc -l)" &&
        values $ok_ | awk '{ if (!($3 <= $4 && $3 > 0.98 && $4 < 1.02)) exit 1 }'
}
ok 'area: of very many, with those that stand out as points' area
format() { script slow 4 && run 4 --fleet=slow --format=gnuplot && cmp out x.gp && run 4 --fleet=slow --output=y.gp && cmp y.gp x.gp; }
ok 'script: --format=gnuplot and --output are the same' format

ok 'refused: a picture of one record' fails 2 "expected that of a fleet, 'fleet'" --fleet=slow --plot=share:x.gp
ok 'refused: a fleet of what is measured' fails 2 "'fleet' requires the records of many devices" --device=cpu --plot=fleet:x.gp
one() { run 3 --report="$srcdir/doc/records/epyc.json" --plot=fleet:none.gp && err_has 'requires many devices' && [ ! -e none.gp ]; }
ok 'refused: a fleet of one record' one
no_time()
{
    run 4 --fleet=slow/2.json --format=gnuplot && out_has 'There is no picture' && run 4 --fleet=slow/2.json --plot=none.gp &&
        err_has "'fleet' requires a time, which the fleet lacks" && [ ! -e none.gp ]
}
ok 'refused: devices of which none has a time' no_time
missing() { PATH=$work/nothing "$QUANTBENCH" --fleet=slow --plot=x.svg >out 2>err; same 3 $? && err_has 'gnuplot is not installed' && [ ! -s out ]; }
ok 'gnuplot: missing, it is an error before the records are read' missing

# A name that is something to a shell and to gnuplot.
mkdir hostile
# shellcheck disable=SC2016 # nothing is to be replaced
for i in 0 1 2 3; do record '`touch pwned` '\''.system("touch pwned").'\' $i 25000 | sed 's/("touch pwned")/(pwned)/g' >hostile/$i.json; done
stays_text()
{
    run 0 --fleet=hostile --plot=x.gp && ! sed -e "s/\"'\"//g" -e "s/'[^']*'//g" x.gp | grep -E 'touch|system'
}
ok 'names: they are in single quotes only' stays_text

if ! command -v gnuplot >/dev/null; then
    skip 'gnuplot draws' 'gnuplot is not installed'
    done_testing
    exit 0
fi
well_formed() { ! command -v xmllint >/dev/null || xmllint --noout "$1"; }
# draws FLEET STATUS
draws()
{
    run "$2" --fleet="$1" --plot=x.svg --plot=x.png && [ ! -s err ] && grep -q '^</svg>' x.svg && well_formed x.svg &&
        [ "$(head -c 4 x.png | tail -c 3)" = PNG ]
}
ok 'gnuplot draws: rows' draws slow 4
ok 'gnuplot draws: points' draws strip.json 1
ok 'gnuplot draws: an area' draws area.json 1
ok 'gnuplot draws: hostile names' draws hostile 0
ok 'gnuplot draws: hostile names run nothing' test ! -e pwned
page() { run 4 --fleet=slow --plot=x.html && same 1 "$(grep -c '^<svg' x.html)" && grep -q 'SUSPECT' x.html && same '</html>' "$(tail -n 1 x.html)"; }
ok 'gnuplot draws: a page with the text' page
terminal()
{
    COLUMNS=60 run 1 --fleet=strip.json --plot && out_has 'devices, node by node' && ! LC_ALL=C grep -q '[^ -~]' out &&
        awk '/node by node/ { exit } length > 60 { exit 1 }' out && tail -n 1 out | grep -q '^Fleet: 96 devices'
}
ok 'gnuplot draws: in the terminal, above the report' terminal
done_testing
