# SPDX-License-Identifier: MIT
"""Mistakes, and the words with which mypy tells each.  Checked for types, never run."""

import pylmdb

env = pylmdb.open("x")
txn = env.begin(write=True)
cursor = txn.cursor()

pylmdb.opne("x")  # error: Module has no attribute "opne"
print(pylmdb.MapFulError)  # error: Module has no attribute "MapFulError"
env.rename_db("a", b"b")  # error: incompatible type "str"
env.copy_db(b"a", b"b", "path")  # error: incompatible type "str"
pylmdb.open(on_slow_reader=3)  # error: incompatible type "int"
env.begin(wriet=True)  # error: Unexpected keyword argument
env.begin(timeout="soon")  # error: No overload variant
env.open_db("text")  # error: incompatible type "str"
print(env.stat().sizes)  # error: has no attribute "sizes"
env.stat()[0]  # error: Invalid index type "int"
env.stat()["entries"].decode()  # error: "int" has no attribute "decode"
env.flags()["sync"].lower()  # error: "bool" has no attribute "lower"
print(pylmdb.version().major)  # error: has no attribute "major"

txn.get("a")  # error: No overload variant of "get"
txn.view("a")  # error: No overload variant of "view"
txn.get_many(["a"])  # error: incompatible type "str"
txn.put(b"k")  # error: Missing positional argument
txn.put(b"a", "b")  # error: incompatible type "str"; expected "Buffer | _Array"
txn.put("a", b"b")  # error: incompatible type "str"; expected "Buffer | _Array"
txn.put(b"a", b"b", if_value="c")  # error: incompatible type "str"
txn.put(1, [])  # error: incompatible type "int"; expected "Buffer | _Array"
txn.put(b"a", None)  # error: incompatible type "None"; expected "Buffer | _Array"
txn.delete("a")  # error: incompatible type "str"
txn.pop("a")  # error: incompatible type "str"
txn.replace(b"a", 1)  # error: incompatible type "int"
txn.range(prefix="a")  # error: No overload variant of "range"
txn.count(prefix="a")  # error: incompatible type "str"
txn.delete_range("a")  # error: incompatible type "str"
txn.range(limit="3")  # error: No overload variant of "range"
txn.range(include_end=True)  # error: Unexpected keyword argument "include_end"
txn.floor("a")  # error: incompatible type "str"
txn.first()[0]  # error: Value of type "tuple[bytes, bytes] | None" is not indexable
"a" in txn  # error: Unsupported operand types for in
txn.has_many(["a"])  # error: incompatible type "str"
txn.has_many(b"key")  # error: incompatible type "bytes"
txn.has_many([1])  # error: incompatible type "int"
txn.get(b"a").decode()  # error: Item "None" of "bytes | None" has no attribute "decode"
txn.put_array("a", [1])  # error: incompatible type "str"
for key, _ in txn.range():
    key.encode()  # error: "bytes" has no attribute "encode"

cursor.put(b"a", "b")  # error: incompatible type "str"
cursor.set_key("a")  # error: incompatible type "str"
cursor.set_range_dup(b"a", "b")  # error: incompatible type "str"
cursor.putmulti([(b"a", "b")])  # error: incompatible type
cursor.getmulti([1])  # error: incompatible type "int"
for only_key in cursor.iternext(values=False):
    only_key[0].hex()  # error: "int" has no attribute "hex"
narrowed: pylmdb.Transaction = env.begin(buffers=True)  # error: Incompatible types in assignment

pylmdb.Transaction(env, wriet=True)  # error: No overload variant
views: pylmdb.Transaction[memoryview] = pylmdb.Transaction(env)  # error: Incompatible types in assignment
env.writer().call(lambda txn: txn.get("a"))  # error: No overload variant of "get"
env.writer().put(b"a", 1)  # error: incompatible type "int"

pylmdb.Map(env)["k"]  # error: Invalid index type
pylmdb.Map(env, key="str")[b"k"]  # error: Invalid index type "bytes"
pylmdb.Map(env, key="int", value="bytes")[1].encode()  # error: "bytes" has no attribute "encode"
pylmdb.Map(env, key="str", value="str")["k"] = b"v"  # error: Incompatible types in assignment
pylmdb.Map(env, key="str", value="str").update({"k": 1})  # error: incompatible type
pylmdb.Map(env) | 3  # error: Unsupported operand types for |
pylmdb.Map(env, key="str").floor(b"k")  # error: incompatible type "bytes"
pylmdb.Map(env, key=3)  # error: No overload variant
pylmdb.Map("x", redonly=True)  # error: No overload variant


async def coroutines(aenv: pylmdb.aio.AsyncEnvironment) -> None:
    await aenv.get("a")  # error: No overload variant of "get"
    await aenv.put(b"a", b"v", overwriet=True)  # error: Unexpected keyword argument
    await aenv.put(b"a", "b")  # error: incompatible type "str"
    (await aenv.get(b"a")).hex()  # error: Item "None" of "bytes | None" has no attribute "hex"
    aenv.get(b"a").hex()  # error: has no attribute "hex"
    await aenv.opne_db()  # error: has no attribute "opne_db"
    async with aenv.begin() as atxn:
        await atxn.get("a")  # error: No overload variant of "get"
        (await atxn.get(b"a")).hex()  # error: Item "None" of "bytes | None" has no attribute
        await atxn.gett(b"a")  # error: has no attribute "gett"
        for pair in atxn.range():  # error: has no attribute "__iter__"
            print(pair)
        async for pair in atxn.range():
            pair.hex()  # error: has no attribute "hex"


def samples(dataset: pylmdb.datasets.Dataset[str]) -> None:
    dataset[0].hex()  # error: "str" has no attribute "hex"
    dataset[:2].lower()  # error: has no attribute "lower"
    pylmdb.datasets.Loader(dataset, 4, collate=sum)  # error: incompatible type
    pylmdb.datasets.Loader(dataset)  # error: No overload variant
