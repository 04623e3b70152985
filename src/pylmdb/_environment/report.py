# SPDX-License-Identifier: MIT
"""What the check of a data file says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

_RELEASES = {1: "LMDB 0.9", 3: "LMDB 1.0"}


@dataclass(frozen=True)
class Finding:
    """One thing that the check has found.

    ``severity``, "error" for damage and "note" for what does no harm; ``page``, the number of
    the page that it is about, None if it is the file as a whole; ``where``, the tree that it is
    in: "file" (none), "free list", "main database" or "database"; ``database``, the name of that
    database, None if it is not a named one; ``text``, what is wrong, where "it" is the page, or
    the file.
    """

    severity: Literal["error", "note"]
    page: int | None
    where: str
    database: bytes | None
    text: str

    def __str__(self) -> str:
        place = "the file" if self.page is None else f"page {self.page}"
        tree = f"database {self.database!r}" if self.database is not None else self.where
        return f"{place}: {self.text}" if tree == "file" else f"{place}, {tree}: {self.text}"


@dataclass(frozen=True)
class CheckedDatabase:
    """What the check has found of a database.

    ``name``, None for the main database; ``entries``, how many its record claims; ``readable``,
    how many were found on pages that are sound; ``damaged``, how many pages or large values
    cannot be read, each with all that only it leads to; ``branch_pages``, ``leaf_pages`` and
    ``large_pages``, the sound ones; ``depth``, levels.
    """

    name: bytes | None
    entries: int
    readable: int
    damaged: int
    branch_pages: int
    leaf_pages: int
    large_pages: int
    depth: int

    @property
    def lost(self) -> int:
        """How many entries are missing of those that the record claims."""
        return max(self.entries - self.readable, 0)

    @property
    def pages(self) -> int:
        """How many pages can be read."""
        return self.branch_pages + self.leaf_pages + self.large_pages

    def __str__(self) -> str:
        title = "main database" if self.name is None else f"database {self.name!r}"
        counts = f"{self.entries:,} entries on {self.pages:,} pages"
        if not self.damaged:
            return f"{title}: {counts}"
        return (
            f"{title}: {self.readable:,} of {self.entries:,} entries can be read,"
            f" on {self.pages:,} pages; {self.damaged:,} more are damaged"
        )


@dataclass(frozen=True)
class Report:
    """The result of :func:`pylmdb.verify`; ``ok`` is True if nothing is damaged.

    ``path``, the data file; ``findings``, :class:`Finding` objects in the order in which they
    were found, as many as were to be kept, and ``omitted``, how many more there were;
    ``errors``, how many of all are damage; ``databases``, a :class:`CheckedDatabase` each,
    the main database first; ``format``, 1 (LMDB 0.9), 3 (LMDB 1.0), or None if the file is
    neither; ``page_size`` in bytes; ``txnid``, the transaction whose snapshot was checked;
    ``size`` of the file in bytes; ``pages`` up to the last one in use, of which ``used`` are meta
    pages or in a tree, ``free`` in the list of free pages, and ``leaked`` nowhere; ``changed``,
    whether somebody wrote to the file meanwhile; ``seconds`` that it took.
    """

    path: str
    findings: tuple[Finding, ...]
    omitted: int
    errors: int
    databases: tuple[CheckedDatabase, ...]
    format: int | None
    page_size: int
    txnid: int
    size: int
    pages: int
    used: int
    free: int
    leaked: int
    changed: bool
    seconds: float

    @property
    def ok(self) -> bool:
        """True if nothing is damaged."""
        return not self.errors

    def __bool__(self) -> bool:
        # A list of problems, as py-lmdb returns, is true if the file is damaged.
        raise TypeError(
            "a Report is neither true nor false: use report.ok, or report.errors (how many)"
        )

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.path}: {'ok' if self.ok else f'damaged, {self.errors:,} errors'}"
        if self.format is not None:
            yield (
                f"  format {self.format} ({_RELEASES[self.format]}), pages of {self.page_size}"
                f" bytes, transaction {self.txnid}"
            )
            yield (
                f"  {self.pages:,} pages: {self.used:,} in use, {self.free:,} free,"
                f" {self.leaked:,} neither"
            )
        for database in self.databases:
            yield f"  {database}"
        for finding in self.findings:
            yield f"  {finding.severity}: {finding}"
        if self.omitted:
            yield f"  and {self.omitted:,} findings more"

    def as_dict(self) -> dict[str, Any]:
        """The same as a dict of what JSON has; names of databases are text, in which bytes that
        are no UTF-8 are escaped with a backslash."""
        found = {"ok": self.ok, **asdict(self)}
        for database, source in zip(found["databases"], self.databases, strict=True):
            database.update(name=_text(source.name), lost=source.lost, pages=source.pages)
        for finding, each in zip(found["findings"], self.findings, strict=True):
            finding["database"] = _text(each.database)
        return found


def _text(name: bytes | None) -> str | None:
    return None if name is None else name.decode("utf-8", "backslashreplace")
