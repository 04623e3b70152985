/* SPDX-License-Identifier: MIT */
/* What the C tests of an engine share. They are one program, without Python: .ci/test-c compiles
 * and runs it for each machine and compiler. */
#ifndef PYLMDB_TESTS_CHECK_H
#define PYLMDB_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plain/plain.h"

/* End the program, unless it is so. */
#define CHECK(condition) \
    ((condition) \
         ? (void)0 \
         : (fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition), exit(1)))
/* The same for a call that must return a code. */
#define RETURNS(code, call) check_code(call, code, __FILE__, __LINE__, #call)
#define OK(call) RETURNS(0, call)

static inline void check_code(int found, int expected, const char *file, int line, const char *call)
{
    if (found == expected)
        return;
    fprintf(stderr, "%s:%d: %s returned %d (%s), not %d\n", file, line, call, found,
            mdb_strerror(found), expected);
    exit(1);
}

/* An environment in a new folder, set up and opened as Environment does it. */
struct opened {
    MDB_env *env;
    struct pylmdb_pool *pool;
    char path[512], data[544], lock[544];
    size_t start, most;
    unsigned int flags;
};
/* The map has start bytes at first, and may grow to most. flags: MDB_NOLOCK or 0. */
void open_new(struct opened *opened, const char *name, size_t start, size_t most,
              unsigned int flags);
/* Open the same files again, in a child, or after close_env(). */
void open_again(struct opened *opened);
void close_env(struct opened *opened);

void begin_read(struct opened *opened, struct pylmdb_txn *txn);
void begin_write(struct opened *opened, struct pylmdb_txn *txn);
void commit(struct opened *opened, struct pylmdb_txn *txn);
MDB_dbi open_db(struct opened *opened, MDB_txn *txn, const char *name, unsigned int flags);

/* Put and get a string. */
void put(MDB_txn *txn, MDB_dbi dbi, const char *key, const char *value);
int has(MDB_txn *txn, MDB_dbi dbi, const char *key, const char *value);

/* Check all pages of the data file, without liblmdb. */
void check_file(const struct opened *opened);

/* The tests, in the order in which main() runs them. */
#define EACH_TEST(TEST) \
    TEST(records) \
    TEST(orders) \
    TEST(duplicates) \
    TEST(lookups) \
    TEST(bulk) \
    TEST(ranges) \
    TEST(sorting) \
    TEST(growth) \
    TEST(truncation) \
    TEST(fork_in_read) \
    TEST(assertions) \
    TEST(page_lists) \
    TEST(writer_lock) \
    TEST(readers_beside_a_writer) \
    TEST(readers_without_a_lock_file) \
    TEST(growth_beside_readers) \
    TEST(handles_beside_readers)
#define DECLARE(name) void test_##name(void);
EACH_TEST(DECLARE)

#endif
