# SPDX-License-Identifier: MIT
"""The layouts of data sets: how samples are stored in an LMDB file, a module for each.

========================  ===================================================================
``"order"``               any keys; the database ``order.index_name(db)`` has the key of each
                          sample by its ordinal
``"ocr"``                 ``image-%09d`` and ``label-%09d`` from 1, ``num-samples`` in digits
``"folder2lmdb"``         pickled pairs of encoded image and label; ``__keys__`` and
                          ``__len__``, pickled, list and count them
``"basicsr"``             names of images; the sidecar file ``meta_info.txt`` lists them
``"mmsr"``                the same with ``meta_info.pkl``
``"numbered"``            ``0``, ``1``, ``2``, without padding; a record ``length``,
                          ``num_examples`` or ``__len__`` may have the count
``"datum"``               ``%08d_name``, ``%08d`` or other keys of Datum messages
``"padded"``              numbers of one width, as ``%08d``
``"integers"``            8 bytes, big-endian, or native integers with ``integerkey=True``
``"pairs"``               ``image_%03d`` and ``label_%03d``, or with other digits and signs; any
                          two formats that ``pairs=`` gives
``"plain"``               any keys, in key order
========================  ===================================================================

A layout is recognised by a few look-ups.  ``%08d_name``, ``"plain"`` and numbers with gaps need all
keys: one scan, which reads no values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ...errors import InvalidParameterError
from . import (
    basicsr,
    datum,
    folder2lmdb,
    integers,
    mmsr,
    numbered,
    ocr,
    order,
    padded,
    pairs,
    plain,
)
from ._probe import Probe, Recognised, folder_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...database import Database
    from ...environment import Environment
    from .plain import PlainLayout

__all__ = ["AUTO", "WRITTEN", "Recognised", "folder_of", "layout_of", "recognise", "written_name"]

#: the recognisers that ``"auto"`` tries, in this order
AUTO: dict[str, Callable[[Probe], Recognised | None]] = {
    "order": order.recognise,
    "ocr": ocr.recognise,
    "folder2lmdb": folder2lmdb.recognise,
    "basicsr": basicsr.recognise,
    "mmsr": mmsr.recognise,
    "numbered": numbered.recognise,
    "padded": padded.recognise,
    "integers": integers.recognise,
    "caffe": datum.recognise_names,
    "pairs": pairs.recognise,
    "plain": plain.recognise,
}
_RECOGNISERS = {**AUTO, "datum": datum.recognise}
# their keys do not tell whether the values are Datum messages: the first value does
_MAYBE_DATUM = ("order", "padded")
# no other layout can be looked up in a database of native integers
_NATIVE = ("order", "integers", "plain")

_LAYOUTS: dict[str, type[PlainLayout]] = {
    "plain": plain.PlainLayout,
    "datum": datum.DatumLayout,
    "numbered": numbered.NumberedLayout,
    "folder2lmdb": folder2lmdb.Folder2LmdbLayout,
    "ocr": ocr.OcrLayout,
    "basicsr": basicsr.BasicSRLayout,
    "mmsr": mmsr.MmsrLayout,
}


class _Name(NamedTuple):
    """The meaning of a name.

    :ivar written: the layout that a Writer makes; None if a Writer makes none.
    :ivar read: the recognisers that a Dataset tries, in this order.
    """

    written: str | None
    read: tuple[str, ...]


_NAMES: dict[str, _Name] = {
    **{name: _Name(name, (name,)) for name in _LAYOUTS},
    "basicsr": _Name("basicsr", ("basicsr", "mmsr")),
    "caffe": _Name("datum", ("datum",)),
    "padded": _Name("plain", ("padded",)),
    "pairs": _Name(None, ("pairs",)),
    "integers": _Name(None, ("integers",)),
    "order": _Name(None, ("order",)),
}
#: the names that a Writer accepts
WRITTEN = tuple(name for name, each in _NAMES.items() if each.written)


def written_name(name: str) -> str:
    """Return the layout that a name means to a Writer.

    :raises InvalidParameterError: a Writer makes no such layout.
    """
    found = _NAMES.get(name)
    if found is None or found.written is None:
        why = "is not known" if found is None else "can be read, but not written"
        raise InvalidParameterError(f"layout {name!r} {why}; written are {', '.join(WRITTEN)}")
    return found.written


def layout_of(name: str) -> type[PlainLayout]:
    """Return the class of the layout that a name means to a Writer.

    :raises InvalidParameterError: a Writer makes no such layout.
    """
    return _LAYOUTS[written_name(name)]


def _read_names(name: str) -> tuple[str, ...]:
    if name not in _NAMES:
        raise InvalidParameterError(
            f"layout {name!r} is not known; it must be 'auto' or one of {', '.join(_NAMES)}"
        )
    return _NAMES[name].read


def recognise(
    env: Environment,
    db: Database | None = None,
    layout: str = "auto",
    templates: tuple[bytes, bytes] | None = None,
) -> Recognised:
    """Return the layout of a database, and the order of its samples.

    :param layout: the layout that it must have; ``"auto"`` for the first that fits.
    :param templates: the keys of the two records of each sample, with the layout ``"pairs"``.
    :raises InvalidParameterError: it does not have that layout, or has duplicates.
    """
    required = () if layout == "auto" else _read_names(layout)
    with env.begin() as txn:
        probe = Probe(env, txn, db)
        if probe.flags["dupsort"]:
            raise InvalidParameterError(
                f"{env.path()!r}: the database {probe.name!r} has duplicates; each sample needs a"
                " key of its own"
            )
        if templates is not None:
            return pairs.recognise_templates(probe, templates)
        native = bool(probe.flags["integerkey"])
        possible = _NATIVE if native else tuple(_RECOGNISERS)
        for name in required or AUTO:
            found = _RECOGNISERS[name](probe) if name in possible else None
            if found is None:
                continue
            if found.layout in _MAYBE_DATUM and datum.first_is_datum(probe, found.order):
                # the name must be one that finds the same samples again
                return Recognised(name if required or native else "datum", found.order, "datum")
            return found
    raise InvalidParameterError(
        f"{env.path()!r} does not have the layout {layout!r}",
        hint="layout='auto' finds out which one it has",
    )
