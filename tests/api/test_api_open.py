# SPDX-License-Identifier: MIT
"""Opening an environment: paths, and every option."""

import os
import pickle
import stat
from pathlib import Path

import pytest
from dropped import free

import pylmdb

DATA_VERSIONS = {0: (0, 9, 36), 1: (1, 0, 2)}


def test_open_makes_a_directory_with_two_files(open_env, env_path):
    env = open_env()
    assert sorted(os.listdir(env_path)) == ["data.mdb", "lock.mdb"]
    assert env.path() == env_path
    assert env.flags()["subdir"] is True


def test_positional_arguments_mean_what_they_mean_in_py_lmdb(open_env, env_path, lib_version):
    env = open_env(
        env_path, 1 << 22, False, False, False, False, True, 0o600, True, False, True, False,
        7, 3, 1, False, lib_version=lib_version,
    )  # fmt: skip
    assert env.info()["map_size"] == 1 << 22
    assert env.max_readers() == 7
    assert env.flags() == {
        "subdir": False,
        "readonly": False,
        "metasync": False,
        "sync": False,
        "map_async": True,
        "readahead": False,
        "writemap": True,
        "meminit": False,
        "lock": False,
    }
    assert Path(env_path).is_file()
    assert not Path(env_path + "-lock").exists()


def test_default_flags(env):
    expected = dict.fromkeys(("subdir", "metasync", "sync", "readahead", "meminit", "lock"), True)
    expected.update(dict.fromkeys(("readonly", "map_async", "writemap"), False))
    assert env.flags() == expected
    assert isinstance(env.flags(), dict)


def test_a_file_opened_for_reading_has_no_writemap(open_env, env):
    """As with py-lmdb; so it can be opened with the same options as for writing."""
    env.close()
    writer, reader = [open_env(writemap=True, readonly=readonly) for readonly in (False, True)]
    assert (writer.flags().writemap, reader.flags().writemap) == (True, False)


@pytest.mark.parametrize("form", ["str", "bytes", "path", "bytes path"])
@pytest.mark.parametrize("name", ["plain", "grün Ω", "日本"])
def test_path_forms(open_env, tmp_path, form, name):
    class BytesPath:
        def __fspath__(self):
            return os.fsencode(tmp_path / name)

    given = {
        "str": str(tmp_path / name),
        "bytes": os.fsencode(tmp_path / name),
        "path": tmp_path / name,
        "bytes path": BytesPath(),
    }[form]
    env = open_env(given)
    assert env.path() == str(tmp_path / name)
    assert (tmp_path / name / "data.mdb").is_file()


def test_a_path_that_is_no_utf_8(open_env, tmp_path):
    raw = os.fsencode(tmp_path) + b"/\xff\xfe"
    env = open_env(raw)
    assert os.path.isfile(raw + b"/data.mdb")
    assert os.fsencode(env.path()) == raw


@pytest.mark.parametrize("path", [None, 7, 1.5, ["x"], bytearray(b"x")])
def test_what_is_no_path_is_a_type_error(open_env, path):
    with pytest.raises(TypeError):
        open_env(path)


@pytest.mark.parametrize("path", ["a\0b", b"a\0b"])
def test_nul_in_a_path(open_env, path):
    with pytest.raises(ValueError, match="NUL"):
        open_env(path)


@pytest.mark.parametrize("empty", ["", b""])
def test_the_empty_path(open_env, tmp_path, monkeypatch, empty):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((pylmdb.Error, OSError, ValueError)):
        open_env(empty)
    assert os.listdir(tmp_path) == []


def test_relative_paths_survive_a_change_of_directory(open_env, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = open_env("here")
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    assert env.path() == "here"
    again = pickle.loads(pickle.dumps(env))
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    with again.begin() as txn:
        assert txn.get(b"k") == b"v"
    again.close()
    assert os.listdir(tmp_path / "else") == []


def test_subdir_false_is_a_file(open_env, env_path):
    open_env(subdir=False)
    assert Path(env_path).is_file()
    assert Path(env_path + "-lock").is_file()


def test_subdir_left_out_follows_what_exists(open_env, env_path):
    with open_env(subdir=False) as env, env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    env = open_env()
    assert env.flags()["subdir"] is False
    with env.begin() as txn:
        assert txn.get(b"k") == b"v"


def test_subdir_true_on_a_file_raises(open_env, env_path):
    Path(env_path).write_bytes(b"")
    with pytest.raises((pylmdb.Error, OSError)):
        open_env(subdir=True)


def test_subdir_false_on_a_directory_raises(open_env, env_path):
    Path(env_path).mkdir()
    with pytest.raises((pylmdb.Error, OSError)):
        open_env(subdir=False)


def test_missing_parents_are_never_made(open_env, tmp_path):
    with pytest.raises(FileNotFoundError):
        open_env(tmp_path / "no" / "such" / "parent")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("options", [{"create": False}, {"readonly": True}])
def test_create_false_and_readonly_make_nothing(open_env, tmp_path, env_path, options):
    with pytest.raises(pylmdb.Error):
        open_env(**options)
    assert os.listdir(tmp_path) == []


def test_create_false_opens_what_exists(open_env):
    open_env().close()
    assert not open_env(create=False).closed


def test_mode_is_given_to_the_files(open_env, env_path):
    before = os.umask(0)
    try:
        open_env(mode=0o750)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(env_path).st_mode) == 0o750
    for name in ("data.mdb", "lock.mdb"):
        assert stat.S_IMODE(os.stat(Path(env_path, name)).st_mode) == 0o640


def test_umask_applies(open_env, env_path):
    before = os.umask(0o077)
    try:
        open_env(mode=0o777)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(env_path).st_mode) == 0o700


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("map_size", -1),
        ("map_size", 1 << 70),
        ("max_readers", -1),
        ("max_dbs", -1),
        ("max_dbs", 1 << 40),
        ("max_spare_txns", -1),
        ("lib_version", -2),
        ("mode", -1),
    ],
)
def test_sizes_out_of_range(open_env, tmp_path, option, value):
    with pytest.raises(OverflowError, match=option):
        open_env(**{option: value})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("option", ["map_size", "max_readers", "max_dbs", "max_spare_txns", "mode"])
@pytest.mark.parametrize("value", ["7", 1.5, b"7"])
def test_sizes_must_be_integers(open_env, option, value):
    with pytest.raises(TypeError):
        open_env(**{option: value})


def test_unknown_options_are_refused(open_env):
    with pytest.raises(TypeError):
        open_env(mapsize=1)


def test_zero_readers(open_env):
    with pytest.raises(pylmdb.InvalidParameterError):
        open_env(max_readers=0)


def test_lib_version_must_be_built_in(open_env):
    with pytest.raises(pylmdb.Error):
        open_env(lib_version=2)


def test_lib_version(env, lib_version):
    assert env.lib_version() == DATA_VERSIONS[lib_version]


@pytest.mark.parametrize("unset", [None, -1])
def test_an_existing_file_chooses_its_engine(open_env, lib_version, unset):
    open_env().close()
    assert open_env(lib_version=unset).lib_version() == DATA_VERSIONS[lib_version]


def test_the_other_lib_version_on_an_existing_file(open_env, lib_version):
    with open_env() as env, env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    with pytest.raises((pylmdb.VersionMismatchError, pylmdb.InvalidError)):
        open_env(lib_version=1 - lib_version)
    with open_env().begin() as txn:
        assert txn.get(b"k") == b"v"


def test_new_files_are_0_9_by_default(open_env):
    assert open_env(lib_version=None).lib_version()[:2] == (0, 9)


def test_map_size(open_env):
    assert open_env(map_size=1 << 21).info()["map_size"] == 1 << 21


@pytest.mark.parametrize("size", [0, 1, 1_000_001, 1 << 40])
def test_any_map_size_has_room_for_the_data_of_the_file(open_env, size):
    with open_env() as env, env.begin(write=True) as txn:
        txn.put(b"k", b"v" * 100_000)
    env = open_env(map_size=size)
    assert env.info()["map_size"] >= 100_000
    with env.begin() as txn:
        assert txn.get(b"k") == b"v" * 100_000


def test_readonly(open_env):
    with open_env() as env, env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    env = open_env(readonly=True)
    assert env.readonly is True
    assert env.flags()["readonly"] is True
    with env.begin() as txn:
        assert txn.get(b"k") == b"v"
    for write in (
        lambda: env.begin(write=True),
        lambda: env.open_db(b"new"),
        lambda: env.begin().put(b"k", b"w"),
        lambda: env.begin().delete(b"k"),
    ):
        with pytest.raises(pylmdb.Error) as caught:
            write()
        assert isinstance(caught.value, (pylmdb.ReadonlyError, pylmdb.NotFoundError))
    env.close()
    assert not open_env().readonly


def test_max_readers(open_env):
    env = open_env(max_readers=3)
    assert env.max_readers() == 3 == env.info()["max_readers"]
    held = [env.begin() for _ in range(3)]
    with pytest.raises(pylmdb.ReadersFullError):
        env.begin()
    held.pop()
    assert env.begin().get(b"k") is None


def test_max_spare_txns_keeps_exactly_one(open_env):
    env = open_env(max_spare_txns=1, max_readers=2)
    for _ in range(3):
        held = [env.begin(), env.begin()]
        with pytest.raises(pylmdb.ReadersFullError):
            env.begin()
        free(held)
    assert len(env.reader_list()) == 1


def test_no_spares_by_default(env):
    env.begin().abort()
    assert env.reader_list() == []


def test_max_dbs(open_env):
    env = open_env(max_dbs=2)
    env.open_db(b"one")
    env.open_db(b"two")
    with pytest.raises(pylmdb.DbsFullError):
        env.open_db(b"three")
    env.open_db(b"two")


def test_max_dbs_left_out_has_room(env):
    for number in range(100):
        env.open_db(b"%d" % number)
    assert len(env.dbs()) == 100


def test_lock_false_leaves_no_lock_file_and_one_writer(open_env, env_path):
    env = open_env(lock=False)
    assert os.listdir(env_path) == ["data.mdb"]
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
        with pytest.raises(pylmdb.BusyError):
            env.begin(write=True)
    assert env.readers() is not None
    with env.begin() as txn:
        assert txn.get(b"k") == b"v"


@pytest.mark.parametrize(
    "options",
    [
        {"sync": False},
        {"metasync": False},
        {"writemap": True},
        {"writemap": True, "map_async": True},
        {"readahead": False},
        {"meminit": False},
    ],
    ids=str,
)
def test_options_change_no_result(open_env, options):
    with open_env(**options) as env:
        with env.begin(write=True) as txn:
            for number in range(500):
                assert txn.put(b"%04d" % number, b"v" * number)
        for name, value in options.items():
            assert env.flags()[name] is value
        env.sync()
        env.sync(True)
    with open_env().begin() as txn:
        assert [len(value) for _, value in txn.range()] == list(range(500))
