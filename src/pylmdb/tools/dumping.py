# SPDX-License-Identifier: MIT
"""Writing an environment as text that every mdb_load reads."""

from __future__ import annotations

import io
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from .._base.flags import MDB_DUPSORT
from .._base.keywords import explains_keywords
from .._base.progress import Reporter
from .._environment import catalog as _catalog
from .._shared.output_files import output
from ..errors import InvalidParameterError, unknown_word
from .dump_text import ENCODINGS, FLAGS
from .sources import open_source, open_whole, require_source, room_for

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from .._base.progress import Progress
    from ..database import Database
    from ..environment import Environment
    from ..transaction import Transaction
    from .sources import Source

# records, or bytes of text, in one write
_BATCH, _BATCH_SIZE = 1000, 1 << 20


@explains_keywords
def dump(
    source: Source,
    file: str | PathLike[str] | BinaryIO,
    databases: Literal["all", "main", "named"] | Iterable[bytes | None] = "all",
    progress: Progress = None,
    *,
    printable: bool = False,
    subdir: bool | None = None,
    overwrite: bool = False,
) -> int:
    """Write an environment as text in the format of mdb_dump, which mdb_load reads.

    >>> with pylmdb.open("fruit") as env, env.begin(write=True) as txn:
    ...     txn.put(b"apple", b"red")
    True
    >>> pylmdb.dump("fruit", "text", printable=True)       # the number of records
    1
    >>> with open("text") as file:
    ...     " apple" in file.read()
    True

    :param source: a path or an open Environment; it is read in one snapshot.
    :param file: the path of a new file, which appears when it is complete; or a file opened for
        binary writing.  Opening the path of a named pipe waits until another process reads it.
    :param databases: ``"all"``: the main database's own records and every named database;
        ``"named"``: the named databases (``mdb_dump -a``); ``"main"``: the main database with
        all its records, among them those of the named databases (``mdb_dump`` without an
        option); or names, with None for the main database.
    :param progress: as for :func:`pylmdb.merge`.
    :param printable: True for the readable encoding (``mdb_dump -p``); else hexadecimal.
    :param subdir: True if ``source`` is a directory, False if it is a single file; by default
        the path decides.
    :param overwrite: True to replace a file at the path ``file``.
    :return: the number of records.
    :raises NotFoundError: a database does not exist.
    :raises PathExistsError: ``file`` is a path that exists, and ``overwrite`` is False.
    :raises InvalidParameterError: the name of a database has a line break.
    :raises ValueError: ``file`` is the source's own data file, or ``databases`` is another str
        (:exc:`InvalidParameterError`).
    :raises PathNotFoundError: ``source`` does not exist.
    """
    chosen = _chosen(databases)
    with ExitStack() as stack:
        require_source("dump", source, subdir)
        env = stack.enter_context(_open(source, subdir, chosen))
        txn = stack.enter_context(env.begin())
        sections = _sections(env, txn, chosen)
        handles = [(env.open_db(name, txn, create=False), skipped) for name, skipped in sections]
        out: Any = file
        if not hasattr(out, "write"):
            out = stack.enter_context(output("dump", out, bool(overwrite), source=env._options))
        elif isinstance(out, io.RawIOBase):  # its write() may write less than it is given
            out = io.BufferedWriter(out)
            stack.callback(out.detach)
        total = sum(txn.stat(db).entries - len(skipped) for db, skipped in handles)
        reporter = stack.enter_context(Reporter(progress, total, " records"))
        encoding = b"print" if printable else b"bytevalue"
        return sum(
            _write(env, txn, db, skipped, encoding, out, reporter) for db, skipped in handles
        )


def _chosen(databases: str | Iterable[bytes | None]) -> str | list[bytes | None]:
    """Return a list of names; or "all" or "named", whose names must be looked up."""
    if databases == "main":
        return [None]
    if not isinstance(databases, (str, bytes)):
        return [*databases]
    if databases not in ("all", "named"):
        raise unknown_word(
            "dump: databases", databases, ("all", "main", "named"), " or a list of names"
        )
    return databases


def _open(source: Source, subdir: bool | None, chosen: str | list[bytes | None]) -> Environment:
    """Open the environment with a max_dbs that allows to open the databases."""
    if isinstance(chosen, list):
        return open_source(source, subdir, max_dbs=room_for(len(chosen)))
    return open_whole(source, subdir)


def _sections(
    env: Environment, txn: Transaction[Any], chosen: str | list[bytes | None]
) -> list[tuple[bytes | None, frozenset[bytes]]]:
    """Return the names of the databases, each with the keys of records to skip."""
    keys = [] if isinstance(chosen, list) else _catalog.keys(env, txn)
    names = chosen if isinstance(chosen, list) else map(_catalog.name_of, keys)
    sections: list[Any] = [(name, frozenset()) for name in names]
    if chosen == "all" and (txn.stat().entries > len(keys) or not keys):
        sections.insert(0, (None, frozenset(keys)))
    return sections


def _write(
    env: Environment,
    txn: Transaction[Any],
    db: Database,
    skipped: frozenset[bytes],
    encoding: bytes,
    out: BinaryIO,
    reporter: Reporter,
) -> int:
    """Write one section, without the keys in ``skipped``; return the number of its records."""
    out.write(_header(env, txn, db, encoding))
    encode = ENCODINGS[encoding][0]
    count, size, lines = 0, 0, []
    with txn.cursor(db) as cursor:
        for key, value in cursor:
            if key in skipped:
                continue
            lines.append(b" %b\n %b\n" % (encode(key), encode(value)))
            size += len(lines[-1])
            if len(lines) == _BATCH or size >= _BATCH_SIZE:
                out.write(b"".join(lines))
                reporter.add(len(lines))
                count, size = count + len(lines), 0
                lines.clear()
    out.write(b"".join([*lines, b"DATA=END\n"]))
    reporter.add(len(lines))
    return count + len(lines)


def _header(env: Environment, txn: Transaction[Any], db: Database, encoding: bytes) -> bytes:
    info = env.info()
    lines = [b"VERSION=3", b"format=" + encoding]
    if db.name is not None:
        if b"\n" in db.name:
            raise InvalidParameterError(
                f"dump: the name of the database {db.name!r} has a line break, which the format"
                " of mdb_dump does not allow"
            )
        lines.append(b"database=" + db.name)
    lines += [b"type=btree", b"mapsize=%d" % info.map_size]
    # 0.9 reports an address only if one was requested; 1.0 always reports the current one
    if info.map_addr and not env.lib_version()[0]:
        lines.append(b"mapaddr=0x%x" % info.map_addr)
    lines.append(b"maxreaders=%d" % info.max_readers)
    if db._flags & MDB_DUPSORT:
        lines.append(b"duplicates=1")
    lines += [name + b"=1" for name, flag in FLAGS.items() if db._flags & flag]
    lines += [b"db_pagesize=%d" % txn.stat(db).psize, b"HEADER=END", b""]
    return b"\n".join(lines)
