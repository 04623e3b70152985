# SPDX-License-Identifier: MIT
"""zstd: Python's own module, from 3.14 on, or the package ``zstandard``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import CorruptedError

if TYPE_CHECKING:
    from collections.abc import Callable

_MISSING = (
    "{}: compression with zstd needs Python 3.14 or the package zstandard: pip install zstandard"
)

# the memory that a compressed block can ask for; what backup() writes needs less
_WINDOW_LOG = 23


def modules() -> tuple[Any, Any]:
    """Return Python's own module and the package; None for what is not there."""
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # of Python 3.14
    except ImportError:
        pass
    else:
        return zstd, None
    try:
        import zstandard
    except ImportError:
        return None, None
    return None, zstandard


def compressor() -> Callable[[Any], bytes]:
    """Return a function that compresses bytes.

    :raises ImportError: neither module is installed.
    """
    own, package = modules()
    if own is not None:
        compress: Callable[[Any], bytes] = own.compress
        return compress
    if package is None:
        raise ImportError(_MISSING.format("backup"))
    made: Callable[[Any], bytes] = package.ZstdCompressor().compress
    return made


def decompressed(operation: str, name: str, data: bytes, size: int) -> bytes:
    """Decompress bytes, at most one more than ``size``.

    :param name: of the file, for messages.
    :raises CorruptedError: they are not compressed bytes.
    :raises ImportError: neither module is installed.
    """
    own, package = modules()
    if own is None and package is None:
        raise ImportError(_MISSING.format(operation))
    try:
        if own is not None:
            options = {own.DecompressionParameter.window_log_max: _WINDOW_LOG}
            found: bytes = own.ZstdDecompressor(options=options).decompress(data, size + 1)
        else:
            made = package.ZstdDecompressor(max_window_size=1 << _WINDOW_LOG)
            with made.stream_reader(data) as reader:
                found = reader.read(size + 1)
    except (own or package).ZstdError as failure:
        raise CorruptedError(
            f"{operation}: {name!r} is damaged: compressed pages cannot be read ({failure})",
            hint="use another copy of this backup",
        ) from None
    return found
