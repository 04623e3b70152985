# SPDX-License-Identifier: MIT
"""Merging damaged files, files that are truncated meanwhile, and merges that do not finish."""

import os
import struct

import mutants
import pytest
from data_files import RECORD, File
from merged import content, make

import pylmdb
from pylmdb._base.progress import Reporter
from pylmdb.tools.destination import Destination, NewFile
from pylmdb.tools.merging import DatabaseSource, Merging, _databases

PAGE = mutants.PAGE


def test_a_source_is_truncated_before_a_value_is_copied(tmp_path, versions, monkeypatch):
    """One engine reads the map of another."""
    monkeypatch.setattr("pylmdb.tools.merging._STEP", 1)
    source = make(tmp_path / "a", versions[0], [(b"1", b"1"), (b"2", b"M" * 50_000)])
    data = (source / "data.mdb").read_bytes()
    place = data.index(b"M" * 50_000) & -PAGE
    # The leaf is before that and stays: with sanitizers, comparing keys is not guarded.
    assert place >= 3 * PAGE

    def cut(done, total):
        if done == 1:
            os.truncate(source / "data.mdb", place + PAGE)

    with pytest.raises(pylmdb.CorruptedError):
        pylmdb.merge([source], tmp_path / "b", lib_version=versions[1], progress=cut)
    assert not (tmp_path / "b").exists()


def test_a_source_is_truncated_after_its_last_record(tmp_path, versions, monkeypatch):
    """The last record of the source is still compared with those of the others."""
    monkeypatch.setattr("pylmdb.tools.merging._STEP", 1)
    name, numbers = b"numbers", [struct.pack("=Q", i) for i in range(2)]
    sources = [
        make(tmp_path / text, versions[0], [(numbers[0], text.encode())], name, integerkey=True)
        for text in "ab"
    ]
    dest = make(tmp_path / "c", versions[1], [(numbers[1], b"c")], name, integerkey=True)

    def cut(done, total):
        if done == 1:
            os.truncate(sources[1] / "data.mdb", 2 * PAGE)

    with pytest.raises(pylmdb.CorruptedError):
        pylmdb.merge(sources, dest, "last", progress=cut)
    assert content(dest, name) == [(numbers[1], b"c")]


def test_nothing_can_be_committed_after_an_error(tmp_path, versions):
    version, version_to = versions
    # so many that pages are being built
    many = [(b"1%03d" % i, b"1" * 100) for i in range(200)]
    one = make(tmp_path / "a", version, [*many, (b"2", b"a")])
    other = make(tmp_path / "b", version, [(b"2", b"b")])
    dest = make(tmp_path / "c", version_to, [(b"0", b"c")])
    with (
        pylmdb.open(one) as first,
        pylmdb.open(other) as second,
        first.begin() as reader,
        second.begin() as another,
        Destination(dest, True, NewFile()) as target,
    ):
        members = _databases("merge", [first, second], [reader, another], None)[None]
        target.open()
        with DatabaseSource(*members[0]) as a, DatabaseSource(*members[1]) as b:
            merging = Merging("merge", target, None, 0, "error", [a, b])
            with pytest.raises(pylmdb.KeyExistsError):
                merging.run(Reporter(None, 3, ""))
        with pytest.raises(pylmdb.BadTxnError):
            target.txn.commit()
    assert content(dest) == [(b"0", b"c")]
    assert pylmdb.verify(dest).ok


def page(file, number, kind, nodes):
    """Return a page with these nodes."""
    at, data, end, places = file.at, bytearray(PAGE), PAGE, []
    for node in nodes:
        end -= len(node) + len(node) % 2
        data[end : end + len(node)] = node
        places.append(end - at["base"])
    struct.pack_into("=Q", data, 0, number)
    struct.pack_into("=H", data, at["flags"], kind)
    struct.pack_into("=H", data, at["lower"], at["nodes"] + 2 * len(nodes) - at["base"])
    struct.pack_into("=H", data, at["upper"], end - at["base"])
    struct.pack_into(f"={len(nodes)}H", data, at["nodes"], *places)
    return data


def leaf(key, value):
    return struct.pack("=IHH", len(value), 0, len(key)) + key + value


def branch(key, number):
    return struct.pack("=IHH", number, 0, len(key)) + key


def words(*numbers):
    return struct.pack(f"={len(numbers)}Q", *numbers)


def free_list(first, count=40):
    """Return a record of the free list, with pages in a row."""
    return words(count, *range(first + count - 1, first - 1, -1))


def test_a_page_that_is_read_before_a_value_is_written_over_it(tmp_path, lib_version):
    """A page of the free list is itself a free page, for a value with a damaged page inside. It is
    sound when it is read first, while that value waits to be written."""
    with pylmdb.open(tmp_path / "b", lib_version=lib_version) as env:
        for i in range(6):  # so that transactions 1 to 3 are over
            with env.begin(write=True) as txn:
                txn.put(b"a", b"%d" % i)
    file = File(tmp_path / "b", lib_version)
    free, last = file.free_record(), file.meta() + 120
    root = file.get("Q", last) + 1
    runs = [root + 2 + 40 * i for i in range(3)]
    evil = runs[0] + 15  # in the middle of the first value
    for field, number in {"branch": 1, "leaf": 2, "large": 0, "entries": 3, "root": root}.items():
        file.set("Q", free + RECORD[field], number)
    file.set("H", free + RECORD["depth"], 2)
    file.set("Q", last, runs[2] + 39)
    there = page(file, evil, mutants.LEAF, [leaf(words(i), free_list(runs[i - 1])) for i in (2, 3)])
    file.data[root * PAGE :] = bytes((runs[2] + 40 - root) * PAGE)
    for number, data in {
        root: page(file, root, mutants.BRANCH, [branch(b"", root + 1), branch(words(2), evil)]),
        root + 1: page(file, root + 1, mutants.LEAF, [leaf(words(1), free_list(runs[0]))]),
        evil: there,
    }.items():
        file.data[number * PAGE : (number + 1) * PAGE] = data
    file.save()
    struct.pack_into("=H", there, file.at["upper"], PAGE - 2 - file.at["base"])
    large = (bytes(PAGE - file.at["nodes"]) + bytes(there) * 24)[: 25 * PAGE - 100]
    small = [(b"b%03d" % i, b"x" * 100) for i in range(100)]
    # The first value is written over the page when the second one has got its place, and the
    # third one needs the page again.
    make(tmp_path / "a", lib_version, [*small, *((b"c%d" % i, large) for i in range(3))])
    with pytest.raises(pylmdb.CorruptedError):
        pylmdb.merge([tmp_path / "a"], tmp_path / "b")
    assert content(tmp_path / "b") == [(b"a", b"5")]
