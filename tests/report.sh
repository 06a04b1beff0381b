#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# report.sh - what is written, and where: every format of --format and --output is read by somebody else's parser, a
# file appears whole or not at all, and --report makes of a saved record what the run made.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

formats='text json csv markdown gbench junit github gnuplot openmetrics bmf'
suffix_of()
{
    case $1 in
    text) echo txt ;;
    markdown) echo md ;;
    gbench) echo gbench.json ;;
    junit) echo xml ;;
    github) echo gha ;;
    gnuplot) echo gp ;;
    openmetrics) echo prom ;;
    bmf) echo bmf.json ;;
    *) echo "$1" ;;
    esac
}

# A file name that every format has to be careful with.
awkward='a,"b" |c\*_d.npy'
tensor '\000\074' >"$awkward"
tensor '\000\176' >nan.npy

# What is run: a single case, a sweep, one launch, files, and data whose codes are good, exact and cut off.
single='--device=cpu --num-tokens=4 --hidden-size=32 --num-iters=7 --num-warmup-iters=0'
sweep='--device=cpu --hidden-size=32 --num-tokens=2,3 --num-iters=2 --num-warmup-iters=0 --quant-dtype=int8,fp8
    --granularity=tensor,group:5,block:2x8'
dists='--device=cpu --num-tokens=4 --hidden-size=32 --profile --scale-ub=0.5 --dist=normal,zeros,outliers'
launch='--device=cpu --num-tokens=4 --hidden-size=32 --profile --scale-ub=0.1 --no-verify --dtype=float'

# made NAME ARGUMENT...: run it once with every output; standard output is text.
made()
{
    tap_name=$1
    shift
    for tap_format in $formats; do
        set -- "$@" "--output=$tap_name.$(suffix_of "$tap_format")"
    done
    run 0 "$@" && cp out "$tap_name.out"
}
# The words are options.
# shellcheck disable=SC2086
{
    ok 'outputs: a single case to files of every format' made single $single
    ok 'outputs: a sweep to files of every format' made sweep $sweep
    ok 'outputs: a launch to files of every format' made launch $launch
    ok 'outputs: a tensor of a file to files of every format' made file --device=cpu --input="$awkward" --profile
    ok 'outputs: distributions to files of every format' made dists $dists
    ok 'outputs: a tensor that is all NaN to files of every format' made nan --device=cpu --input=nan.npy --profile
}
# Sets that are fewer than a rotation are cold since other data pass in between: the text says so of these alone.
in_between()
{
    for tap_bytes in 100000000 1000000000; do
        sed "s/\"rotated_bytes\": [0-9]*/\"rotated_bytes\": $tap_bytes/" "$srcdir/doc/records/h200.json" >rotation.json &&
            run 0 --report=rotation.json && tr -s '\n ' ' ' <out >$tap_bytes.text || return 1
    done
    grep -q '100.0 MB, and other data in between; the cache has' 100000000.text &&
        grep -q '1000.0 MB; the cache has' 1000000000.text
}
ok 'text: a rotation that is shared with other cases says so' in_between
records='single sweep launch file dists nan'
for record in $records; do
    ok "$record: the text file is what was on standard output" cmp "$record.out" "$record.txt"
done
no_leftovers()
{
    tap_left=$(find . -name '*.??????' ! -name '*.markdown' | grep -E '\.(txt|json|csv|md|xml|gha)\.')
    same '' "$tap_left"
}
ok 'outputs: nothing else is left behind' no_leftovers

# ---- A record again ------------------------------------------------------------------------------------------------

# again RECORD FORMAT: --report gives the same bytes, on standard output and in a file.
again()
{
    tap_file=$1.$(suffix_of "$2")
    rm -f again
    run 0 --report="$1.json" --format="$2" --output="$2:again" && cmp out "$tap_file" && cmp again "$tap_file" &&
        [ ! -s err ]
}
for record in $records; do
    for format in $formats; do
        ok "--report: $record as $format is the run's own" again "$record" "$format"
    done
done
text_is_default() { run 0 --report single.json && cmp out single.txt; }
ok '--report: text is the default' text_is_default
ok '--report: of a record that it wrote itself' run 0 --report=single.json --output=json:second.json
second() { run 0 --report=second.json --format=json && cmp out single.json; }
ok 'record: json to record to json, twice, gives the same bytes' second
from_pipe() { "$QUANTBENCH" --report=/dev/stdin --format=csv <single.json >out 2>err && cmp out single.csv; }
if [ -r /dev/stdin ]; then
    ok 'record: --report from a pipe' from_pipe
else
    skip 'record: --report from a pipe' 'no /dev/stdin'
fi
# No device is opened: what would keep the CPU's from being opened does not matter.
no_device()
(
    QUANTBENCH_ISA=bogus
    export QUANTBENCH_ISA
    run 0 --report=single.json && fails 3 QUANTBENCH_ISA --device=cpu
)
ok 'record: --report opens no device' no_device
failed_case()
{
    run 3 --device=cpu --profile --hidden-size=32 --num-tokens=4,1000000000000000 --output=some.json \
        --output=some.csv &&
        cp out some.txt && run 0 --report=some.json && cmp out some.txt && run 0 --report=some.json --format=csv &&
        cmp out some.csv
}
ok 'record: a sweep with a case that cannot run' failed_case
# column NAME FILE: its fields, of a file without quoted commas before them.
column() { awk -F , -v name="$1" 'NR == 1 { while ($++i != name) { }; next } { print $i }' "$2"; }
no_time()
{
    sed 's/"normal, seed 0"/x/' some.csv >plain.csv
    same '3 0' "$(column exit_status plain.csv | tail -n 1) $(column samples plain.csv | tail -n 1)" &&
        same '' "$(column median_ns plain.csv | tail -n 1)" && same '' "$(column bytes_per_second plain.csv | tail -n 1)"
}
ok 'record: a case that cannot run has no time in CSV' no_time
no_entry() { run 0 --report=some.json --format=gbench && same 3 "$(grep -c '"real_time"' out)"; }
ok 'record: a case that cannot run has no entry for Google Benchmark' no_entry
# A number beyond 64 bits is written as the largest there is.
beyond()
{
    run 3 --device=cpu --num-tokens=1 --hidden-size=878416384462359601 --granularity=group:1 --format=json || return 1
    cp out beyond.json && run 0 --report=beyond.json --format=json && cmp out beyond.json
}
ok 'record: a case larger than 64 bits can count' beyond
# An empty launch on the CPU cannot take longer than the copies, and a quarter of a millisecond.
busy()
{
    run 0 --device=cpu --num-tokens=64 --hidden-size=64 --num-iters=3 --rounds=1 --num-warmup-iters=0 --output=timed.json &&
        sed 's/"floor_ns": [0-9.]*/"floor_ns": 250000.0/' timed.json >busy.json && run 0 --report=busy.json &&
        out_has 'doubt     busy: launch overhead 250.000 us' &&
        sed 's/"floor_ns": [0-9.]*/"floor_ns": 90000.0/' timed.json >busy.json && run 0 --report=busy.json &&
        ! grep -q busy: out
}
ok 'record: launch overhead that is long is a doubt' busy
outcome()
{
    run 3 --device=cpu --num-tokens=1000000000000000 --hidden-size=32 && out_has 'outcome   no time: failed'
}
ok 'record: a single case that cannot run says so' outcome
# fails_as STATUS ELEMENT TYPE SCRIPT: of the single case, changed by sed, JUnit and GitHub say that it failed so.
fails_as()
{
    sed "$4" single.json >run.json && ! cmp -s single.json run.json && run 0 --report=run.json --format=junit &&
        out_has "$2s=\"1\"" && out_has "type=\"$3\"" && run 0 --report=run.json --format=github &&
        grep -q '^::error' out && run 0 --report=run.json --format=gbench && out_has "\"exit_status\": $1" &&
        run 0 --report=run.json --format=csv && grep -q ",$1\$" out &&
        run 0 --report=run.json --format=json && cmp out run.json
}
ok 'record: a run that failed, though no case did' fails_as 3 error 'cannot run' 's/^  "exit_status": 0/  "exit_status": 3/'
ok 'record: a run that was interrupted' fails_as 0 error interrupted 's/"interrupted": false/"interrupted": true/'
later_record()
{
    sed 's/"seed"/"later": [{}], "seed"/' sweep.json >later.json && run 0 --report=later.json && cmp out sweep.txt
}
ok 'record: a record with members that are not known' later_record
stopped()
{
    sed 's/"cases": 1,/"cases": 9,/; s/"interrupted": false/"interrupted": true/' single.json >stopped.json
    run 0 --report=stopped.json && out_has 'median us' && ! grep -q 'running time' out &&
        run 0 --report=stopped.json --format=json && cmp out stopped.json
}
ok 'record: a sweep that was interrupted after its first case stays a table' stopped
nothing_run()
{
    awk '/"results": \[/ { print "  \"results\": [],"; print "  \"comparison\": null"; print "}"; exit } { print }' single.json >nothing.json
    for tap_format in $formats; do
        run 0 --report=nothing.json --format="$tap_format" || return 1
    done
    run 0 --report=nothing.json --format=json && cmp out nothing.json
}
ok 'record: a record without results, in every format' nothing_run

# ---- Parsers of others ---------------------------------------------------------------------------------------------

if python3 -c 'import csv, json' >/dev/null 2>&1; then
    cat >check.py <<'PY'
import csv, json, math, statistics, sys

def near(text, number):
    if number is None:
        return text == ""
    return math.isclose(float(text), number, rel_tol=1e-11)

figures = "snr_db", "largest_error", "largest_relative_error", "saturated_share", "flushed_share"
what, name = sys.argv[1:]
record = json.load(open(name + ".json"))
results = record["results"]
assert record["cases"] == len(results)
if what == "csv":
    rows = list(csv.DictReader(open(name + ".csv", newline=""), strict=True))
    assert len(rows) == len(results)
    for row, result in zip(rows, results):
        assert None not in row and None not in row.values()
        assert row["date"] == record["date"] and row["host"] == record["host"]["name"]
        for key in "dtype", "quant_dtype", "scale", "granularity":
            assert row[key] == result["problem"][key], key
        for key in "device", "kernel", "verification", "launch", "cache":
            assert row[key] == result[key], key
        assert row["doubts"].split("; ") == (result["doubts"] or [""])
        assert int(row["run_exit_status"]) == record["exit_status"]
        for key in "bytes_read", "bytes_written", "rotated_bytes", "buffer_sets", "exit_status", "wrong_codes":
            assert int(row[key]) == result[key], key
        assert row["input"] == (record["input"] or "")
        assert row["dist"] == (result["dist"] or "")
        assert row["data"] == result["data"] and row["data_digest"] == (record["data_digest"] or "")
        assert (record["data_digest"] is None) == (record["input"] is None)
        quality = result["quality"] or dict.fromkeys(figures)
        for key in figures:
            assert near(row[key], quality[key]), key
        assert near(row["scale_ub"], result["problem"]["scale_ub"])
        assert near(row["threads"], result["threads"])
        assert near(row["copy_time_ns"], result["ceiling"] and result["ceiling"]["copy_ns"])
        time = result["time_ns"]
        assert int(row["samples"]) == len(time["samples"])
        for key in "min", "median", "mean", "p99", "max":
            assert near(row[key + "_ns"], time[key]), key
        ci = time["median_ci95"] or [None, None]
        assert near(row["median_ci95_low_ns"], ci[0]) and near(row["median_ci95_high_ns"], ci[1])
elif what == "markdown":
    lines = open(name + ".md").read().splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(results)
    for line in table:
        assert line.endswith("|") and line.count("|") == table[0].count("|"), line
    heads = [cell.strip() for cell in table[0].split("|")[1:-1]]
    doubts = 0
    for line, result in zip(table[2:], results):
        doubts += len(result["doubts"])
        cells = [cell.strip().replace("\\", "") for cell in line.split("|")[1:-1]]
        assert cells[heads.index("median us")] == "%.3f" % (result["time_ns"]["median"] * 1e-3)
        assert cells[heads.index("codes")].removesuffix(" *") == result["verification"]
        quality = result["quality"]
        if quality is None or not quality["finite"]:
            snr = "-"
        else:
            snr = "exact" if quality["snr_db"] is None else "%.2f" % quality["snr_db"]
        assert cells[heads.index("SNR dB")] == snr
        if "dist" in heads:
            assert cells[heads.index("dist")] == result["dist"]
        if "tokens" in heads:
            assert int(cells[heads.index("tokens")]) == result["problem"]["num_tokens"]
    assert doubts == sum(line.startswith("* row ") for line in lines)
elif what == "gbench":
    document = json.load(open(name + ".gbench.json"), parse_constant=lambda text: 1 / 0)
    assert document["context"]["json_schema_version"] == 1
    assert document["context"]["exit_status"] == record["exit_status"]
    assert document["context"]["num_cpus"] == record["host"]["cpus"]
    names = list(dict.fromkeys(e["run_name"] for e in document["benchmarks"]))
    assert len(names) == len(results)
    for name, result in zip(names, results):
        time, rounds = result["time_ns"], result["rounds"]
        mine = [e for e in document["benchmarks"] if e["run_name"] == name]
        entries = [e for e in mine if e["run_type"] == "iteration"]
        aggregates = {e["aggregate_name"]: e for e in mine if e["run_type"] == "aggregate"}
        for word in result["doubts"]:
            assert all(word in e["label"].split(", in doubt: ")[1] for e in mine)
        assert len(entries) == len(rounds) and len(mine) == len(entries) + len(aggregates)
        assert ("/dist:%s/" % result["dist"] in name) == (result["dist"] is not None)
        assert ("/data:" in name) == (result["dist"] is None) and (record["data_digest"] or "") in name
        for index, (entry, round) in enumerate(zip(entries, rounds)):
            assert entry["time_unit"] == "ns" and entry["name"] == name
            assert entry["repetition_index"] == index and entry["repetitions"] == len(rounds)
            assert entry["real_time"] == round["median_ns"]
            host = round["host_ns"] if result["threads"] is None else 0
            assert entry["cpu_time"] == (host or entry["real_time"])
            for key in figures:
                assert entry.get(key) == (result["quality"] or {}).get(key), key
            assert entry["iterations"] == round["samples"] * result["launches_per_sample"]
        wanted = {"mean": statistics.mean, "median": statistics.median}
        if len(rounds) > 1:
            wanted["stddev"] = statistics.stdev
            wanted["cv"] = lambda values: statistics.stdev(values) / statistics.mean(values)
        assert set(aggregates) == set(wanted)
        for key, of in wanted.items():
            entry = aggregates[key]
            assert entry["name"] == name + "_" + key and entry["iterations"] == len(rounds)
            assert entry["aggregate_unit"] == ("percentage" if key == "cv" else "time")
            for member in "real_time", "cpu_time":
                right = of([e[member] for e in entries])
                assert math.isclose(entry[member], right, rel_tol=1e-6, abs_tol=1e-6), (key, member)
elif what == "bmf":
    document = json.load(open(name + ".bmf.json"), parse_constant=lambda text: 1 / 0)
    names = {e["run_name"] for e in json.load(open(name + ".gbench.json"))["benchmarks"]}
    assert set(document) == names and len(names) == len(results)
    for measures, result in zip(document.values(), results):
        time, latency = result["time_ns"], measures["latency"]
        assert latency["value"] == time["median"] and set(measures) <= {"latency", "ceiling-share", "snr-db"}
        assert [latency.get(key) for key in ("lower_value", "upper_value")] == (time["median_ci95"] or [None, None])
        share = (result["ceiling"] or {}).get("share")
        assert measures.get("ceiling-share", {}).get("value") == share
        if share is not None and time["median_ci95"]:
            assert measures["ceiling-share"]["lower_value"] <= share <= measures["ceiling-share"]["upper_value"]
        assert measures.get("snr-db", {}).get("value") == (result["quality"] or {}).get("snr_db")
elif what == "openmetrics":
    import datetime, re
    lines = open(name + ".prom").read().split("\n")
    assert lines[-2:] == ["# EOF", ""]
    values, last = {}, None
    for line in lines[:-2]:
        head = re.fullmatch(r"# (HELP|TYPE) (quantbench_[a-z_]+) (.+)", line)
        if head:
            assert head[1] == "HELP" or head[3] == "gauge"
            last = head[2]
            continue
        # A line of the values that were announced, without a time stamp, and none twice.
        sample = re.fullmatch(r'(quantbench_[a-z_]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)', line)
        assert sample and sample[1] == last and (last, sample[2]) not in values, line
        values[last, sample[2]] = float(sample[3])
    def of(key): return [value for (metric, labels), value in values.items() if metric == "quantbench_" + key]
    close = lambda a, b: len(a) == len(b) and all(math.isclose(x, y, rel_tol=1e-11) for x, y in zip(a, b))
    assert close(of("median_seconds"), [result["time_ns"]["median"] * 1e-9 for result in results])
    intervals = [result["time_ns"]["median_ci95"] for result in results if result["time_ns"]["median_ci95"]]
    assert close(of("median_low_seconds"), [interval[0] * 1e-9 for interval in intervals])
    assert close(of("median_high_seconds"), [interval[1] * 1e-9 for interval in intervals])
    assert of("verified") == [float(result["verification"] == "verified") for result in results]
    assert of("wrong_codes") == [result["wrong_codes"] for result in results]
    assert of("case_status") == [result["exit_status"] for result in results]
    assert len(of("doubt")) == sum(len(result["doubts"]) for result in results)
    assert of("run_status") == [record["exit_status"]]
    ended = datetime.datetime.strptime(record["date"] + "+0000", "%Y-%m-%dT%H:%M:%SZ%z")
    assert of("run_timestamp_seconds") == [ended.timestamp()]
elif what == "junit":
    import xml.etree.ElementTree
    suites = xml.etree.ElementTree.parse(name + ".xml").getroot()
    cases = suites.findall("testsuite/testcase")
    assert int(suites.get("tests")) == len(cases) == len(results)
    doubtful = sum(bool(result["doubts"]) for result in results)
    for kind, count in ("failure", 0), ("error", 0), ("skipped", doubtful):
        assert int(suites.get(kind + ("s" if kind != "skipped" else ""))) == len(suites.findall(".//" + kind)) == count
    assert len({case.get("name") for case in cases}) == len(cases)
    for case, result in zip(cases, results):
        assert case.get("name").endswith(", " + result["data"])
        assert math.isclose(float(case.get("time")), result["time_ns"]["median"] * 1e-9, abs_tol=1e-9)
        assert result["kernel"] in case.get("classname")
else:
    assert record["schema"] == "quantbench-result"
PY
    for record in $records; do
        for what in json csv markdown gbench junit openmetrics bmf; do
            ok "parsers: python3 reads $record as $what" python3 check.py $what "$record"
        done
    done
else
    skip 'parsers: python3 reads JSON, CSV, Markdown and what Google Benchmark would write' 'python3 is not here'
fi
if echo '{}' | jq . >/dev/null 2>&1; then
    jq_says() { jq -e "$1" "$2" >jq.out; }
    for record in $records; do
        ok "parsers: jq reads $record" jq_says '.results[0].time_ns.median >= 0' "$record.json"
        ok "parsers: jq reads $record as gbench" jq_says '.benchmarks[0].time_unit == "ns"' "$record.gbench.json"
    done
else
    skip 'parsers: jq reads JSON' 'jq is not here'
fi
# Google Benchmark's own program, where Debian's libbenchmark-tools is installed with what it needs.
compare_py=/usr/share/benchmark/compare.py
compares()
{
    /usr/bin/python3 $compare_py --no-color benchmarks "$1.gbench.json" "$1.gbench.json" >compared 2>err &&
        grep -q '^OVERALL_GEOMEAN .*+0.0000' compared && grep -q '^quantize/half/int8/.* +0.0000 ' compared
}
if [ -e $compare_py ] && /usr/bin/python3 $compare_py --help >/dev/null 2>&1; then
    for record in single sweep; do
        ok "parsers: compare.py compares $record with itself" compares "$record"
    done
else
    skip 'parsers: compare.py' 'libbenchmark-tools, python3-numpy or python3-scipy is not here'
fi
ok 'parsers: a row for each case, and a head' same 13 "$(wc -l <sweep.csv | tr -d ' ')"
ok 'parsers: a field with a comma and quotation marks' grep -qF ',"a,""b"" |c\*_d.npy",' file.csv
# A quotation mark needs quotation marks around the field, with a comma in it or without.
quotes_alone()
{
    sed 's|^  "input": .*|  "input": "a\\"b.npy",|' file.json >quoted.json &&
        run 0 --report=quoted.json --format=csv && out_has ',"a""b.npy",'
}
ok 'parsers: a field with a quotation mark and no comma' quotes_alone
digits='[0-9a-f]\{16\}'
digest_is_shown()
{
    grep -q ", digest $digits\$" file.txt && grep -q "^\* input: .*, digest $digits\$" file.md &&
        grep -q "title=.*%2C digest $digits::" file.gha
}
ok 'parsers: text, Markdown and GitHub have the digest of a file' digest_is_shown
ok 'parsers: Markdown shows characters with a meaning as they are' grep -qF 'a,"b" \|c\\\*\_d.npy' file.md
# A record of data in files with the names, as CSV.
formulas()
{
    for tap_formula in '=1+1' '+1' '-1' '@A1' "'a" '=1+1,"b"'; do
        tap_json=$(printf '%s' "$tap_formula" | sed 's/"/\\\\"/g; s/&/\\\\&/g')
        sed "s|^  \"input\": .*|  \"input\": \"$tap_json\",|" file.json >formula.json &&
            run 0 --report=formula.json --format=csv || return 1
        tap_csv=$(printf '%s' "$tap_formula" | sed 's/"/""/g')
        case $tap_formula in
        *,*) out_has ",\"'$tap_csv\"," || return 1 ;;
        *) out_has ",'$tap_csv," || return 1 ;;
        esac
    done
}
ok 'parsers: a text that spreadsheets would take for a formula gets an apostrophe' formulas
negative_number()
{
    sed 's/^\( *"snr_db": \).*/\1-12.5,/' file.json >negative.json && run 0 --report=negative.json --format=csv &&
        out_has ',-12.5,'
}
ok 'parsers: a negative number gets no apostrophe' negative_number
infinite_error()
{
    sed 's/^\( *"snr_db": \).*/\1null,/; s/^\( *"largest_.*error": \).*/\1null,/' file.json >infinite.json &&
        run 0 --report=infinite.json --format=json && cmp out infinite.json && run 0 --report=infinite.json &&
        out_has 'SNR -inf dB, largest error inf, largest relative error inf %'
}
ok 'quality: an infinite error and its relative one are infinite after JSON' infinite_error
no_signal()
{
    sed 's/^\( *"snr_db": \).*/\1null,/; s/^\( *"largest_relative_error": \).*/\1null,/' file.json >zeros.json &&
        run 0 --report=zeros.json --format=json && cmp out zeros.json && run 0 --report=zeros.json &&
        out_has 'SNR -inf dB, largest error ' && ! out_has 'relative error' >noted
}
ok 'quality: noise without a signal has no relative error' no_signal
lines_end_in_newline() { ! grep -q "$(printf '\r')" single.csv; }
ok 'parsers: lines of CSV end as those of other files do' lines_end_in_newline

# ---- Files ---------------------------------------------------------------------------------------------------------

# to ARGUMENT...: a report of the single case.
to() { run 0 --report=single.json "$@"; }
ok 'output: FORMAT:FILE is written' to --output=csv:data.json
ok 'output: a file of FORMAT:FILE is in that format' cmp data.json single.csv
ok 'output: a colon in a name that begins with another word' to --output=a:b.csv
ok 'output: a colon after another word is a part of the name' cmp a:b.csv single.csv
ok 'output: the longest suffix counts' to --output=x.gbench.json
ok 'output: x.gbench.json is not another JSON' cmp x.gbench.json single.gbench.json
both()
{
    to --output=one.md --output=two.csv --format=json && cmp one.md single.md && cmp two.csv single.csv &&
        cmp out single.json
}
ok 'output: two files and standard output, each in its format' both
ok 'output: an unknown suffix is refused' fails 2 '.gbench.json' --report=single.json --output=x.xyz
ok 'output: an unknown suffix names the formats' err_has 'text, json, csv, markdown, gbench, junit, github, gnuplot, openmetrics or bmf'
ok 'output: an unknown format is refused' fails 2 'xyz:x' --report=single.json --output=xyz:x
ok 'output: FORMAT: without a file is refused' fails 2 "'csv:'" --report=single.json --output=csv:
ok 'output: the same file twice is refused' fails 2 'once' --report=single.json --output=x.csv --output=json:x.csv
ok 'output: --list-kernels has no --output' fails 2 '--output' --list-kernels --output=x.csv
ok 'output: --list-kernels has no CSV' fails 2 'text or json' --list-kernels --format=csv
ok 'output: --report has no --num-tokens' fails 2 '--num-tokens' --report=single.json --num-tokens=4
ok 'output: --report has no --list-devices' fails 2 '--list-devices' --report=single.json --list-devices
ok 'output: --report without a name is refused' fails 2 '--report' --report=

# kept FILE COMMAND...: the old file is as it was when COMMAND is done, and there is no other beside it.
kept()
{
    mkdir -p kept && rm -f kept/* && echo old >"kept/$1"
    tap_kept=$1
    shift
    "$@" && same old "$(cat "kept/$tap_kept")" && same "$tap_kept" "$(ls -A kept)"
}
ok 'output: a run that cannot begin leaves the old file' kept x.csv fails 3 'cuda:99' --device=cuda:99 --output=kept/x.csv
ok 'output: a usage error leaves the old file' kept x.csv fails 2 'bogus' --output=kept/x.csv --dtype=bogus
ok 'output: a damaged record leaves the old file' kept x.csv fails 2 'schema' --report=sweep.gbench.json --output=kept/x.csv
awk '/"samples": \[/ { print; for (i = 0; i < 3000; i++) print "1.5,"; next }
    /"samples": [0-9]/ && !done++ { print "\"samples\": " $2 + 3000 ","; next } { print }' single.json >large.json
# The limit is on the size of files; its signal is ignored, so that writing fails as on a full disk.
limited_size()
(
    trap '' XFSZ
    ulimit -f 1
    "$QUANTBENCH" --report=large.json --output=kept/x.json >/dev/null 2>limited.err
)
too_large_file()
{
    limited_size
    same 3 $? && cp limited.err err && err_has '--output: kept/x.json: File too large'
}
if (trap '' XFSZ && ulimit -f 1) 2>/dev/null; then
    ok 'output: a file that becomes too large leaves the old file' kept x.json too_large_file
else
    skip 'output: a file that becomes too large leaves the old file' 'this shell cannot limit the size of files'
fi
replaced()
{
    mkdir -p kept && rm -f kept/* && echo old >kept/x.csv && to --output=kept/x.csv &&
        cmp kept/x.csv single.csv && same x.csv "$(ls -A kept)"
}
ok 'output: a run that succeeds replaces the old file' replaced
# The name is ours.
# shellcheck disable=SC2012
mode() { ls -l "$1" | cut -c 1-10; }
permissions()
{
    chmod 640 kept/x.csv && to --output=kept/x.csv && same -rw-r----- "$(mode kept/x.csv)"
}
ok 'output: a replaced file keeps its permissions' permissions
masked() ( umask 027; rm -f kept/*; to --output=kept/x.csv && same -rw-r----- "$(mode kept/x.csv)" )
ok 'output: a new file has the permissions of the umask' masked
link()
{
    rm -f kept/* && echo old >real.csv && ln -s ../real.csv kept/x.csv && to --output=kept/x.csv &&
        [ -L kept/x.csv ] && cmp real.csv single.csv
}
ok 'output: a symbolic link stays, and what it leads to is replaced' link

dangling()
{
    rm -f kept/* && ln -s nothing.csv kept/x.csv && fails 3 'a symbolic link to a file that does not exist' \
        --device=cpu --output=kept/x.csv && [ ! -e kept/nothing.csv ] && [ -L kept/x.csv ]
}
ok 'output: a symbolic link to nothing is refused before anything is measured' dangling
chain()
{
    rm -rf kept/* && mkdir kept/deep && echo old >real.csv && ln -s ../../real.csv kept/deep/end &&
        ln -s "$PWD/kept/deep/end" kept/middle && ln -s kept/./middle chain.csv &&
        to --output=chain.csv && [ -L chain.csv ] && cmp real.csv single.csv && rm chain.csv
}
ok 'output: a link to a link, absolute and relative' chain
ring()
{
    rm -rf kept/* && ln -s y.csv kept/x.csv && ln -s x.csv kept/y.csv && fails 3 'Too many levels' \
        --device=cpu --output=kept/x.csv
}
ok 'output: a ring of links' ring
special_bits()
{
    rm -f kept/* && echo old >kept/x.csv && chmod 6750 kept/x.csv && to --output=kept/x.csv &&
        same -rwxr-x--- "$(mode kept/x.csv)"
}
ok 'output: a set-user-ID bit is not kept' special_bits

# Links of another user: the last component, then one to a folder.
others_link()
{
    rm -rf kept/* && echo old >real.csv && ln -s ../real.csv kept/x.csv && chown -h 12345 kept/x.csv &&
        fails 3 'a symbolic link of another user' --device=cpu --output=kept/x.csv && same old "$(cat real.csv)"
}
others_folder_link()
{
    rm -rf kept/* && mkdir -p real kept/all && chmod 1777 kept/all && ln -s ../../real kept/all/folder &&
        chown -h 12345 kept/all/folder &&
        fails 3 'a symbolic link of another user' --device=cpu --output=kept/all/folder/x.csv &&
        same '' "$(ls real)" && chmod 755 kept/all && to --output=kept/all/folder/x.csv && cmp real/x.csv single.csv
}
others_permissions()
{
    rm -rf kept/* && echo old >kept/x.csv && chmod 666 kept/x.csv && chown 12345 kept/x.csv &&
        (umask 022 && to --output=kept/x.csv) && same -rw-r--r-- "$(mode kept/x.csv)" &&
        same "$(id -u)" "$(stat -c %u kept/x.csv)"
}
others_journal()
{
    rm -rf kept/* && mkdir kept/all && chmod 1777 kept/all && : >kept/all/j && chown 12345 kept/all/j &&
        fails 3 'belongs to another user' --device=cpu --num-tokens=4 --hidden-size=32 --journal=kept/all/j
}
: >given
if chown 12345 given 2>/dev/null; then
    ok "output: another user's link is not followed" others_link
    ok "output: another user's link to a folder is not followed in a sticky folder that all may write to" others_folder_link
    ok "output: another user's file gives the new one no wider permissions" others_permissions
    ok "output: another user's file in such a folder is not a journal" others_journal
else
    skip "output: another user's link is not followed" 'only root can make one'
    skip "output: another user's link to a folder is not followed in a sticky folder that all may write to" 'only root can make one'
    skip "output: another user's file gives the new one no wider permissions" 'only root can make one'
    skip "output: another user's file in such a folder is not a journal" 'only root can make one'
fi

# A folder that is not there, and one below a file, which root cannot write either; found out before anything is run.
ok 'output: a folder that is not there is refused' fails 3 'no/x.csv: No such file' --device=cpu --output=no/x.csv
ok 'output: a file where a folder should be is refused' fails 3 'single.csv/x.csv: Not a directory' --device=cpu --output=single.csv/x.csv
mkdir folder.csv
ok 'output: a folder as the file is refused' fails 3 'folder.csv: Is a directory' --device=cpu --output=folder.csv
later()
{
    run 3 --report=single.json --output=no/x.csv --output=good.csv && err_has 'no/x.csv' &&
        cmp good.csv single.csv
}
ok 'output: a file that cannot be written does not keep others from it' later
if [ -c /dev/full ]; then
    full()
    {
        run 3 --report=single.json "--output=$1:/dev/full" && err_has '--output: /dev/full: No space left' &&
            [ -c /dev/full ]
    }
    large_full() { run 3 --report=large.json --output=json:/dev/full && err_has 'No space left'; }
    for format in $formats; do
        ok "a full disk: $format" full "$format"
    done
    ok 'a full disk: more than a buffer holds' large_full
    # to_full FORMAT: the same on standard output.
    to_full()
    {
        "$QUANTBENCH" --report=single.json --format="$1" >/dev/full 2>err
        same 3 $? && err_has 'standard output' && err_has 'No space left'
    }
    for format in $formats; do
        ok "a full disk as standard output: $format" to_full "$format"
    done
    ok 'output: a device stays one' to --output=csv:/dev/null
    ok 'output: /dev/null is not replaced' test -c /dev/null
else
    skip 'output: a full disk' 'no /dev/full'
fi
for format in $formats; do
    ok "a closed pipe: $format" closed_pipe --report=single.json "--format=$format"
done
beside_pipe()
{
    rm -f x.csv && closed_pipe --report=single.json --format=json --output=x.csv && cmp x.csv single.csv
}
ok 'output: a closed pipe does not keep a file from being written' beside_pipe
named_pipe()
{
    rm -f pipe && mkfifo pipe || return 1
    beside cat pipe >piped
    to --output=csv:pipe && joined && cmp piped single.csv
}
ok 'output: a named pipe is written as it is' named_pipe

# ---- What Prometheus and Bencher must not see ----------------------------------------------------------------------

twice()
{
    run 0 -q --device=cpu --num-tokens=4,4 --hidden-size=32 --num-iters=2 --format=openmetrics &&
        same 1 "$(grep -c '^quantbench_median_seconds{' out)" && same '' "$(grep -v '^#' out | sed 's/ [^ ]*$//' | sort | uniq -d)"
}
ok 'openmetrics: a case that is there twice has one line of each value' twice
labels()
{
    sed 's/"kernel": "[^"]*"/"kernel": "a\\"b\\\\c\\u202e"/' single.json >labels.json &&
        run 0 --report=labels.json --format=openmetrics && out_has 'kernel="a\"b\\c?"'
}
ok 'openmetrics: labels stay labels' labels
failed_metrics()
{
    run 3 -q --device=cpu --hidden-size=32 --num-tokens=4,1000000000000000 --num-iters=2 --output=timeless.json &&
        run 0 --report=timeless.json --format=openmetrics && same '} 0 } 3' \
        "$(sed -n 's/^quantbench_case_status.*\(} .*\)/\1/p' out | paste -sd' ' -)" &&
        same 1 "$(grep -c '^quantbench_median_seconds{' out)"
}
ok 'openmetrics: a case without a time says why' failed_metrics
no_latency() { run 0 --report=timeless.json --format=bmf && same 1 "$(grep -c latency out)"; }
ok 'bmf: a case without a time has no latency' no_latency

# ---- Damaged and foreign files -------------------------------------------------------------------------------------

ok 'damaged: a file that is not there is refused' fails 3 'missing.json: No such file' --report=missing.json
ok 'damaged: a folder as a record is refused' fails 2 'is a directory' --report=folder.csv
# refused TEXT WORD FILE: exit status 2, and the message names FILE and has WORD.
refused() { ok "damaged: $1" refused_file "$2" "$3"; }
refused_file() { fails 2 "$2: " --report="$2" && err_has "$1" && err_has 'expected'; }
: >empty
refused 'an empty file' 'quantbench --format=json' empty
head -c 300 single.json >short
refused 'a file that is cut off' 'line ' short
refused 'a tensor' 'line 1' "$awkward"
refused 'a report of Google Benchmark' 'schema: expected "quantbench-result"' single.gbench.json
refused 'CSV' 'line 1' single.csv
echo '[]' >array
refused 'an array' 'the document: expected an object' array
{ cat single.json; echo '{}'; } >double
refused 'two documents' 'line ' double
run 0 --list-kernels --format=json
cp out kernels.json
refused 'a list of kernels' 'schema: expected "quantbench-result"' kernels.json

# damaged TEXT WORD SCRIPT: the single case's record, changed by sed, is refused with WORD.
damaged()
{
    sed "$3" single.json >damaged.json
    if cmp -s single.json damaged.json; then ok "damaged: $1 (nothing was changed)" false; return; fi
    refused "$1" "$2" damaged.json
}
damaged 'an older version' 'written by an older version of quantbench' \
    's/"schema_version": 2/"schema_version": 1/'
damaged 'a later version' 'schema_version: expected a whole number from 2 to 2' 's/"schema_version": 2/"schema_version": 3/'
damaged 'no version' 'schema_version' '/"schema_version"/d'
damaged 'a member twice' 'duplicate' 's/"seed": 0/"seed": 0, "seed": 0/'
damaged 'a seed below 0' 'seed: expected a whole number from 0' 's/"seed": 0/"seed": -1/'
damaged 'a seed that is text' 'seed: expected a whole number from 0' 's/"seed": 0/"seed": "0"/'
damaged 'no date' 'date: expected a string' '/"date"/d'
damaged 'a date that moves the cursor' 'without control characters' 's/"date": "/&\\u001b[2J/'
damaged 'argv with a number' 'argv: expected an array of strings' 's/"--device=cpu"/7/'
damaged 'a host that is not an object' 'host: expected an object' 's/"host": {/"host": 1, "x": {/'
damaged 'a device without a name' 'devices[0].name: expected a string' '/"devices"/,/}/{/"name"/d;}'
damaged 'a name that is too long' 'a string of up to 31 bytes' 's/"isa": "/&0123456789012345678901234567890123456789/'
damaged 'results that are not an array' 'results: expected an array' 's/"results": \[/"results": 0, "x": [/'
damaged 'a result of another device' 'results[0].device: expected the id of one of the devices' \
    's/"device": "cpu"/"device": "gpu"/'
damaged 'an unknown dtype' 'results[0].problem.dtype: expected one of "half", "bfloat16", "float"' \
    's/"dtype": "half"/"dtype": "int8"/'
damaged 'an unknown granularity' 'problem.granularity: expected one of' 's/"granularity": "tensor"/"granularity": "group:0x8"/'
damaged 'a group of no elements' 'results[0].problem: expected something that can be quantized (group size 0' \
    's/"granularity": "tensor"/"granularity": "group:0"/'
damaged 'no tokens' 'num_tokens: expected a whole number from 1' 's/"num_tokens": 4/"num_tokens": 0/'
damaged 'scales of another shape' 'results[0].problem.scale_shape: expected [4, 1]' \
    's/"granularity": "tensor"/"granularity": "token"/'
damaged 'an unknown verdict' 'verification: expected one of "not verified", "verified", "WRONG"' \
    's/"verification": "verified"/"verification": "maybe"/'
damaged 'an unknown cache state' 'cache: expected one of "cold"' 's/"cache": "/&luke/'
damaged 'a truth that is none' 'results[0].profiled: expected true or false' 's/"profiled": false/"profiled": 0/'
damaged 'threads below 1' 'threads: expected a whole number from 1' 's/"threads": [0-9]*/"threads": 0/'
damaged 'a time that is a number' 'time_ns: expected an object or null' 's/"time_ns": {/"time_ns": 1, "x": {/'
damaged 'a median below the minimum' 'time_ns.median: expected a number from min to max' 's/"median": .*/"median": 0.0,/'
damaged 'a time below 0' 'time_ns.mean: expected a number >= 0' 's/"mean": /"mean": -/'
damaged 'half an interval' 'median_ci95: expected an array of two numbers' '/"median_ci95"/s/\[/[1.5,/'
damaged 'a sample that is text' 'samples: expected an array of numbers' '/"samples": \[/s/$/"x",/'
damaged 'no sample' 'samples: expected at least one number' '/"mild_outliers"/s/[0-9]/0/; /"severe_outliers"/s/[0-9]/0/
    s/"samples": \[/"samples": [], "x": [/'
damaged 'an infinite number' 'line ' 's/"max": .*/"max": 1e999,/'
damaged 'a wrong result with exit status 0' 'results[0].exit_status: expected 4' \
    's/"verification": "verified"/"verification": "WRONG"/; s/"quality": {/"quality": null, "x": {/'
damaged 'a time with exit status 3' 'results[0].time_ns: expected null' 's/^      "exit_status": 0/      "exit_status": 3/'
damaged 'wrong codes that are verified' 'results[0].verification: expected "WRONG"' 's/"wrong_codes": 0/"wrong_codes": 7/'
damaged 'a relative error where the error is infinite' 'quality.largest_relative_error: expected null' \
    's/"largest_error": .*/"largest_error": null,/'
damaged 'an unknown exit status' 'exit_status: expected a whole number' 's/"exit_status": 0/"exit_status": 77/'
damaged 'an unknown distribution' 'dist: expected one of "normal", "uniform"' 's/"dist": "normal"/"dist": "gamma"/'
damaged 'no distribution where there is no input' 'dist: expected one of "normal"' 's/"dist": "normal"/"dist": null/'
damaged 'a distribution of an input' 'dist: expected null' 's/"input": null/"input": "x.npy"/'
damaged 'a digest of generated data' 'data_digest: expected a string of 16 hexadecimal digits, or null' \
    's/"data_digest": null/"data_digest": "0123456789abcdef"/'
damaged 'quality that is a number' 'quality: expected an object or null' \
    's/"quality": {/"quality": 1, "x": {/'
damaged 'quality of codes that are not verified' 'quality: expected null, since the codes are not verified,' \
    's/"verification": "verified"/"verification": "not verified"/'
damaged 'more elements than the tensor has' 'quality.finite: expected a number that adds up' \
    's/"finite": 128/"finite": 129/'
damaged 'fewer elements than the tensor has' 'quality.finite: expected a number that adds up' \
    's/"finite": 128/"finite": 127/'
damaged 'more saturated elements than there are' 'quality.saturated: expected no more than the finite elements' \
    's/"saturated": 0/"saturated": 129/'
damaged 'no signal-to-noise ratio where there is noise' 'quality.snr_db: expected a number' 's/"snr_db": .*/"snr_db": null,/'
damaged 'a signal-to-noise ratio without noise' 'quality.snr_db: expected null' 's/"largest_error": .*/"largest_error": 0.0,/'
damaged 'a largest error below 0' 'quality.largest_error: expected a number >= 0' 's/"largest_error": /"largest_error": -/'
damaged 'a relative error that is text' 'quality.largest_relative_error: expected a number' \
    's/"largest_relative_error": .*/"largest_relative_error": "x",/'
damaged 'fewer cases than results' 'cases: expected a whole number from 1' 's/"cases": 1/"cases": 0/'

done_testing
