# SPDX-License-Identifier: MIT
"""What the build says if there is no compiler or no network: one sentence, with what to do.  Builds
in one folder wait for each other.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT

NO_COMPILER = "pylmdb: there is no C compiler: "


def run(*command, **environment):
    env = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=env)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def path(tmp_path):
    """Return a PATH without compilers and package managers."""
    for name in ("id", "uname", "bash", "env"):
        os.symlink(shutil.which(name), tmp_path / name)
    return str(tmp_path)


def test_no_compiler(path):
    command = [shutil.which("bash"), ".ci/system-packages", sys.executable, "compiler"]
    status, out, err = run(*command, "python-dev", PATH=path, CC="")
    assert (status, out) == (1, "")
    assert err.startswith(NO_COMPILER)
    assert "apt-get install gcc" in err
    assert err.count("\n") == 1


def test_another_compiler(path):
    os.symlink(shutil.which("true"), os.path.join(path, "my-cc"))
    command = [shutil.which("bash"), ".ci/system-packages", sys.executable, "compiler"]
    assert run(*command, "python-dev", PATH=path, CC="my-cc -O2") == (0, "", "")


def test_something_else_is_missing(path):
    os.symlink(shutil.which("false"), os.path.join(path, "my-cc"))
    command = [shutil.which("bash"), ".ci/system-packages", sys.executable, "liblmdb-dev"]
    status, _, err = run(*command, PATH=path, CC="my-cc", PYLMDB_NO_LMDB_UTILS="")
    assert (status, err.count("\n")) == (0, 1)
    assert "liblmdb-dev is missing" in err


def test_windows_is_refused():
    pytest.importorskip("setuptools")
    command = [sys.executable, "setup.py", "--name"]
    status, out, err = run(*command, _PYTHON_HOST_PLATFORM="win-amd64")
    assert (status, out) == (1, "")
    assert err.startswith("pylmdb: Windows is not supported; use ")
    assert err.count("\n") == 1


def test_the_build_needs_a_compiler(tmp_path):
    pytest.importorskip("setuptools")
    command = [sys.executable, "setup.py", "-q", "build_ext", "-b", tmp_path, "-t", tmp_path]
    status, _, err = run(*command, CC="no-such-compiler")
    assert status == 1
    assert err.splitlines()[-1].startswith(
        f"{NO_COMPILER}'no-such-compiler' was not found; install"
    )


EDITABLE = """
import setuptools
from distutils.core import run_setup

found = run_setup("setup.py", ["build_ext"], "commandline")
command = found.get_command_obj("build_ext")
command.ensure_finalized()
usual = command.build_temp
found.get_command_obj("build").build_temp = "elsewhere"
command = found.reinitialize_command("build_ext")
command.editable_mode = command.inplace = True
command.ensure_finalized()
print(command.build_temp == usual)
"""


def test_make_dev_compiles_once():
    """An editable install leaves its objects where ``build_ext --inplace`` looks for them."""
    pytest.importorskip("setuptools")
    status, out, err = run(sys.executable, "-W", "ignore", "-c", EDITABLE)
    assert (status, out.splitlines()[-1:]) == (0, ["True"]), err


@pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="needs /proc/locks")
def test_a_build_waits_for_another_one_in_the_same_folder():
    """As ``make lint`` and ``make docs``, which use one build folder for two environments."""
    pytest.importorskip("setuptools")
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    folder = os.open(build, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    command = [sys.executable, "setup.py", "--version"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as other:
        waits = f"-> FLOCK ADVISORY WRITE {other.pid} "
        while waits not in " ".join(Path("/proc/locks").read_text().split()) + " ":
            assert other.poll() is None, "it did not wait"
        os.close(folder)
        assert other.communicate()[0].count("\n") == 1
    assert other.returncode == 0


@pytest.fixture
def install(tmp_path):
    """Runs .ci/pip-install, with an index that does not answer and no cache."""
    pytest.importorskip("pip")
    nowhere = {
        "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": "", "PIP_CACHE_DIR": str(tmp_path),
        "PIP_RETRIES": "1", "PIP_NO_INDEX": "0", "no_proxy": "127.0.0.1",
    }  # fmt: skip
    return lambda *arguments: run(".ci/pip-install", sys.executable, *arguments, **nowhere)


def test_no_network(install):
    status, out, err = install("pylmdb-no-such-package")
    assert (status, out) == (1, "")
    assert err.startswith("pylmdb: pip cannot reach the package index http://127.0.0.1:9/simple;")
    assert err.count("\n") == 1


def test_another_failure_of_pip(install, tmp_path):
    status, out, err = install("--no-build-isolation", str(tmp_path / "missing"))
    assert (status, out) == (1, "")
    assert "missing" in err


def test_a_sentence_of_the_build_within_pip(install, tmp_path):
    """pip prints it among much else."""
    pytest.importorskip("setuptools")
    (tmp_path / "p").mkdir()
    program = f"raise SystemExit({NO_COMPILER + 'it; install it'!r})"
    (tmp_path / "p" / "setup.py").write_text(program)
    status, _, err = install("--no-build-isolation", str(tmp_path / "p"))
    assert (status, err) == (1, f"{NO_COMPILER}it; install it\n")


OBJECTS = """
import runpy, sys
build = runpy.run_path("src/pylmdb/_native/build.py")
extension = build["ffi_1_0"]().distutils_extension(sys.argv[1])
for source in extension.sources + ["build/pylmdb._lmdb10.c"]:
    if build["source_flags"](extension, source):
        print(source)
"""


def test_only_the_generated_source_has_flags_of_its_own(tmp_path):
    """They make the build faster, and the modules smaller.  Its name depends on what calls cffi."""
    pytest.importorskip("setuptools")
    status, out, _ = run(sys.executable, "-c", OBJECTS, tmp_path, PYLMDB_SANITIZE="")
    assert (status, out.splitlines()[-2:]) == (
        0,
        [f"{tmp_path}/pylmdb/_lmdb10.c", "build/pylmdb._lmdb10.c"],
    )
