/* SPDX-License-Identifier: MIT */
/* The memory map: it grows, its file is cut short, and a forked child has one of its own. */
#include "check.h"

#include <sys/wait.h>
#include <unistd.h>

enum { MAIN = 1, SIZE = 1000 };

static size_t map_size(MDB_env *env)
{
    MDB_envinfo info;

    OK(mdb_env_info(env, &info));
    return info.me_mapsize;
}

/* A value is found at the same address, with the same bytes, after the map has grown. */
void test_growth(void)
{
    static char value[SIZE];
    struct opened opened;
    struct pylmdb_txn reader, writer;
    MDB_val seen, again;
    unsigned int i;
    size_t before;

    memset(value, 'v', sizeof(value));
    open_new(&opened, "growth", 1 << 18, (size_t)1 << 28, 0);
    before = map_size(opened.env);
    begin_write(&opened, &writer);
    put(writer.ptr, MAIN, "first", "1");
    commit(&opened, &writer);
    begin_read(&opened, &reader);
    OK(pylmdb_get(reader.ptr, MAIN, 0, "first", 5, &seen));
    for (i = 0; i < 4; i++) {
        unsigned int j, number;

        begin_write(&opened, &writer);
        for (j = 0; j < 2000; j++) {
            number = i * 2000 + j;
            OK(pylmdb_put(writer.ptr, MAIN, 0, &number, sizeof(number), value, SIZE, 0));
        }
        put(writer.ptr, MAIN, "first", "2");
        commit(&opened, &writer);
    }
    CHECK(map_size(opened.env) > 16 * before);
    CHECK(seen.mv_size == 1 && *(char *)seen.mv_data == '1');
    OK(pylmdb_get(reader.ptr, MAIN, 0, "first", 5, &again));
    CHECK(again.mv_data == seen.mv_data);
    pylmdb_end_reader(&reader);
    check_file(&opened);
    close_env(&opened);
}

/* Reads of pages that the file no longer has are an error, where that is possible. */
void test_truncation(void)
{
#if PYLMDB_GUARDS_READS
    static char value[SIZE];
    struct opened opened;
    struct pylmdb_txn txn;
    unsigned int i;
    MDB_val found;
    int failed = 0;

    memset(value, 'v', sizeof(value));
    open_new(&opened, "truncation", 1 << 20, (size_t)1 << 26, 0);
    begin_write(&opened, &txn);
    for (i = 0; i < 2000; i++)
        OK(pylmdb_put(txn.ptr, MAIN, 0, &i, sizeof(i), value, SIZE, 0));
    commit(&opened, &txn);
    begin_read(&opened, &txn);
    OK(pylmdb_get(txn.ptr, MAIN, 0, "\0\0\0\0", 4, &found));
    CHECK(!any_file_is_truncated());
    CHECK(!truncate(opened.data, 2 * sysconf(_SC_PAGESIZE)));
    for (i = 0; i < 2000; i++)
        failed += pylmdb_get(txn.ptr, MAIN, 0, &i, sizeof(i), &found) == MDB_CORRUPTED;
    CHECK(failed == 2000);
    CHECK(any_file_is_truncated() && pylmdb_env_is_truncated(opened.env));
    pylmdb_end_reader(&txn);
    close_env(&opened);
#endif
}

static void write_numbers(struct opened *opened, const char *value)
{
    struct pylmdb_txn txn;
    char key[20];
    int i;

    begin_write(opened, &txn);
    for (i = 0; i < 500; i++) {
        sprintf(key, "%d", i);
        put(txn.ptr, MAIN, key, value);
    }
    commit(opened, &txn);
}

static void check_numbers(MDB_txn *txn, const char *value)
{
    char key[20];
    int i;

    for (i = 0; i < 500; i++) {
        sprintf(key, "%d", i);
        CHECK(has(txn, MAIN, key, value));
    }
}

/* In the child: the inherited snapshot is found in an environment of its own. */
static void read_in_child(struct opened *opened, MDB_txn *inherited)
{
    struct pylmdb_txn txn;

    pylmdb_env_abandon(opened->env);
    open_again(opened);
    begin_read(opened, &txn);
    check_numbers(txn.ptr, "new");
    OK(pylmdb_txn_go_back(txn.ptr, inherited));
    check_numbers(txn.ptr, "old");
    write_numbers(opened, "child");
    check_numbers(txn.ptr, "old");
    pylmdb_end_reader(&txn);
    close_env(opened);
    exit(0);
}

void test_fork_in_read(void)
{
    struct opened opened;
    struct pylmdb_txn txn, after;
    int status = 1;
    pid_t child;

    open_new(&opened, "fork", 1 << 20, (size_t)1 << 26, 0);
    write_numbers(&opened, "old");
    begin_read(&opened, &txn);
    write_numbers(&opened, "new");
    child = fork();
    CHECK(child >= 0);
    if (!child)
        read_in_child(&opened, txn.ptr);
    CHECK(waitpid(child, &status, 0) == child && !status);
    check_numbers(txn.ptr, "old");
    pylmdb_end_reader(&txn);
    begin_read(&opened, &after);
    check_numbers(after.ptr, "child");
    pylmdb_end_reader(&after);
    check_file(&opened);
    close_env(&opened);
}
