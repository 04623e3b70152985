# SPDX-License-Identifier: MIT
"""The layout ``"folder2lmdb"``: pickled pairs of an image file and its label.

The scripts of that name write it.  ``__keys__`` is a pickled list of the keys in order, and
``__len__`` the pickled number of samples.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

from ...errors import InvalidParameterError
from .. import _plain_pickle
from .._ordering import Listed
from ._probe import Recognised
from .numbered import NumberedLayout
from .plain import file_bytes

if TYPE_CHECKING:
    from ._probe import Probe
    from .plain import Label, Records, Value

_KEYS, _COUNT = b"__keys__", b"__len__"


def recognise(probe: Probe) -> Recognised | None:
    listed = probe.get(_KEYS)
    if listed is None or probe.count_in(_COUNT) is None:
        return None
    keys = _plain_pickle.loads(listed)
    if not isinstance(keys, (list, tuple)) or not all(type(key) is bytes for key in keys):
        raise InvalidParameterError(
            f"the record {_KEYS!r} holds a pickled {type(keys).__name__}; it must hold a list of"
            " keys, each of bytes"
        )
    return Recognised("folder2lmdb", Listed(keys), "pickle")


class Folder2LmdbLayout(NumberedLayout):
    """A pickle of (file, label) under its number, the count, and at the end the list of keys."""

    stores = "file"
    labels = "number"
    count_key = _COUNT

    def parse_count(self, value: bytes) -> int:
        count = _plain_pickle.loads(value)
        if type(count) is not int or count < 0:
            raise self.bad_count(count)
        return count

    def records(self, number: int, value: Value, label: Label, name: str | bytes | None) -> Records:
        pair = file_bytes(value), label if label is None else int(label)
        return [(self.key_format % number, pickle.dumps(pair))]

    def commit_records(self, count: int) -> Records:
        return [(self.count_key, pickle.dumps(count))]

    def finish(self, count: int) -> Records:
        return [(_KEYS, pickle.dumps([self.key_format % n for n in range(count)]))]
