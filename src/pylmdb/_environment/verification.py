# SPDX-License-Identifier: MIT
"""Running the check of a data file (``_native/verify``), and reporting its findings.

The check takes no lock and does not use liblmdb.  A snapshot does not change until two more
transactions were committed, or for longer if a reader keeps it.  So a file can seem damaged if more
transactions are committed while it is checked.  Therefore the check is repeated if it has found
damage and the file has changed meanwhile.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, Any

from .. import _engine, _registry
from .._base.owners import Descriptor, owned
from .._core_rules.system_errors import Explained, require_path
from .._shared.opening import EMPTY
from ..errors import CorruptedError, InvalidError, error
from .report import CheckedDatabase, Finding, Report

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from .._aliases import CData
    from .._shared.options import Options
    from ..errors import Error

# how many findings a report keeps, and how many the message of an exception has
MOST_FINDINGS = 1000
_SHOWN = 3
# how often a file is checked if it seems damaged and has changed meanwhile
_ATTEMPTS = 3
_NO_PAGE = 2**64 - 1
_SEVERITIES = ("note", "error")
_TREES = ("file", "free list", "main database")
# the ffi objects for which pylmdb_on_verified is defined
_prepared: set[Any] = set()


class Watcher:
    """The callbacks of a check, and the exception that one of them has raised.

    :param progress: called with the number of pages done, and of all pages.
    :param on_records: called with the check, the index of a tree in it, and an array of ``count``
        pairs of ``struct pylmdb_bytes``, key and value, which are valid during the call.
    :param previous: True to check the snapshot before the newest one.
    :param deep: True to read the large values, too.
    """

    def __init__(
        self,
        progress: Callable[[int, int], object] | None,
        on_records: Callable[[CData, int, CData, int], object] | None = None,
        previous: bool = False,
        deep: bool = False,
    ) -> None:
        self.progress, self.on_records = progress, on_records
        self.previous, self.deep = previous, deep
        self.check: CData = None
        self.exception: BaseException | None = None


def verify_file(
    path: bytes,
    given_path: str,
    progress: Callable[[int, int], object] | None,
    deep: bool = False,
) -> Report:
    """Check a data file.

    :param given_path: the path for messages.
    :param progress: called with the number of pages done, and of all pages.
    :param deep: True to read the large values, too.
    :raises InvalidError: it is not a regular file.
    """
    return check_file("verify", path, given_path, Watcher(progress, deep=deep), _ATTEMPTS)


def check_file(
    operation: str, path: bytes, given_path: str, watcher: Watcher, attempts: int = 1
) -> Report:
    """Check a data file, again if it seems damaged and has changed meanwhile.

    :param operation: its name, for messages.
    :param attempts: how often it is checked at most.
    """
    name = os.fsdecode(path)  # as text in messages
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = Descriptor()
    with file, file:
        require_path(operation, name if os.path.isdir(given_path) else given_path)
        with Explained(operation, given_path, "read", path):
            fd = file.open(name, flags)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise InvalidError(
                f"{operation}: {given_path!r} is not a regular file",
                hint="give the path of an environment or of its data file",
            )
        return _check(operation, fd, name, watcher, attempts)


def verify_descriptor(
    operation: str, fd: int, path: str, progress: Callable[[int, int], object] | None
) -> Report:
    """Check the file of a descriptor, with the large values.

    :param path: for messages.
    :param progress: called with the number of pages done, and of all pages.
    """
    return _check(operation, fd, path, Watcher(progress, deep=True), _ATTEMPTS)


def _check(operation: str, fd: int, path: str, watcher: Watcher, attempts: int) -> Report:
    engine = _engine.default()
    ffi, lib = engine.ffi, engine.lib
    if ffi not in _prepared:
        ffi.def_extern("pylmdb_on_verified", error=1, onerror=_on_exception)(_on_pages)
        ffi.def_extern("pylmdb_on_salvaged", error=1, onerror=_on_exception)(_on_records)
        _prepared.add(ffi)
    start, context = time.perf_counter(), ffi.new_handle(watcher)
    on_records = lib.pylmdb_on_salvaged if watcher.on_records else ffi.NULL
    while True:
        attempts -= 1
        watcher.check = check = owned(ffi, ffi.new("struct pylmdb_check *"), lib.pylmdb_verify_free)
        check.most_findings = MOST_FINDINGS
        check.previous, check.deep = watcher.previous, watcher.deep
        before = lib.pylmdb_newest_txnid(fd)
        code = lib.pylmdb_verify(fd, check, lib.pylmdb_on_verified, on_records, context)
        if watcher.exception is not None:
            raise watcher.exception
        if code:
            raise error(operation, code)
        changed = before != lib.pylmdb_newest_txnid(fd)
        if not changed or not check.damages or not attempts:
            break
    return _report(ffi, check, path, changed, time.perf_counter() - start)


def _on_pages(context: CData, done: int, total: int) -> int:
    """Report progress.  C calls it now and then, so that signal handlers run."""
    watcher: Watcher = _engine.default().ffi.from_handle(context)
    if watcher.progress is not None:
        watcher.progress(done, total)
    return 0


def _on_records(context: CData, tree: int, records: CData, count: int) -> int:
    """Hand records over."""
    watcher: Watcher = _engine.default().ffi.from_handle(context)
    if watcher.on_records is not None:
        watcher.on_records(watcher.check, tree, records, count)
    return 0


def _on_exception(_type: object, exception: BaseException, traceback: TracebackType) -> None:
    """Keep an exception of a callback, which ends the check and is raised after it."""
    context = traceback.tb_frame.f_locals["context"]
    _engine.default().ffi.from_handle(context).exception = exception


def _report(ffi: CData, check: CData, path: str, changed: bool, seconds: float) -> Report:
    trees = [check.trees[i] for i in range(check.tree_count)]
    names = [None, None, *(_name(ffi, tree) for tree in trees[2:])]
    findings = [_finding(ffi, check.findings[i], names) for i in range(check.kept)]
    if changed:
        text = "it was written to while it was checked"
        findings.append(Finding("note", None, "file", None, text))
    if not check.file_size:
        text = f"it {EMPTY}; opening it without readonly=True creates a new environment"
        findings = [Finding("note", None, "file", None, text)]
    return Report(
        path=path,
        findings=tuple(findings),
        omitted=check.damages + check.notes - check.kept,
        errors=check.damages if check.file_size else 0,
        databases=tuple(map(_database, names[1:], trees[1:])),
        format=check.format or None,
        page_size=check.page_size,
        txnid=check.txnid,
        size=check.file_size,
        pages=check.pages,
        used=check.used,
        free=check.free,
        leaked=check.leaked,
        changed=changed,
        checksums=bool(check.has_sums),
        read=check.bytes,
        seconds=seconds,
    )


def _name(ffi: CData, tree: CData) -> bytes:
    return bytes(ffi.buffer(tree.name, tree.name_size))


def _finding(ffi: CData, finding: CData, names: list[bytes | None]) -> Finding:
    number = finding.tree
    return Finding(
        severity=_SEVERITIES[finding.severity],  # type: ignore[arg-type]
        page=None if finding.page == _NO_PAGE else finding.page,
        where=_TREES[number + 1] if number < len(_TREES) - 1 else "database",
        database=names[number] if number >= 0 else None,
        text=ffi.string(finding.text).decode("ascii", "replace"),
    )


def _database(name: bytes | None, tree: CData) -> CheckedDatabase:
    return CheckedDatabase(
        name=name,
        entries=tree.entries,
        readable=tree.readable,
        damaged=tree.damaged,
        branch_pages=tree.branch_pages,
        leaf_pages=tree.leaf_pages,
        large_pages=tree.large_pages,
        depth=tree.depth,
    )


def verify_before_open(options: Options) -> None:
    """Check an existing file, unless this process has it open already.

    :raises InvalidError: it is not an LMDB file.
    :raises CorruptedError: it is damaged.
    """
    if _registry.is_open(options) or not os.path.isfile(options.data_path):
        return
    report = verify_file(options.data_path, options.given_path, None)
    if not report.ok:
        raise exception_for("open", options.given_path, report)


def exception_for(operation: str, given_path: str, report: Report) -> Error:
    """Return the exception for a damaged file."""
    kind = InvalidError if report.format is None else CorruptedError
    damage = [str(finding) for finding in report.findings if finding.severity == "error"]
    shown = "; ".join(damage[:_SHOWN])
    if report.errors > _SHOWN:
        shown += f"; and {report.errors - _SHOWN:,} more"
    return kind(f"{operation}: {given_path!r}: {shown}")
