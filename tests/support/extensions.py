# SPDX-License-Identifier: MIT
"""Compile C for tests: extension modules that use the C API, and libraries for LD_PRELOAD."""

import importlib.util
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pylmdb

# each function of pylmdb.h, for tests
CAPI_USER = Path(__file__).with_name("capi_user.c")

STRICT = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-cast-function-type"]


def compile_extension(source, folder, *flags, compiler="cc", standard="c11"):
    """Compile a C file to a module in a folder, and return the path of the module.

    ``flags`` come first, so a directory among them is searched before that of pylmdb's header.
    """
    assert shutil.which(compiler), f"a compiler is needed: {compiler}"
    module = Path(folder) / (Path(source).stem + sysconfig.get_config_var("EXT_SUFFIX"))
    places = sysconfig.get_paths()
    includes = [pylmdb.get_include(), places["include"], places["platinclude"]]
    command = [compiler, f"-std={standard}", "-O1", "-shared", "-fPIC", *STRICT, *flags]
    command += [f"-I{folder}" for folder in includes]
    subprocess.run([*command, str(source), "-o", str(module), "-pthread"], check=True)
    return module


def capi_user(folder):
    """Compile the library that uses the C API to a folder, and import it."""
    path = compile_extension(CAPI_USER, folder)
    spec = importlib.util.spec_from_file_location("capi_user", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compile_library(code, folder, name):
    """Compile C code to a library in a folder, and return the path of the library."""
    source, library = Path(folder) / f"{name}.c", Path(folder) / f"{name}.so"
    source.write_text(code)
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    command = [*compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]
    subprocess.run(command, check=True)
    return str(library)
