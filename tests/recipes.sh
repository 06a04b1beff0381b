#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# recipes.sh - what others read or run: the workflow for github-action-benchmark, the Containerfile and Spack's recipe.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

# ---- github-action-benchmark ---------------------------------------------------------------------------------------

# Its tool googlecpp makes a result of each member of benchmarks: name, real_time, time_unit, iterations, cpu_time and
# threads. Results of two commits are compared that have the same name.
workflow=$srcdir/doc/examples/github-action-benchmark.yml
if command -v jq >/dev/null; then
    small='--device=cpu --num-tokens=2,4 --hidden-size=64 --quant-dtype=fp8,int8 --num-iters=4 --num-warmup-iters=0 --rounds=2'
    # The filter of the workflow itself.
    sed -n 's/^ *- run: \(jq .*\)/\1/p' "$workflow" >filter.sh
    for name in first second; do
        # shellcheck disable=SC2086 # a list of options
        "$QUANTBENCH" -q $small --output=all.gbench.json >$name.out && sh filter.sh && mv medians.json $name.json || exit 99
    done
    results() { jq -r '.benchmarks[] | [.name, .real_time, .time_unit, .iterations, .cpu_time, .threads] | @tsv' "$1"; }
    fields()
    {
        results first.json >lines && same 4 "$(wc -l <lines)" && awk -F '\t' 'NF != 6 || $1 == "" || !($2 > 0) || $3 != "ns" ||
            $4 !~ /^[0-9]+$/ || !($5 > 0) || $6 !~ /^[0-9]+$/ { print "# " $0; bad = 1 } END { exit bad }' lines
    }
    ok 'github-action-benchmark: each case is one result with all fields that are read' fields
    names() { results first.json | cut -f 1 | sort >names && [ -z "$(uniq -d names)" ] && results second.json | cut -f 1 | sort | cmp names -; }
    ok 'github-action-benchmark: names are unique, and the same in the next run' names
    medians()
    {
        "$QUANTBENCH" --report="$srcdir/doc/records/h200.json" --output=all.gbench.json >out && sh filter.sh &&
            results medians.json | awk -F '\t' '{ n++; good += $2 > 29163 && $2 < 29459 } END { exit !(n == 1 && good == 1) }'
    }
    ok 'github-action-benchmark: the value is in nanoseconds, and within the interval of the median' medians
else
    skip 'github-action-benchmark' 'jq is not installed'
fi
# has_python MODULE: set $python to a Python that has MODULE.
has_python()
{
    for python in python3 /usr/bin/python3; do
        "$python" -c "import $1" 2>/dev/null && return
    done
    return 1
}
options()
{
    sed -n 's/^ *- run: quantbench //p' "$workflow" >line && [ -s line ] && sed 's/--output=.*//' line | xargs "$QUANTBENCH" --device=cpu --dry-run >out
}
ok 'github-action-benchmark: the options of the workflow exist' options
if has_python yaml; then
    yaml() { "$python" -c 'import sys, yaml; yaml.safe_load(open(sys.argv[1]))["jobs"]["quantization"]["steps"]' "$1"; }
    ok 'github-action-benchmark: the workflow is YAML' yaml "$workflow"
else
    skip 'github-action-benchmark: the workflow is YAML' "Python's yaml is not installed"
fi

# ---- The image -----------------------------------------------------------------------------------------------------

file=$srcdir/Containerfile
# One instruction to a line, without comments.
awk '/^#/ || /^$/ { next } { text = text $0 } /\\$/ { sub(/\\$/, "", text); next } { print text; text = "" }' "$file" >instructions
known() { ! grep -vE '^(ARG|FROM|ENV|RUN|COPY|WORKDIR|ENTRYPOINT) ' instructions; }
ok 'image: every instruction is known' known
stages()
{
    sed -n 's/^FROM .* AS //p' instructions >stages && for stage in compiler-cpu compiler-cuda build; do
        grep -qx "$stage" stages || { echo "# there is no stage $stage"; return 1; }
    done && grep -qF "FROM compiler-\${VARIANT} AS build" instructions && same build "$(sed -n 's/^COPY --from=\([a-z-]*\) .*/\1/p' instructions)"
}
ok 'image: every stage that is named is there' stages
arguments()
{
    # What a FROM names is an ARG before the first.
    sed '/^FROM/,$d' instructions | sed -n 's/^ARG \([A-Z_]*\)=.*/\1/p' | sort >given &&
        sed -n '/^FROM/s/[^$]*${\([A-Z_]*\)}[^$]*/\1\n/gp' instructions | grep . | sort -u | cmp given -
}
ok 'image: every argument of a stage has a default' arguments
shell() { sed -n 's/^RUN //p' instructions >scripts && [ "$(wc -l <scripts)" -ge 4 ] && while read -r line; do echo "$line" >script && sh -n script || return 1; done <scripts; }
ok 'image: its commands are shell' shell
# shellcheck disable=SC2016 # a pattern
configured()
{
    sed -n 's/.*configure \(-[^&]*\) \${CUDA}.*/\1/p; s/^ENV CUDA="*\([^"]*\).*/\1/p' instructions | tr ' ' '\n' | grep -o '^--[a-z-]*' |
        sort -u >used && "$srcdir/configure" --help >help && [ "$(wc -l <used)" -ge 5 ] && while read -r option; do
        grep -qE -e "$(echo "$option" | sed 's/^--\(with\|without\|disable\|enable\)-/--(with|enable|without|disable)-/')" help ||
            { echo "# configure lacks $option"; return 1; }
    done <used
}
if [ -x "$srcdir/configure" ]; then
    ok 'image: configure has its options' configured
else
    skip 'image: configure has its options' 'there is no configure'
fi

# ---- Spack ---------------------------------------------------------------------------------------------------------

recipe=$srcdir/contrib/spack/package.py
version=$("$QUANTBENCH" --version | sed -n '1s/.* //p')
ok 'Spack: the recipe has this version' grep -qF "version(\"$version\")" "$recipe"
if has_python ast; then
    # Spack's own names, as far as the recipe needs them: it runs, and says what it gives configure.
    mkdir -p fake/spack fake/spack_repo/builtin/build_systems
    cat >fake/spack/package.py <<'END'
def ignored(*arguments, **named):
    pass

license = version = variant = conflicts = depends_on = ignored
END
    echo 'class AutotoolsPackage:
    def enable_or_disable(self, name):
        return [("--enable-" if name in self.spec.on else "--disable-") + name]' >fake/spack_repo/builtin/build_systems/autotools.py
    echo 'class CudaPackage: pass' >fake/spack_repo/builtin/build_systems/cuda.py
    cat >try.py <<'END'
import sys, types
sys.path[:0] = ["fake", sys.argv[1]]
sys.dont_write_bytecode = True
import package

class Spec:
    def __init__(self, *on):
        self.on = on
        self.variants = {"cuda_arch": types.SimpleNamespace(value=("80", "90"))}
    def satisfies(self, text):
        return text[1:] in self.on
    def __getitem__(self, name):
        return types.SimpleNamespace(prefix="/" + name, mpicc="/mpicc")

for on in (("tool",), ("tool", "cuda", "mpi"), ()):
    recipe = package.Quantbench()
    recipe.spec = Spec(*on)
    print(*recipe.configure_args())
END
    cat >expected <<'END'
--enable-tool --without-cuda --without-mpi
--enable-tool --with-cuda=/cuda --with-cuda-arch=80,90 --with-mpi=/mpicc
--disable-tool --without-cuda --without-mpi
END
    runs() { "$python" try.py "$(dirname "$recipe")" >out 2>err && diff expected out; }
    ok 'Spack: the recipe runs, and gives configure its options' runs
else
    skip 'Spack: the recipe runs, and gives configure its options' 'Python is not installed'
fi
done_testing
