# SPDX-License-Identifier: MIT
"""The one place that names pylmdb's version; setup.py compiles it into each extension.

It counts from py-lmdb's: programs that ``import pylmdb as lmdb`` look at it to learn which
interface of py-lmdb they have.  pylmdb 3.1 has that of py-lmdb 3.0.  It is plain digits, which
such programs compare.
"""

__version__ = "3.1.0"
