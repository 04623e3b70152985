# SPDX-License-Identifier: MIT
"""The types of methods that return :class:`Records`.

They are those of Transaction and Cursor, but for the result.
"""

from typing import Any, Generic, Literal, overload

from .._aliases import BytesLike, ValueT
from ..database import Database
from .methods import Records

class RangeInTransaction(Generic[ValueT]):
    """``AsyncTransaction.range``."""

    @overload
    def __call__(
        self,
        start: BytesLike | None = None,
        stop: BytesLike | None = None,
        *,
        prefix: BytesLike | None = None,
        reverse: bool = False,
        keys: Literal[True] = True,
        values: Literal[True] = True,
        limit: int | None = None,
        offset: int = 0,
        include_start: bool = True,
        include_stop: bool = False,
        db: Database | None = None,
    ) -> Records[tuple[ValueT, ValueT]]: ...
    @overload
    def __call__(
        self,
        start: BytesLike | None = None,
        stop: BytesLike | None = None,
        *,
        prefix: BytesLike | None = None,
        reverse: bool = False,
        keys: Literal[True] = True,
        values: Literal[False],
        limit: int | None = None,
        offset: int = 0,
        include_start: bool = True,
        include_stop: bool = False,
        db: Database | None = None,
    ) -> Records[ValueT]: ...
    @overload
    def __call__(
        self,
        start: BytesLike | None = None,
        stop: BytesLike | None = None,
        *,
        prefix: BytesLike | None = None,
        reverse: bool = False,
        keys: Literal[False],
        values: Literal[True] = True,
        limit: int | None = None,
        offset: int = 0,
        include_start: bool = True,
        include_stop: bool = False,
        db: Database | None = None,
    ) -> Records[ValueT]: ...
    @overload
    def __call__(
        self,
        start: BytesLike | None = None,
        stop: BytesLike | None = None,
        *,
        prefix: BytesLike | None = None,
        reverse: bool = False,
        keys: bool = True,
        values: bool = True,
        limit: int | None = None,
        offset: int = 0,
        include_start: bool = True,
        include_stop: bool = False,
        db: Database | None = None,
    ) -> Records[Any]: ...

class RangeOfCursor(Generic[ValueT]):
    """``AsyncCursor.range``."""

    @overload
    def __call__(
        self,
        start: BytesLike | None = None,
        stop: BytesLike | None = None,
        *,
        prefix: BytesLike | None = None,
        reverse: bool = False,
        keys: Literal[True] = True,
        values: Literal[True] = True,
        limit: int | None = None,
        offset: int = 0,
        include_start: bool = True,
        include_stop: bool = False,
    ) -> Records[tuple[ValueT, ValueT]]: ...
    @overload
    def __call__(
        self,
        start: BytesLike | None = None,
        stop: BytesLike | None = None,
        *,
        prefix: BytesLike | None = None,
        reverse: bool = False,
        keys: Literal[True] = True,
        values: Literal[False],
        limit: int | None = None,
        offset: int = 0,
        include_start: bool = True,
        include_stop: bool = False,
    ) -> Records[ValueT]: ...
    @overload
    def __call__(
        self,
        start: BytesLike | None = None,
        stop: BytesLike | None = None,
        *,
        prefix: BytesLike | None = None,
        reverse: bool = False,
        keys: Literal[False],
        values: Literal[True] = True,
        limit: int | None = None,
        offset: int = 0,
        include_start: bool = True,
        include_stop: bool = False,
    ) -> Records[ValueT]: ...
    @overload
    def __call__(
        self,
        start: BytesLike | None = None,
        stop: BytesLike | None = None,
        *,
        prefix: BytesLike | None = None,
        reverse: bool = False,
        keys: bool = True,
        values: bool = True,
        limit: int | None = None,
        offset: int = 0,
        include_start: bool = True,
        include_stop: bool = False,
    ) -> Records[Any]: ...

class AllRecords(Generic[ValueT]):
    """``iternext`` and ``iterprev``."""

    @overload
    def __call__(
        self, keys: Literal[True] = True, values: Literal[True] = True
    ) -> Records[tuple[ValueT, ValueT]]: ...
    @overload
    def __call__(
        self, keys: Literal[True] = True, *, values: Literal[False]
    ) -> Records[ValueT]: ...
    @overload
    def __call__(self, keys: Literal[True], values: Literal[False]) -> Records[ValueT]: ...
    @overload
    def __call__(self, keys: Literal[False], values: Literal[True] = True) -> Records[ValueT]: ...
    @overload
    def __call__(self, keys: bool = True, values: bool = True) -> Records[Any]: ...

class DuplicateRecords(Generic[ValueT]):
    """``iternext_dup`` and ``iterprev_dup``."""

    @overload
    def __call__(
        self, keys: Literal[True], values: Literal[True] = True
    ) -> Records[tuple[ValueT, ValueT]]: ...
    @overload
    def __call__(self, keys: Literal[True], values: Literal[False]) -> Records[ValueT]: ...
    @overload
    def __call__(
        self, keys: Literal[False] = False, values: Literal[True] = True
    ) -> Records[ValueT]: ...
    @overload
    def __call__(self, keys: bool = False, values: bool = True) -> Records[Any]: ...

class UniqueKeyRecords(Generic[ValueT]):
    """``iternext_nodup`` and ``iterprev_nodup``."""

    @overload
    def __call__(
        self, keys: Literal[True] = True, *, values: Literal[True]
    ) -> Records[tuple[ValueT, ValueT]]: ...
    @overload
    def __call__(
        self, keys: Literal[True], values: Literal[True]
    ) -> Records[tuple[ValueT, ValueT]]: ...
    @overload
    def __call__(
        self, keys: Literal[True] = True, values: Literal[False] = False
    ) -> Records[ValueT]: ...
    @overload
    def __call__(self, keys: Literal[False], values: Literal[True]) -> Records[ValueT]: ...
    @overload
    def __call__(self, keys: bool = True, values: bool = False) -> Records[Any]: ...
