# SPDX-License-Identifier: MIT
"""Numbers and what they count in messages: "1 error", "2 errors"."""

import ast
import re

import pytest
from project import ROOT

import pylmdb
from pylmdb._base.words import counted

SOURCE = ROOT / "src" / "pylmdb"
# names of values before "bytes" and the like that cannot be 1
NEVER_ONE = {"page_size", "longest", "limit", "maxsize", "_WIDTH"}
# the same in one file only
NEVER_ONE_IN = {
    "_environment/backup_file.py": {"self.size"},
    "_core_rules/failures.py": {"size"},
    "_shared/environment.py": {"size"},
    "_shared/opening.py": {"size"},
    "arrays/keys.py": {"width or 8"},
    "arrays/npy.py": {"len(raw)", "steps"},
    "cli/_data.py": {"len(data)"},
    "datasets/_npz.py": {"size"},
    "datasets/layouts/_probe.py": {"size"},
}


@pytest.mark.parametrize(
    ("number", "noun", "form", "text"),
    [
        (0, "error", "", "0 errors"),
        (1, "error", "", "1 error"),
        (2, "error", "", "2 errors"),
        (1, "entry", ",", "1 entry"),
        (1234, "entry", ",", "1,234 entries"),
        (2, "key", "", "2 keys"),
        (3, "batch", "", "3 batches"),
        ("endless", "batch", "", "endless batches"),
        (1.0, "second", "", "1.0 seconds"),
        (1.2, "second", ".0f", "1 second"),
    ],
)
def test_a_number_and_its_noun(number, noun, form, text):
    assert counted(number, noun, form) == text


def trees():
    return {path: ast.parse(path.read_text("utf-8")) for path in SOURCE.rglob("*.py")}


def nouns():
    """What is counted anywhere."""
    return {
        call.args[1].value
        for tree in trees().values()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("counted")
        if len(call.args) > 1 and isinstance(call.args[1], ast.Constant)
    }


def test_no_message_has_a_plural_after_a_number_that_can_be_one():
    assert {"byte", "error", "page", "second"} <= nouns()
    plurals = "|".join(counted(2, noun).removeprefix("2 ") for noun in nouns())
    wrong = []
    for path, tree in trees().items():
        name = str(path.relative_to(SOURCE))
        for text in (node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)):
            for number, words in zip(text.values, text.values[1:], strict=False):
                if isinstance(number, ast.FormattedValue) and isinstance(words, ast.Constant):
                    value = ast.unparse(number.value)
                    known = value.split(".")[-1] in NEVER_ONE or value in NEVER_ONE_IN.get(name, ())
                    if re.match(rf" (?:{plurals})\b", words.value) and not known:
                        wrong.append(f"{name}:{text.lineno}: {value}{words.value}")
    assert not wrong, "use counted() of _base/words.py"


def test_one_of_each(tmp_path, env, lib_version):
    """Messages and reports that had a plural."""
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    report = str(pylmdb.verify(env.path()))
    assert report.splitlines()[-1] == "  main database: 1 entry on 1 page"
    numbers = env.open_db(b"n", integerkey=True)
    with env.begin(write=True) as txn, pytest.raises(pylmdb.BadValsizeError) as caught:
        txn.put(b"1", b"v", db=numbers)
    assert str(caught.value).startswith("put: key has 1 byte; keys of ")
    with pytest.raises(TimeoutError, match=r"within 0 seconds \(timeout=\)"):
        env.wait(timeout=0)
    view = env.begin(buffers=True).get(b"k")
    with pytest.raises(pylmdb.BusyError, match="still pin 1 snapshot of"):
        env.close(wait=0)
    view.release()
