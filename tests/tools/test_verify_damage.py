# SPDX-License-Identifier: MIT
"""Damage to pages and trees is found, with its page and its kind."""

import mutants
import pytest
from damage import PAGE, branch_of, file, finds, healthy, leaf_of, node_of, pointer, with_flags
from data_files import RECORD

import pylmdb

__all__ = ["file", "healthy"]


def test_the_file_is_healthy_before(file):
    report = pylmdb.verify(file.path)
    assert report.ok
    assert not report.findings
    assert report.format == (3 if file.version else 1)


# ---- headers ----


def test_the_number_of_a_page(file):
    start = leaf_of(file, b"plain")
    file.set("Q", start, 7)
    report = finds(file, start // PAGE, "header has the number 7")
    (plain,) = [each for each in report.databases if each.name == b"plain"]
    assert plain.damaged == 1
    assert 0 < plain.lost < plain.entries
    assert f"{plain.readable:,} of {plain.entries:,} entries can be read" in str(report)


@pytest.mark.parametrize("flags", [0, 3, 8, 0x12, 0x42, 0x4002, 0x8002])
def test_the_flags_of_a_page(file, flags):
    start = leaf_of(file, b"plain")
    file.set("H", start + file.at["flags"], flags)
    finds(file, start // PAGE, f"flags are 0x{flags:04x}")


def test_a_page_of_a_large_value_in_a_tree(file):
    start = leaf_of(file, b"plain")
    file.set("H", start + file.at["flags"], mutants.OVERFLOW)
    finds(file, start // PAGE, "an overflow page, but a tree refers to it")


def test_a_page_of_values_of_one_size_where_there_are_none(file):
    start = leaf_of(file, b"plain")
    file.set("H", start + file.at["flags"], mutants.LEAF | mutants.FIXED)
    finds(file, start // PAGE, "values of one size, but its tree has nodes")


@pytest.mark.parametrize("field", ["lower", "upper"])
@pytest.mark.parametrize("value", [1, 15, 4097, 65535])
def test_the_bounds_of_free_space(file, field, value):
    start = leaf_of(file, b"plain")
    file.set("H", start + file.at[field], value)
    finds(file, start // PAGE, r"free space is from|space for nodes|nodes have \d+ bytes")


def test_an_empty_page(file):
    start = leaf_of(file, b"plain")
    file.set("H", start + file.at["lower"], file.at["nodes"] - file.at["base"])
    finds(file, start // PAGE, "it is empty")


@pytest.mark.parametrize("healthy", [1], indirect=True)
def test_a_page_of_a_transaction_to_come(file):
    start = leaf_of(file, b"plain")
    file.set("Q", start + 8, 1000)
    finds(file, start // PAGE, "transaction 1000, which is not committed")


# ---- nodes ----


@pytest.mark.parametrize("offset", [0, 8, 4094, 0xFFF0, 2049])
def test_a_node_outside_its_page(file, offset):
    start = leaf_of(file, b"plain")
    file.set("H", pointer(file, start, 1), offset)
    finds(file, start // PAGE, "node 1 is outside")


def test_nodes_over_each_other(file):
    start = leaf_of(file, b"plain")
    file.set("H", pointer(file, start, 1), file.get("H", pointer(file, start, 0)))
    finds(file, start // PAGE, "node 1 overlaps another")


def test_a_node_that_is_too_large(file):
    start = leaf_of(file, b"plain")
    file.set("I", node_of(file, start, 1), 4000)
    finds(file, start // PAGE, "node 1 (reaches beyond|has 40.. bytes)")


def test_a_gap_between_nodes(file):
    start = leaf_of(file, b"plain")
    file.set("H", start + file.at["upper"], file.get("H", start + file.at["upper"]) - 2)
    finds(file, start // PAGE, "but the space for them is")


def test_an_empty_key(file):
    start = leaf_of(file, b"plain")
    file.set("H", node_of(file, start, 0) + 6, 0)
    finds(file, start // PAGE, "key 0 is empty")


@pytest.mark.parametrize("flags", [2, 3, 7, 8, 0x100])
def test_flags_of_a_node_that_do_not_suit_it(file, flags):
    start = leaf_of(file, b"plain")
    file.set("H", node_of(file, start, 1) + 4, flags)
    finds(file, start // PAGE, "node 1 has the flags|value 1 ")


def test_the_record_of_a_database_in_a_named_one(file):
    start = leaf_of(file, b"plain")
    node = next(each for each in file.nodes(start) if file.get("I", each) >= 48)
    file.set("H", node + 4, 2)
    file.set("I", node, 48)
    finds(file, start // PAGE, "flags 0x02|record of a database, which only|space for")


def test_duplicates_where_there_are_none(file):
    start = leaf_of(file, b"plain")
    file.set("H", node_of(file, start, 1) + 4, 4)
    finds(file, start // PAGE, "duplicates of node 1: the database has no duplicates")


# ---- order ----


def swap_pointers(file, start, i):
    a, b = pointer(file, start, i), pointer(file, start, i + 1)
    one, other = file.get("H", a), file.get("H", b)
    file.set("H", a, other)
    file.set("H", b, one)


@pytest.mark.parametrize("name", [b"plain", b"numbers"])
def test_keys_out_of_order(file, name):
    start = leaf_of(file, name)
    swap_pointers(file, start, 2)
    report = finds(file, start // PAGE, "key 3 is not greater")
    assert all(each.readable == each.entries for each in report.databases)


def test_keys_out_of_order_in_a_branch(file):
    start = branch_of(file, b"plain")
    swap_pointers(file, start, 1)
    finds(file, start // PAGE, "key 2 is not greater")


@pytest.mark.parametrize(("key", "text"), [(b"kez", "first key is less"), (b"", "last key is not")])
def test_a_key_outside_what_its_branch_says(file, key, text):
    branch = branch_of(file, b"plain")
    leaves = file.leaves(file.record(b"plain"))
    node = node_of(file, branch, 1)
    if key:  # one that is greater than all on the leaf
        file.data[node + 8 : node + 8 + len(key)] = key
        finds(file, leaves[1] // PAGE, text)
    else:
        file.data[node + 8] = 1
        finds(file, leaves[0] // PAGE, text)


def test_values_of_a_key_out_of_order(file):
    record = file.record(b"fixed")
    (start, node) = with_flags(file, record, 4)
    at = file.value(node) + file.at["nodes"]
    first = file.data[at : at + 8]
    file.data[at : at + 8] = file.data[at + 8 : at + 16]
    file.data[at + 8 : at + 16] = first
    finds(file, start // PAGE, r"duplicates of node \d+: key 1 is not greater")


# ---- trees ----


def test_a_cycle(file):
    branch = branch_of(file, b"plain")
    file.set("I", node_of(file, branch, 1), branch // PAGE)
    finds(file, branch // PAGE, f"in use twice; the second reference is on page {branch // PAGE}")


def test_a_page_in_two_databases(file):
    branch, shared = branch_of(file, b"plain"), leaf_of(file, b"numbers")
    file.set("I", node_of(file, branch, 1), shared // PAGE)
    report = finds(file, shared // PAGE, "in use twice")
    assert report.leaked == 0 or not report.ok


@pytest.mark.parametrize("page", [0, 1, 10**6, 2**32 - 1])
def test_a_branch_that_leads_out_of_the_file(file, page):
    branch = branch_of(file, b"plain")
    file.set("I", node_of(file, branch, 2), page)
    finds(file, branch // PAGE, f"refers to page {page}, which is outside")


@pytest.mark.parametrize(
    ("field", "text"),
    [("entries", "entries"), ("branch", "branch pages"), ("leaf", "leaf pages"),
     ("large", "overflow pages")],
)  # fmt: skip
def test_counters(file, field, text):
    record = file.record(b"plain")
    at = record + RECORD[field]
    count = file.get("Q", at)
    file.set("Q", at, count + 1)
    finds(file, record // PAGE, f"says {count + 1} {text}, but the tree has {count}")


def test_counters_of_the_main_database(file):
    file.set("Q", file.record() + RECORD["entries"], 99)
    finds(file, file.meta() // PAGE, "says 99 entries, but the tree has 6")


@pytest.mark.parametrize("depth", [1, 3, 33, 65535])
def test_the_depth_of_a_tree(file, depth):
    record = file.record(b"plain")
    file.set("H", record + RECORD["depth"], depth)
    finds(file, record // PAGE, f"says that its depth is {depth}, but ")


def test_a_tree_without_a_root(file):
    record = file.record(b"plain")
    file.set("Q", record + RECORD["root"], 2**64 - 1)
    finds(file, record // PAGE, "has no root")


@pytest.mark.parametrize("flags", [0x80, 0x10, 0x8000])
def test_the_flags_of_a_database(file, flags):
    record = file.record(b"plain")
    file.set("H", record + RECORD["flags"], flags)
    finds(file, record // PAGE, f"flags 0x{flags:04x}")


def test_a_leaf_on_another_level(file):
    """A branch page is in the place of a leaf page, and in no other tree."""
    numbers = file.record(b"numbers")
    branch, leaves = branch_of(file, b"numbers"), file.leaves(numbers)
    file.set("Q", numbers + RECORD["root"], leaves[0] // PAGE)
    file.set("H", numbers + RECORD["depth"], 1)
    file.set("I", node_of(file, branch_of(file, b"plain"), 1), branch // PAGE)
    finds(file, leaves[1] // PAGE, "it is a leaf on level 3; the first one is on level 2")


def test_the_name_of_a_database(file):
    (start,) = file.leaves(file.record())
    file.data[node_of(file, start, 0) + 9] = 0
    finds(file, start // PAGE, "key 0 cannot be the name of a database")


# ---- duplicates ----


def test_the_record_of_a_tree_of_duplicates(file):
    (start, node) = with_flags(file, file.record(b"dups"), 6)
    at = file.value(node)
    file.set("Q", at + RECORD["entries"], 5)
    finds(file, start // PAGE, "says 5 entries")


@pytest.mark.parametrize(
    ("field", "text"), [("flags", "flags are"), ("lower", "free space|empty|space")]
)
def test_a_page_of_duplicates_in_a_node(file, field, text):
    (start, node) = with_flags(file, file.record(b"dups"), 4)
    at = file.value(node) + file.at[field]
    file.set("H", at, 0x1001)
    finds(file, start // PAGE, f"in the duplicates of node.*({text})")


def test_the_width_of_values_of_one_size(file):
    (start, node) = with_flags(file, file.record(b"fixed"), 6)
    file.set("I", file.value(node), 12)
    leaf = file.get("Q", file.value(node) + RECORD["root"])
    finds(file, leaf, "the size 8, but its tree has values of another size")
    assert start


# ---- large values ----


def large(file):
    (start, node) = with_flags(file, file.record(b"plain"), 1)
    return start, node, file.get("Q", file.value(node))


def test_a_large_value_longer_than_its_pages(file):
    _, node, first = large(file)
    file.set("I", node, 2**31)
    finds(file, first, r"has 2147483648 bytes, too many for \d+ overflow pages?$")


def test_a_large_value_outside_the_file(file):
    start, node, _ = large(file)
    file.set("Q", file.value(node), 10**6)
    finds(file, start // PAGE, "begins on overflow page 1000000, which is outside")


def test_a_large_value_that_is_another_page(file):
    _, node, _ = large(file)
    leaf = leaf_of(file, b"numbers", 0) // PAGE
    file.set("Q", file.value(node), leaf)
    finds(file, leaf, "should be the first overflow page of value")


def test_a_large_value_of_too_many_pages(file):
    start, _, first = large(file)
    file.set("I", first * PAGE + file.at["lower"], 10**6)
    page = first if file.version else start // PAGE
    finds(file, page, "do not agree" if file.version else "which are not all in the file")
