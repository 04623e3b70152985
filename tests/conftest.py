# SPDX-License-Identifier: MIT
"""Every test that opens an environment runs over both engines and every core."""

import contextlib
import gc
import importlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dropped  # on PyPy, gc.collect() then works as on CPython
import pytest
from numpy_if_any import lacks_numpy
from programs import PATIENCE

import pylmdb

# Child processes are sent SIGINT; where a shell runs us in the background they inherit it ignored.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# pylmdb chooses its core by this when it is imported: a run of the tests is of one core.
CORES = [os.environ.get("PYLMDB_CORE") or ("c" if sys.implementation.name == "cpython" else "cffi")]
# How many new objects cause a garbage collection; 0: as many as Python decides.
COLLECT = int(os.environ.get("PYLMDB_COLLECT", "0"))

# The files that take the longest, for their number of tests.
LONG = (
    "test_pages.py", "test_writer_process.py", "test_core_leaks.py", "test_open_refused.py",
    "test_writer_lock.py", "test_interrupts.py", "test_power_failure.py", "test_process_numbers.py",
    "test_core_faults.py", "test_threads.py", "test_hostile_files.py", "test_growth.py",
    "test_replaced_files.py", "test_cli_attacks.py", "test_map.py",
)  # fmt: skip


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Iterator[None]:
    """Start half as many processes again as there are processors.

    Tests wait for the disk, for locks and for other processes.
    """
    return (yield) * 3 // 2


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Import the test files from another place in each process.

    pytest rewrites a file when it is first imported, and stores that.  Processes that all begin
    with the same file rewrite all files, each for itself.
    """
    gc.disable()  # what is collected stays, and a fifth of the time is spent in looking at it
    worker = getattr(session.config, "workerinput", None)
    if worker is None or session.config.args != session.config.getini("testpaths"):
        return
    files = sorted(Path(__file__).parent.rglob("test_*.py"))
    for file in files[int(worker["workerid"].removeprefix("gw")) :: worker["workercount"]]:
        sys.path.insert(0, str(file.parent))
        with contextlib.suppress(Exception, pytest.skip.Exception):  # the collection reports it
            importlib.import_module(file.stem)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run long files first, or at the end one process would be left alone with one of them."""
    items.sort(key=lambda item: item.path.name not in LONG)


def pytest_collection_finish() -> None:
    """Take the objects of all collected tests out of garbage collections.

    With them each of the many ``gc.collect()`` of the tests takes a sixth of a second.
    """
    dropped.freeze()
    gc.enable()
    if COLLECT:
        gc.set_threshold(COLLECT, 5, 5)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Skip a test that needs numpy on PyPy without it; elsewhere the test fails."""
    try:
        return (yield)
    except ImportError as error:
        if lacks_numpy(error):
            pytest.skip("numpy is not installed")
        raise


@pytest.fixture(params=CORES)
def core(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the core of this run: "c" or "cffi"."""
    monkeypatch.setenv("PYLMDB_CORE", request.param)
    return request.param


@pytest.fixture(params=[0, 1], ids=["0.9", "1.0"])
def lib_version(request: pytest.FixtureRequest, core: str) -> int:
    """Return the LMDB release line of new files."""
    return request.param


@pytest.fixture(
    params=[(0, 0), (0, 1), (1, 0), (1, 1)], ids=["0.9,0.9", "0.9,1.0", "1.0,0.9", "1.0,1.0"]
)
def versions(request: pytest.FixtureRequest) -> tuple[int, int]:
    """Return the formats of two environments, equal or different."""
    return request.param


@pytest.fixture
def env_path(tmp_path: Path) -> str:
    """Return a directory name at which nothing exists yet."""
    return str(tmp_path / "env")


@pytest.fixture
def open_env(
    core: str, lib_version: int, env_path: str
) -> Iterator[Callable[..., pylmdb.Environment]]:
    """Open environments with the engine of the test, and close them at its end."""
    opened = []

    def open_one(path: object = env_path, *args: object, **options: object) -> pylmdb.Environment:
        options.setdefault("lib_version", lib_version)
        opened.append(pylmdb.open(path, *args, **options))
        return opened[-1]

    yield open_one
    for env in reversed(opened):
        env.close()


@pytest.fixture
def env(open_env: Callable[..., pylmdb.Environment]) -> pylmdb.Environment:
    """Return a new environment with default options."""
    return open_env()


@pytest.fixture
def release_writer_lock(env: pylmdb.Environment) -> Iterator[threading.Event]:
    """Another thread has taken the writer lock, and releases it when this event is set."""
    release, has_taken = threading.Event(), threading.Event()

    def hold() -> None:
        with env.begin(write=True) as txn:
            has_taken.set()
            release.wait(PATIENCE)
            txn.abort()

    thread = threading.Thread(target=hold)
    thread.start()
    has_taken.wait(PATIENCE)
    yield release
    release.set()
    thread.join()


LMDB_UTILS = ("mdb_copy", "mdb_dump", "mdb_load", "mdb_stat")


@pytest.fixture
def tool() -> Callable[..., Any]:
    """Run one of Debian's lmdb-utils; without them a test fails and is not skipped.

    Input and output are str, or bytes if ``text`` is bytes.
    """
    missing = [name for name in LMDB_UTILS if not shutil.which(name)]
    if missing and os.environ.get("PYLMDB_NO_LMDB_UTILS") == "1":
        pytest.skip("PYLMDB_NO_LMDB_UTILS=1")
    if missing:
        pytest.fail(
            f"{', '.join(missing)} not found: apt-get install lmdb-utils, or set"
            " PYLMDB_NO_LMDB_UTILS=1 to do without these tests",
            pytrace=False,
        )

    def run(name: str, *arguments: Any, text: Any = "", codes: tuple[int, ...] = (0,)) -> Any:
        command = [name, *map(str, arguments)]
        as_text = isinstance(text, str)
        done = subprocess.run(command, input=text, capture_output=True, text=as_text, check=False)
        assert done.returncode in codes, (name, done.stdout, done.stderr)
        return done.stdout

    return run
