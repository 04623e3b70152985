# SPDX-License-Identifier: MIT
"""Write the pictures of the documentation: ``python docs/pictures/make.py``."""

from __future__ import annotations

from pathlib import Path

import charts
import diagrams

PICTURES = {
    "snapshots": diagrams.snapshots,
    "reader": diagrams.reader,
    "growth": diagrams.growth,
    "batch": diagrams.batch,
    "dataset": diagrams.dataset,
    "ratios": charts.ratios,
    "sizes": charts.sizes,
    "stores": charts.stores,
    "get": charts.get_parts,
}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        Path(__file__).with_name(f"{name}.svg").write_text(draw().svg(), "utf-8")
