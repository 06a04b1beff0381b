# SPDX-License-Identifier: Apache-2.0
"""Quantize a NumPy array on the CPU, and read the codes back.

    python3 numpy_quantize.py               a small array
    python3 numpy_quantize.py FILE.npy      the array in a file
"""
import sys

import numpy

from libquantbench import Queue, make_problem, scale_shape

_formats = {numpy.dtype(numpy.float16): "half", numpy.dtype(numpy.float32): "float"}
_queue = None


def quantize(array, output_format="fp8", granularity="token", group=128):
    """Return the codes of a two-dimensional ARRAY, and its scales. Codes of FP8 are bytes, which NumPy has no type for."""
    global _queue
    _queue = _queue or Queue("cpu")
    array = numpy.ascontiguousarray(array)
    problem = make_problem(array.shape, _formats[array.dtype], output_format, granularity, group)
    codes = numpy.empty(array.shape, numpy.int8 if output_format == "int8" else numpy.uint8)
    scales = numpy.empty(scale_shape(problem), numpy.float32)
    _queue.quantize(problem, array.ctypes.data, codes.ctypes.data, scales.ctypes.data)
    return codes, scales


def decode_fp8(codes):
    """Return the values of codes of FP8 E4M3, of a sign, four bits of an exponent and three of a mantissa."""
    exponent, mantissa = (codes >> 3 & 15).astype(int), codes & 7
    values = numpy.where(exponent > 0, numpy.ldexp(8.0 + mantissa, exponent - 10), numpy.ldexp(mantissa / 8.0, -6))
    values[codes & 127 == 127] = numpy.nan
    return numpy.where(codes & 128, -values, values).astype(numpy.float32)


def main():
    if len(sys.argv) > 1:
        array = numpy.load(sys.argv[1])
    else:
        array = numpy.array([[0.5, -1, 2, 4], [100, -50, 25, 0]], numpy.float32)
    for output_format, decode in (("int8", lambda codes: codes), ("fp8", decode_fp8)):
        codes, scales = quantize(array, output_format)
        values = decode(codes) * scales
        noise = numpy.square(values - array, dtype=numpy.float64).sum()
        signal = numpy.square(array, dtype=numpy.float64).sum()
        print(f"{output_format:4}  first code 0x{codes[0, 0] & 255:02X}, scale {scales[0, 0]:g},",
              f"SNR {10 * numpy.log10(signal / noise):.2f} dB" if noise > 0 else "exact")


if __name__ == "__main__":
    main()
