# SPDX-License-Identifier: MIT
"""What a type checker sees of the installed package."""

import re
from typing import get_args, get_origin

import pytest
from mypy import api

import pylmdb

PROGRAM = """\
import pylmdb
env = pylmdb.open("x")
with env.begin() as plain:
    reveal_type(plain)
    reveal_type(plain.get(b"k"))
    reveal_type(plain.get(b"k", 0))
    reveal_type(plain.get_many([b"k"]))
    reveal_type(plain.cursor().item())
with env.begin(buffers=True) as viewing:
    reveal_type(viewing.get(b"k"))
    reveal_type(viewing.cursor().key())
    reveal_type(viewing.pop(b"k"))
reveal_type(env.begin(None, None, True, True))
reveal_type(env.begin(buffers=bool(env.stat().depth)))
reveal_type(env.stat().entries)
reveal_type(env.open_db(b"name"))
reveal_type(env.dbs())
plain_map = pylmdb.Map("x")
reveal_type(plain_map[b"k"])
numbers: pylmdb.Map[str, int] = pylmdb.Map(env, "m", key="str", value="json")
reveal_type(numbers.get("k"))
reveal_type([*numbers.prefix("k")])
reveal_type(pylmdb.Map(env, key=(str.encode, bytes.decode), value=(bytes, len)).items())
"""

REVEALED = [
    "pylmdb.transaction.Transaction[bytes]",
    "bytes | None",
    "bytes | int",
    "list[bytes | None]",
    "tuple[bytes, bytes]",
    "memoryview[int] | None",
    "memoryview[int]",
    "bytes | None",
    "pylmdb.transaction.Transaction[memoryview[int]]",
    "pylmdb.transaction.Transaction[Any]",
    "int",
    "pylmdb.database.Database",
    "list[bytes]",
    "bytes",
    "int | None",
    "list[tuple[str, int]]",
    "pylmdb.mapping.iteration.Items[str, int]",
]

MISTAKES = {
    "env.begin(wriet=True)": "Unexpected keyword argument",
    "env.begin(timeout='soon')": "No overload variant",
    "env.begin().put(b'k')": "Missing positional argument",
    "env.open_db('text')": "incompatible type",
    "env.stat().sizes": "has no attribute",
    "pylmdb.Map(env)['k']": "Invalid index type",
    "pylmdb.Map(env, key=3)": "No overload variant",
}


def test_what_annotations_need_exists_at_run_time():
    class Own(pylmdb.Transaction[memoryview]):
        pass

    assert issubclass(Own, pylmdb.Transaction)
    assert get_origin(pylmdb.Cursor[bytes]) is pylmdb.Cursor
    assert bytearray in get_args(pylmdb.types.BytesLike)
    assert pylmdb.types.ValueT.__constraints__ == (bytes, memoryview)
    with pytest.raises(AttributeError, match="no_such_type"):
        _ = pylmdb.types.no_such_type


def check(program, tmp_path):
    file = tmp_path / "program.py"
    file.write_text(program)
    cache = f"--cache-dir={tmp_path}"
    output, errors, _ = api.run(["--strict", "--no-error-summary", cache, str(file)])
    assert not errors, errors
    return output


def test_values_are_bytes_or_views(tmp_path):
    output = check(PROGRAM, tmp_path)
    found = re.findall(r'Revealed type is "(.*)"', output.replace("builtins.", ""))
    assert found == REVEALED
    assert "error:" not in output


def test_mistakes_are_found(tmp_path):
    """One program, because a run of mypy takes seconds: the mistake on line 3 + n is the n-th."""
    lines = ["import pylmdb", "env = pylmdb.open('x')", *MISTAKES]
    output = check("\n".join(lines) + "\n", tmp_path)
    said = dict.fromkeys(range(3, 3 + len(MISTAKES)), "")
    for number, text in re.findall(r"^.*?:(\d+): error: (.*)$", output, re.MULTILINE):
        said[int(number)] += text
    for number, (mistake, words) in enumerate(MISTAKES.items(), 3):
        assert words in said[number], (mistake, said[number])
