# SPDX-License-Identifier: MIT
"""The operators of a Map that dicts have, too: ``|`` and ``|=``."""

from __future__ import annotations

from _collections_abc import Mapping

from .._typing import TYPE_CHECKING
from .ordered import Ordered

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeVar

    from _typeshed import SupportsKeysAndGetItem
    from typing_extensions import Self

    K = TypeVar("K")
    V = TypeVar("V")
    KeyT = TypeVar("KeyT")
    ValueT = TypeVar("ValueT")
else:
    K, V = "K", "V"


class Unions(Ordered[K, V]):
    """The base of :class:`~pylmdb.Map` with the operators that join it with another mapping."""

    def _as_dict(self) -> dict[K, V]:
        """Return the records of one snapshot."""
        with self._reading() as txn:
            return dict(self._decode_item(*map(bytes, each)) for each in txn.range(db=self._db))

    def __or__(self, other: Mapping[KeyT, ValueT]) -> dict[K | KeyT, V | ValueT]:
        """Return a dict with the records of both; those of ``other`` count if keys are equal."""
        if not isinstance(other, Mapping):
            return NotImplemented
        return _union(self, other)

    def __ror__(self, other: Mapping[KeyT, ValueT]) -> dict[K | KeyT, V | ValueT]:
        if not isinstance(other, Mapping):
            return NotImplemented
        return _union(other, self)

    def __ior__(  # type: ignore[misc]  # typeshed ignores it for dict, too
        self, other: SupportsKeysAndGetItem[K, V] | Iterable[tuple[K, V]]
    ) -> Self:
        """The same as :meth:`update`."""
        self.update(other)
        return self


def _union(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return a dict with the records of both; each Map is read in one snapshot."""
    both = [each._as_dict() if isinstance(each, Unions) else each for each in (first, second)]
    return {**both[0], **both[1]}
