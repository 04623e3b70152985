# SPDX-License-Identifier: MIT
"""The size of a new memory map, and how far it may grow.

Raising the *limit* of a map, and extending the mapping at its end, moves nothing in it.
``growth.c`` and ``addresses.c`` in ``lib/liblmdb`` say why that is safe, and how large each step
is.  The options decide:

=================  ==================  ===========================  ==================
``map_size``       ``max_map_size``    starts at                    grows to
=================  ==================  ===========================  ==================
left out           left out            a small size                 no limit
given              left out            ``map_size``                 ``map_size``
left out           given               a small size                 ``max_map_size``
given              given               ``map_size``                 ``max_map_size``
=================  ==================  ===========================  ==================

With ``writemap`` the limit is also the size of the file on disk.  So a fixed size is reached in
steps there, too; ``info()`` reports the fixed size.
"""

from __future__ import annotations

import sys

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .options import Options

# The first limit in bytes.  It costs nothing, except with writemap, where the file gets this size.
START, WRITEMAP_START = 10 << 20, 1 << 20
UNLIMITED = sys.maxsize


def plan(options: Options, grows: bool = True) -> tuple[int, int, int, bool]:
    """The sizes of an environment's map.

    :param grows: whether this build of liblmdb can raise the limit in place.
    :return: the first limit; how far it may grow; how much is mapped at first (0: growth.c
        decides), all in bytes; and whether the size is fixed.
    """
    size, most = options.map_size, options.max_map_size
    fixed = size is not None and most is None
    start = WRITEMAP_START if options.writemap else START
    if size is not None and not (fixed and options.writemap and size > start):
        start = size
    if not grows:
        start = START if size is None else size
    if most is None:
        most = UNLIMITED if size is None else size
    return min(start, most), most, 0 if most == UNLIMITED else most, fixed
