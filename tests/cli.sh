#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cli.sh - the command line: each option, each error with its exit status and its words, what goes to which stream.
# What happens when a kernel or a device goes wrong is in module.sh.
#
# Most checks use --profile, which runs a single launch on one set of buffers: all of the tool but its clockwork, in
# a few milliseconds. Where a time matters, --device=cpu keeps the checks the same on a machine with a GPU.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

# bench ARGUMENT...: one launch of a small case on the CPU. An option in ARGUMENT overrides the one here.
bench()
{
    run 0 --device=cpu --num-tokens=4 --hidden-size=32 --profile "$@"
}

# measure ARGUMENT...: the same, measured as usual.
measure()
{
    run 0 --device=cpu --num-tokens=4 --hidden-size=32 --num-iters=3 --num-warmup-iters=0 "$@"
}

# bench_file ARGUMENT...: the same with data from a file, which brings its own sizes.
bench_file()
{
    run 0 --device=cpu --profile "$@"
}

bench_says() { tap_word=$1; shift; bench "$@" && out_has "$tap_word"; }
file_says() { tap_word=$1; shift; bench_file "$@" && out_has "$tap_word"; }

# with NAME=VALUE COMMAND...: COMMAND in a subshell with a variable set.
with()
(
    # The name is one of ours.
    # shellcheck disable=SC2163
    export "$1"
    shift
    "$@"
)

# flat_has TEXT: TEXT is in the output after all spaces and line breaks are gone.
flat_has()
{
    tr -d ' \n' <out | grep -qF -e "$1" || { echo "# not in the JSON output: $1"; return 1; }
}

# json WORD ARGUMENT...: quantbench prints JSON that has WORD.
json() { tap_word=$1; shift; bench --format=json "$@" && flat_has "$tap_word"; }

# rows COUNT FIELDS: the table in ./out has COUNT rows of FIELDS fields each, below exactly one head.
rows()
{
    awk -v count="$1" -v fields="$2" '
        /median us / { heads++; next }
        heads == 0 { next }
        NF != fields { printf "# %d fields, not %d: %s\n", NF, fields, $0; bad = 1 }
        { n++ }
        END {
            if (heads != 1) { print "# " heads + 0 " head lines"; bad = 1 }
            if (n != count) { print "# " n + 0 " rows, not " count; bad = 1 }
            exit bad
        }' out
}

row_is() { grep -qE -e "$1" out || { echo "# no row $1"; return 1; }; }
out_lacks() { ! grep -qF -e "$1" out; }
err_lacks() { ! grep -qF -e "$1" err; }
err_is_empty() { [ ! -s err ]; }

# ---- Help, version, lists ------------------------------------------------------------------------------------------

help_is_complete()
{
    run 0 "$1" && err_is_empty && out_has 'Usage: quantbench' && out_has '--num-tokens' && out_has 'Exit status'
}
version_is_one_line()
{
    run 0 "$1" && err_is_empty && [ "$(wc -l <out)" -eq 1 ] && grep -qE '^quantbench [0-9]+\.[0-9]+\.[0-9]+' out
}
ok 'lists: --help' help_is_complete --help
ok 'lists: -h' help_is_complete -h
ok 'lists: --version' version_is_one_line --version
ok 'lists: -V' version_is_one_line -V

lists_devices() { run 0 --list-devices && grep -q '^cpu ' out && grep -q '^cuda' out; }
ok 'lists: --list-devices has the CPU, and CUDA or why not' lists_devices
lists_kernels() { run 0 --list-kernels && grep -q '^cpu_generic' out; }
ok 'lists: --list-kernels' lists_kernels
lists_devices_json()
{
    run 0 --list-devices --format=json && flat_has '"schema":"quantbench-devices","schema_version":1,"devices":[' &&
        flat_has '"id":"cpu"' && flat_has '"why_no_cuda":'
}
ok 'lists: --list-devices --format=json' lists_devices_json
cp out devices.json
lists_kernels_json()
{
    run 0 --list-kernels --format=json && flat_has '"schema":"quantbench-kernels","schema_version":1,"kernels":[' &&
        flat_has '{"name":"cpu_generic","backend":"cpu","description":"'
}
ok 'lists: --list-kernels --format=json' lists_kernels_json
cp out kernels.json

lists_models() { run 0 --list-models && row_is '^qwen3-32b +5120 +8192 +25600 +- +Qwen3-32B$'; }
ok 'lists: --list-models' lists_models
lists_models_json()
{
    run 0 --list-models --format=json && flat_has '"schema":"quantbench-models","schema_version":1,"models":[' &&
        flat_has '{"name":"deepseek-v3","source":"deepseek-ai/DeepSeek-V3","hidden":7168,"attention":16384,"dense":18432,"expert":2048,"layers":61,"dense_layers":3,"experts_per_token":8,"shared_experts":1,"query_rank":1536}'
}
ok 'lists: --list-models --format=json' lists_models_json

# ---- One case ------------------------------------------------------------------------------------------------------

single_case()
{
    measure || return 1
    for tap_line in quantize device kernel input bytes codes quality cache samples time rate; do
        grep -q "^$tap_line  " out || { echo "# no line '$tap_line'"; return 1; }
    done
    tail -n 1 out | grep -qE '^Kernel running time: [0-9]+\.[0-9]{3} us$'
}
ok 'one case: a single case ends with its time' single_case
cp out single
ok 'one case: the case is described' grep -qF 'half -> int8, dynamic, tensor, 4 x 32 (tokens x hidden)' single
ok 'one case: the codes are verified' grep -qE '^codes +verified' single
ok 'one case: the copies of the tensors that launches take in turn are counted' grep -qE '^cache +(partly )?cold: [0-9]+ copies of the tensors in turn, ' single
ok 'one case: the samples are counted' grep -qE '^samples +3 in 3 rounds, each (one launch|the mean of ([2-9]|[1-9][0-9]+) launches) from the host$' single
last_line_is_the_median()
{
    same "$(sed -n 's/^time .*median \([0-9.]*\),.*/\1/p' single)" "$(sed -n 's/^Kernel.*: \(.*\) us$/\1/p' single)"
}
ok 'one case: the last line is the median' last_line_is_the_median
times_are_in_order()
{
    tr -d , <single | awk '$1 == "time" { bad = !($3 <= $5 && $5 <= $9 && $9 <= $11 && $3 <= $7 && $7 <= $11); n++ }
                           END { exit bad || n != 1 }'
}
ok 'one case: min <= median <= p99 <= max' times_are_in_order
no_strange_times() { ! grep -E '^(time|rate|Kernel| ) ' single | grep -iE 'nan|inf| -[0-9]| 0\.000'; }
ok 'one case: no time is zero, negative or unknown' no_strange_times

measure
ok 'one case: Warming up... is on standard error' err_has 'Warming up...'
ok 'one case: Warming up... is not on standard output' out_lacks 'Warming up'
ok 'one case: nothing else is on standard error' same 1 "$(wc -l <err | tr -d ' ')"
quiet() { bench "$1" && err_is_empty && tail -n 1 out | grep -q '^Kernel running time: '; }
ok '-q: standard error is silent' quiet -q
ok 'one case: --quiet' quiet --quiet
ok 'one case: -q keeps errors' fails 2 'bogus' -q --dtype=bogus
ok 'one case: -v' bench -v
ok 'one case: --verbose' bench --verbose
ok 'one case: -qv together' bench -qv

# ---- What to quantize ----------------------------------------------------------------------------------------------

ok 'problem: --num-tokens' bench_says '7 x 32 (tokens x hidden)' --num-tokens=7
ok 'problem: --hidden-size' bench_says '4 x 33 (tokens x hidden)' --hidden-size=33
ok 'problem: a value as an argument of its own' bench_says '9 x 5 (tokens' --num-tokens 9 --hidden-size 5
ok 'problem: the last of several counts' bench_says '3 x 32 (tokens' --num-tokens=7,8 --num-tokens=3
for name in half fp16 FP16; do ok "--dtype=$name" bench_says 'half -> int8' --dtype=$name; done
for name in bfloat16 bf16; do ok "--dtype=$name" bench_says 'bfloat16 -> int8' --dtype=$name; done
for name in float fp32; do ok "--dtype=$name" bench_says 'float -> int8' --dtype=$name; done
for name in int8 fp8 e5m2; do ok "--quant-dtype=$name" bench_says "half -> $name, dynamic" --quant-dtype=$name; done
ok 'problem: --quant-dtype=e4m3 is fp8' bench_says 'half -> fp8' --quant-dtype=e4m3
for name in tensor token channel group:5 block:3x10; do
    ok "problem: --granularity=$name" bench_says "dynamic, $name, 4 x 32" --granularity=$name
done
ok 'problem: --scale=dynamic' bench_says 'int8, dynamic, tensor' --scale=dynamic
ok 'problem: --scale=static' bench_says 'int8, static, tensor' --scale=static
ok 'problem: --static-scale' bench_says 'int8, static, tensor' --static-scale
ok 'problem: --scale-ub' json '"scale_ub":0.5,' --scale-ub=0.5
ok 'problem: without --scale-ub it is null' json '"scale_ub":null,'
for name in normal uniform outliers zeros lognormal; do
    ok "problem: --dist=$name" bench_says "input     $name, seed 0" --dist=$name
    ok "problem: --dist=$name in JSON" json "\"dist\":\"$name\"," --dist=$name
done
ok 'problem: the default --dist' bench_says 'input     normal, seed 0'
# The data of a case are its own, whichever case is in front of it.
dist_sweep()
{
    bench --dist=normal,zeros,normal --num-tokens=4,2 --hidden-size=8,16 &&
        same 4 "$(grep -c 'zeros .* exact  verified$' out)" && same 8 "$(grep -c 'normal .*[0-9]  verified$' out)"
}
ok 'problem: --dist sweeps' dist_sweep
# Where the outliers are depends on the shape, also if the number of elements is the same.
outliers_of_shapes()
{
    bench --dist=outliers --num-tokens=4,2 --hidden-size=16,32 --granularity=channel --format=json &&
        tap_all=$(grep '"snr_db' out) && bench --dist=outliers --num-tokens=2 --hidden-size=32 --granularity=channel \
            --format=json && same "$(echo "$tap_all" | tail -n 1)" "$(grep '"snr_db' out)"
}
ok 'problem: outliers of each shape' outliers_of_shapes
ok 'problem: --seed' bench_says 'seed 7' --seed=7
ok 'problem: the default seed is 0' bench_says 'seed 0'
ok 'problem: the largest seed' bench_says 'seed 9223372036854775807' --seed=9223372036854775807
every_combination()
{
    bench --dtype=half,bfloat16,float --quant-dtype=int8,fp8,e5m2 --scale=dynamic,static \
        --granularity=tensor,token,channel,group:5,group:32,block:3x10,block:1x1 || return 1
    same 126 "$(grep -c '  verified$' out)"
}
ok 'problem: every format, scaling and granularity is verified' every_combination

# ---- Where to run it -----------------------------------------------------------------------------------------------

ok 'place: --device=auto' bench --device=auto
ok 'place: --device=cpu' bench_says '(cpu, ' --device=cpu
two_devices() { bench --device=cpu,cpu && rows 2 6; }
ok 'place: --device=cpu,cpu is a table of two rows' two_devices
if "$QUANTBENCH" --device=cuda --num-tokens=1 --hidden-size=1 --profile >out 2>err; then
    ok 'place: --device=cuda' bench_says '(cuda:0, ' --device=cuda
    ok 'place: --device=cuda:0' bench_says '(cuda:0, ' --device=cuda:0
    both_devices()
    {
        bench --device=cpu,cuda && rows 2 9 && row_is '^cpu .* verified$' && row_is '^cuda:0 .* verified$'
    }
    ok 'place: --device=cpu,cuda' both_devices
    ok 'place: --threads without a CPU is refused' fails 2 '--threads' --device=cuda --threads=1
else
    no_cuda()
    {
        fails 3 '--device=cuda' --device=cuda && err_has 'there is: cpu' || return 1
        grep -qE 'no NVIDIA driver|NVIDIA driver (is too old|has no device)|not built in' err ||
            { echo '# the reason is not said in plain words'; return 1; }
    }
    ok 'place: --device=cuda says why there is none' no_cuda
    ok 'place: --device=auto goes to the CPU' bench_says '(cpu, ' --device=auto
    verbose_auto() { bench -v --device=auto && err_has '--device=auto: the CPU'; }
    ok 'place: --device=auto -v says why it is the CPU' verbose_auto
    ok 'place: --device=cpu,cuda does not run half of it' fails 3 '--device=cuda' --device=cpu,cuda
    skip 'place: --device=cuda runs' 'no CUDA device'
    skip 'place: --device=cpu,cuda' 'no CUDA device'
fi
ok 'place: --device=cuda:99 says which there are' fails 3 'there is: cpu' --device=cuda:99
ok 'place: a hidden GPU is not there' with CUDA_VISIBLE_DEVICES= fails 3 'there is: cpu' --device=cuda

ok 'place: --kernel=cpu_generic' bench_says 'cpu_generic' --kernel=cpu_generic
# One row for each kernel that this CPU can run; a single one is not a table.
all_kernels()
{
    "$QUANTBENCH" --list-kernels | grep -c '^cpu_' >names
    bench --kernel='cpu_*' && out_has 'cpu_generic' || return 1
    tap_rows=$(grep -c '  verified$' out)
    [ "$tap_rows" -ge 1 ] && [ "$tap_rows" -le "$(cat names)" ]
}
ok "place: --kernel='cpu_*' runs all that this CPU can" all_kernels
two_kernels() { bench --kernel=cpu_generic,cpu_gen* && rows 2 6; }
ok 'place: --kernel with a list' two_kernels
unknown_kernel() { fails 2 "'bogus'" --device=cpu --kernel=bogus && err_has 'cpu_generic'; }
ok 'an unknown kernel: those there are' unknown_kernel
ok 'place: a kernel of another device is refused' fails 2 "'cuda_row'" --device=cpu --kernel=cuda_row
ok 'place: --threads=1' bench_says ', 1 thread' --threads=1
if bench --threads=2; then
    ok 'place: --threads=2' bench_says ', 2 threads' --threads=2
    thread_table() { bench --threads=1,2 && rows 2 7 && row_is '^ +1 ' && row_is '^ +2 '; }
    ok 'place: --threads=1,2' thread_table
    ok 'place: OMP_NUM_THREADS=1' with OMP_NUM_THREADS=1 bench_says ', 1 thread'
else
    skip 'place: --threads=2' 'built without OpenMP'
    skip 'place: --threads=1,2' 'built without OpenMP'
    skip 'place: OMP_NUM_THREADS=1' 'built without OpenMP'
fi
# bound WHAT THREADS OPTION...: what the record says that threads are bound to, and how many there are.
bound()
{
    tap_bound=$1 tap_threads=$2
    shift 2
    bench --format=json "$@" && out_has "\"binding\": \"$tap_bound\"" && out_has "\"threads\": $tap_threads,"
}
untold() { (unset OMP_PROC_BIND; "$@"); }
bench --format=json --bind=none
usable=$(sed -n 's/.*"threads": \([0-9]*\),.*/\1/p' out)
ok 'place: --bind=cores is the default' untold bound cores "$usable"
ok 'place: --bind=none' untold bound none "$usable" --bind=none
ok 'place: OMP_PROC_BIND=false' bound none "$usable"
ok 'place: OMP_PROC_BIND=false, but --bind=cores' bound cores "$usable" --bind=cores
bound_is_said() { untold bench_says 'threads bound: cores'; }
ok 'place: the report says that threads are bound' bound_is_said
# A container that may use one CPU, of the time of all of them.
shared_out()
{
    mkdir -p .root/proc/self .root/sys/fs/cgroup && echo 0::/ >.root/proc/self/cgroup &&
        echo '100000 100000' >.root/sys/fs/cgroup/cpu.max && untold bound none 1 &&
        untold bound cores 1 --bind=cores
    tap_status=$?
    rm -r .root/proc/self .root/sys/fs
    return $tap_status
}
if [ "$usable" -gt 1 ]; then
    ok 'OMP_PROC_BIND=close: all CPUs are used' with OMP_PROC_BIND=close bound 'OpenMP, close' "$usable"
    still_bound() { with OMP_PROC_BIND=close bound 'OpenMP, close' "$usable" --bind=none && err_has 'warning: --bind=none: OpenMP'; }
    ok 'place: OMP_PROC_BIND=close, but --bind=none' still_bound
    not_again() { with OMP_PROC_BIND=close bound 'OpenMP, close' "$usable" --bind=cores && err_has 'warning: --bind=cores: '; }
    ok 'place: OMP_PROC_BIND=close, but --bind=cores' not_again
    runs_are_wide()
    {
        run 0 --device=cpu --num-tokens=4 --hidden-size=32 --num-iters=6 --runs=2 --format=json &&
            out_has "\"threads\": $usable,"
    }
    ok '--runs: processes may use all CPUs of one whose threads are bound' with OMP_PROC_BIND=close runs_are_wide
    ok 'a quota: threads are not bound' shared_out
else
    skip 'place: OMP_PROC_BIND, quotas' 'one CPU, or built without OpenMP'
fi
bogus_bind() { fails 2 '--bind' --device=cpu --bind=all && err_has 'all' && err_has 'cores or none'; }
ok 'place: --bind=all names the expected ones' bogus_bind
for pages in off thp; do
    ok "place: --hugepages=$pages" bench --hugepages=$pages
done
# 100 000 pages of 2 MiB are more than any pool here has; and where there is one, it is used.
no_pool() { run 3 --device=cpu --num-tokens=100000 --hidden-size=1000000 --hugepages=2m --profile; }
ok 'place: --hugepages=2m fails where the pool is too small' no_pool
pages_of() { with QUANTBENCH_FSROOT=/ bench --num-tokens=2048 --hidden-size=2048 --hugepages=$1 --format=json && grep -oE '"huge_page_bytes": [0-9]+' out | head -n 1; }
none_in_small_pages() { test "$(pages_of off)" = '"huge_page_bytes": 0'; }
ok '--hugepages=off: what was obtained is none' none_in_small_pages
bogus_pages() { fails 2 '--hugepages' --device=cpu --hugepages=1g && err_has '1g' && err_has 'off, thp or 2m'; }
ok 'place: --hugepages=1g names the expected ones' bogus_pages
ok 'place: --isa=generic' bench_says 'kernel    cpu_generic' --isa=generic
ok 'place: --isa=auto' bench --isa=auto
bogus_isa_option() { fails 2 '--isa' --device=cpu --isa=bogus && err_has 'bogus' && err_has 'avx512'; }
ok 'place: --isa=bogus names the expected ones' bogus_isa_option
ok 'place: QUANTBENCH_ISA=generic' with QUANTBENCH_ISA=generic bench_says 'kernel    cpu_generic'
bogus_isa() { with QUANTBENCH_ISA=bogus fails 3 'QUANTBENCH_ISA' --device=cpu && err_has 'bogus' && err_has 'generic'; }
ok 'place: QUANTBENCH_ISA=bogus names the expected ones' bogus_isa
# No processor has both: the other one's is named, and what this one has.
if bench --isa=avx2; then foreign=neon; else foreign=avx512; fi
foreign_isa() { fails 2 "--isa: device cpu has no kernels for '$foreign'" --device=cpu --num-tokens=4 --isa=$foreign && err_has ', generic'; }
ok 'place: --isa of another processor names those that this one has' foreign_isa
if bench --kernel=cpu_avx2; then
    ok 'place: QUANTBENCH_ISA=generic excludes the other kernels' \
        with QUANTBENCH_ISA=generic run 3 --device=cpu --num-tokens=4 --profile --kernel=cpu_avx2
    ok 'place: the kernels that QUANTBENCH_ISA leaves are named' err_has 'cpu_generic'
else
    skip 'place: QUANTBENCH_ISA=generic excludes the other kernels' 'this CPU, or this build, has no AVX2'
    skip 'place: the kernels that QUANTBENCH_ISA leaves are named' 'this CPU, or this build, has no AVX2'
fi

# ---- How to measure ------------------------------------------------------------------------------------------------

profile() { bench && out_has 'one launch' && tail -n 1 out | grep -qE '^Kernel running time: [0-9]+\.[0-9]{3} us$'; }
ok 'method: --profile is one launch' profile
ok 'method: --profile ignores --num-iters' json '"launch":"profile","streams":1,' --num-iters=50
one_sample() { flat_has '"launches_per_sample":1,' && tr -d ' \n' <out | grep -qE '"samples":\[[0-9.e+-]+\]'; }
ok 'method: --profile has one sample' one_sample
no_verify() { bench --no-verify "$@" && out_has 'not verified' && out_lacks ' verified on '; }
ok 'method: --no-verify is in the report' no_verify
ok 'method: --no-verify with --static-scale' no_verify --static-scale
ok 'method: --no-verify in JSON' json '"verification":"notverified"' --no-verify
sample_count()
{
    measure --format=json --num-iters="$1" --num-warmup-iters="$2" || return 1
    same "$1" "$(tr -d ' \n' <out | sed 's/.*"samples":\[//; s/\].*//' | tr , '\n' | grep -c '[0-9]')"
}
ok 'method: --num-iters=1' sample_count 1 0
ok 'method: --num-iters=5 --num-warmup-iters=2' sample_count 5 2
cp out measured.json

# ---- Quality -------------------------------------------------------------------------------------------------------

quality_lines()
{
    bench && grep -qE '^quality   SNR [0-9]+\.[0-9]{2} dB, largest error [0-9.e-]+, largest relative error [0-9.]+ %$' out &&
        grep -qE '^ {10}saturated 0 %, flushed to zero [0-9.]+ % of the elements$' out
}
ok 'quality: the quality of the codes' quality_lines
ok 'no noise: exact' bench_says 'quality   SNR exact, largest error 0' --dist=zeros
ok 'quality: no noise is null in JSON' json '"quality":{"snr_db":null,"largest_error":0.0,"largest_relative_error":null,' --dist=zeros
quality_unknown() { bench --no-verify "$@" && out_has 'quality   unknown' && out_lacks 'SNR'; }
ok '--no-verify: no quality' quality_unknown
ok '--no-verify with static scales: no quality' quality_unknown --static-scale
ok '--no-verify: no quality in JSON' json '"quality":null' --no-verify
no_snr() { bench --no-verify --num-tokens=1,2 && same 2 "$(grep -c ' -  not verified$' out)"; }
ok '--no-verify: no quality in the table' no_snr
ok 'quality: saturated elements in JSON' json '"saturated_share":0.' --scale-ub=0.5
some_saturated() { bench --scale-ub=0.5 && grep -qE '^ {10}saturated [1-9][0-9.]* %, ' out; }
ok 'quality: saturated elements' some_saturated
static_or_dynamic()
{
    bench --scale=static,dynamic --granularity=token &&
        same 1 "$(awk '/verified$/ { print $(NF - 1) }' out | sort -u | wc -l | tr -d ' ')"
}
ok 'quality: static scales are of the same quality' static_or_dynamic
# Usual sweeps fit a terminal; what stands above the table is text that may be broken.
narrow() { bench "$@" && ! sed '1,/^$/d' out | grep -E '^.{81}'; }
ok 'a table of 80 columns: sizes' narrow --num-tokens=1,1024 --hidden-size=64,128 --quant-dtype=int8,fp8
ok 'a table of 80 columns: formats and scales' narrow --quant-dtype=int8,fp8 --scale=static,dynamic \
    --granularity=tensor,token,group:128
ok 'a table of 80 columns: distributions' narrow --quant-dtype=int8,fp8 --dist=normal,lognormal --num-tokens=1,2

few='--device=cpu --num-tokens=4 --hidden-size=32 --num-iters=6 --rounds=6'
# heads WIDTH: the columns of results in a table of that width.
heads()
{
    # The variable is the program's.
    # shellcheck disable=SC2030
    ( COLUMNS=$1; export COLUMNS; bench --num-tokens=1,1024 --quant-dtype=int8,fp8 ) || return 1
    sed '1,/^$/d' out >table
    ! grep -E "^.{$(($1 + 1))}" table && grep -oE 'median us|[+]- %|GB/s|ceiling|SNR dB|codes' table | tr '\n' ' ' >heads
}
# narrow_text WIDTH ARGUMENT...: no line of text is wider, a path aside, as in the reason for a missing device.
narrow_text()
{
    tap_width=$1
    shift
    # shellcheck disable=SC2030,SC2031 # the variable is the program's
    ( COLUMNS=$tap_width; export COLUMNS; run 0 "$@" ) && [ -s out ] &&
        ! sed '/no device: /,$d' out | grep -E "^.{$((tap_width + 1))}"
}
for tap_columns in 60 80; do
    # shellcheck disable=SC2086 # a list of words
    ok "width: the paragraph of a case on $tap_columns columns" narrow_text $tap_columns $few
    ok "width: a table with doubts on $tap_columns columns" narrow_text $tap_columns $few --max-time=0.000001 --num-tokens=4,5
    ok "width: a comparison on $tap_columns columns" narrow_text $tap_columns $few --compare=dtype --dtype=half,float
    ok "width: --list-devices on $tap_columns columns" narrow_text $tap_columns --list-devices
    ok "width: --list-kernels on $tap_columns columns" narrow_text $tap_columns --list-kernels
done
# A terminal may be wider than anybody reads; and a file has no width.
# shellcheck disable=SC2086 # a list of words
at_most_80() { run 0 $few --output=few.txt && narrow_text 200 --report=few.json && ! grep -E '^.{81}' out few.txt; }
run 0 $few --output=few.json && ok 'width: paragraphs have 80 columns at most' at_most_80
wide() { heads 120 && same 'median us +- % GB/s ceiling SNR dB codes ' "$(cat heads)"; }
ok 'width: a table of 120 columns' wide
middle() { heads 59 && same 'median us +- % GB/s ceiling codes ' "$(cat heads)"; }
ok 'width: a table of 59 columns leaves the least important out' middle
least() { heads 45 && same 'median us GB/s codes ' "$(cat heads)"; }
ok 'width: a table of 45 columns leaves more out' least
not_in_files()
{
    ( COLUMNS=50; export COLUMNS; bench --num-tokens=1,2 --output=wide.txt ) && grep -q 'SNR dB' wide.txt && ! grep -q 'SNR dB' out
}
ok 'width: a file has all columns' not_in_files
# A terminal says how wide it is; its lines end in a carriage return.
if script -qec true /dev/null >/dev/null 2>&1; then
    # The words are options of the inner shell.
    on_terminal()
    {
        script -qec "stty cols $1 && '$QUANTBENCH' --device=cpu --profile --num-tokens=1,2 --hidden-size=32 --quant-dtype=int8,fp8" \
            /dev/null >typescript </dev/null && tr -d '\r' <typescript | grep -q "$2"
    }
    ok 'width: a terminal of 59 columns' on_terminal 59 'median us  +- %  GB/s  ceiling  codes'
    ok 'width: a terminal of 120 columns' on_terminal 120 'median us  +- %  GB/s  ceiling  SNR dB  codes'
else
    skip 'width: a terminal' 'script is not here'
fi

# ---- Sweeps --------------------------------------------------------------------------------------------------------

# The columns are those that vary, and six more: median, +- %, GB/s, share of the ceiling, SNR, codes.
# sizes MEMBER LIST ARGUMENT...: the values of MEMBER (num_tokens or hidden_size) in the order of the cases.
sizes()
{
    tap_member=$1 tap_sizes=$2
    shift 2
    run 0 --device=cpu --profile --format=json "$@" && same "$tap_sizes" "$(sed -n "s/.*\"$tap_member\": \([0-9]*\).*/\1/p" out | tr '\n' ' ' | sed 's/ $//')"
}
ok 'sweep: a range of factors' sizes num_tokens '1 2 4 8' --hidden-size=32 --num-tokens=1:8:x2
ok 'sweep: a range of factors that does not meet its end' sizes num_tokens '3 9' --hidden-size=32 --num-tokens=3:26:x3
ok 'sweep: a range of steps' sizes hidden_size '16 24 32' --num-tokens=2 --hidden-size=16:32:+8
ok 'sweep: a range of steps that does not meet its end' sizes hidden_size '1 4' --num-tokens=2 --hidden-size=1:6:+3
ok 'sweep: a range of one value' sizes num_tokens '7' --hidden-size=32 --num-tokens=7:7:+1
ok 'sweep: ranges among numbers' sizes num_tokens '5 1 2 4 9 3 4' --hidden-size=32 --num-tokens=5,1:4:x2,9,3:4:+1
ranges_are_at_most() { fails 2 'up to 1024 values' --device=cpu --num-tokens="$1"; }
for range in 1:1025:+1 8:1:x2 8:1:+1 0:8:x2 1:8:x1 1:8:x0 1:8:+0 1:8 1:8: 1:8:2 1:8:-1 1:8:x2:3 :8:x2 1::x2 1:8:x 1:8:+ 1:8:x-2 \
    ' 1:8:x2' 1:8:x2k 1:99999999999999999999:x2 1:9223372036854775808:x2 1:8:+99999999999999999999; do
    ok "sweep: --num-tokens='$range'" ranges_are_at_most "$range"
done
huge_range() { run 3 --device=cpu --profile --num-tokens=2305843009213693951:4611686018427387903:+2305843009213693952 --hidden-size=1; }
ok 'sweep: a range up to the largest number' huge_range
ok 'sweep: --model' sizes hidden_size '5120 8192 25600' --model=qwen3-32b --num-tokens=1
ok 'sweep: --model, twice the same sizes' sizes hidden_size '4096 14336 12288' --model=llama3-8b,qwen3-8b --num-tokens=1
ok 'sweep: --model of no model is refused' fails 2 '--list-models' --model=llama3-8b,bogus
ok 'sweep: --model with --hidden-size is refused' fails 2 '--model: conflicts with --hidden-size' --model=llama3-8b --hidden-size=32
ok 'sweep: --model with --input is refused' fails 2 '--model: conflicts with --input' --model=llama3-8b --input=half.npy

sweep() { bench --num-tokens=1,2 --hidden-size=32,64,96 --quant-dtype=int8,fp8 && rows 12 9; }
ok 'sweep: a sweep of 2 x 3 x 2 is a table of 12 rows' sweep
ok 'sweep: the first row' row_is '^ +1 +32 +int8 '
ok 'sweep: the last row' sh -c 'tail -n 1 out | grep -qE "^ +2 +96 +fp8 "'
ok 'sweep: every combination once' same 12 "$(awk '/verified$/ { print $1, $2, $3 }' out | sort -u | wc -l | tr -d ' ')"
fits_80_columns() { ! grep -E '^.{81}' out; }
what_all_have() { grep -qE '^all .*dtype half' out && grep -qE '^(all)? .*kernel cpu_' out; }
ok 'sweep: what does not vary stands above' what_all_have
ok 'sweep: no line is longer than 80 columns' fits_80_columns
ok 'sweep: what does not vary is not a column' sh -c '! grep -E "^ *tokens" out | grep -qw dtype'
ok 'sweep: every row is verified' same 12 "$(grep -c '  verified$' out)"
ok 'sweep: a table has no line for a single case' out_lacks 'Kernel running time'
ok 'sweep: progress is for terminals' err_is_empty
measured_sweep() { measure --num-tokens=2,3 && row_is '^ +2 ' && row_is '^ +3 .* [0-9.]+ % +[0-9]+\.[0-9]{2}  verified( \*)?$'; }
ok 'sweep: a measured sweep' measured_sweep
one_property() { bench "$1" && rows 2 7; }
for sweep in --dtype=half,float --dist=uniform,outliers --quant-dtype=int8,fp8 --granularity=token,group:8 --scale=dynamic,static; do
    ok "sweep: $sweep" one_property $sweep
done
devices_json() { json '"granularity":"group:5"' --granularity=token,channel,group:5,block:3x10; }
ok 'sweep: a sweep in JSON' devices_json
for shape in '[4,1]' '[1,32]' '[4,7]' '[2,4]'; do
    ok "sweep: the scales have the shape $shape" flat_has "\"scale_shape\":$shape"
done
ok 'sweep: a result for each case' same 4 "$(grep -c '"time_ns"' out)"

# ---- JSON ----------------------------------------------------------------------------------------------------------

ok 'JSON: the schema and its version' json '{"schema":"quantbench-result","schema_version":2,'
cp out profile.json
for member in snr_db largest_error largest_relative_error saturated_share flushed_share saturated flushed finite nan \
    infinite; do
    ok "JSON: quality: $member" grep -qF "\"$member\":" measured.json
done
for member in version library_version date argv host seed input tensor num_warmup_iters num_iters devices results; do
    ok "JSON: $member" flat_has "\"$member\":"
done
for member in problem device kernel threads verification wrong_codes wrong_scales launch profiled launches_per_sample \
    buffer_sets bytes_read bytes_written time_ns bytes_per_second exit_status; do
    ok "JSON: result: $member" grep -qF "\"$member\":" measured.json
done
for member in min median mean p99 max median_ci95 samples; do
    ok "JSON: time_ns: $member" grep -qF "\"$member\":" measured.json
done
ok 'JSON: argv is what was given' json '"--seed=7"' --seed=7
ok 'JSON: the seed' flat_has '"seed":7,'
ok 'bytes of a dynamic case: input; codes and scale' json '"bytes_read":256,"bytes_written":132'
ok 'bytes of a static case: input and scale; codes' json '"bytes_read":260,"bytes_written":128' --static-scale
ok 'JSON: bytes of float with a scale per token' json '"bytes_read":512,"bytes_written":144' --dtype=float --granularity=token
ok 'JSON: JSON alone is on standard output' sh -c 'head -n 1 out | grep -qx "{" && tail -n 1 out | grep -qx "}"'
without_times()
{
    sed -E '/"(date|min|median|mean|p99|max|bytes_per_second|timer_tick_ns|[a-z_]+_ns|start_s|share|implausible)"/d
        /"([a-z_]+_mhz|power_mw|temperature_c|throttle|preemptions|migrations|page_faults|huge_page_bytes)"/d
        /"(launches_per_sample|[a-z]+_outliers|autocorrelation|ci95_basis|cache_check)"|^ +[0-9.]+,?$/d' out
}
same_record()
{
    bench --format=json --seed=3 && without_times >first && bench --format=json --seed=3 && without_times >second &&
        cmp first second
}
ok 'JSON: the same command twice gives the same record but for its times' same_record

# is_json FILE: by whichever program is here.
if python3 -c 'import json' >/dev/null 2>&1; then
    is_json() { python3 -m json.tool "$1" >/dev/null; }
    why_no_json=
elif echo '{}' | jq . >/dev/null 2>&1; then
    is_json() { jq -e . "$1" >/dev/null; }
    why_no_json=
else
    why_no_json='neither python3 nor jq is here'
fi
awkward_name=$(printf 'a"b\\c\303\251\377.npy')
for file in profile.json measured.json devices.json kernels.json; do
    if [ -n "$why_no_json" ]; then skip "$file is valid" "$why_no_json"; else ok "$file is valid" is_json $file; fi
done

# ---- Files ---------------------------------------------------------------------------------------------------------

# zeros BYTES
zeros() { dd if=/dev/zero bs="$1" count=1 2>/dev/null; }
# ones COUNT: this many halves of 1.0.
ones() { tap_i=0; while [ $tap_i -lt "$1" ]; do printf '\000\074'; tap_i=$((tap_i + 1)); done; }
# npy DESCR SHAPE [ORDER]: the header of a .npy file, 128 bytes.
npy()
{
    printf '\223NUMPY\001\000\166\000'
    printf '%-117s\n' "{'descr': '$1', 'fortran_order': ${3:-False}, 'shape': $2, }"
}
# little_endian NUMBER: 8 bytes.
little_endian()
{
    tap_n=$1 tap_i=0
    while [ $tap_i -lt 8 ]; do
        # The format is an octal escape that is made here.
        # shellcheck disable=SC2059
        printf "\\$(printf '%03o' $((tap_n % 256)))"
        tap_n=$((tap_n / 256)) tap_i=$((tap_i + 1))
    done
}
# safetensors HEADER: the length of the header, and the header.
safetensors()
{
    little_endian ${#1}
    printf '%s' "$1"
}

{ npy '<f2' '(4, 16)'; ones 64; } >half.npy
{ npy '<f4' '(2, 8)'; zeros 64; } >float.npy
{ npy '<f2' '(16,)'; ones 16; } >row.npy
{ npy '<f2' '(4, 16)'; zeros 128; } >zero.npy
# NaN of both signs, infinities, the smallest and the largest finite value, in every second place of a row of ones.
{
    npy '<f2' '(2, 8)'
    printf '\000\176\000\074\000\174\000\074\000\374\000\074\000\376\000\074'
    printf '\001\000\000\074\377\173\000\074\377\373\000\074\000\200\000\074'
} >special.npy
{ npy '<f2' '(2, 8)'; for i in 1 2 3 4 5 6 7 8; do printf '\000\176\000\374'; done; } >nothing_finite.npy
one='{"w":{"dtype":"F16","shape":[4,8],"data_offsets":[0,64]}}'
two='{"first.weight":{"dtype":"F16","shape":[4,8],"data_offsets":[0,64]},'
two=$two'"second.weight":{"dtype":"BF16","shape":[2,8],"data_offsets":[64,96]}}'
{ safetensors "$one"; ones 32; } >one.safetensors
{ safetensors "$two"; ones 32; zeros 32; } >two.safetensors

ok '--input: .npy of half' file_says 'half -> int8, dynamic, tensor, 4 x 16' --input=half.npy
ok 'input: the report names the file' out_has 'half.npy'
ok 'input: the codes of a file are verified' out_has 'verified on '
ok '--input: .npy of float' file_says 'float -> int8, dynamic, tensor, 2 x 8' --input=float.npy
ok '--input: .npy with one dimension is one row' file_says '1 x 16' --input=row.npy
ok '--input: safetensors with one tensor' file_says '4 x 8' --input=one.safetensors
ok 'input: the report names the tensor' out_has 'tensor w'
ok 'input: --tensor' file_says 'bfloat16 -> int8, dynamic, tensor, 2 x 8' --input two.safetensors --tensor second.weight
ok 'input: the file and the tensor in JSON' file_says '"tensor": "first.weight"' --input=two.safetensors \
    --tensor=first.weight --format=json
ok 'input: --input is measured' run 0 --device=cpu --input=half.npy --num-iters=2 --num-warmup-iters=0
file_sweep() { bench_file --input=half.npy --quant-dtype=int8,fp8 --granularity=tensor,token && rows 4 8; }
ok 'input: --input in a sweep' file_sweep
ok '--input: no --dist in JSON' file_says '"dist": null' --input=half.npy --format=json
ok 'input: what is not finite is counted' file_says '2 NaN and 2 infinite elements left out' --input=special.npy
ok 'nothing finite: no quality' file_says 'none: all 16 elements are NaN or infinite' --input=nothing_finite.npy
ok 'input: nothing finite has no signal-to-noise ratio in JSON' file_says '"snr_db": null' --input=nothing_finite.npy --format=json
ok 'input: the largest error of nothing finite is null' out_has '"largest_error": null'
ok 'input: the shares of nothing finite are null' out_has '"saturated_share": null'
ok 'input: the elements of nothing finite are 0' out_has '"finite": 0'
for file in zero special nothing_finite; do
    all_ways()
    {
        bench_file --input="$file.npy" --quant-dtype=int8,fp8,e5m2 --scale=static,dynamic \
            --granularity=tensor,token,channel,group:3,block:2x3 &&
            same 30 "$(grep -c '  verified$' out)"
    }
    ok "$file.npy is quantized in every way" all_ways
done
ok 'input: all zero with a static scale' file_says 'verified on ' --input=zero.npy --static-scale
awkward_file()
{
    cp half.npy "$awkward_name" && bench_file --input="$awkward_name" --format=json && is_json out
}
if [ -n "$why_no_json" ]; then
    skip 'input: a file name that JSON cannot hold as it is' "$why_no_json"
else
    ok 'input: a file name that JSON cannot hold as it is' awkward_file
fi

list_of_tensors()
{
    fails 2 'has 2 tensors' --input=two.safetensors && err_has 'first.weight' && err_has 'second.weight'
}
ok 'several tensors and no --tensor: their names' list_of_tensors
unknown_tensor() { fails 2 "'third'" --input=two.safetensors --tensor=third && err_has 'first.weight'; }
ok 'an unknown --tensor: the names there are' unknown_tensor
ok 'input: --tensor without --input is refused' fails 2 '--tensor' --tensor=w
ok 'input: --input with --num-tokens is refused' fails 2 '--num-tokens' --input=half.npy --num-tokens=4
ok 'input: --input with --hidden-size is refused' fails 2 '--hidden-size' --hidden-size=4 --input=half.npy
ok 'input: --input with --dist is refused' fails 2 '--dist' --input=half.npy --dist=normal
ok 'input: --input with --dtype is refused' fails 2 '--dtype' --input=half.npy --dtype=half
ok 'input: a file that is not there' fails 3 'missing.npy' --input=missing.npy
mkdir -p empty
ok 'input: a folder without tensors is refused' fails 2 'neither .safetensors nor .npy' --input=empty
: >empty.npy
ok 'input: an empty file is refused' fails 2 'empty' --input=empty.npy

# refused NAME WORD: the file is refused, and the message has its name and WORD.
refused() { fails 2 "$1" --input="$1" && err_has "$2"; }
{ npy '<f2' '(4, 16)'; ones 63; } >truncated.npy
ok 'input: a truncated .npy is refused' refused truncated.npy 'truncated'
dd if=half.npy of=cut.npy bs=20 count=1 2>/dev/null
ok 'input: a .npy that ends in its header is refused' refused cut.npy 'truncated'
{ npy '<f2' '(4, 16)'; ones 65; } >longer.npy
ok 'input: a .npy that is longer than it says is refused' refused longer.npy 'longer.npy'
{ npy '<f2' '(4, 16)' True; ones 64; } >fortran.npy
ok 'input: a .npy in Fortran order is refused' refused fortran.npy 'Fortran'
{ npy '>f2' '(4, 16)'; ones 64; } >big.npy
ok 'input: a .npy in big-endian order is refused' refused big.npy '>f2'
{ npy '<i4' '(4, 8)'; ones 64; } >int.npy
ok 'input: a .npy of an unsupported type is refused' refused int.npy '<i4'
{ npy '<f2' '(2, 2, 16)'; ones 64; } >cube.npy
ok 'input: three dimensions are folded to rows' run 0 --input=cube.npy --quality
{ npy '<f2' '(0, 16)'; } >none.npy
ok 'input: a .npy without elements is refused' refused none.npy 'no elements'
{ npy '<f2' '(4294967296, 4294967296)'; ones 1; } >huge.npy
ok 'input: a .npy whose size overflows is refused' refused huge.npy 'overflow'
{ npy '<f2' '(1000000000, 1000000000)'; ones 1; } >lie.npy
ok 'input: a .npy that claims more than it has is refused' refused lie.npy 'truncated'
{ printf '\223NUMPX'; ones 64; } >magic.npy
ok 'input: a wrong magic is refused' refused magic.npy 'magic.npy'
printf 'this is not a tensor\n' >text
ok 'input: a text file is refused' refused text 'text: '
{ safetensors "$one"; ones 31; } >truncated.safetensors
ok 'input: a truncated safetensors file is refused' refused truncated.safetensors 'truncated'
{ little_endian 1000; printf '%s' "$one"; ones 32; } >long_header.safetensors
ok 'input: a header that ends after the file is refused' refused long_header.safetensors 'header'
{ safetensors '{"w":{"dtype":"F16","shape":[4,8],"data_offsets":[0,64]'; ones 32; } >json.safetensors
ok 'input: a header that is not JSON is refused' refused json.safetensors 'malformed'
{ safetensors '{"w":{"dtype":"F16","shape":[4,8],"data_offsets":[64,128]}}'; ones 32; } >range.safetensors
ok 'input: offsets out of range are refused' refused range.safetensors 'data_offsets'
{ safetensors '{"w":{"dtype":"F16","shape":[4,9],"data_offsets":[0,64]}}'; ones 32; } >shape.safetensors
ok 'input: a shape that does not fit its bytes is refused' refused shape.safetensors 'shape'
both='{"a":{"dtype":"F16","shape":[4,8],"data_offsets":[0,64]},'
both=$both'"b":{"dtype":"F16","shape":[4,8],"data_offsets":[32,96]}}'
{ safetensors "$both"; ones 48; } >overlap.safetensors
ok 'input: tensors that overlap are refused' fails 2 'overlap' --input=overlap.safetensors --tensor=a
{ safetensors '{"w":{"dtype":"I8","shape":[4,8],"data_offsets":[0,32]}}'; zeros 32; } >int.safetensors
ok 'input: a tensor of an unsupported type is refused' refused int.safetensors 'I8'

# ---- Bad options ---------------------------------------------------------------------------------------------------

ok 'options: an unknown option is refused' fails 2 'bogus' --bogus
ok 'options: an unknown short option is refused' fails 2 'x' -x
ok 'options: an unknown short option names --help' err_has '--help'
ok 'a mistyped option: the option that is close' fails 2 "did you mean '--num-tokens'?" --num-tokns=4
ok 'a mistyped value: the value that is close' fails 2 "(did you mean 'half'?)" --dtype=hlaf
ok 'a mistyped kernel: the kernel that is close' fails 2 "(did you mean 'cpu_generic'?)" --device=cpu --kernel=cpu_genric
ok 'a mistyped device: the device that is close' fails 2 "(did you mean 'cuda'?)" --device=CUDA
ok 'options: a short form of several options is refused' fails 2 "ambiguous option '--num'" --num=4
ok 'options: an option without its value is refused' fails 2 'num-tokens' --num-tokens
ok 'options: a value for an option that takes none' fails 2 'quiet' --quiet=3
ok 'options: an argument that is not an option' fails 2 "'extra'" extra
ok 'options: an argument after -- is refused' fails 2 "'extra'" -- extra

# refuses OPTION VALUE WORD...: exit status 2; the message has the option, the value and each WORD.
refuses()
{
    tap_option=$1 tap_value=$2
    shift 2
    fails 2 "$tap_option" "$tap_option=$tap_value" && err_has "'$tap_value'" || return 1
    for tap_accepted in "$@"; do
        err_has "$tap_accepted" || return 1
    done
}
ok 'options: --dtype names the expected ones' refuses --dtype bogus half bfloat16 float
ok 'options: an output format is not a --dtype' refuses --dtype int8 half bfloat16 float
ok 'options: --quant-dtype names the expected ones' refuses --quant-dtype bogus int8 fp8 e5m2
ok 'options: an input format is not a --quant-dtype' refuses --quant-dtype half int8 fp8 e5m2
ok 'options: --granularity names the expected ones' refuses --granularity bogus tensor token channel group:G block:RxC
ok 'options: --dist names the expected ones' refuses --dist bogus normal uniform outliers zeros lognormal
ok 'options: --dist takes whole names' refuses --dist norm normal uniform
ok '--dist: an empty value' fails 2 'empty' --dist=normal,
ok 'options: --scale names the expected ones' refuses --scale bogus static dynamic
ok 'options: --format names the expected ones' refuses --format bogus text json csv markdown gbench junit github
ok 'options: --device names the expected ones' refuses --device bogus auto cpu cuda cuda:N
for device in cpu:0 cuda: cuda:x cuda:-1 CUDA tpu:0; do
    ok "options: --device=$device is refused" refuses --device "$device" auto cpu cuda cuda:N
done
for option in --num-tokens --hidden-size --threads --num-iters; do
    # Of these four none may be 0; none has a sign, a fraction, an exponent or another base.
    for value in 0 -1 +1 1.5 1e3 0x10 ' 1' '1 ' abc 18446744073709551616 99999999999999999999999; do
        ok "options: $option='$value' is refused" refuses $option "$value" 'from 1 to'
    done
    ok "options: $option without a value is refused" fails 2 "$option" $option=
done
for value in -1 1.5 abc 18446744073709551616; do
    ok "options: --seed=$value is refused" refuses --seed "$value" 'from 0 to'
    ok "options: --num-warmup-iters=$value is refused" refuses --num-warmup-iters "$value" 'from 0 to'
done
for value in 0 -1 nan inf abc 1e39 '1 ' ''; do
    ok "options: --scale-ub='$value' is refused" refuses --scale-ub "$value" '> 0'
done
for value in group: group:0 group:-4 group:x group group:4x4 group:99999999999999999999 block block:4 block:0x4 \
    block:4x0 block:4x block:x4 tensor:4; do
    ok "options: --granularity=$value is refused" fails 2 '--granularity' --granularity=$value
done
for value in 0 0% 101% 5%% % x; do
    ok "options: --precision=$value is refused" refuses --precision "$value" 'a percentage above 0 and up to 100'
done
for value in -1% 100 100% 1%% % x; do
    ok "options: --margin=$value is refused" refuses --margin "$value" 'a percentage from 0 to less than 100'
done
ok "options: percentages with and without their sign" run 0 --device=cpu --num-tokens=4 --hidden-size=32 --margin=1 --margin=1% --dry-run --precision=5 --precision=5%
for list in '1,,2' ',1' '1,' ','; do
    ok "--num-tokens=$list: an empty value" fails 2 'empty' "--num-tokens=$list"
done
ok 'options: a bad value inside a list is refused' fails 2 "'bogus'" --quant-dtype=int8,bogus
for value in 1025 100000; do
    ok "--threads=$value: more than there can be" refuses --threads $value '1024'
done

# ---- Too large -----------------------------------------------------------------------------------------------------

# too_large ARGUMENT...: what is needed and what is free, and exit status 3, before anything is allocated.
too_large() { run 3 --device=cpu "$@" && err_has 'needed' && err_has 'free' && out_lacks 'Kernel running time'; }
ok 'memory: a tensor larger than memory' too_large --num-tokens=1000000000 --hidden-size=1000000
ok 'memory: a tensor larger than memory, in JSON' too_large --num-tokens=1000000000 --hidden-size=1000000 --format=json
ok 'memory: the document has no time of a case that was not run' flat_has '"time_ns":null'
ok 'memory: the document has the exit status of a case that was not run' flat_has '"exit_status":3'
ok 'memory: all of it together is larger than 64 bits can count' too_large --num-tokens=1 --hidden-size=878416384462359601 \
    --granularity=group:1
no_state() { run 2 "$@" && err_has '--process-state=several-streams: device cpu lacks streams; requires a CUDA device'; }
ok 'process state: several streams need a CUDA device' no_state --device=cpu --num-tokens=2 --hidden-size=32 \
    --process-state=several-streams
no_dependent_launch() { run 3 "$@" && err_has '--dependent-launch'; }
ok 'memory: --dependent-launch needs a CUDA device' no_dependent_launch --device=cpu --num-tokens=2 --hidden-size=32 --dependent-launch
overflow() { run 2 --device=cpu "$@" && err_has '--num-tokens' && err_has '--hidden-size'; }
ok 'memory: a product that overflows' overflow --num-tokens=9223372036854775807 --hidden-size=9223372036854775807
ok 'memory: a product that overflows to 0' overflow --num-tokens=4294967296 --hidden-size=4294967296
ok 'memory: elements that fit and bytes that do not' overflow --num-tokens=4294967296 --hidden-size=2147483647 --dtype=float
# One case that cannot run does not keep the others from running.
some_fail()
{
    run 3 --device=cpu --profile --hidden-size=32 --num-tokens=4,1000000000000000,5 && row_is '^ +4 .* verified$' &&
        row_is '^ *1000000000000000 .* failed$' && row_is '^ +5 .* verified$'
}
ok 'memory: a sweep goes on after a case that is too large' some_fail

# ---- Where the output goes -----------------------------------------------------------------------------------------

# to_full ARGUMENT...: a disk that is full.
to_full()
{
    "$QUANTBENCH" "$@" >/dev/full 2>err
    same 3 $? && err_has 'standard output' && err_has 'No space left'
}
if [ -c /dev/full ]; then
    ok 'standard output: a full disk' to_full --device=cpu --num-tokens=4 --hidden-size=32 --profile
    ok 'a full disk: JSON' to_full --device=cpu --num-tokens=4 --hidden-size=32 --profile --format=json
    ok 'a full disk: --help' to_full --help
    ok 'a full disk: --version' to_full --version
    ok 'a full disk: --list-devices' to_full --list-devices
else
    for what in measurement JSON --help --version --list-devices; do skip "a full disk: $what" 'no /dev/full'; done
fi
closed_output()
{
    "$QUANTBENCH" --device=cpu --num-tokens=4 --hidden-size=32 --profile >&- 2>err
    same 3 $? && err_has 'standard output'
}
ok 'standard output: a closed standard output' closed_output
# unmeasured COMMAND...: it fails for its standard output, and says nothing else: a measurement would warm up.
unmeasured() { "$@" && same 1 "$(wc -l <err | tr -d ' ')"; }
small='--device=cpu --num-tokens=4 --hidden-size=32'
closed_before() { "$QUANTBENCH" $small "$@" >&- 2>err; same 3 $? && err_has 'standard output: Bad file descriptor'; }
# shellcheck disable=SC2086 # a list of words
{
    ok 'standard output: a closed one is found before the measurement' unmeasured closed_before
    ok 'standard output: one without a reader is found before the measurement' unmeasured closed_pipe $small
    ok 'standard output: a closed one is found before --runs' unmeasured closed_before --runs=2
    if [ -c /dev/full ]; then
        ok 'standard output: a full one is found before the measurement' unmeasured to_full $small
        ok 'standard output: a full one is found before --self-test' unmeasured to_full $small --self-test
        ok 'standard output: a full one is found before --doctor' unmeasured to_full --doctor
    fi
}
ok 'standard output: a closed pipe' closed_pipe --device=cpu --num-tokens=4 --hidden-size=32 --profile
ok 'a closed pipe: a table' closed_pipe --device=cpu --num-tokens=4,5,6 --hidden-size=32 --profile
ok 'a closed pipe: --help' closed_pipe --help

# ---- Interrupts ----------------------------------------------------------------------------------------------------

# interrupt SIGNAL PATTERN FILE ARGUMENT...: send SIGNAL when PATTERN is in FILE; the exit status is in $status. A run
# that is never interrupted ends by itself, and soon, so that the loop ends too.
interrupt()
{
    tap_signal=$1 tap_pattern=$2 tap_file=$3
    shift 3
    : >out
    : >err
    # A shell ignores SIGINT for what it puts into the background, and the tool would keep that.
    beside env --default-signal=INT,TERM "$QUANTBENCH" "$@" >out 2>err
    while kill -0 $tap_pid 2>/dev/null && ! grep -q -e "$tap_pattern" "$tap_file"; do :; done
    kill -s "$tap_signal" $tap_pid 2>/dev/null
    joined
    status=$?
}
if env --default-signal=INT true 2>/dev/null; then
interrupt INT 'round 2 of' err -v --device=cpu --hidden-size=32 --num-tokens=1,2,3,4,5 --cache=hot --num-iters=2000
ok 'interrupts: SIGINT ends a sweep with the status of the signal' same 130 $status
some_rows() { [ "$(grep -cE 'verified( \*)?$' out)" -eq 5 ]; }
ok 'interrupts: what was measured before SIGINT is reported' some_rows
ok 'interrupts: what was not measured is not a failure' out_lacks 'failed'
interrupt TERM 'Warming up' err --device=cpu --hidden-size=32 --num-tokens=4 --cache=hot --num-iters=20000
ok 'interrupts: SIGTERM ends a measurement with the status of the signal' same 143 $status
ok 'interrupts: the description of a case is not lost' out_has 'half -> int8'
else
    skip 'interrupts: SIGINT and SIGTERM' 'this env has no --default-signal'
fi

done_testing
