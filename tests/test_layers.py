# SPDX-License-Identifier: MIT
"""The shape of the source: import arrows point down only, one file knows the compiled engines, and
every file can be read to its end.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "pylmdb"


def name_of(path):
    """The name of a module inside the package: ``tools.merge``; ``tools`` for its __init__."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py") if "_native" not in path.parts}

# From the top down.  A module imports from layers below its own, never from its own layer.
LAYERS = [
    {"__init__", "aio", "lowlevel"},
    {"_lazy"},
    {"__main__"},
    {"cli"},
    {"cli._parser"},
    {
        "cli.checking",
        "cli.completion",
        "cli.exchange",
        "cli.files",
        "cli.inspection",
        "cli.records",
        "cli.shell",
        "cli.watching",
    },
    {"cli._commands", "cli._data", "cli._opening", "cli._running"},
    {"cli._output"},
    {"datasets"},
    {"datasets._formats", "datasets.building", "datasets.dask_collections"},
    {"datasets.hdf5"},
    {"datasets.image_folders", "datasets.images", "datasets.loader", "datasets.numpy_files"},
    {"datasets._collating", "datasets._exporting"},
    {"datasets.dataset", "datasets.writer"},
    {"datasets._gathering", "datasets._samples"},
    {"datasets._batches", "datasets._memory"},
    {"datasets._shards"},
    {"datasets._ahead", "datasets._beside", "datasets._decoding", "datasets._layouts"},
    {"datasets._images"},
    {"datasets.datum"},
    {"datasets._epochs", "datasets._orders", "datasets._plain_pickle", "datasets._wire"},
    {"tools"},
    {"tools.conversion", "tools.verification"},
    {"tools.dumping", "tools.loading", "tools.merging"},
    {"tools._destination"},
    {"tools._dump_text", "tools._progress", "tools._sources"},
    {"mapping"},
    {"_codecs", "_map_life", "_map_order"},
    {"_map_walk", "_tuple_codec", "arrays"},
    {"_aio_transaction"},
    {"_aio_cursor"},
    {"_aio_desk", "_aio_methods"},
    {"_aio_places"},
    {"_aio_turn"},
    {"environment"},
    {"_copying", "_inspection", "_verification", "_writing"},
    {"_compaction"},
    {"writer"},
    {"_write_queue"},
    {"_group_commit"},
    {"_catalog"},
    {"_held", "_registry"},
    {"_engine"},
    {"_core_c", "_core_cffi_all"},
    {"_core_cffi_cursor"},
    {"_core_cffi"},
    {"_core_cffi_batches", "_core_cffi_iterator", "_core_cffi_native"},
    {"_core_cffi_shared"},
    {"transaction", "cursor", "database"},
    {"_array_methods", "_ranges", "_signature", "_views"},
    {"_snapshot"},
    {"_array_ranges", "_array_store"},
    {"_gather"},
    {"_array_keys", "_npy", "_reserve"},
    {"_shared_env"},
    {"_alone", "_growth"},
    {"_options", "_writer_gate"},
    {"_buffers", "_fsync", "_inherited", "_numpy", "_put_flags", "_report", "_threads"},
    {"_version", "errors", "types"},
    {"_aliases", "_typing"},
]
DEPTH = {name: depth for depth, layer in enumerate(LAYERS) for name in layer}

COMPILED = {"_lmdb09", "_lmdb10", "_lmdbsys"}
ENGINES = {f"pylmdb.{name}" for name in COMPILED}
LOADERS = {"importlib", "imp", "ctypes", "cffi"}

PYTHON_LINES, C_LINES = 500, 600
C_FILES = [
    path
    for folder in (PACKAGE / "_native", ROOT / "lib" / "liblmdb")
    for pattern in ("*.c", "*.h", "core/*.c", "core/*.h")
    for path in folder.glob(pattern)
]


def is_for_type_checkers(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


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
    """The modules that ``from source import aliases`` names: each alias may be one."""
    names = {f"{source}.{alias.name}".lstrip(".") for alias in aliases}
    modules = names & set(MODULES)
    return modules | ({source} if source and modules != names else modules or names)


def test_the_source_was_found():
    assert {"__init__", "environment", "transaction", "cursor", "_engine"} <= set(MODULES)
    assert imports("environment")[0] >= {"_engine", "transaction"}
    assert len(C_FILES) >= 4


def test_every_module_has_a_layer():
    assert set(MODULES) - set(DEPTH) == set()
    assert len(DEPTH) == sum(map(len, LAYERS)), "a module is in two layers"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_point_down(name):
    own, _ = imports(name)
    for other in own & set(MODULES):
        assert DEPTH[other] > DEPTH[name], f"{name} imports {other}, which is not below it"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imported_modules_exist(name):
    own, _ = imports(name)
    assert own - set(MODULES) - COMPILED == set()


def test_transaction_and_cursor_never_meet():
    assert "cursor" not in imports("transaction")[0]
    assert "transaction" not in imports("cursor")[0]


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"_engine"}))
def test_only_the_engine_module_loads_compiled_code(name):
    own, others = imports(name)
    assert own & COMPILED == set()
    assert others & LOADERS == set()


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"_engine"}))
def test_only_the_engine_module_names_the_engines(name):
    constants = {
        node.value
        for node in ast.walk(parse(name))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert constants & COMPILED == set()


@pytest.mark.parametrize("name", sorted(MODULES))
def test_only_the_standard_library_is_imported_at_the_top(name):
    optional = {"numpy", "tqdm", "rich"}
    for node in parse(name).body:
        if isinstance(node, ast.Import):
            assert not optional & {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in optional


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="the core in cffi needs more")
def test_the_import_loads_nothing_slow():
    """Each of these takes longer to import than most modules of ours."""
    source = "import sys; before = {*sys.modules}; import pylmdb; print(*{*sys.modules} - before)"
    loaded = subprocess.check_output([sys.executable, "-c", source], text=True).split()
    assert not {"typing", "collections", "functools", "contextlib", "weakref", "threading", "re",
                "enum", "dataclasses", "inspect", "operator", "struct", "importlib.util",
                "importlib.metadata", "mmap", "array", "cffi", "pathlib", "asyncio",
                "concurrent.futures", "logging"} & {*loaded}  # fmt: skip
    assert not {"pylmdb.mapping", "pylmdb.arrays", "pylmdb.aio"} & {*loaded}
    assert len({name for name in loaded if name.count(".") == 1} & ENGINES) == 1


def test_the_package_itself_only_re_exports():
    for node in parse("__init__").body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_for_type_checkers(node):
            assert all(isinstance(each, ast.ImportFrom) for each in node.body)
            continue
        assert is_docstring or isinstance(node, (ast.ImportFrom, ast.Assign)), ast.unparse(node)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_python_files_are_short(name):
    assert len(MODULES[name].read_text().splitlines()) < PYTHON_LINES


@pytest.mark.parametrize("path", sorted((ROOT / "tests").glob("*.py")), ids=lambda path: path.name)
def test_tests_are_short(path):
    assert len(path.read_text().splitlines()) < PYTHON_LINES


@pytest.mark.parametrize("path", C_FILES, ids=lambda path: path.name)
def test_c_files_are_short(path):
    assert len(path.read_text().splitlines()) < C_LINES


@pytest.mark.parametrize(
    "path",
    [*MODULES.values(), *C_FILES, *(ROOT / "tests").glob("*.py")],
    ids=lambda path: path.name,
)
def test_every_file_names_its_licence(path):
    assert "SPDX-License-Identifier: MIT" in "".join(path.read_text().splitlines()[:2])
