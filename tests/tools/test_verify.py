# SPDX-License-Identifier: MIT
"""``pylmdb.verify`` and ``open(verify=True)``: arguments, messages, interrupts."""

import importlib
import inspect
import json
import os
import pickle
import subprocess
import sys
import threading

import pytest

import pylmdb
from pylmdb import verify
from pylmdb._environment import verification as _verification
from pylmdb.tools.verification import CheckedDatabase, Finding, Report

PAGE = 4096


@pytest.fixture
def path(tmp_path):
    """Return a directory with a file of 3,000 records in the main database and 10 in another."""
    folder = tmp_path / "env"
    with pylmdb.open(folder, sync=False) as env:
        db = env.open_db(b"name\xff")
        with env.begin(write=True) as txn:
            for i in range(3000):
                txn.put(b"%05d" % i, bytes(100))
            for i in range(10):
                txn.put(b"%05d" % i, b"", db=db)
    return folder


@pytest.fixture
def damaged(path):
    """Return the same file with a leaf page of zeros."""
    data = bytearray((path / "data.mdb").read_bytes())
    start = data.index(b"01000") // PAGE * PAGE
    data[start : start + PAGE] = bytes(PAGE)
    (path / "data.mdb").write_bytes(data)
    return path, start // PAGE


# ---- the report ----


def test_the_report_of_a_healthy_file(path):
    report = pylmdb.verify(path)
    assert isinstance(report, Report)
    assert report.ok is True
    assert (report.findings, report.errors, report.omitted) == ((), 0, 0)
    main, named = report.databases
    assert (main.name, main.entries, main.readable, main.damaged) == (None, 3001, 3001, 0)
    assert (named.name, named.entries, named.pages, named.depth) == (b"name\xff", 10, 1, 1)
    assert (report.format, report.page_size, report.txnid) == (1, PAGE, 2)
    assert report.size == (path / "data.mdb").stat().st_size
    assert report.path == str(path / "data.mdb")
    assert not report.changed
    assert report.seconds > 0
    assert str(report).splitlines() == [
        f"{path}/data.mdb: ok",
        "  format 1 (LMDB 0.9), pages of 4096 bytes, transaction 2",
        f"  {report.pages} pages: {report.used} in use, {report.free} free, 0 neither",
        f"  main database: 3,001 entries on {main.pages} pages",
        "  database b'name\\xff': 10 entries on 1 page",
    ]


def test_the_report_of_a_damaged_file(damaged):
    path, page = damaged
    report = pylmdb.verify(path)
    assert report.ok is False
    assert (report.ok, report.errors) == (False, 1)
    (finding,) = report.findings
    assert (finding.severity, finding.page, finding.where) == ("error", page, "main database")
    assert finding.database is None
    assert str(finding) == f"page {page}, main database: its header has the number 0"
    main = report.databases[0]
    assert (main.damaged, main.entries) == (1, 3001)
    assert main.lost == main.entries - main.readable > 10
    assert f"{main.readable:,} of 3,001 entries can be read" in str(report)
    assert str(report).splitlines()[0].endswith(": damaged, 1 error")


def test_the_report_as_json(damaged):
    path, page = damaged
    report = pylmdb.verify(path)
    found = json.loads(json.dumps(report.as_dict()))
    assert found["ok"] is False
    assert found["findings"][0]["page"] == page
    assert found["databases"][0]["lost"] == report.databases[0].lost
    assert found["databases"][1]["name"] == "name\\xff"
    assert found["databases"][1]["pages"] == 1


def test_reports_are_values(path):
    report = pylmdb.verify(path)
    with pytest.raises(AttributeError):
        report.errors = 3
    assert pickle.loads(pickle.dumps(report)) == report
    assert isinstance(report.databases[0], CheckedDatabase)
    assert Finding("note", None, "file", None, "x") == Finding("note", None, "file", None, "x")


def test_only_so_many_findings_are_kept(path, monkeypatch):
    data = bytearray((path / "data.mdb").read_bytes())
    for start in range(2 * PAGE, len(data), PAGE):
        if data[start + 10] == 2:
            data[start + 12] += 1
    (path / "data.mdb").write_bytes(data)
    everything = pylmdb.verify(path)
    monkeypatch.setattr(_verification, "MOST_FINDINGS", 5)
    some = pylmdb.verify(path)
    assert len(some.findings) == 5
    assert some.findings == everything.findings[:5]
    assert some.omitted == everything.errors - 5 > 30
    assert f"and {some.omitted:,} more findings" in str(some)


# ---- paths ----


def test_paths(path, tmp_path, monkeypatch):
    file = path / "data.mdb"
    for each in (path, str(path), os.fsencode(path), file, str(file)):
        assert pylmdb.verify(each).path == str(file)
    assert pylmdb.verify(path, subdir=True).ok
    assert pylmdb.verify(file, subdir=False).ok
    monkeypatch.chdir(tmp_path)
    assert pylmdb.verify("env").path == str(file)


def test_what_is_no_file(path, tmp_path):
    with pytest.raises(pylmdb.PathNotFoundError):
        pylmdb.verify(tmp_path / "nothing")
    with pytest.raises(pylmdb.PathNotFoundError):
        pylmdb.verify("")
    with pytest.raises(pylmdb.InvalidError, match="not a regular file"):
        pylmdb.verify(path, subdir=False)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(pylmdb.InvalidError, match="not a regular file"):
        pylmdb.verify(tmp_path / "fifo")
    with pytest.raises(TypeError):
        pylmdb.verify(5)
    with pytest.raises(TypeError):
        pylmdb.verify(path, None)


def test_the_file_is_only_read(path):
    file = path / "data.mdb"
    file.chmod(0o400)
    before = file.read_bytes(), file.stat().st_mtime_ns, sorted(os.listdir(path))
    assert pylmdb.verify(path).ok
    assert (file.read_bytes(), file.stat().st_mtime_ns, sorted(os.listdir(path))) == before


def test_an_empty_file_is_a_new_one(tmp_path):
    (tmp_path / "data.mdb").touch()
    report = pylmdb.verify(tmp_path)
    assert report.ok
    assert "it is empty" in str(report)
    assert report.databases == ()
    with pylmdb.open(tmp_path, verify=True) as env:
        assert env.stat()["entries"] == 0


@pytest.mark.parametrize("content", [b"x", b"text\n" * 5000, bytes(20_000)])
def test_other_files(tmp_path, content):
    (tmp_path / "data.mdb").write_bytes(content)
    report = pylmdb.verify(tmp_path)
    assert not report.ok
    assert report.format is None
    with pytest.raises(pylmdb.InvalidError):
        pylmdb.open(tmp_path, verify=True)


# ---- progress ----


def test_progress(path):
    calls = []
    report = pylmdb.verify(path, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (report.pages, report.pages)
    assert calls == sorted(calls)


def test_what_progress_raises_ends_the_check(path):
    def stop(done, total):
        raise KeyboardInterrupt(done, total)

    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(KeyboardInterrupt):
        pylmdb.verify(path, progress=stop)
    with pytest.raises(TypeError):
        pylmdb.verify(path, progress=5)
    assert len(os.listdir("/proc/self/fd")) == before
    assert pylmdb.verify(path).ok


def test_a_file_that_is_cut_short_meanwhile(tmp_path):
    path = tmp_path / "env"
    with pylmdb.open(path, sync=False) as env, env.begin(write=True) as txn:
        for i in range(100_000):
            txn.put(b"%06d" % i, bytes(300))
    calls = []

    def cut(done, total):
        calls.append(done)
        os.truncate(path / "data.mdb", 5 * PAGE)

    report = pylmdb.verify(path, progress=cut)
    assert len(calls) > 1
    assert not report.ok
    assert any(finding.text == "it cannot be read" for finding in report.findings)


def test_a_file_that_is_written_to_meanwhile(path):
    with pylmdb.open(path, sync=False) as env:

        def write(done, total):
            with env.begin(write=True) as txn:
                txn.put(b"more", b"data")

        report = pylmdb.verify(path, progress=write)
        assert report.changed
        assert report.ok
        assert "written to while it was checked" in str(report)


def test_what_seems_damaged_is_checked_again(damaged):
    path, _ = damaged
    rounds = []
    with pylmdb.open(path, sync=False) as env:

        def write(done, total):
            if done == total:
                rounds.append(done)
                with env.begin(write=True) as txn:
                    txn.put(b"more", b"data")

        report = pylmdb.verify(path, progress=write)
    assert len(rounds) == 3
    assert report.changed
    assert not report.ok


def test_several_checks_at_once(path):
    reports = []
    threads = [
        threading.Thread(target=lambda: reports.append(pylmdb.verify(path))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [report.ok for report in reports] == [True] * 4


# ---- open(verify=True) ----


def test_open_refuses_a_damaged_file(damaged):
    path, page = damaged
    with pytest.raises(pylmdb.CorruptedError, match=f"page {page}, main database: its header"):
        pylmdb.open(path, verify=True)
    with pylmdb.open(path) as env, env.begin() as txn:
        assert txn.get(b"00000") == bytes(100)


def test_open_tells_the_first_findings(path):
    data = bytearray((path / "data.mdb").read_bytes())
    for start in range(2 * PAGE, len(data), PAGE):
        if data[start + 10] == 2:
            data[start] ^= 0x80
    (path / "data.mdb").write_bytes(data)
    report = pylmdb.verify(path)
    with pytest.raises(pylmdb.CorruptedError, match=f"and {report.errors - 3} more"):
        pylmdb.open(path, verify=True)


def test_open_checks_only_what_it_opens_first(damaged, monkeypatch):
    path, _ = damaged
    with pylmdb.open(path) as env:
        assert not pylmdb.open(path, verify=True).closed
        copy = pickle.dumps(env)
    monkeypatch.setattr(_verification, "verify_file", None)
    pickle.loads(copy).close()


def test_open_makes_a_new_file(tmp_path):
    with pylmdb.open(tmp_path / "new", verify=True) as env:
        assert not env.closed
    with pytest.raises(pylmdb.Error):
        pylmdb.open(tmp_path / "other", create=False, verify=True)


def test_a_pickled_environment_is_not_checked_again(path, monkeypatch):
    checked = []
    original = _verification.verify_file

    def count(*args):
        checked.append(args)
        return original(*args)

    monkeypatch.setattr(_verification, "verify_file", count)
    with pylmdb.open(path, verify=True) as env:
        copy = pickle.dumps(env)
    assert len(checked) == 1
    pickle.loads(copy).close()
    assert len(checked) == 1


def test_nothing_of_it_is_imported_before(path):
    source = (
        "import sys, pylmdb; pylmdb.open(sys.argv[1]).close();"
        "assert 'pylmdb._environment.verification' not in sys.modules;"
        "print(pylmdb.verify(sys.argv[1]).ok)"
    )
    out = subprocess.check_output([sys.executable, "-c", source, str(path)], text=True)
    assert out == "True\n"


# ---- py-lmdb's form ----


def test_py_lmdb_s_form_gives_the_problems(path, tmp_path):
    assert verify.verify(path) == []
    assert verify.verify(str(path), True) == []
    (tmp_path / "other").write_bytes(b"text" * 4096)
    with pytest.raises(verify.VerifyError, match="other"):
        verify.verify(tmp_path / "other", subdir=False)
    with pytest.raises(pylmdb.PathNotFoundError):
        verify.verify(tmp_path / "missing")


def test_py_lmdb_s_form_of_a_damaged_file(damaged):
    problems = verify.verify(damaged[0])
    assert len(problems) == pylmdb.verify(damaged[0]).errors > 0
    assert f"page {damaged[1]}" in problems[0]


def test_the_module_is_the_function(path):
    assert importlib.import_module("pylmdb.verify") is pylmdb.verify is verify
    assert pylmdb.verify(path, subdir=True).ok
    assert inspect.signature(pylmdb.verify) == inspect.signature(pylmdb.tools.verify)


def test_a_report_has_no_truth_value(path):
    report = pylmdb.verify(path)
    with pytest.raises(TypeError, match=r"report\.ok"):
        bool(report)
