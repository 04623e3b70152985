# SPDX-License-Identifier: MIT
"""An environment is made of backups: of which, up to when, and where."""

import io
import os
from datetime import datetime, timedelta, timezone

import programs
import pytest
from backed_up import contents, fill, make_chain, records, refuses

import pylmdb


@pytest.fixture
def chain(env, tmp_path):
    """A full backup and three increments."""
    return make_chain(env, tmp_path)


# -- the chain --------------------------------------------------------------------------------


def test_chains(chain, env, tmp_path):
    other = env.backup(tmp_path / "other.backup")
    more = env.backup(tmp_path / "more.backup", since=other)
    full, one, two, three = chain
    for given, text in (
        ([], "no backup is given"),
        ([one, two], "'.*1.backup' .transaction 2. is an increment"),
        ([full, two], "'.*2.backup' .* does not continue '.*0.backup'.* of transaction 2 is m"),
        ([full, one, three], "is missing; give it, too"),
        ([full, two, one], "does not continue '.*0.backup'.*, but '.*1.backup'"),
        ([full, one, three, two], "does not continue '.*1.backup'.*, but '.*2.backup'"),
        ([full, one, one], "'.*1.backup' and '.*1.backup' are the same backup"),
        ([full, full], "are the same backup"),
        ([full, one, full], "are the same backup"),
        ([full, other], "'.*other.backup' .* is a full backup, and does not continue"),
        ([full, more], "'.*more.backup' .* continues another full backup than '.*0.backup'"),
        ([other, one], "continues another full backup"),
    ):
        refuses(
            lambda given=given: pylmdb.restore(given, tmp_path / "new"),
            pylmdb.InvalidParameterError,
            text,
        )
        assert not os.path.exists(tmp_path / "new")


@pytest.mark.parametrize(
    ("backups", "path", "text"),
    [
        (5, "new", "a backup must be a path, a Backup, or a file .* not int"),
        ([None], "new", "a backup must be a path, a Backup, or a file .* not NoneType"),
        (io.StringIO(), "new", "a backup must be a path, a Backup, or a file .* not StringIO"),
        ("new", ["0.backup"], "path of the new environment, not list; the backups come first"),
    ],
)
def test_arguments_of_other_types(chain, tmp_path, monkeypatch, backups, path, text):
    monkeypatch.chdir(tmp_path)
    refuses(lambda: pylmdb.restore(backups, path), TypeError, "restore: .*" + text)
    assert not os.path.exists("new")


@pytest.mark.parametrize("until", ["2026-01-01", b"5", 1.5])
def test_until_is_a_transaction_or_a_time(chain, tmp_path, until):
    text = rf"until must be the number of a transaction or a datetime, not \w+ \({until!r}\)"
    refuses(lambda: pylmdb.restore(chain, tmp_path / "new", until=until), TypeError, text)


def test_until_is_a_time_of_the_system_or_has_a_zone(chain, tmp_path):
    for until in datetime.min, datetime.min.replace(tzinfo=timezone(timedelta(hours=9))):
        text = "(no zone|is before)" if until.tzinfo is None else "is before the full backup"
        refuses(
            lambda until=until: pylmdb.restore(chain, tmp_path / "new", until=until),
            pylmdb.InvalidParameterError,
            f"until=0001-01-01 .*{text}",
        )


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_backup_is_not_replaced_by_an_environment(chain, overwrite):
    """The arguments were given in the wrong order."""
    path = chain[0].path
    refuses(
        lambda: pylmdb.restore("new", path, overwrite=overwrite),
        pylmdb.InvalidParameterError,
        "is a backup, .*give the backups first",
    )
    assert pylmdb.backup_info(path) == chain[0]


def test_two_increments_of_one_backup(chain, env, tmp_path):
    branch = env.backup(tmp_path / "branch", since=chain[0])
    pylmdb.restore([chain[0], branch], tmp_path / "new")
    assert contents(tmp_path / "new") == records(0, 4000)
    with pytest.raises(pylmdb.InvalidParameterError, match="without branches"):
        pylmdb.restore([chain[0], chain[1], branch], tmp_path / "newer")


def test_until(chain, tmp_path):
    for i, each in enumerate(chain):
        for until in (each.txnid, each.time, each.time.astimezone().replace(tzinfo=None)):
            path = tmp_path / f"{i} {until}".replace(":", "")
            assert pylmdb.restore(chain, path, until=until) == each
            assert contents(path) == records(0, 1000 * (i + 1))
    new = tmp_path / "new"
    assert pylmdb.restore(chain, new, until=100) == chain[-1]
    for until in (0, chain[0].time - timedelta(seconds=1)):
        with pytest.raises(pylmdb.InvalidParameterError, match="is before the full backup"):
            pylmdb.restore(chain, tmp_path / "newer", until=until)
    with pytest.raises(TypeError):
        pylmdb.restore(chain, tmp_path / "newer", until="yesterday")


# -- where it is restored to ------------------------------------------------------------------


def test_what_exists_is_kept(chain, env, open_env, tmp_path):
    path = tmp_path / "target"
    with open_env(path) as target:
        fill(target, 0, 5)
    with pytest.raises(pylmdb.PathExistsError, match="overwrite=True"):
        pylmdb.restore(chain, path)
    with open_env(path), pytest.raises(pylmdb.BusyError, match="1 other Environment"):
        pylmdb.restore(chain, path, overwrite=True)
    assert contents(path) == records(0, 5)
    assert pylmdb.restore(chain, path, overwrite=True) == chain[-1]
    assert contents(path) == records(0, 4000)
    assert sorted(os.listdir(path)) == ["data.mdb", "lock.mdb"]
    with pytest.raises(pylmdb.Error):
        pylmdb.restore(chain, tmp_path / "missing" / "new")


def test_over_an_environment_that_another_process_has_open(chain, open_env, tmp_path, lib_version):
    path = tmp_path / "target"
    with programs.Rival(path, lib_version) as rival:
        assert rival.can_write()
        with pytest.raises(pylmdb.BusyError, match="other processes have the environment open"):
            pylmdb.restore(chain, path, overwrite=True)
    pylmdb.restore(chain, path, overwrite=True)
    assert contents(path) == records(0, 4000)


def test_over_a_file_that_cannot_be_opened(chain, tmp_path):
    path = tmp_path / "target"
    path.mkdir()
    (path / "data.mdb").write_bytes(b"nothing" * 1000)
    with pytest.raises(pylmdb.InvalidParameterError, match="cannot be opened; move it away"):
        pylmdb.restore(chain, path, overwrite=True)
    assert (path / "data.mdb").read_bytes() == b"nothing" * 1000
    os.rename(path / "data.mdb", path / "old")
    pylmdb.restore(chain, path)
    assert contents(path) == records(0, 4000)
    version = {1: 1, 3: 0}[chain[0].format]
    pylmdb.open(tmp_path / "other", lib_version=version).close()
    with pytest.raises(pylmdb.InvalidParameterError, match="another format"):
        pylmdb.restore(chain, tmp_path / "other", overwrite=True)
