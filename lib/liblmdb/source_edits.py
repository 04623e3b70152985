# SPDX-License-Identifier: MIT
"""Apply our own changes to liblmdb's sources, which are stored without a line of these sources.

``edits/NAME.edit`` holds the edits of one concern.  Below a comment about the concern, each edit is

    @ mdb_cursor_sibling 0.9 1.0 before 20faf47d608d64f7
    # Why it is there.
        our text

The line with ``@`` is the anchor.  It names the function of ``mdb.c`` that the edit is in, the
engines that have it, what it does, and the first 16 digits of the sha256 of the guarded lines.
These are lines of the file as it is after the patches and before any edit, line ends included.
``before`` inserts the text before the guarded line.  ``replaces N`` replaces N guarded lines, and
deletes them if there is no text.  If the lines are not unique in their function, more lines are
guarded: ``before N``, ``replaces N of M``.  The function ``-`` is the whole file, for edits outside
of functions.  Several anchors above one text put the text in several places.

An anchor that is not found, or is found more than once, is refused: the code under the edit has
changed, and the edit must be reviewed.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

FOLDER = "edits"
FILE = "mdb.c"
DIGITS = 16
_ANCHOR = re.compile(
    r"@ (?P<function>-|\w+) (?P<engines>\d\.\d(?: \d\.\d)*)"
    r" (?:before(?: (?P<before>[1-9]\d*))?"
    r"|replaces (?P<replaces>[1-9]\d*)(?: of (?P<of>[1-9]\d*))?)"
    rf" (?P<sha256>[0-9a-f]{{{DIGITS}}})"
)


class EditError(Exception):
    """An edit in ``edits/`` cannot be applied; the message says which and why."""


@dataclass(frozen=True)
class Edit:
    """One edit at one place.

    ``where`` is the file and line of its anchor; ``guarded``, the number of lines that have the
    hash; ``count``, how many of them it replaces, from the first one; 0 inserts before them.
    """

    where: str
    function: str
    engines: tuple[str, ...]
    guarded: int
    count: int
    sha256: str
    text: bytes
    why: str


def _anchor(where: str, line: str) -> dict[str, str | None]:
    found = _ANCHOR.fullmatch(line)
    if found is None:
        raise EditError(f"{where}: not an anchor: {line!r}")
    return found.groupdict()


def _read(path: Path) -> list[Edit]:
    """Read the edits of one file."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    edits: list[Edit] = []
    at = next((i for i, line in enumerate(lines) if line.startswith("@")), len(lines))
    while at < len(lines):
        anchors = []
        while at < len(lines) and lines[at].startswith("@"):
            where = f"{FOLDER}/{path.name}:{at + 1}"
            anchors.append((where, _anchor(where, lines[at].rstrip("\n"))))
            at += 1
        why = []
        while at < len(lines) and lines[at].startswith("# "):
            why.append(lines[at][2:].strip())
            at += 1
        text = []
        while at < len(lines) and not lines[at].startswith("@"):
            text.append(lines[at])
            at += 1
        if not why:
            raise EditError(f"{anchors[0][0]}: no line says why")
        while text and not text[-1].strip():
            text.pop()
        edits += [_edit(*each, "".join(text).encode(), " ".join(why)) for each in anchors]
    return edits


def _edit(where: str, anchor: dict[str, str | None], text: bytes, why: str) -> Edit:
    return Edit(
        where=where,
        function=str(anchor["function"]),
        engines=tuple(str(anchor["engines"]).split()),
        guarded=int(anchor["of"] or anchor["replaces"] or anchor["before"] or 1),
        count=int(anchor["replaces"] or 0),
        sha256=str(anchor["sha256"]),
        text=text,
        why=why,
    )


def load_edits(root: Path, engine: str) -> list[Edit]:
    """Read the edits of one engine."""
    files = sorted((root / FOLDER).glob("*.edit"))
    return [edit for path in files for edit in _read(path) if engine in edit.engines]


def edits_digest(root: Path) -> str:
    """Return one hash over all files in ``edits/``; it changes when any edit does."""
    digest = hashlib.sha256()
    for path in sorted((root / FOLDER).glob("*")):
        if path.is_file():
            content = path.read_bytes()
            digest.update(f"{path.name} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


def functions(lines: list[bytes]) -> dict[str, list[range]]:
    """Find the functions of a file: from the line with the name to the closing brace."""
    found: dict[str, list[range]] = {"-": [range(len(lines))]}
    end = 0
    for at, line in enumerate(lines):
        head = re.match(rb"(?:[\w*]+\s+)*\**(\w+)\s*\(", line)
        if at < end or not head or not _is_definition(lines[at:]):
            continue
        end = next((i + 1 for i in range(at, len(lines)) if lines[i].startswith(b"}")), len(lines))
        found.setdefault(head[1].decode(), []).append(range(at, end))
    return found


def _is_definition(lines: list[bytes]) -> bool:
    """Whether a function body follows, and not the semicolon of a declaration."""
    for line in lines:
        if line.rstrip().endswith(b"{"):
            return True
        if b";" in line or line.startswith(b"#"):
            return False
    return False


def digest(lines: list[bytes]) -> str:
    """Return the hash of guarded lines."""
    return hashlib.sha256(b"".join(lines)).hexdigest()[:DIGITS]


def _place(edit: Edit, lines: list[bytes], places: dict[str, list[range]]) -> int:
    """Return the line of a file, counted from 0, at which an edit is made."""
    starts = [at for lines_of in places.get(edit.function, []) for at in lines_of]
    found = [at for at in starts if digest(lines[at : at + edit.guarded]) == edit.sha256]
    if len(found) == 1:
        return found[0]
    inside = f"in {edit.function}()" if edit.function != "-" else "in the file"
    if edit.function not in places:
        said = f"there is no function {edit.function}()"
    else:
        said = f"{len(found)} places {inside} have lines of that hash"
    raise EditError(
        f"{edit.where}: {said}; the code that it was written for has changed\n"
        f"Its purpose: {edit.why}\nReview the new lines, then correct the anchor."
    )


def _apply(edits: list[Edit], original: bytes) -> bytes:
    """Apply the edits of one file, the last one first: anchors are found in ``original``."""
    lines = original.splitlines(keepends=True)
    places = functions(lines)
    placed = sorted(
        ((_place(edit, lines, places), edit) for edit in edits), key=lambda pair: pair[0]
    )
    for (start, earlier), (next_start, later) in pairwise(placed):
        if next_start < start + max(earlier.count, 1):
            raise EditError(f"{later.where} overlaps {earlier.where}")
    for start, edit in reversed(placed):
        lines[start : start + edit.count] = [edit.text]
    return b"".join(lines)


def apply_edits(edits: list[Edit], folder: Path) -> None:
    """Apply one engine's edits to the sources in ``folder``."""
    if edits:
        path = folder / FILE
        if not path.is_file():
            raise EditError(f"{edits[0].where}: there is no file {FILE}")
        path.write_bytes(_apply(edits, path.read_bytes()))
