#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# merge.sh - several --report: one report in each format, which host each case is of, and what cannot be one.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

records=$srcdir/doc/records
# of HOST RECORD: the record as if that host had made it.
of() { sed '/^  "host": {$/,/"name"/s/"name": "[^"]*"/"name": "'"$1"'"/' "$records/$2.json"; }
of node1 epyc >a.json
of node2 epyc | sed 's/"date": "[^"]*"/"date": "2031-01-02T03:04:05Z"/; s/"version": "[^"]*"/"version": "9.9"/' >b.json
of node2 epyc >c.json
run 0 --report=a.json --format=csv
rows=$(($(wc -l <out) - 1))

text()
{
    run 0 --report=a.json --report=b.json && grep -qE '^host +quant ' out &&
        same $rows "$(grep -c '^node1  ' out)" && same $rows "$(grep -c '^node2  ' out)" &&
        out_has 'node1: ' && out_has 'node2: ' && err_has 'differ in the version'
}
ok 'merge: text has a column for the host' text
devices()
{
    run 0 --report=a.json --report="$records/h200.json" && out_has 'NVIDIA H200' && grep -qE '^h200 +cuda:0 ' out &&
        grep -qE '^node1 +cpu ' out
}
ok 'merge: other devices' devices
twins()
{
    run 0 --report=b.json --report=c.json && same $rows "$(grep -cE '^node2 \(b.json\) ' out)" &&
        same $rows "$(grep -cE '^node2 \(c.json\) ' out)"
}
ok 'merge: of one host, the file tells runs apart' twins
csv()
{
    run 0 --report=a.json --report=b.json --format=csv && same $rows "$(grep -c '^[^,]*,node1,' out)" &&
        same $rows "$(grep -c '^2031-01-02T03:04:05Z,node2,9.9,' out)"
}
ok 'merge: CSV has the host, the date and the version of each case' csv
markdown()
{
    run 0 --report=a.json --report=b.json --format=markdown && out_has '| host | quant |' && same $rows "$(grep -c '^| node2 |' out)"
}
ok 'merge: Markdown' markdown
json()
{
    run 0 --report=a.json --report=b.json --output=m.json && mv out first &&
        grep -q '"name": "node1, node2"' m.json && grep -q '"date": "2031-01-02T03:04:05Z"' m.json &&
        same $rows "$(grep -c '"source_index": 1' m.json)" && run 0 --report=m.json --output=again.json &&
        cmp m.json again.json && cmp first out
}
ok 'merge: JSON is a record' json
others()
{
    for format in gbench junit github openmetrics bmf; do
        run 0 --report=a.json --report=b.json --format=$format && grep -q 'node1' out && grep -q 'node2' out ||
            { echo "# $format"; return 1; }
    done
    run 0 --report=a.json --report=b.json --format=bmf
    same "$((2 * rows))" "$(grep -c '^  "quantize.*/host:node[12]/' out)"
}
ok 'merge: names tell hosts apart in the other formats' others
picture()
{
    run 0 --report=a.json --report=b.json --plot=m.gp && grep -q 'node1' m.gp && grep -q 'node2' m.gp
}
ok 'merge: pictures' picture
# A run that was interrupted, and failed, on one of the hosts.
worst()
{
    sed 's/^  "exit_status": 0,/  "exit_status": 3,/; s/^  "interrupted": false/  "interrupted": true/' b.json >failed.json
    run 0 --report=a.json --report=failed.json --format=json && out_has '  "interrupted": true' &&
        out_has '  "exit_status": 3,'
}
ok 'merge: one that was interrupted' worst
compared()
{
    fast='--device=cpu --hidden-size=64 --num-tokens=2 --threads=1 --num-iters=2 --num-warmup-iters=0 --rounds=2 --cache=hot'
    # shellcheck disable=SC2086
    run 0 $fast --compare=scale --scale=static,dynamic --output=x.json &&
        sed '/^  "host": {$/,/"name"/s/"name": "[^"]*"/"name": "other"/' x.json >y.json &&
        run 0 --report=x.json --report=y.json --output=xy.json && same 2 "$(grep -c '"baseline_name": "static"' xy.json)" &&
        same '1 3' "$(sed -n 's/^ *"result": \([0-9]*\),$/\1/p' xy.json | head -n 2 | xargs)" &&
        run 0 --report=xy.json && grep -qE '^other +.* dynamic ' out &&
        fails 2 'cannot be one report: they compare different things' --report=a.json --report=x.json
}
ok 'merge: comparisons' compared
tensors()
{
    for name in p q; do
        printf '\223NUMPY\001\000\166\000'
        printf '%-117s\n' "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 32), }"
        head -c 128 "$records/epyc.json" | tr '\000-\377' '\061'
    done >both
    head -c 256 both >p.npy && tail -c 256 both >q.npy &&
        run 0 --quality --input=p.npy --input=q.npy --quant-dtype=int8,fp8 --output=x.json &&
        sed '/^  "host": {$/,/"name"/s/"name": "[^"]*"/"name": "other"/' x.json >y.json &&
        run 0 --report=x.json --report=y.json --output=xy.json && same '0 2' "$(sed -n 's/ *"same_as": \([0-9]*\),/\1/p' xy.json | xargs)" &&
        run 0 --report=xy.json --best=snr && fails 2 'one was rated, and the other timed' --report=a.json --report=x.json
}
ok 'merge: tensors' tensors
seed()
{
    sed 's/"seed": 0/"seed": 7/' b.json >seed.json
    run 0 --report=a.json --report=seed.json && err_has 'a.json and seed.json differ in the seed'
}
ok 'merge: differences that a report does not show are named' seed
again() { fails 2 'was merged before' --report=a.json --report=m.json; }
ok 'merge: a record that was merged before' again
damaged()
{
    sed 's/"source_index": 1/"source_index": 2/' m.json >bad.json &&
        fails 2 'results[4].source_index' --report=bad.json &&
        sed 's/"device_index": 1/"device_index": 9/' m.json >bad.json && fails 2 'device_index' --report=bad.json &&
        sed 's/"label": "node2"/"label": 5/' m.json >bad.json && fails 2 'sources[1].label' --report=bad.json
}
ok 'merge: a damaged record' damaged
ok 'merge: a record that is not there' fails 3 'nowhere.json' --report=a.json --report=nowhere.json

done_testing
