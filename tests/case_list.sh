#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# case_list.sh - --cases and --serve: lists in JSON lines and CSV, or of a model; what they take together, and what is
# refused.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

fast='--device=cpu --threads=1 --num-iters=2 --num-warmup-iters=0 --rounds=1 --cache=hot'
cat >list.csv <<'END'
name,num_tokens,hidden-size,op,keep_values,count
prefill,16,64,,,2
"decode, ""last""",2,64,,,1000

,2,128,silu-mul,true,50
END
cat >list.jsonl <<'END'
{"name": "prefill", "num_tokens": 16, "hidden-size": "64", "count": 2}
{"name": "decode, \"last\"", "num_tokens": 2, "hidden_size": 64, "op": null, "count": 1000}

{"num_tokens": 2, "hidden_size": 128, "op": "silu-mul", "keep_values": true, "count": 50}
END

# listed FILE ARGUMENT...: measure it. $fast is a list of words.
listed()
{
    file=$1
    shift
    # shellcheck disable=SC2086
    run 0 $fast --cases="$file" "$@"
}
csv()
{
    listed list.csv --output=csv.json && out_has 'spent     all: 1052 launches, ' && out_has '; prefill ' &&
        out_has ', decode, "last" ' && grep -qE '^ *2 +2 .* prefill: tokens 16, hidden 64, op quantize' out &&
        same 3 "$(grep -c '"count": ' csv.json)" && grep -q '"line": 5' csv.json
}
ok 'list: CSV' csv
jsonl()
{
    listed list.jsonl --output=jsonl.json && out_has 'spent     all: 1052 launches, ' &&
        same "$(sed -n 's/^ *"\(num_tokens\|hidden_size\|operation\|keep_values\|count\|name\)": /\1 /p' csv.json)" \
            "$(sed -n 's/^ *"\(num_tokens\|hidden_size\|operation\|keep_values\|count\|name\)": /\1 /p' jsonl.json)"
}
ok 'list: JSON lines are the same cases' jsonl
again()
{
    cp out first && run 0 --report=jsonl.json && cmp first out && run 0 --report=jsonl.json --format=json && cmp out jsonl.json
}
ok 'list: the same report from the record' again
formats()
{
    run 0 --report=jsonl.json --format=csv && same 'name count line share' \
        "$(head -n 1 out | tr , '\n' | grep -xE 'name|count|line|share' | tr '\n' ' ' | sed 's/ $//')" &&
        grep -q ',"decode, ""last""",1000,2,0\.' out && run 0 --report=jsonl.json --format=markdown &&
        out_has '| line | launches | each us | all us | share % | case |' && out_has '* spent: all: 1052 launches' &&
        run 0 --report=jsonl.json --format=junit && run 0 --report=jsonl.json --format=gbench
}
ok 'list: CSV and Markdown have the shares' formats
swept()
{
    listed list.jsonl --granularity=token,group:32 --quant-dtype=fp8 --format=json && same 6 "$(grep -c '"count": ' out)" &&
        same 2 "$(grep -c '"of": "granularity ' out)" && same 3 "$(grep -c '"timed": 3\|"lines": 3' out)"
}
ok 'list: what the command line sweeps gives a total each' swept
compared() { listed list.jsonl --granularity=token,group:32 --compare=granularity --format=markdown && out_has 'than granularity token'; }
ok 'list: totals are compared with the first' compared
marked() { { printf '\357\273\277num_tokens,hidden_size,count\r\n2,64,3\r\n'; } >marked.csv && listed marked.csv --dry-run; }
ok 'list: CSV as spreadsheets write it' marked
defaults()
{
    echo '{"num_tokens": 2, "dtype": "float", "count": 1}' >one.jsonl && listed one.jsonl --dtype=bfloat16 --hidden-size=96 --format=json &&
        out_has '"hidden_size": 96' && out_has '"dtype": "float"'
}
ok 'list: the command line says what lines leave open' defaults
runs()
{
    # shellcheck disable=SC2086
    run 0 $fast --cases=list.jsonl --runs=2 --format=json && same 3 "$(grep -c '"count": ' out)" && out_has '"lines": 3'
}
ok 'list: of several processes' runs
apart() { listed list.jsonl --isolate --format=csv && grep -q ',prefill,2,1,0\.' out; }
ok 'list: in a process of their own' apart
planned() { listed list.jsonl --dry-run && out_has 'silu-mul'; }
ok 'list: a dry run has its cases' planned
damaged()
{
    sed 's/"count": 2,/"count": 0,/' jsonl.json >zero.json && fails 2 'count: expected' --report=zero.json &&
        sed 's/"line": 2,/"line": -1,/' jsonl.json >line.json && fails 2 'line: expected' --report=line.json
}
ok 'records: counts and lines are checked' damaged

# ---- Served models -------------------------------------------------------------------------------------------------

# served MODEL PHASES ARGUMENT...: one launch of each case.
served()
{
    model=$1 phases=$2
    shift 2
    run 0 --device=cpu --num-iters=1 --num-warmup-iters=0 --rounds=1 --cache=hot --quant-dtype=fp8 --granularity=token \
        --model="$model" --serve="$phases" "$@"
}
# What each case is: tokens, hidden size and count.
rows() { awk -F'[:,]' '/"num_tokens"/ { t = $2 } /"hidden_size"/ { h = $2 } /^      "count"/ { print t h $2 }' "$1" | sed 's/^ //' | tr '\n' ';'; }
phases()
{
    served qwen3-8b prefill:16x1,decode:2x128 --output=served.json &&
        same '16 4096 72;16 4096 36;16 12288 36;2 4096 9216;2 4096 4608;2 12288 4608;' "$(rows served.json)" &&
        grep -q '"served_tokens": 272,' served.json && cp out first && run 0 --report=served.json && cmp first out &&
        run 0 --report=served.json --format=markdown && grep -qE '^\* spent: all: 18576 launches, .* us per token; prefill .* %, decode .* %$' out
}
ok 'serve: phases of a model of one kind of layers' phases
experts()
{
    served deepseek-v3 decode:1x3 --format=json &&
        same '1 7168 366;1 1536 183;1 16384 183;1 18432 9;1 2048 174;8 2048 174;' "$(rows out)"
}
ok 'serve: experts, shared ones, and queries of low rank' experts
activation()
{
    served gpt-oss-120b decode:1x1 --format=json && out_has '"interleaved"' && out_has '"gate_limit": 7.0' &&
        served gemma3-27b decode:1x1 --format=json && out_has '"gelu-mul"'
}
ok 'serve: the activation of the model' activation
plain() { served qwen3-8b decode:1x1 --op=quantize --format=json && ! grep -q 'rms-norm"\|silu-mul"' out && same 3 "$(grep -c '"count": ' out)"; }
ok 'serve: rows that another kernel has computed' plain
ok 'refused: a phase without passes' fails 2 "'decode:8': expected PHASE:TOKENSxPASSES" --model=qwen3-8b --serve=decode:8
ok 'refused: a phase without a name' fails 2 "':8x1': expected PHASE" --model=qwen3-8b --serve=:8x1
ok 'refused: a phase without tokens' fails 2 "'d:0x1': expected PHASE" --model=qwen3-8b --serve=d:0x1
ok 'refused: a phase with more after it' fails 2 "'d:1x1x2': expected PHASE" --model=qwen3-8b --serve=d:1x1x2
ok 'refused: an empty phase' fails 2 "'': expected PHASE" --model=qwen3-8b --serve=d:1x1,
ok 'refused: several models that are served' fails 2 'requires one model' --model=qwen3-8b,qwen3-14b --serve=d:1x1
ok 'refused: no model that is served' fails 2 'requires --model' --serve=d:1x1
ok 'refused: a list of each kind' fails 2 'conflicts with --cases' --model=qwen3-8b --serve=d:1x1 --cases=list.csv
tokens() { sed 's/"served_tokens": 272/"served_tokens": -1/' served.json >bad.json && fails 2 'served_tokens: expected' --report=bad.json; }
ok 'records: the tokens that are served are checked' tokens

# ---- What is refused -----------------------------------------------------------------------------------------------

# refuses WORD LINE...
refuses()
{
    word=$1
    shift
    printf '%s\n' "$@" >bad && fails 2 "$word" --cases=bad && { [ $# -lt 2 ] || err_has 'bad: line 2'; }
}
ok 'refused: an unknown option' refuses "unknown option '--num-token'; did you mean '--num-tokens'?" num_token,count 2,1
ok 'refused: an option of the run' refuses '--num-iters: is about the whole run' num_iters,count 2,1
ok 'refused: the seed' refuses '--seed: is about the whole run' seed,count 2,1
ok 'refused: a model, which has several sizes' refuses '--model: is about the whole run' model,count llama3-8b,1
ok 'refused: several values' refuses "--num-tokens: '1:8:x2': expected one value" num_tokens,count 1:8:x2,1
ok 'refused: a list' refuses "--dtype: 'half,float': expected one value" dtype,count '"half,float",1'
ok 'refused: a bad value' refuses "--dtype: unknown value 'hlaf'" dtype,count hlaf,1
ok 'refused: options that do not go together' refuses '--gate' gate,count interleaved,1
ok 'refused: no count' refuses 'expected count' num_tokens 2
ok 'refused: a count of zero' refuses 'expected count' num_tokens,count 2,0
ok 'refused: a negative count' refuses 'expected count' num_tokens,count 2,-1
ok 'refused: a count with a fraction' refuses 'expected count' num_tokens,count 2,1.5
ok 'refused: fewer fields than names' refuses 'expected as many fields' num_tokens,count 2
ok 'refused: a quotation mark without an end' refuses 'malformed CSV' num_tokens,count '"2,1'
ok 'refused: malformed JSON' refuses 'expected a JSON object' '{"num_tokens": 2, "count": 1}' '{"num_tokens": 2'
ok 'refused: a member that is a list' refuses 'expected members that are texts' '{"num_tokens": 2, "count": 1}' \
    '{"num_tokens": [2], "count": 1}'
ok 'refused: a flag that is neither true nor false' refuses "--keep-values: 'maybe': expected true or false" keep_values,count maybe,1
ok 'refused: no cases' refuses 'has no cases' num_tokens,count
: >empty
ok 'refused: an empty file' fails 2 'has no cases' --cases=empty
ok 'refused: a file that is not there' fails 3 'nowhere' --cases=nowhere
ok 'refused: an input too' fails 2 'conflicts with --input' --cases=list.csv --input=x.npy
kernel()
{
    printf 'num_tokens,kernel,count\n2,cpu_generic,1\n2,cpu_nothing,1\n' >bad && fails 2 "unknown kernel 'cpu_nothing'" --device=cpu --cases=bad &&
        err_has 'bad: line 3 cannot run'
}
ok 'refused: a kernel that is not there' kernel

done_testing
