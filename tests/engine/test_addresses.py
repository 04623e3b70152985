# SPDX-License-Identifier: MIT
"""Addresses of maps: no more is mapped than was asked for, and each map has room to grow."""

import pytest
from programs import finish, occupy, run, start

import pylmdb

MIB = 1 << 20
GIB = 1 << 30


@pytest.fixture(params=[False, True], ids=["plain", "writemap"])
def writemap(request):
    return request.param


@pytest.fixture
def occupied():
    """Return a function that maps memory directly after an environment's map."""
    ends = []
    yield lambda env: ends.append(occupy(env))
    for end in ends:
        end()


def fill(env, size):
    with env.begin(write=True) as txn:
        for i in range(size // 4000):
            txn.put(b"%08d" % i, b"v" * 3900)


MAPPED = """
def mapped(path):
    "The parts of the address space that the data file has: where, and how large."
    with open("/proc/self/maps") as file:
        parts = [line.split() for line in file if line.split()[5:] == [path + "/data.mdb"]]
    ends = [[int(end, 16) for end in part[0].split("-")] for part in parts]
    return [(start, end - start) for start, end in ends]
"""


@pytest.mark.parametrize(
    "given", ["map_size=3 << 20", "map_size=3 << 20, max_map_size=1 << 30", ""]
)
def test_no_more_is_mapped_than_is_asked_for(env_path, lib_version, given):
    """mlock, limits of addresses and monitors count only what was asked for."""
    run(
        MAPPED
        + f"""
env = pylmdb.open(path, lib_version=lib_version, {given})
size = {{"": 64 << 20, "map_size=3 << 20": 3 << 20}}.get({given!r}, 1 << 30)
assert [part[1] for part in mapped(path)] == [size], mapped(path)
other = pylmdb.open(path, max_map_size=1 << 31)
reader, where = env.begin(), mapped(path)[0][0]
with other.begin(write=True) as txn:
    txn.put(b"k", bytes(100 << 20))
(start, size), = mapped(path)
assert start == where and 100 << 20 < size <= 1 << 31
reader.abort(), other.close(), env.close()
assert not mapped(path)
""",
        env_path,
        lib_version,
    )


MANY = """
import resource
files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
if files < 8000:
    sys.exit(77)
resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
if limit:
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
os.mkdir(path)
options = {"subdir": False, "sync": False, "metasync": False}
envs = [pylmdb.open(f"{path}/{i}", lib_version=i % 2, **options) for i in range(2000)]
for env in envs:
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
        env.set_mapsize(100 << 20)  # in place, as the transaction is alive
    assert env.info().map_size >= 100 << 20
for env in envs[::1000]:
    with env.begin(write=True) as txn:
        txn.put(b"large", bytes(70 << 20))
private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
spare = mmap.mmap(-1, (limit or 1 << 45) // 2 - (1 << 30), flags=private, prot=mmap.PROT_READ)
for env in envs:
    with env.begin() as txn:
        assert txn.get(b"k") == b"v"
    env.close()
for i in range(2):
    with pylmdb.open(f"{path}/{i}", **options) as env, env.begin(write=True) as txn:
        txn.put(b"large", bytes(150 << 20))
"""


@pytest.mark.slow
@pytest.mark.parametrize("bits", [0, 39])
def test_two_thousand_environments_grow(env_path, core, bits):
    run(f"import mmap\nlimit = {bits and 1 << bits}\n" + MANY, env_path, 0, timeout=120)


def test_a_map_followed_by_another_mapping_moves_when_it_is_unused(open_env, occupied, writemap):
    env = open_env(sync=False, writemap=writemap)
    occupied(env)
    for i in range(8):  # each transaction finds room for it
        with env.begin(write=True) as txn:
            txn.put(b"%d" % i, bytes(20 * MIB))
    assert env.info().map_size > 160 * MIB
    with env.begin() as txn:
        assert all(txn.get(b"%d" % i) == bytes(20 * MIB) for i in range(8))


def test_a_map_followed_by_another_mapping_does_not_move_while_used(open_env, occupied):
    env = open_env(sync=False)
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v" * 100)
    occupied(env)
    with env.begin(buffers=True) as reader:
        view = reader.get(b"k")
        for i in range(2):
            with env.begin(write=True) as txn:
                txn.put(b"%d" % i, bytes(20 * MIB))
        with pytest.raises(pylmdb.MemoryError, match="addresses"), env.begin(write=True) as txn:
            txn.put(b"large", bytes(60 * MIB))
        assert view == b"v" * 100
        del view
    with env.begin(write=True) as txn:  # now it moves
        txn.put(b"large", bytes(60 * MIB))
    assert env.stat().entries == 4


def test_a_map_is_moved_for_what_another_process_has_written(open_env, occupied, env_path):
    env = open_env(sync=False)
    occupied(env)
    other = start(
        """
with pylmdb.open(path, sync=False) as env, env.begin(write=True) as txn:
    txn.put(b"large", bytes(100 << 20))
""",
        env_path,
        0,
    )
    finish(other)
    with env.begin() as txn:
        assert txn.get(b"large") == bytes(100 * MIB)
    with env.begin(write=True) as txn:
        txn.put(b"more", bytes(100 * MIB))


def test_few_addresses(env_path, lib_version):
    run(
        """
import mmap, resource
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
env = pylmdb.open(path, lib_version=lib_version, sync=False)
assert env.info().reserved == 64 << 20
other = pylmdb.open(path + "-other", lib_version=lib_version)
for i in range(12):
    with env.begin(write=True) as txn:
        txn.put(b"%d" % i, b"v" * (10 << 20))
assert len(mmap.mmap(-1, 1 << 30)) and env.stat().entries == 12
env.close()
env = pylmdb.open(path)
assert env.stat().entries == 12
""",
        env_path,
        lib_version,
    )


def test_no_addresses_to_spare(env_path, lib_version):
    """The map then has the least size.  It grows if addresses are free, and otherwise raises."""
    run(
        """
import resource
pylmdb.open(path, lib_version=lib_version).close()
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * 4096
limit = used + (48 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
env = pylmdb.open(path)
assert env.info().reserved < 64 << 20
written = 0
try:
    for written in range(1000):
        with env.begin(write=True) as txn:
            txn.put(b"%d" % written, b"v" * (1 << 20))
except (pylmdb.MapFullError, MemoryError):
    pass
assert 4 < written < 999
assert env.stat().entries == written
""",
        env_path,
        lib_version,
    )


def test_set_mapsize_is_refused_while_a_map_that_must_move_is_used(open_env, occupied):
    env = open_env()
    fill(env, MIB)
    occupied(env)
    size = GIB
    with env.begin(buffers=True) as txn:
        with pytest.raises(pylmdb.BusyError, match="a transaction is open"):
            env.set_mapsize(size)
        view = txn.get(b"00000001")
    with pytest.raises(pylmdb.BusyError, match="views"):
        env.set_mapsize(size)
    assert view == b"v" * 3900
    del view
    with env.begin(write=True) as txn:
        with pytest.raises(pylmdb.BusyError, match="write transaction"):
            env.set_mapsize(size)
        assert txn.put(b"k", b"v")
    env.set_mapsize(size)
    assert env.info().map_size == size <= env.info().reserved
    fill(env, 2 * MIB)
