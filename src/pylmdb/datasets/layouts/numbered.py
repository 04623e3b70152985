# SPDX-License-Identifier: MIT
"""The layout ``"numbered"``: ``0``, ``1``, ``2``, without padding, and a record with the count.

OCP, Uni-Mol and TAPE use it.  The record is ``length``, ``num_examples`` or ``__len__``, in digits
or pickled; a Writer writes ``length``, in digits.  A file without such a record is read, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import InvalidParameterError
from .._ordering import Formatted
from ._probe import EXTRA_RECORDS, Recognised
from .plain import PlainLayout

if TYPE_CHECKING:
    from ._probe import Probe
    from .plain import Label, Records, Value

_KEY = b"%d"
_COUNT = b"length"
_COUNTS = (_COUNT, b"num_examples", b"__len__")


def recognise(probe: Probe) -> Recognised | None:
    if not probe.has(_KEY % 0):
        return None
    for name in _COUNTS:
        count = probe.count_in(name)
        if count is not None and count < probe.entries and probe.has(_KEY % (count - 1)):
            return Recognised("numbered", Formatted(count, _KEY))
    for extra in range(EXTRA_RECORDS):
        count = probe.entries - extra
        if count > 0 and probe.has(_KEY % (count - 1)):
            return Recognised("numbered", Formatted(count, _KEY))
    return None


class NumberedLayout(PlainLayout):
    """A value under its number, and the count; the base of the layouts that number samples."""

    keys_are_names = False
    takes_key_format = False
    needs_index = one_record = False
    key_format = _KEY
    count_key = _COUNT

    def count(self) -> int:
        value = self.batch_writer.get(self.count_key)
        if value is not None:
            return self.parse_count(value)
        if self.batch_writer.count:
            raise InvalidParameterError(
                f"{self.batch_writer.env.path()!r} has records but no {self.count_key!r}: it has"
                " another layout",
                hint="open it with the layout that Dataset(path).layouts says",
            )
        return 0

    def parse_count(self, value: bytes) -> int:
        """Return the count of samples in the record ``count_key``.

        :raises InvalidParameterError: it is not a count.
        """
        if not value.isdigit():
            raise self.bad_count(value)
        return int(value)

    def bad_count(self, value: object) -> InvalidParameterError:
        return InvalidParameterError(
            f"the record {self.count_key!r} holds {value!r:.64}; it must hold the number of samples"
        )

    def records(self, number: int, value: Value, label: Label, name: str | bytes | None) -> Records:
        return super().records(number, value, label, None)

    def commit_records(self, count: int) -> Records:
        return [(self.count_key, b"%d" % count)]
