# SPDX-License-Identifier: MIT
"""Make memory allocations fail, one or a few at a time.

A small C library counts the allocations of the thread that has armed it, and lets some of them
fail.  Two kinds can be chosen:

CORE     memory of Python that the C core asks for, itself or by what it calls of Python's C API.
         The library sees it by PyMem_SetAllocator().  What Python code needs is left alone, even
         where the core has called it: interpreters crash when they have no memory for a frame.
ENGINES  malloc() in liblmdb and in our C.  The library stands before the C library, by LD_PRELOAD,
         so this takes glibc.  AddressSanitizer stands before it and keeps malloc() for itself:
         then nothing of this kind is counted.
"""

import functools
import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

LIBRARY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <stddef.h>
#include <string.h>

enum { CORE = 1, ENGINES = 2 };
static __thread int armed;
static __thread long seen, first, count;

void faults_arm(int what, long from, long how_many)
{
    seen = 0;
    first = from;
    count = how_many;
    armed = what;
}

long faults_disarm(void)
{
    armed = 0;
    return seen;
}

/* Where the code of the engines lies, and with it the C core's. */
static char *low[8], *high[8];
static int ranges;

void faults_watch(void *from, void *to)
{
    low[ranges] = from;
    high[ranges++] = to;
}

static int is_ours(const void *code)
{
    int i;

    for (i = 0; i < ranges; i++)
        if ((const char *)code >= low[i] && (const char *)code < high[i])
            return 1;
    return 0;
}

/* Whether the code is of a function that crashes when it has no memory for a frame.  The system
 * takes long to find a function, so what it has found is kept. */
static int is_fragile(const void *code)
{
    static struct { const void *code; int fragile; } known[4096];
    const size_t at = (size_t)code / 4 % (sizeof known / sizeof *known);
    Dl_info info;

    if (known[at].code != code) {
        known[at].code = code;
        known[at].fragile = dladdr(code, &info) && info.dli_sname &&
                            (!strcmp(info.dli_sname, "_PyEval_EvalFrameDefault") ||
                             !strcmp(info.dli_sname, "PyErr_ResourceWarning"));
    }
    return known[at].fragile;
}

/* Whether the core asks Python for memory, and not Python code. */
static int core_asks(void)
{
    void *frames[64];
    const int depth = backtrace(frames, 64);
    int i;

    for (i = 0; i < depth; i++) {
        if (is_ours(frames[i]))
            return 1;
        if (is_fragile(frames[i]))
            return 0;
    }
    return 0;
}

static int fails(int what)
{
    if (armed != what || (count && seen >= first + count))
        return 0;
    armed = 0; /* what looks at the stack may allocate, too */
    if (what == CORE && !core_asks()) {
        armed = what;
        return 0;
    }
    armed = what;
    seen++;
    if (seen <= first || seen > first + count)
        return 0;
    errno = ENOMEM;
    return 1;
}

/* Python's three allocators: PyMemAllocatorEx. */
typedef struct {
    void *ctx;
    void *(*malloc)(void *, size_t);
    void *(*calloc)(void *, size_t, size_t);
    void *(*realloc)(void *, void *, size_t);
    void (*free)(void *, void *);
} Allocator;

static Allocator real[3];

static void *python_malloc(void *ctx, size_t size)
{
    Allocator *to = ctx;
    return fails(CORE) ? NULL : to->malloc(to->ctx, size);
}

static void *python_calloc(void *ctx, size_t items, size_t size)
{
    Allocator *to = ctx;
    return fails(CORE) ? NULL : to->calloc(to->ctx, items, size);
}

static void *python_realloc(void *ctx, void *block, size_t size)
{
    Allocator *to = ctx;
    return fails(CORE) ? NULL : to->realloc(to->ctx, block, size);
}

static void python_free(void *ctx, void *block)
{
    Allocator *to = ctx;
    to->free(to->ctx, block);
}

void faults_wrap(int domain, Allocator *allocator)
{
    const Allocator ours = {&real[domain], python_malloc, python_calloc, python_realloc,
                            python_free};
    real[domain] = *allocator;
    *allocator = ours;
}

#ifdef __GLIBC__
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);

#define FAILS (armed == ENGINES && is_ours(__builtin_return_address(0)) && fails(ENGINES))

void *malloc(size_t size)
{
    return FAILS ? NULL : __libc_malloc(size);
}

void *calloc(size_t items, size_t size)
{
    return FAILS ? NULL : __libc_calloc(items, size);
}

void *realloc(void *block, size_t size)
{
    return FAILS ? NULL : __libc_realloc(block, size);
}

char *strdup(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = FAILS ? NULL : __libc_malloc(size);

    return copy ? memcpy(copy, text, size) : NULL;
}
#endif
"""

# In a program: outcome(what, call, first, count) makes a call with those allocations failing.
FAULTS = """\
import ctypes
library = ctypes.CDLL(os.environ["PYLMDB_FAULTS"])
os.environ.pop("LD_PRELOAD", None)
CORE, ENGINES = 1, 2
for name, types in {
    "arm": [ctypes.c_int, ctypes.c_long, ctypes.c_long],
    "disarm": [],
    "wrap": [ctypes.c_int, ctypes.c_void_p],
    "watch": [ctypes.c_void_p, ctypes.c_void_p],
}.items():
    getattr(library, "faults_" + name).argtypes = types
    getattr(library, "faults_" + name).restype = None
library.faults_disarm.restype = ctypes.c_long

class Allocator(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in "ctx malloc calloc realloc free".split()]

def watch_core():
    for domain in range(3):
        allocator = Allocator()
        ctypes.pythonapi.PyMem_GetAllocator(domain, ctypes.byref(allocator))
        library.faults_wrap(domain, ctypes.addressof(allocator))
        ctypes.pythonapi.PyMem_SetAllocator(domain, ctypes.byref(allocator))

def watch_engines():
    with open("/proc/self/maps") as file:
        code = [line.split() for line in file if "r-x" in line]
    ours = [words for words in code if os.path.basename(words[-1]).startswith(("_core.", "_lmdb"))]
    for words in ours:
        library.faults_watch(*(int(word, 16) for word in words[0].split("-")))
    assert any("_core." in words[-1] for words in ours), code

def disarm():
    while True:
        try:
            return library.faults_disarm()
        except MemoryError:  # it was the call of this that failed
            pass

def outcome(what, call, first, count):
    "The exception that the call raises or None, and how many allocations were made up to that."
    failure = None
    try:
        library.faults_arm(what, first, count)
        call()
    except BaseException as error:
        failure = error
    seen = disarm()
    if failure is not None:
        failure.__traceback__ = failure.__context__ = None
    return failure, seen
"""


@functools.cache
def library() -> Path:
    """Return the compiled library."""
    folder = Path(tempfile.mkdtemp(prefix="pylmdb-faults-"))
    (folder / "faults.c").write_text(LIBRARY)
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    command = [*compiler, "-O1", "-shared", "-fPIC", "-ftls-model=initial-exec", "-fno-builtin"]
    command += ["-o", "faults.so", "faults.c", *(["-ldl"] if sys.platform == "linux" else [])]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "faults.so"


def environment() -> dict[str, str]:
    """Return the environment variables that a program with faults needs."""
    path = str(library())
    found = {"PYLMDB_FAULTS": path}
    if sys.platform == "linux":
        found["LD_PRELOAD"] = " ".join(filter(None, [os.environ.get("LD_PRELOAD"), path]))
    return found
