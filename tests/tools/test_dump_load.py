# SPDX-License-Identifier: MIT
"""dump and load: the text of mdb_dump, byte for byte, and back."""

import io
import os
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pylmdb

FLAGS = {
    b"backwards": {"reverse_key": True},
    b"fixed": {"dupfixed": True},
    b"numbers": {"integerkey": True},
    b"plain": {},
    b"several": {"dupsort": True},
    b"twos": {"integerdup": True, "integerkey": True},
}
HEADER = b"VERSION=3\nformat=%b\ntype=btree\nmapsize=1048576\nmaxreaders=126\ndb_pagesize=4096\n"


def fill(path, version, main=True, **options):
    """Return an environment with a database of each kind."""
    with pylmdb.open(path, lib_version=version, **options) as env:
        for name, flags in FLAGS.items():
            db = env.open_db(name, **flags)
            with env.begin(write=True) as txn:
                for i in range(40):
                    txn.put((i % 7).to_bytes(8, "little"), (i * 37).to_bytes(8, "little"), db=db)
        if main:
            with env.begin(write=True) as txn:
                txn.put(b"key", bytes(range(256)))
                txn.put(b"\\ back\\slash\n", b"")
                txn.put(b"large", b"large value " * 1000)
    return path


def text_of(source, databases="all", **options):
    out = io.BytesIO()
    pylmdb.dump(source, out, databases, **options)
    return out.getvalue()


def load_text(text, dest, *args, **options):
    return pylmdb.load(io.BytesIO(text), dest, *args, **options)


def everything(path):
    with pylmdb.open(path, readonly=True) as env, env.begin() as txn:
        found = {}
        for name in env.dbs(txn):
            db = env.open_db(name, txn, create=False)
            found[name] = db.flags(), [*txn.cursor(db)]
        ends = (b"", b"\0")
        names = {name + end for name in found for end in ends}
        return found, [record for record in txn.cursor() if record[0] not in names]


# -- the format --------------------------------------------------------------------------


def test_the_format(tmp_path, lib_version):
    """The expected text is written out here, for both release lines."""
    with pylmdb.open(tmp_path / "e", map_size=1 << 20, lib_version=lib_version) as env:
        db = env.open_db(b"d", integerdup=True, reverse_key=True)
        with env.begin(write=True) as txn:
            txn.put(b"k\\", b"\x00 ~\x7f\xff")
            txn.put(b"ab", (5).to_bytes(4, "little"), db=db)
    size = b"mapsize=1048576\nmaxreaders=126\n"
    first = b"VERSION=3\nformat=bytevalue\ntype=btree\n" + size + b"db_pagesize=4096\nHEADER=END\n"
    second = (
        b"VERSION=3\nformat=bytevalue\ndatabase=d\ntype=btree\n" + size + b"duplicates=1\n"
        b"reversekey=1\ndupsort=1\ndupfixed=1\nintegerdup=1\ndb_pagesize=4096\nHEADER=END\n"
    )
    hexadecimal = (
        first + b" 6b5c\n 00207e7fff\nDATA=END\n" + second + b" 6162\n 05000000\nDATA=END\n"
    )
    assert text_of(tmp_path / "e") == hexadecimal
    readable = hexadecimal.replace(b"bytevalue", b"print")
    readable = readable.replace(b"6b5c\n 00207e7fff", b"k\\\\\n \\00 ~\\7f\\ff")
    readable = readable.replace(b"6162\n 05000000", b"ab\n \\05\\00\\00\\00")
    assert text_of(tmp_path / "e", printable=True) == readable


@pytest.mark.parametrize("printable", [False, True], ids=["hex", "print"])
def test_as_mdb_dump_writes_it(tool, tmp_path, printable):
    path = fill(tmp_path / "e", 0, main=not printable, map_size=1 << 20)
    flags = ["-p"] if printable else []
    for databases, more in (("main", []), ("named", ["-a"])):
        expected = tool("mdb_dump", *more, *flags, path, text=b"")
        assert text_of(path, databases, printable=printable) == expected
    for name in FLAGS:
        expected = tool("mdb_dump", *flags, "-s", name.decode(), path, text=b"")
        assert text_of(path, [name], printable=printable) == expected


def test_as_mdb_dump_writes_one_of_its_own(tool, tmp_path):
    (tmp_path / "e").mkdir()
    text = HEADER % b"bytevalue" + b"HEADER=END\n 61\n 62\nDATA=END\n"
    tool("mdb_load", tmp_path / "e", text=text)
    assert text_of(tmp_path / "e", "main") == tool("mdb_dump", tmp_path / "e", text=b"") == text


@pytest.mark.parametrize("printable", [False, True], ids=["hex", "print"])
def test_mdb_load_reads_it(tool, tmp_path, printable):
    # LMDB 0.9.24 neither doubles a backslash nor reads several that are
    path = fill(tmp_path / "e", 0, main=not printable)
    (tmp_path / "theirs").mkdir()
    tool("mdb_load", tmp_path / "theirs", text=text_of(path, printable=printable))
    assert everything(tmp_path / "theirs") == everything(path)


def test_what_mdb_dump_writes_is_read(tool, tmp_path, lib_version):
    path = fill(tmp_path / "e", 0, main=False)
    for flags in (["-a"], ["-a", "-p"]):
        dest = tmp_path / "".join(flags)
        load_text(tool("mdb_dump", *flags, path, text=b""), dest, lib_version=lib_version)
        assert everything(dest) == everything(path)


# -- there and back ----------------------------------------------------------------------


@pytest.mark.parametrize("printable", [False, True], ids=["hex", "print"])
def test_there_and_back(tmp_path, lib_version, printable):
    path = fill(tmp_path / "e", 1 - lib_version)
    text = text_of(path, printable=printable)
    total = load_text(text, tmp_path / "copy", lib_version=lib_version)
    found, own = everything(path)
    assert total == len(own) + sum(len(records) for _, records in found.values())
    assert everything(tmp_path / "copy") == (found, own)
    with pylmdb.open(tmp_path / "copy") as env:
        assert env.lib_version()[0] == lib_version


@settings(deadline=None, max_examples=60)
@given(
    records=st.dictionaries(st.binary(min_size=1, max_size=20), st.binary(max_size=40)),
    printable=st.booleans(),
)
def test_any_bytes_there_and_back(tmp_path_factory, records, printable):
    folder = tmp_path_factory.mktemp("dump")
    with pylmdb.open(folder / "a") as env, env.begin(write=True) as txn:
        for record in records.items():
            txn.put(*record)
    load_text(text_of(folder / "a", printable=printable), folder / "b")
    assert everything(folder / "b") == ({}, sorted(records.items()))


def test_paths_files_and_environments(tmp_path, lib_version):
    path = fill(tmp_path / "e", lib_version)
    count = pylmdb.dump(path, tmp_path / "text")
    assert pylmdb.load(tmp_path / "text", tmp_path / "one.mdb", subdir=False) == count
    assert (tmp_path / "one.mdb").is_file()
    with pylmdb.open(path) as env, open(tmp_path / "again", "wb") as file:
        assert pylmdb.dump(env, file) == count
    assert (tmp_path / "again").read_bytes() == (tmp_path / "text").read_bytes()
    with pylmdb.open(tmp_path / "other", lib_version=lib_version) as env:
        assert pylmdb.load(tmp_path / "text", env) == count
    assert everything(tmp_path / "other") == everything(path)


def test_one_snapshot(tmp_path, lib_version):
    """Commits during the dump are not in it."""
    path = fill(tmp_path / "e", lib_version)
    before = text_of(path)
    with pylmdb.open(path) as env:

        class Meddler(io.BytesIO):
            def write(self, data):
                with env.begin(write=True) as txn:
                    txn.put(b"meddled", b"", db=env.open_db(b"plain", txn))
                return super().write(data)

        out = Meddler()
        pylmdb.dump(env, out)
    assert out.getvalue() == before
    assert b"6d6564646c6564" in text_of(path)


def test_the_databases_argument(tmp_path, lib_version):
    path = fill(tmp_path / "e", lib_version, main=False)
    assert b"database=" in text_of(path).split(b"HEADER=END")[0], "main has no records of its own"
    assert text_of(path) == text_of(path, "named") == text_of(path, sorted(FLAGS))
    assert text_of(path, [b"plain", None]) == text_of(path, [b"plain"]) + text_of(path, "main")
    assert text_of(path, "main").count(b"\n ") == 2 * len(FLAGS), "with the databases as records"
    with pytest.raises(pylmdb.NotFoundError):
        text_of(path, [b"missing"])
    with pytest.raises(ValueError, match="'all', 'main', 'named'"):
        text_of(path, "plain")
    with pylmdb.open(tmp_path / "empty", lib_version=lib_version):
        pass
    assert text_of(tmp_path / "empty").endswith(b"HEADER=END\nDATA=END\n")


# -- how it is loaded ----------------------------------------------------------------------


def test_names_and_existing_records(tmp_path, lib_version):
    text = HEADER % b"print" + b"HEADER=END\n a\n 1\n b\n 2\nDATA=END\n"
    path = tmp_path / "e"
    assert load_text(text, path, b"named", lib_version=lib_version) == 2
    with pylmdb.open(path) as env, env.begin(write=True) as txn:
        txn.put(b"a", b"kept", db=env.open_db(b"named", txn))
    assert load_text(text, path, b"named", overwrite=False) == 0
    assert everything(path)[0][b"named"][1] == [(b"a", b"kept"), (b"b", b"2")]
    assert load_text(text, path, b"named") == 2
    assert everything(path)[0][b"named"][1] == [(b"a", b"1"), (b"b", b"2")]


def test_plain_text(tmp_path, lib_version):
    assert load_text(b"b\n2\\00\na\n\n", tmp_path / "e", plain=True, lib_version=lib_version) == 2
    assert everything(tmp_path / "e")[1] == [(b"a", b""), (b"b", b"2\0")]


def test_an_order_that_only_the_program_knows(tmp_path, lib_version):
    records = [(b"c", b"3"), (b"a", b"2"), (b"a", b"1"), (b"b", b"9")] + [
        (b"%04d" % i, b"v" * 50) for i in reversed(range(3000))
    ]
    lines = b"".join(b" %b\n %b\n" % record for record in records)
    text = (HEADER % b"print").replace(b"db_p", b"dupsort=1\ndb_p") + b"HEADER=END\n" + lines
    load_text(text + b"DATA=END\n", tmp_path / "e", b"d", append=True, lib_version=lib_version)
    assert everything(tmp_path / "e")[0][b"d"][1] == records
    more = text.partition(b"HEADER=END\n")[0] + b"HEADER=END\n 0000\n 0\n z\n z\n"
    load_text(more + b"DATA=END\n", tmp_path / "e", b"d", append=True)
    assert everything(tmp_path / "e")[0][b"d"][1] == [*records, (b"0000", b"0"), (b"z", b"z")]


@pytest.mark.parametrize("append", [False, True])
def test_many_values_of_a_key(tmp_path, lib_version, append):
    """Their trees are built, in several batches of text."""
    records = [(b"%d" % (i // 20_000), b"%08d" % i) for i in range(50_000)]
    lines = b"".join(b" %b\n %b\n" % record for record in records)
    header = (HEADER % b"print").replace(b"db_p", b"dupsort=1\ndupfixed=1\ndb_p")
    text = header + b"HEADER=END\n" + lines + b"DATA=END\n"
    dest = tmp_path / "e"
    assert load_text(text, dest, b"d", append=append, lib_version=lib_version) == len(records)
    assert everything(dest)[0][b"d"][1] == records
    assert load_text(text, dest, b"d", overwrite=False) == 0
    assert load_text(text, dest, b"d") == len(records)
    assert everything(dest)[0][b"d"][1] == records
    assert pylmdb.verify(dest).ok


def test_a_width_that_other_values_do_not_have_is_refused(tmp_path, lib_version):
    header = (HEADER % b"print").replace(b"db_p", b"dupsort=1\ndupfixed=1\ndb_p")
    text = header + b"HEADER=END\n a\n 22\n a\n 333\nDATA=END\n"
    line = 2 + text[: text.index(b" 333")].count(b"\n") - 1
    for append in (False, True):
        with pytest.raises(pylmdb.BadValsizeError, match=f"load: line {line}"):
            load_text(text, tmp_path / "e", b"d", append=append, lib_version=lib_version)


def test_sorted_records_fill_their_pages(tmp_path, lib_version):
    lines = b"".join(b" %06d\n %b\n" % (i, b"v" * 100) for i in range(5000))
    text = HEADER % b"print" + b"HEADER=END\n" + lines + b"DATA=END\n"
    load_text(text, tmp_path / "e", lib_version=lib_version)
    with pylmdb.open(tmp_path / "e") as env:
        assert env.stat().leaf_pages < 5000 * 120 / 4096 * 1.1


def test_headers_of_others(tmp_path, lib_version):
    """Berkeley DB writes only ``duplicates``, and a flag of 0 is not set."""
    header = b"VERSION=3\nformat=print\ntype=btree\nduplicates=1\nintegerkey=0\nHEADER=END\n"
    text = header + b" a\n 2\n a\n 1\nDATA=END\n"
    load_text(text, tmp_path / "e", b"d", lib_version=lib_version)
    flags, records = everything(tmp_path / "e")[0][b"d"]
    assert (flags.dupsort, flags.integerkey, records) == (True, False, [(b"a", b"1"), (b"a", b"2")])
    with pytest.warns(UserWarning, match="line 2: b'geometry' is not a known field; it is ignored"):
        load_text(b"VERSION=3\ngeometry=1\nHEADER=END\nDATA=END\n", tmp_path / "e")


WHOLE = HEADER % b"bytevalue" + b"HEADER=END\n 61\n 62\nDATA=END\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "^load: the text is empty; give what"),
        (WHOLE[:15], "line 2: the dump is truncated"),
        (b"VERSION=3\n", "inside a header"),
        (b"VERSION=4\n" + WHOLE, "line 1: VERSION"),
        (WHOLE.replace(b"bytevalue", b"octal"), "line 2: format"),
        (WHOLE.replace(b"btree", b"hash"), "line 3: type"),
        (b"junk\n" + WHOLE, "line 1: a header has lines"),
        (WHOLE[:-9], "line 9: the dump is truncated: it ends without DATA=END"),
        (WHOLE[:-10], "line 9: the dump is truncated: this line has no line break"),
        (WHOLE[:-13] + b"DATA=END\n", "the last key has no value"),
        (WHOLE.replace(b" 61", b"61"), "line 8: a line of a record must begin with a space"),
        (WHOLE.replace(b"61", b"6"), "line 8: not hexadecimal"),
        (WHOLE.replace(b"61", b"6g"), "line 8: not hexadecimal"),
        (WHOLE.replace(b"bytevalue", b"print").replace(b"61", b"\\6"), "line 8: a backslash"),
        (WHOLE + b"more\n", "line 11: a header has lines"),
    ],
)  # fmt: skip
def test_invalid_text(tmp_path, lib_version, text, message):
    with pytest.raises(pylmdb.InvalidParameterError, match=message):
        load_text(text, tmp_path / "e", lib_version=lib_version)
    assert os.listdir(tmp_path) == []
    fill(tmp_path / "e", lib_version)
    before = everything(tmp_path / "e")
    with pytest.raises(pylmdb.InvalidParameterError, match=message):
        load_text(text, tmp_path / "e")
    assert everything(tmp_path / "e") == before


def test_records_that_do_not_fit(tmp_path, lib_version):
    empty = WHOLE.replace(b" 61\n", b" 63\n 64\n \n")
    with pytest.raises(pylmdb.BadValsizeError, match="line 11"):
        load_text(empty, tmp_path / "e", lib_version=lib_version)
    fill(tmp_path / "f", lib_version)
    with pytest.raises(pylmdb.IncompatibleError, match="other flags"):
        load_text(WHOLE, tmp_path / "f", b"several")
    assert not (tmp_path / "e").exists()


def test_progress(tmp_path, lib_version):
    path = fill(tmp_path / "e", lib_version)
    calls = []
    count = pylmdb.dump(path, tmp_path / "text", progress=lambda *step: calls.append(step))
    assert calls[-1] == (count, count)
    calls.clear()
    pylmdb.load(tmp_path / "text", tmp_path / "f", progress=lambda *step: calls.append(step))
    size = os.stat(tmp_path / "text").st_size
    assert calls[-1] == (size, size)


def test_a_file_that_exists_is_kept(open_env, tmp_path):
    env = open_env()
    env.open_db(b"x")
    text = tmp_path / "text"
    pylmdb.dump(env, text)
    whole = text.read_bytes()
    text.write_bytes(b"old")
    with pytest.raises(pylmdb.PathExistsError, match=r"'.*text' exists; overwrite=True") as found:
        pylmdb.dump(env, text)
    assert found.value.filename == str(text)
    with pytest.raises(pylmdb.NotFoundError):
        pylmdb.dump(env, text, [b"missing"], overwrite=True)
    assert text.read_bytes() == b"old"
    text.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to("text")
    pylmdb.dump(env, link, overwrite=True)
    assert link.is_symlink()
    assert (text.read_bytes(), text.stat().st_mode & 0o777) == (whole, 0o640)
    pylmdb.dump(env, os.devnull)
    with pytest.raises(pylmdb.PathNotFoundError, match="its directory does not exist"):
        pylmdb.dump(env, tmp_path / "none" / "text")
    with pytest.raises(pylmdb.Error, match="is a directory"):
        pylmdb.dump(env, tmp_path, overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["env", "link", "text"]


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="this system has no files below /dev")
def test_a_regular_file_below_dev_is_kept(open_env):
    env = open_env()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        text = Path(folder, "text")
        text.write_bytes(b"old")
        with pytest.raises(pylmdb.PathExistsError):
            pylmdb.dump(env, text)
        assert text.read_bytes() == b"old"
        pylmdb.dump(env, text, overwrite=True)
        assert text.read_bytes().startswith(b"VERSION=3")


def test_an_open_descriptor_is_written_to(open_env, tmp_path):
    env = open_env()
    pylmdb.dump(env, tmp_path / "text")
    with open(tmp_path / "redirected", "w+b") as file:
        link = tmp_path / "link"
        link.symlink_to(f"/dev/fd/{file.fileno()}")
        pylmdb.dump(env, link)
        file.seek(0)
        assert file.read() == (tmp_path / "text").read_bytes()


def test_a_directory_of_descriptors_is_a_directory(open_env, tmp_path):
    env = open_env()
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        for path in "/dev/fd", "/dev/fd/", f"/dev/fd/{folder}":
            with pytest.raises(pylmdb.Error, match="is a directory; name a file"):
                pylmdb.dump(env, path)
    finally:
        os.close(folder)


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_what_an_open_descriptor_has_written_before_is_kept(open_env, tmp_path, mode):
    """As in a shell: pylmdb dump env -f /dev/stdout >> log."""
    env = open_env()
    pylmdb.dump(env, tmp_path / "text")
    with open(tmp_path / "log", mode) as file:
        for part in (b"before\n", b"between\n"):
            file.write(part)
            file.flush()
            pylmdb.dump(env, f"/dev/fd/{file.fileno()}")
        file.write(b"after")
    text = (tmp_path / "text").read_bytes()
    assert (tmp_path / "log").read_bytes() == b"before\n%sbetween\n%safter" % (text, text)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux's /proc")
def test_a_descriptor_of_another_process_is_appended_to(open_env, tmp_path):
    env = open_env()
    pylmdb.dump(env, tmp_path / "text")
    with open(tmp_path / "log", "wb") as file:
        file.write(b"before\n")
        file.flush()
        with subprocess.Popen(["sleep", "100"], stdout=file) as other:
            pylmdb.dump(env, f"/proc/{other.pid}/fd/1")
            other.kill()
    assert (tmp_path / "log").read_bytes() == b"before\n" + (tmp_path / "text").read_bytes()


def test_a_file_that_appears_meanwhile_is_kept(open_env, tmp_path):
    env, text = open_env(), tmp_path / "text"
    with pytest.raises(pylmdb.PathExistsError):
        pylmdb.dump(env, text, progress=lambda *_: text.write_bytes(b"other"))
    assert text.read_bytes() == b"other"


def test_a_pipe_is_written_to(open_env, tmp_path):
    env, pipe = open_env(), tmp_path / "pipe"
    os.mkfifo(pipe)
    found = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    pylmdb.dump(env, pipe)
    reader.join()
    assert found[0].startswith(b"VERSION=3")


@pytest.mark.parametrize("missing", ["missing", "missing/env", "a file/env", "empty"])
def test_a_source_that_does_not_exist(tmp_path, missing):
    """The operation is named, and no advice to create what is to be read."""
    (tmp_path / "a file").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    source, new = tmp_path / missing, tmp_path / "new"
    for name, call in {
        "dump": lambda: pylmdb.dump(source, new),
        "merge": lambda: pylmdb.merge([source], new),
        "convert": lambda: pylmdb.convert(source, new, 1),
    }.items():
        with pytest.raises(pylmdb.PathNotFoundError) as found:
            call()
        path = source / "data.mdb" if missing == "empty" else source
        assert str(found.value).startswith(f"{name}: '{path}' does not exist [")
        assert found.value.filename == str(path)
    assert sorted(os.listdir(tmp_path)) == ["a file", "empty"]


@pytest.mark.parametrize("databases", ["al", b"main"])
def test_databases_that_are_not_known(open_env, tmp_path, databases):
    words = r"dump: databases must be one of 'all', 'main', 'named' or a list of names, not b?'"
    with pytest.raises(pylmdb.InvalidParameterError, match=words) as found:
        pylmdb.dump(open_env(), tmp_path / "text", databases)
    assert str(found.value).endswith("did you mean 'all'?") == (databases == "al")


@pytest.mark.parametrize("missing", ["missing", "missing/text", "a file/text"])
def test_a_text_that_does_not_exist(tmp_path, missing):
    (tmp_path / "a file").write_bytes(b"")
    with pytest.raises(pylmdb.PathNotFoundError, match=f"load: '.*{missing}' does not exist"):
        pylmdb.load(tmp_path / missing, tmp_path / "new")
    with pytest.raises(pylmdb.PathNotFoundError, match="its parent directory does not exist"):
        pylmdb.load(tmp_path / "a file", tmp_path / "none" / "new")
    assert os.listdir(tmp_path) == ["a file"]
