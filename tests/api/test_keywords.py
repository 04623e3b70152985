# SPDX-License-Identifier: MIT
"""Keywords that a function does not have: the message says which one was probably meant."""

import inspect

import pytest

import pylmdb
from pylmdb import aio, datasets
from pylmdb._base.keywords import unexpected

CLOSE = {
    "mapsize": lambda env, path: pylmdb.open(path, mapsize=5),
    "read_only": lambda env, path: pylmdb.Environment(path, read_only=True),
    "wirte": lambda env, path: env.begin(wirte=True),
    "dup_sort": lambda env, path: env.open_db(b"x", dup_sort=True),
    "compcat": lambda env, path: env.copy(path, compcat=True),
    "vlaue": lambda env, path: pylmdb.Map(path, vlaue="json"),
    "mapSize": lambda env, path: pylmdb.Map(path, mapSize=5),
    "max_map": lambda env, path: pylmdb.Map.open(path, "c", max_map=5),
    "onconflict": lambda env, path: pylmdb.merge([env], path, onconflict="last"),
    "printible": lambda env, path: pylmdb.dump(env, path, printible=True),
    "unsroted": lambda env, path: pylmdb.load(path, path, unsroted=True),
    "dupsrot": lambda env, path: pylmdb.bulk_load(path, [], b"x", dupsrot=True),
    "sub_dir": lambda env, path: pylmdb.verify(path, sub_dir=True),
    "ovrwrite": lambda env, path: env.writer().put(b"k", b"v", ovrwrite=False),
    "timout": lambda env, path: env.writer().flush(timout=1),
    "maxpending": lambda env, path: pylmdb.writer_process(path, maxpending=1),
    "in_line": lambda env, path: aio.wrap(env, in_line=True),
    "batchsize": lambda env, path: datasets.Loader([], batchsize=4),
    "commitevery": lambda env, path: datasets.from_images([], path, commitevery=4),
}
MEANT = {
    "mapsize": "map_size", "read_only": "readonly", "wirte": "write", "dup_sort": "dupsort",
    "compcat": "compact", "vlaue": "value", "mapSize": "map_size", "max_map": "max_map_size",
    "onconflict": "on_conflict", "printible": "printable", "unsroted": "unsorted",
    "dupsrot": "dupsort", "sub_dir": "subdir", "ovrwrite": "overwrite", "timout": "timeout",
    "maxpending": "max_pending", "in_line": "inline",
    "batchsize": "batch_size", "commitevery": "commit_every",
}  # fmt: skip


@pytest.mark.parametrize("keyword", CLOSE)
def test_the_message_says_what_was_meant(keyword, open_env, tmp_path):
    expected = rf"\w\(\) got an unexpected keyword argument '{keyword}'; did you mean"
    with pytest.raises(TypeError, match=f"{expected} {MEANT[keyword]}\\?$") as caught:
        CLOSE[keyword](open_env(), tmp_path / "new")
    assert "__init__" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_what_is_like_nothing_lists_the_parameters(open_env):
    with pytest.raises(TypeError, match=r"argument 'name'; it has key, txn, reverse_key, dupsort"):
        open_env().open_db(name=b"x")


def test_a_keyword_of_a_caller_in_c_need_not_be_text():
    assert "argument 1; it has key, value" in str(unexpected("put", 1, ("key", "value")))


def test_other_wrong_calls_are_as_before(open_env, tmp_path):
    env = open_env()
    with pytest.raises(TypeError, match="multiple values"):
        pylmdb.Environment(tmp_path, path=tmp_path)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'dest'"):
        pylmdb.merge([env])
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'records'"):
        pylmdb.bulk_load(tmp_path, dupsort=True)
    with pytest.raises(TypeError, match=r"^Environment\.backup\(\) missing 1 required"):
        env.backup()
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'path'"):
        pylmdb.writer_process(map_size=1 << 20)
    with pytest.raises(TypeError, match="map_size must be an integer"):
        pylmdb.open(tmp_path, map_size="5")
    with pytest.raises(TypeError) as caught:
        pylmdb.open(tmp_path, on_slow_reader=lambda: None, slow_reader=5)
    assert "keyword" not in str(caught.value)


def test_the_signature_and_the_names_stay():
    assert "map_size" in inspect.signature(pylmdb.Environment).parameters
    assert "on_conflict" in inspect.signature(pylmdb.merge).parameters
    assert pylmdb.merge.__name__ == "merge"
    assert pylmdb.Environment.copy.__qualname__ == "Environment.copy"
    assert pylmdb.merge.__doc__.startswith("Merge environments")
