# SPDX-License-Identifier: MIT
"""The C tests of the engines compile and run on this machine; .ci/test-c says what is missing for
others.
"""

import os
import shutil
import subprocess

import pytest
from project import ROOT

TEST_C = ROOT / ".ci" / "test-c"


def run(name, mode="--run", **environment):
    command = [TEST_C, mode, name]
    environment = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="there is no gcc")


@needs_gcc
def test_the_c_tests_compile():
    done = run("gcc", "--syntax")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@needs_gcc
@pytest.mark.parametrize("name", ["gcc", "posix"])
def test_the_c_tests_pass_here(name):
    done = run(name)
    assert done.returncode == 0, done.stderr
    assert [line.rpartition(" 0 failed")[1] for line in done.stdout.splitlines()] == [
        " 0 failed",
        " 0 failed",
    ]


@pytest.fixture
def few_programs(tmp_path):
    """A PATH without compilers and without qemu."""
    for name in ("bash", "dirname", "awk", "env"):
        (tmp_path / name).symlink_to(shutil.which(name))
    return str(tmp_path)


@pytest.mark.parametrize(
    ("name", "program", "package"),
    [
        ("s390x", "s390x-linux-gnu-gcc", "gcc-s390x-linux-gnu"),
        ("musl", "musl-gcc", "musl-tools"),
        ("aarch64-clang", "clang", "clang"),
    ],
)
def test_a_missing_compiler_is_named(few_programs, name, program, package):
    done = run(name, PATH=few_programs)
    assert done.returncode == 1
    assert done.stderr == (
        f"pylmdb: {name}: there is no {program}; install it (Debian: apt-get install {package})\n"
    )


def test_an_unknown_platform_is_refused(few_programs):
    done = run("vax", PATH=few_programs)
    assert done.returncode == 1
    assert "there is no platform vax; there are: gcc clang" in done.stderr
