# SPDX-License-Identifier: MIT
"""Show that an installed pylmdb works: print one line, or fail.

Both engines open, put, get, grow past their first map, give views and share a file between two
processes; numpy reads an array, where it is installed.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile

import pylmdb

try:
    import numpy
except ModuleNotFoundError:
    numpy = None


def check(found, expected):
    if found != expected:
        raise SystemExit(f"smoke: got {found!r}, expected {expected!r}")


def use(env):
    with env.begin(write=True) as txn:
        txn.put(b"apple", b"red")
        check(txn.get(b"apple"), b"red")

    before = env.info()["map_size"]
    count, value = 64, b"v" * 65536
    with env.begin(write=True) as txn:
        for number in range(count):
            txn.put(b"%04d" % number, value)
    check(env.info()["map_size"] > before, True)

    with env.begin(buffers=True) as txn:
        view = txn.get(b"0000")
    with env.begin(write=True) as txn:
        txn.put(b"0000", b"other")
    check(bytes(view), value)
    with env.begin() as txn:
        check(sum(1 for _ in txn.range(b"0000", b"9999")), count)

    if numpy:
        with env.begin(write=True) as txn:
            txn.put_array(b"array", numpy.arange(10.0))
        with env.begin() as txn:
            array = txn.get_array(b"array")
        check(array.sum(), 45.0)


def share(env):
    child = os.fork()
    if child == 0:
        try:
            with env.begin(write=True) as txn:
                txn.put(b"child", b"was here")
            os._exit(0)
        finally:
            os._exit(1)
    check(os.waitpid(child, 0)[1], 0)
    with env.begin() as txn:
        check(txn.get(b"child"), b"was here")


def main():
    for version in (0, 1):
        with tempfile.TemporaryDirectory() as folder:
            sizes = {"map_size": 1 << 20, "max_map_size": 1 << 30}
            with pylmdb.open(folder, lib_version=version, **sizes) as env:
                use(env)
                share(env)
    parts = [f"CPython {platform.python_version()}", platform.machine()]
    parts += [f"numpy {numpy.__version__}" if numpy else "no numpy"]
    print(f"pylmdb {pylmdb.__version__} works on {', '.join(parts)}")


if __name__ == "__main__":
    sys.exit(main())
