/* SPDX-License-Identifier: MIT */
/* Records of all kinds of databases, read and written by one thread. */
#include "check.h"

#include <stdint.h>

enum { MAIN = 1, COUNT = 3000 };

/* A key whose order is not that of the numbers, and a value that depends on the number; each
 * tenth value has overflow pages. */
static size_t key_of(unsigned int i, char *key)
{
    return (size_t)sprintf(key, "%u-%08x", i % 7, i * 2654435761u);
}

static size_t value_of(unsigned int i, char *value)
{
    const size_t size = i % 10 ? 20 + i % 90 : 9000;

    memset(value, (int)('a' + i % 26), size);
    memcpy(value, &i, sizeof(i));
    return size;
}

static void put_all(MDB_txn *txn, MDB_dbi dbi)
{
    static char value[9000];
    char key[40];
    unsigned int i;

    for (i = 0; i < COUNT; i++) {
        const size_t key_size = key_of(i, key);

        OK(pylmdb_put(txn, dbi, 0, key, key_size, value, value_of(i, value), 0));
    }
}

static void check_value(unsigned int i, const MDB_val *found)
{
    static char value[9000];
    const size_t size = value_of(i, value);

    CHECK(found->mv_size == size && !memcmp(found->mv_data, value, size));
}

static void get_all(MDB_txn *txn, MDB_dbi dbi)
{
    char key[40];
    MDB_val found;
    unsigned int i;

    for (i = 0; i < COUNT; i++) {
        OK(pylmdb_get(txn, dbi, 0, key, key_of(i, key), &found));
        check_value(i, &found);
    }
}

/* The keys of a database ascend, by its own order. */
static size_t check_order(MDB_txn *txn, MDB_dbi dbi)
{
    MDB_val before = {0, NULL}, key, value;
    MDB_cursor *cursor;
    size_t count = 0;
    int rc;

    OK(pylmdb_cursor_open(txn, dbi, &cursor));
    for (rc = pylmdb_cursor_step(cursor, &key, &value, MDB_FIRST); !rc;
         rc = pylmdb_cursor_step(cursor, &key, &value, MDB_NEXT)) {
        CHECK(!count || mdb_cmp(txn, dbi, &before, &key) <= 0);
        before = key;
        count++;
    }
    CHECK(rc == MDB_NOTFOUND);
    mdb_cursor_close(cursor);
    return count;
}

void test_records(void)
{
    struct opened opened;
    struct pylmdb_txn txn;
    char key[40];
    MDB_val found;
    unsigned int i;

    open_new(&opened, "records", 1 << 20, (size_t)1 << 26, 0);
    begin_write(&opened, &txn);
    put_all(txn.ptr, MAIN);
    get_all(txn.ptr, MAIN);
    commit(&opened, &txn);
    begin_read(&opened, &txn);
    get_all(txn.ptr, MAIN);
    CHECK(check_order(txn.ptr, MAIN) == COUNT);
    pylmdb_end_reader(&txn);
    check_file(&opened);
    begin_write(&opened, &txn);
    for (i = 0; i < COUNT; i += 2)
        OK(pylmdb_del(txn.ptr, MAIN, 0, key, key_of(i, key), NULL, 0));
    commit(&opened, &txn);
    close_env(&opened);
    open_again(&opened);
    begin_read(&opened, &txn);
    CHECK(check_order(txn.ptr, MAIN) == COUNT / 2);
    for (i = 0; i < COUNT; i++)
        RETURNS(i % 2 ? 0 : MDB_NOTFOUND,
                pylmdb_get(txn.ptr, MAIN, 0, key, key_of(i, key), &found));
    pylmdb_end_reader(&txn);
    check_file(&opened);
    close_env(&opened);
}

/* Native integers, and keys that are compared from their end. */
void test_orders(void)
{
    struct opened opened;
    struct pylmdb_txn txn;
    MDB_dbi wide, narrow, reverse;
    unsigned int i;
    MDB_val found;

    open_new(&opened, "orders", 1 << 20, (size_t)1 << 26, 0);
    begin_write(&opened, &txn);
    wide = open_db(&opened, txn.ptr, "wide", MDB_CREATE | MDB_INTEGERKEY);
    narrow = open_db(&opened, txn.ptr, "narrow", MDB_CREATE | MDB_INTEGERKEY);
    reverse = open_db(&opened, txn.ptr, "reverse", MDB_CREATE | MDB_REVERSEKEY);
    for (i = 0; i < COUNT; i++) {
        const size_t number = (size_t)i * 40503u % 65536;
        const unsigned int small = i * 40503u % 65536;
        char text[20];

        OK(pylmdb_put(txn.ptr, wide, MDB_INTEGERKEY, &number, sizeof(number), &i, sizeof(i), 0));
        OK(pylmdb_put(txn.ptr, narrow, MDB_INTEGERKEY, &small, sizeof(small), &i, sizeof(i), 0));
        sprintf(text, "%u", i * 40503u % 65536);
        OK(pylmdb_put(txn.ptr, reverse, MDB_REVERSEKEY, text, strlen(text), &i, sizeof(i), 0));
    }
    commit(&opened, &txn);
    begin_read(&opened, &txn);
    CHECK(check_order(txn.ptr, wide) == COUNT);
    CHECK(check_order(txn.ptr, narrow) == COUNT);
    CHECK(check_order(txn.ptr, reverse) == COUNT);
    for (i = 0; i < COUNT; i++) {
        const size_t number = (size_t)i * 40503u % 65536;

        OK(pylmdb_get(txn.ptr, wide, MDB_INTEGERKEY, &number, sizeof(number), &found));
        CHECK(!memcmp(found.mv_data, &i, sizeof(i)));
    }
    pylmdb_end_reader(&txn);
    check_file(&opened); /* compares the keys, too */
    close_env(&opened);
}

void test_duplicates(void)
{
    const unsigned int flags[] = {MDB_DUPSORT, MDB_DUPSORT | MDB_DUPFIXED,
                                  MDB_DUPSORT | MDB_DUPFIXED | MDB_INTEGERDUP};
    struct opened opened;
    struct pylmdb_txn txn;
    unsigned int kind, i;
    MDB_dbi dbi[3];
    size_t count;

    open_new(&opened, "duplicates", 1 << 20, (size_t)1 << 26, 0);
    begin_write(&opened, &txn);
    for (kind = 0; kind < 3; kind++) {
        char name[8];

        sprintf(name, "%u", kind);
        dbi[kind] = open_db(&opened, txn.ptr, name, MDB_CREATE | flags[kind]);
        for (i = 0; i < COUNT; i++) {
            const size_t value = (size_t)i * 40503u % 65536;

            OK(pylmdb_put(txn.ptr, dbi[kind], flags[kind], "key", 3, &value, sizeof(value), 0));
        }
        OK(pylmdb_put(txn.ptr, dbi[kind], flags[kind], "other", 5, &count, sizeof(count), 0));
    }
    commit(&opened, &txn);
    begin_read(&opened, &txn);
    for (kind = 0; kind < 3; kind++) {
        MDB_val found_key, found;
        MDB_cursor *cursor;
        const size_t value = 40503u % 65536;

        OK(pylmdb_cursor_open(txn.ptr, dbi[kind], &cursor));
        OK(pylmdb_cursor_seek(cursor, flags[kind], "key", 3, &value, sizeof(value), MDB_GET_BOTH,
                              &found_key, &found));
        OK(pylmdb_cursor_count(cursor, flags[kind], &count));
        CHECK(count == COUNT);
        mdb_cursor_close(cursor);
    }
    pylmdb_end_reader(&txn);
    check_file(&opened); /* compares the values, too */
    close_env(&opened);
}

/* Many keys in one call: decimal numbers, whose place on a page is guessed, and others. */
void test_lookups(void)
{
    static struct pylmdb_sort_entry entries[2 * COUNT], *sorted;
    static struct pylmdb_lookup out[COUNT];
    static char keys[COUNT][40];
    static MDB_val wanted[COUNT];
    struct opened opened;
    struct pylmdb_txn txn;
    MDB_cursor *cursor;
    int decimal;
    unsigned int i;

    open_new(&opened, "lookups", 1 << 20, (size_t)1 << 26, 0);
    for (decimal = 0; decimal < 2; decimal++) {
        MDB_dbi dbi;

        begin_write(&opened, &txn);
        dbi = open_db(&opened, txn.ptr, decimal ? "decimal" : "other", MDB_CREATE);
        for (i = 0; i < COUNT; i++) {
            wanted[i].mv_data = keys[i];
            wanted[i].mv_size =
                decimal ? (size_t)sprintf(keys[i], "%012u", i * 7919u) : key_of(i, keys[i]);
            if (i % 3)
                OK(pylmdb_put(txn.ptr, dbi, 0, keys[i], wanted[i].mv_size, &i, sizeof(i), 0));
        }
        commit(&opened, &txn);
        begin_read(&opened, &txn);
        OK(pylmdb_cursor_open(txn.ptr, dbi, &cursor));
        sorted = pylmdb_order_keys(wanted, COUNT, 0, entries);
        OK(pylmdb_look_up(cursor, 0, wanted, sorted, out, COUNT));
        for (i = 0; i < COUNT; i++) {
            const unsigned int index = (unsigned int)out[i].index;

            CHECK(!out[i].value.mv_data == !(index % 3));
            CHECK(!(index % 3) || !memcmp(out[i].value.mv_data, &index, sizeof(index)));
        }
        mdb_cursor_close(cursor);
        pylmdb_end_reader(&txn);
    }
    close_env(&opened);
}

/* Records that are appended in order, so that whole pages are built. */
void test_bulk(void)
{
    const unsigned int count = 20000;
    struct opened opened;
    struct pylmdb_txn txn;
    struct pylmdb_bulk *bulk;
    MDB_cursor *cursor;
    MDB_val key, value;
    unsigned int i, seen = 0;
    char text[100];

    open_new(&opened, "bulk", 1 << 20, (size_t)1 << 26, 0);
    begin_write(&opened, &txn);
    OK(pylmdb_cursor_open(txn.ptr, MAIN, &cursor));
    bulk = pylmdb_bulk_new(cursor, MDB_APPEND, NULL);
    CHECK(bulk);
    for (i = 0; i < count; i++) {
        memset(text, 'v', sizeof(text));
        key.mv_data = text;
        key.mv_size = (size_t)sprintf(text, "%08u", i);
        value.mv_data = text;
        value.mv_size = 10 + i % 90;
        OK(pylmdb_bulk_add(bulk, &key, &value));
    }
    OK(pylmdb_bulk_end(bulk, 0));
    mdb_cursor_close(cursor);
    commit(&opened, &txn);
    begin_read(&opened, &txn);
    OK(pylmdb_cursor_open(txn.ptr, MAIN, &cursor));
    while (!pylmdb_cursor_step(cursor, &key, &value, MDB_NEXT)) {
        sprintf(text, "%08u", seen);
        CHECK(key.mv_size == 8 && !memcmp(key.mv_data, text, 8));
        CHECK(value.mv_size == 10 + seen % 90);
        seen++;
    }
    CHECK(seen == count);
    mdb_cursor_close(cursor);
    pylmdb_end_reader(&txn);
    check_file(&opened);
    close_env(&opened);
}

void test_ranges(void)
{
    struct opened opened;
    struct pylmdb_txn txn;
    MDB_val name;
    size_t count, deleted;

    open_new(&opened, "ranges", 1 << 20, (size_t)1 << 26, 0);
    begin_write(&opened, &txn);
    put_all(txn.ptr, MAIN);
    OK(pylmdb_count(txn.ptr, MAIN, 0, "2", 1, "5", 1, &count));
    OK(pylmdb_del_range(txn.ptr, MAIN, 0, "2", 1, "5", 1, &deleted, &name));
    CHECK(count == deleted && count > COUNT / 3);
    commit(&opened, &txn);
    begin_read(&opened, &txn);
    CHECK(check_order(txn.ptr, MAIN) == COUNT - count);
    pylmdb_end_reader(&txn);
    check_file(&opened);
    close_env(&opened);
}

static MDB_val string_at(const struct pylmdb_strings *strings, size_t index)
{
    return ((const MDB_val *)strings->context)[index];
}

static int compare(const MDB_val *a, const MDB_val *b)
{
    const size_t both = a->mv_size < b->mv_size ? a->mv_size : b->mv_size;
    const int found = memcmp(a->mv_data, b->mv_data, both);

    return found ? found : (a->mv_size > b->mv_size) - (a->mv_size < b->mv_size);
}

/* Strings are sorted by 8 bytes at a time, read as a number. */
void test_sorting(void)
{
    static struct pylmdb_sort_entry entries[COUNT], other[COUNT];
    static char keys[COUNT][40];
    static MDB_val strings[COUNT];
    const struct pylmdb_strings all = {.at = string_at, .context = strings};
    unsigned int i;

    for (i = 0; i < COUNT; i++) {
        strings[i].mv_data = keys[i];
        strings[i].mv_size = (size_t)sprintf(keys[i], "same-%0*x", (int)(1 + i % 20), i * 40503u);
        keys[i][5] = (char)(i * 37); /* also bytes above 127 */
        entries[i].index = i;
    }
    CHECK(!pylmdb_sort_strings(&all, entries, other, COUNT));
    for (i = 1; i < COUNT; i++)
        CHECK(compare(&strings[entries[i - 1].index], &strings[entries[i].index]) <= 0);
}
