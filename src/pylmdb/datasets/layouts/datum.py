# SPDX-License-Identifier: MIT
"""The layout ``"datum"``, or ``"caffe"``: Datum messages, as Caffe writes and reads them.

Caffe's keys are ``%08d_name``.  A Writer also makes ``%08d`` for samples without names; other
numbers and any other keys are read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..._base.numpy import np
from ...errors import InvalidParameterError
from .. import datum as _messages
from .._ordering import Listed
from . import numbered, order, padded, plain
from ._probe import Recognised
from .plain import PlainLayout, as_key, is_array

if TYPE_CHECKING:
    from .._ordering import Order
    from ._probe import Probe
    from .plain import Records, Value

_NUMBER_AND_NAME = re.compile(rb"\d{8}_")


def recognise_names(probe: Probe) -> Recognised | None:
    """Recognise ``%08d_name`` by the first key and the last one."""
    found = probe.bounds(b"0", b":")  # keys that begin with a digit
    if found is None or not all(_NUMBER_AND_NAME.match(key) for key in found):
        return None
    return Recognised("datum", Listed(probe.sample_keys()), "datum")


def recognise(probe: Probe) -> Recognised | None:
    """Recognise Datum messages under any keys."""
    for recognise_keys in (
        order.recognise, recognise_names, padded.recognise, numbered.recognise, plain.recognise
    ):  # fmt: skip
        found = recognise_keys(probe)
        if found is not None:
            fits = not found.order.count or first_is_datum(probe, found.order)
            return Recognised("datum", found.order, "datum") if fits else None
    return None


def first_is_datum(probe: Probe, found: Order) -> bool:
    """Whether there is a first sample, and it is a Datum message."""
    if not found.count:
        return False
    value = probe.get(found.keys(np.zeros(1, np.int64))[0])
    try:
        return value is not None and len(_messages.decode(value)[0]) > 0
    except InvalidParameterError:
        return False


class DatumLayout(PlainLayout):
    """A Datum message under ``%08d``, or under ``%08d_`` and the name."""

    stores = "datum"
    labels = "number"
    keys_are_names = False
    usual_mode, usual_axes = "BGR", "CHW"

    def records(self, number: int, value: Value, label: Any, name: str | bytes | None) -> Records:
        key = self.key_format % number
        if name is not None:
            key += b"_" + as_key(name)
        return [(key, _messages.encode(value, label, encoded=not is_array(value)))]
