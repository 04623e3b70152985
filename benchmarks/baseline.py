# SPDX-License-Identifier: MIT
"""Store ratios to py-lmdb in ``baseline.json``, and compare later ones with them.

A ratio depends on the machine, though less than a time does.  So compare on the machine on which
the baseline was stored, when nothing else runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("baseline.json")

# Ratios below this part of the stored one are reported.
LEAST = 0.95

# Properties of the machine and settings that should be the same.
SAME = ("processor", "processors", "python", "py_lmdb", "quick", "threaded")

# Above this load of the machine, ratios of short times are not worth storing or comparing.
QUIET = 0.5


def warn(load: float) -> None:
    """Say so when the machine is not quiet."""
    if load > QUIET:
        print(f"note: the load of this machine is {load:.1f}; compare ratios on a quiet one")


def store(rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> None:
    """Write the ratios of a run, and what they depend on."""
    ratios = {row["case"]: round(row["ratio"], 3) for row in rows}
    content = {"settings": dict(settings), "ratios": ratios}
    FILE.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    print(f"{len(ratios)} ratios stored in {FILE}")


def load() -> dict[str, Any]:
    """What :func:`store` has written."""
    try:
        stored: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    except FileNotFoundError:
        raise SystemExit(
            f"{FILE} does not exist; make it with `make bench-baseline` on a quiet machine"
        ) from None
    return stored


def compare(
    rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], stored: Mapping[str, Any]
) -> list[str]:
    """Lines about what differs from the stored baseline: notes, then ratios that fell."""
    then, ratios = stored["settings"], stored["ratios"]
    lines = [
        f"note: {name} was {then.get(name)}, is {settings.get(name)}"
        for name in SAME
        if then.get(name) != settings.get(name)
    ]
    if then["load"] > QUIET:
        lines.append(f"note: the baseline was made at a load of {then['load']:.1f}")
    known = [row for row in rows if row["case"] in ratios]
    fallen = [row for row in known if row["ratio"] < LEAST * ratios[row["case"]]]
    for row in fallen:
        before = ratios[row["case"]]
        part = row["ratio"] / before
        lines.append(
            f"FELL: {row['case']}: {row['ratio']:.2f}, was {before:.2f} ({part:.2f} of it)"
        )
    lines.append(
        f"{len(fallen)} of {len(known)} ratios are below {LEAST} of the stored ones;"
        f" {len(rows) - len(known)} cases have none stored"
    )
    return lines
