# SPDX-License-Identifier: MIT
"""The programs that build wheels: what they find, and what they say if something is missing."""

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest
from project import ROOT

RELEASE = ROOT / "release"


@pytest.fixture
def pythons(monkeypatch):
    monkeypatch.syspath_prepend(str(RELEASE))
    import pythons

    return pythons


def test_the_smoke_program_runs_with_this_build():
    done = subprocess.run(
        [sys.executable, RELEASE / "smoke.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"pylmdb \S+ works on CPython .*numpy .*\n", done.stdout)


def test_headers_of_this_machine_are_found(pythons, monkeypatch, tmp_path):
    python = tmp_path / "versions/3.12.1/bin/python3.12"
    header = tmp_path / "versions/3.12.1/include/python3.12/Python.h"
    for path in (python, header):
        path.parent.mkdir(parents=True)
        path.touch()
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pythons.installed("3.12") == python
    assert pythons.headers("3.12", tmp_path) == header.parent
    assert pythons.installed("3.13") is None


def test_a_python_that_cannot_be_had(pythons, monkeypatch, tmp_path):
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pythons.MissingError, match="no suite of Debian has it"):
        pythons.headers("3.10", tmp_path)
    with pytest.raises(pythons.MissingError, match=r"not from Debian sid: .* no apt-get"):
        pythons.headers("3.15", tmp_path)


def test_an_unpacked_python_is_run_by_its_own_loader(pythons, monkeypatch, tmp_path):
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    for debian, machine in ("amd64", "x86_64"), ("arm64", "aarch64"):
        root = tmp_path / f"debian/sid-{debian}/python3.15-minimal-libpython3.15-stdlib-libstdc++6"
        loader = root / f"lib/{machine}-linux-gnu/ld-linux-{machine}.so.2"
        loader.parent.mkdir(parents=True)
        loader.touch()
        if machine == "aarch64":
            with pytest.raises(pythons.MissingError, match="apt-get install qemu-user-static"):
                pythons.interpreter("3.15", machine, tmp_path)
            qemu = tmp_path / "qemu-aarch64"
            qemu.touch(0o755)
        command, variables = pythons.interpreter("3.15", machine, tmp_path)
        assert command[-4:-2] == [str(loader), "--library-path"]
        assert command[-1] == str(root / "usr/bin/python3.15")
        assert variables == {"PYTHONHOME": str(root / "usr")}
    assert command[0] == str(qemu)


def test_all_lists_of_pythons_are_the_same(monkeypatch):
    monkeypatch.syspath_prepend(str(RELEASE))
    from targets import VERSIONS

    project = (ROOT / "pyproject.toml").read_text("utf-8")
    classifiers = re.findall(r"Programming Language :: Python :: (3\.\d+)", project)
    cibuildwheel = re.findall(r'"cp3(\d+)-\*"', project)
    makefile = re.search(r"^PYTHONS := (.*) pypy3$", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert tuple(classifiers) == VERSIONS
    assert tuple(f"3.{minor}" for minor in cibuildwheel) == VERSIONS
    assert tuple(makefile[1].split()) == VERSIONS


def compile_check(include, tmp_path):
    """Compile the check of the pyconfig.h in ``include``; return what the compiler says."""
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    command = [*compiler, "-std=c11", "-c", RELEASE / "pyconfig_check.c", f"-I{include}"]
    command += ["-o", tmp_path / "check.o"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_a_pyconfig_of_another_machine_does_not_compile(tmp_path):
    include = sysconfig.get_path("platinclude")
    assert compile_check(include, tmp_path) == ""
    own = Path(include, "pyconfig.h").read_text()
    for name, wrong in ("SIZEOF_LONG", 2), ("ALIGNOF_SIZE_T", 2), ("SIZEOF_WCHAR_T", 2):
        (tmp_path / "pyconfig.h").write_text(f"{own}\n#undef {name}\n#define {name} {wrong}\n")
        assert f"{name} is wrong for this machine" in compile_check(tmp_path, tmp_path)


def test_the_mirror_of_this_system_is_used(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(RELEASE))
    import debian

    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    monkeypatch.setattr(debian, "APT", tmp_path)
    assert debian.mirror() == "http://deb.debian.org/debian"
    (folder / "other.list").write_text("deb https://packages.example.org/apt bookworm main\n")
    (folder / "debian.sources").write_text("Types: deb\nURIs: http://mirror.example.org/debian\n")
    assert debian.mirror() == "http://mirror.example.org/debian"
    shutil.rmtree(folder)
    (tmp_path / "sources.list").write_text(
        "deb [arch=amd64] https://one.example.org/debian/ sid main\n"
    )
    assert debian.mirror() == "https://one.example.org/debian"


def test_unpacking_again_touches_only_what_has_changed(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(RELEASE))
    from sources import unpack

    sdist, folder = tmp_path / "sdist.tar.gz", tmp_path / "source"

    def pack(**files):
        with tarfile.open(sdist, "w:gz") as tar:
            for name, text in files.items():
                member = tarfile.TarInfo(f"pylmdb-1.0/{name.replace('__', '/')}")
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text))

    pack(same=b"1", src__changed=b"2", src__removed__file=b"3")
    unpack(sdist, folder)
    (folder / "build").mkdir()
    (folder / "build" / "made").touch()
    for path in (folder / "same", folder / "src/changed"):
        os.utime(path, (1, 1))
    pack(same=b"1", src__changed=b"4", src__new=b"5")
    unpack(sdist, folder)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {"same", "src/changed", "src/new", "build/made"}
    assert (folder / "src/changed").read_bytes() == b"4"
    assert (folder / "same").stat().st_mtime == 1
    assert (folder / "src/changed").stat().st_mtime > 1
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["source"]


def test_words_select_wheels(monkeypatch):
    monkeypatch.syspath_prepend(str(RELEASE))
    from targets import TARGETS, VERSIONS, chosen

    assert chosen([]) == {target: list(VERSIONS) for target in TARGETS}
    found = chosen(["cp313", "musllinux"])
    assert {target.platform: versions for target, versions in found.items()} == {
        "musllinux_1_2_x86_64": ["3.13"],
        "musllinux_1_2_aarch64": ["3.13"],
    }
    assert chosen(["windows"]) == {}


def test_symbols_that_a_c_library_lacks_are_found(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(RELEASE))
    from try_wheels import missing_symbols

    def compile_module(name, code):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.with_suffix(".c").write_text(code)
        compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
        command = [*compiler, "-shared", "-fPIC", "-nostdlib", "-o", path, path.with_suffix(".c")]
        subprocess.run(command, check=True)
        return path

    library = compile_module("libc.so", "int old(void) { return 1; }")
    compile_module(
        "pylmdb/_core.so",
        """
        extern int old(void), recent(void), PyErr_Occurred(void);
        __attribute__((weak)) extern int optional(void);
        int call(void) { return old() + recent() + PyErr_Occurred() + (optional ? optional() : 0); }
        """,
    )
    assert missing_symbols(tmp_path, library) == ["_core.so: recent"]


@pytest.fixture
def checks(monkeypatch, tmp_path):
    """The checks of a release, on a repository with version 1.2.3."""
    monkeypatch.syspath_prepend(str(RELEASE))
    import check

    monkeypatch.setattr(check, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    (tmp_path / "src/pylmdb").mkdir(parents=True)
    (tmp_path / "src/pylmdb/_version.py").write_text('__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## 1.2.3 (unreleased)\n\n## 1.2.2 (2026-01-01)\n"
    )
    check.git("init", "--quiet")
    check.git("add", ".")
    check.git("-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "--message=m")
    return check


def test_a_tree_with_changes(checks, tmp_path):
    assert list(checks.clean_tree()) == []
    (tmp_path / "new file").touch()
    (tmp_path / "CHANGELOG.md").write_text("")
    (problem,) = checks.clean_tree()
    assert "CHANGELOG.md" in problem
    assert "new file" in problem


def test_a_version_that_was_released(checks):
    assert list(checks.new_version()) == []
    checks.git("tag", "v1.2.3")
    (problem,) = checks.new_version()
    assert "v1.2.3 is tagged" in problem


def test_a_changelog_without_the_date(checks, tmp_path):
    (problem,) = checks.changelog()
    assert problem == ("CHANGELOG.md begins with '1.2.3 (unreleased)'; write '1.2.3 (YYYY-MM-DD)'")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 (2026-12-01)\n")
    assert list(checks.changelog()) == []


def test_without_a_public_address_a_release_can_be_made(checks, tmp_path, monkeypatch, capsys):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "pylmdb"\n')
    monkeypatch.setitem(checks.STAGES, "sources", [checks.addresses])
    monkeypatch.setattr(sys, "argv", ["check.py", "sources"])
    checks.main()
    assert capsys.readouterr().out == (
        "note   the package index shows where the project is\n"
        "       pyproject.toml has no [project.urls], because pylmdb has no public address yet\n"
    )
    (tmp_path / "pyproject.toml").write_text("[project.urls]\nSource = 'https://example.org'\n")
    assert list(checks.addresses()) == []


def test_files_cannot_be_checked_without_an_sdist(checks, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["check.py", "files"])
    with pytest.raises(SystemExit, match="gz is missing; run: make wheels"):
        checks.main()


def test_wheels_that_are_missing_old_or_of_another_version(checks, tmp_path):
    dist = tmp_path / "dist"
    dist.mkdir()
    (dist / "pylmdb-1.2.3.tar.gz").touch()
    for tag in ("cp310-cp310", "cp315-cp315"):
        (dist / f"pylmdb-1.2.3-{tag}-manylinux_2_17_x86_64.manylinux2014_x86_64.whl").touch()
    assert len(list(checks.every_wheel())) == 6 * 4 - 2
    (dist / "pylmdb-1.2.2-cp310-cp310-musllinux_1_2_x86_64.whl").touch()
    os.utime(
        dist / "pylmdb-1.2.3-cp315-cp315-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", (1, 1)
    )
    problems = list(checks.every_wheel())
    assert sum("is missing" in problem for problem in problems) == 22
    assert sum("1.2.2" in problem and "not of this release" in problem for problem in problems) == 1
    assert (
        sum("cp315" in problem and "older than the sdist" in problem for problem in problems) == 1
    )
