# SPDX-License-Identifier: MIT
"""The keys and values of a Map are those of its codecs.  Checked for types, never run."""

from typing import Any

from numpy.typing import NDArray
from typing_extensions import assert_type

import pylmdb
from pylmdb import Map
from pylmdb.mapping.iteration import Items

env = pylmdb.open("x")

assert_type(Map("x"), Map[bytes, bytes])
assert_type(Map("x")[b"k"], bytes)
assert_type(Map(env, key="str", value="json"), Map[str, Any])
assert_type(Map(env, key="int", value="bytes"), Map[int, bytes])
assert_type(Map(env, None, "str", "str"), Map[str, str])
assert_type(Map(env, key="uint"), Map[int, bytes])
assert_type(Map(env, value="json"), Map[bytes, Any])
assert_type(Map(env, key="tuple", value="npy"), Map[tuple[Any, ...], NDArray[Any]])
assert_type(Map(env, key="dbm", value="dbm"), Map[Any, Any])
assert_type(Map(env, key=(str.encode, bytes.decode), value="str"), Map[str, str])
own_codecs = Map(env, key=(str.encode, bytes.decode), value=(str.encode, bytes.decode))
assert_type(own_codecs.items(), Items[str, str])
assert_type(Map("x", flag="r", readahead=False, max_dbs=3), Map[bytes, bytes])


def by_name(key: str, value: str) -> Map[Any, Any]:
    return Map(env, key=key, value=value)


numbers: Map[str, int] = Map(env, "m", key="str", value="json")
assert_type(numbers.get("k"), int | None)
assert_type(numbers.get("k", "none"), int | str)
assert_type([*numbers.prefix("k")], list[tuple[str, int]])
assert_type(numbers.first(), tuple[str, int] | None)
assert_type(numbers.floor("k"), tuple[str, int] | None)
assert_type([*numbers.range("a", limit=3, offset=1, include_stop=True)], list[tuple[str, int]])
assert_type(numbers.has_many(["k"]), list[bool])
assert_type(numbers | {"k": 1}, dict[str, int])
assert_type({"k": 1} | numbers, dict[str, int])
assert_type(numbers | {1: "k"}, dict[str | int, int | str])
assert_type(numbers | numbers, dict[str, int])
numbers |= {"k": 1}
numbers |= [("k", 1)]
assert_type(numbers, Map[str, int])
numbers.update({"a": 1}, b=2)
numbers.update([("a", 1)])
numbers.update(zip(["a"], [1], strict=True))
assert_type(numbers.increment("a"), int)
with numbers.transaction() as txn:
    assert_type(txn, pylmdb.Transaction[bytes])
    numbers["a"] += 1

assert_type(numbers.count("a", "b"), int)
assert_type(numbers.delete_range(prefix="a"), int)

like_dbm = Map.open("x", "c")
like_dbm["text"] = b"or bytes"
like_dbm["text"].decode()
annotated: Map = Map.open("x", "c", key="str", value="json", lock=False)


class Lengths(Map[str, int]):
    """A map with codecs of its own, as with lmdbm."""

    def _pre_key(self, key: str) -> bytes:
        return key.encode()

    def _post_key(self, key: bytes) -> str:
        return key.decode()

    def _pre_value(self, value: int) -> bytes:
        return b"x" * value

    def _post_value(self, value: bytes) -> int:
        return len(value)


assert_type(Lengths("x")["k"], int)
assert_type(Lengths.open("x", "c"), Lengths)
