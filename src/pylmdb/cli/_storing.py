# SPDX-License-Identifier: MIT
"""Storing what a command has read from text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core_rules.database_flags import flags_from
from ..tools.bulk_loading import load_sections
from ._opening import FLAGS, new_file, refuse_to_write
from ._output import progress

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from typing import Literal

    from ..tools.bulk_loading import Section


def store(
    args: argparse.Namespace, sections: Iterable[Section],
    on_conflict: Literal["error", "first", "last"] = "last",
) -> int:  # fmt: skip
    """Store databases in the environment of a command: all or none.

    :return: the number of records written.
    """
    refuse_to_write(args)
    return load_sections(
        args.path, sections, memory=getattr(args, "memory", "1 GiB"), on_conflict=on_conflict,
        progress=progress(), subdir=not args.single,
        lib_version=getattr(args, "lib_version", None), **new_file(args),
    )  # fmt: skip


def chosen_flags(args: argparse.Namespace) -> int | None:
    """Return the flags of ``--flags``; None if they are not given."""
    if args.flags is None:
        return None
    return flags_from(**{word: word in args.flags for word in FLAGS})
