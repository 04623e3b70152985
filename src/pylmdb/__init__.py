# SPDX-License-Identifier: MIT
"""LMDB for Python: an embedded, ordered, transactional key-value store.

    >>> env = pylmdb.open("example")               # a directory, made if it does not exist
    >>> with env.begin(write=True) as txn:         # commits at its end, aborts if it raises
    ...     txn.put(b"key", b"value")
    True
    >>> with env.begin() as txn:
    ...     list(txn.range(prefix=b"k"))
    [(b'key', b'value')]
    >>> prices = pylmdb.Map("prices", key="str", value="json")     # a dict in a file
    >>> prices["apple"] = {"amount": 3}

Classes; help(pylmdb.Environment) and so on explain them:

- open, Environment: a data file, its options, its named databases, copies, statistics
- Transaction: reads or changes one snapshot: get, put, delete, range, and arrays of numpy
- Cursor: a position in a database
- Database: a handle of a named database, from Environment.open_db
- Map: a database as a dict that is sorted by key

Functions for whole files; "pylmdb --help" in a shell has them, too:

- verify: check a file from end to end
- salvage: save what can be read of a damaged file
- restore: make an environment of what Environment.backup() wrote; backup_info: describe a backup
- dump, load: to and from the text format of mdb_dump
- merge: many files into one
- bulk_load: many records, in any order
- convert: to another format (LMDB 0.9 or 1.0) or page size, or with checksums
- writer_process: one process that commits what many processes put
- version, lib_versions, build_info: the versions of liblmdb, and how pylmdb was built

Modules, imported when they are used:

- pylmdb.aio: coroutines
- pylmdb.arrays: arrays as values, snapshots by number
- pylmdb.datasets: data sets, in batches
- pylmdb.writer: durable writes of many threads that share commits
- pylmdb.errors: the exceptions; each is also a name of pylmdb, as pylmdb.MapFullError
- pylmdb.types: the types of results, and type aliases
- pylmdb.lowlevel: liblmdb itself, by cffi; get_include() is for C and Cython
"""

from ._typing import TYPE_CHECKING
from ._version import __version__
from ._version import version_info as version_info
from .cursor import Cursor
from .database import Database
from .environment import Environment, enable_drop_gil
from .environment import open as open
from .transaction import Transaction

# A star import imports py-lmdb's names, our exceptions and Database.  It does not replace the
# builtin open(), as in py-lmdb, nor names that programs have from elsewhere: load, types.
__all__ = [
    "AddrBusyError",
    "BadChecksumError",
    "BadDbiError",
    "BadRslotError",
    "BadTxnError",
    "BadValsizeError",
    "BusyError",
    "CantRollbackError",
    "ClosedError",
    "CorruptedError",
    "CryptoFailError",
    "Cursor",
    "CursorFullError",
    "Database",
    "DbsBusyError",
    "DbsFullError",
    "DiskError",
    "EnvBusyError",
    "EnvEncryptionError",
    "Environment",
    "Error",
    "FileSystemError",
    "ForkedError",
    "IncompatibleError",
    "InvalidError",
    "InvalidParameterError",
    "KeyExistsError",
    "LockError",
    "LockFileError",
    "LockTimeoutError",
    "MapFullError",
    "MapResizedError",
    "MemoryError",
    "NotFoundError",
    "PageFullError",
    "PageNotFoundError",
    "PanicError",
    "PathError",
    "PathExistsError",
    "PathNotFoundError",
    "ProblemError",
    "ReadersFullError",
    "ReadonlyError",
    "ReplacedError",
    "ShortWriteError",
    "TlsFullError",
    "Transaction",
    "TxnFullError",
    "TxnPendingError",
    "VersionMismatchError",
    "WrongThreadError",
    "_Database",
    "__version__",
    "enable_drop_gil",
    "version",
]

if TYPE_CHECKING:  # the names that _lazy.py imports
    from . import aio as aio
    from . import arrays as arrays
    from . import datasets as datasets
    from . import errors as errors
    from . import lowlevel as lowlevel
    from . import mapping as mapping
    from . import tools as tools
    from . import types as types
    from . import writer as writer
    from ._environment.version import build_info as build_info
    from ._environment.version import get_include as get_include
    from ._environment.version import lib_versions as lib_versions
    from ._environment.version import version
    from .errors import (
        AddrBusyError,
        BadChecksumError,
        BadDbiError,
        BadRslotError,
        BadTxnError,
        BadValsizeError,
        BusyError,
        CantRollbackError,
        ClosedError,
        CorruptedError,
        CryptoFailError,
        CursorFullError,
        DbsBusyError,
        DbsFullError,
        DiskError,
        EnvBusyError,
        EnvEncryptionError,
        Error,
        FileSystemError,
        ForkedError,
        IncompatibleError,
        InvalidError,
        InvalidParameterError,
        KeyExistsError,
        LockError,
        LockFileError,
        LockTimeoutError,
        MapFullError,
        MapResizedError,
        MemoryError,
        NotFoundError,
        PageFullError,
        PageNotFoundError,
        PanicError,
        PathError,
        PathExistsError,
        PathNotFoundError,
        ProblemError,
        ReadersFullError,
        ReadonlyError,
        ReplacedError,
        ShortWriteError,
        TlsFullError,
        TxnFullError,
        TxnPendingError,
        VersionMismatchError,
        WrongThreadError,
    )
    from .mapping import Map as Map
    from .tools import backup_info as backup_info
    from .tools import bulk_load as bulk_load
    from .tools import convert as convert
    from .tools import dump as dump
    from .tools import load as load
    from .tools import merge as merge
    from .tools import restore as restore
    from .tools import salvage as salvage
    from .tools import verify as verify
    from .writer.process import writer_process as writer_process
else:
    from ._lazy import __dir__ as __dir__
    from ._lazy import __getattr__ as __getattr__
    from ._lazy import star_names as __all__  # noqa: F401

del TYPE_CHECKING
_Database = Database
