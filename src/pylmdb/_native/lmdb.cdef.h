// SPDX-License-Identifier: MIT
// The declarations of lmdb.h of LMDB 0.9 and of 1.0 for cffi: names, types and signatures.
// Both engines use this text.  What only 1.0 has is declared for both: compat.h gives 0.9 the
// constants, and functions that return ENOSYS.  The PYLMDB_HAS_... constants below say what the
// engine really has.
// "..." stands for a value that the C compiler takes from the engine's own header.

// ---- what the engine has: 1 or 0 ----

#define PYLMDB_HAS_1_0 ...          // everything marked 1.0 below
#define PYLMDB_HAS_COPY_TXN ...     // mdb_env_copy3 and mdb_env_copyfd3 take a transaction
#define PYLMDB_HAS_MODULES ...      // mdb_modload, mdb_modunload and mdb_modsetup load something

// ---- version ----

#define MDB_VERSION_MAJOR ...
#define MDB_VERSION_MINOR ...
#define MDB_VERSION_PATCH ...
#define MDB_VERSION_FULL ...
static char *const MDB_VERSION_DATE;
static char *const MDB_VERSION_STRING;
int MDB_VERINT(int major, int minor, int patch);   // a macro in lmdb.h

// ---- types ----

typedef size_t mdb_size_t;          // 0.9 writes size_t
typedef int... mdb_mode_t;
typedef int mdb_filehandle_t;
typedef unsigned int MDB_dbi;

typedef struct MDB_env MDB_env;
typedef struct MDB_txn MDB_txn;
typedef struct MDB_cursor MDB_cursor;

typedef struct MDB_val {
    size_t mv_size;
    void *mv_data;
} MDB_val;

typedef struct MDB_stat {
    unsigned int ms_psize;
    unsigned int ms_depth;
    mdb_size_t ms_branch_pages;
    mdb_size_t ms_leaf_pages;
    mdb_size_t ms_overflow_pages;
    mdb_size_t ms_entries;
} MDB_stat;

typedef struct MDB_envinfo {
    void *me_mapaddr;
    mdb_size_t me_mapsize;
    mdb_size_t me_last_pgno;
    mdb_size_t me_last_txnid;
    unsigned int me_maxreaders;
    unsigned int me_numreaders;
} MDB_envinfo;

typedef int(MDB_cmp_func)(const MDB_val *a, const MDB_val *b);
typedef void(MDB_rel_func)(MDB_val *item, void *oldptr, void *newptr, void *relctx);
typedef void(MDB_assert_func)(MDB_env *env, const char *msg);
typedef int(MDB_msg_func)(const char *msg, void *ctx);

// 1.0
typedef int(MDB_enc_func)(const MDB_val *src, MDB_val *dst, const MDB_val *key, int encdec);
typedef void(MDB_sum_func)(const MDB_val *src, MDB_val *dst, const MDB_val *key);
typedef int(MDB_str2key_func)(const char *passwd, MDB_val *key);

// 1.0
typedef struct MDB_crypto_funcs {
    MDB_str2key_func *mcf_str2key;
    MDB_enc_func *mcf_encfunc;
    MDB_sum_func *mcf_sumfunc;
    int mcf_keysize;
    int mcf_esumsize;
    int mcf_sumsize;
} MDB_crypto_funcs;

typedef MDB_crypto_funcs *(MDB_crypto_hooks)(void);

// ---- sizes (1.0) ----

#define MDB_SIZE_MAX ...
#define MDB_RPAGE_CACHE ...

// ---- environment flags ----

#define MDB_FIXEDMAP ...
#define MDB_ENCRYPT ...             // 1.0
#define MDB_NOSUBDIR ...
#define MDB_NOSYNC ...
#define MDB_RDONLY ...
#define MDB_NOMETASYNC ...
#define MDB_WRITEMAP ...
#define MDB_MAPASYNC ...
#define MDB_NOTLS ...
#define MDB_NOLOCK ...
#define MDB_NORDAHEAD ...
#define MDB_NOMEMINIT ...
#define MDB_PREVSNAPSHOT ...        // 1.0
#define MDB_REMAP_CHUNKS ...        // 1.0

// ---- database flags ----

#define MDB_REVERSEKEY ...
#define MDB_DUPSORT ...
#define MDB_INTEGERKEY ...
#define MDB_DUPFIXED ...
#define MDB_INTEGERDUP ...
#define MDB_REVERSEDUP ...
#define MDB_CREATE ...

// ---- write and copy flags ----

#define MDB_NOOVERWRITE ...
#define MDB_NODUPDATA ...
#define MDB_CURRENT ...
#define MDB_RESERVE ...
#define MDB_APPEND ...
#define MDB_APPENDDUP ...
#define MDB_MULTIPLE ...
#define MDB_CP_COMPACT ...

// ---- cursor operations ----

typedef enum MDB_cursor_op {
    MDB_FIRST,
    MDB_FIRST_DUP,
    MDB_GET_BOTH,
    MDB_GET_BOTH_RANGE,
    MDB_GET_CURRENT,
    MDB_GET_MULTIPLE,
    MDB_LAST,
    MDB_LAST_DUP,
    MDB_NEXT,
    MDB_NEXT_DUP,
    MDB_NEXT_MULTIPLE,
    MDB_NEXT_NODUP,
    MDB_PREV,
    MDB_PREV_DUP,
    MDB_PREV_NODUP,
    MDB_SET,
    MDB_SET_KEY,
    MDB_SET_RANGE,
    MDB_PREV_MULTIPLE,
    ...
} MDB_cursor_op;

// ---- return codes ----

#define MDB_SUCCESS ...
#define MDB_KEYEXIST ...
#define MDB_NOTFOUND ...
#define MDB_PAGE_NOTFOUND ...
#define MDB_CORRUPTED ...
#define MDB_PANIC ...
#define MDB_VERSION_MISMATCH ...
#define MDB_INVALID ...
#define MDB_MAP_FULL ...
#define MDB_DBS_FULL ...
#define MDB_READERS_FULL ...
#define MDB_TLS_FULL ...
#define MDB_TXN_FULL ...
#define MDB_CURSOR_FULL ...
#define MDB_PAGE_FULL ...
#define MDB_MAP_RESIZED ...
#define MDB_INCOMPATIBLE ...
#define MDB_BAD_RSLOT ...
#define MDB_BAD_TXN ...
#define MDB_BAD_VALSIZE ...
#define MDB_BAD_DBI ...
#define MDB_LAST_ERRCODE ...

// 1.0
#define MDB_PROBLEM ...
#define MDB_BAD_CHECKSUM ...
#define MDB_CRYPTO_FAIL ...
#define MDB_ENV_ENCRYPTION ...
#define MDB_TXN_PENDING ...
#define MDB_CANT_ROLLBACK ...
#define MDB_DBIS_BUSY ...
#define MDB_SHORT_WRITE ...
#define MDB_ENV_BUSY ...
#define MDB_IS_READONLY ...
#define MDB_ADDR_BUSY ...

// ---- library ----

char *mdb_version(int *major, int *minor, int *patch);
char *mdb_strerror(int err);

// ---- environment ----

int mdb_env_create(MDB_env **env);
int mdb_env_open(MDB_env *env, const char *path, unsigned int flags, mdb_mode_t mode);
void mdb_env_close(MDB_env *env);
int mdb_env_copy(MDB_env *env, const char *path);
int mdb_env_copyfd(MDB_env *env, mdb_filehandle_t fd);
int mdb_env_copy2(MDB_env *env, const char *path, unsigned int flags);
int mdb_env_copyfd2(MDB_env *env, mdb_filehandle_t fd, unsigned int flags);
int mdb_env_copy3(MDB_env *env, const char *path, unsigned int flags, MDB_txn *txn);
int mdb_env_copyfd3(MDB_env *env, mdb_filehandle_t fd, unsigned int flags, MDB_txn *txn);
int mdb_env_stat(MDB_env *env, MDB_stat *stat);
int mdb_env_info(MDB_env *env, MDB_envinfo *stat);
int mdb_env_sync(MDB_env *env, int force);
int mdb_env_set_flags(MDB_env *env, unsigned int flags, int onoff);
int mdb_env_get_flags(MDB_env *env, unsigned int *flags);
int mdb_env_get_path(MDB_env *env, const char **path);
int mdb_env_get_fd(MDB_env *env, mdb_filehandle_t *fd);
int mdb_env_set_mapsize(MDB_env *env, mdb_size_t size);
int mdb_env_set_maxreaders(MDB_env *env, unsigned int readers);
int mdb_env_get_maxreaders(MDB_env *env, unsigned int *readers);
int mdb_env_set_maxdbs(MDB_env *env, MDB_dbi dbs);
int mdb_env_get_maxkeysize(MDB_env *env);
int mdb_env_set_userctx(MDB_env *env, void *ctx);
void *mdb_env_get_userctx(MDB_env *env);
int mdb_env_set_assert(MDB_env *env, MDB_assert_func *func);

// 1.0
int mdb_env_incr_dump(MDB_env *env, const char *path, size_t txnid);
int mdb_env_incr_dumpfd(MDB_env *env, mdb_filehandle_t fd, size_t txnid);
int mdb_env_incr_loadfd(MDB_env *env, mdb_filehandle_t fd);
int mdb_env_set_pagesize(MDB_env *env, int size);
int mdb_env_set_encrypt(MDB_env *env, MDB_enc_func *func, const MDB_val *key, unsigned int size);
int mdb_env_set_checksum(MDB_env *env, MDB_sum_func *func, unsigned int size);
int mdb_env_rollback(MDB_env *env, mdb_size_t txnid);

// ---- transaction ----

int mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned int flags, MDB_txn **txn);
MDB_env *mdb_txn_env(MDB_txn *txn);
mdb_size_t mdb_txn_id(MDB_txn *txn);
int mdb_txn_commit(MDB_txn *txn);
void mdb_txn_abort(MDB_txn *txn);
void mdb_txn_reset(MDB_txn *txn);
int mdb_txn_renew(MDB_txn *txn);

// 1.0
int mdb_txn_flags(MDB_txn *txn, unsigned int *flags);
int mdb_txn_prepare(MDB_txn *txn);

// ---- database ----

int mdb_dbi_open(MDB_txn *txn, const char *name, unsigned int flags, MDB_dbi *dbi);
void mdb_dbi_close(MDB_env *env, MDB_dbi dbi);
int mdb_open(MDB_txn *txn, const char *name, unsigned int flags,
             MDB_dbi *dbi);                          // a macro: mdb_dbi_open
void mdb_close(MDB_env *env, MDB_dbi dbi);           // a macro: mdb_dbi_close
int mdb_stat(MDB_txn *txn, MDB_dbi dbi, MDB_stat *stat);
int mdb_dbi_flags(MDB_txn *txn, MDB_dbi dbi, unsigned int *flags);
int mdb_drop(MDB_txn *txn, MDB_dbi dbi, int del);
int mdb_set_compare(MDB_txn *txn, MDB_dbi dbi, MDB_cmp_func *cmp);
int mdb_set_dupsort(MDB_txn *txn, MDB_dbi dbi, MDB_cmp_func *cmp);
int mdb_set_relfunc(MDB_txn *txn, MDB_dbi dbi, MDB_rel_func *rel);
int mdb_set_relctx(MDB_txn *txn, MDB_dbi dbi, void *ctx);
int mdb_cmp(MDB_txn *txn, MDB_dbi dbi, const MDB_val *a, const MDB_val *b);
int mdb_dcmp(MDB_txn *txn, MDB_dbi dbi, const MDB_val *a, const MDB_val *b);

// ---- records ----

int mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data);
int mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned int flags);
int mdb_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data);

// ---- cursor ----

int mdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor);
void mdb_cursor_close(MDB_cursor *cursor);
int mdb_cursor_renew(MDB_txn *txn, MDB_cursor *cursor);
MDB_txn *mdb_cursor_txn(MDB_cursor *cursor);
MDB_dbi mdb_cursor_dbi(MDB_cursor *cursor);
int mdb_cursor_is_db(MDB_cursor *cursor);   // 1.0; 0.9: -ENOSYS, as 0 and 1 are valid answers
int mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data, MDB_cursor_op op);
int mdb_cursor_put(MDB_cursor *cursor, MDB_val *key, MDB_val *data, unsigned int flags);
int mdb_cursor_del(MDB_cursor *cursor, unsigned int flags);
int mdb_cursor_count(MDB_cursor *cursor, mdb_size_t *countp);

// ---- reader table ----

int mdb_reader_list(MDB_env *env, MDB_msg_func *func, void *ctx);
int mdb_reader_check(MDB_env *env, int *dead);

// ---- crypto modules (1.0) ----

void *mdb_modload(const char *file, const char *symname, MDB_crypto_funcs **mcf_ptr, char **errmsg);
void mdb_modunload(void *handle);
void mdb_modsetup(MDB_env *env, MDB_crypto_funcs *mcf_ptr, const char *passphrase);
