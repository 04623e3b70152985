/* SPDX-License-Identifier: MIT */
/* growth.c, opening.c, creation.c, readers.c, identity.c, compaction.c, inherited.c,
 * truncation.c and large.c for builds that do without: the map has one size, nothing in the
 * files is mended or put in their place, processes are known by their numbers, no read is
 * guarded, values are kept until the commit, and a forked child has no snapshot but the last
 * one.  Included by shim.c for a system liblmdb. */

#include <unistd.h>

void pylmdb_env_plan(MDB_env *env, size_t start, size_t most, size_t reserve, int fixed)
{
    (void)most;
    (void)reserve;
    (void)fixed;
    mdb_env_set_mapsize(env, start);
}

int pylmdb_env_limit(MDB_env *env, size_t size)
{
    (void)env;
    (void)size;
    return ENOSYS;
}

int pylmdb_env_replace_map(MDB_env *env, size_t size)
{
    return mdb_env_set_mapsize(env, size);
}

int pylmdb_env_make_room(MDB_env *env, int alone)
{
    return alone ? mdb_env_set_mapsize(env, 0) : MDB_MAP_RESIZED;
}

void pylmdb_env_named(MDB_env *env, const char *path)
{
    (void)env;
    (void)path;
}

void pylmdb_env_widen(MDB_env *env, size_t most, int fixed)
{
    (void)env;
    (void)most;
    (void)fixed;
}

void pylmdb_env_room(MDB_env *env, size_t *limit, size_t *most, size_t *reserved)
{
    MDB_envinfo info;

    mdb_env_info(env, &info);
    *limit = *most = *reserved = info.me_mapsize;
}

size_t pylmdb_grown_size(size_t now, size_t needed, size_t most, unsigned int part)
{
    (void)now;
    (void)most;
    (void)part;
    return needed;
}

int pylmdb_env_open(MDB_env *env, const char *path, unsigned int flags, mdb_mode_t mode,
                    struct pylmdb_opening *noted)
{
    memset(noted, 0, sizeof(*noted));
    return mdb_env_open(env, path, flags, mode);
}

void pylmdb_remove_made(const struct pylmdb_opening *noted, const char *data_file,
                        const char *lock_file)
{
    (void)noted;
    (void)data_file;
    (void)lock_file;
}

void pylmdb_env_opened(MDB_env *env)
{
    (void)env;
}

int pylmdb_env_number(MDB_env *env)
{
    (void)env;
    return (int)getpid();
}

int pylmdb_env_process(MDB_env *env, int number)
{
    (void)env;
    return number;
}

void pylmdb_env_forget_slots(MDB_env *env, unsigned int count)
{
    (void)env;
    (void)count;
}

int pylmdb_env_join(MDB_env *env)
{
    (void)env;
    return MDB_SUCCESS;
}

int pylmdb_env_discard_locks(MDB_env *env)
{
    (void)env;
    return ENOSYS;
}

int pylmdb_any_cut;
int *pylmdb_host_cut;

int pylmdb_env_is_cut(MDB_env *env)
{
    (void)env;
    return 0;
}

const void *pylmdb_own_code(size_t *size)
{
    *size = 0;
    return NULL;
}

void pylmdb_guard_code(const void *code, size_t size)
{
    (void)code;
    (void)size;
}

void pylmdb_env_guard_reads(MDB_env *env, int guard)
{
    (void)env;
    (void)guard;
}

void pylmdb_touch(const void *data, size_t size)
{
    (void)data;
    (void)size;
}

int pylmdb_env_alone(MDB_env *env, int alone)
{
    (void)env;
    (void)alone;
    return ENOSYS;
}

void pylmdb_env_replaced(MDB_env *env, mdb_filehandle_t fd)
{
    (void)env;
    (void)fd;
}

int pylmdb_txn_go_back(MDB_txn *txn, const MDB_txn *inherited)
{
    return mdb_txn_id(txn) == mdb_txn_id((MDB_txn *)inherited) ? MDB_SUCCESS : MDB_BAD_TXN;
}

int pylmdb_cursor_go_on(MDB_cursor *cursor, const MDB_cursor *inherited)
{
    (void)cursor;
    (void)inherited;
    return MDB_BAD_TXN;
}

struct pylmdb_unwritten *pylmdb_unwritten_new(MDB_txn *txn)
{
    (void)txn;
    return malloc(1);
}

int pylmdb_append_large(MDB_cursor *cursor, const MDB_val *key, const MDB_val *value,
                        struct pylmdb_unwritten *pages)
{
    (void)cursor;
    (void)key;
    (void)value;
    (void)pages;
    return PYLMDB_NOT_QUICK;
}

int pylmdb_unwritten_write(struct pylmdb_unwritten *pages)
{
    (void)pages;
    return MDB_SUCCESS;
}

void pylmdb_unwritten_free(struct pylmdb_unwritten *pages)
{
    free(pages);
}
