#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# examples.sh - the programs of doc/examples run, and print what they should.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

quantize()
{
    "$builddir/example_quantize.test" >out 2>err
    cat >expected <<'END'
scale 0.00892857   0x66 = 0.5      0xEE = -1       0x76 = 2        0x7E = 4       
scale 0.223214     0x7E = 100      0xF6 = -50      0x6E = 25       0x00 = 0       
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

ok "01_quantize" quantize
if [ -e "$builddir/example_cuda_stream.test" ]; then
    "$builddir/example_cuda_stream.test" >out 2>err
    if [ $? -eq 77 ]; then
        skip "02_cuda_stream" "$(cat err)"
    else
        ok "02_cuda_stream" cuda_stream
    fi
else
    skip "02_cuda_stream" "it is built where the CUDA backend is"
fi
done_testing
