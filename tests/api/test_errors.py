# SPDX-License-Identifier: MIT
"""Exceptions: one tree, a class for every code of both engines, and situations that raise them."""

import builtins
import errno
import os
import pickle
import re
import resource
import struct
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import lmdb
import pytest
from project import ROOT

import pylmdb
from pylmdb import errors, lowlevel

HEADERS = ROOT / "lib" / "liblmdb"

# py-lmdb's class for each liblmdb code that LMDB 0.9 has; the names are its public API.
PY_LMDB_CLASSES = {
    "MDB_KEYEXIST": "KeyExistsError",
    "MDB_NOTFOUND": "NotFoundError",
    "MDB_PAGE_NOTFOUND": "PageNotFoundError",
    "MDB_CORRUPTED": "CorruptedError",
    "MDB_PANIC": "PanicError",
    "MDB_VERSION_MISMATCH": "VersionMismatchError",
    "MDB_INVALID": "InvalidError",
    "MDB_MAP_FULL": "MapFullError",
    "MDB_DBS_FULL": "DbsFullError",
    "MDB_READERS_FULL": "ReadersFullError",
    "MDB_TLS_FULL": "TlsFullError",
    "MDB_TXN_FULL": "TxnFullError",
    "MDB_CURSOR_FULL": "CursorFullError",
    "MDB_PAGE_FULL": "PageFullError",
    "MDB_MAP_RESIZED": "MapResizedError",
    "MDB_INCOMPATIBLE": "IncompatibleError",
    "MDB_BAD_RSLOT": "BadRslotError",
    "MDB_BAD_TXN": "BadTxnError",
    "MDB_BAD_VALSIZE": "BadValsizeError",
    "MDB_BAD_DBI": "BadDbiError",
    "MDB_PROBLEM": "ProblemError",
    "MDB_BAD_CHECKSUM": "BadChecksumError",
    "MDB_CRYPTO_FAIL": "CryptoFailError",
    "MDB_ENV_ENCRYPTION": "EnvEncryptionError",
}
SYSTEM_CLASSES = {
    "EACCES": "ReadonlyError",
    "EINVAL": "InvalidParameterError",
    "EAGAIN": "LockError",
    "ENOMEM": "MemoryError",
    "ENOSPC": "DiskError",
    "EIO": "DiskError",
}


def header_codes():
    """Every error code that the placed headers define: name -> number.

    A code is -30xxx, or another code that it is an alias of.
    """
    found = {}
    for header in sorted(HEADERS.glob("*/lmdb.h")):
        text = header.read_text()
        for name, number in re.findall(r"#define\s+(MDB_\w+)\s+\((-30\d\d\d)\)", text):
            found[name] = int(number)
    return found


CODES = header_codes()
CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, errors.Error)
]


# -- the tree ----------------------------------------------------------------------------


def test_the_headers_were_read():
    assert CODES["MDB_KEYEXIST"] == -30799
    assert len(CODES) > 25


def test_both_engines_have_these_codes():
    for engine in lowlevel.engines():
        for name, number in CODES.items():
            assert getattr(engine.lib, name) == number


@pytest.mark.parametrize("name", CODES)
def test_every_code_has_a_class_of_its_own(name):
    raised = errors.error("what", CODES[name])
    assert type(raised) is not errors.Error
    assert type(raised).__name__ == PY_LMDB_CLASSES.get(name, type(raised).__name__)
    assert raised.code == CODES[name]
    assert raised.what == "what"
    assert raised.reason.startswith(f"{name}: ")
    assert str(raised).startswith(f"what: {name}: ")


def test_no_two_codes_of_liblmdb_share_a_class_but_read_only():
    classes = [type(errors.error("what", number)) for number in CODES.values()]
    assert len(set(classes)) == len(classes)


@pytest.mark.parametrize("name", SYSTEM_CLASSES)
def test_classes_of_the_system_s_codes(name):
    number = getattr(errno, name)
    raised = errors.error("mdb_env_open", number)
    assert type(raised).__name__ == SYSTEM_CLASSES[name]
    assert (raised.code, raised.reason) == (number, os.strerror(number))
    assert os.strerror(number) in str(raised)


@pytest.mark.parametrize("code", [1, errno.ENXIO, errno.EPERM, -30000, -1, 9999])
def test_a_code_without_a_class_is_an_error(code):
    raised = errors.error("mdb_x", code)
    assert type(raised) is errors.Error
    assert raised.code == code
    assert str(raised).startswith("mdb_x: ")


BUILTIN_BASES = {
    "DiskError": OSError,
    "ReadonlyError": PermissionError,
    "FileSystemError": OSError,
    "LockFileError": PermissionError,
    "PathError": OSError,
    "PathExistsError": FileExistsError,
    "PathNotFoundError": FileNotFoundError,
    "InvalidParameterError": ValueError,
    "LockTimeoutError": TimeoutError,
    "MemoryError": builtins.MemoryError,
    "ShortWriteError": OSError,
}


def test_no_other_class_is_a_builtin_exception_too():
    for cls in CLASSES:
        allowed = BUILTIN_BASES.get(cls.__name__, object).__mro__
        assert set(cls.__mro__) - {*CLASSES, Exception, BaseException} <= {*allowed, object}


def test_a_handler_for_a_program_s_own_data_does_not_hide_an_ended_transaction(env):
    def count():
        try:
            return int(txn.get(b"count"))
        except (ValueError, LookupError):
            return 0

    with env.begin(write=True) as txn:
        txn.put(b"count", b"many")
        assert count() == 0
    with pytest.raises(pylmdb.ClosedError):
        count()


@pytest.mark.parametrize("name", BUILTIN_BASES)
def test_classes_that_are_builtin_exceptions_too(name):
    cls = getattr(pylmdb, name)
    assert issubclass(cls, BUILTIN_BASES[name])
    assert issubclass(cls, pylmdb.Error)


def test_os_errors_have_errno():
    for code in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
        raised = errors.error("mdb_txn_commit", code)
        assert isinstance(raised, OSError)
        assert (raised.errno, raised.strerror) == (code, os.strerror(code))
    raised = errors.error("mdb_put", errno.EACCES)
    assert raised.errno == errno.EACCES
    assert errors.LockTimeoutError("begin").errno != 0


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class(cls):
    assert getattr(pylmdb, cls.__name__) is cls
    assert cls.__doc__
    empty = cls()
    assert (empty.what, empty.code, empty.reason) == ("", 0, "")
    assert cls("what").what == "what"
    assert str(cls("what")).startswith("what")
    with pytest.raises(cls):
        raise cls("mdb_put", -30792)
    with pytest.raises(pylmdb.Error):
        raise cls("x")


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling(cls, protocol):
    for raised in (cls("mdb_put", -30792), cls("what"), cls("what", 5, hint="do this"), cls()):
        again = pickle.loads(pickle.dumps(raised, protocol))
        assert type(again) is cls
        assert str(again) == str(raised)
        assert (again.what, again.code, again.reason) == (raised.what, raised.code, raised.reason)
        assert getattr(again, "errno", None) == getattr(raised, "errno", None)


def test_the_message_of_a_key_error_is_not_quoted():
    assert str(errors.NotFoundError("mdb_get", -30798)).startswith("mdb_get: MDB_NOTFOUND: ")


def test_the_message_of_a_cursor_without_a_position_says_to_move_it(env):
    dups = env.open_db(b"dups", dupsort=True)
    with env.begin() as txn, txn.cursor(dups) as cursor:
        with pytest.raises(pylmdb.InvalidParameterError, match="has no position; move it"):
            cursor.first_dup()
        with pytest.raises(pylmdb.InvalidParameterError, match="has no position; move it"):
            cursor.count()


def test_py_lmdb_s_message_forms():
    raised = errors.error("mdb_put", -30792)
    assert str(raised).startswith("mdb_put: MDB_MAP_FULL: ")
    assert "Please use a larger Environment(map_size=) parameter" in str(raised)
    assert "Environment(max_dbs=)" in str(errors.error("mdb_dbi_open", -30791))
    assert "Environment(max_readers=)" in str(errors.error("mdb_txn_begin", -30790))


ROW = re.compile(r"^\| `(\w+)` \| (.+) \| (.+) \| (?:`(\w+)`|-) \|$", re.MULTILINE)


def test_the_page_on_errors_has_every_class_once_and_its_class_of_py_lmdb():
    rows = ROW.findall((ROOT / "docs" / "reference" / "errors.md").read_text("utf-8"))
    assert sorted(name for name, *_ in rows) == sorted({c.__name__ for c in CLASSES} - {"Error"})
    for name, _, _, theirs in rows:
        if hasattr(lmdb, name):
            assert theirs == name
        elif theirs:
            assert issubclass(getattr(errors, name), getattr(errors, theirs))
            assert issubclass(getattr(lmdb, theirs), lmdb.Error)


def test_the_page_on_errors_names_every_class_that_is_a_builtin_exception():
    page = (ROOT / "docs" / "reference" / "errors.md").read_text("utf-8")
    table = re.search(r"^\| pylmdb \| also .*?\n\n", page, re.MULTILINE | re.DOTALL)[0]
    rows = re.findall(r"^\| (`.*?) \| (\w+) \|", table, re.MULTILINE)
    named = {name: base for names, base in rows for name in re.findall(r"`(\w+)`", names)}
    for name, base in named.items():
        assert BUILTIN_BASES[name] is getattr(builtins, base)
    inherited = {"LockFileError", "ShortWriteError"}  # from ReadonlyError and DiskError
    assert set(named) | inherited == set(BUILTIN_BASES)


def test_class_constants_of_py_lmdb():
    for name in PY_LMDB_CLASSES.values():
        theirs = getattr(getattr(lmdb, name), "MDB_NAME", None)
        if theirs is not None:
            assert theirs == getattr(pylmdb, name).MDB_NAME


# -- real situations -------------------------------------------------------------------------


def test_map_full_and_then_bad_txn(open_env):
    env = open_env(map_size=1 << 20)
    with env.begin(write=True) as txn:
        txn.put(b"before", b"v")
    txn = env.begin(write=True)
    with pytest.raises(pylmdb.MapFullError) as caught:
        any(not txn.put(b"%d" % n, b"v" * 10000) for n in range(1000))
    assert str(caught.value).startswith("put: the map is full; its limit is 1048576 bytes (map_")
    assert str(caught.value).endswith(" [mdb_put: MDB_MAP_FULL]")
    assert (caught.value.what, caught.value.code) == ("mdb_put", -30792)
    with pytest.raises(pylmdb.BadTxnError) as caught:
        txn.commit()
    assert caught.value.what == "mdb_txn_commit"
    assert str(caught.value).startswith("commit: an earlier operation of this transaction has fail")
    assert txn.closed
    with env.begin(write=True) as txn:
        assert list(txn.range()) == [(b"before", b"v")]
        assert txn.put(b"after", b"v")


def test_map_full_through_a_cursor(open_env):
    env = open_env(map_size=1 << 20)
    txn = env.begin(write=True)
    with pytest.raises(pylmdb.MapFullError) as caught:
        txn.cursor().putmulti((b"%d" % n, b"v" * 10000) for n in range(1000))
    assert str(caught.value).startswith("putmulti: the map is full; its limit is 1048576 bytes")
    assert str(caught.value).endswith(" [mdb_cursor_put: MDB_MAP_FULL]")
    with pytest.raises(pylmdb.BadTxnError):
        txn.put(b"k", b"v" * 5000)
    txn.abort()


def test_a_failed_transaction_is_never_reported_as_committed(open_env):
    env = open_env(map_size=1 << 20)

    def careless():
        with env.begin(write=True) as txn:
            for n in range(1000):
                try:
                    txn.put(b"%d" % n, b"v" * 10000)
                except pylmdb.MapFullError:
                    break

    with pytest.raises(pylmdb.BadTxnError):
        careless()
    assert env.stat()["entries"] == 0


def test_bad_sizes(env):
    with env.begin(write=True) as txn:
        for key in (b"", b"k" * 2000):
            with pytest.raises(pylmdb.BadValsizeError) as caught:
                txn.put(key, b"v")
            assert (caught.value.what, caught.value.code) == ("mdb_put", -30781)
        with pytest.raises(pylmdb.BadValsizeError) as caught:
            txn.get(b"")
        assert caught.value.what == "mdb_get"
        with pytest.raises(pylmdb.BadValsizeError) as caught:
            txn.delete(b"")
        assert caught.value.what == "mdb_del"


def test_readonly(env):
    with env.begin() as txn, pytest.raises(pylmdb.ReadonlyError) as caught:
        txn.put(b"k", b"v")
    assert caught.value.what == "mdb_put"
    assert isinstance(caught.value, OSError)


def test_not_found_names_the_call(env):
    with pytest.raises(pylmdb.NotFoundError) as caught:
        env.open_db(b"missing", create=False)
    assert caught.value.what == "mdb_dbi_open"
    assert caught.value.code == -30798


def test_full_tables(open_env):
    env = open_env(max_dbs=1, max_readers=1)
    env.open_db(b"one")
    with pytest.raises(pylmdb.DbsFullError) as caught:
        env.open_db(b"two")
    assert caught.value.code == -30791
    held = env.begin()
    with pytest.raises(pylmdb.ReadersFullError) as caught:
        env.begin()
    assert (caught.value.what, caught.value.code) == ("mdb_txn_begin", -30790)
    held.abort()


def test_closed_is_an_error_with_py_lmdb_s_text(env):
    txn = env.begin()
    txn.abort()
    with pytest.raises(pylmdb.ClosedError) as caught:
        txn.get(b"k")
    assert caught.value.what == "Attempt to operate on closed/deleted/dropped object."
    assert str(caught.value) == (
        "this transaction has ended; begin a new one"
        " [Attempt to operate on closed/deleted/dropped object.]"
    )
    assert caught.value.code == 0


def test_wrong_thread(env):
    caught = []

    def other(txn):
        for use in (lambda: txn.get(b"k"), lambda: txn.put(b"k", b"v"), txn.commit, txn.cursor):
            try:
                use()
            except pylmdb.WrongThreadError as error:
                caught.append(error)

    with env.begin(write=True) as txn:
        thread = threading.Thread(target=other, args=(txn,))
        thread.start()
        thread.join(10)
        assert len(caught) == 4
        assert txn.put(b"k", b"v")
    assert env.stat()["entries"] == 1


@pytest.mark.parametrize("size", [1, 100, 4096, 8192, 50_000])
def test_a_file_that_is_no_lmdb_file(open_env, env_path, size):
    os.mkdir(env_path)
    content = b"not a database! " * (size // 16 + 1)
    Path(env_path, "data.mdb").write_bytes(content[:size])
    with pytest.raises(pylmdb.InvalidError) as caught:
        open_env()
    assert caught.value.code == -30793
    assert env_path in str(caught.value)
    assert Path(env_path, "data.mdb").read_bytes() == content[:size]


@pytest.mark.parametrize("data_format", [0, 2, 4, 999])
def test_an_unknown_format(open_env, env_path, lib_version, data_format):
    open_env().close()
    offset = {0: 16, 1: 24}[lib_version]
    with open(Path(env_path, "data.mdb"), "r+b") as file:
        page = file.read(4096)
        for start in (0, 4096):
            at = start + offset
            file.seek(at)
            magic = struct.unpack("=I", file.read(4))[0]
            assert magic == 0xBEEFC0DE
            file.write(struct.pack("=I", data_format))
    assert len(page) == 4096
    with pytest.raises(pylmdb.VersionMismatchError, match=f"v{data_format}"):
        open_env(lib_version=None)


def test_a_file_too_large_for_the_disk(lib_version, env_path):
    """RLIMIT_FSIZE imitates a full disk: EFBIG, or EIO from a short write."""
    program = textwrap.dedent(
        """
        import resource, signal, sys, pylmdb
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        env = pylmdb.open(sys.argv[1], lib_version=int(sys.argv[2]), map_size=1 << 30)
        with env.begin(write=True) as txn:
            txn.put(b"before", b"v")
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        try:
            with env.begin(write=True) as txn:
                for n in range(2000):
                    txn.put(b"%d" % n, b"v" * 1000)
        except pylmdb.Error as error:
            print(isinstance(error, pylmdb.DiskError), error.what, error.errno)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        with env.begin(write=True) as txn:
            assert list(txn.range()) == [(b"before", b"v")]
            txn.put(b"after", b"v")
        print(env.stat()["entries"])
        """
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", program, env_path, str(lib_version)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.split()[:2] == ["True", "mdb_txn_commit"]
    assert int(first.split()[2]) in (errno.EIO, errno.EFBIG, errno.ENOSPC)
    assert second == "2"


def test_a_program_may_raise_one_with_any_arguments():
    for cls in (pylmdb.Error, pylmdb.DiskError):
        made = cls("a", "b")
        assert made.args == ("a", "b")
        assert str(made) == "('a', 'b')"
        assert (made.what, made.code, made.reason) == ("a", 0, "")
        again = pickle.loads(pickle.dumps(made))
        assert (type(again), again.args) == (cls, made.args)
    assert str(pylmdb.Error()) == ""


# -- what a message says ---------------------------------------------------------------------


def test_a_database_that_cannot_be_opened_is_named(open_env, lib_version):
    env = open_env()
    with env.begin(write=True) as txn:
        txn.put(b"record", b"v")
    with pytest.raises(pylmdb.NotFoundError, match="no database b'missing'; there are no named"):
        env.open_db(b"missing", create=False)
    with env.begin() as txn, pytest.raises(pylmdb.ReadonlyError, match="no database b'missing'"):
        env.open_db(b"missing", txn)
    if lib_version == 0:  # 1.0 stores names with a NUL, so the record has another key
        with pytest.raises(pylmdb.IncompatibleError, match="b'record' is the key of a record"):
            env.open_db(b"record")
    with pytest.raises(pylmdb.BadValsizeError, match="the name has 5000 bytes; names have 1 to "):
        env.open_db(b"n" * 5000)


def test_the_databases_that_exist_are_listed(open_env):
    env = open_env(max_dbs=20)
    for i in range(12):
        env.open_db(b"db%02d" % i)
    with pytest.raises(pylmdb.NotFoundError, match=r"; there are b'db00', .*b'db09', and 2 more "):
        env.open_db(b"missing", create=False)
    with env.begin(write=True) as txn:
        with pytest.raises(pylmdb.NotFoundError, match="there are b'db00', "):
            env.open_db(b"missing", txn, create=False)
        for i in range(1000):  # so many records are not searched
            txn.put(b"record %d" % i, b"v")
    with pytest.raises(pylmdb.NotFoundError, match=r"; env\.dbs\(\) lists those that exist "):
        env.open_db(b"missing", create=False)


def test_a_database_of_a_transaction_that_is_open_is_named(open_env):
    env = open_env()
    with env.begin(write=True) as txn:
        env.open_db(b"pending", txn)
        with env.begin() as reader, pytest.raises(pylmdb.NotFoundError, match="b'pending'"):
            env.open_db(b"pending", reader, create=False)


@pytest.mark.parametrize("options", [{"checksums": True}, {"page_size": 1024}])
def test_a_long_key_in_a_file_of_lmdb_1_is_not_to_be_stored_in_one(open_env, options):
    """These have a smaller limit than other files with that format."""
    env = open_env(lib_version=1, **options)
    with env.begin(write=True) as txn, pytest.raises(pylmdb.BadValsizeError) as caught:
        txn.put(b"k" * (env.max_key_size() + 1), b"")
    assert "; hash long keys [" in str(caught.value)


def test_a_key_or_value_that_does_not_fit_is_measured(open_env):
    env = open_env()
    dups = env.open_db(b"dups", dupsort=True)
    with env.begin(write=True) as txn:
        limit = rf"this environment allows 1 to {env.max_key_size()} bytes \(max_key_size\(\)\)"
        with pytest.raises(pylmdb.BadValsizeError, match=f"key has 5000 bytes; {limit}; hash"):
            txn.put(b"k" * 5000, b"")
        with pytest.raises(pylmdb.BadValsizeError, match=f"key is empty; {limit}; LMDB"):
            txn.put(b"", b"")
        limit = rf"values of the database b'dups' \(dupsort\) have 1 to {env.max_key_size()} "
        for value, given in ((b"v" * 5000, "has 5000 bytes"), (b"", "is empty")):
            for put in (txn.put, txn.replace, txn.cursor(dups).put, txn.cursor(dups).replace):
                options = {} if put.__self__ is not txn else {"db": dups}
                with pytest.raises(pylmdb.BadValsizeError, match=f"value {given}; {limit}"):
                    put(b"k", value, **options)
        numbers = env.open_db(b"numbers", txn=txn, integerkey=True)
        with pytest.raises(pylmdb.BadValsizeError, match="key has 3 bytes; keys of the "):
            txn.put(b"abc", b"", db=numbers)
        assert txn.put(b"abcd", b"", db=numbers)
        with pytest.raises(pylmdb.BadValsizeError, match=r"key has 8 bytes; the keys .* have 4; "):
            txn.put(b"abcdefgh", b"ab", db=numbers)
