# SPDX-License-Identifier: MIT
"""Parsing the text of mdb_dump: in C, as the decoders in Python say, and in parts of any size."""

import io
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from merged import add, content

import pylmdb
from pylmdb.cli import main
from pylmdb.tools import loading
from pylmdb.tools.dump_text import ENCODINGS, from_printable

HEADER = b"VERSION=3\nformat=%b\ntype=btree\nHEADER=END\n"


def load(text, dest, *args, **options):
    return pylmdb.load(io.BytesIO(text), dest, *args, **options)


def text_of(records, encoding=b"bytevalue"):
    encode = ENCODINGS[encoding][0]
    lines = b"".join(b" %b\n %b\n" % (encode(key), encode(value)) for key, value in records)
    return HEADER % encoding + lines + b"DATA=END\n"


def decoded(line, encoding):
    """Return the datum in a line; None if the line is not valid."""
    if line[:1] != b" ":
        return None
    try:
        return ENCODINGS[encoding][1](line[1:])
    except ValueError:
        return None


LINES = st.lists(st.text("0aF9\\\\gx \r\0\x7f\xff", max_size=6).map(lambda s: s.encode("latin-1")))


@settings(deadline=None, max_examples=150)
@given(lines=LINES, encoding=st.sampled_from([*ENCODINGS]))
@example(lines=[b"\\", b""], encoding=b"print")
@example(lines=[b"\\0", b""], encoding=b"print")
@example(lines=[b"\\\\\\00", b"\\fF"], encoding=b"print")
@example(lines=[b"00", b"0"], encoding=b"bytevalue")
def test_it_is_what_the_decoders_do(tmp_path_factory, lines, encoding):
    lines = [b" k" + line if encoding == b"print" else b" 01" + line for line in lines]
    lines += lines[-1:] * (len(lines) % 2)
    data = [decoded(line, encoding) for line in lines]
    dest = tmp_path_factory.mktemp("text") / "e"
    text = HEADER % encoding + b"".join(line + b"\n" for line in lines) + b"DATA=END\n"
    if None in data:
        with pytest.raises(pylmdb.InvalidParameterError, match=f"line {5 + data.index(None)}: "):
            load(text, dest)
    else:
        load(text, dest)
        assert content(dest) == sorted(dict(zip(data[::2], data[1::2], strict=True)).items())


def test_lines_that_are_not_indented(tmp_path):
    with pytest.raises(pylmdb.InvalidParameterError, match="line 3: a backslash must be doubled"):
        load(b"a\n1\nb\\g\n2\n", tmp_path / "e", plain=True)
    with pytest.raises(pylmdb.InvalidParameterError, match="line 3: the last key has no value"):
        load(b"a\n1\nb\n", tmp_path / "e", plain=True)
    load(b" a\n1\nDATA=END\n\\\\\n", tmp_path / "e", plain=True)
    assert content(tmp_path / "e") == [(b" a", b"1"), (b"DATA=END", from_printable(b"\\\\"))]


class Dripping(io.RawIOBase):
    """A file whose read() returns a few bytes at a time."""

    def __init__(self, text, step):
        self.file, self.step = io.BytesIO(text), step

    def read(self, size=-1):
        return self.file.read(min(size, self.step))


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_parts_of_any_size(tmp_path, monkeypatch, step):
    """Sections end, and lines begin, anywhere in them."""
    monkeypatch.setattr(loading, "_BATCH_SIZE", 100)
    rng = random.Random(step)
    records = [(rng.randbytes(8), rng.randbytes(rng.choice([0, 5, 300]))) for _ in range(60)]
    sections = text_of(records), text_of(records, b"print").replace(b"type", b"database=d\ntype")
    dest = tmp_path / "e"
    assert pylmdb.load(Dripping(b"".join(sections), step), dest) == 120
    assert content(dest, b"d") == sorted(records)
    assert [record for record in content(dest) if record[0] != b"d"] == sorted(records)


def test_a_line_longer_than_the_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "_BATCH_SIZE", 100)
    records = [(b"a", bytes(100_000)), (b"b", b"x")]
    assert load(text_of(records), tmp_path / "e") == 2
    assert content(tmp_path / "e") == records
    with pytest.raises(pylmdb.InvalidParameterError, match="line 6: the dump is truncated: this"):
        load(text_of(records)[:50_000], tmp_path / "f")


# -- sorted first ------------------------------------------------------------------------------


def shuffled(count):
    records = [(b"%06d" % i, b"v" * 30) for i in range(count)]
    random.Random(1).shuffle(records)
    return records


def test_unsorted_text_fills_its_pages(tmp_path, lib_version):
    text, records = text_of(shuffled(9000)), sorted(shuffled(9000))
    leaves = []
    for unsorted in (False, True):
        dest = tmp_path / str(unsorted)
        assert load(text, dest, unsorted=unsorted, lib_version=lib_version) == 9000
        assert content(dest) == records
        with pylmdb.open(dest) as env:
            leaves.append(env.stat().leaf_pages)
    assert leaves[1] < leaves[0] * 0.85


def test_more_text_than_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "parse_memory", lambda memory: (1 << 20) + (1 << 20) + 50_000)
    assert load(text_of(shuffled(9000)), tmp_path / "e", unsorted=True) == 9000
    assert content(tmp_path / "e") == sorted(shuffled(9000))


def test_which_value_is_kept(tmp_path, env):
    add(env, [(b"a", b"old")])
    text = text_of([(b"b", b"1"), (b"a", b"1"), (b"b", b"2")])
    assert load(text, env, unsorted=True, overwrite=False) == 1
    with env.begin() as txn:
        assert [*txn.cursor()] == [(b"a", b"old"), (b"b", b"1")]
    assert load(text, env, unsorted=True) == 2
    with env.begin() as txn:
        assert [*txn.cursor()] == [(b"a", b"1"), (b"b", b"2")]


def test_unsorted_duplicates_and_sections(tmp_path, lib_version):
    header = b"duplicates=1\ndatabase=d\ntype"
    first = text_of([(b"k", b"2"), (b"k", b"1"), (b"k", b"2")]).replace(b"type", header)
    load(first + text_of([(b"x", b"y")]), tmp_path / "e", unsorted=True, lib_version=lib_version)
    assert content(tmp_path / "e", b"d") == [(b"k", b"1"), (b"k", b"2")]
    assert content(tmp_path / "e")[1:] == [(b"x", b"y")]


def test_unsorted_text_that_is_refused(tmp_path):
    records = [(b"k", b"v"), (b"x" * 3000, b"v"), (b"l", b"v")]
    with pytest.raises(pylmdb.BadValsizeError, match=r"line 8: .*key has 3000 bytes"):
        load(text_of(records), tmp_path / "e", unsorted=True)
    with pytest.raises(pylmdb.InvalidParameterError, match="line 7: the dump is truncated"):
        load(text_of(records[:1])[:-9] + b" 6", tmp_path / "e", unsorted=True)
    with pytest.raises(ValueError, match="append=True keeps the order"):
        load(text_of(records), tmp_path / "e", unsorted=True, append=True)
    assert not (tmp_path / "e").exists()


def test_the_command(tmp_path, capsys):
    (tmp_path / "text").write_bytes(text_of(shuffled(100)))
    dest = tmp_path / "e"
    main(["load", "-f", str(tmp_path / "text"), "--unsorted", "--memory", "8 MiB", str(dest)])
    assert capsys.readouterr().out == "100 records written\n"
    assert content(dest) == sorted(shuffled(100))
