#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# calibrate.sh - --calibrate: which dumps belong together, reports and files of static scales, their way back into the
# tool, and what is refused.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"
# shellcheck source=tests/safetensors.sh
. "$srcdir/tests/safetensors.sh"

# npy TYPE ROWS COLUMNS: the head of a file.
npy()
{
    printf '\223NUMPY\001\000\166\000'
    printf '%-117s\n' "{'descr': '$1', 'fortran_order': False, 'shape': ($2, $3), }"
}
# ones ROWS LAST: ROWS x 8 of half: 1, and LAST at the end.
ones()
{
    npy '<f2' "$1" 8
    repeated $(($1 * 8 - 1)) '\000\074'
    # shellcheck disable=SC2059
    printf "$2"
}
mkdir b0 b1
ones 4 '\000\127' >b0/q.npy        # 112
ones 3 '\000\133' >b1/q.npy        # 224
ones 2 '\000\077' >b0/layer10.npy  # 1.75
ones 2 '\000\300' >b1/layer10.npy  # -2
ones 2 '\000\077' >b0/layer9.npy
ones 2 '\000\077' >b1/layer9.npy
{
    safetensors '{"m.weight":{"dtype":"BF16","shape":[2,16],"data_offsets":[0,64]},"h":{"dtype":"F32","shape":[1,16],"data_offsets":[64,128]}}'
    repeated 32 '\140\077' # 0.875
    repeated 16 '\000\000\140\077'
} >w.safetensors
calibrated() { run 0 -q --calibrate "$@"; }

# ---- Which dumps belong together -----------------------------------------------------------------------------------

# sets ARGUMENT...: name, dumps and rows of each.
sets()
{
    calibrated --calibrate=amax --format=csv "$@" && awk -F, 'NR % 3 == 2 { print $1 ":" $2 ":" $3 }' out | xargs >sets.txt
}
by_name() { sets --input=b0 --input=b1 && same 'layer9:2:4 layer10:2:4 q:2:7' "$(cat sets.txt)"; }
ok 'dumps: of the same name in several folders' by_name
by_option() { sets --input=b0 --input=b1 --dumps-of=all && same 'all:6:15' "$(cat sets.txt)"; }
ok 'dumps: all of one name' by_option
by_pattern()
{
    cp b0/q.npy q-0.npy && cp b1/q.npy q-1.npy && cp b0/layer9.npy k-0.npy &&
        sets --input=q-0.npy --input=q-1.npy --input=k-0.npy --dumps-of='{}-*' &&
        same 'k:1:2 q:2:7' "$(cat sets.txt)"
}
ok 'dumps: a pattern of names' by_pattern
by_tensor() { sets --input=w.safetensors --tensor='*' && same 'h:1:1 m.weight:1:2' "$(cat sets.txt)"; }
ok 'dumps: tensors of safetensors files' by_tensor
ok 'dumps: a name that does not match' fails 2 "'q-0' does not match '{}.*'" --calibrate --input=q-0.npy --dumps-of='{}.*'
note()
{
    run 0 --calibrate --input=b0 && err_has '3 dumps of 3 tensors' && err_has 'the largest of 0.0 MB' &&
        err_has 'a tensor of its own; --dumps-of' && run 0 --calibrate --input=b0 --input=b1 &&
        ! grep -q 'of its own' err
}
ok 'dumps: what is read is said before' note
ok 'dumps: an empty name' fails 2 "expected a name, or a pattern of names with {} in it" --calibrate --input=b0 --dumps-of=
other_sizes()
{
    { npy '<f2' 2 16; repeated 32 '\000\074'; } >wide.npy
    { npy '<f4' 2 8; repeated 16 '\000\000\200\077'; } >float.npy
    fails 2 "q-0.npy has rows of 8 elements and wide.npy of 16; expected one hidden size in all dumps of 't'" \
        --calibrate --input=q-0.npy --input=wide.npy --dumps-of=t &&
        fails 2 "q-0.npy has elements of F16 and float.npy of F32; expected one type" --calibrate --input=q-0.npy \
            --input=float.npy --dumps-of=t
}
ok 'dumps: sizes and types that differ' other_sizes

# ---- Scales --------------------------------------------------------------------------------------------------------

# amax 224: 224/127, 224/448, 224/57344, and 224/(6*448).
amax()
{
    calibrated --calibrate=amax --input=b0/q.npy --input=b1/q.npy --quant-dtype=int8,fp8,e5m2,nvfp4 --format=csv &&
        same '1.7637795 0.5 0.00390625 0.083333336' "$(awk -F, '$13 == "amax" { print $14 }' out | xargs)"
}
ok 'scales: amax of each format' amax
# 56 elements, of which 112 and 224 are the largest: 98 % leaves one beyond, and 96 % two.
percentile()
{
    calibrated --calibrate=percentile:100,percentile:98,percentile:96 --input=b0/q.npy --input=b1/q.npy --quant-dtype=fp8 \
        --format=csv && same '0.5 0.25 0.002232143' "$(awk -F, '$13 ~ "percentile" { print $14 }' out | xargs)"
}
ok 'scales: percentiles count from the largest' percentile
# From -2 to 1.75: (1.75 + 2) / 255, and the code of 0.
asymmetric()
{
    calibrated --calibrate=amax --input=b0/layer10.npy --input=b1/layer10.npy --asymmetric --format=csv &&
        awk -F, '$13 == "amax" { exit !(($14 - 3.75 / 255) ^ 2 < 1e-16 && $15 == 8) }' out
}
ok 'scales: zero points' asymmetric
dynamic()
{
    calibrated --input=b0/q.npy --quant-dtype=int8,nvfp4 --format=csv &&
        same 'int8,amax int8,percentile:99.99 int8,mse int8,dynamic int8,dynamic-token nvfp4,amax nvfp4,percentile:99.99 nvfp4,mse nvfp4,dynamic' \
            "$(awk -F, 'NR > 1 { print $10 "," $13 }' out | xargs)"
}
ok 'scales: all methods, next to dynamic ones' dynamic
zero()
{
    { npy '<f2' 2 8; repeated 32 '\000'; } >zero.npy
    run 0 --calibrate=amax --input=zero.npy && err_has "'zero' is 0 in all dumps: its scale is set to 1" &&
        out_has 'from 0 to 0: all 0' && grep -qE '^  amax +1 ' out
}
ok 'scales: a tensor that is 0' zero
not_finite()
{
    ones 2 '\000\176' >nan.npy
    ones 2 '\000\174' >inf.npy
    run 0 --calibrate=amax --input=nan.npy --input=inf.npy --dumps-of=x --quant-dtype=fp8 &&
        err_has "nan.npy: 1 NaN and 0 infinities in this dump of 'x' do not count" &&
        err_has "inf.npy: 0 NaN and 1 infinities" && out_has '1 NaN and 1 infinities do not count' &&
        grep -qE '^  amax +0\.002232143 ' out
}
ok 'scales: NaN and infinities are named, and do not count' not_finite
nothing()
{
    { npy '<f2' 1 8; repeated 8 '\000\176'; } >none.npy
    run 2 --calibrate=amax --input=none.npy --input=q-0.npy --save-scales=none.safetensors &&
        err_has "'none' has no finite element" && err_has 'none.safetensors: not written, since tensors are missing' &&
        out_has 'q-0: 1 dump' && [ ! -e none.safetensors ]
}
ok 'scales: a tensor without any finite element' nothing

# ---- Reports -------------------------------------------------------------------------------------------------------

text()
{
    calibrated --input=b0 --input=b1 && out_has 'q: 2 dumps, half [7, 8], from 1 to 224' &&
        out_has 'dB lost to each' && out_has '3 tensors: dB that static scales lose' &&
        grep -qE '^  percentile:99\.99 .* int8: ' out
}
ok 'report: text, and a summary of several tensors' text
json()
{
    calibrated --calibrate=amax --input=b0 --input=b1 --format=json --output=scales.csv --output=scales.md &&
        out_has '"schema": "quantbench-calibration"' && out_has '"file": "b1/q.npy"' && out_has '"scale": 1.7637795,' &&
        grep -q '^q,2,7,8,half,0,0,1,224,int8,none,float,amax,1.7637795,,' scales.csv &&
        grep -q '^| q | 2 | 7 | 8 | half | 0 | 0 | 1 | 224 | int8 | none | float | amax | 1.7637795 |  | ' scales.md
}
ok 'report: JSON, CSV and Markdown' json
hostile()
{
    cp b0/q.npy '=x|y.npy' && calibrated --calibrate=amax --input='=x|y.npy' --format=csv && out_has "'=x|y,1," &&
        calibrated --calibrate=amax --input='=x|y.npy' --format=markdown && out_has '| =x\|y | 1'
}
ok 'report: names stay text' hostile

numbers()
{
    { npy '<f2' 1 2 && printf '\100\322\000\200'; } >fifty.npy # -50 and -0
    { npy '<f2' 1 2 && printf '\000\200\000\200'; } >minus.npy
    calibrated --calibrate=percentile:0.00001,percentile:99.90 --input=fifty.npy --format=csv &&
        same 'percentile:0.00001 percentile:99.9' "$(awk -F, '$13 ~ /percentile/ { print $13 }' out | xargs)" &&
        same '-50 0' "$(awk -F, 'NR == 2 { print $8, $9 }' out)" &&
        calibrated --calibrate=percentile:0.00001 --input=minus.npy --format=json && ! out_has '-0'
}
ok 'report: methods as they are typed, and numbers without an exponent' numbers
one_dump()
{
    calibrated --calibrate=amax --input=b0/q.npy --format=json && ! out_has '"rest_snr_db": null' &&
        calibrated --calibrate=amax --input=b0/q.npy --input=b1/q.npy --format=json && out_has '"rest_snr_db": null'
}
ok 'report: the ratio without the largest elements, of one dump' one_dump

# ---- Files of scales -----------------------------------------------------------------------------------------------

# header FILE: the JSON in it. float FILE OFFSET: four bytes of its data as a number.
header() { tail -c +9 "$1" | head -c "$(od -An -tu4 -N4 "$1" | tr -d ' ')"; }
data() { tail -c +$((9 + $(od -An -tu4 -N4 "$1"))) "$1"; }
save()
{
    calibrated --calibrate=amax --input=b0/q.npy --input=b1/q.npy --quant-dtype=fp8 --save-scales=q.safetensors \
        --format=json &&
        header q.safetensors | grep -qF '"q.input_scale":{"dtype":"F32","shape":[],"data_offsets":[0,4]}' &&
        header q.safetensors | grep -qF '"__metadata__":{"format":"pt"' &&
        same '0000003f' "$(data q.safetensors | od -An -tx1 | tr -d ' \n')" && out_has '"scale": 0.5,' &&
        same 0 "$(($(od -An -tu4 -N4 q.safetensors) % 8))" &&
        run 0 --list-tensors --input=q.safetensors && out_has 'q.input_scale'
}
ok 'file: a scale by its name' save
names()
{
    calibrated --calibrate=amax --input=w.safetensors --tensor='*' --save-scales=n.safetensors --asymmetric \
        --scale-names=compressed-tensors &&
        header n.safetensors >head.txt &&
        for entry in '"h.input_scale":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}' \
            '"m.weight_scale":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}' \
            '"h.input_zero_point":{"dtype":"I8","shape":[1],"data_offsets":[8,9]}' \
            '"m.weight_zero_point":{"dtype":"I8","shape":[1],"data_offsets":[9,10]}'; do
            grep -qF "$entry" head.txt || return 1
        done
}
ok 'file: weights, zero points, and the shapes of compressed-tensors' names
tensor_scale()
{
    calibrated --calibrate=amax --input=w.safetensors --tensor='*' --save-scales=n.safetensors --quant-dtype=nvfp4 &&
        header n.safetensors >head.txt && grep -q '"h.input_scale":' head.txt && grep -q '"m.weight_scale_2":' head.txt &&
        calibrated --calibrate=amax --input=w.safetensors --tensor='*' --save-scales=n.safetensors \
            --quant-dtype=nvfp4 --scale-names=compressed-tensors &&
        header n.safetensors >head.txt && grep -q '"h.input_global_scale":' head.txt &&
        grep -q '"m.weight_global_scale":' head.txt &&
        # 6 * 448 / 0.875
        same '00004045' "$(data n.safetensors | od -An -tx1 -N4 | tr -d ' \n')"
}
ok 'file: tensor scales of ModelOpt, and their inverse of compressed-tensors' tensor_scale

# round_trip METHOD NAMES ARGUMENT...: scales that are saved have the SNR that was reported when they are given back.
round_trip()
{
    method=$1 names=$2
    shift 2
    calibrated --calibrate="$method" --input=b0 --input=b1 --format=csv --save-scales=back.safetensors \
        --scale-names="$names" "$@" &&
        awk -F, 'NR > 1 && $13 !~ /dynamic/ { print $1, $14, $15, $16, $17, $19, $20 }' out >saved &&
        calibrated --calibrate=percentile:50 --input=b0 --input=b1 --format=csv --rate-scales=back.safetensors "$@" &&
        awk -F, '$13 == "given" { print $1, $14, $15, $16, $17, $19, $20 }' out >given &&
        same 3 "$(grep -c . given)" && same "$(cat saved)" "$(cat given)"
}
for dtype in int8 fp8 e5m2 nvfp4; do
    for method in amax percentile:97 mse; do
        ok "file: $dtype by $method, and back" round_trip $method modelopt --quant-dtype=$dtype
    done
done
for method in amax percentile:97 mse; do
    ok "file: inverses of nvfp4 by $method, and back" round_trip $method compressed-tensors --quant-dtype=nvfp4
done
ok 'file: half scales, and back' round_trip mse modelopt --scale-format=half
ok 'file: zero points, and back' round_trip mse modelopt --asymmetric
ok 'file: zero points of compressed-tensors, and back' round_trip amax compressed-tensors --asymmetric
# Another run of the same is the same to the last bit.
repeats()
{
    calibrated --calibrate=mse --input=b0 --input=b1 --save-scales=one.safetensors --format=json && mv out first &&
        ( OMP_NUM_THREADS=1; export OMP_NUM_THREADS
            calibrated --calibrate=mse --input=b0 --input=b1 --save-scales=two.safetensors --format=json ) &&
        cmp first out && cmp one.safetensors two.safetensors
}
ok 'file: the same with one thread' repeats
# A set that the scales are not from.
held_out()
{
    calibrated --calibrate=amax --input=b0 --save-scales=held.safetensors --quant-dtype=fp8 &&
        calibrated --calibrate=amax --input=b1 --rate-scales=held.safetensors --quant-dtype=fp8 --format=csv &&
        same '0.25' "$(awk -F, '$1 == "q" && $13 == "given" { print $14 }' out)" &&
        awk -F, '$1 == "q" && $13 == "given" { exit !($19 > 0) }' out
}
ok 'file: scales of one set are rated on another' held_out
lacking()
{
    run 0 --calibrate=amax --input=b0 --rate-scales=q.safetensors --quant-dtype=fp8 &&
        err_has "q.safetensors lacks 'layer9.input_scale'" && same 1 "$(grep -c '^  given ' out)"
}
ok 'file: what it lacks is named' lacking
refused()
{
    {
        safetensors '{"q.input_scale":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
        repeated 2 '\000\000\200\077'
    } >two.safetensors
    {
        safetensors '{"q.input_scale":{"dtype":"F16","shape":[],"data_offsets":[0,2]}}'
        printf '\000\200'
    } >negative.safetensors
    fails 2 "'q.input_scale' has shape [2]; expected one element" --calibrate --input=b0/q.npy --rate-scales=two.safetensors &&
        fails 2 "'q.input_scale' is -0; expected a scale > 0" --calibrate --input=b0/q.npy --rate-scales=negative.safetensors &&
        fails 2 "conflicts with scales that have no zero point; use --asymmetric" --calibrate --input=w.safetensors \
            --rate-scales=zero_point.safetensors &&
        fails 3 'missing.safetensors' --calibrate --input=b0/q.npy --rate-scales=missing.safetensors
}
calibrated --calibrate=amax --input=w.safetensors --save-scales=zero_point.safetensors --asymmetric
ok 'file: what is not a scale' refused
# The scale that is rated is the one that is reported: in the format of scales, and finite.
converted()
{
    {
        safetensors '{"q.input_scale":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}'
        printf '\315\314\314\075'
    } >tenth.safetensors # 0.1
    {
        safetensors '{"q.input_scale":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}'
        printf '\137\160\211\060'
    } >tiny.safetensors # 1e-9
    {
        safetensors '{"q.input_global_scale":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
        printf '\302\342\012\000'
    } >inverse.safetensors # 1e-39
    calibrated --calibrate=amax --input=b0/q.npy --rate-scales=tenth.safetensors --scale-format=half --format=csv &&
        same 0.099975586 "$(awk -F, '$13 == "given" { print $14 }' out)" &&
        fails 2 "'q.input_scale' is 1e-09; expected a scale that is finite and > 0 in half" --calibrate \
            --input=b0/q.npy --rate-scales=tiny.safetensors --scale-format=half &&
        fails 2 "; expected a scale's inverse that is finite and > 0 in float" \
            --calibrate --input=b0/q.npy --rate-scales=inverse.safetensors --quant-dtype=nvfp4
}
ok 'file: a scale in the format of scales' converted
# Refused before anything is read: names that a header cannot have.
not_text()
{
    name=$(printf 'q\377')
    cp b0/q.npy "$name.npy" && fails 2 'is not UTF-8, as names of tensors are; name it by --dumps-of' --calibrate=amax \
        --input="$name.npy" --save-scales=name.safetensors && [ ! -e name.safetensors ] &&
        calibrated --calibrate=amax --input="$name.npy" --save-scales=name.safetensors --dumps-of=q
}
ok 'file: a name that is not UTF-8' not_text
overwritten()
{
    cp b0/q.npy mine.npy && ln -sf mine.npy link.npy && mkdir -p here &&
        fails 2 '--save-scales: link.npy is also the file of --input; expected another file' --calibrate=amax \
            --input=mine.npy --save-scales=link.npy &&
        fails 2 '--output: ./mine.npy is also the file of --input' --calibrate=amax --input=mine.npy \
            --output=csv:./mine.npy &&
        fails 2 '--save-scales: here/../new.csv is also the file of --output' --calibrate=amax --input=mine.npy \
            --output=new.csv --save-scales=here/../new.csv &&
        fails 2 '--output: ./new.csv is also the file of --output' --calibrate=amax --input=mine.npy --output=new.csv \
            --output=csv:./new.csv &&
        fails 2 '--save-scales: q.safetensors is also the file of --rate-scales' --calibrate=amax --input=b0/q.npy \
            --quant-dtype=fp8 --save-scales=q.safetensors --rate-scales=q.safetensors &&
        cmp b0/q.npy mine.npy && [ ! -e new.csv ]
}
ok 'file: none is written over another' overwritten
# The old file stays where the new one cannot be written.
whole()
{
    echo old >old.safetensors && mkdir -p gone &&
        fails 3 'No such file or directory' --calibrate=amax --input=b0 --save-scales=nowhere/x.safetensors &&
        run 2 --calibrate=amax --input=none.npy --save-scales=old.safetensors && same old "$(cat old.safetensors)" &&
        same '' "$(find . -name 'old.safetensors.*')"
}
ok 'file: written whole or not at all' whole

# ---- What is refused -----------------------------------------------------------------------------------------------

ok 'options: an input' fails 2 'requires --input' --calibrate
ok 'options: another method' fails 2 "unknown value 'max'; expected amax, percentile:99.99, mse or all" --calibrate=max --input=b0
for percent in 0 100.1 99.999999 x 1e1 .5 5.; do
    ok "options: percentile:$percent" fails 2 'expected a percentage up to 100' --calibrate=percentile:$percent --input=b0
done
ok 'options: a method twice' fails 2 'expected each method once' --calibrate=all,amax --input=b0
ok 'options: one method for a file' fails 2 'requires one method, and there are 3' --calibrate --input=b0 --save-scales=x
ok 'options: one format for a file' fails 2 'requires one way to quantize, and there are 2' --calibrate=mse --input=b0 \
    --quant-dtype=fp8,int8 --save-scales=x
ok 'options: scales that are not static' fails 2 'mxfp4 with a scale for each group has none for all data' --calibrate \
    --input=b0 --quant-dtype=mxfp4
ok 'options: a scale for each token' fails 2 'int8 with a scale for each token has none' --calibrate --input=b0 \
    --granularity=token
ok 'options: another report' fails 2 "'junit' cannot show a calibration; expected text, json, csv or markdown" --calibrate \
    --input=b0 --format=junit
ok 'options: a scale for each channel' fails 2 'a static scale for each channel is not what checkpoints have' --calibrate \
    --input=b0 --granularity=channel
for option in max-time=1 num-iters=3 num-warmup-iters=1 precision=1 rounds=3; do
    ok "options: no sample is taken with --$option" fails 2 "conflicts with --${option%=*}" --calibrate --input=b0 --$option
done
ok 'options: no data are drawn' fails 2 'conflicts with --seed' --calibrate --input=b0 --seed=3
ok 'options: nothing is timed' fails 2 'conflicts with --threads' --calibrate --input=b0 --threads=2

done_testing
