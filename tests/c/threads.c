/* SPDX-License-Identifier: MIT */
/* Threads of one process. ThreadSanitizer runs these tests, too. */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MAIN = 1, READERS = 3, KEYS = 300 };

static pthread_t start(void *(*run)(void *), void *context)
{
    pthread_t thread;

    CHECK(!pthread_create(&thread, NULL, run, context));
    return thread;
}

static void join(pthread_t thread)
{
    CHECK(!pthread_join(thread, NULL));
}

/* -- the writer lock ------------------------------------------------------------------ */

static void *begin_in_vain(void *context)
{
    struct opened *opened = context;
    struct pylmdb_txn txn;

    RETURNS(ETIMEDOUT, pylmdb_begin(&txn, opened->pool, NULL, 0, 20));
    RETURNS(ETIMEDOUT, pylmdb_begin(&txn, opened->pool, NULL, 0, 0));
    return NULL;
}

struct ended {
    struct opened *opened;
    struct pylmdb_txn txn;
};

static void *end_it(void *context)
{
    struct ended *ended = context;

    pylmdb_abort(&ended->txn);
    return NULL;
}

static void *begin_at_last(void *context)
{
    struct opened *opened = context;
    struct pylmdb_txn txn;

    begin_write(opened, &txn);
    put(txn.ptr, MAIN, "key", "at last");
    commit(opened, &txn);
    return NULL;
}

/* Another thread waits for the lock, in vain; it ends the transaction; it gets the lock. */
void test_writer_lock(void)
{
    struct opened opened;
    struct ended ended;

    open_new(&opened, "writer_lock", 1 << 20, 1 << 20, 0);
    ended.opened = &opened;
    begin_write(&opened, &ended.txn);
    join(start(begin_in_vain, &opened));
    join(start(end_it, &ended));
    join(start(begin_at_last, &opened));
    begin_read(&opened, &ended.txn);
    CHECK(has(ended.txn.ptr, MAIN, "key", "at last"));
    pylmdb_end_reader(&ended.txn);
    close_env(&opened);
}

/* -- readers beside a writer ----------------------------------------------------------- */

struct shared {
    struct opened opened;
    atomic_int is_done;
    atomic_uint snapshots;
    /* the length of each value */
    size_t size;
};

/* Each transaction stores its number in all keys. So all values of a snapshot are equal, and
 * they are never smaller than in an earlier snapshot of the thread. */
static void store_number(struct shared *shared, unsigned int number)
{
    static char value[8192];
    struct pylmdb_txn txn;
    unsigned int i;

    memcpy(value, &number, sizeof(number));
    memcpy(value + shared->size - sizeof(number), &number, sizeof(number));
    begin_write(&shared->opened, &txn);
    for (i = 0; i < KEYS; i++) {
        const unsigned int key = i * 2654435761u;

        OK(pylmdb_put(txn.ptr, MAIN, 0, &key, sizeof(key), value, shared->size, 0));
    }
    commit(&shared->opened, &txn);
}

static unsigned int check_snapshot(MDB_txn *txn, size_t size)
{
    unsigned int first = 0, i;

    for (i = 0; i < KEYS; i++) {
        const unsigned int key = i * 2654435761u;
        unsigned int begin, end;
        MDB_val found;

        OK(pylmdb_get(txn, MAIN, 0, &key, sizeof(key), &found));
        CHECK(found.mv_size == size);
        memcpy(&begin, found.mv_data, sizeof(begin));
        memcpy(&end, (char *)found.mv_data + size - sizeof(end), sizeof(end));
        if (!i)
            first = begin;
        CHECK(begin == first && end == first);
    }
    return first;
}

static void *read_snapshots(void *context)
{
    struct shared *shared = context;
    unsigned int last = 0, number;
    struct pylmdb_txn txn;

    while (!shared->is_done) {
        begin_read(&shared->opened, &txn);
        number = check_snapshot(txn.ptr, shared->size);
        CHECK(number >= last);
        last = number;
        pylmdb_end_reader(&txn);
        shared->snapshots++;
    }
    return NULL;
}

/* Write until the readers have seen enough. */
static void write_beside_readers(const char *name, unsigned int flags, size_t start_size,
                                 size_t most, size_t size, unsigned int commits)
{
    struct shared shared = {.size = size};
    pthread_t readers[READERS];
    unsigned int number = 0;
    int i;

    open_new(&shared.opened, name, start_size, most, flags);
    store_number(&shared, ++number);
    for (i = 0; i < READERS; i++)
        readers[i] = start(read_snapshots, &shared);
    while (number < commits || shared.snapshots < commits)
        store_number(&shared, ++number);
    shared.is_done = 1;
    for (i = 0; i < READERS; i++)
        join(readers[i]);
    check_file(&shared.opened);
    close_env(&shared.opened);
}

void test_readers_beside_a_writer(void)
{
    write_beside_readers("readers", 0, 1 << 20, 1 << 26, 40, 200);
}

void test_readers_without_a_lock_file(void)
{
    write_beside_readers("without", MDB_NOLOCK, 1 << 20, 1 << 26, 40, 200);
}

/* Large values, so that the map grows several times. */
void test_growth_beside_readers(void)
{
    write_beside_readers("growing", 0, 1 << 18, (size_t)1 << 28, 8192, 30);
}

/* -- handles that are opened while readers begin --------------------------------------- */

enum { DBS = 60 };

struct handles {
    struct opened opened;
    atomic_uint dbi[DBS];
    atomic_int is_done;
};

/* A handle that another thread has published can be used at once. */
static void *use_handles(void *context)
{
    struct handles *handles = context;
    struct pylmdb_txn txn;
    MDB_val found;
    int i;

    while (!handles->is_done) {
        for (i = 0; i < DBS; i++) {
            const unsigned int dbi = handles->dbi[i];

            if (!dbi)
                continue;
            begin_read(&handles->opened, &txn);
            OK(pylmdb_get(txn.ptr, dbi, 0, "number", 6, &found));
            CHECK(found.mv_size == sizeof(i) && !memcmp(found.mv_data, &i, sizeof(i)));
            pylmdb_end_reader(&txn);
        }
    }
    return NULL;
}

void test_handles_beside_readers(void)
{
    static struct handles handles;
    pthread_t readers[READERS];
    struct pylmdb_txn txn;
    char name[20];
    int i;

    open_new(&handles.opened, "handles", 1 << 20, (size_t)1 << 26, 0);
    for (i = 0; i < READERS; i++)
        readers[i] = start(use_handles, &handles);
    for (i = 0; i < DBS; i++) {
        MDB_dbi dbi;

        sprintf(name, "db%d", i);
        begin_write(&handles.opened, &txn);
        dbi = open_db(&handles.opened, txn.ptr, name, MDB_CREATE);
        OK(pylmdb_put(txn.ptr, dbi, 0, "number", 6, &i, sizeof(i), 0));
        commit(&handles.opened, &txn);
        handles.dbi[i] = dbi;
    }
    handles.is_done = 1;
    for (i = 0; i < READERS; i++)
        join(readers[i]);
    check_file(&handles.opened);
    close_env(&handles.opened);
}
