# SPDX-License-Identifier: MIT
"""Only one header names systems, and our C compiles without what only Linux has."""

import fcntl
import os
import re
import shlex
import subprocess
import sysconfig

import pytest
from project import ROOT

from pylmdb._base.fsync import flush

LIBLMDB, NATIVE = ROOT / "lib" / "liblmdb", ROOT / "src" / "pylmdb" / "_native"
FLAGS = "-std=c11 -D_GNU_SOURCE -Wall -Wextra -Wno-unused-parameter -Werror -fsyntax-only"


@pytest.mark.parametrize("line", ["0.9", "1.0"])
def test_the_code_that_macos_runs_compiles(line):
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    folders = [f"-I{each}" for each in (LIBLMDB / line, LIBLMDB, NATIVE)]
    macros = ['-DPYLMDB_VERSION_STRING="0"', "-DPYLMDB_POSIX_ONLY"]
    command = [*compiler, *FLAGS.split(), *macros, *folders, str(LIBLMDB / "shim.c")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_only_one_header_names_systems():
    names = re.compile(r"\b(__linux__|__APPLE__|_WIN32|__FreeBSD__)\b")
    ours = [*LIBLMDB.glob("*.[ch]"), *NATIVE.rglob("*.[ch]")]
    assert [path.name for path in ours if names.search(path.read_text("utf-8"))] == ["platform.h"]


@pytest.mark.parametrize("refused", [False, True])
def test_a_flush_empties_the_memory_of_the_drive_where_the_system_can(
    tmp_path, monkeypatch, refused
):
    calls = []

    def note(fd, command):
        calls.append(command)
        if refused:
            raise OSError

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", "full", raising=False)
    monkeypatch.setattr(fcntl, "fcntl", note)
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append("fsync"))
    with open(tmp_path / "file", "wb") as file:
        flush(file.fileno())
    assert calls == (["full", "fsync"] if refused else ["full"])
