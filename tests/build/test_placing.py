# SPDX-License-Identifier: MIT
"""The program that places liblmdb's sources: its checks and refusals, and that it leaves no
incomplete result.

Most tests run it on a tiny archive with a pin of its own; the last ones look at the real sources.
"""

import hashlib
import importlib.util
import io
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from project import ROOT

LIBLMDB = ROOT / "lib" / "liblmdb"
TOP = "fake-1.0"
FILES = {
    "LICENSE": b"a licence\n",
    "lib/mdb.c": b"one\ntwo\nthree\nfour\n",
    "lib/lmdb.h": b"header\n",
    "lib1/mdb.c": b"eins\nzwei\n",
    "lib/fixes/second.patch": (
        b"--- x/mdb.c\n+++ x/mdb.c\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n"
    ),
}
PATCHED = b"one\nTWO\nthree\nfour\n"


def load(name):
    spec = importlib.util.spec_from_file_location(name, LIBLMDB / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


counting = load("shim_calls")
editing = load("source_edits")
placing = load("place")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def write_archive(path, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{TOP}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def fake_pin(archive):
    engine_sources = {"0.9": ("lib", ["lmdb.h", "mdb.c"]), "1.0": ("lib1", ["mdb.c"])}
    pin = {
        "archive": {
            "requirement": "fake==1.0",
            "sha256": sha256(archive.read_bytes()),
            "folder": TOP,
        },
        "licence": {"path": "LICENSE", "sha256": sha256(FILES["LICENSE"])},
        "patch_folder": "fixes",
        "patch_strip": 1,
        "engines": {},
    }
    for engine, (folder, names) in engine_sources.items():
        sources = {name: sha256(FILES[f"{folder}/{name}"]) for name in names}
        placed = {**sources, "LICENSE": pin["licence"]["sha256"]}
        patches = []
        if engine == "0.9":
            patches = [{"name": "second", "sha256": sha256(FILES["lib/fixes/second.patch"])}]
            placed["mdb.c"] = sha256(PATCHED)
        pin["engines"][engine] = {
            "version": engine,
            "folder": folder,
            "sources": sources,
            "patches": patches,
            "calls": {},
            "placed": placed,
        }
    return pin


@pytest.fixture
def archive(tmp_path):
    return write_archive(tmp_path / "fake.tar.gz", FILES)


@pytest.fixture
def root(tmp_path, archive):
    folder = tmp_path / "liblmdb"
    folder.mkdir()
    placing.save_pin(folder, fake_pin(archive))
    return folder


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Make a test fail if it calls pip without asking for the network."""

    def refuse(*args, **kwargs):
        raise AssertionError("pip was started")

    monkeypatch.setattr(placing.subprocess, "run", refuse)


def write_tree(folder, **changed):
    for name, data in {**FILES, **changed}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def contents(root):
    return {
        str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()
    }


def names(root):
    return sorted(path.name for path in root.iterdir())


def change_pin(root, change):
    pin = placing.load_pin(root)
    change(pin)
    placing.save_pin(root, pin)


def digest(lines):
    return sha256(lines)[:16]


def add_edit(
    root, how="replaces 2", guarded=b"TWO\nthree\n", why="# a test\n", text="OURS\n", **at
):
    folder = root / "edits"
    folder.mkdir(exist_ok=True)
    anchor = f"@ {at.get('function', '-')} {at.get('engines', '0.9')} {how} {digest(guarded)}\n"
    (folder / f"{len(list(folder.iterdir()))}.edit").write_text(f"# A file.\n\n{anchor}{why}{text}")


# ---- placing ----


def test_from_archive(root, archive):
    assert placing.place(root, archive) is True
    assert (root / "0.9" / "mdb.c").read_bytes() == PATCHED
    assert (root / "1.0" / "mdb.c").read_bytes() == FILES["lib1/mdb.c"]
    assert (root / "1.0" / "LICENSE").read_bytes() == FILES["LICENSE"]
    assert names(root) == ["0.9", "1.0", "pin.json"]


@pytest.mark.parametrize("inner", ["", TOP])
def test_from_tree(root, tmp_path, inner):
    write_tree(tmp_path / "tree" / inner)
    assert placing.place(root, tmp_path / "tree") is True
    assert (root / "0.9" / "mdb.c").read_bytes() == PATCHED


def test_a_second_run_writes_nothing_and_needs_no_source(root, archive):
    placing.place(root, archive)
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*")}
    assert placing.place(root) is False
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*")} == before


def test_a_missing_file_is_placed_again(root, archive):
    placing.place(root, archive)
    (root / "1.0" / "mdb.c").unlink()
    assert placing.place(root, archive) is True
    assert (root / "1.0" / "mdb.c").exists()


def test_an_older_pin_is_replaced_silently(root, archive, tmp_path):
    placing.place(root, archive)
    newer = write_archive(tmp_path / "newer.tar.gz", {**FILES, "lib1/mdb.c": b"drei\n"})

    def change(pin):
        pin["archive"]["sha256"] = sha256(newer.read_bytes())
        pin["engines"]["1.0"]["sources"]["mdb.c"] = sha256(b"drei\n")
        pin["engines"]["1.0"]["placed"]["mdb.c"] = sha256(b"drei\n")

    change_pin(root, change)
    assert placing.place(root, newer) is True
    assert (root / "1.0" / "mdb.c").read_bytes() == b"drei\n"


# ---- libraries, from archives of their own ----


@pytest.fixture
def library(root, tmp_path):
    """Add a library to the pin, and return its archive."""
    files = {"deps/sum.h": b"sum\n", "deps/LICENSE": b"another licence\n"}
    archive = tmp_path / "other.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"other-2.0/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    placed = {name.partition("/")[2]: sha256(data) for name, data in files.items()}
    spec = {
        "archive": {
            "requirement": "other==2.0",
            "sha256": sha256(archive.read_bytes()),
            "folder": "other-2.0",
        },
        "version": "2.0",
        "licence": "BSD-2-Clause",
        "folder": "deps",
        "placed": placed,
    }
    change_pin(root, lambda pin: pin.update(libraries={"other": spec}))
    return archive


@pytest.mark.parametrize("reverse", [False, True])
def test_a_library_is_placed_as_it_is(root, archive, library, reverse):
    given = [library, archive] if reverse else [archive, library]
    assert placing.place(root, given) is True
    assert (root / "other" / "sum.h").read_bytes() == b"sum\n"
    assert names(root) == ["0.9", "1.0", "other", "pin.json"]
    assert placing.place(root) is False


def test_a_library_in_place_is_not_asked_for(root, archive, library):
    placing.place(root, [archive, library])
    before = (root / "other" / "sum.h").stat().st_mtime_ns
    assert placing.place(root, archive, force=True) is True
    assert (root / "other" / "sum.h").stat().st_mtime_ns == before


def test_a_missing_library_is_downloaded(root, archive, library, monkeypatch):
    def download(pin, folder):
        assert pin["archive"]["requirement"] == "other==2.0"
        return library

    monkeypatch.setattr(placing, "download", download)
    assert placing.place(root, archive) is True
    assert (root / "other" / "LICENSE").exists()


def test_a_wrong_file_of_a_library_is_refused(root, archive, library):
    change_pin(
        root, lambda pin: pin["libraries"]["other"]["placed"].update({"sum.h": sha256(b"no")})
    )
    with pytest.raises(placing.PlacingError, match=r"deps/sum\.h of other==2\.0"):
        placing.place(root, [archive, library])
    assert names(root) == ["pin.json"]


def test_a_changed_library_stops_until_forced(root, archive, library):
    placing.place(root, [archive, library])
    (root / "other" / "sum.h").write_bytes(b"changed\n")
    with pytest.raises(placing.PlacingError, match=r"other/sum\.h"):
        placing.place(root, [archive, library])
    assert placing.place(root, [archive, library], force=True) is True
    assert (root / "other" / "sum.h").read_bytes() == b"sum\n"


# ---- refusals ----


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_wrong_file_is_named_and_nothing_is_placed(root, tmp_path, name):
    tree = write_tree(tmp_path / "tree", **{name: FILES[name] + b"\n"})
    before = contents(root)
    with pytest.raises(placing.PlacingError) as caught:
        placing.place(root, tree)
    message = str(caught.value)
    assert name in message
    assert sha256(FILES[name]) in message
    assert sha256(FILES[name] + b"\n") in message
    assert contents(root) == before


def test_a_wrong_archive_is_refused_whatever_it_holds(root, tmp_path):
    other = write_archive(tmp_path / "other.tar.gz", {**FILES, "extra": b""})
    with pytest.raises(
        placing.PlacingError,
        match=r"other\.tar\.gz is not the file.*\n  expected sha256 [0-9a-f]{64}",
    ):
        placing.place(root, other)
    assert names(root) == ["pin.json"]


def test_a_wrong_result_is_refused(root, archive):
    change_pin(root, lambda pin: pin["engines"]["0.9"]["placed"].update({"mdb.c": "0" * 64}))
    with pytest.raises(
        placing.PlacingError, match=r"the patched 0\.9/mdb\.c .*\n.*0000\n(.*\n)+.*--record"
    ):
        placing.place(root, archive)
    assert names(root) == ["pin.json"]


def test_a_patch_that_does_not_apply_is_refused(root, archive, capfd):
    change_pin(root, lambda pin: pin.update(patch_strip=0))
    with pytest.raises(placing.PlacingError, match=r"lib/fixes/second\.patch does not apply"):
        placing.place(root, archive)
    assert names(root) == ["pin.json"]


def test_a_changed_file_stops_until_forced(root, archive):
    placing.place(root, archive)
    (root / "0.9" / "mdb.c").write_bytes(b"mine\n")
    with pytest.raises(placing.PlacingError, match=r"0\.9/mdb\.c\n(.*\n)*.*--force"):
        placing.place(root, archive)
    assert (root / "0.9" / "mdb.c").read_bytes() == b"mine\n"
    assert placing.place(root, archive, force=True) is True
    assert (root / "0.9" / "mdb.c").read_bytes() == PATCHED


def test_a_file_that_the_archive_lacks(root, tmp_path):
    short = write_archive(
        tmp_path / "short.tar.gz", {k: v for k, v in FILES.items() if k != "lib1/mdb.c"}
    )
    change_pin(root, lambda pin: pin["archive"].update(sha256=sha256(short.read_bytes())))
    with pytest.raises(placing.PlacingError, match=r"has no file fake-1\.0/lib1/mdb\.c"):
        placing.place(root, short)
    with pytest.raises(placing.PlacingError, match="no such file or directory"):
        placing.place(root, tmp_path / "nowhere")


# ---- downloading ----


def test_the_download_is_pinned_and_pure(root, archive, monkeypatch):
    def pip(command, env, **kwargs):
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        assert {"--no-deps", "--require-hashes", "--no-binary"} <= set(command)
        assert env["LMDB_PURE"] == "1"
        listing = Path(command[command.index("-r") + 1]).read_text()
        assert listing == f"fake==1.0 --hash=sha256:{sha256(archive.read_bytes())}\n"
        target = Path(command[command.index("-d") + 1]) / "fake-1.0.tar.gz"
        target.write_bytes(archive.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(placing.subprocess, "run", pip)
    assert placing.place(root) is True


def test_a_failed_download_says_how_to_go_on(root, monkeypatch):
    def pip(command, **kwargs):
        return subprocess.CompletedProcess(command, 1, "", "No module named pip\n")

    monkeypatch.setattr(placing.subprocess, "run", pip)
    with pytest.raises(placing.PlacingError, match=r"No module named pip\n(.*\n)*.*--from PATH"):
        placing.place(root)
    assert names(root) == ["pin.json"]


# ---- interruption ----


@pytest.mark.parametrize("failing", range(4))
@pytest.mark.parametrize("after", [False, True])
def test_an_interrupted_exchange_leaves_the_old(root, archive, monkeypatch, failing, after):
    placing.place(root, archive)
    before = contents(root)
    calls = []
    replace = os.replace

    def interrupted(source, target):
        calls.append(target)
        if len(calls) - 1 == failing:
            if after:
                replace(source, target)
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(placing.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        placing.place(root, archive, force=True)
    monkeypatch.undo()
    assert contents(root) == before


@pytest.mark.parametrize("step", ["prepare", "verify_result", "swap_in"])
def test_an_interrupted_first_run_leaves_nothing(root, archive, monkeypatch, step):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(placing, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        placing.place(root, archive)
    assert names(root) == ["pin.json"]


def test_leftovers_of_a_killed_run_are_cleared(root, archive):
    pytest.importorskip("fcntl")
    (root / ".placing-dead" / "new").mkdir(parents=True)
    placing.place(root, archive)
    assert names(root) == ["0.9", "1.0", "pin.json"]


# ---- edits ----


def test_an_edit_replaces_lines_after_the_patches(root, archive):
    add_edit(root)
    assert placing.place(root, archive, record=True) is True
    assert (root / "0.9" / "mdb.c").read_bytes() == b"one\nOURS\nfour\n"
    assert placing.load_pin(root)["engines"]["0.9"]["placed"]["mdb.c"] == sha256(
        b"one\nOURS\nfour\n"
    )
    assert placing.place(root) is False


def test_anchors_are_those_of_the_file_before_any_edit(root, archive):
    add_edit(root, "replaces 1", b"one\n")
    add_edit(root, "before", b"three\n")
    add_edit(root, "replaces 1", b"four\n", text="")
    placing.place(root, archive, record=True)
    assert (root / "0.9" / "mdb.c").read_bytes() == b"OURS\nTWO\nOURS\nthree\n"


SOURCE = b"""#define twice(x) x
static int
first(int a)
{
\tsame();
\tif (a)
\t\tsame();
}

int
second(int a)
{
\tsame();
}
"""


def anchor(function, how, guarded, engines="0.9"):
    return f"@ {function} {engines} {how} {digest(guarded)}\n"


def apply(tmp_path, edit, source=SOURCE):
    (tmp_path / "edits").mkdir(exist_ok=True)
    (tmp_path / "edits" / "a.edit").write_text(edit)
    return editing._apply(editing.load_edits(tmp_path, "0.9"), source)


def test_an_anchor_is_found_in_its_function(tmp_path):
    edit = anchor("second", "before", b"\tsame();\n", "0.9 1.0") + "# why\n\tours();\n"
    assert apply(tmp_path, edit) == SOURCE.replace(
        b"second(int a)\n{\n", b"second(int a)\n{\n\tours();\n"
    )


def test_more_guarded_lines_tell_places_apart(tmp_path):
    one = anchor("first", "before", b"\tsame();\n") + "# why\n\tours();\n"
    more = anchor("first", "before 2", b"\tsame();\n\tif (a)\n") + "# why\n\tours();\n"
    expected = SOURCE.replace(b"\tsame();\n\tif", b"\tours();\n\tsame();\n\tif")
    assert apply(tmp_path, more) == expected
    same = SOURCE.replace(b"\t\tsame", b"\tsame")
    with pytest.raises(editing.EditError, match=r"a\.edit:1: 2 places in first\(\) have lines"):
        apply(tmp_path, one, same)


def test_one_text_may_go_to_several_places_and_engines(tmp_path):
    anchors = "".join(anchor(name, "before", b"{\n", "1.0 0.9") for name in ("first", "second"))
    text = "#if 1\nours\n#endif\n"
    edit = f"# walks: about it\n# in two lines\n\n{anchors}# why\n# again\n{text}\n"
    assert apply(tmp_path, edit) == SOURCE.replace(b"{\n", b"#if 1\nours\n#endif\n{\n")
    assert [each.why for each in editing.load_edits(tmp_path, "1.0")] == ["why again"] * 2
    assert editing.load_edits(tmp_path, "0.8") == []


def test_a_new_edit_is_noticed(root, archive):
    placing.place(root, archive)
    add_edit(root)
    with pytest.raises(placing.PlacingError, match="--record"):
        placing.place(root, archive)
    assert (root / "0.9" / "mdb.c").read_bytes() == PATCHED


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"guarded": b"other\n"}, r"0\.edit:3: 0 places in the file have lines of that hash"),
        ({"how": "replaces 3"}, "0 places in the file"),
        ({"function": "mdb_get"}, r"there is no function mdb_get\(\)"),
        ({"how": "replaces 0"}, "not an anchor"),
        ({"how": "after"}, "not an anchor"),
        ({"engines": "all"}, "not an anchor"),
        ({"why": ""}, "no line says why"),
    ],
)
def test_a_wrong_edit_is_refused(root, archive, fields, message):
    add_edit(root, **fields)
    with pytest.raises(placing.PlacingError, match=message):
        placing.place(root, archive, record=True)
    assert not (root / "0.9").exists()


def test_overlapping_edits_are_refused(root, archive):
    add_edit(root)
    add_edit(root, "replaces 1", b"three\n")
    with pytest.raises(placing.PlacingError, match="overlaps"):
        placing.place(root, archive, record=True)


# ---- calls that the shim takes over ----


CALLS = rb"""
#define calloc(n, size) x
#define CLEARED(n) calloc(n, sizeof(env)) /* calloc(1, sizeof(env)) */
// calloc(1, 2)
  p = calloc(f(1, 2), sizeof( env ));
  q = my_calloc(1, sizeof(env)), r = calloc  (1, \
    sizeof(env)), s = "calloc(1, 2)", t = calloc(1, &size), u = ')' + calloc(1, (void  *)size);
"""


@pytest.mark.parametrize(
    ("call", "count"),
    [
        ("calloc", 5),
        ("calloc: sizeof(env)", 2),
        ("calloc: sizeof( env )", 1),
        ("calloc: (void *)size", 1),
        ("calloc: &...", 1),
        ("calloc: size", 0),
        ("my_calloc", 1),
        ("alloc", 0),
    ],
)
def test_calls_are_counted_by_the_text_of_an_argument(call, count):
    assert counting.count_calls([CALLS], {call: 0}) == {call: count}


@pytest.mark.parametrize("record", [False, True])
def test_sources_with_other_calls_are_refused(root, tmp_path, record):
    text = b"void f(void) { one(1); one(two); three(x); }\n"
    archive = write_archive(tmp_path / "calls.tar.gz", {**FILES, "lib1/mdb.c": text})

    def pin_calls(pin, calls):
        pin["archive"]["sha256"] = sha256(archive.read_bytes())
        for key in ("sources", "placed"):
            pin["engines"]["1.0"][key]["mdb.c"] = sha256(text)
        pin["engines"]["1.0"]["calls"] = calls

    change_pin(root, lambda pin: pin_calls(pin, {"one": 2, "one: two": 2, "three: y": 1}))
    with pytest.raises(placing.PlacingError) as caught:
        placing.place(root, archive, record=record)
    assert str(caught.value).splitlines()[1:3] == [
        "  one: two occurs 1 times; pin.json says 2",
        "  three: y occurs 0 times; pin.json says 1",
    ]
    assert "Nothing was placed." in str(caught.value)
    assert names(root) == ["pin.json"]
    change_pin(root, lambda pin: pin_calls(pin, {"one": 2, "one: two": 1, "three: y": 0}))
    assert placing.place(root, archive, record=record) is True


# ---- the program, and the real sources ----


def test_the_program_reports_errors_in_one_message(root, tmp_path, capsys):
    assert placing.main(["--root", str(root), "--from", str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err.startswith("place.py: --from")
    tree = write_tree(tmp_path / "tree")
    assert placing.main(["--root", str(root), "--from", str(tree)]) == 0
    assert placing.main(["--root", str(root)]) == 0
    assert (
        capsys.readouterr().out
        == "liblmdb's sources: placed\nliblmdb's sources: already in place\n"
    )


def test_the_real_sources_match_the_pin():
    pin = placing.load_pin(LIBLMDB)
    assert placing.survey(LIBLMDB, pin) == (True, [])
    for engine, spec in pin["engines"].items():
        names = {p.name for p in (LIBLMDB / engine).iterdir()}
        assert names == {*spec["sources"], "LICENSE", "placed.json"}
        assert set(spec["placed"]) == {*spec["sources"], "LICENSE"}


def test_the_calls_of_the_real_sources_are_pinned():
    for engine, spec in placing.load_pin(LIBLMDB)["engines"].items():
        sources = [path.read_bytes() for path in sorted((LIBLMDB / engine).glob("*.c"))]
        assert counting.count_calls(sources, spec["calls"]) == spec["calls"], engine


def test_each_macro_of_the_shim_and_each_text_in_it_is_pinned():
    """If no call had a macro's text, the macro would silently do nothing."""
    shim = (LIBLMDB / "shim.c").read_text("utf-8").partition('#include "mdb.c"')[0]
    macros = set(re.findall(r"^#define ([a-z]+(?:_[a-z]+)*)\(", shim, re.MULTILINE))
    texts = set(re.findall(r'strcmp\(#\w+, "([^"]+)"\)', shim))
    texts |= {first + "..." for first in re.findall(r"#\w+\[0\] == '(.)'", shim)}
    assert {"calloc", "fcntl", "mmap", "pthread_mutex_lock"} <= macros
    assert {"&...", "&lock_info", "sizeof(MDB_env)", "0"} <= texts
    for spec in placing.load_pin(LIBLMDB)["engines"].values():
        calls = spec["calls"]
        assert {name for name in macros if calls.get(name)} == macros
        assert {key.partition(": ")[2] for key, count in calls.items() if count} - {""} == texts


def test_the_ledger_names_every_patch():
    pin = placing.load_pin(LIBLMDB)
    rows = [line.split("|") for line in (LIBLMDB / "README.md").read_text("utf-8").splitlines()]
    ledger = {
        row[1].strip().strip("`"): row[3].strip()
        for row in rows
        if len(row) == 5 and row[1].startswith(" `")
    }
    for engine, spec in pin["engines"].items():
        other = {
            p["name"] for name, s in pin["engines"].items() if name != engine for p in s["patches"]
        }
        for patch in spec["patches"]:
            assert ledger.pop(patch["name"], "both") == (
                "both" if patch["name"] in other else engine
            )
    assert not ledger
