/* SPDX-License-Identifier: MIT */
/* Run the C tests in new folders below a given one: all of them, or those that are named. */
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "verify/verify.h"

static const char *folder;

static void open_files(struct opened *opened)
{
    struct pylmdb_opening noted = {0};
    struct pylmdb_open_result result;

    OK(mdb_env_create(&opened->env));
    /* The pages have checksums where the format can have them. */
    OK(pylmdb_set_up(opened->env, 1, opened->start, opened->most, 0, 0, 126, 64, 0,
                     MDB_VERSION_MAJOR > 0));
    OK(pylmdb_env_open(opened->env, opened->path, MDB_NOTLS | opened->flags, 0600, &noted));
    opened->pool = pylmdb_pool_new(opened->env, 1);
    CHECK(opened->pool);
    OK(pylmdb_finish_open(opened->pool, opened->data,
                          opened->flags & MDB_NOLOCK ? NULL : opened->lock, 1, 64, &result));
    OK(result.main_code);
    CHECK(result.has_name);
}

void open_new(struct opened *opened, const char *name, size_t start, size_t most,
              unsigned int flags)
{
    snprintf(opened->path, sizeof(opened->path), "%s/%s", folder, name);
    snprintf(opened->data, sizeof(opened->data), "%s/data.mdb", opened->path);
    snprintf(opened->lock, sizeof(opened->lock), "%s/lock.mdb", opened->path);
    opened->start = start;
    opened->most = most;
    opened->flags = flags;
    CHECK(!mkdir(opened->path, 0700));
    open_files(opened);
}

void open_again(struct opened *opened)
{
    open_files(opened);
}

void close_env(struct opened *opened)
{
    pylmdb_pool_drain(opened->pool);
    CHECK(!pylmdb_pool_live(opened->pool));
    pylmdb_pool_release(opened->pool);
    pylmdb_env_end(&opened->env);
}

void begin_read(struct opened *opened, struct pylmdb_txn *txn)
{
    OK(pylmdb_begin_reader(txn, opened->pool, -1));
}

void begin_write(struct opened *opened, struct pylmdb_txn *txn)
{
    OK(pylmdb_begin(txn, opened->pool, NULL, 0, -1));
}

/* The tests need no durable commit. */
void commit(struct opened *opened, struct pylmdb_txn *txn)
{
    pylmdb_commit(txn, opened->env, MDB_NOSYNC);
    OK(txn->code);
}

MDB_dbi open_db(struct opened *opened, MDB_txn *txn, const char *name, unsigned int flags)
{
    struct pylmdb_opened found;

    OK(pylmdb_open_db(opened->pool, txn, name, flags, 1, 0, &found));
    return found.dbi;
}

void put(MDB_txn *txn, MDB_dbi dbi, const char *key, const char *value)
{
    OK(pylmdb_put(txn, dbi, 0, key, strlen(key), value, strlen(value), 0));
}

int has(MDB_txn *txn, MDB_dbi dbi, const char *key, const char *value)
{
    MDB_val found;

    return !pylmdb_get(txn, dbi, 0, key, strlen(key), &found) && found.mv_size == strlen(value) &&
           !memcmp(found.mv_data, value, found.mv_size);
}

void check_file(const struct opened *opened)
{
    struct pylmdb_check check = {.most_findings = 1};
    const int fd = open(opened->data, O_RDONLY);

    CHECK(fd >= 0);
    OK(pylmdb_verify(fd, &check, NULL, NULL, NULL));
    if (sizeof(size_t) < 8) { /* it knows files of 64-bit programs only, and says so */
        CHECK(check.damages == 1 && strstr(check.findings[0].text, "32-bit program"));
        check.damages = 0;
    }
    if (check.damages)
        fprintf(stderr, "%s: %s\n", opened->data, check.findings[0].text);
    CHECK(!check.damages);
    pylmdb_verify_free(&check);
    (void)close(fd);
}

static int is_wanted(const char *name, int count, char **names)
{
    int i;

    for (i = 0; i < count; i++)
        if (!strcmp(names[i], name))
            return 1;
    return !count;
}

int main(int argc, char **argv)
{
    int done = 0;

    if (argc < 2) {
        fprintf(stderr, "usage: %s FOLDER [TEST...]\n", argv[0]);
        return 2;
    }
    folder = argv[1];
#define RUN(name) \
    if (is_wanted(#name, argc - 2, argv + 2)) { \
        test_##name(); \
        done++; \
    }
    EACH_TEST(RUN)
    printf("%d passed, 0 failed\n", done);
    return !done;
}
