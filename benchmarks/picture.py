# SPDX-License-Identifier: MIT
"""Draw the picture: one bar per case, as long as its ratio."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Okabe and Ito's blue and vermilion, which colour-blind readers can distinguish, also in grey.
FASTER, SLOWER = "#0072B2", "#D55E00"


def draw(rows: Sequence[dict[str, Any]], note: str, path: Path) -> None:
    """Write the ratios of ``rows`` to ``path``, an SVG file, in their order from the top."""
    import matplotlib

    matplotlib.use("svg")
    # Text stays text: small, searchable, in the reader's font.  The salt makes names repeatable.
    matplotlib.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "pylmdb", "font.family": "sans-serif"}
    )
    from matplotlib import pyplot

    ratios = [float(row["ratio"]) for row in rows]
    places = list(range(len(rows)))
    figure, axes = pyplot.subplots(figsize=(8, 1.4 + 0.26 * len(rows)), layout="constrained")
    figure.patch.set_facecolor("white")
    axes.barh(
        places, ratios, height=0.7, color=[FASTER if ratio >= 1 else SLOWER for ratio in ratios]
    )
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    widest = max(1.0, *ratios)
    for place, ratio in zip(places, ratios, strict=True):
        label = f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"
        axes.text(ratio + widest * 0.01, place, label, va="center", fontsize=8, bbox=box)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_yticks(places, [str(row["title"]) for row in rows], fontsize=9)
    axes.invert_yaxis()
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, widest * 1.1)
    axes.set_xlabel(
        f"py-lmdb's time / pylmdb's time: right of 1.0 pylmdb is faster\n{note}", fontsize=9
    )
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
