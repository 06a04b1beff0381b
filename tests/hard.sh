#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# hard.sh - kernels that are wrong only where the data of a case do not look: each kind of hard data finds one, and
# quantbench's own kernels are right on all of them.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

# CC is a list of words.
# shellcheck disable=SC2086
build()
{
    ${CC:-cc} -std=gnu11 -O2 -ffp-contract=off -Wall -Wextra -Werror -fPIC -shared -I"$srcdir/src/libquantbench" \
        -o careless.so "$srcdir/tests/plugins/careless.c" -lm
}
ok 'hard data: the plug-in with careless kernels is built' build

# careless STATUS KERNEL ARGUMENT...: one of its kernels.
careless()
{
    tap_status=$1 tap_kernel=$2
    shift 2
    run "$tap_status" --device=cpu --threads=1 --profile --plugin=careless.so --kernel="careless_$tap_kernel" --dtype=float \
        --granularity=token --num-tokens=5 --hidden-size=36 "$@"
}
right() { careless 0 none "$@" && out_has 'verified on '; }
ok 'hard data: a right kernel passes' right
ok 'hard data: a right kernel passes with bfloat16' right --dtype=bfloat16

# caught KERNEL KIND ARGUMENT...: it is found on hard data of that kind, and by nothing else.
caught()
{
    tap_kernel=$1 tap_kind=$2
    shift 2
    careless 4 "$tap_kernel" "$@" && err_has "wrong result: kernel careless_$tap_kernel, on hard data of " &&
        err_has "$tap_kind" && err_has ', want ' && same 1 "$(grep -c 'wrong result' err)"
}
ok 'hard data: halves rounded away from zero are found' caught tie ' x 36, a tie: code ['
ok 'hard data: halves rounded away from zero in whole vectors only are found' caught whole ' x 36, a tie: code ['
ok 'hard data: halves rounded away from zero in FP8 are found at 64 x 1024' caught tie_fp8 ' x 1024, a tie: code [' --quant-dtype=fp8 \
    --num-tokens=64 --hidden-size=1024
ok 'hard data: input, scale and both codes are named' err_has \
    'input -400 (-0x1.9p+8), scale 1, got 0xFD (-416), want 0xFC (-384)'
ok 'hard data: a wrong code next to a tie is found' caught near_tie 'next to a tie: code'
ok 'hard data: rounding toward zero is found' caught exact 'next to the exact value of a code: code'
ok 'hard data: multiplying by a reciprocal is found' caught reciprocal 'a quotient that a product misses: code'
ok 'hard data: multiplying by the reciprocal of a given scale is found' caught reciprocal_given 'a quotient that a product misses: code' --static-scale
ok 'hard data: multiplying by the reciprocal of a given scale is found with bfloat16' caught reciprocal_given 'a quotient that a product misses: code' --static-scale --dtype=bfloat16
ok 'hard data: a lost sign of zero is found' caught zero_fp8 'a negative zero: code' --quant-dtype=fp8
ok 'hard data: a wrong subnormal is found' caught subnormal 'a subnormal: code'
ok 'hard data: a wrong NaN is found' caught nan 'NaN: code'
ok 'hard data: a wrong NaN is found with given scales' caught nan_given 'NaN: code' --static-scale
ok 'hard data: a wrong infinity is found' caught infinity 'an infinity: code' --static-scale
ok 'hard data: codes that wrap around are found' caught wrap 'a value at the end of the codes or beyond: code' --static-scale
ok 'hard data: a lost -128 is found' caught symmetric 'input -127.5 (-0x1.fep+6), scale 1, got 0x81' --static-scale
ok 'hard data: a wrong conversion of large values is found' caught convert 'a value at the end of the codes or beyond: code' --static-scale
ok 'hard data: a wrong subnormal scale is found' caught small_scale 'scale 1.40129846e-45' --static-scale
ok 'hard data: a wrong large scale is found' caught large_scale 'scale 3.40282347e+38' --static-scale
ok 'hard data: a wrong scale next to a power of two is found' caught near_power 'scale 0.99999994,' --static-scale
ok 'hard data: a wrong computed scale next to a power of two is found' caught power 'a tile whose amax is '
ok 'hard data: a wrong scale of a tile of NaN is found' caught nan_tile 'a tile of NaN: scale'
ok 'hard data: a wrong scale of a tile with an infinity is found' caught infinite_tile 'a tile with an infinity whose amax is inf: scale'
ok 'hard data: a wrong scale of a tile of zeros is found' caught zero_tile 'a tile of zeros: scale'
ok 'hard data: a wrong scale of a tile with a single non-zero is found' caught single 'a tile with a single non-zero whose amax is '
ok 'hard data: an ignored element after the last vector is found' caught tail ' x 257, a tile whose amax is 127, its last element: scale'
ok 'hard data: a missing smallest scale is found' caught no_floor 'a tile of subnormals whose amax is 1.40129846e-45'
ok 'hard data: a wrong scale of the largest amax is found' caught largest 'whose amax is 3.40282347e+38'
ok 'hard data: an upper bound taken for the amax is found' caught no_bound 'a tile whose amax is ' --scale-ub=1000
same_here() { caught tie ' x 36, a tie: code [' --no-isolate; }
ok 'hard data: a wrong kernel is found with --no-isolate' same_here
unproven() { careless 0 tie --no-verify && ! grep -q 'hard cases' out; }
ok 'hard data: --no-verify leaves it out' unproven
sizes() { careless 4 tail --num-tokens=1,7 --hidden-size=36,38 && same 4 "$(grep -c 'on hard data of 64 x 257' err)"; }
ok 'hard data: each wrong case is reported' sizes
difference()
{
    careless 4 tie --format=json && out_has '"verification": "WRONG"' &&
        out_has '"first_difference": "hard data of 64 x 36, a tie: code [0, 0] (element 0): input -126.5'
}
ok 'hard data: the record has the first difference' difference

# What is right is right on all of them, and how many they are is said.
figures()
{
    careless 0 none --output=figures.json --output=figures.csv --num-tokens=3,4 &&
        same 2 "$(grep -c '"hard_cases": [1-9]' figures.json)" && same 1 "$(grep '"hard_cases"' figures.json | sort -u | wc -l)" &&
        tap_cases=$(sed -n 's/.*"hard_cases": \([0-9]*\),/\1/p' figures.json | head -n 1) &&
        same 2 "$(grep -c ",$tap_cases," figures.csv)" && careless 0 none --output=figures.json &&
        out_has "verified on 180 elements and $tap_cases hard cases: the same" && cp out now &&
        run 0 --report=figures.json && cmp out now && sed 's/"hard_cases": [0-9]*/"hard_cases": null/' figures.json >none.json &&
        run 0 --report=none.json && out_has 'verified: the same bytes as the reference'
}
ok 'hard data: text, JSON and CSV have the number of cases, or that it is unknown' figures
# own KERNEL: every format, scaling and granularity.
own()
{
    run 0 --device=cpu --threads=1 --profile --kernel="$1" --num-tokens=3 --hidden-size=100 --dtype=half,bfloat16,float \
        --quant-dtype=int8,fp8,e5m2 --scale=dynamic,static,amax \
        --granularity=tensor,token,channel,group:1,group:3,group:128,block:128x128,block:3x5,block:1000x1 \
        --output=own.json && same 243 "$(grep -c '"hard_cases": [1-9]' own.json)" &&
        same 243 "$(grep -c '"verification": "verified"' own.json)"
}
# Threads that wait for work are not to take the time of those that have some.
OMP_WAIT_POLICY=passive
export OMP_WAIT_POLICY
run 0 --device=cpu --list-kernels && grep -o '^cpu_[a-z0-9]*' out >kernels
while read -r kernel; do
    ok "hard data: $kernel is right with every format, scaling and granularity" own "$kernel"
done <kernels
for bound in 0.01 1e30; do
    ok "hard data: all kernels are right with an upper bound of $bound" run 0 --device=cpu --profile --threads=2 --num-tokens=3 --hidden-size=100 \
        --dtype=half,bfloat16,float --quant-dtype=int8,fp8,e5m2 --granularity=token,group:32 --scale-ub=$bound
done
done_testing
