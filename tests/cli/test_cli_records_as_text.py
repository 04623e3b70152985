# SPDX-License-Identifier: MIT
"""The command line: what it prints can be given back, as arguments, as CSV, as lines of JSON."""

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import pylmdb
from pylmdb.cli import main

# keys that are not readable text, or look like the form of such keys
ODD = [b"\0", b"\xff\xfe", b"0x41", b"0xgg", b"0x", b"a\tb", b"a\\tb", b"line\n", b"\x1b[31m",
       b"'\"", b"-d", b"--", b"-1", "größe".encode(), b"a,b", b'{"hex": "41"}',
       b"(database)"]  # fmt: skip
# values, which may be empty and have line breaks
VALUES = [*ODD, b"", b"a\r\nb", b"\r", b"\xef\xbb\xbf", b"1", b"null", b"x" * 200_000, b'\0\n,"']


@pytest.fixture
def path(tmp_path, lib_version):
    """An environment with odd records, also in a database with duplicates, and one of integers."""
    with pylmdb.open(tmp_path / "e", lib_version=lib_version) as env:
        tags = env.open_db(b"\xfftags", dupsort=True)
        numbers = env.open_db(b"numbers", integerkey=True, integerdup=True)
        env.open_db(b"empty", reverse_key=True)
        with env.begin(write=True) as txn:
            for value in VALUES:
                txn.put(b"%03d" % VALUES.index(value), value)
            for key in ODD:
                txn.put(key, b"value of " + key)
                txn.put(key, b"b\xff", db=tags)
                txn.put(key, b"a", db=tags)
            for i in (7, 300):
                txn.put(number(i, 8), number(i * i, 4), db=numbers)
    return str(tmp_path / "e")


def number(value, width):
    return value.to_bytes(width, sys.byteorder)


def records(path, name=None):
    """Return the records of a database, without those that are named databases."""
    with pylmdb.open(path, readonly=True) as env, env.begin() as txn:
        names = env.dbs(txn)
        found = txn.cursor(env.open_db(name, txn, create=False))
        return [(key, value) for key, value in found if name or key.rstrip(b"\0") not in names]


def flags(path, name):
    with pylmdb.open(path, readonly=True) as env, env.begin() as txn:
        return dict(env.open_db(name, txn, create=False).flags())


# -- arguments --


def test_keys_that_scan_prints_can_be_given_back(run, path):
    lines = run("scan", path, "--width", 20).splitlines()
    databases = {"empty", "numbers", "0xff74616773"}
    keys = [key for key in (line.split("\t")[0] for line in lines) if key not in databases]
    shown = dict(zip(keys, records(path), strict=True))
    for text, (key, value) in shown.items():
        if key in ODD:
            text = "0x2d2d" if text == "--" else text
            assert run("get", path, "--value-format", "hex", "--", text) == f"{value.hex()}\n"
            run("put", path, "--", text, "new")
            run("del", path, "--", text)
    assert [key for key, _ in records(path)] == [b"%03d" % i for i in range(len(VALUES))]


def test_keys_are_written_in_one_way(run, path):
    shown = run("scan", path, "-d", "0xff" + b"tags".hex(), "-k").splitlines()[::2]
    assert sorted(shown) == sorted(
        ["0x00", "0xfffe", "0x30783431", "0xgg", "0x", "0x610962", "a\\tb", "0x6c696e650a",
         "0x1b5b33316d", "'\"", "-d", "--", "-1", "größe", "a,b", '{"hex": "41"}', "(database)"]
    )  # fmt: skip


def test_a_key_that_is_an_array_is_shown_as_bytes(run, tmp_path):
    file = io.BytesIO()
    np.save(file, np.zeros(1, "i1"))
    key = file.getvalue()
    with pylmdb.open(tmp_path / "e") as env, env.begin(write=True) as txn:
        txn.put(key, key)
    assert run("scan", tmp_path / "e") == f"0x{key.hex()}\tint8 (1,) [0]\n"
    assert json.loads(run("scan", tmp_path / "e", "-k", "--json")) == {"key": {"hex": key.hex()}}
    assert run("get", tmp_path / "e", f"0x{key.hex()}", "--value-format", "npy").startswith("int8")


def test_names_that_ls_prints_can_be_given_back(run, path):
    names = run("ls", path).splitlines()
    assert names == ["empty", "numbers", "0xff74616773"]
    assert run("dump", "-l", path).splitlines() == names
    for name in names:
        assert run("stat", path, "-d", name, "--json")
        run("dump", "-d", name, "--overwrite", "-f", f"{path}.text", path)
    assert json.loads(run("ls", path, "--json")) == ["empty", "numbers", {"hex": "ff74616773"}]


def test_named_databases_are_marked(run, path, lib_version):
    lines = run("scan", path).splitlines()
    marked = ["empty", "numbers", "0xff74616773"]
    assert {f"{name}\t(database)" for name in marked} < {*lines}
    found = [json.loads(line) for line in run("scan", path, "--json").splitlines()]
    assert [each["key"] for each in found if each.get("is_database")] == [
        "empty", "numbers", {"hex": "ff74616773"},
    ]  # fmt: skip
    assert {*marked} < {*run("scan", path, "-k").splitlines()}
    key = "0x6e756d6265727300" if lib_version else "numbers"  # 1.0 stores names with a NUL
    assert "is a named database; use --db" in run("get", path, key, status=1)


def test_an_ordinary_record_of_the_size_of_a_database_is_not_marked(run, tmp_path, lib_version):
    with pylmdb.open(tmp_path / "e", lib_version=lib_version) as env, env.begin(write=True) as txn:
        txn.put(b"k", b"v" * 48)
        txn.put(b"nul\0", b"v")
    assert run("scan", tmp_path / "e") == f"k\t{'v' * 48}\n0x6e756c00\tv\n"
    assert run("scan", tmp_path / "e", "-k") == "k\n0x6e756c00\n"
    assert run("get", tmp_path / "e", "k") == "v" * 48


@pytest.mark.parametrize("form", ["text", "hex", "base64", "int", "signed", "native", "json"])
def test_formats_read_what_they_show(run, tmp_path, form):
    texts = {"hex": "00ff", "base64": "AP8=", "json": '{"a": [1, "ä"]}', "text": "0x41"}
    text = texts.get(form, "-5" if form == "signed" else "5")
    path = tmp_path / "e"
    run("put", path, "--create", "--value-format", form, "--", "k", text)
    assert run("get", path, "k", "--value-format", form) == text + "\n"
    (line,) = run("scan", path, "--json", "--value-format", form).splitlines()
    run("load", "--json", "--value-format", form, "-f", _file(tmp_path, line), tmp_path / "f")
    run("export", "csv", path, tmp_path / "csv", "--value-format", form)
    run("import", "csv", tmp_path / "csv", tmp_path / "g", "--value-format", form)
    assert records(tmp_path / "g") == records(path)
    assert [json.loads(v) if form == "json" else v for _, v in records(tmp_path / "f")] == [
        json.loads(v) if form == "json" else v for _, v in records(path)
    ]


def _file(folder, text):
    (folder / "text").write_text(text, "utf-8")
    return folder / "text"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_records_in_another_format_are_named(path, capfd, options):
    assert main(["scan", path, "--prefix", "0", "--value-format", "json", *options]) == 1
    out, err = capfd.readouterr()
    lines = err.splitlines()
    assert lines[0].startswith("pylmdb scan: key 000: not JSON: ")
    assert len(lines) == 11
    assert lines[-1] == "pylmdb scan: and 14 more", "of 25 values, and of 3 odd keys"
    assert len(out.splitlines()) == 4, '-1, {"hex": "41"}, 1 and null are JSON'


# -- lines of JSON --


def test_a_whole_environment_as_lines_of_json(run, path, tmp_path):
    run("dump", "-A", "--json", "-f", tmp_path / "text", path)
    found = [json.loads(line) for line in (tmp_path / "text").read_text("utf-8").splitlines()]
    words = ["dupsort", "integerkey", "integerdup", "dupfixed"]
    assert {"database": "numbers", "flags": words} in found
    assert {"key": 7, "value": {"hex": number(49, 4).hex()}} in found
    total = len(VALUES) + 3 * len(ODD) + 2
    out = run("load", "--json", "-f", tmp_path / "text", tmp_path / "copy")
    assert out == f"{total} records written\n"
    for name in (None, b"numbers", b"empty", b"\xfftags"):
        assert records(tmp_path / "copy", name) == records(path, name)
    assert flags(tmp_path / "copy", b"empty")["reverse_key"]
    assert run("diff", path, tmp_path / "copy") == ""


@pytest.mark.parametrize("which", [[], ["-d", "numbers"], ["-a"]])
def test_some_databases_as_lines_of_json(run, path, which):
    lines = [json.loads(line) for line in run("dump", "--json", path, *which).splitlines()]
    names = [line["database"] for line in lines if "database" in line]
    every = ["empty", "numbers", {"hex": "ff74616773"}]
    assert names == {0: [None], 2: ["numbers"], 1: every}[len(which)]
    assert len(lines) - len(names) == {
        0: len(VALUES) + len(ODD), 2: 2, 1: 2 * len(ODD) + 2,
    }[len(which)]  # fmt: skip


def test_scan_prints_what_load_reads(run, path, tmp_path):
    text = _file(tmp_path, run("scan", path, "-d", "numbers", "--json"))
    run("load", "--json", "-f", text, "-d", "n", "--flags", "integerkey,integerdup", tmp_path / "f")
    width = len(records(tmp_path / "f", b"n")[0][1])
    assert [(k, v[:4]) for k, v in records(tmp_path / "f", b"n")] == records(path, b"numbers")
    assert width == 8, "integers of a new database have 8 bytes"
    text = _file(tmp_path, run("scan", path, "--json"))
    assert "is a named database" in run("load", "--json", "-f", text, tmp_path / "g", status=1)
    assert not (tmp_path / "g").exists()


def test_keep_and_flags(run, tmp_path):
    text = _file(tmp_path, '\ufeff{"key": "b", "value": "1"}\n\n{"key": "a", "value": "2"}\n')
    run("put", tmp_path / "e", "a", "old", "--create")
    assert run("load", "--json", "-N", "-f", text, tmp_path / "e") == "1 record written\n"
    assert records(tmp_path / "e") == [(b"a", b"old"), (b"b", b"1")]
    run("import", "jsonl", text, tmp_path / "e")
    assert dict(records(tmp_path / "e")) == {b"a": b"2", b"b": b"1"}
    run("import", "jsonl", text, tmp_path / "e", "-d", "d", "--flags", "dupsort")
    assert flags(tmp_path / "e", b"d")["dupsort"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "line 1: not JSON"),
        ('{"key": "a", "value": "b"}\n[]', "line 2: not an object"),
        ('{"key": "a"}', "line 1: the object has no field 'value'"),
        ('{"key": "a", "value": "b", "c": 1}', "has a field 'c' besides"),
        ('{"key": "a", "value": {"dtype": "f4"}}', "--value-format json"),
        ('{"key": 1, "value": "b"}', "1 is not text"),
        ('{"key": null, "value": "b"}', "null is not text"),
        ('{"key": "a", "value": {"hex": "0"}}', "'0' is not hexadecimal"),
        ('{"key": "a", "value": "\\udc80"}', "half of a surrogate pair"),
        ('{"key": "", "value": "b"}', "record 0, key ''"),
        ('{"database": "d", "flags": ["dup"]}', "flags must be a list of"),
        ("[" * 99999, "line 1: not JSON"),
    ],
)  # fmt: skip
def test_lines_that_are_wrong(run, run_alone, tmp_path, text, message):
    good = '{"key": "good", "value": "v"}\n'
    run("put", tmp_path / "e", "k", "v", "--create")
    for dest in ("e", "new"):
        file = _file(tmp_path, text)
        assert message in run("load", "--json", "-f", file, tmp_path / dest, status=1)
        words = ["import", "jsonl", "-", tmp_path / dest]
        done = run_alone(*words, input=(good + text).encode())
        assert done.returncode == 1
        assert done.stderr.count(b"\n") == 1
    assert records(tmp_path / "e") == [(b"k", b"v")], "all or none"
    assert not (tmp_path / "new").exists()


def test_other_fields(run, tmp_path):
    text = _file(tmp_path, '{"id": "a", "n": 1, "s": "ä"}\n{"id": "b", "n": 2, "s": ""}\n')
    run("import", "jsonl", text, tmp_path / "e", "--key", "id")
    values = [value.decode() for _, value in records(tmp_path / "e")]
    assert values == ['{"n":1,"s":"ä"}', '{"n":2,"s":""}']
    run("import", "jsonl", text, tmp_path / "f", "--key", "id", "--value", "s")
    assert records(tmp_path / "f") == [(b"a", "ä".encode()), (b"b", b"")]
    assert "no field 'x'" in run("import", "jsonl", text, tmp_path / "g", "--key", "x", status=1)


# -- CSV --


def test_records_as_csv(run, run_alone, path, tmp_path):
    run("export", "csv", path, tmp_path / "csv")
    csv.field_size_limit(1 << 20)
    rows = [*csv.reader(io.StringIO(Path(tmp_path / "csv").read_bytes().decode(), newline=""))]
    assert rows[0] == ["key", "value"]
    assert len(rows) == 1 + len(VALUES) + len(ODD)
    run("import", "csv", tmp_path / "csv", tmp_path / "copy")
    assert records(tmp_path / "copy") == records(path)
    out = run("export", "csv", path, "-d", "0xff74616773", "--no-header", "--delimiter", "tab")
    done = run_alone(
        "import", "csv", "-", tmp_path / "copy", "-d", "t", "--flags", "dupsort",
        "--no-header", "--delimiter", "tab", input=out.encode(),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert records(tmp_path / "copy", b"t") == records(path, b"\xfftags")
    out = run("-e", path, "export", "csv", "-d", "numbers", "--start", 8)
    assert out == f"key,value\n300,0x{number(90000, 4).hex()}\n"


def test_columns_of_a_table(run, tmp_path):
    table = _file(tmp_path, 'id,name,price\r\n1,apple,2.50\r\n\r\n2,"a ""b"", c",\n')
    run("import", "csv", table, tmp_path / "e")
    assert dict(records(tmp_path / "e")) == {
        b"1": b'{"name":"apple","price":"2.50"}', b"2": b'{"name":"a \\"b\\", c","price":""}'
    }  # fmt: skip
    run("import", "csv", table, "-e", tmp_path / "f", "--key", "name", "--value", "id",
        "--value-format", "int")  # fmt: skip
    assert dict(records(tmp_path / "f"))[b"apple"] == (1).to_bytes(8, "big")
    run("import", "csv", table, tmp_path / "g", "--no-header", "--key", "2", "--value", "3")
    assert dict(records(tmp_path / "g"))[b"name"] == b"price"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", [], "the CSV file is empty"),
        ("a,b\n1\n", [], "line 2: the row has 1 cell, not 2"),
        ("a,b\n1,2,3\n", [], "line 2: the row has 3 cells, not 2"),
        ("a,b\n1,2\n", ["--key", "c"], "exactly one column 'c'; its columns are a, b"),
        ("a,a,b\n1,2,3\n", [], "exactly one column 'a'; its columns are a, a, b"),
        ("a\n1\n", [], "has only one column"),
        ('a,b\n"1,2\n', [], "line 2: "),
        ("a,b\nx,y\n", ["--key-format", "int"], "line 2: 'x' is not an integer of 64 bits"),
        ("a,b\n1,2\n1,3\n", ["--on-conflict", "error"], "different values"),
    ],
)
def test_tables_that_are_wrong(run, tmp_path, text, options, message):
    table = _file(tmp_path, text)
    assert message in run("import", "csv", table, tmp_path / "e", *options, status=1)
    assert not (tmp_path / "e").exists()


def test_bytes_that_are_not_utf_8(run, tmp_path):
    for text, line in ((b"\xff,b\n", 1), (b"a,b\n\xff,1\n", 2), (b"a,b\n1,2\n1,\xff", 3)):
        (tmp_path / "t").write_bytes(text)
        message = run("import", "csv", tmp_path / "t", tmp_path / "e", status=1)
        assert f"pylmdb import: line {line}: 'utf-8'" in message


def test_an_export_does_not_overwrite_its_source(run, path):
    with pylmdb.open(path) as env:
        env.open_db(b"d")
    before = records(path)
    for words in (["export", "csv", path, f"{path}/data.mdb"], ["dump", path, f"d={path}/data.mdb"],
                  ["dump", "--json", path, "-f", f"{path}/data.mdb"]):  # fmt: skip
        assert "both the source and the destination" in run(*words, status=1)
    assert records(path) == before


def test_arrays_are_exported_as_bytes(run, tmp_path):
    with pylmdb.open(tmp_path / "e") as env, env.begin(write=True) as txn:
        txn.put_array(b"a", np.arange(3.0))
    run("export", "csv", tmp_path / "e", tmp_path / "csv")
    run("import", "csv", tmp_path / "csv", tmp_path / "f")
    (line,) = run("export", "jsonl", tmp_path / "e").splitlines()
    run("load", "--json", "-f", _file(tmp_path, line), tmp_path / "g")
    assert records(tmp_path / "f") == records(tmp_path / "g") == records(tmp_path / "e")


def test_records_in_another_format_are_left_out_of_an_export(path, capfd):
    assert main(["export", "csv", path, "--start", "009", "--value-format", "text"]) == 1
    out, err = capfd.readouterr()
    assert "key 016" not in err
    assert "pylmdb export: key 0xfffe: not text in UTF-8" in err
    assert [*csv.reader(io.StringIO(out))][1:][0][0] == "009"


def test_large_values_do_not_fail_the_reader_of_csv(run, tmp_path):
    (tmp_path / "t").write_text("k,v\na," + "x" * 300_000 + "\n")
    run("import", "csv", tmp_path / "t", tmp_path / "e")
    assert records(tmp_path / "e") == [(b"a", b"x" * 300_000)]
