"""The best rate at which torch multiplies matrices of a model's own shapes here. Run in an interpreter that has torch.

Prints JSON: for each product of a layer the best of several times, on a CPU with the weight packed beforehand, too; and
the rate of a whole layer made of the best.
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
Json = dict[str, Any]


def measure(products: list[tuple[int, int]], num_rows: int, dtype: str, device: str, seconds: float) -> Json:
    """`seconds` for each product, and at least MIN_REPEATS times."""
    import torch

    found: list[Json] = []
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        for inputs, outputs in products:
            rows = torch.randn(num_rows, inputs, generator=generator).to(device, getattr(torch, dtype))
            weight = torch.randn(outputs, inputs, generator=generator).to(device, getattr(torch, dtype))
            best = _best_seconds(rows, weight, seconds)
            flops = 2 * num_rows * inputs * outputs
            found.append({"product": [num_rows, inputs, outputs], "flops": flops, "best_seconds": best})
    layer = sum(product["flops"] for product in found) / sum(product["best_seconds"] for product in found)
    return {"dtype": dtype, "gflops": layer / 1e9, "products": found}


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
    args = parser.parse_args()

    import torch

    torch.set_num_threads(args.threads)
    products = shape_of(args.checkpoint).products()
    print(json.dumps(measure(products, args.rows, args.dtype, args.device, args.seconds)))


if __name__ == "__main__":
    main()
