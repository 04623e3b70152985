# SPDX-License-Identifier: MIT
"""How large a map starts, and how far it may grow.

Raising the *limit* of a map, and mapping more behind its end, moves nothing that lies
in it (``growth.c`` and ``addresses.c`` beside liblmdb say why that is safe, and how
large each step is).  What the user gave decides:

=================  ==================  ===========================  ==================
``map_size``       ``max_map_size``    starts at                    grows to
=================  ==================  ===========================  ==================
left out           left out            a small size                 what there is
given              left out            ``map_size``                 no further
left out           given               a small size                 ``max_map_size``
given              given               ``map_size``                 ``max_map_size``
=================  ==================  ===========================  ==================

With ``writemap`` the limit is also what the file has on disk, so a fixed size is
reached in steps, too; the user is told the size that he fixed.
"""

from __future__ import annotations

import sys

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .options import Options

# Where a map starts: a limit costs nothing, but with writemap it costs its blocks.
START, WRITEMAP_START = 10 << 20, 1 << 20
UNLIMITED = sys.maxsize


def plan(options: Options, grows: bool = True) -> tuple[int, int, int, bool]:
    """What the map of an environment is to be: where it starts, how far it may grow and
    how much is mapped at once (0: as growth.c sees fit), and whether the user has fixed
    the size.

    ``grows``: whether this build of liblmdb can raise the limit in place.
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
    return start, most, 0 if most == UNLIMITED else most, fixed
