# SPDX-License-Identifier: MIT
"""The result of checking a data file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from .._base.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

_RELEASES = {1: "LMDB 0.9", 3: "LMDB 1.0"}


@dataclass(frozen=True)
class Finding:
    """One finding of the check.

    ``severity``, "error" for damage or "note" if nothing is damaged; ``page``, the number of the
    page, None for the file as a whole; ``where``, the tree that the page belongs to: "file" (none),
    "free list", "main database" or "database"; ``database``, the name of that database, None if it
    is not a named one; ``text``, a description, in which "it" is the page, or the file.
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
    """The result of the check for one database.

    ``name``, None for the main database; ``entries``, how many entries it has by its own record;
    ``readable``, how many were found on sound pages; ``damaged``, how many pages or large values
    cannot be read (pages below them are not counted); ``branch_pages``, ``leaf_pages`` and
    ``large_pages``, how many pages of each kind are sound; ``depth``, the number of levels.
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
        """How many entries cannot be read of those that the record counts."""
        return max(self.entries - self.readable, 0)

    @property
    def pages(self) -> int:
        """How many pages can be read."""
        return self.branch_pages + self.leaf_pages + self.large_pages

    def __str__(self) -> str:
        title = "main database" if self.name is None else f"database {self.name!r}"
        counts = f"{counted(self.entries, 'entry', ',')} on {counted(self.pages, 'page', ',')}"
        if not self.damaged:
            return f"{title}: {counts}"
        return (
            f"{title}: {self.readable:,} of {counted(self.entries, 'entry', ',')} can be read,"
            f" on {counted(self.pages, 'page', ',')}; {self.damaged:,} more damaged"
        )


@dataclass(frozen=True)
class Report:
    """The result of :func:`pylmdb.verify`; ``ok`` is True if nothing is damaged.

    ``path``, the data file; ``findings``, a list of the first :class:`Finding` objects, in the
    order in which they were found; ``omitted``, how many more there were; ``errors``, how many
    findings are damage, those omitted included; ``databases``, a :class:`CheckedDatabase` each, the
    main database first; ``format``, 1 (LMDB 0.9), 3 (LMDB 1.0), or None if the file has neither
    format; ``page_size`` in bytes; ``txnid``, the number of the checked snapshot; ``size`` of the
    file in bytes; ``pages``, how many there are up to the last one in use; ``used``, how many of
    these are meta pages or in a tree; ``free``, how many are in the free list; ``leaked``, how many
    are in neither; ``checksums``, whether its pages have checksums, which were checked; ``read``,
    how many bytes of trees and of large values were read; ``changed``, whether another process
    wrote to the file during the check; ``seconds``, how long it took.
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
    checksums: bool
    read: int
    changed: bool
    seconds: float

    @property
    def ok(self) -> bool:
        """True if nothing is damaged."""
        return not self.errors

    def __bool__(self) -> bool:
        # A list of problems, as py-lmdb returns, is true if the file is damaged.
        raise TypeError(
            "a Report has no truth value; use report.ok, or report.errors for their number"
        )

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        state = "ok" if self.ok else f"damaged, {counted(self.errors, 'error', ',')}"
        yield f"{self.path}: {state}"
        if self.format is not None:
            yield (
                f"  format {self.format} ({_RELEASES[self.format]}), pages of {self.page_size}"
                f" bytes, transaction {self.txnid}"
            )
            yield (
                f"  {counted(self.pages, 'page', ',')}: {self.used:,} in use, {self.free:,} free,"
                f" {self.leaked:,} neither"
            )
        for database in self.databases:
            yield f"  {database}"
        for finding in self.findings:
            yield f"  {finding.severity}: {finding}"
        if self.omitted:
            yield f"  and {counted(self.omitted, 'more finding', ',')}"

    def as_dict(self) -> dict[str, Any]:
        """Return the report as a dict that can be written as JSON.  Names of databases are text;
        bytes that are not UTF-8 are escaped with a backslash."""
        found = {"ok": self.ok, **asdict(self)}
        for database, source in zip(found["databases"], self.databases, strict=True):
            database.update(name=_text(source.name), lost=source.lost, pages=source.pages)
        for finding, each in zip(found["findings"], self.findings, strict=True):
            finding["database"] = _text(each.database)
        return found


def _text(name: bytes | None) -> str | None:
    return None if name is None else name.decode("utf-8", "backslashreplace")
