# SPDX-License-Identifier: MIT
"""The version of pylmdb; setup.py compiles it into each extension.

It continues the versions of py-lmdb: programs that ``import pylmdb as lmdb`` read it to learn which
interface of py-lmdb they have.  pylmdb 3.1 has the interface of py-lmdb 3.0.  The version has only
digits and dots, because such programs compare it.
"""

__version__ = "3.1.0"
version_info: tuple[int, ...] = tuple(int(part) for part in __version__.split("."))
