# SPDX-License-Identifier: MIT
"""The exceptions of pylmdb: one tree, and one table from error code to class.

Every failure of liblmdb raises a subclass of :class:`Error` with five attributes: ``what``, the
C function or the subject; ``code``, the error number of liblmdb or of the system, or 0 if Python
code detected the failure; ``reason``, what that number means; ``problem``, what was wrong with
which value, if that is known; ``hint``, what to do.

A class is a subclass of a builtin exception only where a handler of the builtin one is right for
it, too.  :class:`DiskError`, :class:`FileSystemError` and :class:`PathError` are an
:class:`OSError` whose ``errno`` is set.  :class:`ReadonlyError` is a PermissionError,
:class:`PathNotFoundError` a FileNotFoundError, and :class:`PathExistsError` a FileExistsError.
:class:`LockTimeoutError` is a :class:`TimeoutError`, :class:`MemoryError` the builtin one, and
:class:`InvalidParameterError` a :class:`ValueError`.
A missing database is not a KeyError, and an ended object not a ValueError, because handlers for a
program's own data must not hide them.
"""

from __future__ import annotations

import builtins
import errno
import os
import sys

from ._base.keywords import closest
from ._base.public_names import directory
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import ClassVar


class Error(Exception):
    """Base of every exception that pylmdb raises for a failed operation."""

    what: str
    code: int
    reason: str
    hint: str
    problem: str
    MDB_NAME: ClassVar[str] = ""
    MDB_HINT: ClassVar[str] = ""
    # What error codes mean, and what lmdb.h calls them; filled below.  They are attributes because
    # an exception can be made when the interpreter exits and has set the globals of modules to
    # None.
    _reasons: ClassVar[dict[int, str]] = {}
    _names: ClassVar[dict[int, str]] = {}
    _strerror = staticmethod(os.strerror)
    _EIO = errno.EIO

    def __init__(
        self, what: object = "", code: object = 0, hint: str | None = None, problem: str = ""
    ) -> None:
        if not isinstance(code, int):  # raised by a program, with any arguments, as with py-lmdb
            super().__init__(what, code)
            self.what, self.code, self.reason, self.hint, self.problem = str(what), 0, "", "", ""
            return
        self.what = str(what)
        self.code = code
        self.reason = self._reason(code)
        self.hint = self.MDB_HINT if hint is None else hint
        self.problem = problem
        message = self._message()
        super().__init__(message)
        if isinstance(self, OSError):
            OSError.__init__(self, code if code > 0 else self._EIO, self.reason)
            self.args = (message,)

    def _reason(self, code: int) -> str:
        if code == 0:
            return ""
        if code > 0:
            return self._reasons.get(code) or self._strerror(code)
        if code in self._reasons:
            return f"{self._names[code]}: {self._reasons[code]}"
        return f"unknown liblmdb error {code}"

    def _message(self) -> str:
        """What was wrong, what to do, and how liblmdb or the system names it.

        Without a ``problem``, which says what was wrong with which value, it has py-lmdb's form.
        """
        what, code, problem, note = self.what, self.code, self.problem, ""
        if problem and code:
            name = self._names.get(code) or self.reason
            text, note = problem, f"{what}: {name}" if what.startswith("mdb_") else name
        elif problem:
            text, note = problem, what
        else:
            text = f"{what}: {self.reason}" if code else what
        if self.hint:
            text = f"{text}; {self.hint}"
        return f"{text} [{note}]" if note else text

    def __str__(self) -> str:
        # not OSError's, which takes two arguments for a number and its text
        return BaseException.__str__(self)

    def __reduce__(self) -> tuple[object, ...]:
        if len(self.args) != 1:
            return type(self), self.args
        filename = getattr(self, "filename", None)
        state = {} if filename is None else {"filename": filename}
        return type(self), (self.what, self.code, self.hint, self.problem), state


class KeyExistsError(Error):
    """The key, or the pair of key and value, exists already."""

    MDB_NAME = "MDB_KEYEXIST"


class NotFoundError(Error):
    """The record or database does not exist.

    Most operations return ``None``, a default or ``False`` for a missing key; a missing database
    raises this exception.
    """

    MDB_NAME = "MDB_NOTFOUND"


# what to do with a damaged file
DAMAGED_HINT = (
    "restore the file from a copy, or save what can be read with pylmdb.salvage(); pylmdb.verify()"
    " tells how much that is"
)
_ENCRYPTED = "pylmdb cannot read encrypted files; use the program that wrote it"
_DAMAGED = f"the file is damaged; {DAMAGED_HINT}"


class PageNotFoundError(Error):
    """A page that the tree refers to does not exist: the file is damaged."""

    MDB_NAME = "MDB_PAGE_NOTFOUND"
    MDB_HINT = _DAMAGED


class CorruptedError(Error):
    """A page of the file has the wrong type or content: the file is damaged."""

    MDB_NAME = "MDB_CORRUPTED"
    MDB_HINT = _DAMAGED


class PanicError(Error):
    """An update failed before its end; the environment can only be closed."""

    MDB_NAME = "MDB_PANIC"
    MDB_HINT = "close the environment and open it again"


class VersionMismatchError(Error):
    """The file has a data format that this engine cannot read."""

    MDB_NAME = "MDB_VERSION_MISMATCH"
    MDB_HINT = "leave lib_version out, so that the file's own format decides"


class InvalidError(Error):
    """The file is not an LMDB file."""

    MDB_NAME = "MDB_INVALID"
    MDB_HINT = "check the path; it must be that of an LMDB data file"


class PathNotFoundError(Error, builtins.FileNotFoundError):
    """There are no files of an environment at a path, and none can be created there; see
    ``filename``."""

    MDB_NAME = "ENOENT"


class PathExistsError(Error, builtins.FileExistsError):
    """There is a file or directory at the path of a copy or another new environment."""

    MDB_NAME = "EEXIST"


class MapFullError(Error):
    """The environment has reached the ``map_size`` or ``max_map_size`` that it was given."""

    MDB_NAME = "MDB_MAP_FULL"
    MDB_HINT = (
        "Please use a larger Environment(map_size=) parameter or max_map_size=, or leave both out"
        " so that the map grows; or call set_mapsize()"
    )


class DbsFullError(Error):
    """As many named databases are open as ``max_dbs`` allows."""

    MDB_NAME = "MDB_DBS_FULL"
    MDB_HINT = "Please use a larger Environment(max_dbs=) parameter"


class ReadersFullError(Error):
    """All ``max_readers`` slots of the reader table are in use."""

    MDB_NAME = "MDB_READERS_FULL"
    MDB_HINT = "Please use a larger Environment(max_readers=) parameter, or end read transactions"


class TlsFullError(Error):
    """The system has no thread-local storage key left."""

    MDB_NAME = "MDB_TLS_FULL"
    MDB_HINT = "close environments of this process, or open fewer at once"


class TxnFullError(Error):
    """The transaction has changed too many pages."""

    MDB_NAME = "MDB_TXN_FULL"
    MDB_HINT = "Please do less work within your transaction"


class CursorFullError(Error):
    """The tree has more levels than a cursor can follow: the file is damaged."""

    MDB_NAME = "MDB_CURSOR_FULL"
    MDB_HINT = _DAMAGED


class PageFullError(Error):
    """A page has no room left, although liblmdb has just made room there."""

    MDB_NAME = "MDB_PAGE_FULL"
    MDB_HINT = "abort the transaction, and check the file with pylmdb.verify()"


class MapResizedError(Error):
    """Another process has grown the file beyond this environment's map."""

    MDB_NAME = "MDB_MAP_RESIZED"
    MDB_HINT = "end this process's transactions, then call set_mapsize(0)"


class IncompatibleError(Error):
    """The operation does not fit the database, or its flags have changed."""

    MDB_NAME = "MDB_INCOMPATIBLE"


class BadRslotError(Error):
    """A reader slot was used by two transactions."""

    MDB_NAME = "MDB_BAD_RSLOT"
    MDB_HINT = "abort the transaction and begin another one"


class BadDbiError(Error):
    """The database of a handle was dropped, or the snapshot does not have it."""

    MDB_NAME = "MDB_BAD_DBI"
    MDB_HINT = "open the database again with open_db()"


class BadTxnError(Error):
    """The transaction failed earlier, or has an open child."""

    MDB_NAME = "MDB_BAD_TXN"
    MDB_HINT = "end its child transaction, or abort it and begin another one"


class BadValsizeError(Error):
    """A key or value has a size that the database cannot take."""

    MDB_NAME = "MDB_BAD_VALSIZE"
    MDB_HINT = (
        "keys have 1 to max_key_size() bytes, and so have values of a database with dupsort;"
        " integer keys must have the width of those already stored, fixed-size values that of"
        " their key's other values"
    )


class ReadonlyError(Error, PermissionError):
    """A read-only transaction or environment cannot write."""

    MDB_NAME = "EACCES"
    MDB_HINT = "writing needs begin(write=True), in an environment opened with readonly=False"


class LockFileError(ReadonlyError):
    """The process has no permission to write, or to create, the lock file."""

    MDB_NAME = ""
    MDB_HINT = "open it with lock=False if no other process uses the files"


class FileSystemError(Error, OSError):
    """The file system does not support locks or memory maps, which LMDB needs; see ``errno``."""

    MDB_HINT = "put the files on another file system"


class PathError(Error, OSError):
    """The system refuses a path for another reason; see ``errno`` and ``filename``."""


class InvalidParameterError(Error, ValueError):
    """An argument is not allowed here, or its object can no longer be used."""

    MDB_NAME = "EINVAL"


class LockError(Error):
    """Another process holds the lock."""

    MDB_NAME = "EAGAIN"
    MDB_HINT = "end the other process, or what it does, and try again"


class LockTimeoutError(LockError, TimeoutError):
    """The writer lock was not free within ``timeout`` seconds."""

    MDB_NAME = "ETIMEDOUT"
    MDB_HINT = "another write transaction is open; wait longer or end it"


class BusyError(LockError):
    """Something else is in use, and the operation does not wait for its end."""

    MDB_NAME = "EBUSY"
    MDB_HINT = "wait for its end, or end it, and try again"


class MemoryError(Error, builtins.MemoryError):
    """The system has no memory left, or no addresses where the map has to grow."""

    MDB_NAME = "ENOMEM"
    MDB_HINT = (
        "if the system has memory left, the process has no addresses left (see ulimit -v), or those"
        " after the map are in use; end all transactions and views of this process, and the next"
        " write transaction moves the map"
    )


class DiskError(Error, OSError):
    """The disk is full or has failed; see ``errno``."""

    MDB_NAME = "ENOSPC"
    MDB_HINT = "make room on the disk, or check it"


class ReplacedError(Error):
    """The data file or the lock file was moved, deleted or replaced."""

    MDB_NAME = "ESTALE"
    MDB_HINT = "close the environment and open it again"


class ProblemError(Error):
    """liblmdb met an unexpected state (1.0)."""

    MDB_NAME = "MDB_PROBLEM"
    MDB_HINT = "abort the transaction"


class BadChecksumError(Error):
    """The checksum of a page is wrong (1.0)."""

    MDB_NAME = "MDB_BAD_CHECKSUM"
    MDB_HINT = _DAMAGED


class CryptoFailError(Error):
    """A page could not be encrypted or decrypted (1.0)."""

    MDB_NAME = "MDB_CRYPTO_FAIL"
    MDB_HINT = _ENCRYPTED


class EnvEncryptionError(Error):
    """The file is encrypted and the environment not, or the reverse (1.0)."""

    MDB_NAME = "MDB_ENV_ENCRYPTION"
    MDB_HINT = _ENCRYPTED


class TxnPendingError(Error):
    """The transaction was prepared already (1.0)."""

    MDB_NAME = "MDB_TXN_PENDING"
    MDB_HINT = "only commit or abort may follow"


class CantRollbackError(Error):
    """The last transaction cannot be rolled back (1.0)."""

    MDB_NAME = "MDB_CANT_ROLLBACK"
    MDB_HINT = "only the newest transaction can be rolled back, and only once"


class DbsBusyError(Error):
    """The main database cannot be emptied while named ones are open (1.0)."""

    MDB_NAME = "MDB_DBIS_BUSY"
    MDB_HINT = "drop() the named databases first"


class ShortWriteError(DiskError):
    """A write to the file was incomplete (1.0)."""

    MDB_NAME = "MDB_SHORT_WRITE"


class EnvBusyError(LockError):
    """The previous snapshot cannot be opened, because the environment is in use (1.0)."""

    MDB_NAME = "MDB_ENV_BUSY"
    MDB_HINT = "close the environment everywhere, and open it again"


class AddrBusyError(Error):
    """The wanted map address is taken (1.0)."""

    MDB_NAME = "MDB_ADDR_BUSY"
    MDB_HINT = "open the environment without a fixed map address"


class ClosedError(Error):
    """The environment, transaction, cursor or database is closed or ended."""


class ForkedError(ClosedError):
    """The object was inherited over fork(), and cannot be used in this process."""


class WrongThreadError(Error):
    """A write transaction was used outside the thread that began it."""


_BY_CODE: dict[int, type[Error]] = {
    -30799: KeyExistsError,
    -30798: NotFoundError,
    -30797: PageNotFoundError,
    -30796: CorruptedError,
    -30795: PanicError,
    -30794: VersionMismatchError,
    -30793: InvalidError,
    -30792: MapFullError,
    -30791: DbsFullError,
    -30790: ReadersFullError,
    -30789: TlsFullError,
    -30788: TxnFullError,
    -30787: CursorFullError,
    -30786: PageFullError,
    -30785: MapResizedError,
    -30784: IncompatibleError,
    -30783: BadRslotError,
    -30782: BadTxnError,
    -30781: BadValsizeError,
    -30780: BadDbiError,
    -30779: ProblemError,
    -30778: BadChecksumError,
    -30777: CryptoFailError,
    -30776: EnvEncryptionError,
    -30775: TxnPendingError,
    -30774: CantRollbackError,
    -30773: DbsBusyError,
    -30772: ShortWriteError,
    -30771: EnvBusyError,
    -30770: ReadonlyError,
    -30769: AddrBusyError,
    errno.ENOENT: PathNotFoundError,
    errno.EEXIST: PathExistsError,
    errno.EACCES: ReadonlyError,
    errno.EROFS: ReadonlyError,
    errno.EINVAL: InvalidParameterError,
    errno.EAGAIN: LockError,
    errno.EBUSY: BusyError,
    errno.ETIMEDOUT: LockTimeoutError,
    errno.ENOMEM: MemoryError,
    errno.ENOSPC: DiskError,
    errno.EDQUOT: DiskError,
    errno.EFBIG: DiskError,
    errno.EIO: DiskError,
    errno.ESTALE: ReplacedError,
}

# What error codes mean.  os.strerror() has the texts of the system's other codes.
Error._reasons |= {
    -30799: "the key/data pair exists already",
    -30798: "no matching key/data pair found",
    -30797: "a page was not found",
    -30796: "a page is damaged or of the wrong type",
    -30795: "an earlier update failed before its end",
    -30794: "the file has another format than this engine",
    -30793: "the file is not an LMDB file",
    -30792: "the map is full (mapsize limit reached)",
    -30791: "too many named databases (maxdbs limit reached)",
    -30790: "too many readers (maxreaders limit reached)",
    -30789: "too many thread-local storage keys in use",
    -30788: "the transaction has too many dirty pages",
    -30787: "the cursor's page stack is full",
    -30786: "a page has no room left",
    -30785: "another process has grown the file beyond the map",
    -30784: "the operation does not fit the database, or its flags changed",
    -30783: "a reader slot was used twice",
    -30782: "the transaction must be aborted, has a child, or is invalid",
    -30781: "unsupported size of key, database name or value",
    -30780: "the database handle was closed or changed",
    -30779: "unexpected problem, the transaction should be aborted",
    -30778: "a page has a wrong checksum",
    -30777: "encryption or decryption of a page failed",
    -30776: "the environment's encryption does not match",
    -30775: "the transaction was prepared already",
    -30774: "the last transaction cannot be rolled back",
    -30773: "named databases are open",
    -30772: "a write was incomplete",
    -30771: "the environment is in use",
    -30770: "the environment or transaction is read-only",
    -30769: "the map address is not available",
    errno.ESTALE: "the data file or the lock file was moved, deleted or replaced",
}

# What the code is called in lmdb.h.
Error._names |= {code: cls.MDB_NAME for code, cls in _BY_CODE.items() if code < 0}
Error._names[-30770] = "MDB_IS_READONLY"


CLOSED = "Attempt to operate on closed/deleted/dropped object."


# Destructors can call both functions when the interpreter exits and has set the globals of modules
# to None, so what they need is bound in parameters.
def error(
    what: str,
    code: int,
    hint: str | None = None,
    problem: str = "",
    by_code: dict[int, type[Error]] = _BY_CODE,
    otherwise: type[Error] = Error,
) -> Error:
    """The exception for a non-zero return ``code`` of the C function ``what``."""
    return by_code.get(code, otherwise)(what, code, hint, problem)


def path_error(
    operation: str, path: str | bytes | os.PathLike[str] | os.PathLike[bytes], code: int,
    problem: str, hint: str = "",
) -> Error:  # fmt: skip
    """The exception for a path that an operation cannot use.

    :param code: an error number of the system.
    :param problem: what is wrong; it follows the path.
    """
    name = os.fsdecode(path)
    what = f"{operation}: {name!r}"
    failure = error(what, code, hint, f"{what} {problem}", otherwise=PathError)
    if isinstance(failure, OSError):
        failure.filename = name
    return failure


def unknown_word(
    argument: str, word: str | bytes, known: Iterable[str], other: str = ""
) -> InvalidParameterError:
    """The exception for a word that an argument cannot be.

    :param argument: its name, for the message.
    :param known: the words that it can be.
    :param other: what else it can be.
    """
    names = [*known]
    text = f"{argument} must be one of {', '.join(map(repr, names))}{other}, not {word!r}"
    meant = closest(word, names) if isinstance(word, str) else None
    return InvalidParameterError(text if meant is None else f"{text}; did you mean {meant!r}?")


def closed(
    subject: str, advice: str, cls: type[ClosedError] = ClosedError, text: str = CLOSED
) -> ClosedError:
    """The exception for using ``subject`` after its end."""
    return cls(text, hint=advice, problem=f"this {subject} is closed")


def checksums(what: str) -> Error:
    """The exception for writing to a file whose pages have checksums that this build cannot
    compute: those of another program, and all with the system's liblmdb."""
    return ReadonlyError(
        what,
        errno.EACCES,
        "open it with readonly=True, or load a dump of it into a new file",
        f"{what}: the pages of this file have checksums that this build of pylmdb cannot compute",
    )


_CLASSES = {
    name: value
    for name, value in vars().copy().items()
    if isinstance(value, type) and issubclass(value, Error)
}
__dir__ = directory([*_CLASSES])
# The package has the exceptions from now on.  A destructor can name one when the interpreter exits,
# which can import nothing any more.
vars(sys.modules[__name__.rpartition(".")[0]]).update(_CLASSES)
