#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# module.sh - the loader of the CUDA module, and what the tool does when a kernel or a device goes wrong, with a module
# that only pretends to be one.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

need_fake_device
small="--num-tokens=4 --hidden-size=64 --num-iters=3 --num-warmup-iters=1"

# measure STATUS ARGUMENT...: run a small case on the fake device.
measure()
{
    wanted=$1
    shift
    # shellcheck disable=SC2086 # a list of words
    run "$wanted" $small --device=cuda "$@"
}

no_time()
{
    ! grep -q 'running time' out
}

right_kernel()
{
    measure 0 --kernel=fake_right && grep -q '^codes *verified' out && grep -q 'launches in a graph' out &&
        tail -n 1 out | grep -qx 'Kernel running time: 10.000 us'
}

wrong_code()
{
    measure 4 --kernel=fake_wrong_code && no_time && grep -q 'before timing: 1 of 256 codes' err &&
        grep -q 'code \[1, 0\] (element 64): input .* got 0x.* want 0x' err
}

wrong_scale()
{
    measure 4 --kernel=fake_wrong_scale && no_time && grep -q 'before timing' err && grep -qF 'scale [0, 0]: got' err
}

wrong_later()
{
    measure 4 --kernel=fake_wrong_later && no_time && grep -qE 'while it was timed|after timing' err
}

# What went wrong after timing is in the journal, and stays wrong.
wrong_kept()
{
    measure 4 --kernel=fake_wrong_later --journal=wrong && grep -q '"failed"' wrong &&
        measure 4 --kernel=fake_wrong_later --resume=wrong && no_time && grep -q 'in an earlier part of the run' err
}

wrong_unverified()
{
    measure 0 --kernel=fake_wrong_code --no-verify && grep -q '^codes *not verified' out
}

failing()
{
    measure 3 --kernel=fake_fails && no_time && grep -q 'fake_fails: device error: the fake device fell over' err
}

# The right kernels of a sweep keep their rows.
sweep()
{
    measure 4 --kernel='fake_*' && [ "$(grep -c verified out)" -eq 1 ] && [ "$(grep -c WRONG out)" -eq 3 ] &&
        [ "$(grep -c failed out)" -eq 1 ]
}

json()
{
    measure 4 --kernel=fake_wrong_code --format=json && grep -q '"verification": "WRONG"' out &&
        grep -q '"wrong_codes": 1' out && grep -q '"time_ns": null' out
}

unsupported()
{
    measure 3 --kernel=fake_fails --static-scale && grep -q 'kernels that can: fake_right' err
}

profile()
{
    measure 0 --kernel=fake_right --profile && grep -q 'one launch in a profiled range' out
}

too_large()
{
    run 3 --device=cuda --num-tokens=100000 --hidden-size=100000 && grep -q 'GB free' err
}

both_devices()
{
    # shellcheck disable=SC2086 # a list of words
    run 0 $small --device=cpu,cuda && grep -q '^cpu ' out && grep -q '^cuda:0 ' out
}

other_module()
{
    FAKE_MODULE=$1
    export FAKE_MODULE
    # shellcheck disable=SC2086 # a list of words
    fails 3 "$2" $small --device=cuda && run 0 $small
    result=$?
    unset FAKE_MODULE
    return $result
}

not_a_module()
{
    mkdir -p other
    "$@" >other/quantbench_cuda.so
    # shellcheck disable=SC2086 # a list of words
    QUANTBENCH_MODULE_DIR=$PWD/other fails 3 "there is: cpu" $small --device=cuda
}

ok "device kernel: a right one is verified and timed in a graph" right_kernel
ok "device kernel: a wrong code is found before timing, named, and has no time" wrong_code
ok "device kernel: a wrong scale is found" wrong_scale
ok "device kernel: one that goes wrong later is found after timing" wrong_later
ok "device kernel: a late wrong result is kept in a journal" wrong_kept
ok "device kernel: --no-verify is reported as unverified" wrong_unverified
ok "a device error is reported with the device's words" failing
ok "the other kernels of a sweep keep their results" sweep
ok "JSON says which result is wrong, and gives it no time" json
ok "a kernel that cannot do the problem is refused, and others are named" unsupported
ok "--profile profiles one launch" profile
ok "a case that does not fit the device is refused" too_large
ok "CPU and device are measured in one table" both_devices
ok "a module of another ABI is refused, and the CPU goes on" other_module abi "another version"
ok "a module of another version is refused, and the CPU goes on" other_module version "another version"
ok "a module without a device says why" other_module no-device "no fake driver"
ok "a text file is not a module" not_a_module echo text
ok "an empty file is not a module" not_a_module true
done_testing
