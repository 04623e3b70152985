/* SPDX-License-Identifier: MIT */
/* Stand-ins for the functions of shim.h, for a build against the system's liblmdb, whose
 * internals cannot be used. Where liblmdb has a function for it, it is called; otherwise the
 * answer says that this build cannot do it. The map has one size. Files that an earlier
 * process left damaged are not repaired, and no file replaces an open one. Processes are
 * known by their process numbers, reads are not guarded, values stay in memory until the
 * commit, and a forked child has only the newest snapshot. Included by shim.c. */
#include <unistd.h>

#include "other_bindings.c"

int pylmdb_has_shim(void)
{
    return 0;
}

/* LMDB 1.0 keeps the size of checksums at the end of page 0. A page that is written without
 * its checksum is damaged for programs that check it. */
static int has_checksums(MDB_env *env)
{
    unsigned short size = 0;

#if MDB_VERSION_MAJOR > 0
    MDB_stat stat;
    mdb_filehandle_t fd;

    if (mdb_env_stat(env, &stat) || mdb_env_get_fd(env, &fd) ||
        pread(fd, &size, sizeof(size), (off_t)(stat.ms_psize - sizeof(size))) != sizeof(size))
        return 0;
#else
    (void)env;
#endif
    return size != 0;
}

int pylmdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned int flags, int wait_ms, MDB_txn **txn)
{
    (void)wait_ms;
    if (!(flags & MDB_RDONLY) && !parent && has_checksums(env))
        return PYLMDB_CHECKSUMS;
    return mdb_txn_begin(env, parent, flags, txn);
}

int pylmdb_txn_renew(MDB_txn *txn, int wait_ms)
{
    (void)wait_ms;
    return mdb_txn_renew(txn);
}

int pylmdb_txn_release_slot(MDB_txn *txn)
{
    (void)txn;
    return 0;
}

void pylmdb_env_close(MDB_env *env)
{
    mdb_env_close(env);
}

int pylmdb_env_copyfd(MDB_env *env, mdb_filehandle_t fd, unsigned int flags, int wait_ms)
{
    (void)wait_ms;
    return mdb_env_copyfd2(env, fd, flags);
}

int pylmdb_env_open_main(MDB_env *env, unsigned int *flags, size_t *records)
{
    (void)env;
    (void)flags;
    (void)records;
    return MDB_READERS_FULL;
}

size_t pylmdb_env_newest(MDB_env *env)
{
    MDB_envinfo info;

    return mdb_env_info(env, &info) ? 0 : info.me_last_txnid;
}

/* A handle that a read transaction has opened is closed with it, so open_db() must look again. */
int pylmdb_txn_is_old(MDB_txn *txn)
{
    (void)txn;
    return 1;
}

int pylmdb_may_try_again(MDB_txn *txn, MDB_dbi dbi, int *code)
{
    (void)txn;
    (void)dbi;
    if (*code == EINVAL || *code == MDB_BAD_DBI)
        *code = PYLMDB_NOT_IN_SNAPSHOT;
    return 0;
}

int pylmdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor)
{
    int rc = mdb_cursor_open(txn, dbi, cursor);

    (void)pylmdb_may_try_again(txn, dbi, &rc);
    return rc;
}

int pylmdb_dbi_open(MDB_txn *txn, const char *name, unsigned int flags, MDB_dbi *dbi)
{
    return mdb_dbi_open(txn, name, flags, dbi);
}

int pylmdb_txn_is_changed(MDB_txn *txn)
{
    (void)txn;
    return -1;
}

/* The flags of a node are before the size of its key, which is before the key: the format of all
 * files of LMDB 0.9. */
int pylmdb_cursor_is_db(MDB_cursor *cursor)
{
#if MDB_VERSION_MAJOR > 0
    return mdb_cursor_is_db(cursor);
#else
    enum { SUBDATA = 0x02, DUPDATA = 0x04 };
    unsigned short flags_and_size[2];
    MDB_val key, value;

    if (mdb_cursor_get(cursor, &key, &value, MDB_GET_CURRENT))
        return 0;
    memcpy(flags_and_size, (const char *)key.mv_data - sizeof(flags_and_size),
           sizeof(flags_and_size));
    return (flags_and_size[0] & (SUBDATA | DUPDATA)) == SUBDATA;
#endif
}

void pylmdb_cursor_skip_records(MDB_cursor *cursor)
{
    (void)cursor;
}

int pylmdb_quick_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
    (void)txn;
    (void)dbi;
    (void)key;
    (void)data;
    return PYLMDB_NOT_QUICK;
}

int pylmdb_quick_seek(MDB_cursor *cursor, MDB_val *key, MDB_val *data, int op, int *same_page)
{
    (void)same_page;
    (void)cursor;
    (void)key;
    (void)data;
    (void)op;
    return PYLMDB_NOT_QUICK;
}

int pylmdb_lookup_many(MDB_cursor *cursor, struct pylmdb_lookup *lookups, size_t count)
{
    (void)cursor;
    (void)lookups;
    (void)count;
    return PYLMDB_NOT_QUICK;
}

int pylmdb_read_ahead_keys(MDB_cursor *cursor, const MDB_val *keys,
                           const struct pylmdb_sort_entry *entries, size_t count)
{
    (void)cursor;
    (void)keys;
    (void)entries;
    (void)count;
    return 0;
}

void pylmdb_read_ahead_values(MDB_env *env, const MDB_val *values, size_t count)
{
    (void)env;
    (void)values;
    (void)count;
}

void pylmdb_env_warms(MDB_env *env, int calls)
{
    (void)env;
    (void)calls;
}

void pylmdb_read_ahead_scan(MDB_cursor *cursor)
{
    (void)cursor;
}

size_t pylmdb_warm_pages(MDB_txn *txn, size_t from, size_t count)
{
    (void)txn;
    (void)from;
    (void)count;
    return 0;
}

const void *pylmdb_prefetch_overflow(MDB_cursor *cursor, const void *node)
{
    (void)cursor;
    (void)node;
    return NULL;
}

int pylmdb_read_overflow(MDB_cursor *cursor, void *node, MDB_val *data)
{
    (void)cursor;
    (void)node;
    (void)data;
    return EINVAL;
}

int pylmdb_exchange(MDB_txn *txn, MDB_dbi dbi, const MDB_val *key, MDB_val *value,
                    pylmdb_on_old_value *on_old_value, void *context)
{
    (void)txn;
    (void)dbi;
    (void)key;
    (void)value;
    (void)on_old_value;
    (void)context;
    return PYLMDB_NOT_QUICK;
}

/* Go from key to key through a range, and count the records; delete them if asked for. */
static int walk_range(MDB_cursor *cursor, const MDB_val *start, const MDB_val *stop, int deletes,
                      size_t *count)
{
    MDB_txn *txn = mdb_cursor_txn(cursor);
    const MDB_dbi dbi = mdb_cursor_dbi(cursor);
    MDB_val key, value;
    unsigned int flags;
    size_t values = 1;
    int rc = mdb_dbi_flags(txn, dbi, &flags);

    *count = 0;
    if (!rc && start)
        key = *start;
    if (!rc)
        rc = mdb_cursor_get(cursor, &key, &value, start ? MDB_SET_RANGE : MDB_FIRST);
    while (!rc && (!stop || mdb_cmp(txn, dbi, &key, stop) < 0)) {
        if (flags & MDB_DUPSORT)
            rc = mdb_cursor_count(cursor, &values);
        if (!rc && deletes)
            rc = mdb_cursor_del(cursor, flags & MDB_DUPSORT ? MDB_NODUPDATA : 0);
        if (rc)
            break;
        *count += values;
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT_NODUP);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int pylmdb_count_range(MDB_cursor *cursor, const MDB_val *start, const MDB_val *stop, size_t *count)
{
    return walk_range(cursor, start, stop, 0, count);
}

int pylmdb_delete_range(MDB_cursor *cursor, const MDB_val *start, const MDB_val *stop,
                        size_t *deleted, MDB_val *name)
{
    (void)name;
    return walk_range(cursor, start, stop, 1, deleted);
}

int pylmdb_cursor_step(MDB_cursor *cursor, MDB_val *key, MDB_val *data, int op)
{
    MDB_val unwanted;

    return mdb_cursor_get(cursor, key, data ? data : &unwanted, (MDB_cursor_op)op);
}

int pylmdb_cursor_skip(MDB_cursor *cursor, size_t count, int op)
{
    MDB_val key;
    int rc = 0;

    for (; count && !rc; count--)
        rc = pylmdb_cursor_step(cursor, &key, NULL, op);
    return rc;
}

int pylmdb_unless_truncated(MDB_cursor *cursor, int code)
{
    (void)cursor;
    return code;
}

int pylmdb_walk_page(MDB_cursor *cursor, const struct pylmdb_walk *walk)
{
    (void)cursor;
    (void)walk;
    return 0;
}

void pylmdb_cursor_unset(MDB_cursor *cursor)
{
    (void)cursor;
}

void pylmdb_env_abandon(MDB_env *env)
{
    (void)env;
}

void *pylmdb_env_map(MDB_env *env, size_t *size)
{
    (void)env;
    *size = 0;
    return NULL;
}

int pylmdb_safe_drop(MDB_txn *txn, MDB_dbi dbi, int del)
{
    return mdb_drop(txn, dbi, del);
}

int pylmdb_dbi_pending(MDB_txn *txn, MDB_dbi dbi)
{
    (void)txn;
    (void)dbi;
    return 1;
}

int pylmdb_env_grow_dbs(MDB_env *env, unsigned int dbs)
{
    (void)env;
    (void)dbs;
    return ENOSYS;
}

int pylmdb_dbi_rename(MDB_txn *txn, MDB_dbi dbi, const char *name)
{
    (void)txn;
    (void)dbi;
    (void)name;
    return ENOSYS;
}

void pylmdb_dbi_retire(MDB_env *env, MDB_dbi dbi)
{
    (void)env;
    (void)dbi;
}

void pylmdb_dbi_reclaim(MDB_env *env, int alone)
{
    (void)env;
    (void)alone;
}

int pylmdb_env_check(MDB_env *env)
{
    (void)env;
    return 0;
}

void pylmdb_env_guard(MDB_env *env)
{
    (void)env;
}

int pylmdb_safe_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
    return mdb_get(txn, dbi, key, data);
}

int pylmdb_safe_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned int flags)
{
    return mdb_put(txn, dbi, key, data, flags);
}

int pylmdb_safe_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
    return mdb_del(txn, dbi, key, data);
}

int pylmdb_safe_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data, int op)
{
    return mdb_cursor_get(cursor, key, data, (MDB_cursor_op)op);
}

int pylmdb_safe_cursor_put(MDB_cursor *cursor, MDB_val *key, MDB_val *data, unsigned int flags)
{
    return mdb_cursor_put(cursor, key, data, flags);
}

int pylmdb_safe_cursor_del(MDB_cursor *cursor, unsigned int flags)
{
    return mdb_cursor_del(cursor, flags);
}

int pylmdb_safe_commit(MDB_txn *txn)
{
    return mdb_txn_commit(txn);
}

void pylmdb_safe_abort(MDB_txn *txn)
{
    mdb_txn_abort(txn);
}

/* -- functions of growth.c, opening.c, identity.c and other files -- */

void pylmdb_env_plan(MDB_env *env, size_t start, size_t most, size_t reserve, int fixed)
{
    (void)most;
    (void)reserve;
    (void)fixed;
    mdb_env_set_mapsize(env, start);
}

int pylmdb_env_new_file(MDB_env *env, unsigned int page_size, int has_sums)
{
    (void)env;
    return page_size || has_sums ? ENOSYS : 0;
}

int pylmdb_env_has_sums(const MDB_env *env)
{
    (void)env;
    return 0;
}

int pylmdb_take_damage(size_t *page)
{
    *page = 0;
    return PYLMDB_NO_DAMAGE;
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

void pylmdb_env_note_in(MDB_env *env, struct pylmdb_notes *notes)
{
    (void)env;
    (void)notes;
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
    const struct pylmdb_made looked = noted->looked;

    memset(noted, 0, sizeof(*noted));
    if (looked.inode && has_map_of(&looked, NULL))
        return PYLMDB_OTHER_BINDING;
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

int pylmdb_reader_list(MDB_env *env, MDB_msg_func *func, void *context)
{
    return mdb_reader_list(env, func, context);
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

int pylmdb_any_truncated;
int *pylmdb_host_truncated;

int pylmdb_env_is_truncated(MDB_env *env)
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

int pylmdb_snapshot(MDB_txn *txn, struct pylmdb_snapshot *found)
{
    (void)txn;
    (void)found;
    return ENOSYS;
}

int pylmdb_snapshot_free(MDB_txn *txn, unsigned char *bits)
{
    (void)txn;
    (void)bits;
    return ENOSYS;
}

size_t pylmdb_snapshot_list(const unsigned char *bits, size_t pages, size_t from,
                            unsigned long long *numbers, size_t most)
{
    (void)bits;
    (void)pages;
    (void)from;
    (void)numbers;
    (void)most;
    return 0;
}

int pylmdb_snapshot_read(MDB_txn *txn, const unsigned long long *numbers, size_t count, char *pages)
{
    (void)txn;
    (void)numbers;
    (void)count;
    (void)pages;
    return ENOSYS;
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

struct pylmdb_bulk {
    MDB_cursor *cursor;
    unsigned int flags;
    pylmdb_bulk_check *check;
};

struct pylmdb_bulk *pylmdb_bulk_new(MDB_cursor *cursor, unsigned int flags,
                                    pylmdb_bulk_check *check)
{
    struct pylmdb_bulk *bulk = malloc(sizeof(*bulk));

    if (bulk)
        *bulk = (struct pylmdb_bulk){cursor, flags, check};
    return bulk;
}

int pylmdb_bulk_add(struct pylmdb_bulk *bulk, const MDB_val *key, const MDB_val *value)
{
    MDB_val k = *key, v = *value;
    unsigned int dbflags;
    int rc = mdb_dbi_flags(mdb_cursor_txn(bulk->cursor), mdb_cursor_dbi(bulk->cursor), &dbflags);

    if (!rc && bulk->check)
        rc = bulk->check(bulk->cursor, dbflags, key, value);
    return rc ? rc : mdb_cursor_put(bulk->cursor, &k, &v, bulk->flags);
}

int pylmdb_bulk_finish(struct pylmdb_bulk *bulk)
{
    (void)bulk;
    return MDB_SUCCESS;
}

int pylmdb_bulk_has_page(MDB_cursor *source, MDB_val *last)
{
    (void)source;
    (void)last;
    return 0;
}

int pylmdb_bulk_add_page(struct pylmdb_bulk *bulk, MDB_cursor *source, MDB_val *key, MDB_val *value,
                         size_t *count, size_t *bytes)
{
    (void)bulk;
    (void)source;
    (void)key;
    (void)value;
    (void)count;
    (void)bytes;
    return ENOTSUP;
}

int pylmdb_bulk_keep_order(struct pylmdb_bulk *bulk)
{
    (void)bulk;
    return ENOTSUP;
}

void pylmdb_bulk_free(struct pylmdb_bulk *bulk)
{
    free(bulk);
}
