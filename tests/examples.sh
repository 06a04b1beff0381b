#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# examples.sh - the programs of doc/examples run, and print what they should.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

quantize()
{
    # A program of another architecture needs what runs it.
    ${EMULATOR-} "$builddir/example_quantize.test" >out 2>err
    cat >expected <<'END'
scale 0.00892857   0x66 = 0.5      0xEE = -1       0x76 = 2        0x7E = 4       
scale 0.223214     0x7E = 100      0xF6 = -50      0x6E = 25       0x00 = 0       
END
    diff expected out
}

rms_norm()
{
    ${EMULATOR-} "$builddir/example_rms_norm.test" >out 2>err
    cat >expected <<'END'
residual     1.0000   3.0000   1.0000   0.0000
normed       0.5815   1.8091   0.2907   0.0000
codes           0x71     0x7E     0x69     0x00   scale 0.0040381
residual     1.0000   0.0000   1.0000   2.0000
normed       0.8165   0.0000   0.4082   3.2660
codes           0x6E     0x00     0x66     0x7E   scale 0.00729015
END
    diff expected out
}

cuda_stream()
{
    cat >expected <<'END'
scale 0.0314961      16  -32   64  127
scale 0.787402      127  -64   32    0
END
    diff expected out
}

ok "example: 01_quantize runs" quantize
ok "example: 03_rms_norm runs" rms_norm
kernels() { ! grep -n qb_reference "$srcdir"/doc/examples/0*.c; }
ok "example: programs run kernels, not the reference" kernels
# README says what its program prints.
readme() { ${EMULATOR-} "$builddir/example_readme.test" >out 2>err && grep -qF "\`$(cat out)\`" "$srcdir/README.md"; }
ok "README: README's program prints what README says" readme
# README's commands, to the library that was built and not installed.
# shellcheck disable=SC2016,SC2046 # patterns, and a list of words
linked()
{
    sed -n '/^```c$/,/^```$/{ /^```/d; p; }' "$srcdir/README.md" >program.c
    grep -qF 'cc program.c $(pkg-config --cflags --libs libquantbench) && ./a.out' "$srcdir/README.md" &&
        ${CC:-cc} -Wall -Werror program.c $(PKG_CONFIG_PATH=$PWD pkg-config --cflags --libs libquantbench) \
            "-Wl,-rpath,$builddir/.libs" && ./a.out >out && grep -qF "\`$(cat out)\`" "$srcdir/README.md"
}
if [ -e "$builddir/.libs/libquantbench.so" ] && [ -z "${EMULATOR-}" ]; then
    sed -e "s|^libdir=.*|libdir=$builddir/.libs|" -e "s|^includedir=.*|includedir=$srcdir/src/libquantbench|" \
        "$builddir/libquantbench.pc" >libquantbench.pc
    ok "README: README's program links by README's command" linked
else
    skip "README: README's program links by README's command" 'there is no shared library, or it does not run by itself'
fi
narrow() { awk 'length > 80 { print "# " $0; wide = 1 } END { exit wide || NR >= 150 }' "$srcdir/README.md"; }
ok "README: README is short and fits into 80 columns" narrow
# The options of README's commands exist.
# shellcheck disable=SC2016 # patterns
commands()
{
    sed -n '/^```sh$/,/^```$/p' "$srcdir/README.md" | awk '/^quantbench |run --/ || more { print } { more = /\\$/ }' |
        grep -oE -e '--[a-z-]+' | sort -u >used
    "$QUANTBENCH" --help | grep -oE -e '--[a-z-]+' | sort -u >known
    [ "$(wc -l <used)" -ge 10 ] && comm -23 used known >unknown_options && sed 's/^/# /' unknown_options &&
        [ ! -s unknown_options ]
}
if [ -x "$QUANTBENCH" ] && [ -z "${EMULATOR-}" ]; then
    ok "README: README's commands have options that exist" commands
else
    skip "README: README's commands have options that exist" 'the tool is not built, or does not run by itself'
fi
# Each line of the outputs that README shows is one that the manual explains.
explained()
{
    sed -n '/^quantize  /,/^Kernel running time: /s/^\([a-zK][a-z ]*[a-z]\)  *.*/\1/p' "$srcdir/README.md" |
        sed 's/ .*//' | sort -u >labels
    [ -s labels ] && while read -r label; do
        grep -qE "^\.B $label( running time)?$" "$srcdir/man/quantbench-output.5.in" ||
            { echo "# README shows '$label', which quantbench-output(5) does not have"; return 1; }
    done <labels
}
ok "README: the outputs in README have lines that the manual explains" explained
if [ -e "$builddir/example_cuda_stream.test" ]; then
    "$builddir/example_cuda_stream.test" >out 2>err
    if [ $? -eq 77 ]; then
        skip "example: 02_cuda_stream runs" "$(cat err)"
    else
        ok "example: 02_cuda_stream runs" cuda_stream
    fi
else
    skip "example: 02_cuda_stream runs" "built where the CUDA backend is"
fi

if [ ! -x "$QUANTBENCH" ] || [ -n "${EMULATOR-}" ]; then
    skip 'plug-in: the examples' 'the tool is not built, or does not run by itself'
    done_testing
    exit
fi
# ---- Plug-ins, built by the Makefile that is installed with them, as the manual says --------------------------------

for file in Makefile plugin_cpu.c plugin_cuda.cu; do
    cp "$srcdir/doc/examples/$file" .
done
# The header lies in a folder whose name has a space, as it may where it is installed.
ln -s "$srcdir/src/libquantbench" 'the header'
{
    grep -v '^Cflags:' "$builddir/libquantbench.pc"
    echo "Cflags: \"-I$PWD/the header\""
} >libquantbench.pc
PKG_CONFIG_PATH=$PWD${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_PATH
# Not the make that runs the tests, whose options are not meant for this one.
build() { env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s "$@" >err 2>&1 && [ ! -s err ]; }

cpu='--device=cpu --dtype=float --granularity=token --num-tokens=16 --hidden-size=100 --num-iters=2 --threads=2'
ok 'plug-in: plugin_cpu is built without a warning' build plugin_cpu.so CC="${CC:-cc}" CFLAGS='-O2 -Wall -Wextra -fopenmp'
# The options are a list of words.
# shellcheck disable=SC2086
cpu_plugin() { run 0 --plugin=plugin_cpu.so --kernel=my_int8_token $cpu && out_has 'Kernel running time: '; }
ok 'plug-in: plugin_cpu is verified and measured' cpu_plugin
# shellcheck disable=SC2086
both() { run 0 --plugin=plugin_cpu.so --kernel='my_*,cpu_*' $cpu --profile && out_has my_int8_token && out_has cpu_generic; }
ok "plug-in: plugin_cpu is measured beside quantbench's own kernels" both
# shellcheck disable=SC2086
broken()
{
    sed -i 's|127 / amax|126 / amax|' plugin_cpu.c && build plugin_cpu.so CC="${CC:-cc}" &&
        run 4 --plugin=plugin_cpu.so --kernel=my_int8_token $cpu && err_has 'the first is code ['
}
ok 'plug-in: plugin_cpu that is broken is found' broken

if [ -e "$builddir/example_cuda_stream.test" ]; then
    PATH=$PATH:$(dirname "$NVCC")
    # Without an architecture nvcc compiles for all.
    ok 'plug-in: plugin_cuda is built' build plugin_cuda.so NVCCFLAGS=-w
    if run 0 --list-devices && ! grep -q '^cuda *no device' out; then
        cuda() { run 0 --plugin=plugin_cuda.so --kernel=my_fp8_token --device=cuda --quant-dtype=fp8 --granularity=token; }
        ok 'plug-in: plugin_cuda is verified and measured' cuda
    else
        skip 'plug-in: plugin_cuda is verified and measured' 'there is no CUDA device'
    fi
else
    skip 'plug-in: plugin_cuda is verified and measured' 'it is built where the CUDA backend is'
fi
done_testing
