# SPDX-License-Identifier: MIT
"""The command line: the examples of --help run, and options mean the same in every command."""

import shlex
import shutil
import subprocess
import sys

import pytest
from PIL import Image

import pylmdb
from pylmdb.cli import main
from pylmdb.cli._parser import parser

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
    monkeypatch.chdir(folder)
    for example in examples(command):
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


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_a_command_run(name, made, tmp_path, monkeypatch, capfd):
    shutil.copytree(made, tmp_path / "c")
    run_examples(COMMANDS[name], tmp_path / "c", monkeypatch)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_options_mean_the_same_everywhere(name):
    options = COMMANDS[name]._option_string_actions
    database = [key for key, action in options.items() if action.metavar == "NAME"]
    assert not database or {"-d", "--db"} <= {*database}
    for option, dest in (("-d", "db"), ("-e", "env"), ("--json", "json"), ("-x", "xxd")):
        assert option not in options or options[option].dest == dest
    assert name in ("import", "export", "completion") or "-e" in options


def test_help_says_that_there_are_examples(capsys):
    with pytest.raises(SystemExit):
        main(["scan", "--help"])
    assert "\nexamples:\n  pylmdb scan fruit --prefix a -n 5\n" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "\nexamples:\n  pylmdb put fruit" in capsys.readouterr().out
