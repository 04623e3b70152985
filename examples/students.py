# SPDX-License-Identifier: MIT
"""Add, change and delete students by number, as tutorials on LMDB do.

    python examples/students.py [PATH]

Without PATH the file is temporary.
"""

from __future__ import annotations

import sys
import tempfile

import pylmdb as lmdb


def add(env: lmdb.Environment, number: int, name: str) -> None:
    with env.begin(write=True) as txn:
        txn.put(key(number), name.encode())


def delete(env: lmdb.Environment, number: int) -> None:
    with env.begin(write=True) as txn:
        txn.delete(key(number))


def search(env: lmdb.Environment, number: int) -> str | None:
    with env.begin() as txn:
        name = txn.get(key(number))
    return None if name is None else name.decode()


def show(env: lmdb.Environment) -> None:
    with env.begin() as txn:
        for number, name in txn.cursor():
            print(number.decode(), name.decode())


def key(number: int) -> bytes:
    """Write a number with leading zeros, so that keys, sorted as bytes, are in its order."""
    return b"%04d" % number


def main(path: str) -> None:
    with lmdb.open(path) as env:
        for number, name in ((1, "Alice"), (2, "Bob"), (3, "Peter"), (10, "Emma")):
            add(env, number, name)
        add(env, 3, "Mark")  # another value for the same key
        delete(env, 1)
        print("number 3 is", search(env, 3))
        print("number 1 is", search(env, 1))
        show(env)

    # The same with a dict on disk.
    with lmdb.Map(path, key="str", value="str") as students:
        students["0011"] = "Élodie"
        print(len(students), "students, the last is", students.last())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(folder)
