# SPDX-License-Identifier: MIT
"""LMDB for Python: an embedded, ordered, transactional key-value store."""

from . import errors as errors
from . import types as types
from ._environment.version import version
from ._typing import TYPE_CHECKING
from ._version import __version__
from .cursor import Cursor
from .database import Database
from .environment import Environment, enable_drop_gil
from .environment import open as open
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
from .transaction import Transaction

if TYPE_CHECKING:  # the names that _lazy.py imports
    from . import aio as aio
    from . import arrays as arrays
    from . import datasets as datasets
    from . import lowlevel as lowlevel
    from . import mapping as mapping
    from . import tools as tools
    from . import writer as writer
    from .mapping import Map as Map
    from .tools import bulk_load as bulk_load
    from .tools import convert as convert
    from .tools import dump as dump
    from .tools import load as load
    from .tools import merge as merge
    from .tools import verify as verify
else:
    from ._lazy import __getattr__ as __getattr__

del TYPE_CHECKING
_Database = Database

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
