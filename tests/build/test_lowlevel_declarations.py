# SPDX-License-Identifier: MIT
"""The low-level modules declare everything in their engine's lmdb.h, and the names of 1.0 in both;
their declarations of our functions come from our headers.

A small parser reads the headers and lmdb.cdef.h alike; what it finds must be in the cdef and in the
compiled modules.
"""

import errno
import importlib
import importlib.util
import re
import runpy
import shutil
import subprocess

import pytest
from project import ROOT

from pylmdb._base import flags

CDEF = ROOT / "src" / "pylmdb" / "_native" / "lmdb.cdef.h"
OWN = runpy.run_path(str(ROOT / "src" / "pylmdb" / "_native" / "declarations.py"))
MODULES = {"0.9": "pylmdb._lmdb09", "1.0": "pylmdb._lmdb10"}

# Macros that make text for the C preprocessor; they have no value that a program could call or
# read.
TEXT_MACROS = {"MDB_VERSTR", "MDB_VERFOO", "MDB_FMT_Z", "MDB_PRIy", "MDB_SCNy"}

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pylmdb._lmdbsys") is not None,
    reason="built against the system's liblmdb: nothing is placed",
)


def without_comments(text):
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)
    return text.replace("\\\n", " ")


def squeeze(text):
    """Normalise a C declaration: single blanks, none around punctuation, one name for the size
    type.
    """
    text = re.sub(r"\bmdb_size_t\b", "size_t", text)
    return re.sub(r"\s*([*(),])\s*", r"\1", re.sub(r"\s+", " ", text)).strip()


def parse(text):
    """The declarations in a header: defines, functions, typedefs, struct fields and enum members,
    by name.
    """
    text = without_comments(text)
    found = {"define": {}, "function": {}, "typedef": set(), "field": set(), "member": []}
    for name, value in re.findall(
        r"^[ \t]*#[ \t]*define[ \t]+(\w+)(?:\([^)\n]*\))?(.*)$", text, re.MULTILINE
    ):
        if name.lower().startswith("mdb_"):
            found["define"][name] = value.strip()
    text = re.sub(r"^[ \t]*#.*$", "", text, flags=re.MULTILINE).replace('extern "C" {', "")
    for kind, name, body in re.findall(
        r"typedef\s+(struct|enum)\s+(\w+)\s*\{(.*?)\}", text, re.DOTALL
    ):
        found["typedef"].add(name)
        if kind == "enum":
            found["member"] += re.findall(r"\b\w+\b", body)
        else:
            found["field"] |= {(name, field) for field in re.findall(r"(\w+)\s*;", body)}
    text = re.sub(r"\{.*?\}", "{}", text, flags=re.DOTALL)
    for statement in (squeeze(part) for part in text.split(";")):
        function = re.match(r"(?!typedef)([\w ]+\**)\b(mdb_\w+|MDB_VERINT)(\(.*\))$", statement)
        if function:
            found["function"][function[2]] = squeeze(function[1]) + function[3]
        elif statement.startswith("typedef") and "{" not in statement:
            patterns = (r"\((\w+)\)\(", r"(\w+)\(", r"(\w+)$")
            name = next(match for match in (re.search(p, statement) for p in patterns) if match)
            found["typedef"].add(name[1])
    return found


def header(engine):
    return parse((ROOT / "lib" / "liblmdb" / engine / "lmdb.h").read_text("utf-8"))


@pytest.fixture(scope="module")
def cdef():
    return parse(CDEF.read_text("utf-8"))


@pytest.fixture(params=sorted(MODULES))
def engine(request):
    return request.param


@pytest.fixture
def module(engine):
    return importlib.import_module(MODULES[engine])


def test_the_parser_sees_the_header(engine):
    found = header(engine)
    counts = {kind: len(names) for kind, names in found.items()}
    assert counts["function"] >= {"0.9": 58, "1.0": 70}[engine], counts
    assert counts["define"] >= 55, counts
    assert len(found["member"]) == 19
    assert {"MDB_env", "MDB_val", "MDB_cmp_func", "MDB_assert_func", "mdb_mode_t"} <= found[
        "typedef"
    ]
    assert ("MDB_envinfo", "me_numreaders") in found["field"]
    assert found["define"]["MDB_NOSUBDIR"] == "0x4000"
    assert found["function"]["mdb_env_set_mapsize"] == "int(MDB_env*env,size_t size)"


def test_the_cdef_has_every_name(engine, cdef):
    found = header(engine)
    constants = set(cdef["define"]) | set(cdef["function"]) | TEXT_MACROS
    constants |= set(
        re.findall(r"^static char \*const (\w+);", CDEF.read_text("utf-8"), re.MULTILINE)
    )
    assert set(found["define"]) - constants == set()
    assert set(found["function"]) - set(cdef["function"]) == set()
    assert found["typedef"] - cdef["typedef"] == set()
    assert found["field"] - cdef["field"] == set()
    assert found["member"] == cdef["member"]


def test_the_cdef_has_the_same_signatures(engine, cdef):
    for name, signature in header(engine)["function"].items():
        assert cdef["function"][name] == signature, name


def test_the_cdef_has_nothing_else(cdef):
    headers = [header(engine) for engine in MODULES]
    names = {name for found in headers for kind in ("define", "function") for name in found[kind]}
    assert set(cdef["function"]) - names == set()
    assert set(cdef["define"]) - names == set()
    assert cdef["typedef"] - {name for found in headers for name in found["typedef"]} == set()


def test_the_module_has_every_name_of_both_engines(module):
    ffi, lib = module.ffi, module.lib
    for found in (header(engine) for engine in MODULES):
        for name in found["function"]:
            assert callable(getattr(lib, name)), name
        for name in set(found["define"]) - TEXT_MACROS:
            assert getattr(lib, name) is not None, name
        for name in found["typedef"]:
            assert ffi.typeof(f"{name} *") is not None
        for name, field in found["field"]:
            assert field in dict(ffi.typeof(name).fields), (name, field)


def test_the_module_has_the_values_of_its_header(engine, module):
    lib = module.lib
    found = header(engine)
    literal = re.compile(r"\(?(-?(?:0x[0-9a-fA-F]+|\d+))U?\)?")
    checked = 0
    for name, value in found["define"].items():
        number = literal.fullmatch(value)
        if number and name != "MDB_RPAGE_CACHE":
            assert getattr(lib, name) == int(number[1], 0), name
            checked += 1
    assert checked >= 50
    for value, name in enumerate(found["member"]):
        assert getattr(lib, name) == value, name
    assert getattr(lib, found["define"]["MDB_LAST_ERRCODE"]) == lib.MDB_LAST_ERRCODE


def test_the_values_of_1_0_hold_in_0_9():
    old, new = (importlib.import_module(name).lib for name in MODULES.values())
    per_engine = re.compile(r"MDB_VERSION_|MDB_LAST_ERRCODE|MDB_RPAGE_CACHE|MDB_VERINT")
    for name in set(header("1.0")["define"]) - TEXT_MACROS:
        if not per_engine.match(name) and not callable(getattr(new, name)):
            assert getattr(old, name) == getattr(new, name), name


def test_the_flags_of_python_code_have_the_engines_values(module):
    names = [name for name in vars(flags) if name.startswith("MDB_")]
    assert len(names) >= 13
    assert {name: getattr(flags, name) for name in names} == {
        name: getattr(module.lib, name) for name in names
    }


def test_version(engine, module):
    ffi, lib = module.ffi, module.lib
    parts = [ffi.new("int *") for _ in range(3)]
    text = ffi.string(lib.mdb_version(*parts))
    numbers = [part[0] for part in parts]
    assert ".".join(map(str, numbers)).startswith(engine)
    assert text == ffi.string(lib.MDB_VERSION_STRING)
    assert lib.MDB_VERINT(*numbers) == lib.MDB_VERSION_FULL


def test_what_the_engine_has(engine, module):
    lib = module.lib
    assert bool(lib.PYLMDB_HAS_1_0) == (engine == "1.0")
    assert lib.PYLMDB_HAS_COPY_TXN == 1


# ---- our own names ----


def test_blocks_are_taken_from_a_header():
    text = """#include "other.h"
int before(void);
/* cdef: begin */
#define SIZE 64
#define CODE (-30700)
#define SAME EINVAL
struct pair { /* two */
    int a[SIZE], b;
};
/* cdef: end */
int between(void);
/* cdef: begin */
int second(struct pair *pair);
/* cdef: end */
"""
    assert OWN["marked_blocks"](text, "a.h") == (
        "#define SIZE 64\n#define CODE ...\n#define SAME ...\n"
        "struct pair { /* two */\n    int a[SIZE], b;\n};\nint second(struct pair *pair);\n"
    )


@pytest.mark.parametrize(
    "marks", ["", "begin", "end", "end begin", "begin begin end", "begin end end"]
)
def test_begin_and_end_marks_must_alternate(marks):
    text = "".join(f"/* cdef: {mark} */\nint f(void);\n" for mark in marks.split())
    with pytest.raises(RuntimeError, match=r"^a\.h: needs lines /\* cdef: begin \*/"):
        OWN["marked_blocks"](text, "a.h")


def test_every_own_function_that_is_declared_is_used(module):
    text = without_comments(OWN["declarations"](ROOT))
    functions = set(re.findall(r"\b(pylmdb_\w+)\s*\(", text))
    python = [*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    used = set(re.findall(r"\b(pylmdb_\w+)", "".join(path.read_text("utf-8") for path in python)))
    assert "pylmdb_get" in functions
    assert functions - used == set()
    assert [name for name in functions if not hasattr(module.lib, name)] == []


def test_numbers_of_our_own_have_their_values(module):
    lib = module.lib
    assert lib.PYLMDB_MAX_IDLE == 64
    assert lib.PYLMDB_ETIMEDOUT == errno.ETIMEDOUT
    assert len({lib.PYLMDB_MISFIT, lib.PYLMDB_OTHER_FILE, lib.PYLMDB_CHECKSUMS}) == 3
    assert lib.PYLMDB_OPEN_DATA_FILE == 1


# ---- stand-ins, and what is only real in one engine ----


@pytest.fixture
def env(module, tmp_path):
    ffi, lib = module.ffi, module.lib
    pointer = ffi.new("MDB_env **")
    assert lib.mdb_env_create(pointer) == 0
    env = pointer[0]
    yield env
    lib.mdb_env_close(env)


def open_env(module, env, path, flags=0):
    path.mkdir(exist_ok=True)
    return module.lib.mdb_env_open(env, bytes(path), flags, 0o644)


def begin(module, env, flags=0):
    pointer = module.ffi.new("MDB_txn **")
    assert module.lib.mdb_txn_begin(env, module.ffi.NULL, flags, pointer) == 0
    return pointer[0]


def put_one(module, env):
    ffi, lib = module.ffi, module.lib
    txn = begin(module, env)
    dbi = ffi.new("MDB_dbi *")
    assert lib.mdb_dbi_open(txn, ffi.NULL, 0, dbi) == 0
    data = ffi.from_buffer(b"value")
    val = ffi.new("MDB_val *", (len(data), data))
    assert lib.mdb_put(txn, dbi[0], val, val, 0) == 0
    assert lib.mdb_txn_commit(txn) == 0
    return dbi[0]


@pytest.mark.parametrize("engine", ["0.9"], indirect=True)
def test_missing_functions_answer_enosys(module, env):
    ffi, lib = module.ffi, module.lib
    null = ffi.NULL
    answers = [
        lib.mdb_env_incr_dump(env, b"x", 0),
        lib.mdb_env_incr_dumpfd(env, 1, 0),
        lib.mdb_env_incr_loadfd(env, 1),
        lib.mdb_env_set_pagesize(env, 4096),
        lib.mdb_env_set_encrypt(env, null, null, 0),
        lib.mdb_env_set_checksum(env, null, 0),
        lib.mdb_env_rollback(env, 0),
        lib.mdb_txn_flags(null, null),
        lib.mdb_txn_prepare(null),
        -lib.mdb_cursor_is_db(null),
    ]
    assert set(answers) == {errno.ENOSYS}
    message = ffi.new("char **")
    assert lib.mdb_modload(b"x", b"y", ffi.new("MDB_crypto_funcs **"), message) == null
    assert b"no crypto modules" in ffi.string(message[0])


def test_a_copy_takes_a_transaction(module, env, tmp_path):
    lib = module.lib
    assert open_env(module, env, tmp_path / "env") == 0
    put_one(module, env)
    txn = begin(module, env, lib.MDB_RDONLY)
    (tmp_path / "copy").mkdir()
    assert lib.mdb_env_copy3(env, bytes(tmp_path / "copy"), lib.MDB_CP_COMPACT, txn) == 0
    lib.mdb_txn_abort(txn)
    assert (tmp_path / "copy" / "data.mdb").stat().st_size > 0


CRYPTO_MODULE = """
#include <string.h>
#include "lmdb.h"

static int key_of(const char *password, MDB_val *key)
{
    memset(key->mv_data, 0x5a, key->mv_size);
    memcpy(key->mv_data, password, strnlen(password, key->mv_size));
    return 0;
}

static int mix(const MDB_val *source, MDB_val *target, const MDB_val *key, int encrypt)
{
    (void)encrypt;
    for (size_t i = 0; i < source->mv_size; i++)
        ((char *)target->mv_data)[i] = ((char *)source->mv_data)[i] ^ ((char *)key->mv_data)[i %
        key->mv_size];
    return 0;
}

static MDB_crypto_funcs hooks = {key_of, mix, NULL, 16, 0, 0};
MDB_crypto_funcs *MDB_crypto(void) { return &hooks; }
"""


@pytest.fixture
def crypto_module(engine, tmp_path):
    compiler = shutil.which("cc")
    assert compiler, "a C compiler is needed"
    source, library = tmp_path / "crypto.c", tmp_path / "crypto.so"
    source.write_text(CRYPTO_MODULE)
    include = ROOT / "lib" / "liblmdb" / engine
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-D_GNU_SOURCE", f"-I{include}", "-o", library, source],
        check=True,
    )
    return library


@pytest.mark.parametrize("engine", ["1.0"], indirect=True)
def test_a_crypto_module_encrypts(module, env, crypto_module, tmp_path):
    ffi, lib = module.ffi, module.lib
    hooks, message = ffi.new("MDB_crypto_funcs **"), ffi.new("char **")
    assert lib.mdb_modload(bytes(crypto_module), b"MDB_nothing", hooks, message) == ffi.NULL
    assert b"MDB_nothing" in ffi.string(message[0])
    handle = lib.mdb_modload(bytes(crypto_module), b"MDB_crypto", hooks, message)
    assert handle != ffi.NULL
    lib.mdb_modsetup(env, hooks[0], b"secret")
    assert open_env(module, env, tmp_path / "env") == 0
    put_one(module, env)

    other = ffi.new("MDB_env **")
    assert lib.mdb_env_create(other) == 0
    assert open_env(module, other[0], tmp_path / "env", lib.MDB_RDONLY) == lib.MDB_ENV_ENCRYPTION
    lib.mdb_env_close(other[0])
    assert b"value" not in (tmp_path / "env" / "data.mdb").read_bytes()
