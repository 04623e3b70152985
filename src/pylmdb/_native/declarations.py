# SPDX-License-Identifier: MIT
"""Collect the declarations of our own headers for cffi: the blocks that they mark for it.

    /* cdef: begin */
    int pylmdb_pool_live(const struct pylmdb_pool *pool);
    /* cdef: end */

A block holds what cffi's parser understands: functions, structs, enums, typedefs and macros that
are numbers.  Run by build.py and by the tests.
"""

from __future__ import annotations

import re
from pathlib import Path

# In this order: a header uses only what those before it declare.
HEADERS = (
    "src/pylmdb/_native/engine.h",
    "src/pylmdb/_native/slots.h",
    "src/pylmdb/_native/rules.h",
    "lib/liblmdb/shim.h",
    "src/pylmdb/_native/position.h",
    "src/pylmdb/_native/plain/plain.h",
    "src/pylmdb/_native/arrays/arrays.h",
    "src/pylmdb/_native/merge/merge.h",
    "src/pylmdb/_native/text/text.h",
    "src/pylmdb/_native/verify/verify.h",
    "lib/liblmdb/xxh3.h",
)
# Declared in no header: a macro that the build defines, and functions that Python provides.
OTHERS = """
static char *const PYLMDB_VERSION_STRING;

extern "Python" int pylmdb_on_reader_line(const char *line, void *ctx);
extern "Python" int pylmdb_on_sorting(void *context);
extern "Python" int pylmdb_on_verified(void *context, uint64_t done, uint64_t total);
extern "Python" int pylmdb_on_salvaged(void *context, int tree, const struct pylmdb_bytes *records,
                                       size_t count);
"""

_MARK = re.compile(r"^/\* cdef: (begin|end) \*/\n", re.MULTILINE)
_MACRO = re.compile(r"^(#define \w+) (?!-?\d+$).+$", re.MULTILINE)


def marked_blocks(text: str, name: str) -> str:
    """Return the marked blocks of a header.  Macros that are not numbers get their value from the
    compiler.
    """
    parts = _MARK.split(text)
    marks, blocks = parts[1::2], parts[2::4]
    if not marks or marks != ["begin", "end"] * len(blocks):
        raise RuntimeError(
            f"{name}: needs lines /* cdef: begin */ and /* cdef: end */ in turn, got {marks}"
        )
    return _MACRO.sub(r"\1 ...", "".join(blocks))


def declarations(root: Path) -> str:
    """Return the text for ffi.cdef() that declares our own names."""
    headers = (marked_blocks((root / name).read_text("utf-8"), name) for name in HEADERS)
    return "\n".join([*headers, OTHERS])
