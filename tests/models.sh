#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# models.sh - many tensors: folders, split models, patterns and slices, --list-tensors, --quality and its summary, and
# what is refused.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"
# shellcheck source=tests/safetensors.sh
. "$srcdir/tests/safetensors.sh"

# a.weight: 2 x 32 times 1; a.bias: 4 elements; ids: of another type.
one_file()
{
    safetensors '{"a.weight":{"dtype":"F16","shape":[2,32],"data_offsets":[0,128]},"a.bias":{"dtype":"F16","shape":[4],"data_offsets":[128,136]},"ids":{"dtype":"I64","shape":[1,2],"data_offsets":[136,152]}}'
    repeated 68 '\000\074'
    repeated 16 '\001'
}
# experts: 2 x 2 x 16 times 1, then 2.
experts()
{
    safetensors '{"experts.w1":{"dtype":"F32","shape":[2,2,16],"data_offsets":[0,256]}}'
    repeated 32 '\000\000\200\077'
    repeated 32 '\000\000\000\100'
}
mkdir split folder
one_file >split/model-00001-of-00002.safetensors
experts >split/model-00002-of-00002.safetensors
cat >split/model.safetensors.index.json <<'END'
{"metadata": {"total_size": 408}, "weight_map": {
 "a.weight": "model-00001-of-00002.safetensors", "a.bias": "model-00001-of-00002.safetensors",
 "ids": "model-00001-of-00002.safetensors", "experts.w1": "model-00002-of-00002.safetensors"}}
END
one_file >folder/b.safetensors
experts >folder/a.safetensors
one_file >one.safetensors
# SIZE_OF and what comes after the header of .npy: 1 x 32 of half.
{
    printf '\223NUMPY\001\000\166\000'
    printf '%-117s\n' "{'descr': '<f2', 'fortran_order': False, 'shape': (1, 32), }"
    repeated 32 '\000\074'
} >x.npy
cp x.npy y.npy

# ---- Lists ---------------------------------------------------------------------------------------------------------

listed() { run 0 "$@" --list-tensors --format=csv; sed -n 's/^"\([^"]*\)".*/\1/p' out | tr '\n' ' ' >names; }
lists() # WANTED ARGUMENT...
{
    wanted=$1
    shift
    listed "$@" && same "$wanted" "$(cat names)"
}
ok 'list: all tensors of a file, of any type' lists 'a.bias a.weight ids ' --input=one.safetensors
ok 'list: a split model' lists 'a.bias a.weight experts.w1 ids ' --input=split/model.safetensors.index.json
ok 'list: a folder with an index' lists 'a.bias a.weight experts.w1 ids ' --input=split
ok 'list: a folder without one' lists 'a.bias a.weight experts.w1 ids ' --input=folder
ok 'list: several inputs, one after another' lists 'experts.w1 a.bias a.weight ids ' \
    --input=folder/a.safetensors --input=one.safetensors
ok 'list: patterns' lists 'a.weight ' --input=split --tensor='a.*,!*bias'
ok 'list: what patterns leave out' lists 'a.weight experts.w1 ' --input=split --tensor='!*bias,!ids'
ok 'list: slices' lists 'experts.w1[1] ' --input=split --tensor='*w1[1]'
text()
{
    run 0 --input=one.safetensors --list-tensors && out_has '3 tensors, 0.0 MB' &&
        grep -qE '^a\.weight +\[2, 32\] +F16 +128 +one\.safetensors$' out
}
ok 'list: text' text
json()
{
    run 0 --input=split --list-tensors --format=json && out_has '"schema": "quantbench-tensors"' &&
        grep -q '"rows": 4' out && grep -q '"file": "split/model-00002-of-00002.safetensors"' out
}
ok 'list: JSON' json
ok 'list: Markdown' eval 'run 0 --input=one.safetensors --list-tensors --format=markdown && out_has "| a.weight |"'
ok 'list: a list cannot be a test' fails 2 'cannot show a list' --input=one.safetensors --list-tensors --format=junit

# A name with a line break and one like a formula: whole in CSV, marked as other reports mark it.
raw()
{
    safetensors '{"=a\nb":{"dtype":"F16","shape":[2,32],"data_offsets":[0,128]},"c":{"dtype":"F16","shape":[2,32],"data_offsets":[128,256]}}' >raw.safetensors
    repeated 128 '\000\074' >>raw.safetensors
    run 0 --input=raw.safetensors --list-tensors --format=csv && grep -qx "\"'=a" out && grep -q '^b",' out &&
        run 0 --input=raw.safetensors --quality --best=snr --format=markdown && grep -qF '=a\\x0ab | ' out
}
ok 'list: CSV has raw names, Markdown safe ones' raw

# ---- Quality -------------------------------------------------------------------------------------------------------

# Ones are exact in any format with a scale of their own; those of several dimensions are rated.
quality()
{
    run 0 --input=split --quality --quant-dtype=fp8,int8 --granularity=token --output=q.json &&
        err_has '1 of 4 tensors cannot be quantized' && err_has "'ids': I64 [1, 2]" &&
        out_has 'summary   2 tensors, 0.0 million elements, 0.000 MB; 2 more, 0.000 MB,' &&
        out_has 'experts.w1' && same 2 "$(grep -c '^a\.weight' out)" &&
        grep -q '"kept": "of one dimension"' q.json && grep -q '"kept": "of another type"' q.json &&
        grep -q '"rated_only": true' q.json && grep -q '"verification": "not verified"' q.json
}
ok 'quality: a split model' quality
again()
{
    cp out first && run 0 --report=q.json && cmp first out && run 0 --report=q.json --format=json && cmp out q.json
}
ok 'quality: the same report from the record' again
others()
{
    for format in csv markdown junit github gbench; do
        run 0 --report=q.json --format=$format || return 1
    done
    run 0 --report=q.json --format=csv && same 5 "$(wc -l <out | tr -d ' ')" &&
        grep -q ',split/model-00002-of-00002.safetensors,experts.w1,' out &&
        run 0 --report=q.json --format=markdown && out_has '| quantized to | min dB |' &&
        run 0 --report=q.json --format=junit && out_has 'failures="0" errors="0" skipped="0"'
}
ok 'quality: each format of reports' others
slice()
{
    run 0 --input=split --quality --tensor='experts.w1[1]' --format=json && out_has '"tensor": "experts.w1[1]"' &&
        out_has '"num_tokens": 2' && out_has '"signal": 128.0'
}
ok 'quality: a slice has the elements of the slice' slice
twins()
{
    run 0 --input=x.npy --input=y.npy --quality --output=twins.json && err_has 'y.npy: the same bytes as x.npy' &&
        out_has 'x.npy' && grep -q '"same_as": 0' twins.json
}
ok 'quality: equal tensors are noticed' twins
generated() { run 0 --quality --num-tokens=2 --hidden-size=64 --dist=outliers --granularity=tensor,token && out_has 'granularity'; }
ok 'quality: of generated data' generated
threads()
{
    run 0 --input=split --quality --quant-dtype=int4 --granularity=group:16 --format=csv && cut -d, -f27-36 out >many &&
        OMP_NUM_THREADS=1 && export OMP_NUM_THREADS &&
        run 0 --input=split --quality --quant-dtype=int4 --granularity=group:16 --format=csv &&
        cut -d, -f27-36 out >single && unset OMP_NUM_THREADS && cmp many single
}
ok 'quality: the same figures with one thread' threads

# 2 x 2 x 16 times 1, then 2; and a name that the slice would match as a pattern of shells.
{
    safetensors '{"e.w":{"dtype":"F32","shape":[2,2,16],"data_offsets":[0,256]},"e.w1":{"dtype":"F32","shape":[2,16],"data_offsets":[256,384]}}'
    repeated 64 '\000\000\200\077'
    repeated 32 '\000\000\000\100'
} >slices.safetensors
ok 'list: a tensor and its slice are the tensor' lists 'e.w e.w1 ' --input=slices.safetensors --tensor='*,e.w[0]'
ok 'list: the same by name' lists 'e.w ' --input=slices.safetensors --tensor='e.w[0],e.w'
ok 'list: a slice is not a pattern of shells' lists 'e.w[1] ' --input=slices.safetensors --tensor='e.w[1]'
ok 'list: without such a slice it is one' lists 'e.w1 ' --input=slices.safetensors --tensor='e.w[1-1]'
ok 'list: all slices but one' lists 'e.w[1] e.w1 ' --input=slices.safetensors --tensor='!e.w[0]'
ok 'list: a slice that is chosen and left out' lists 'e.w[1] ' --input=slices.safetensors --tensor='e.w[0],e.w[1],!e.w[0]'
rest()
{
    run 0 --input=slices.safetensors --quality --tensor='e.w[1],e.w1' --output=rest.json &&
        out_has 'summary   2 tensors, 0.0 million elements, 0.000 MB; 1 more, 0.000 MB,' &&
        grep -A4 '"name": "e.w",' rest.json | grep -q '"bytes": 128' &&
        run 0 --input=slices.safetensors --quality --tensor='*,!e.w[1]' --output=rest.json &&
        grep -A4 '"name": "e.w",' rest.json | grep -q '"bytes": 128'
}
ok 'quality: the other slices are kept as they are' rest

# ---- The best ------------------------------------------------------------------------------------------------------

best()
{
    run 0 --input=split --quality --quant-dtype=fp8 --granularity=token,group:32 --best=snr &&
        out_has 'best      the largest SNR' && out_has 'undecided: ' &&
        grep -qE '^all best  2 of 2 tensors, [12] of them undecided, SNR' out
}
ok 'best: what is as good is undecided' best
bytes()
{
    run 0 --input=split --quality --quant-dtype=fp8,int4 --granularity=token --best=bytes:20dB &&
        grep -qE '^a\.weight .* int4, token' out && run 0 --report=q.json --best=bytes:500dB &&
        out_has 'with an SNR of at least 500 dB'
}
ok 'best: the fewest bytes, and by the record' bytes
none()
{
    run 0 --quality --input=split --quant-dtype=int4 --granularity=tensor --tensor='experts.w1,a.weight' --best=bytes:999dB &&
        grep -qE '^experts\.w1 +- +- +none$' out
}
ok 'best: none keeps the SNR' none
ok 'best: a rule that is none' fails 2 "unknown value 'all'" --report=q.json --best=all

digits()
{
    run 0 --report=q.json --best=bytes:35.1dB --format=json && out_has '"snr_db": 35.1,' &&
        run 0 --input=split --quality --best=bytes:35.1dB --format=json && out_has '"snr_db": 35.1,'
}
ok 'best: the decibels keep their digits' digits

ok 'best: of generated data' fails 2 'requires --input or --report' --quality --best=snr
ok 'best: of a list' fails 2 'conflicts with' --input=split --list-tensors --best=snr

# ---- Sums ----------------------------------------------------------------------------------------------------------

# A way that was timed in two caches has the bytes of one.
once()
{
    run 0 --input=split --tensor='a.weight,experts.w1' --num-iters=2 --num-warmup-iters=0 --rounds=1 --cache=hot,cold \
        --granularity=token --format=json && grep -A 7 '"quantized_to"' out >ways && grep -q '"tensors": 2,' ways &&
        grep -q '"bytes": 152,' ways
}
ok 'sums: cases that differ in how they run count once' once
lacking()
{
    sed 's/"has_quality": true/&/' q.json >lack.json && awk '/"tensors": \[/ && !done { print; done = 1
        print "{\"file\": \"z\", \"name\": \"z\", \"title\": \"z\", \"type\": \"F16\", \"shape\": \"[1, 32]\", \"kept\": \"later\", \"bytes\": 64, \"digest\": null, \"same_as\": null},"
        next } { print }' q.json >kept.json && fails 2 'expected a tensor that is quantized' --report=kept.json
}
ok 'records: a result of a kept tensor is refused' lacking
missing()
{
    awk '/"tensors": \[/ && !in_list && !done { in_list = 1 }
        in_list && /^  \],/ { in_list = 0; done = 1
        print ",{\"file\": \"z\", \"name\": \"z\", \"title\": \"z\", \"type\": \"F16\", \"shape\": \"[1, 32]\", \"kept\": null, \"bytes\": 64, \"digest\": null, \"same_as\": null}" }
        { print }' q.json >lack.json && run 0 --report=lack.json && out_has '3 tensors' &&
        grep -qE ' - +-  2 of 3$' out && run 0 --report=lack.json --format=markdown && out_has '| - | - | 2 of 3 |' &&
        run 0 --report=lack.json --format=json && out_has '"model_bytes": null'
}
ok 'sums: a way that lacks tensors has no size of the model' missing
itself()
{
    sed 's/"same_as": null/"same_as": 0/' q.json >self.json && fails 2 'same_as: expected' --report=self.json &&
        sed 's/"best": null/"best": 7/' q.json >seven.json && fails 2 'expected an object or null' --report=seven.json
}
ok 'records: what names itself, and a rule of another type' itself
hostile()
{
    sed 's/"bytes": 128,/"bytes": 9223372036854775807,/' q.json >huge.json &&
        run 0 --report=huge.json --format=json && ! grep -q ': -[0-9]*[0-9],*$' out
}
ok 'records: sums of large numbers are not negative' hostile
ok 'quality: threads make no way' fails 2 'conflicts with --threads' --input=split --quality --threads=1,2

# Names that begin alike differ after they are cut.
long()
{
    name=$(printf '%0100d' 0)
    safetensors "{\"${name}.a\":{\"dtype\":\"F16\",\"shape\":[2,32],\"data_offsets\":[0,128]},\"${name}.b\":{\"dtype\":\"F16\",\"shape\":[2,32],\"data_offsets\":[128,256]}}" >long.safetensors
    repeated 128 '\000\074' >>long.safetensors
    run 0 --input=long.safetensors --quality --best=snr && same 4 "$(grep -cE '^0{16}\.\.\.0{27}\.[ab] ' out)" &&
        ! grep -qE '^0{49}' out
}
ok 'text: long names are cut in the middle' long
long_list()
{
    mkdir -p long-folder-of-a-model/snapshots/0123456789abcdef && cp long.safetensors long-folder-of-a-model/snapshots/0123456789abcdef &&
        COLUMNS=100 && export COLUMNS && run 0 --input=long-folder-of-a-model/snapshots/0123456789abcdef --list-tensors &&
        unset COLUMNS && same 2 "$(grep -cE '^0{16}\.\.\.0{27}\.[ab]  .* long-folder-of-a\.\.\..*nsors$' out)" &&
        run 0 --input=long.safetensors --list-tensors --format=csv && grep -qE '^"0{100}\.a"' out
}
ok 'list: long names and files are cut in text only' long_list

# ---- Times ---------------------------------------------------------------------------------------------------------

timed()
{
    run 0 --input=split --tensor='a.weight,experts.w1' --num-iters=2 --num-warmup-iters=0 --rounds=1 --output=t.json &&
        out_has 'median us' && grep -q '^a\.weight' out && grep -q '^experts\.w1' out &&
        run 0 --report=t.json && out_has 'experts.w1'
}
ok 'times: several tensors in one run' timed
apart()
{
    run 0 --input=split --tensor='a.weight,experts.w1[0]' --num-iters=2 --num-warmup-iters=0 --rounds=1 --isolate
}
ok 'times: in a process of their own' apart

# ---- Files that are not plain --------------------------------------------------------------------------------------

# npy TYPE ORDER SHAPE: the header of .npy.
npy()
{
    printf '\223NUMPY\001\000\166\000'
    printf '%-117s\n' "{'descr': '$1', 'fortran_order': $2, 'shape': $3, }"
}
mkdir dumps
{
    npy '<f4' False '(2, 2, 16)'
    repeated 64 '\000\000\200\077'
} >dumps/a.npy
{
    npy '<i8' False '(3,)'
    repeated 24 '\001'
} >dumps/b.npy
{
    npy '<f2' True '(2, 16)'
    repeated 32 '\000\074'
} >dumps/c.npy
{
    npy '>f4' False '()'
    repeated 4 '\000'
} >dumps/d.npy
shapes()
{
    run 0 --input=dumps --list-tensors --format=csv &&
        same '"[2, 2, 16]",F32,256 "[3]",I64,24 "[2, 16]",F16,64 "[]",unknown,4' \
            "$(sed -n 's/^"",\(.*\),"dumps.*/\1/p' out | tr '\n' ' ' | sed 's/ $//')"
}
ok 'list: .npy files of any type and shape, as they are' shapes
types()
{
    run 0 --input=dumps --quality --output=dumps.json && err_has '3 of 4 tensors cannot be quantized' &&
        err_has "b.npy': I64 [3], of another type" && grep -q '"kept": "in Fortran order"' dumps.json
}
ok 'quality: .npy files that cannot be quantized are kept' types
ok 'list: a slice of a .npy file' lists 'a.npy[1] ' --input=dumps --tensor='a.npy[1]'
cut_npy()
{
    npy '<f4' False '(2, 2, 16)' >cut.npy && fails 2 'is truncated' --input=cut.npy --list-tensors &&
        npy '<f4' False '(4294967296, 4294967296)' >cut.npy && fails 2 'overflows 64 bits' --input=cut.npy --quality
}
ok 'list: .npy files whose shape is not that of their data are refused' cut_npy
many_dimensions()
{
    {
        safetensors '{"w":{"dtype":"F32","shape":[1,1,1,1,1,1,1,2,8],"data_offsets":[0,64]},"z":{"dtype":"F32","shape":[0,1000000000000000000,1000000000000000000,1000000000000000000,1000000000000000000,1000000000000000000,1000000000000000000,1000000000000000000],"data_offsets":[64,64]}}'
        repeated 16 '\000\000\200\077'
    } >nine.safetensors
    run 0 --input=nine.safetensors --list-tensors --format=json && out_has '"[1, 1, 1, 1, 1, 1, 1, 2, ...]"' &&
        out_has "\"[0$(repeated 7 ', 1000000000000000000')]\""
}
ok 'list: shapes of many and of long dimensions' many_dimensions

# 2 x 8 floats, two of them: other bytes, of which the digest is the same.
{
    safetensors '{"a":{"dtype":"F32","shape":[2,8],"data_offsets":[0,64]},"b":{"dtype":"F32","shape":[2,8],"data_offsets":[64,128]}}'
    repeated 16 '\000\000\200\077'
    repeated 2 '\000\000\000\100'
    repeated 6 '\000\000\200\077'
    printf '\005\024\371\132\005\024\171\061'
    repeated 6 '\000\000\200\077'
} >collision.safetensors
collision()
{
    run 0 --input=collision.safetensors --quality --output=collision.json &&
        same 1 "$(sed -n '/"tensors"/,/^  \]/s/ *"digest": //p' collision.json | sort -u | wc -l | tr -d ' ')" &&
        ! grep -q '"same_as": 0' collision.json
}
ok 'quality: tensors are equal if their bytes are, not their digests' collision
twice()
{
    lists 'a.bias a.weight ids ' --input=one.safetensors --input=./one.safetensors &&
        err_has '1 file is given twice' && lists 'a.bias a.weight experts.w1 ids ' --input=folder --input=folder/b.safetensors
}
ok 'list: a file that is given twice counts once' twice

# The file of a run changes at one of a kernel's calls: it is cut, or has another time.
${CC:-cc} -std=gnu11 -O2 -ffp-contract=off -fPIC -shared -I"$srcdir/src/libquantbench" -I"$srcdir/src/quantbench" \
    -o file.so "$srcdir/tests/plugins/effects.c" -lm
{
    safetensors '{"a":{"dtype":"F32","shape":[5,37],"data_offsets":[0,740]},"b":{"dtype":"F32","shape":[5,37],"data_offsets":[740,1480]}}'
    repeated 185 '\000\000\200\077'
    repeated 185 '\000\000\000\100'
} >before.safetensors
EFFECT_FILE=$work/changing.safetensors
export EFFECT_FILE
# changes SIZE ARGUMENT...
changes()
{
    EFFECT_SIZE=$1
    export EFFECT_SIZE EFFECT_CALL
    shift
    for EFFECT_CALL in 1 8 40 60; do
        cp before.safetensors changing.safetensors
        run 3 --device=cpu --threads=1 --granularity=token --num-iters=4 --rounds=2 --num-warmup-iters=0 \
            --plugin=file.so --kernel=effects_file --input=changing.safetensors --tensor='*' "$@" &&
            err_has 'changing.safetensors: changed' || return 1
    done
}
size=$(wc -c <before.safetensors)
ok 'times: an input that is written to is an error' changes "$size" --no-isolate
ok 'times: the same in a worker' changes "$size" --isolate
ok 'times: an input that is cut is an error' changes 300 --no-isolate
ok 'times: the same in a worker, cut' changes 300 --isolate

# ---- What is refused -----------------------------------------------------------------------------------------------

ok 'several tensors without a choice' fails 2 'choose with --tensor=PATTERN' --input=split
ok 'a pattern that matches nothing, and the nearest' fails 2 "the nearest: 'a.weight'" \
    --input=one.safetensors --quality --tensor='a.weigth'
ok 'a pattern whose last part is mistyped' fails 2 "the nearest: 'a.weight'" \
    --input=one.safetensors --quality --tensor='*.wieght'
ok 'a pattern that leaves out nothing' fails 2 "'*.biass' matches none" \
    --input=one.safetensors --quality --tensor='!*.biass'
ok 'an empty pattern' fails 2 'expected no empty pattern' --input=one.safetensors --quality --tensor='a.*,'
ok 'a slice that is not there' fails 2 'has no slice [2]' --input=split --quality --tensor='experts.w1[2]'
ok 'a slice of two dimensions' fails 2 'expected a tensor of three' --input=split --quality --tensor='a.weight[0]'
ok 'nothing to quantize' fails 2 'none of the 3 tensors can be quantized' \
    --input=one.safetensors --quality --tensor=ids
mkdir empty missing lies far torn
ok 'an empty folder' fails 2 'neither .safetensors nor .npy' --input=empty --list-tensors
ok 'a folder that is not there' fails 3 'cannot open' --input=nowhere --list-tensors
cp split/model.safetensors.index.json split/model-00001-of-00002.safetensors missing
ok 'a missing shard' fails 3 "1 of its 2 files is missing, such as 'model-00002-of-00002.safetensors'" \
    --input=missing --quality
cp split/*.json split/model-00001-of-00002.safetensors lies
cp split/model-00001-of-00002.safetensors lies/model-00002-of-00002.safetensors
ok 'a shard without its tensor' fails 2 "the tensor 'experts.w1' is missing in 'model-00002-of-00002.safetensors'" \
    --input=lies --quality
cp split/* torn
dd if=split/model-00002-of-00002.safetensors of=torn/model-00002-of-00002.safetensors bs=200 count=1 2>/dev/null
ok 'a shard that is cut' fails 2 'may be truncated' --input=torn --quality
echo '{"weight_map": {"a": "../one.safetensors"}}' >far/model.safetensors.index.json
ok 'a shard that is not beside its index' fails 2 'expected files beside it' --input=far --quality
echo '{"weight_map": {"a": 1}}' >far/model.safetensors.index.json
ok 'an index that is malformed' fails 2 'malformed index' --input=far --quality
echo '{"weight_map": {"a": ' >far/model.safetensors.index.json
ok 'an index that is cut' fails 2 'malformed index' --input=far --quality
known()
{
    cp split/* far && echo '{"weight_map": {"experts.w1": "model-00002-of-00002.safetensors", "a.weight": "model-00001-of-00002.safetensors"}}' >far/model.safetensors.index.json &&
        run 0 --input=far --quality && err_has 'lacks 2 tensors that its files have'
}
ok 'tensors that the index lacks are left out' known
ok 'quality: nothing is timed' fails 2 'conflicts with --kernel' --input=split --quality --kernel=cpu_generic

done_testing
