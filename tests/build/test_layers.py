# SPDX-License-Identifier: MIT
"""The structure of the source: imports go down only, two modules load compiled ones, and files
and functions are short.
"""

import ast
import functools
import graphlib
import os
import re
import subprocess
import sys

import pytest
from project import ROOT

PACKAGE = ROOT / "src" / "pylmdb"


def name_of(path):
    """The name of a module inside the package: ``tools.merge``; ``tools`` for its __init__."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py") if "_native" not in path.parts}

# From the top down: modules, and folders as a whole.  One imports what is below it, and never what
# is beside it.
STRATA = [
    {"__main__"},
    {"cli"},
    {"__init__"},
    {"_lazy"},
    {"aio", "datasets", "verify"},
    {"lowlevel", "mapping", "tools"},
    {"environment"},
    {"_environment"},
    {"writer"},
    {"_registry"},
    {"_engine"},
    {"_slow_paths", "cursor", "transaction"},
    {"_array_methods"},
    {"arrays"},
    {"_shared", "_signature", "database"},
    {"_which_core"},
    {"_cffi_core"},
    {"_core_rules"},
    {"_version", "errors", "types"},
    {"_base"},
    {"_aliases", "_typing"},
]
DEPTH = {name: depth for depth, stratum in enumerate(STRATA) for name in stratum}

ENGINES = {"_lmdb09", "_lmdb10", "_lmdbsys"}
# which module loads which compiled ones
COMPILED = {"_which_core": {"_core"}, "_engine": ENGINES}
LOADERS = {"importlib", "imp", "ctypes", "cffi"}

PYTHON_LINES, C_LINES = 700, 800
NATIVE, LIBLMDB = PACKAGE / "_native", ROOT / "lib" / "liblmdb"
C_FILES = [*NATIVE.rglob("*.[ch]"), *LIBLMDB.glob("*.[ch]")]


def is_for_type_checkers(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def statements(node):
    """All nodes below ``node`` that exist at run time."""
    for child in ast.iter_child_nodes(node):
        if is_for_type_checkers(child):
            for other in child.orelse:
                yield other
                yield from statements(other)
        else:
            yield child
            yield from statements(child)


def parse(name):
    return ast.parse(MODULES[name].read_text())


@functools.cache
def imports(name):
    """(own modules, top-level names of others) that a module imports, wherever in it."""
    own, others = set(), set()
    for node in statements(parse(name)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                head, _, rest = alias.name.partition(".")
                if head == "pylmdb":
                    own.add(rest or "__init__")
                else:
                    others.add(head)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                origin = [*package_of(name)[: None if node.level == 1 else 1 - node.level]]
                own |= imported(".".join([*origin, *filter(None, [module])]), node.names)
            elif module.partition(".")[0] == "pylmdb":
                own |= imported(module.partition(".")[2], node.names)
            else:
                others.add(module.partition(".")[0])
    return own, others


def package_of(name):
    parts = name.split(".")
    return parts if MODULES[name].name == "__init__.py" and name != "__init__" else parts[:-1]


def imported(source, aliases):
    """Return the modules that ``from source import aliases`` names: each alias may be one."""
    names = {f"{source}.{alias.name}".lstrip(".") for alias in aliases}
    modules = names & set(MODULES)
    return modules | ({source} if source and modules != names else modules or names)


def test_the_source_was_found():
    assert {"__init__", "environment", "transaction", "cursor", "_engine"} <= set(MODULES)
    assert imports("environment")[0] >= {"_registry", "_which_core"}
    assert len(C_FILES) >= 4


def unit(name):
    """Return the folder of a module, or the module itself."""
    return name.partition(".")[0]


def test_every_module_has_a_stratum():
    assert {unit(name) for name in MODULES} == set(DEPTH)
    assert len(DEPTH) == sum(map(len, STRATA)), "a name is in two strata"


def test_imports_point_down():
    upward = [
        f"{name} imports {other}, which is not below it"
        for name in MODULES
        for other in imports(name)[0] & set(MODULES)
        if unit(other) != unit(name) and DEPTH[unit(other)] <= DEPTH[unit(name)]
    ]
    assert not upward


def test_no_folder_has_a_cycle():
    graph = {
        name: {other for other in imports(name)[0] & set(MODULES) if unit(other) == unit(name)}
        for name in MODULES
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


def test_private_modules_of_a_folder_are_its_own():
    strangers = [
        f"{name} imports {other}"
        for name in MODULES
        for other in imports(name)[0] & set(MODULES)
        if unit(other) != unit(name) and any(part[0] == "_" for part in other.split(".")[1:])
    ]
    assert not strangers


def test_few_modules_are_outside_of_the_folders():
    assert len([*PACKAGE.glob("*.py")]) <= 20


def test_imported_modules_exist():
    missing = {name: imports(name)[0] - set(MODULES) for name in MODULES}
    assert {name: names for name, names in missing.items() if names} == COMPILED


def test_transaction_and_cursor_never_meet():
    assert "cursor" not in imports("transaction")[0]
    assert "transaction" not in imports("cursor")[0]


def test_modules_are_imported_by_statements():
    """Programs that freeze others find what an import statement names, and nothing else."""
    for name in MODULES:
        names = {node.id for node in ast.walk(parse(name)) if isinstance(node, ast.Name)}
        assert not imports(name)[1] & LOADERS, name
        assert "__import__" not in names, name


def test_only_the_engine_module_names_the_engines():
    for name in set(MODULES) - {"_engine"}:
        constants = {
            node.value
            for node in ast.walk(parse(name))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert not constants & ENGINES, name


def flag_names():
    """Names of liblmdb's flags as Python code might spell them: without MDB_ and underscores."""
    names = [
        target.id
        for node in ast.walk(parse("_base.flags"))
        if isinstance(node, ast.Assign)
        for target in ast.walk(node)
        if isinstance(target, ast.Name) and target.id.startswith("MDB_")
    ]
    assert {"MDB_DUPSORT", "MDB_NOSYNC", "MDB_CP_COMPACT"} <= set(names)
    return {bare(name) for name in names}


def bare(name):
    return name.upper().removeprefix("_").removeprefix("MDB_").replace("_", "")


def is_number(node):
    return isinstance(node, ast.Constant) and type(node.value) is int


def numbered(tree):
    """The names that a module binds to integers: by assignments, and as keys of dicts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            pairs = [*zip(node.keys, node.values, strict=True)]
        elif isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            pairs = [(target, value)]
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = [*zip(target.elts, value.elts, strict=False)]
        else:
            continue
        for key, value in pairs:
            if is_number(value) and isinstance(key, ast.Name):
                yield key.id
            elif is_number(value) and isinstance(key, ast.Constant):
                yield key.value.decode() if isinstance(key.value, bytes) else str(key.value)


def test_numbers_of_flags_are_in_one_file():
    """liblmdb's numbers: the engines' own are beside them in test_lowlevel_declarations.py."""
    flags = flag_names()
    code = "_CREATE = 0x40000; A, MDB_APPEND = 1, 2; X = {b'reversekey': 2, 'integer_dup': 32}"
    assert {bare(name) for name in numbered(ast.parse(code))} & flags == {
        "CREATE", "APPEND", "REVERSEKEY", "INTEGERDUP",
    }  # fmt: skip
    elsewhere = {
        name: {each for each in numbered(parse(name)) if bare(each) in flags}
        for name in set(MODULES) - {"_base.flags"}
    }
    assert {name: found for name, found in elsewhere.items() if found} == {}


def test_only_the_standard_library_is_imported_at_the_top():
    optional = {"numpy", "tqdm", "rich"}
    for name in MODULES:
        for node in parse(name).body:
            found = set()
            if isinstance(node, ast.Import):
                found = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found = {(node.module or "").partition(".")[0]}
            assert not found & optional, name


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="the core in cffi needs more")
def test_the_import_loads_nothing_slow():
    """Each of these takes longer to import than most modules of ours."""
    source = "import sys; before = {*sys.modules}; import pylmdb; print(*{*sys.modules} - before)"
    command, environ = [sys.executable, "-c", source], {**os.environ, "PYLMDB_CORE": "c"}
    loaded = subprocess.check_output(command, text=True, env=environ).split()
    assert not {"typing", "collections", "functools", "contextlib", "weakref", "threading", "re",
                "enum", "dataclasses", "inspect", "operator", "struct", "importlib.util",
                "importlib.metadata", "mmap", "array", "cffi", "pathlib", "asyncio",
                "concurrent.futures", "logging"} & {*loaded}  # fmt: skip
    assert not {"pylmdb.mapping", "pylmdb.arrays", "pylmdb.aio"} & {*loaded}
    assert not {"pylmdb._registry", "pylmdb._engine", "pylmdb._slow_paths"} & {*loaded}, (
        "no open yet"
    )
    late = ("pylmdb._shared", "pylmdb._core_rules", "pylmdb._environment.")
    loaded.remove("pylmdb._environment.file_methods")
    assert not {name for name in loaded if name.startswith(late)}
    assert not {"pylmdb.errors", "pylmdb.types"} & {*loaded}, "nothing has failed yet"
    compiled = {name for names in COMPILED.values() for name in names}
    assert {f"pylmdb.{name}" for name in compiled} & {*loaded} == {"pylmdb._core"}, "no engine yet"
    assert not {"_cffi_backend", "pylmdb._cffi_core.core"} & {*loaded}


def test_the_package_itself_only_re_exports():
    for node in parse("__init__").body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_for_type_checkers(node):
            assert all(isinstance(each, ast.ImportFrom) for each in node.body)
            continue
        allowed = (ast.ImportFrom, ast.Assign, ast.Delete)
        assert is_docstring or isinstance(node, allowed), ast.unparse(node)


# Headers that a folder of C may include from elsewhere.
SHARED_HEADERS = {
    "plain.h", "shim.h", "memory.h", "compare.h", "order.h", "rules.h", "engine.h", "position.h",
    "page_sums.h", "slots.h",
}  # fmt: skip


def included(path):
    """Return our files that a C file includes."""
    names = re.findall(r'^#include "(.+)"', path.read_text(), re.MULTILINE)
    found = [
        [folder / name for folder in (path.parent, NATIVE, LIBLMDB) if (folder / name).exists()]
        for name in names
    ]
    return [places[0] for places in found if places]


def test_c_includes_have_no_cycle():
    graphlib.TopologicalSorter({path: included(path) for path in C_FILES}).prepare()


def test_a_folder_of_c_includes_itself_and_what_is_shared():
    for path in C_FILES:
        if path.parent not in (NATIVE, LIBLMDB):
            others = {each.name for each in included(path) if each.parent != path.parent}
            assert others <= SHARED_HEADERS, path


def called(path, files):
    """The files among ``files`` whose functions a file of C calls or names."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    names = set(re.findall(r"\w+", text))
    return {other for other in files if other != path and names & defined(other)}


def defined(path):
    """The functions that a file of C defines for other files; macros define methods of the core."""
    text = path.read_text()
    function = r"^(?!static\b)\w[\w *]*?(\w+)\([^;{}()]*\)\n\{"
    kind = r"(CURSOR|TRANSACTION)_METHOD"
    found = {*re.findall(function, text, re.MULTILINE)}
    methods = re.findall(rf"^{kind}\((\w+)\)\n\{{", text, re.MULTILINE)
    for macro, of in re.findall(
        rf"^#define (\w+)\(name,.*\\\n +{kind}\(name\)", text, re.MULTILINE
    ):
        methods += [(of, name) for name in re.findall(rf"^{macro}\((\w+)", text, re.MULTILINE)]
    return found | {f"{of.lower()}_{name}" for of, name in methods}


@pytest.mark.parametrize("folder", ["core", "plain", "arrays", "merge", "text", "verify"])
def test_calls_between_the_files_of_a_c_folder_have_no_cycle(folder):
    files = sorted((NATIVE / folder).glob("*.c"))
    # those of the core may define nothing but a type
    assert all(defined(path) or "\nTYPE_SPEC(" in path.read_text() for path in files)
    graphlib.TopologicalSorter({path: called(path, files) for path in files}).prepare()


def lines(path):
    return len(path.read_text().splitlines())


def test_files_can_be_read_to_the_end():
    python = [*MODULES.values(), *(ROOT / "tests").rglob("*.py")]
    long = {path: lines(path) for path in python if lines(path) > PYTHON_LINES}
    long |= {path: lines(path) for path in C_FILES if lines(path) > C_LINES}
    assert not long


def test_every_file_names_its_licence():
    files = [*MODULES.values(), *C_FILES, *(ROOT / "tests").rglob("*.py")]
    wrong = [
        path
        for path in files
        if "SPDX-License-Identifier: MIT" not in "".join(path.read_text().splitlines()[:2])
    ]
    assert not wrong
