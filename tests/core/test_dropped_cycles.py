# SPDX-License-Identifier: MIT
"""Objects that are dropped in a cycle.

The garbage collector calls the finalizers of all of them first, in any order, here that of their
age.  So what one of them owns must be there until the last finalizer has been called, also of an
environment that is closed.  The sanitizers see memory that is used later.
"""

import gc
import re
import sys
import weakref

import pytest
from programs import finish, start_python
from project import ROOT

import pylmdb
from pylmdb import _engine, lowlevel
from pylmdb._base import owners

pytestmark = pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="other Pythons order their finalizers"
)


@pytest.fixture(autouse=True)
def no_other_collection():
    gc.disable()
    yield
    gc.enable()


class Late:
    """An object in a cycle whose finalizer looks at what was released."""

    def __init__(self, owned, released, seen):
        self.owned, self.released, self.seen = owned, released, seen
        self.cycle = self

    def __del__(self):
        self.seen.append(list(self.released))


def release_alone(ffi, native, release):
    return ffi.gc(native, release)


@pytest.mark.parametrize(("own", "before"), [(owners.owned, []), (release_alone, [7])])
def test_what_is_released_when_a_finalizer_is_called(own, before):
    """cffi alone releases it too early."""
    ffi, released, seen = _engine.default().ffi, [], []
    native = ffi.new("int *", 7)
    Late(own(ffi, native, lambda native: released.append(native[0])), released, seen)
    gc.collect()
    assert seen == [before]
    assert released == [7]


def test_nothing_is_left_in_the_table():
    ffi, count = _engine.default().ffi, len(owners._owned)
    pointer = owners.owned(ffi, ffi.new("int *"), lambda native: None)
    assert len(owners._owned) == count + 1
    del pointer
    assert len(owners._owned) == count


def test_what_is_inside_another_is_released_first():
    ffi, released = _engine.default().ffi, []
    outer = owners.owned(ffi, ffi.new("int *", 1), lambda native: released.append(native[0]))
    inner = owners.owned(ffi, ffi.new("int *", 2), lambda native: released.append(native[0]), outer)
    del outer
    assert released == []
    del inner
    assert released == [2, 1]


def test_nothing_is_released_early_when_the_interpreter_exits(env_path, lib_version):
    """In a Python of its own, because a forked one does not drop all modules.

    Only with the C core they are dropped together with the object."""
    program = """
import os, sys
from pylmdb import _engine
from pylmdb._base import owners
released = []
class Late:
    def __init__(self, *owned):
        self.cycle, self.owned, self.released = self, owned, released
    def __del__(self, write=os.write):
        write(1, b"early" if self.released else b"in time")
ffi = _engine.default().ffi
sys.hidden = Late(owners.owned(ffi, ffi.new("int *"), released.append))
del owners, _engine, ffi, released, Late
"""
    process = start_python(program, env_path, lib_version)
    assert finish(process) == "in time"


def test_nothing_else_calls_it():
    calls = {
        path.name
        for path in (ROOT / "src/pylmdb").rglob("*.py")
        if re.search(r"\.gc\(|new_allocator\(", path.read_text())
    }
    assert calls == {"owners.py"}


# -- what a generator may hold ----------------------------------------------------------------


def reading(env, db):
    with env.begin(db) as txn:
        yield txn.get(b"k")


def writing(env, db):
    with env.begin(db, write=True) as txn:
        txn.put(b"new", b"")
        yield


def nested(env, db):
    with env.begin(db, write=True) as txn, env.begin(db, parent=txn, write=True) as child:
        child.put(b"new", b"")
        yield


def viewing(env, db):
    with env.begin(db, buffers=True) as txn:
        view = txn.get(b"k")
        try:
            yield
        finally:
            assert bytes(view) == b"v" * 5000


def iterating(env, db):
    with env.begin(db) as txn, txn.cursor() as cursor:
        yield from cursor


def ranging(env, db):
    with env.begin(db) as txn:
        yield from txn.range(b"a")


def creating(env, db):
    with env.begin(write=True) as txn:
        other = env.open_db(b"other", txn)
        txn.put(b"k", b"v", db=other)
        yield


def dropping(env, db):
    with env.begin(write=True) as txn:
        txn.drop(db)
        yield


def holding(env, db):
    with env.begin(db) as txn, lowlevel.hold(txn):
        yield


def reserving(env, db):
    with env.begin(db, write=True) as txn, txn.reserve(b"new", 100) as memory:
        try:
            yield
        finally:
            memory[:] = bytes(100)


USES = [
    reading,
    writing,
    nested,
    viewing,
    iterating,
    ranging,
    creating,
    dropping,
    holding,
    reserving,
]


class Careless(pylmdb.Environment):
    def __del__(self):
        """Leave it open."""


def test_an_environment_that_its_finalizer_does_not_close(env_path, lib_version, monkeypatch):
    """Its transaction ends when the collector has cleared it."""
    lost = []
    monkeypatch.setattr(sys, "unraisablehook", lambda seen: lost.append(seen.exc_value))
    env = Careless(env_path, lib_version=lib_version)
    env.txn = env.begin(write=True)
    env.txn.put(b"new", b"")
    del env
    with pytest.warns(ResourceWarning, match=re.escape(str(env_path))):
        gc.collect()
    assert not lost
    with pylmdb.open(env_path) as env, env.begin(write=True, timeout=0) as txn:
        assert txn.get(b"new") is None


@pytest.mark.filterwarnings("ignore:a write transaction of", "ignore::ResourceWarning")
@pytest.mark.parametrize("is_closed", [False, True], ids=["open", "closed"])
@pytest.mark.parametrize("use", USES)
def test_a_generator_that_waits_in_a_block(
    env_path, core, lib_version, monkeypatch, use, is_closed
):
    """The environment is older than the generator, so its finalizers come first."""
    lost = []
    monkeypatch.setattr(sys, "unraisablehook", lambda seen: lost.append(seen.exc_value))
    options = {"max_dbs": 5, "lib_version": lib_version}
    env = pylmdb.open(env_path, **options)
    db = env.open_db(b"db")
    with env.begin(db, write=True) as txn:
        txn.put(b"k", b"v" * 5000)
    shared = weakref.ref(env._shared)
    generator = use(env, db)
    next(generator)
    if is_closed:
        env.close()
    cycle = [env, db, generator]
    cycle.append(cycle)
    del env, db, generator, txn, cycle
    gc.collect()
    gc.collect()  # the registry had the native environment until then
    assert not lost
    assert shared() is None
    with pylmdb.open(env_path, **options) as env, env.begin(write=True, timeout=0) as txn:
        assert txn.get(b"k", db=env.open_db(b"db", txn)) == b"v" * 5000
        assert txn.get(b"new", db=env.open_db(b"db", txn)) is None
