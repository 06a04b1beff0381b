# SPDX-License-Identifier: Apache-2.0
"""libquantbench for Python, through ctypes: nothing is built.

The other examples import this. It has what they need of quantbench.h; a
member or a function that you need is added in the same way. QUANTBENCH_LIBRARY
names another libquantbench.so than the installed one.
"""
import ctypes
import os
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_size_t, c_uint, c_uint64, c_void_p


class Error(RuntimeError):
    """What a call of the library says that went wrong."""


class Problem(ctypes.Structure):
    """The first members of struct qb_problem, which says how many they are."""

    _fields_ = [("size", c_size_t), ("operation", c_int), ("input", c_int), ("output", c_int),
                ("scale_format", c_int), ("granularity", c_int), ("scaling", c_int),
                ("tokens", c_uint64), ("hidden", c_uint64),
                ("input_stride", c_uint64), ("output_stride", c_uint64),
                ("group", c_uint64), ("block_rows", c_uint64), ("block_cols", c_uint64),
                ("amax_bound", c_float), ("packing", c_int)]


class Tensors(ctypes.Structure):
    """struct qb_tensors with the addresses of input, codes and scales."""

    _fields_ = [("size", c_size_t), ("at", c_void_p * 3)]


_library = ctypes.CDLL(os.environ.get("QUANTBENCH_LIBRARY", "libquantbench.so.0"))


def _declare(name, *arguments, result=c_int):
    function = getattr(_library, name)
    function.argtypes, function.restype = arguments, result
    return function


_strerror = _declare("qb_strerror", c_int, result=c_char_p)
_error_detail = _declare("qb_error_detail", result=c_char_p)
_format_find = _declare("qb_format_find", c_char_p, POINTER(c_int))
_granularity_name = _declare("qb_granularity_name", c_int, result=c_char_p)
_problem_init = _declare("qb_problem_init_size", POINTER(Problem), c_size_t, result=None)
_problem_validate = _declare("qb_problem_validate", POINTER(Problem))
_scale_shape = _declare("qb_problem_scale_shape", POINTER(Problem), POINTER(c_uint64), POINTER(c_uint64), result=None)
_backend_find = _declare("qb_backend_find", c_char_p, result=c_void_p)
_backend_why_not = _declare("qb_backend_why_not", c_char_p, result=c_char_p)
_device_open = _declare("qb_device_open", c_void_p, c_int, POINTER(c_void_p))
_queue_create = _declare("qb_queue_create", c_void_p, POINTER(c_void_p))
_queue_wrap = _declare("qb_queue_wrap", c_void_p, c_void_p, POINTER(c_void_p))
_queue_set_threads = _declare("qb_queue_set_threads", c_void_p, c_uint)
_quantize = _declare("qb_quantize", c_void_p, POINTER(Problem), POINTER(Tensors))


def _must(status):
    if status != 0:
        raise Error(f"{_strerror(status).decode()}: {_error_detail().decode()}")


def find_format(name):
    """Return the number of a format: "half", "bfloat16", "float", "int8", "fp8", ..."""
    number = c_int()
    _must(_format_find(name.encode(), byref(number)))
    return number.value


def find_granularity(name):
    """Return the number of a granularity: "tensor", "token", "channel", "group" or "block"."""
    number = 0
    while (known := _granularity_name(number)) is not None:
        if known.decode() == name:
            return number
        number += 1
    raise ValueError(f"{name}: unknown granularity")


def make_problem(shape, input_format, output_format, granularity="token", group=128):
    """Return a valid problem: to quantize a tensor of SHAPE in dense rows, with dynamic scales."""
    problem = Problem()
    _problem_init(byref(problem), ctypes.sizeof(problem))
    problem.input = find_format(input_format)
    problem.output = find_format(output_format)
    problem.granularity = find_granularity(granularity)
    problem.tokens, problem.hidden = shape
    problem.group = problem.block_rows = problem.block_cols = group
    _must(_problem_validate(byref(problem)))
    return problem


def scale_shape(problem):
    """Return the rows and columns of its scales."""
    rows, columns = c_uint64(), c_uint64()
    _scale_shape(byref(problem), byref(rows), byref(columns))
    return rows.value, columns.value


class Queue:
    """A queue on a device: of its own, or a CUDA stream's. It lives as long as the process."""

    def __init__(self, backend, index=0, stream=None, threads=None):
        found = _backend_find(backend.encode())
        if found is None:
            raise Error(f"{backend}: {_backend_why_not(backend.encode()).decode()}")
        device, self._queue = c_void_p(), c_void_p()
        _must(_device_open(found, index, byref(device)))
        if stream is None:
            _must(_queue_create(device, byref(self._queue)))
        else:
            _must(_queue_wrap(device, c_void_p(stream), byref(self._queue)))
        if threads is not None:
            _must(_queue_set_threads(self._queue, threads))

    def quantize(self, problem, input_address, codes_address, scales_address):
        """Put the work into the queue. On the CPU it is done when this returns."""
        tensors = Tensors(ctypes.sizeof(Tensors), (c_void_p * 3)(input_address, codes_address, scales_address))
        _must(_quantize(self._queue, byref(problem), byref(tensors)))
