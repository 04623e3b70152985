/* SPDX-License-Identifier: MIT */
/* Define what an engine's lmdb.h lacks: the constants with the numbers of LMDB 1.0, the
 * types, and for each missing function a stand-in.
 *
 * A stand-in is a static function, and a macro with liblmdb's name that calls it, so it never
 * collides with a symbol of a library. It only returns ENOSYS; the macros PYLMDB_HAS_... say
 * which functions exist. */
#ifndef PYLMDB_COMPAT_H
#define PYLMDB_COMPAT_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lmdb.h"

#if MDB_VERSION_MAJOR >= 1
#define PYLMDB_HAS_1_0 1
#else
#define PYLMDB_HAS_1_0 0
#endif

/* The transaction argument of a copy comes with a patch. Only our own engines surely have it. */
#ifdef PYLMDB_SYSTEM
#define PYLMDB_HAS_COPY_TXN 0
#else
#define PYLMDB_HAS_COPY_TXN 1
#endif

#define PYLMDB_HAS_MODULES PYLMDB_HAS_1_0
#if PYLMDB_HAS_MODULES
#include <dlfcn.h>
#endif

#if !PYLMDB_HAS_1_0

typedef size_t mdb_size_t;
#define MDB_SIZE_MAX SIZE_MAX
#define MDB_RPAGE_CACHE 0

#define MDB_ENCRYPT 0x2000U
#define MDB_PREVSNAPSHOT 0x2000000
#define MDB_REMAP_CHUNKS 0x4000000

#define MDB_PROBLEM (-30779)
#define MDB_BAD_CHECKSUM (-30778)
#define MDB_CRYPTO_FAIL (-30777)
#define MDB_ENV_ENCRYPTION (-30776)
#define MDB_TXN_PENDING (-30775)
#define MDB_CANT_ROLLBACK (-30774)
#define MDB_DBIS_BUSY (-30773)
#define MDB_SHORT_WRITE (-30772)
#define MDB_ENV_BUSY (-30771)
#define MDB_IS_READONLY (-30770)
#define MDB_ADDR_BUSY (-30769)

typedef int(MDB_enc_func)(const MDB_val *, MDB_val *, const MDB_val *, int);
typedef void(MDB_sum_func)(const MDB_val *, MDB_val *, const MDB_val *);
typedef int(MDB_str2key_func)(const char *, MDB_val *);

typedef struct MDB_crypto_funcs {
    MDB_str2key_func *mcf_str2key;
    MDB_enc_func *mcf_encfunc;
    MDB_sum_func *mcf_sumfunc;
    int mcf_keysize;
    int mcf_esumsize;
    int mcf_sumsize;
} MDB_crypto_funcs;

typedef MDB_crypto_funcs *(MDB_crypto_hooks)(void);

/* A stand-in: its name, its parameters, and what it returns. */
#define PYLMDB_MISSING(name, parameters, answer) \
    static inline int pylmdb_no_##name parameters \
    { \
        return (answer); \
    }

PYLMDB_MISSING(incr_dump, (MDB_env * env, const char *path, size_t txnid),
               ((void)env, (void)path, (void)txnid, ENOSYS))
PYLMDB_MISSING(incr_dumpfd, (MDB_env * env, mdb_filehandle_t fd, size_t txnid),
               ((void)env, (void)fd, (void)txnid, ENOSYS))
PYLMDB_MISSING(incr_loadfd, (MDB_env * env, mdb_filehandle_t fd), ((void)env, (void)fd, ENOSYS))
PYLMDB_MISSING(set_pagesize, (MDB_env * env, int size), ((void)env, (void)size, ENOSYS))
PYLMDB_MISSING(set_encrypt,
               (MDB_env * env, MDB_enc_func *func, const MDB_val *key, unsigned int size),
               ((void)env, (void)func, (void)key, (void)size, ENOSYS))
PYLMDB_MISSING(set_checksum, (MDB_env * env, MDB_sum_func *func, unsigned int size),
               ((void)env, (void)func, (void)size, ENOSYS))
PYLMDB_MISSING(rollback, (MDB_env * env, mdb_size_t txnid), ((void)env, (void)txnid, ENOSYS))
PYLMDB_MISSING(txn_flags, (MDB_txn * txn, unsigned int *flags), ((void)txn, (void)flags, ENOSYS))
PYLMDB_MISSING(txn_prepare, (MDB_txn * txn), ((void)txn, ENOSYS))
/* 0 and 1 are the valid answers; ENOSYS would mean yes. */
PYLMDB_MISSING(cursor_is_db, (MDB_cursor * cursor), ((void)cursor, -ENOSYS))

#undef PYLMDB_MISSING

#define mdb_env_incr_dump pylmdb_no_incr_dump
#define mdb_env_incr_dumpfd pylmdb_no_incr_dumpfd
#define mdb_env_incr_loadfd pylmdb_no_incr_loadfd
#define mdb_env_set_pagesize pylmdb_no_set_pagesize
#define mdb_env_set_encrypt pylmdb_no_set_encrypt
#define mdb_env_set_checksum pylmdb_no_set_checksum
#define mdb_env_rollback pylmdb_no_rollback
#define mdb_txn_flags pylmdb_no_txn_flags
#define mdb_txn_prepare pylmdb_no_txn_prepare
#define mdb_cursor_is_db pylmdb_no_cursor_is_db

#endif /* !PYLMDB_HAS_1_0 */

#if !PYLMDB_HAS_COPY_TXN

/* Without a transaction these are functions that every liblmdb has. */
static inline int pylmdb_no_copy3(MDB_env *env, const char *path, unsigned int flags, MDB_txn *txn)
{
    return txn ? ENOSYS : mdb_env_copy2(env, path, flags);
}

static inline int pylmdb_no_copyfd3(MDB_env *env, mdb_filehandle_t fd, unsigned int flags,
                                    MDB_txn *txn)
{
    return txn ? ENOSYS : mdb_env_copyfd2(env, fd, flags);
}

#define mdb_env_copy3 pylmdb_no_copy3
#define mdb_env_copyfd3 pylmdb_no_copyfd3

#endif

/* Crypto modules. LMDB 1.0 declares these three functions in lmdb.h, but defines them in a
 * file of its command line tools, not in the library. They are defined here for callers that
 * have such a module. The message of an error is valid until the next failure in the same
 * thread; the caller must not free it. */
static inline void *pylmdb_modload(const char *file, const char *symname,
                                   MDB_crypto_funcs **mcf_ptr, char **errmsg)
{
#if PYLMDB_HAS_MODULES
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    void *symbol = handle ? dlsym(handle, symname) : NULL;
    MDB_crypto_hooks *hooks = NULL;

    if (!symbol) {
        /* The text of dlerror() is valid only until the next dl call. */
        static _Thread_local char text[512];
        const char *why = dlerror();

        snprintf(text, sizeof(text), "%s", why ? why : symname);
        *errmsg = text;
        if (handle)
            dlclose(handle);
        return NULL;
    }
    memcpy(&hooks, &symbol, sizeof(hooks));
    *mcf_ptr = hooks();
    return handle;
#else
    (void)file, (void)symname, (void)mcf_ptr;
    *errmsg = (char *)"this build of liblmdb has no crypto modules";
    return NULL;
#endif
}

static inline void pylmdb_modunload(void *handle)
{
#if PYLMDB_HAS_MODULES
    dlclose(handle);
#else
    (void)handle;
#endif
}

/* This function cannot report a failure; then the environment fails to open. */
static inline void pylmdb_modsetup(MDB_env *env, MDB_crypto_funcs *mcf_ptr, const char *passphrase)
{
    MDB_val key;

    if (mcf_ptr->mcf_sumfunc)
        mdb_env_set_checksum(env, mcf_ptr->mcf_sumfunc, (unsigned int)mcf_ptr->mcf_sumsize);
    if (!mcf_ptr->mcf_encfunc || !mcf_ptr->mcf_str2key || !passphrase)
        return;
    key.mv_size = (size_t)mcf_ptr->mcf_keysize;
    key.mv_data = calloc(1, key.mv_size ? key.mv_size : 1);
    if (!key.mv_data)
        return;
    if (mcf_ptr->mcf_str2key(passphrase, &key) == 0)
        mdb_env_set_encrypt(env, mcf_ptr->mcf_encfunc, &key, (unsigned int)mcf_ptr->mcf_esumsize);
    memset(key.mv_data, 0, (size_t)mcf_ptr->mcf_keysize);
    free(key.mv_data);
}

#define mdb_modload pylmdb_modload
#define mdb_modunload pylmdb_modunload
#define mdb_modsetup pylmdb_modsetup

#endif
