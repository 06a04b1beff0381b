#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# overwrite.sh - no option writes a file over one that another reads or writes: that is refused before anything is
# measured, and both files stay as they are.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"
# shellcheck source=tests/safetensors.sh
. "$srcdir/tests/safetensors.sh"

tensor()
{
    safetensors '{"w":{"dtype":"F16","shape":[2,32],"data_offsets":[0,128]}}'
    repeated 64 '\000\074'
}
mkdir model
tensor >model/a.safetensors
tensor >w.safetensors
ln w.safetensors hard.safetensors
ln -s w.safetensors soft.safetensors
echo localhost >hosts
echo '{"num-tokens": 4, "hidden-size": 64, "count": 2}' >list.jsonl
cp list.jsonl list.gp
small='--device=cpu --num-tokens=4 --hidden-size=64 --num-iters=10 --max-time=1'
# shellcheck disable=SC2086 # a list of options
"$QUANTBENCH" $small --output=record.json >out 2>err || exit 99
cp record.json record.gp
# shellcheck disable=SC2086
"$QUANTBENCH" $small --runs=5 --save-baseline=base.json --force >out 2>err || exit 99

# as_it_is FILE ERROR ARGUMENT...: a run ends with ERROR, and FILE is what it was.
as_it_is()
{
    kept=$1
    shift
    cp "$kept" before && fails 2 "$@" && cmp "$kept" before
}
# refused WRITING READ FILE ARGUMENT...: the option WRITING would write FILE, which READ names.
refused()
{
    writing=$1 read=$2 file=$3
    shift 3
    as_it_is "$file" "--$writing: $file is also the file of --$read; expected another file" "$@"
}
# ran_to FILE ARGUMENT...: FILE is written, whatever the verdict is.
ran_to()
{
    file=$1
    shift
    "$QUANTBENCH" "$@" >out 2>err
    [ -s "$file" ]
}
for file in w hard soft; do
    file=$file.safetensors
    for writing in output=csv: journal= save-baseline=; do
        ok "${writing%%=*}: an input, $file" refused "${writing%%=*}" input $file --device=cpu --input=w.safetensors \
            "--$writing$file"
    done
    ok "save-scales: an input, $file" refused save-scales input $file --calibrate=amax --input=w.safetensors \
        --save-scales=$file
done
ok 'plot: a list of cases' refused plot cases list.gp --device=cpu --cases=list.gp --plot=list.gp
for writing in output=csv: journal= save-baseline=; do
    ok "${writing%%=*}: a list of cases" refused "${writing%%=*}" cases list.jsonl --device=cpu --cases=list.jsonl \
        "--${writing}list.jsonl"
done
for writing in output= save-baseline=; do
    # shellcheck disable=SC2086 # a list of options
    ok "${writing%%=*}: a baseline" refused "${writing%%=*}" baseline base.json $small --baseline=base.json \
        "--${writing}base.json"
done
ok 'output: a record' refused output report record.json --report=record.json --output=record.json
ok 'plot: a record' refused plot report record.gp --report=record.json --report=record.gp --plot=record.gp
ok 'output: a record of a fleet' refused output fleet record.json --fleet=record.json --output=record.json
mkdir fleet
cp record.json fleet/a.json
cp record.json fleet/b.json
echo '{"metadata": {}, "weight_map": {"w": "a.safetensors"}}' >model/model.safetensors.index.json
# among WRITING READ FILE ARGUMENT...: the option WRITING would write FILE, which is in the folder that READ names.
among()
{
    writing=$1 read=$2 file=$3
    shift 3
    as_it_is "$file" "--$writing: $file is in the folder of --$read; expected a file elsewhere" "$@"
}
ok 'output: in the folder of a fleet' among output fleet fleet/b.json --fleet=fleet --output=fleet/b.json
ok 'output: in the folder of a fleet by its own name' among output fleet fleet/b.json --fleet=fleet/../fleet/ \
    --output=fleet/b.json
index=model/model.safetensors.index.json
ok 'output: the index of a model' among output input $index --quality --input=model --output=csv:$index
ok 'output: a file of a model by its index, of which one tensor is read in processes of its own' among output input \
    model/a.safetensors --device=cpu --runs=5 --input=$index --tensor=w --output=csv:model/a.safetensors
ok 'output: a new file in the folder of a fleet' ran_to fleet/report.json --fleet=fleet --output=fleet/report.json
ok 'output: the hosts of a fleet' refused output expect hosts --fleet=record.json --expect=hosts --output=csv:hosts
# shellcheck disable=SC2086
ok 'output: a plug-in' refused output plugin hosts $small --plugin=./hosts --output=csv:hosts
ok 'output: scales that are rated' refused output rate-scales w.safetensors --calibrate=amax --input=model \
    --rate-scales=w.safetensors --output=csv:w.safetensors
# shellcheck disable=SC2086
ok 'output: a journal that is continued' refused output resume record.json $small --resume=record.json \
    --output=record.json
# shellcheck disable=SC2086
ok 'output: a new file twice' fails 2 '--output: ./new is also the file of --output' $small --output=csv:new \
    --output=csv:./new
# A folder stands for its files.
shard=model/a.safetensors
ok 'output: a file of a model' among output input $shard --device=cpu --input=model --output=csv:$shard
ok 'output: a file of a model in several runs' among output input $shard --device=cpu --runs=2 --input=model \
    --output=csv:$shard
ok 'output: a file of a model that is rated' among output input $shard --quality --input=model --output=csv:$shard
ok 'save-scales: a file of a model' among save-scales input $shard --calibrate=amax --input=model --save-scales=$shard
ok 'output: beside the files of a model' run 0 --quality --input=model --output=model/report.csv

done_testing
