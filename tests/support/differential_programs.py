# SPDX-License-Identifier: MIT
"""Make random programs for ``differential.py``: mostly sensible, partly hostile."""

from __future__ import annotations

import struct
from random import Random
from typing import Any, NamedTuple

from open_options import at_random, of_a_new_file, of_an_open

FUNCTIONS = ("take", "iter_from", "leave", "dump", "reopen")


class Step(NamedTuple):
    """``result = target.method(args)``, or ``result = method(target, args)``."""

    result: str
    target: str
    method: str
    args: str = ""

    def call(self) -> str:
        if self.method in FUNCTIONS:
            return f"{self.method}({', '.join(filter(None, [self.target, self.args]))})"
        return f"{self.target}.{self.method}({self.args})"

    def text(self) -> str:
        if self.method == "del":
            return f"del {self.target}"
        return f"{self.result} = {self.call()}" if self.result else self.call()


class About(NamedTuple):
    """The value of a variable of a program."""

    sort: str  # env, db, txn, cursor, iterator
    kind: str = "plain"  # of the database that it works on
    owner: str = ""  # the transaction of a cursor, the cursor of an iterator
    write: bool = False


class Program(NamedTuple):
    seed: int
    options: dict[str, Any]
    steps: list[Step]
    about: dict[str, About]


# Databases by kind.  All names of a kind begin with it.
FLAGS = {
    "plain": "",
    "dup": "dupsort=True",
    "dupfixed": "dupsort=True, dupfixed=True",
    "dupint": "dupsort=True, dupfixed=True, integerdup=True",
    "intkey": "integerkey=True",
    "short_intkey": "integerkey=True",
    "reverse": "reverse_key=True",
    "reverse_dup": "reverse_key=True, dupsort=True",
    "intkey_dup": "integerkey=True, dupsort=True",
}

WORDS = [bytes([letter]) * n for letter in b"abcdef" for n in (1, 2, 3)]
WORDS += [b"a\0", b"\xff", b"a\xff"]
ODD = ["b''", "'text'", "5", "[b'a']", "b'x' * 511", "b'x' * 512", "b'x' * 1978",
       "b'x' * 1979", "b'x' * 3000"]  # fmt: skip
BUFFERS = ["bytearray({0})", "memoryview({0})", "memoryview({0} + b'..')[:{1}]",
           "numpy.frombuffer({0}, 'u1')", "array('B', {0})"]  # fmt: skip
MOVES = ["first", "last", "next", "prev", "first_dup", "last_dup", "next_dup", "prev_dup",
         "next_nodup", "prev_nodup"]  # fmt: skip
ITERATORS = ["iternext", "iterprev", "iternext_dup", "iterprev_dup", "iternext_nodup",
             "iterprev_nodup"]  # fmt: skip


class Maker:
    """A program that is being made.  It keeps a rough record of what is open."""

    def __init__(self, rng: Random, seed: int) -> None:
        self.rng, self.seed = rng, seed
        self.steps: list[Step] = []
        self.about: dict[str, About] = {}
        self.ended: set[str] = set()
        self.counter = 0
        self.hostile = rng.random() < 0.3
        self.big = rng.random() < 0.2
        self.new_file = of_a_new_file(at_random(rng), rng.randrange(2))
        if self.hostile:  # the limits of keys and values depend on these
            self.new_file.update(page_size=None, checksums=False)
        self.limits = self.make_limits()
        self.options = self.make_options()
        # whether its size may have been reached in steps, one of which the file has recorded
        self.has_steps = False

    def make_limits(self) -> dict[str, Any]:
        rng = self.rng
        limits = {"max_dbs": 12, "map_size": rng.choice([10 << 20] * 8 + [1 << 16, 1 << 17])}
        if rng.random() < 0.05:
            limits["max_readers"] = rng.choice([1, 2, 3])
        if rng.random() < 0.05:
            limits["max_dbs"] = rng.choice([1, 2])
        return limits

    def make_options(self) -> dict[str, Any]:
        return {**of_an_open(at_random(self.rng), self.new_file), **self.limits}

    # -- variables and arguments -----------------------------------------------------

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def pick(self, sort: str, write: bool | None = None) -> str | None:
        """Choose a variable, mostly one with an object that can still be used."""
        names = [
            name
            for name, what in self.about.items()
            if what.sort == sort and (write is None or what.write == write)
        ]
        usable = [name for name in names if not self.is_ended(name)]
        if usable and not self.chance(0.05):
            return self.rng.choice(usable[-6:])
        return self.rng.choice(names) if names else None

    def is_ended(self, name: str) -> bool:
        return bool(name) and (name in self.ended or self.is_ended(self.about[name].owner))

    def add(self, target: str, method: str, *args: str, result: About | None = None) -> str:
        name = ""
        if result is not None:
            self.counter += 1
            name = f"{result.sort}{self.counter}"
            self.about[name] = result
        self.steps.append(Step(name, target, method, ", ".join(filter(None, args))))
        return name

    def key(self, kind: str) -> str:
        rng = self.rng
        if kind.startswith("intkey"):
            number = rng.choice([255, 256, 2**32, 2**63, *range(20)])
            return repr(struct.pack("@Q", number))
        if kind.startswith("short_intkey"):
            return repr(struct.pack("@I", rng.choice([0, 1, 2, 255, 256, 2**31, *range(20)])))
        if self.hostile and self.chance(0.15):
            return rng.choice(ODD)
        if self.chance(0.2):
            return repr(b"k%04d" % rng.randrange(400))
        return self.dressed(rng.choice(WORDS))

    def value(self, kind: str) -> str:
        rng = self.rng
        if kind == "dupfixed":
            return self.dressed(b"%03d" % rng.randrange(30))
        if kind == "dupint":
            return self.dressed(struct.pack("@Q", rng.randrange(30) << rng.choice([0, 8, 40])))
        if self.hostile and self.chance(0.15):
            return rng.choice(ODD)
        if "dup" in kind:
            return self.dressed(rng.choice([b"1", b"2", b"3", b"22", b"v" * 30, b"w" * 200]))
        if self.big and self.chance(0.5):
            return f"{rng.choice([b'L', b'M'])!r} * {rng.choice([700, 2100, 4096, 9000, 40000])}"
        return self.dressed(b"%d" % rng.randrange(100) * rng.choice([0, 1, 1, 1, 40]))

    def good_value(self, kind: str) -> str:
        """For replace(): py-lmdb deletes the old duplicates before it refuses the new one."""
        value = self.value(kind)
        return "b'new'" if "dup" in kind and value in ODD else value

    def dressed(self, word: bytes) -> str:
        """Return ``word`` as bytes or as another object with the same buffer."""
        if word and self.chance(0.08):
            return self.rng.choice(BUFFERS).format(repr(word), len(word))
        return repr(word)

    def flag(self, name: str, probability: float, value: str | None = None) -> str:
        return f"{name}={value or self.rng.random() < 0.5}" if self.chance(probability) else ""

    def database(self, probability: float) -> tuple[str, str | None]:
        """Return an argument ``db=`` and the kind of database that it names."""
        name = self.pick("db") if self.chance(probability) else None
        if self.hostile and probability >= 0.5 and self.chance(0.03):
            return self.rng.choice(["db='text'", "db=5", "db=b'plain'", "db=e"]), "plain"
        return (f"db={name}", self.about[name].kind) if name else ("", None)

    def target(self, txn: str) -> tuple[str, str]:
        db, kind = self.database(0.5)
        return db, kind or self.about[txn].kind

    # -- steps on environments -------------------------------------------------------

    def open_db(self) -> None:
        rng = self.rng
        kind = rng.choice(list(FLAGS))
        txn = self.pick("txn", write=True) or self.pick("txn")
        if self.chance(0.05):
            self.add("e", "open_db", result=About("db", "plain"))
            return
        arg = f"txn={txn}" if txn and (not self.is_ended(txn) or self.chance(0.1)) else ""
        flags = [FLAGS[kind]] if self.chance(0.85) else ["create=False"]
        name = f"b'{kind}{rng.choice(['', '', '2'])}'"
        self.add("e", "open_db", name, arg, *flags, result=About("db", kind))

    def environment(self) -> None:
        rng = self.rng
        method = rng.choice(
            [
                "stat",
                "info",
                "dbs",
                "flags",
                "max_key_size",
                "max_readers",
                "dump",
                "reader_check",
                "sync",
                "set_mapsize",
                "path_is_text",
                "lib_version",
            ]
        )
        if method in ("dbs", "dump") and self.options["max_dbs"] < 12:
            return  # theirs does not list what it has no room to open
        if method == "max_key_size" and not self.hostile:
            return  # it depends on the page size, and on checksums
        if method == "dbs" and self.chance(0.6):
            txn = self.pick("txn")
            self.add("e", "dbs", txn or "")
        elif method == "set_mapsize":
            size = rng.choice([1 << 20, 4 << 20, 20 << 20, 0])
            if size or not self.has_steps:
                self.add("e", method, str(size))
        elif method == "sync":
            self.add("e", method, rng.choice(["", "True"]))
        elif method == "dump" or method != "path_is_text":
            self.add("e", method)

    def begin(self) -> None:
        write = self.chance(0.7)
        parent = self.pick("txn", write=True) if self.chance(0.35) else None
        db, kind = self.database(0.25)
        about = About("txn", kind or "plain", parent or "", write)
        self.add(
            "e", "begin", db, f"parent={parent}" if parent else "", "write=True" if write else "",
            self.flag("buffers", 0.2, "True"), result=about,
        )  # fmt: skip

    def end(self) -> None:
        txn = self.pick("txn")
        if txn is None:
            return
        method = self.rng.choice(["commit", "commit", "abort", "leave", "leave", "del"])
        self.add(txn, method, str(self.chance(0.3)) if method == "leave" else "")
        self.ended.add(txn)

    def reopen(self) -> None:
        if self.chance(0.6):
            return
        if self.chance(0.3):
            self.add("e", "close")
            return
        options = {**self.make_options(), "readonly": self.chance(0.1)}
        self.has_steps |= self.options.get("writemap", False)
        self.steps.append(Step("e", "e", "reopen", repr(options)))
        self.ended |= set(self.about)

    # -- steps on transactions --------------------------------------------------------

    def transaction(self) -> None:
        txn = self.pick("txn", write=True if self.chance(0.7) else None)
        if txn is None:
            return
        db, kind = self.target(txn)
        method = self.rng.choice(
            [
                "get",
                "get",
                "put",
                "put",
                "put",
                "put",
                "delete",
                "pop",
                "replace",
                "stat",
                "id",
                "drop",
                "cursor",
                "cursor",
                "misuse",
            ]
        )
        if method == "get":
            self.add(txn, "get", self.key(kind), self.flag("default", 0.2, "b'none'"), db)
        elif method == "put":
            self.add(txn, "put", self.key(kind), self.value(kind), *self.put_flags(), db)
        elif method == "delete":
            value = self.value(kind) if "dup" in kind and self.chance(0.5) else ""
            value = "b''" if value and self.chance(0.1) else value
            self.add(txn, "delete", self.key(kind), value, db)
        elif method == "pop":
            self.add(txn, "pop", self.key(kind), db)
        elif method == "replace":
            self.add(txn, "replace", self.key(kind), self.good_value(kind), db)
        elif method == "stat":
            self.add(txn, "stat", db)
        elif method == "id":
            self.add(txn, "id")
        elif method == "drop" and self.chance(0.3):
            name = self.pick("db") or "None"
            self.add(txn, "drop", name, self.rng.choice(["", "delete=False", "True", "False"]))
        elif method == "cursor":
            self.add(txn, "cursor", db, result=About("cursor", kind, txn))
        elif method == "misuse" and self.hostile:
            call = self.rng.choice(
                [
                    ("get", ""),
                    ("get", "b'a', nope=1"),
                    ("put", "b'a', b'b', 1, 1, 1, 1"),
                    ("stat", "nope=1"),
                    ("delete", "5"),
                    ("cursor", "'text'"),
                    ("drop", "None"),
                    ("stat", "5"),
                    ("commit", "1"),
                ]
            )
            self.add(txn, *call)

    def put_flags(self) -> list[str]:
        return [self.flag("dupdata", 0.15), self.flag("overwrite", 0.15),
                self.flag("append", 0.1)]  # fmt: skip

    # -- steps on cursors -----------------------------------------------------------------

    def cursor(self) -> None:
        cursor = self.pick("cursor")
        if cursor is None:
            return
        kind = self.about[cursor].kind
        choice = self.rng.random()
        if choice < 0.3:
            self.add(cursor, self.rng.choice(MOVES))
        elif choice < 0.45:
            self.seek(cursor, kind)
        elif choice < 0.6:
            self.add(cursor, self.rng.choice(["key", "value", "item", "item", "item", "count"]))
        elif choice < 0.78:
            self.cursor_write(cursor, kind)
        elif choice < 0.84:
            self.getmulti(cursor, kind)
        elif choice < 0.98:
            self.iterator(cursor, kind)
        else:
            self.add(cursor, self.rng.choice(["close", "__enter__", "del"]))

    def seek(self, cursor: str, kind: str) -> None:
        method = self.rng.choice(["set_key", "set_range", "set_key_dup", "set_range_dup", "get"])
        value = self.value(kind) if method.endswith("_dup") else ""
        self.add(cursor, method, self.key(kind), value)

    def cursor_write(self, cursor: str, kind: str) -> None:
        key, value = self.key(kind), self.value(kind)
        method = self.rng.choice(["put", "put", "delete", "delete", "pop", "replace", "putmulti"])
        if method == "delete":
            self.add(cursor, method, self.flag("dupdata", 0.3))
        elif method == "pop":
            self.add(cursor, method, key)
        elif method == "replace":
            self.add(cursor, method, key, self.good_value(kind))
        elif method == "put":
            self.add(cursor, method, key, value, *self.put_flags())
        else:
            self.add(cursor, method, self.items(kind), *self.put_flags())

    def items(self, kind: str) -> str:
        """Make the arguments of putmulti."""
        if self.chance(0.4):
            some = [f"({self.key(kind)}, {self.value(kind)})" for _ in range(self.rng.randrange(5))]
            return f"[{', '.join(some)}]"
        if self.hostile and self.chance(0.2) and "int" not in kind and kind != "dupfixed":
            return self.rng.choice(
                [
                    "None",
                    "5",
                    "[b'a']",
                    "[(b'a',)]",
                    "[[b'a', b'b']]",
                    "b'ab'",
                    "[(b'a', b'b', b'c')]",
                    "[(b'b', b'b'), (b'c', 'text')]",
                ]
            )
        count = self.rng.choice([3, 30, 300])
        value = {"dupfixed": "b'%03d' % i", "dupint": "b'%08d' % i"}.get(kind, "b'v' * (i % 90)")
        key = {"intkey": "i.to_bytes(8, 'little')", "intkey_dup": "i.to_bytes(8, 'little')",
               "short_intkey": "i.to_bytes(4, 'little')"}.get(kind, "b'k%04d' % i")  # fmt: skip
        if "dup" in kind and self.chance(0.5):
            one, value = self.key(kind), value if "v" not in value else "b'%04d' % i"
            return f"[({one}, {value}) for i in range({count})]"
        return f"[({key}, {value}) for i in range({count})]"

    def getmulti(self, cursor: str, kind: str) -> None:
        # Without duplicates dupdata=True gives one record a key; theirs gives all from there on.
        keys = [self.key(kind) for _ in range(self.rng.randrange(4))]
        width = {"dupfixed": "dupfixed_bytes=3", "dupint": "dupfixed_bytes=8"}.get(kind, "")
        dupdata = self.flag("dupdata", 0.6) if "dup" in kind else ""
        args = [dupdata, width if self.chance(0.6) else "",
                self.flag("keyfixed", 0.2), self.flag("values", 0.2)]  # fmt: skip
        if self.hostile and self.chance(0.1):
            args[1] = f"dupfixed_bytes={self.rng.choice(['0', '-1', repr('x')])}"
        self.add(cursor, "getmulti", f"[{', '.join(keys)}]", *args)

    def iterator(self, cursor: str, kind: str) -> None:
        iterator = self.pick("iterator") if self.chance(0.5) else None
        if iterator is None:
            about = About("iterator", kind, cursor)
            args = [self.flag("keys", 0.25), self.flag("values", 0.25)]
            if self.chance(0.1):
                key = self.key(kind)
                if "numpy" not in key and key != "b''":
                    self.add(cursor, "iter_from", key, str(self.chance(0.5)), "3")
                return
            iterator = self.add(cursor, self.rng.choice(ITERATORS), *args, result=about)
        self.add(iterator, "take", str(self.rng.choice([1, 1, 2, 5, 1000])))

    # -- a whole program ----------------------------------------------------------------------

    def make(self) -> Program:
        kinds = self.rng.sample(list(FLAGS), self.rng.randrange(1, 4))
        for kind in kinds:
            self.add("e", "open_db", f"b'{kind}'", FLAGS[kind], result=About("db", kind))
        about = [About("cursor", self.about[name].kind, "txn0") for name in list(self.about)]
        databases = list(self.about)
        self.about["txn0"] = About("txn", "plain", "", True)
        self.steps.append(Step("txn0", "e", "begin", "write=True"))
        for name, each in zip(databases, about, strict=True):
            cursor = self.add("txn0", "cursor", f"db={name}", result=each)
            if self.chance(0.6):
                self.add(cursor, "putmulti", self.items(each.kind))
        parts = [self.open_db, self.environment, self.begin, self.end, self.reopen,
                 self.transaction, self.cursor]  # fmt: skip
        for _ in range(self.rng.choice([10, 30, 60])):
            self.rng.choices(parts, [4, 4, 7, 5, 1, 30, 50])[0]()
        self.steps.append(Step("e", "e", "reopen", repr(self.options)))
        if self.options["max_dbs"] >= 12:
            self.steps.append(Step("", "e", "dump"))
        return Program(self.seed, self.options, self.steps, self.about)


def make_program(rng: Random, seed: int) -> Program:
    return Maker(rng, seed).make()
