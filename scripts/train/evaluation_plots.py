"""Plots of a report, from its JSON alone. The same report gives the same bytes.

Real text is grey throughout, files have a colour and a marker each; kinds of damage have panels of their own, because
ten lines in one panel cannot be told apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # before pyplot, which may want a screen

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

Json = dict[str, Any]

WIDTH = 8.5
"""Inches; at 96 dots an inch as wide as a README is shown."""
COLUMNS = 3
PANEL_HEIGHT = 1.75
REAL, REAL_COLOUR = "real", "#6b6b6b"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Okabe and Ito's, told apart with any kind of colour vision."""
MARKERS = ("o", "s", "^", "D", "v", "P")
MIN_DOCUMENTS = 10
MIN_PAIRS = 5
LOG_ODDS = "log-odds of A (nats)"
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": 150,
    # Ids in SVG files are random without a salt.
    "svg.hashsalt": "prm-score",
}
NO_DATES = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}


def draw_all(reports: Json, folder: Path, plot_format: str) -> list[str]:
    """Draws what there is data for; gives the names of the files."""
    figures: list[tuple[str, Callable[[], Figure | None]]] = [
        ("pair_accuracy", lambda: pair_accuracy(reports)),
        ("pair_accuracy_by_strength", lambda: pair_accuracy_by(reports, "strength", "strength of the damage")),
        ("pair_accuracy_by_temperature", lambda: pair_accuracy_by(reports, "temperature", "sampling temperature")),
        ("calibration", lambda: reliability(reports)),
        ("length", lambda: length(reports)),
        *((f"position_{name}", lambda report=report: position(report)) for name, report in reports.items()),
        *((f"distribution_{name}", lambda report=report: distribution(report)) for name, report in reports.items()),
    ]
    names = []
    with plt.rc_context(STYLE):
        for name, draw in figures:
            figure = draw()
            if figure is not None:
                names.append(f"{name}.{plot_format}")
                figure.savefig(folder / names[-1], format=plot_format, metadata=NO_DATES[plot_format])
                plt.close(figure)
    return names


def _looks(reports: Json) -> dict[str, Json]:
    return {
        name: {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
        for i, name in enumerate(reports)
    }


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def _grid(
    count: int, columns: int = COLUMNS, height: float = PANEL_HEIGHT, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Panels with common axes; labels stand only at the left and below the last panel of a column."""
    columns = min(columns, count)
    num_rows = math.ceil(count / columns)
    size = (WIDTH if columns > 1 else 5.5, height * num_rows + 0.75)
    figure, axes = plt.subplots(
        num_rows, columns, figsize=size, squeeze=False, layout="constrained", sharex=True, sharey=True, **options
    )
    panels: list[Axes] = list(axes.flat)
    for i, panel in enumerate(panels):
        if i >= count:
            panel.remove()
        elif i + columns >= count:
            panel.tick_params(labelbottom=True)
    return figure, panels[:count]


def _legend(figure: Figure, panel: Axes, columns: int = 4) -> None:
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=columns, fontsize=9)


def _errors(cells: Sequence[Json]) -> Any:
    """Lengths of the error bars below and above; rounding must not make one negative."""
    return np.maximum(
        0,
        [
            [c["accuracy"] - c["interval_95"][0] for c in cells],
            [c["interval_95"][1] - c["accuracy"] for c in cells],
        ],
    )


def pair_accuracy(reports: Json) -> Figure | None:
    found: dict[str, dict[str, Json]] = {}
    for name, report in reports.items():
        by_kind = {**report["pair_accuracy"]["kinds"], "all kinds": report["pair_accuracy"]["overall"]}
        for kind, cell in by_kind.items():
            if cell["pairs"]:
                found.setdefault(kind, {})[name] = cell
    kinds = sorted((k for k in found if k != "all kinds"), key=lambda k: -max(c["accuracy"] for c in found[k].values()))
    if not kinds:
        return None
    kinds.append("all kinds")
    figure, panel = plt.subplots(figsize=(WIDTH, 0.34 * len(kinds) + 1.2), layout="constrained")
    looks = _looks(reports)
    for i, (name, look) in enumerate(looks.items()):
        shift = (i - (len(looks) - 1) / 2) * min(0.24, 0.6 / len(looks))
        rows = [(k, row) for k, row in enumerate(kinds) if name in found[row]]
        cells = [found[row][name] for _, row in rows]
        panel.errorbar(
            [c["accuracy"] for c in cells],
            [k + shift for k, _ in rows],
            xerr=_errors(cells),
            ls="none",
            label=name,
            **look,
        )
    panel.axvline(0.5, color=REAL_COLOUR, ls="--", lw=1, label="chance")
    panel.set(yticks=range(len(kinds)), yticklabels=[_words(k) for k in kinds], ylim=(len(kinds) - 0.4, -0.6))
    panel.set_xlabel("pairs in which the real version has the higher reward (share, 95 % interval)")
    panel.set_xlim(right=1.015)
    panel.axhline(len(kinds) - 1.5, color="#444444", lw=0.8)
    panel.grid(False, axis="y")
    _legend(figure, panel)
    return figure


def _buckets(report: Json, kind: str, by: str) -> list[Json]:
    return list(report["pair_accuracy"]["kinds"].get(kind, {}).get(by, {}).values())


def pair_accuracy_by(reports: Json, by: str, label: str) -> Figure | None:
    measured = {k for r in reports.values() for k in r["pair_accuracy"]["kinds"]}
    kinds = sorted(
        k for k in measured if any(c["pairs"] >= MIN_PAIRS for r in reports.values() for c in _buckets(r, k, by))
    )
    if not kinds:
        return None
    figure, panels = _grid(len(kinds), height=PANEL_HEIGHT if len(kinds) > 1 else 2.3)
    for kind, panel in zip(kinds, panels, strict=True):
        panel.axhline(0.5, color=REAL_COLOUR, ls="--", lw=1)
        for name, look in _looks(reports).items():
            cells = [c for c in _buckets(reports[name], kind, by) if c["pairs"] >= MIN_PAIRS]
            if cells:
                x, y = [c["mean"] for c in cells], [c["accuracy"] for c in cells]
                panel.errorbar(x, y, yerr=_errors(cells), elinewidth=1, **look)
        panel.set_title(_words(kind))
    panels[0].set_ylim(top=1.03)
    for name, look in _looks(reports).items():
        panels[0].plot([], [], label=name, **look)
    panels[0].plot([], [], color=REAL_COLOUR, ls="--", lw=1, label="chance")
    figure.supxlabel(f"{label} (buckets of at least {MIN_PAIRS} pairs)", fontsize=9)
    figure.supylabel("pair accuracy (95 % interval)", fontsize=9)
    _legend(figure, panels[0])
    return figure


def reliability(reports: Json) -> Figure | None:
    shown = {name: r["calibration"] for name, r in reports.items() if r["calibration"]}
    if not shown:
        return None
    figure, panels = _grid(len(shown), height=2.9)
    ways = (
        ("balanced", "both labels weigh the same", COLOURS[0], "o"),
        ("unweighted", "each chunk weighs the same", COLOURS[1], "s"),
    )
    for (name, found), panel in zip(shown.items(), panels, strict=True):
        panel.plot([0, 1], [0, 1], color=REAL_COLOUR, ls="--", lw=1, label="perfect")
        for weights, label, colour, marker in ways:
            bins = found[weights]["bins"]
            x, y = [b["predicted"] for b in bins], [b["observed"] for b in bins]
            panel.plot(x, y, color=colour, marker=marker, label=label)
        panel.set_title(f"{name}: ECE {found['balanced']['ece']:.3f}, unweighted {found['unweighted']['ece']:.3f}")
        panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    figure.supxlabel("P(A) that the judge gives (mean of a bin)", fontsize=9)
    figure.supylabel("share of real chunks", fontsize=9)
    _legend(figure, panels[0], columns=3 if len(shown) > 1 else 1)
    return figure


def _reached(curve: Json) -> Iterator[tuple[int, float, float]]:
    """Places that enough documents reach; the others are noise."""
    enough = min(MIN_DOCUMENTS, max(curve["counts"]))
    for place, count, mean, error in zip(
        curve["positions"], curve["counts"], curve["means"], curve["standard_errors"], strict=True
    ):
        if count >= enough:
            yield place, mean, error or 0.0


def _draw_curve(panel: Axes, curve: Json, colour: str, label: str, width: float = 1.5) -> None:
    x, mean, error = (np.asarray(column) for column in zip(*_reached(curve), strict=True))
    panel.fill_between(x, mean - error, mean + error, color=colour, alpha=0.22, lw=0)
    # A single place would be invisible as a line.
    panel.plot(x, mean, color=colour, label=label, lw=width, marker="o" if len(x) == 1 else None)


def position(report: Json) -> Figure | None:
    curves = report["position"]
    if REAL not in curves:
        return None
    kinds = [k for k in curves if k != REAL]
    figure, panels = _grid(len(kinds) + 1)
    _draw_curve(panels[0], curves[REAL], REAL_COLOUR, "real (band: one standard error)")
    panels[0].set_title("real")
    fit = report["drift"]
    if fit:
        ends = np.array([fit["first"], fit["last"]])
        panels[0].plot(
            ends, fit["intercept"] + fit["slope"] * ends, color="black", ls="--", lw=1.2, label="fitted line"
        )
        panels[0].set_title(f"real: drift {fit['drift']:+.2f} ± {fit['standard_error']:.2f} SD")
    for kind, panel in zip(kinds, panels[1:], strict=True):
        _draw_curve(panel, curves[REAL], REAL_COLOUR, "_real", 1.0)
        _draw_curve(panel, curves[kind], COLOURS[0], "_kind")
        panel.set_title(_words(kind))
    panels[0].plot([], [], color=COLOURS[0], label="damaged, chunks made worse")
    for panel in panels:
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    figure.supxlabel("position of the chunk in its document", fontsize=9)
    figure.supylabel(f"mean {LOG_ODDS}", fontsize=9)
    _legend(figure, panels[0])
    return figure


def distribution(report: Json) -> Figure | None:
    found = report["distribution"]
    kinds = [k for k, counts in found["counts"].items() if k != REAL and any(counts)] if found else []
    if not kinds:
        return None
    edges = np.asarray(found["edges"])

    def density(kind: str) -> Any:
        counts = np.asarray(found["counts"][kind], dtype=float)
        return counts / max(1.0, counts.sum()) / np.diff(edges)

    figure, panels = _grid(len(kinds))
    for kind, panel in zip(kinds, panels, strict=True):
        panel.stairs(density(REAL), edges, fill=True, color="#c4c4c4", label="real chunks")
        panel.stairs(density(kind), edges, color=COLOURS[0], lw=1.5, label="chunks made worse")
        panel.axvline(0, color="#444444", lw=0.8)
        panel.set_title(_words(kind))
        panel.set_yticks([])
        panel.grid(False)
    figure.supxlabel(LOG_ODDS, fontsize=9)
    figure.supylabel("share of chunks per nat", fontsize=9)
    _legend(figure, panels[0])
    return figure


def length(reports: Json) -> Figure | None:
    shown = {name: r["length"] for name, r in reports.items() if r["length"]["documents"]}
    if not shown:
        return None
    figure, panels = _grid(len(shown), height=2.4)
    looks = _looks(reports)
    everything = [n for found in shown.values() for n in found["num_chunks"]]
    for (name, found), panel in zip(shown.items(), panels, strict=True):
        look = looks[name]
        panel.plot(found["num_chunks"], found["reward"], ls="none", alpha=0.6, mew=0, **look)
        rho = found["spearman"]
        panel.set_title(name if rho is None else f"{name}: Spearman {rho:+.2f}")
        if max(everything) > 20 * min(everything):
            panel.set_xscale("log")
            panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            panel.xaxis.set_minor_formatter(NullFormatter())
        else:
            panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    figure.supxlabel("length of the real version (chunks)", fontsize=9)
    figure.supylabel("reward (nats)", fontsize=9)
    return figure
