/* SPDX-License-Identifier: MIT */
/* Look at the data file of an environment before liblmdb opens it, and at the names after it. */
#include "plain.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int note_head(int fd, struct pylmdb_look *found)
{
    struct stat data;
    ssize_t size;

    if (fstat(fd, &data) || (size = pread(fd, found->head, sizeof(found->head), 0)) < 0)
        return errno;
    found->size = (int)size;
    found->data.device = data.st_dev;
    found->data.inode = data.st_ino;
    found->mode = data.st_mode;
    return 0;
}

int pylmdb_look(const char *data_path, int writes, struct pylmdb_look *found)
{
    struct stat data;
    int fd, code;

    found->step = PYLMDB_LOOK_FOR_FILE;
    if (stat(data_path, &data))
        return errno;
    found->step = PYLMDB_LOOK_AT_KIND;
    found->mode = data.st_mode;
    if (!S_ISREG(data.st_mode))
        return S_ISDIR(data.st_mode) ? EISDIR : ENXIO;
    found->step = PYLMDB_LOOK_INSIDE;
    fd = open(data_path, (writes ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno;
    code = note_head(fd, found);
    (void)close(fd);
    return code;
}

static int note_name(const char *path, struct pylmdb_file *file)
{
    struct stat found;

    if (!path || stat(path, &found))
        return 0;
    file->device = found.st_dev;
    file->inode = found.st_ino;
    return 1;
}

static int look_at_names(MDB_env *env, const char *data_path, const char *lock_path,
                         struct pylmdb_open_result *out)
{
    struct pylmdb_file named = {0, 0};
    mdb_filehandle_t fd;
    struct stat found;

    if (mdb_env_get_fd(env, &fd) || fstat(fd, &found))
        return 0;
    out->data.device = found.st_dev;
    out->data.inode = found.st_ino;
    (void)note_name(lock_path, &out->lock);
    return note_name(data_path, &named) && named.device == out->data.device &&
           named.inode == out->data.inode;
}

int pylmdb_set_up(MDB_env *env, int guard, size_t start, size_t most, size_t reserve, int fixed,
                  unsigned int max_readers, unsigned int max_dbs, unsigned int page_size,
                  int has_sums)
{
    int rc = mdb_env_set_maxreaders(env, max_readers);

    pylmdb_env_guard(env);
    pylmdb_env_guard_reads(env, guard);
    pylmdb_env_plan(env, start, most, reserve, fixed);
    if (!rc)
        rc = pylmdb_env_new_file(env, page_size, has_sums);
    return rc ? rc : mdb_env_set_maxdbs(env, max_dbs);
}

/* The search for named databases ends after so many, and after so many other records in a row: a
 * main database with many records of its own seldom has many databases, and an open must not read
 * all of its pages. */
enum { MAIN_DBI = 1, MOST_DATABASES = 1 << 16, MOST_RECORDS = 128 };
/* Where they cannot be counted, each record counts as a database, unless there are more: each
 * transaction needs memory for all of them. */
enum { MOST_UNCOUNTED = 1 << 12 };

/* Count the named databases; 0 if there are not more than room. */
static unsigned int count_databases(MDB_txn *txn, unsigned int room)
{
    unsigned int count = 0, records = 0;
    MDB_cursor *cursor;
    MDB_stat stat;
    MDB_val key;

    if (mdb_stat(txn, MAIN_DBI, &stat) || stat.ms_entries <= room ||
        pylmdb_cursor_open(txn, MAIN_DBI, &cursor))
        return 0;
    while (count < MOST_DATABASES && records < MOST_RECORDS &&
           !pylmdb_cursor_step(cursor, &key, NULL, MDB_NEXT)) {
        const int is_database = pylmdb_cursor_is_db(cursor);

        count += is_database;
        records = is_database ? 0 : records + 1;
    }
    mdb_cursor_close(cursor);
    return count;
}

/* The same without a reader slot. */
static int load_main_without_slot(MDB_env *env, unsigned int room, struct pylmdb_open_result *out)
{
    size_t records;
    const int rc = pylmdb_env_open_main(env, &out->main_flags, &records);

    if (!rc && records > room && records <= MOST_UNCOUNTED)
        out->databases = (unsigned int)records;
    return rc;
}

static int load_main(struct pylmdb_pool *pool, unsigned int room, struct pylmdb_open_result *out)
{
    struct pylmdb_txn txn = {0};
    struct pylmdb_opened opened;
    int rc = pylmdb_begin_reader(&txn, pool, -1);

    if (rc == MDB_READERS_FULL)
        return load_main_without_slot(pool->env, room, out);
    if (rc)
        return rc;
    rc = pylmdb_open_db(pool, txn.ptr, NULL, 0, 1, 0, &opened);
    out->main_flags = opened.flags;
    if (!rc)
        out->databases = count_databases(txn.ptr, room);
    pylmdb_abort(&txn);
    return rc;
}

int pylmdb_finish_open(struct pylmdb_pool *pool, const char *data_path, const char *lock_path,
                       int any_size, unsigned int room, struct pylmdb_open_result *out)
{
    MDB_env *env = pool->env;
    MDB_stat stat;
    int rc;

    pylmdb_env_opened(env);
    if ((rc = mdb_env_stat(env, &stat)))
        return rc;
    out->page_size = stat.ms_psize;
    out->has_sums = pylmdb_env_has_sums(env);
    if ((rc = pylmdb_env_join(env)) || (rc = pylmdb_env_check(env)))
        return rc;
    out->max_key_size = mdb_env_get_maxkeysize(env);
    /* readers that have died keep pages and reader slots */
    (void)mdb_reader_check(env, &out->dead_readers);
    if (any_size)
        (void)pylmdb_env_limit(env, 0);
    out->main_code = load_main(pool, room, out);
    out->has_name = look_at_names(env, data_path, lock_path, out);
    return 0;
}
