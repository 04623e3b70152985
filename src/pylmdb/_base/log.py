# SPDX-License-Identifier: MIT
"""What pylmdb tells the logger ``pylmdb``.

Nothing is written unless the program has given a handler to that logger or to the root logger.
``logging`` alone would write warnings to stderr then.

A handler is code of the program, and may use pylmdb.  So no lock of pylmdb may be held here.
"""

from __future__ import annotations

import sys
from _thread import get_ident

from .threads import report_exception

# logging.INFO and logging.WARNING
INFO, WARNING = 20, 30

# the threads that are inside a handler
_inside: set[int] = set()


def log(level: int, message: str, *args: object) -> None:
    """Pass a record to the logger ``pylmdb``, if it has a handler.

    What pylmdb notices while a handler runs is left out, so a handler that uses pylmdb is not
    called from itself.  If a handler fails, its exception goes to ``threading.excepthook``, because
    what is logged must not fail.

    :param message: a format for ``args``, as :meth:`logging.Logger.log` takes it.
    """
    logging = sys.modules.get("logging")
    thread = get_ident()
    # While another thread imports logging, the module has no functions yet.
    get_logger = getattr(logging, "getLogger", None)
    if get_logger is None or thread in _inside:
        return
    try:
        _inside.add(thread)
        logger = get_logger("pylmdb")
        if logger.hasHandlers():
            logger.log(level, message, *args)
    except Exception:
        report_exception()
    finally:
        _inside.discard(thread)
