# SPDX-License-Identifier: MIT
"""Every object with a buffer is a key or value.  Checked for types, never run."""

import array
import ctypes
import mmap

import numpy as np

import pylmdb
from pylmdb.types import BytesLike

env = pylmdb.open("x")


def store(txn: pylmdb.Transaction, key: BytesLike, value: BytesLike) -> bool:
    return txn.put(key, value)


with env.begin(write=True) as txn, open("f", "rb") as file:
    store(txn, b"a", b"b")
    store(txn, bytearray(b"a"), bytearray(b"b"))
    store(txn, memoryview(b"a"), memoryview(b"b"))
    store(txn, array.array("I", [1]), array.array("d", [2.0]))
    store(txn, np.arange(2), np.float32(1))
    store(txn, b"a", mmap.mmap(file.fileno(), 0))
    store(txn, b"a", (ctypes.c_char * 8)())
    txn.cursor().putmulti([(b"a", np.zeros(3)), (b"b", bytearray(2))])
    txn.delete(np.arange(2))
    txn.get_many([bytearray(b"a"), bytearray(b"b")])
