# SPDX-License-Identifier: Apache-2.0
"""A custom operator of PyTorch that quantizes to FP8 with a scale for each token.

    python3 torch_op.py        compare it with PyTorch's own arithmetic

On a CUDA device the work goes into PyTorch's current stream, as any other
operator's does. It also works in torch.compile() and in CUDA graphs.
"""
import torch

from libquantbench import Queue, make_problem

_formats = {torch.float16: "half", torch.bfloat16: "bfloat16", torch.float32: "float"}
_queues = {}


def _queue_of(device):
    """Return the queue of the current stream of DEVICE."""
    stream = torch.cuda.current_stream(device).cuda_stream if device.type == "cuda" else None
    key = device.type, device.index, stream
    if key not in _queues:
        _queues[key] = Queue(device.type, device.index or 0, stream)
    return _queues[key]


@torch.library.custom_op("quantbench::quantize_fp8", mutates_args=())
def quantize_fp8(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x = x.contiguous()
    codes = torch.empty(x.shape, dtype=torch.float8_e4m3fn, device=x.device)
    scales = torch.empty((x.shape[0], 1), dtype=torch.float32, device=x.device)
    problem = make_problem(x.shape, _formats[x.dtype], "fp8", "token")
    _queue_of(x.device).quantize(problem, x.data_ptr(), codes.data_ptr(), scales.data_ptr())
    return codes, scales


@quantize_fp8.register_fake
def _(x):
    return x.new_empty(x.shape, dtype=torch.float8_e4m3fn), x.new_empty((x.shape[0], 1), dtype=torch.float32)


def expected(x):
    """Return the same from PyTorch's own operators."""
    amax = x.float().abs().amax(1, keepdim=True)
    # Not by the number 448, whose reciprocal PyTorch would multiply with on CUDA devices.
    scales = (amax / torch.full_like(amax, 448)).clamp(min=2.0**-126)
    return (x.float() / scales).to(torch.float8_e4m3fn), scales


def same(found, wanted):
    return all(torch.equal(a.view(torch.uint8), b.view(torch.uint8)) for a, b in zip(found, wanted))


def check_streams(x):
    """Check the operator in a stream that is not the default one, and in a CUDA graph that is replayed with new data."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        in_stream = quantize_fp8(x)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        in_graph = quantize_fp8(x)
    wanted = expected(x)
    x.mul_(-3)
    graph.replay()
    torch.cuda.synchronize()
    return same(in_stream, wanted) and same(in_graph, expected(x))


def main():
    for device in ["cpu"] + ["cuda"] * torch.cuda.is_available():
        for dtype in _formats:
            x = torch.randn(128, 8192, device=device).to(dtype)
            good = same(quantize_fp8(x), expected(x)) and (device == "cpu" or check_streams(x))
            print(f"{device:4}  {str(dtype):14}  {'the same bytes as PyTorch' if good else 'DIFFERENT BYTES'}")
            if not good:
                raise SystemExit(1)


if __name__ == "__main__":
    main()
