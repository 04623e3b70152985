# SPDX-License-Identifier: MIT
"""Where the compiled core refuses to be imported: in a subinterpreter, and without the GIL."""

import os
import subprocess
import sys
import sysconfig

import pytest

pytestmark = pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="PyPy has neither subinterpreters nor free threads"
)

IN_SUBINTERPRETERS = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

SOURCE = "try: import pylmdb\\nexcept ImportError as error: print(error, flush=True)"


def run(number):
    run = getattr(interpreters, "exec", None) or interpreters.run_string
    print(run(number, SOURCE))
    interpreters.destroy(number)


# the second one has what mod_wsgi uses: the GIL and the memory of the first one
run(interpreters.create())
if hasattr(interpreters, "exec"):
    run(interpreters.create("legacy"))
else:
    run(interpreters.create(isolated=False))
import pylmdb
"""


def run(source, *options, **environment):
    command = [sys.executable, *options, "-c", source]
    env = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def test_in_a_subinterpreter():
    done = run(IN_SUBINTERPRETERS)
    sentence = (
        "pylmdb cannot be imported in a subinterpreter; use it in the main interpreter, or in"
        " another process"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [sentence, "None", sentence, "None"]


free_threaded = pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python always has the GIL"
)


@free_threaded
def test_a_free_threaded_python_switches_the_gil_on():
    done = run("import sys, pylmdb; print(sys._is_gil_enabled())", PYTHON_GIL="")
    assert done.stdout == "True\n"
    assert "has been enabled to load module 'pylmdb._core'" in done.stderr


@free_threaded
def test_a_free_threaded_python_that_must_not_switch_the_gil_on():
    done = run("import pylmdb", PYTHON_GIL="0")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: pylmdb needs the GIL, and PYTHON_GIL=0 or -X gil=0 keeps it off;"
        " run Python without that option"
    )
