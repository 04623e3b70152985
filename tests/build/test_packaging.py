# SPDX-License-Identifier: MIT
"""The sdist builds without a network, and its wheel holds the right files and no others.  A build
compiles in parallel, and only what has changed."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from project import ROOT

import pylmdb

ENGINES = {"0.9": "_lmdb09", "1.0": "_lmdb10"}
INFO = f"pylmdb-{pylmdb.__version__}.dist-info"
PLACED = {
    f"lib/liblmdb/{engine}/{name}"
    for engine in ENGINES
    for name in ("LICENSE", "lmdb.h", "mdb.c", "midl.c", "midl.h", "placed.json")
} | {
    f"lib/liblmdb/xxhash/{name}"
    for name in ("LICENSE", "xxhash.h", "xxh_x86dispatch.c", "xxh_x86dispatch.h", "placed.json")
}

DATA = {"pylmdb/__init__.pxd", "pylmdb/include/pylmdb.h", "pylmdb/py.typed"}

pytestmark = pytest.mark.slow


def run(*command, cwd, **environment):
    """Run a program without a network for pip; show its output when it fails."""
    offline = {
        "PIP_NO_INDEX": "1",
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }
    unset = (
        "PYTHONPATH",
        "PYLMDB_SYSTEM_LIBLMDB",
        "PYLMDB_SANITIZE",
        "PIP_EXTRA_INDEX_URL",
        "PIP_FIND_LINKS",
    )
    inherited = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**inherited, **offline, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def build(kind, source, target):
    run(
        sys.executable,
        "-m",
        "build",
        f"--{kind}",
        "--no-isolation",
        "--outdir",
        target,
        source,
        cwd=target,
    )
    return next(target.glob("*.tar.gz" if kind == "sdist" else "*.whl"))


def members(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the sources, so that building leaves no files in the tree under test."""
    copy = tmp_path_factory.mktemp("checkout")
    made = {".git", "build", "dist"}
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        if (
            path.is_file()
            and parts[0] not in made
            and not parts[0].startswith(".venv")
            and "__pycache__" not in parts
            and path.suffix != ".so"
        ):
            target = copy.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return copy


@pytest.fixture(scope="module")
def sdist(checkout, tmp_path_factory):
    return build("sdist", checkout, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def unpacked(sdist, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as tar:
        for member in tar.getmembers():
            if member.isfile():
                target = folder.joinpath(*Path(member.name).parts[1:])
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(tar.extractfile(member).read())
    return folder


@pytest.fixture(scope="module")
def wheel(unpacked, tmp_path_factory):
    return build("wheel", unpacked, tmp_path_factory.mktemp("wheel"))


def test_the_sdist_carries_what_it_needs(unpacked):
    names = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    assert names >= PLACED
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, check=True)
        assert not set(listed.stdout.decode().splitlines()) - names
    assert names >= {
        "LICENSE",
        "pyproject.toml",
        "setup.py",
        "src/pylmdb/py.typed",
    }
    documentation = [*(ROOT / "docs").rglob("*.*")]
    pages = {path for path in documentation if path.is_file() and "_build" not in path.parts}
    assert names >= {str(path.relative_to(ROOT)) for path in pages if path.suffix != ".pyc"}
    assert names >= {
        f"lib/liblmdb/{name}"
        for name in (
            "pin.json",
            "place.py",
            "shim_calls.py",
            "source_edits.py",
            "shim.c",
            "README.md",
        )
    }
    native = {
        path
        for path in (ROOT / "src/pylmdb/_native").rglob("*")
        if path.suffix in (".c", ".h", ".py")
    }
    assert names >= {str(path.relative_to(ROOT)) for path in native}
    assert not [name for name in names if name.endswith((".so", ".pyc", ".o", ".mdb"))]


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = Parser().parsestr(archive.read(f"{INFO}/METADATA").decode())
    package = {name for name in names if not name.startswith("pylmdb-")}
    extensions = {name for name in package if name.endswith(".so")}
    assert {name.rpartition("/")[0] for name in extensions} == {"pylmdb"}
    modules = {Path(name).name.partition(".")[0] for name in extensions}
    assert modules == {"_core", *ENGINES.values()}
    # an engine serves every version of Python
    assert extensions >= {f"pylmdb/{engine}.abi3.so" for engine in ENGINES.values()}
    sources = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src/pylmdb").rglob("*.py*")
        if path.suffix in (".py", ".pyi") and "_native" not in path.parts
    }
    assert package - extensions == sources | DATA

    licences = {name.partition("/licenses/")[2] for name in names if "/licenses/" in name}
    folders = [*ENGINES, "xxhash"]
    assert licences == {"LICENSE"} | {f"lib/liblmdb/{folder}/LICENSE" for folder in folders}
    assert metadata["License-Expression"] == "MIT AND OLDAP-2.8 AND BSD-2-Clause"
    assert set(metadata.get_all("License-File")) == licences
    required = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert required == ["cffi>=1.16"]
    assert set(metadata.get_all("Provides-Extra")) >= {"numpy", "test", "demo", "bench", "docs"}

    # the page of the package index, which has no files of the repository
    assert metadata["Description-Content-Type"] == "text/markdown"
    links = re.findall(r"\]\(([^)]*)\)", metadata.get_payload())
    assert "https://pypi.org/project/lmdb/" in links
    assert [link for link in links if not link.startswith("https://")] == []
    assert "Platforms (`docs/reference/platforms.md`)" in metadata.get_payload()


def test_the_wheel_carries_the_licences_of_what_it_contains(wheel):
    with zipfile.ZipFile(wheel) as archive:
        for engine in ENGINES:
            text = archive.read(f"{INFO}/licenses/lib/liblmdb/{engine}/LICENSE")
            assert text.startswith(b"The OpenLDAP Public License\n  Version 2.8")
        assert b"BSD 2-Clause" in archive.read(f"{INFO}/licenses/lib/liblmdb/xxhash/LICENSE")


def test_the_wheel_has_a_bill_of_materials(wheel):
    with zipfile.ZipFile(wheel) as archive:
        bill = json.loads(archive.read(f"{INFO}/sboms/pylmdb.cdx.json"))
    assert bill["metadata"]["component"]["version"] == pylmdb.__version__


def test_the_installed_wheel_imports(wheel, tmp_path):
    venv.create(tmp_path / "env", with_pip=False, system_site_packages=True)
    python = tmp_path / "env" / "bin" / "python"
    site = run(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path
    ).strip()
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--no-index",
        "--target",
        site,
        wheel,
    ]
    run(*command, cwd=tmp_path)
    # The environment that runs the tests lends its cffi, behind the wheel's own directory.
    lender = str(Path(__import__("cffi").__file__).resolve().parent.parent)
    program = (
        f"import sys; sys.path.append({lender!r})\n"
        "import pylmdb, pylmdb._lmdb09 as old, pylmdb._lmdb10 as new\n"
        f"assert pylmdb.__file__.startswith({site!r}), pylmdb.__file__\n"
        "print([m.ffi.string(m.lib.mdb_version(*[m.ffi.NULL] * 3))[:9] for m in (old, new)])"
    )
    assert run(python, "-I", "-c", program, cwd=tmp_path).strip() == "[b'LMDB 0.9.', b'LMDB 1.0.']"


def test_a_changed_input_is_compiled_again(unpacked, tmp_path):
    """A second build in the same tree uses neither old objects nor deleted modules, nor engines for
    one version of Python."""
    stale = unpacked / "src" / "pylmdb" / "stale.py"
    stale.write_text("")
    for built in (unpacked / "build").rglob("_lmdb09.abi3.so"):
        built.with_name(f"_lmdb09{sysconfig.get_config_var('EXT_SUFFIX')}").write_bytes(b"old")
    try:
        first = build("wheel", unpacked, tmp_path)
        assert "pylmdb/stale.py" in members(first)
        assert [name for name in members(first) if "_lmdb09" in name] == ["pylmdb/_lmdb09.abi3.so"]
    finally:
        stale.unlink()
    objects = sorted((unpacked / "build").rglob("shim.o"))
    assert len(objects) == len(ENGINES)
    before = [path.stat().st_mtime_ns for path in objects]
    first.unlink()
    assert "pylmdb/stale.py" not in members(build("wheel", unpacked, tmp_path))
    assert [path.stat().st_mtime_ns for path in objects] == before

    header = unpacked / "lib" / "liblmdb" / "shim.h"
    os.utime(header)
    build("wheel", unpacked, tmp_path)
    assert all(path.stat().st_mtime_ns > old for path, old in zip(objects, before, strict=True))


COMPILER = """#!/usr/bin/env bash
# Stand in for a compiler: log each object, and wait for the others of a group of four.
while [ "$1" != -o ]; do source=$1; shift; done
mkdir -p "$(dirname "$2")" && : >"$2"
[[ $2 == *.o ]] || exit 0
echo "$2: $source" >"${2%.o}.d"
echo "$2" >>"$LOG/compiled"
for _ in {1..600}; do [ "$(wc -l <"$LOG/compiled")" -ge 4 ] && exit 0; sleep 0.1; done
echo "$2" >>"$LOG/alone"
"""


def test_objects_are_compiled_in_parallel_and_once(unpacked, tmp_path):
    """Four at a time, though there are three extensions."""
    compiler, log = tmp_path / "my-cc", tmp_path / "compiled"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    command = [sys.executable, "setup.py", "-q", "build_ext", "-j4", "-b", tmp_path, "-t", tmp_path]

    def compiled(flags):
        log.write_text("")
        run(*command, cwd=unpacked, CC=str(compiler), CFLAGS=flags, LOG=str(tmp_path))
        return len(log.read_text().splitlines())

    every = compiled("-DONE")
    assert every > 80
    assert not (tmp_path / "alone").exists()
    assert compiled("-DONE") == 0
    assert compiled("-DTWO") == every
