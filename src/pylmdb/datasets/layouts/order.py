# SPDX-License-Identifier: MIT
"""The layout ``"order"``: any keys, and an index that says in which order they come.

The index is a named database.  Its keys are the ordinals of the samples as 8 bytes, big-endian,
from 0 on; its values are the keys of the samples.  A Writer makes it when samples come in another
order than their keys (``_batch_writer.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._base.numpy import np
from ...arrays import Snapshot
from ...errors import InvalidParameterError, NotFoundError
from .._ordering import Listed
from ._probe import Recognised

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ._probe import Probe


def index_name(db: bytes | None) -> bytes:
    """Return the name of the index of a database; None means the main database."""
    return b"__order__" + (db or b"")


def index_records(keys: Iterable[bytes], start: int) -> Iterator[tuple[bytes, bytes]]:
    """Return the records of the index for samples with ordinals from ``start`` on."""
    return ((ordinal.to_bytes(8, "big"), key) for ordinal, key in enumerate(keys, start))


def recognise(probe: Probe) -> Recognised | None:
    name = index_name(probe.name)
    try:
        index = probe.env.open_db(name, create=False)
    except NotFoundError:
        return None
    with Snapshot(probe.env, index) as records:
        values = [bytes(value) for value in records]
        ordinals = records.keys()
    expected = np.arange(len(values), dtype=">u8").tobytes()
    if values and (not isinstance(ordinals, np.ndarray) or ordinals.tobytes() != expected):
        raise InvalidParameterError(
            f"the keys of the database {name!r} must number samples from 0 on, in 8 bytes each",
            hint="drop that database to read the samples in the order of their keys",
        )
    return Recognised("order", Listed(values))
