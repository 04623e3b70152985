# SPDX-License-Identifier: MIT
"""Compile extension modules for several targets with zig, by one run of ninja."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from ninja.ninja_syntax import Writer
from setuptools import Extension
from targets import Target

# What Python's own flags and Debian's give: no assumption about overflow, a guard on the stack.
# zig would trap undefined behaviour, unlike gcc.
FLAGS = ["-fPIC", "-fwrapv", "-g0", "-fno-sanitize=undefined", "-fstack-protector-strong"]


class CompileError(Exception):
    """Something does not compile; the compiler has printed why."""


def program(name: str) -> str:
    """Return the path of a program of this environment."""
    return str(Path(sys.executable).parent / name)


class Plan:
    """The file build.ninja.  Paths of sources begin in the current folder.

    :param cache: the folder for build.ninja, objects and modules.
    :param source_flags: returns more flags for one source of an extension.
    """

    def __init__(self, cache: Path, source_flags: Callable[[Extension, str], list[str]]) -> None:
        self.cache = cache
        self.source_flags = source_flags
        self.path = cache / "build.ninja"
        self.ninja = Writer(self.path.open("w", encoding="utf-8"))
        spec = find_spec("ziglang")
        if spec is None or spec.origin is None:
            raise CompileError("the package ziglang is missing")
        self.ninja.variable("zig", str(Path(spec.origin).parent / "zig"))
        self.ninja.variable("builddir", str(cache))
        compile_one = "$zig cc -target $triple -MMD -MF $out.d $flags -c $in -o $out"
        self.ninja.rule("compile", compile_one, depfile="$out.d", deps="gcc", description="$out")
        link = "$zig cc -target $triple -shared -s $in -o $out $flags"
        self.ninja.rule("link-gnu", link, description="$out")
        # Python's own functions are found when the module is loaded.
        lookup = "-Wl,-undefined,dynamic_lookup"
        self.ninja.rule("link-none", f"{link} {lookup}", description="$out")
        # zig calls musl libc.so, as glibc calls a text file.  Alpine's name tells auditwheel which
        # library it is; musl's loader takes both names for itself.
        rename = f"{program('patchelf')} --replace-needed libc.so libc.musl-$machine.so.1 $out"
        self.ninja.rule("link-musl", f"{link} && {rename}", description="$out")

    def check(self, source: Path, target: Target, include: Path, kind: str) -> None:
        """Add a file that only has to compile."""
        compiled = self.cache / target.platform / kind / f"{source.stem}.o"
        self._object(compiled, source, target, [f"-I{include}"])

    def module(self, extension: Extension, target: Target, include: Path, kind: str) -> Path:
        """Add an extension module, and return the file that it will be.

        :param include: the folder of Python.h.
        :param kind: the folder of its objects, within that of the target.
        """
        name = extension.name.rpartition(".")[2]
        folder = self.cache / target.platform / kind
        flags = [*FLAGS, *extension.extra_compile_args]
        flags += [f"-D{name}={value or ''}" for name, value in extension.define_macros]
        flags += [f"-I{path}" for path in [*extension.include_dirs, include]]
        objects = []
        for source in map(Path, extension.sources):
            compiled = folder / name / source.with_suffix(".o").name
            if compiled in objects:
                compiled = folder / name / source.parent.name / compiled.name
            more = self.source_flags(extension, str(source))
            self._object(compiled, source, target, flags + more)
            objects.append(compiled)
        built = folder / f"{name}.so"
        libraries = [f"-l{library}" for library in extension.libraries]
        flags = [*extension.extra_link_args, *libraries]
        self._build(built, f"link-{target.library}", objects, target, flags)
        return built

    def _object(self, compiled: Path, source: Path, target: Target, flags: list[str]) -> None:
        self._build(compiled, "compile", [source], target, flags)

    def _build(
        self, made: Path, rule: str, inputs: list[Path], target: Target, flags: list[str]
    ) -> None:
        quoted = " ".join(shlex.quote(flag) for flag in flags).replace("$", "$$")
        variables = {"triple": target.triple, "machine": target.machine, "flags": quoted}
        self.ninja.build(str(made), rule, [str(path) for path in inputs], variables=variables)

    def make(self, jobs: int | None) -> None:
        """Compile what has changed.

        :raises CompileError: something does not compile.
        """
        self.ninja.close()
        zig = str(self.cache / "zig")
        command = [program("ninja"), "--quiet", "-f", str(self.path)]
        command += ["-j", str(jobs)] if jobs else []
        env = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": zig, "ZIG_LOCAL_CACHE_DIR": zig}
        if subprocess.run(command, env=env, check=False).returncode != 0:
            raise CompileError("ninja could not compile everything; see above")
