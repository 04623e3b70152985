# SPDX-License-Identifier: MIT
"""Damage to the free list, the meta pages, and the file as a whole is found."""

import re
import struct

import pytest
from damage import PAGE, file, finds, healthy
from data_files import RECORD

import pylmdb

__all__ = ["file", "healthy"]
LARGEST = 2**48 - 1


# ---- free pages ----


def free_node(file):
    """Return a record of the list of free pages: its page, its node, where its numbers are."""
    return next(
        (start, node, file.value(node))
        for start in file.leaves(file.free_record())
        for node in file.nodes(start)
        if file.get("H", node + 4) == 0 and file.get("Q", file.value(node)) > 1
    )


@pytest.mark.parametrize("number", [0, 1, 10**6, LARGEST])
def test_a_free_page_that_is_none(file, number):
    start, _, at = free_node(file)
    file.set("Q", at + 8, number)
    finds(file, start // PAGE, f"free page {number}, which the file does not have")


def test_free_pages_out_of_order(file):
    start, _, at = free_node(file)
    file.set("Q", at + 16, file.get("Q", at + 8))
    finds(file, start // PAGE, "list of pages that is out of order")


def test_a_free_page_that_is_in_use(file):
    start, _, at = free_node(file)
    used = max(file.tree(file.record(b"plain"))) // PAGE
    above = at + 8  # the lists are in order, so it has to be put where it belongs
    while file.get("Q", above) > used:
        above += 8
    file.set("Q", above, used)
    finds(file, used, "in use, and also in the free list")
    assert start


def test_a_list_of_free_pages_that_is_too_long(file):
    start, _, at = free_node(file)
    file.set("Q", at, 2**61)
    finds(file, start // PAGE, "not a list of pages of length 2305843009213693952")


@pytest.mark.parametrize("number", [0, 1000])
def test_a_list_of_free_pages_of_no_transaction(file, number):
    start, node, _ = free_node(file)
    file.set("Q", node + 8, number)
    finds(file, start // PAGE, "not the number of a committed transaction")


def test_pages_that_are_nowhere_are_no_damage(file):
    _, _, at = free_node(file)
    count = file.get("Q", at)
    file.set("Q", at, 0)
    file.save()
    report = pylmdb.verify(file.path)
    assert report.ok
    assert report.leaked == count
    empty, note = report.findings
    assert f"an empty list with unused room (pages: {count})" in str(empty)
    assert (note.severity, note.page, note.where) == ("note", None, "file")
    assert f"{count} pages are neither in use nor free, which does no harm" in str(note)


# ---- meta pages ----


def meta_field(file, page, offset):
    return page * PAGE + file.at["nodes"] + offset


@pytest.mark.parametrize("page", [0, 1])
@pytest.mark.parametrize(
    ("code", "offset", "value", "text"),
    [
        ("I", 0, 7, "magic"),
        ("I", 4, 2, "magic"),
        ("I", 24, 1000, "the page size is 1000"),
        ("I", 24, 8192, "the page size is 8192|the page size is 4096"),
        ("Q", 120, 0, "last page is 0"),
        ("Q", 120, 2**63, "last page is 9223372036854775808"),
        ("Q", 128, 2**60, "transaction number 1152921504606846976"),
    ],
)
def test_a_meta_page(file, page, code, offset, value, text):
    file.set(code, meta_field(file, page, offset), value)
    file.save()
    report = pylmdb.verify(file.path)
    assert not report.ok
    metas = [each for each in report.findings if each.page in (0, 1)]
    if value != 8192:
        assert [each for each in metas if each.page == page and re.search(text, each.text)]
        # and the other one still shows what there is
        assert len(report.databases) == 7
    assert metas


@pytest.mark.parametrize("page", [0, 1])
@pytest.mark.parametrize(("field", "value"), [("flags", 0), ("number", 5)])
def test_the_header_of_a_meta_page(file, page, field, value):
    file.set("H", page * PAGE + file.at[field], value)
    finds(file, page, "it is a meta page, and has the (flags|number)")


def test_a_meta_page_in_the_wrong_place(file):
    for page in (0, 1):
        at = meta_field(file, page, 128)
        file.set("Q", at, file.get("Q", at) + 1)
    finds(file, 0, "has the transaction number")


def test_a_file_without_a_valid_meta_page(file):
    for page in (0, 1):
        file.set("I", meta_field(file, page, 0), 7)
    file.save()
    report = pylmdb.verify(file.path)
    assert "not an LMDB file" in str(report.findings[0])
    assert report.format is None
    with pytest.raises(pylmdb.InvalidError):
        pylmdb.open(file.path, verify=True)


# ---- the length of the file ----


@pytest.mark.parametrize("pages", [2, 3, 10, 30])
def test_a_file_that_was_cut_short(file, pages):
    del file.data[pages * PAGE :]
    finds(file, None, "it is too short")


@pytest.mark.parametrize("size", [1, 63, 100, PAGE])
def test_a_stump(file, size):
    del file.data[size:]
    file.save()
    report = pylmdb.verify(file.path)
    assert not report.ok
    assert str(report)


def test_a_last_page_that_no_file_can_have(file):
    file.set("Q", file.meta() + 120, 2**40)
    finds(file, None, r"too short: 10995116\d+ pages from page \d+ on are missing, and not free$")


# ---- other machines ----


@pytest.mark.parametrize(
    ("offset", "words", "text"),
    [
        (16, ">II", "another byte order"),
        (24, ">II", "another byte order"),
        (12, "<II", "32-bit"),
    ],
)
def test_files_of_other_machines(tmp_path, offset, words, text):
    data = bytearray(8 * PAGE)
    struct.pack_into(words, data, offset, 0xBEEFC0DE, 1)
    (tmp_path / "data.mdb").write_bytes(data)
    report = pylmdb.verify(tmp_path)
    assert text in str(report.findings[0])
    assert report.ok is False


@pytest.mark.parametrize("healthy", [1], indirect=True)
def test_an_encrypted_file(file):
    at = file.meta() + 24 + RECORD["flags"]
    file.set("H", at, file.get("H", at) | 0x2000)
    finds(file, None, "encrypted")
