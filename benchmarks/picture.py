# SPDX-License-Identifier: MIT
"""Draw the pictures of the documentation: SVG files.

They need matplotlib.  Text stays text: small, searchable, in the reader's font.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Okabe and Ito's blue and vermilion, which colour-blind readers can distinguish, also in grey.
FASTER, SLOWER = "#0072B2", "#D55E00"
GREY, LINES = "#999999", "#dddddd"
# The same authors' colours for lines, and signs that tell them apart without colour.
STYLES = (
    ("#0072B2", "o"),
    ("#D55E00", "s"),
    ("#009E73", "^"),
    ("#CC79A7", "D"),
    ("#E69F00", "v"),
    ("#56B4E9", "P"),
)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("svg")
    # The salt makes names repeatable.
    matplotlib.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "pylmdb", "font.family": "sans-serif"}
    )
    from matplotlib import pyplot

    return pyplot


def _save(figure: Any, path: Path) -> None:
    figure.patch.set_facecolor("white")
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    _pyplot().close(figure)


def _hide_spines(axes: Any, *sides: str) -> None:
    for side in sides:
        axes.spines[side].set_visible(False)


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def draw(rows: Sequence[dict[str, Any]], note: str, path: Path) -> None:
    """One bar per case, as long as its ratio, in their order from the top."""
    ratios = [float(row["ratio"]) for row in rows]
    places = list(range(len(rows)))
    figure, axes = _pyplot().subplots(figsize=(8, 1.4 + 0.26 * len(rows)), layout="constrained")
    axes.barh(
        places, ratios, height=0.7, color=[FASTER if ratio >= 1 else SLOWER for ratio in ratios]
    )
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    widest = max(1.0, *ratios)
    for place, ratio in zip(places, ratios, strict=True):
        axes.text(ratio + widest * 0.01, place, _number(ratio), va="center", fontsize=8, bbox=box)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_yticks(places, [str(row["title"]) for row in rows], fontsize=9)
    axes.invert_yaxis()
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, widest * 1.1)
    axes.set_xlabel(
        f"py-lmdb's time / pylmdb's time: right of 1.0 pylmdb is faster\n{note}", fontsize=9
    )
    axes.grid(axis="x", color=LINES, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    _hide_spines(axes, "top", "right", "left")
    _save(figure, path)


def draw_growth(rows: Sequence[Mapping[str, Any]], note: str, path: Path) -> None:
    """A line per operation: the ratio by the number of records."""
    figure, axes = _pyplot().subplots(figsize=(8, 4.6), layout="constrained")
    for row, (colour, sign) in zip(rows, STYLES, strict=True):
        axes.plot(
            row["counts"], row["ratios"], color=colour, marker=sign, linewidth=2, label=row["title"]
        )
    axes.axhline(1.0, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xticks(rows[0]["counts"], [f"{count:,}" for count in rows[0]["counts"]])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"records\n{note}", fontsize=9)
    axes.set_ylabel("py-lmdb's time / pylmdb's time", fontsize=9)
    axes.grid(axis="y", color=LINES, linewidth=0.6)
    _hide_spines(axes, "top", "right")
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    _save(figure, path)


def draw_stores(
    operations: Sequence[str], rates: Mapping[str, Mapping[str, float]], note: str, path: Path
) -> None:
    """A panel per operation: a bar per store, as long as its rate in operations a second."""
    names = list(rates)
    figure, panels = _pyplot().subplots(
        -(-len(operations) // 2), 2, figsize=(8, 2.1 * -(-len(operations) // 2)),
        layout="constrained", sharey=True,
    )  # fmt: skip
    for operation, axes in zip(operations, panels.flat, strict=False):
        values = [rates[name].get(operation, 0.0) for name in names]
        colours = [FASTER if name.startswith("pylmdb") else GREY for name in names]
        axes.barh(range(len(names)), values, height=0.7, color=colours)
        for place, value in enumerate(values):
            text = f" {value:,.0f}" if value else " -"
            axes.text(value, place, text, va="center", fontsize=8)
        axes.set_title(operation, fontsize=9, loc="left")
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_xlim(0, 1.25 * max(values))
        axes.set_xticks([])
        axes.tick_params(axis="y", length=0)
        _hide_spines(axes, "top", "right", "bottom", "left")
    panels.flat[0].invert_yaxis()
    figure.supxlabel(note, fontsize=9)
    _save(figure, path)
