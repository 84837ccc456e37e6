"""The best rate at which torch multiplies matrices of a model's own shapes here. Run in an interpreter that has torch.

Prints JSON: for each product of a layer the best of several times, on a CPU with the weight packed beforehand, too; the
rate of a whole layer made of the best; and on a GPU the rate of layer after layer for some seconds, for there the clock
follows the power drawn: the best time of a short burst is not to be had for long.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.work import shape_of

MIN_REPEATS = 3
LAYERS_AT_ONCE = 50
Json = dict[str, Any]


def measure(
    products: list[tuple[int, int]], num_rows: int, dtype: str, device: str, seconds: float, sustained_seconds: float
) -> Json:
    """`seconds` for each product, and at least MIN_REPEATS times; `sustained_seconds` for all of them in turn."""
    import torch

    found: list[Json] = []
    operands = []
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        for inputs, outputs in products:
            rows = torch.randn(num_rows, inputs, generator=generator).to(device, getattr(torch, dtype))
            weight = torch.randn(outputs, inputs, generator=generator).to(device, getattr(torch, dtype))
            operands.append((rows, weight))
            best = _best_seconds(rows, weight, seconds)
            flops = 2 * num_rows * inputs * outputs
            found.append({"product": [num_rows, inputs, outputs], "flops": flops, "best_seconds": best})
        flops = sum(product["flops"] for product in found)
        layer = flops / sum(product["best_seconds"] for product in found)
        sustained = flops / _sustained_seconds(operands, sustained_seconds) if device != "cpu" else None
    return {
        "dtype": dtype,
        "gflops": layer / 1e9,
        "sustained_gflops": sustained / 1e9 if sustained else None,
        "products": found,
    }


def _sustained_seconds(operands: list[tuple[Any, Any]], seconds: float) -> float:
    """Of one layer, in the second half of `seconds`."""
    import torch

    outputs = [rows @ weight.t() for rows, weight in operands]
    torch.cuda.synchronize()
    begin, num_layers, half = time.perf_counter(), 0, None
    while (now := time.perf_counter()) - begin < seconds:
        if half is None and now - begin >= seconds / 2:
            half, num_layers = now, 0
        for _ in range(LAYERS_AT_ONCE):
            for (rows, weight), output in zip(operands, outputs, strict=True):
                torch.matmul(rows, weight.t(), out=output)
        torch.cuda.synchronize()
        num_layers += LAYERS_AT_ONCE
    return (time.perf_counter() - (half or begin)) / num_layers


def _best_seconds(rows: Any, weight: Any, seconds: float) -> float:
    import torch

    output = rows @ weight.t()  # pages of the output are there before the clock starts
    ways = [lambda: torch.matmul(rows, weight.t(), out=output)]
    if not rows.is_cuda:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, len(rows))
        ways.append(lambda: torch.ops.mkldnn._linear_pointwise(rows, packed, None, "none", [], ""))
    return min(_best_of(way, rows.is_cuda, seconds) for way in ways)


def _best_of(way: Callable[[], object], is_cuda: bool, seconds: float) -> float:
    best, repeats, begin = float("inf"), 0, time.perf_counter()
    while repeats < MIN_REPEATS or time.perf_counter() - begin < seconds:
        best = min(best, _gpu_seconds(way) if is_cuda else _cpu_seconds(way))
        repeats += 1
    return best


def _cpu_seconds(way: Callable[[], object]) -> float:
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


def _gpu_seconds(way: Callable[[], object]) -> float:
    """By the GPU's clock: launching is not counted."""
    import torch

    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    way()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each product (default: %(default)s)")
    parser.add_argument(
        "--sustained-seconds", type=float, default=6.0, help="for all in turn, on a GPU (default: %(default)s)"
    )
    args = parser.parse_args()

    import torch

    torch.set_num_threads(args.threads)
    products = shape_of(args.checkpoint).products()
    print(json.dumps(measure(products, args.rows, args.dtype, args.device, args.seconds, args.sustained_seconds)))


if __name__ == "__main__":
    main()
