# SPDX-License-Identifier: MIT
"""Our own changes to liblmdb's sources, kept without a line of theirs.

``edits/*.json`` holds lists of records::

    [{"file": "0.9/mdb.c", "first": 120, "last": 122, "sha256": "...",
      "replacement": "growth.c", "why": "..."}]

Lines ``first`` to ``last`` (counted from 1, both included, in the file as it is after the patches
and before any edit) are replaced by the text file ``replacement`` (in ``edits/``; null deletes).
``sha256`` is that of the lines replaced, line ends included, and an edit is refused when it
differs: the code under it has changed, and someone must look. With ``last`` = ``first`` - 1 the
text is inserted before line ``first``, whose sha256 is then the one given.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

FOLDER = "edits"
FIELDS = {"file", "first", "last", "sha256", "replacement", "why"}


class EditError(Exception):
    """A record in ``edits/`` cannot be applied; the message says which and why."""


@dataclass(frozen=True)
class Edit:
    record: str
    name: str
    first: int
    last: int
    sha256: str
    text: bytes
    why: str


def _record(root: Path, listing: Path, number: int, fields: object) -> tuple[str, Edit]:
    """Check one record; return its engine and the edit."""
    record = f"{FOLDER}/{listing.name}[{number}]"
    if not isinstance(fields, dict) or set(fields) != FIELDS:
        raise EditError(f"{record} must have exactly the fields {', '.join(sorted(FIELDS))}")
    first, last = fields["first"], fields["last"]
    engine, _, name = str(fields["file"]).partition("/")
    if not (isinstance(first, int) and isinstance(last, int) and 1 <= first <= last + 1):
        raise EditError(f"{record}: first and last are no range of lines: {first!r}, {last!r}")
    if not str(fields["why"]).strip():
        raise EditError(f"{record}: why is empty")
    text = b""
    if fields["replacement"] is not None:
        try:
            text = (root / FOLDER / fields["replacement"]).read_bytes()
        except OSError as error:
            raise EditError(
                f"{record}: cannot read its replacement {fields['replacement']}"
            ) from error
    if text and not text.endswith(b"\n"):
        raise EditError(f"{record}: the replacement must end with a line end")
    return engine, Edit(record, name, first, last, fields["sha256"], text, fields["why"])


def load_edits(root: Path, engine: str) -> list[Edit]:
    """The edits of one engine, in the order of their lines."""
    edits = []
    for listing in sorted((root / FOLDER).glob("*.json")):
        try:
            records = json.loads(listing.read_text("utf-8"))
        except ValueError as error:
            raise EditError(f"{FOLDER}/{listing.name} is not JSON: {error}") from error
        if not isinstance(records, list):
            raise EditError(f"{FOLDER}/{listing.name} must hold a list of records")
        for number, fields in enumerate(records):
            owner, edit = _record(root, listing, number, fields)
            if owner == engine:
                edits.append(edit)
    return sorted(edits, key=lambda edit: (edit.name, edit.first, edit.last))


def edits_digest(root: Path) -> str:
    """One hash over every file in ``edits/``: it changes when any edit does."""
    digest = hashlib.sha256()
    for path in sorted((root / FOLDER).glob("*")):
        if path.is_file():
            content = path.read_bytes()
            digest.update(f"{path.name} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


def _apply(edits: list[Edit], original: bytes) -> bytes:
    """Apply the edits of one file.  Line numbers are those of ``original``, so the last edit goes
    first.
    """
    lines = original.splitlines(keepends=True)
    for earlier, later in pairwise(edits):
        if later.first <= max(earlier.last, earlier.first - 1) or later.first == earlier.first:
            raise EditError(f"{later.record} overlaps {earlier.record}")
    for edit in reversed(edits):
        guarded = lines[edit.first - 1 : max(edit.last, edit.first)]
        found = hashlib.sha256(b"".join(guarded)).hexdigest()
        if max(edit.last, edit.first) > len(lines) or found != edit.sha256:
            raise EditError(
                f"{edit.record}: lines {edit.first} to {edit.last} of {edit.name} "
                "are not those it was written for\n"
                f"  expected sha256 {edit.sha256}\n  found    sha256 {found}\n"
                f"What it is for: {edit.why}\nLook at the new lines, then correct the record."
            )
        lines[edit.first - 1 : edit.last] = [edit.text]
    return b"".join(lines)


def apply_edits(edits: list[Edit], folder: Path) -> None:
    """Apply one engine's edits to the files in ``folder``."""
    for name in sorted({edit.name for edit in edits}):
        path = folder / name
        if not path.is_file():
            raise EditError(
                f"{next(e.record for e in edits if e.name == name)}: there is no file {name}"
            )
        path.write_bytes(_apply([edit for edit in edits if edit.name == name], path.read_bytes()))
