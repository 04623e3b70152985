# SPDX-License-Identifier: MIT
"""Count the instructions of ``get`` by part, with valgrind.

A loop over all keys runs once and four times; the difference has no start of Python in it.
Needs valgrind, and a build with debugging information (``make dev``).
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections import Counter

from callgrind import count

RECORDS, PASSES = 10_000, 3

LOOP = f"""
import sys, pylmdb
env = pylmdb.open("get.lmdb")
keys = [b"%08d" % number for number in range({RECORDS})]
if env.stat().entries == 0:
    with env.begin(write=True) as txn:
        for key in keys:
            txn.put(key, bytes(96))
def loop(get, passes):
    for _ in range(passes):
        for key in keys:
            get(key)
with env.begin() as txn:
    loop(txn.get, int(sys.argv[1]))
"""

# A part has the functions whose file and name match; the first part that matches counts.
PARTS = {
    "checks of the pages": r"checked_pages\.c:",
    "search in the pages": r"(search|mdb)\.c:",
    "pylmdb: arguments, guard, result": r".*:(transaction_get|pylmdb_)",
    "making the bytes object": r".*:(PyBytes|_?PyObject_|_Py_New|object_dealloc|__mem)",
    "Python: the loop and the call": r"",
}


def count_parts(folder: str, passes: int) -> Counter[str]:
    """Return the instructions of each part in a run of the loop."""
    _, rows = count([sys.executable, "-c", LOOP, str(passes)], folder)
    found: Counter[str] = Counter()
    for instructions, function in rows:
        name = function.rpartition("/")[2]
        found[next(part for part, pattern in PARTS.items() if re.match(pattern, name))] += (
            instructions
        )
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        count_parts(folder, 0)  # writes the file
        once, more = count_parts(folder, 1), count_parts(folder, 1 + PASSES)
    parts = {part: (more[part] - once[part]) / RECORDS / PASSES for part in PARTS}
    for part, instructions in sorted(parts.items(), key=lambda each: -each[1]):
        print(f"{part:34}{instructions:8,.0f}")
    print(f"{'all':34}{sum(parts.values()):8,.0f}")


if __name__ == "__main__":
    main()
