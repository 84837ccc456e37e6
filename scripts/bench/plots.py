"""Draws the growth curves of a results.json. Run in an interpreter that has matplotlib.

Time against the length of one document, and against the number of documents, both axes logarithmic.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("Agg")  # before pyplot, which may want a screen

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator, StrMethodFormatter

Json = dict[str, Any]
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#6b6b6b", "#000000", "#8c510a")
"""Okabe and Ito's and a brown, told apart with any kind of colour vision."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "p")
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "legend.frameon": False,
    "svg.hashsalt": "prm-score",  # ids in SVG files are random without one
}
PANELS = (("length", "words", "words of one document"), ("count", "documents", "documents"))


def draw(results: Json, path: Path) -> bool:
    """False if there is nothing to draw."""
    curves = [(c, c["growth"]) for c in results["checkpoints"] if any(c["growth"].values())]
    if not curves:
        return False
    with plt.rc_context(STYLE):
        size = (8.5, 3.6 * len(curves) + 0.5)
        figure, axes = plt.subplots(len(curves), 2, figsize=size, squeeze=False, layout="constrained")
        for (checkpoint, growth), row in zip(curves, axes, strict=True):
            for panel, (name, key, label) in zip(row, PANELS, strict=True):
                _draw_panel(panel, growth.get(name, {}), key, results["growth_titles"])
                panel.set(xlabel=label, ylabel="seconds", title=checkpoint["name"])
        handles = _handles(axes.flat)
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
    return True


def _handles(panels: Iterable[Axes]) -> dict[str, Any]:
    """Of all panels, each label once."""
    found: dict[str, Any] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return found


def _draw_panel(panel: Axes, curves: Json, key: str, titles: Json) -> None:
    ticks: set[int] = set()
    for i, lane in enumerate(titles):
        points = curves.get(lane, [])
        if not points:
            continue
        x, y = [point[key] for point in points], [median(point["seconds"]) for point in points]
        ticks.update(x)
        panel.plot(x, y, color=COLOURS[i % len(COLOURS)], marker=MARKERS[i % len(MARKERS)], ms=4, label=titles[lane])
    panel.set(xscale="log", yscale="log")
    panel.xaxis.set_major_locator(FixedLocator(sorted(ticks)))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.tick_params(axis="x", labelsize=8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("output", type=Path, help="SVG file")
    args = parser.parse_args()
    drawn = draw(json.loads(args.results.read_text(encoding="utf-8")), args.output)
    print(json.dumps({"drawn": drawn}))


if __name__ == "__main__":
    main()
