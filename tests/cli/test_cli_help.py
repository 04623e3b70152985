# SPDX-License-Identifier: MIT
"""The command line: the examples of --help run, and options mean the same in every command."""

import gzip
import os
import shlex
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
from PIL import Image

import pylmdb
from pylmdb.cli import exchange, main
from pylmdb.cli._parser import parser
from pylmdb.datasets import from_memmap, from_npz

COMMANDS = next(each.choices for each in parser()._actions if each.dest == "command")
# commands that do not end by themselves, or take long
RUN_FOR_LONG = {"pylmdb shell fruit", "pylmdb bench fruit --seconds 0.1"}


def examples(command):
    lines = (command.epilog or "").splitlines()
    assert lines[:1] == ["examples:"]
    return [line.strip() for line in lines[1:]]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with what the examples use: fruit and other differ in one record."""
    folder = tmp_path_factory.mktemp("examples")
    for name in ("fruit", "other"):
        with pylmdb.open(folder / name) as env:
            prices, tags = env.open_db(b"prices"), env.open_db(b"tags", dupsort=True)
            with env.begin(write=True) as txn:
                txn.put(b"apple", b"red")
                txn.put(b"banana", b"yellow")
                txn.put(b"apple", b"12", db=prices)
                if name == "other":
                    txn.put(b"cherry", b"7", db=prices)
                txn.put(b"apple", b"sweet", db=tags)
    pylmdb.open(folder / "empty").close()
    (folder / "table.csv").write_text("id,name,colour\n1,apple,red\n2,banana,yellow\n")
    (folder / "records.jsonl").write_text('{"key": "a", "value": "b"}\n')
    (folder / "picture.jpg").write_bytes(b"\xff\xd8")
    (folder / "folder" / "a").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(folder / "folder" / "a" / "1.png")
    pylmdb.dump(folder / "fruit", folder / "fruit.txt")
    return folder


def run_examples(command, folder, monkeypatch):
    run_all(examples(command), folder, monkeypatch)


def run_all(lines, folder, monkeypatch):
    monkeypatch.chdir(folder)
    for example in lines:
        if example in RUN_FOR_LONG:
            parser().parse_args(shlex.split(example)[1:])
        elif {*"|><"} & {*example}:
            program = f'pylmdb() {{ "{sys.executable}" -m pylmdb "$@"; }}\n{example}'
            done = subprocess.run(["bash", "-c", program], capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, ""), example
        else:
            words = shlex.split(example.partition("||")[0])
            assert words[0] == "pylmdb"
            # the examples of diff print differences
            assert main(words[1:]) == (words[1] == "diff"), example


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("import", "export")])
def test_the_examples_of_a_command_run(name, made, tmp_path, monkeypatch, capfd):
    shutil.copytree(made, tmp_path / "c")
    run_examples(COMMANDS[name], tmp_path / "c", monkeypatch)
    assert capfd.readouterr().err == ""


@pytest.fixture(scope="module")
def made_samples(made, tmp_path_factory):
    """A folder with what the examples of formats use, besides data sets that exports read."""
    folder = tmp_path_factory.mktemp("samples") / "c"
    shutil.copytree(made, folder)
    for name in ("photos/a", "photos/b", "masks"):
        (folder / name).mkdir(parents=True)
        Image.new("L" if name == "masks" else "RGB", (4, 4)).save(folder / name / "1.png")
    (folder / "train.txt").write_text("a/1.png 0\nb/1.png 1\n")
    (folder / "masks.txt").write_text("photos/a/1.png masks/1.png\n")
    (folder / "table.tsv").write_text("1\tapple\n2\tbanana\n")
    with gzip.open(folder / "records.jsonl.gz", "wt") as file:
        file.write('{"key": "a", "value": "b"}\n')
    x, y = np.zeros((2, 3, 4, 4), np.uint8), np.arange(2)
    np.savez(folder / "arrays.npz", x=x, y=y)
    np.save(folder / "rows.npy", x)
    x.astype(np.float32).tofile(folder / "rows.bin")
    with h5py.File(folder / "arrays.h5", "w") as file:
        file["x"], file["y"] = x, y
    return folder


@pytest.mark.parametrize("form", exchange.EXAMPLES, ids="-".join)
def test_the_examples_of_a_format_run(form, made_samples, tmp_path, monkeypatch, capfd):
    command, name = form
    folder = tmp_path / "c"
    shutil.copytree(made_samples, folder)
    if command == "export" or name == "lmdb":
        from_npz(folder / "arrays.npz", folder / "samples", data="x", labels="y", layout="datum")
        for left in ("photos", "arrays.npz", "arrays.h5", "rows.npy"):
            shutil.rmtree(folder / left) if left == "photos" else (folder / left).unlink()
    run_all(exchange.EXAMPLES[form].splitlines(), folder, monkeypatch)
    assert capfd.readouterr().err == ""
    assert {*examples(COMMANDS[command])} & {*exchange.EXAMPLES[form].splitlines()}
    with pytest.raises(SystemExit):
        main([command, name, "--help"])
    assert f"\nexamples:\n  pylmdb {command} {name} " in capfd.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_options_mean_the_same_everywhere(name):
    options = COMMANDS[name]._option_string_actions
    database = [key for key, action in options.items() if action.metavar == "NAME"]
    assert not database or {"-d", "--db"} <= {*database}
    for option, dest in (("-d", "db"), ("-e", "env"), ("--json", "json"), ("-x", "xxd")):
        assert option not in options or options[option].dest == dest
    others = ("import", "export", "completion", "backup-info")
    assert name in others or "-e" in options


def test_help_says_that_there_are_examples(capsys):
    with pytest.raises(SystemExit):
        main(["scan", "--help"])
    assert "\nexamples:\n  pylmdb scan fruit --prefix a -n 5\n" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "\nexamples:\n  pylmdb put fruit" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "meant"),
    [(["delete", "fruit"], "del"), (["list"], "ls"), (["exprt"], "export"), (["help"], "--help"),
     (["export", "json", "fruit"], "jsonl"), (["import", "image", "a", "b"], "images")],
)  # fmt: skip
def test_an_unknown_command_names_the_one_that_was_meant(words, meant, capsys):
    with pytest.raises(SystemExit):
        main(words)
    assert f"'; did you mean {meant}?\n" in capsys.readouterr().err


def test_keys_and_names_in_messages_are_as_they_are_typed(made, tmp_path, monkeypatch, capsys):
    shutil.copytree(made, tmp_path / "c")
    monkeypatch.chdir(tmp_path / "c")
    assert main(["rename", "fruit", "prices", "tags"]) == 1
    assert capsys.readouterr().err == (
        "pylmdb rename: there is a database 'tags' already; drop it first, or choose another name\n"
    )
    assert main(["verify", "fruit"]) == 0
    assert "\n  database 'prices': 1 entry on 1 page" in capsys.readouterr().out
    assert main(["salvage", "fruit", "saved"]) == 0
    assert "\n  database 'prices': 1 of 1 record" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("load fruit -f fruit.txt --checksums", "no checksums, but --checksums asks for them;"),
        ("load fruit -f fruit.txt --checksums", "; leave --checksums out; 'pylmdb convert --check"),
        ("load fruit -f fruit.txt --page-size 512", "pages of 4096 bytes, not --page-size 512;"),
        ("load fruit -f fruit.txt --page-size 512", "--page-size out; 'pylmdb convert' writes a"),
        ("load new -f fruit.txt --page-size 1000", "--page-size must be a power of two"),
        ("load new -f fruit.txt --lib-version 0 --checksums", ", but --lib-version 0 means 0.9"),
        ("get overwrite=True apple", "'overwrite=True' does not exist"),
        ("import jsonl twice.jsonl new --on-conflict error", "with --on-conflict first or last"),
        ("import memmap rows.npy fruit", "import: 'fruit' exists; --exist extend adds samples to"),
        ("import npz arrays.npz new --key-format x", "--key-format must be a format of one"),
        ("export memmap samples rows.npy", "export: 'rows.npy' exists; --overwrite replaces it"),
        ("put fruit KEY red", "put: key has 600 bytes; this environment allows 1 to 511 bytes; h"),
    ],
)
def test_messages_name_options_and_commands(
    command, message, made_samples, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "c"
    shutil.copytree(made_samples, folder)
    (folder / "twice.jsonl").write_text('{"key": "a", "value": "b"}\n{"key": "a", "value": "c"}\n')
    from_memmap(folder / "rows.npy", folder / "samples")
    capsys.readouterr()
    monkeypatch.chdir(folder)
    assert main(shlex.split(command.replace("KEY", "k" * 600))) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    ["export csv fruit OUT", "export jsonl fruit OUT", "dump fruit -f OUT", "dump fruit prices=OUT",
     "dump fruit --json -f OUT"],
)  # fmt: skip
def test_no_command_overwrites_a_file(command, made, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(made)
    out = tmp_path / "out"
    words = shlex.split(command.replace("OUT", str(out)))
    assert main(words) == 0
    whole = out.read_bytes()
    out.write_bytes(b"old")
    assert main(words) == 1
    name = command.split()[0]
    assert capsys.readouterr().err.startswith(f"pylmdb {name}: '{out}' exists; --overwrite replac")
    assert out.read_bytes() == b"old"
    assert main([*words, "--overwrite"]) == 0
    assert out.read_bytes() == whole
    assert os.listdir(tmp_path) == ["out"]
