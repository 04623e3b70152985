# SPDX-License-Identifier: MIT
"""Backups that are damaged or hostile: each is refused, or restored right."""

import io
import random
import struct
from hashlib import sha256

import pytest

import pylmdb
from pylmdb._environment import zstd

COMPRESSIONS = [None, "zstd"] if any(zstd.modules()) else [None]
EXTREMES = [0, 1, 2, 255, 2**16 - 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1]
HEADER, BLOCK, END = 104, 24, 64


def make_chain(env, compression):
    """Return the bytes of a full backup and an increment."""
    found = []
    for i in range(2):
        with env.begin(write=True) as txn:
            for k in range(20):
                txn.put(b"%d" % (k * (i + 1)), b"%d" % i * 300)
        since = io.BytesIO(found[0]) if i else None
        file = io.BytesIO()
        env.backup(file, since=since, compression=compression)
        found.append(file.getvalue())
    return found


def resealed(data):
    """Give a changed file the hash that fits, if its blocks can be followed."""
    whole, at = sha256(data[:HEADER]), HEADER
    while data[at : at + 4] == b"PAGE" and at + BLOCK <= len(data):
        count, _, _, size = struct.unpack_from("<IIIQ", data, at + 4)
        whole.update(data[at : at + BLOCK + 25 * count])
        at += BLOCK + 25 * count + size
    whole.update(data[at : at + 32])
    return data[: at + 32] + whole.digest() if at + END <= len(data) else data


def contents(path):
    with pylmdb.open(path, subdir=False, readonly=True, lock=False) as env, env.begin() as txn:
        return dict(txn.cursor())


def restore(files, path):
    """Restore; return what was, or None if it was refused, which must leave nothing."""
    before = sorted(path.parent.iterdir())
    try:
        pylmdb.restore([io.BytesIO(each) for each in files], path, subdir=False)
    except pylmdb.Error as problem:
        refusal = str(problem)
    else:
        return path
    assert refusal.startswith("restore: ")
    assert sorted(path.parent.iterdir()) == before
    return None


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_backup_that_was_cut(env, tmp_path, compression):
    full, increment = make_chain(env, compression)
    for length in [*range(0, len(full), max(len(full) // 30, 1)), len(full) - 1]:
        with pytest.raises((pylmdb.CorruptedError, pylmdb.InvalidError)):
            pylmdb.backup_info(io.BytesIO(full[:length]))
        assert restore([full[:length], increment], tmp_path / "new") is None
    with pytest.raises(pylmdb.CorruptedError, match="bytes after its end"):
        pylmdb.backup_info(io.BytesIO(full + b"\0"))
    assert restore([full, increment[:-1]], tmp_path / "new") is None


def check_flipped_bits(env, folder, compression, count):
    files, chance = make_chain(env, compression), random.Random(3)
    expected = contents(restore(files, folder / "right"))
    for number in range(count):
        which = number % 2
        data = bytearray(files[which])
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        given = [*files]
        given[which] = bytes(data)
        found = restore(given, folder / f"{number}")
        # bytes of a compressed block may mean the same
        assert found is None or (compression and contents(found) == expected), number


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_some_flipped_bits(env, tmp_path, compression):
    check_flipped_bits(env, tmp_path, compression, 80)


@pytest.mark.slow
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_many_flipped_bits(env, tmp_path, compression):
    check_flipped_bits(env, tmp_path, compression, 10_000)


@pytest.mark.slow
@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("page_size", [512, 65536])
def test_many_flipped_bits_in_pages_of_other_sizes(tmp_path, page_size, compression):
    with pylmdb.open(tmp_path / "env", lib_version=1, page_size=page_size) as env:
        check_flipped_bits(env, tmp_path, compression, 3000)


def mutant(chance, data):
    """Change fields of the header, of a block or of the end, and make the hash fit."""
    data = bytearray(data)
    blocks, at = [], HEADER
    while data[at : at + 4] == b"PAGE":
        count, _, _, size = struct.unpack_from("<IIIQ", data, at + 4)
        blocks.append((at, count))
        at += BLOCK + 25 * count + size
    for _ in range(chance.randrange(1, 3)):
        start, count = chance.choice(blocks)
        place, form = chance.choice(
            [(8, "H"), (10, "H"), (12, "I"), (16, "B"), (17, "B"), (18, "B"), (24, "Q"), (32, "Q"),
             (40, "Q"), (48, "Q"), (start + 4, "I"), (start + 8, "I"), (start + 12, "I"),
             (start + 16, "Q"), (start + 24 + 8 * chance.randrange(count), "Q"),
             (start + 24 + 24 * count + chance.randrange(count), "B"), (at, "I"),
             (at + 8, "Q"), (at + 16, "Q"), (at + 24, "Q")]
        )  # fmt: skip
        size = struct.calcsize(form)
        value = chance.choice(EXTREMES) & (2 ** (8 * size) - 1)
        if chance.random() < 0.4:
            value = (struct.unpack_from("<" + form, data, place)[0] + chance.choice([-1, 1])) & (
                2 ** (8 * size) - 1
            )
        struct.pack_into("<" + form, data, place, value)
    return resealed(bytes(data))


def check_mutants(env, folder, count):
    files, chance = make_chain(env, None), random.Random(5)
    refused = 0
    for number in range(count):
        given, which = [*files], number % 2
        given[which] = mutant(chance, files[which])
        if given[0] != files[0]:  # the increment continues the mutant
            given[1] = resealed(given[1][:72] + given[0][-32:] + given[1][104:])
        path = restore(given, folder / str(number))
        refused += path is None
        if path is not None:
            assert path.stat().st_size <= 1 << 30
            pylmdb.verify(path, subdir=False)
            path.unlink()
    assert refused > count // 2


def test_some_mutants_whose_hash_fits(env, tmp_path):
    check_mutants(env, tmp_path, 80)


@pytest.mark.slow
def test_many_mutants_whose_hash_fits(env, tmp_path):
    check_mutants(env, tmp_path, 5000)


def test_an_increment_that_needs_other_pages(env, tmp_path):
    """It says that a page has not changed, and another one is in the backup before it."""
    full, increment = make_chain(env, None)
    data = bytearray(increment)
    count, stored = struct.unpack_from("<II", data, HEADER + 4)
    kept = HEADER + BLOCK + 24 * count
    at = data.index(1, kept, kept + count)
    assert data[kept:].startswith(b"\1\1")  # the meta pages
    page = struct.unpack_from("<I", data, 12)[0]
    data[at] = 0
    struct.pack_into("<I", data, HEADER + 8, stored - 1)
    struct.pack_into("<Q", data, HEADER + 16, (stored - 1) * page)
    del data[kept + count : kept + count + page]
    stored_at = len(data) - END + 16
    struct.pack_into("<QQ", data, stored_at, stored - 1, len(data))
    new = resealed(bytes(data))
    assert not pylmdb.backup_info(io.BytesIO(new)).is_full
    with pytest.raises(pylmdb.CorruptedError, match="needs another page 0"):
        pylmdb.restore([io.BytesIO(full), io.BytesIO(new)], tmp_path / "new")


@pytest.mark.skipif(len(COMPRESSIONS) < 2, reason="needs zstd")
def test_a_block_that_grows(env, tmp_path):
    """A compressed block says in itself that it has 16 MiB."""
    with env.begin(write=True) as txn:
        txn.put(b"random", random.Random(1).randbytes(3000))
    full, _ = make_chain(env, "zstd")
    own, package = zstd.modules()
    bomb = (own or package.ZstdCompressor()).compress(bytes(1 << 24))
    data = bytearray(full)
    count, _, codec, length = struct.unpack_from("<IIIQ", data, HEADER + 4)
    assert codec == 1
    assert len(bomb) < length
    at = HEADER + BLOCK + 25 * count
    struct.pack_into("<Q", data, HEADER + 16, len(bomb))
    data[at : at + length] = bomb
    struct.pack_into("<Q", data, len(data) - END + 24, len(data))
    with pytest.raises(pylmdb.CorruptedError, match=r"another size|cannot be read"):
        pylmdb.restore(io.BytesIO(resealed(bytes(data))), tmp_path / "new")


def test_another_machine(env, tmp_path):
    full, _ = make_chain(env, None)
    for place in (16, 17):
        data = bytearray(full)
        data[place] ^= 1 if place == 16 else 12
        with pytest.raises(pylmdb.InvalidError, match="another byte order or word size"):
            pylmdb.restore(io.BytesIO(resealed(bytes(data))), tmp_path / "new")
    data[8] = 2
    with pytest.raises(pylmdb.VersionMismatchError, match="version 2, and this pylmdb reads"):
        pylmdb.backup_info(io.BytesIO(resealed(bytes(data))))
