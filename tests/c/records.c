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

    open_new(&opened, "records", 1 << 20, (size_t)1 << 26);
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

    open_new(&opened, "orders", 1 << 20, (size_t)1 << 26);
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

    open_new(&opened, "duplicates", 1 << 20, (size_t)1 << 26);
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

    open_new(&opened, "lookups", 1 << 20, (size_t)1 << 26);
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

    open_new(&opened, "bulk", 1 << 20, (size_t)1 << 26);
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

    open_new(&opened, "ranges", 1 << 20, (size_t)1 << 26);
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

/* -- walks ----------------------------------------------------------------------- */

/* Numbers of one width as the keys of a database, each second one of them; each tenth value has
 * overflow pages. */
struct numbers {
    MDB_dbi dbi;
    unsigned int flags;
    size_t width;
};

static size_t write_number(const struct numbers *numbers, unsigned int number, char *key)
{
    const size_t wide = number;

    if (numbers->width == sizeof(wide) && numbers->flags)
        memcpy(key, &wide, sizeof(wide));
    else if (numbers->flags)
        memcpy(key, &number, sizeof(number));
    else
        sprintf(key, "%08u", number);
    return numbers->width;
}

static void put_numbers(struct opened *opened, struct numbers *numbers, const char *name)
{
    static char value[9000];
    struct pylmdb_txn txn;
    char key[20];
    unsigned int i;

    begin_write(opened, &txn);
    numbers->dbi = open_db(opened, txn.ptr, name, MDB_CREATE | numbers->flags);
    for (i = 0; i < COUNT; i += 2)
        OK(pylmdb_put(txn.ptr, numbers->dbi, numbers->flags, key, write_number(numbers, i, key),
                      value, value_of(i, value), 0));
    commit(opened, &txn);
}

/* What on_record() must get. */
struct expected {
    const struct numbers *numbers;
    int values, step;
    unsigned int next, calls, most;
};

/* A PyLMDB_Value has the layout of an MDB_val. */
static int check_record(void *context, const struct PyLMDB_Value *found_key,
                        const struct PyLMDB_Value *found_value)
{
    struct expected *expected = context;
    const MDB_val *found = (const MDB_val *)found_key;
    char key[20];

    CHECK(!expected->most || expected->calls < expected->most);
    CHECK(found->mv_size == write_number(expected->numbers, expected->next, key));
    CHECK(!memcmp(found->mv_data, key, found->mv_size));
    CHECK(!found_value == !expected->values);
    if (found_value)
        check_value(expected->next, (const MDB_val *)found_value);
    expected->next += (unsigned int)expected->step;
    return ++expected->calls == expected->most ? 7 : 0;
}

/* From the record under the cursor up to the bound, as the C API walks: a step to each record that
 * the walk leaves out.  Returns how many calls have walked. */
static unsigned int walk_through(MDB_cursor *cursor, const struct pylmdb_walk *walk,
                                 struct expected *expected, unsigned int end)
{
    MDB_val key, value;
    unsigned int walked = 0;
    int answer = 0;

    while (expected->next != end) {
        const unsigned int before = expected->calls;

        answer = pylmdb_walk_page(cursor, walk);
        walked += expected->calls > before;
        if (answer || expected->next == end)
            break;
        OK(pylmdb_cursor_step(cursor, &key, walk->values ? &value : NULL, walk->op));
        answer = check_record(expected, (const struct PyLMDB_Value *)&key,
                              walk->values ? (const struct PyLMDB_Value *)&value : NULL);
        if (answer)
            break;
    }
    CHECK(answer == (expected->calls == expected->most ? 7 : 0));
    return walked;
}

/* Walk from one record to another one, in either direction. */
static void check_walk(MDB_txn *txn, const struct numbers *numbers, unsigned int from,
                       unsigned int to, int includes_bound, int values, unsigned int most)
{
    static const int forks = 1;
    const int op = from < to ? MDB_NEXT : MDB_PREV, step = from < to ? 2 : -2;
    char start[20], bound[20];
    struct expected expected = {
        .numbers = numbers, .values = values, .step = step, .next = from, .most = most};
    struct pylmdb_walk walk = {
        .op = op,
        .values = values,
        .bound = {write_number(numbers, to, bound), bound},
        .includes_bound = includes_bound,
        .forks = &forks,
        .forks_then = forks,
        .on_record = check_record,
        .context = &expected,
    };
    const size_t size = write_number(numbers, from, start);
    const unsigned int end = to + (unsigned int)(includes_bound ? step : 0);
    MDB_val key, value;
    MDB_cursor *cursor;
    unsigned int walked;

    OK(pylmdb_cursor_open(txn, numbers->dbi, &cursor));
    OK(pylmdb_cursor_seek(cursor, numbers->flags, start, size, "", 0, MDB_SET_KEY, &key, &value));
    expected.next += (unsigned int)step;
    walked = walk_through(cursor, &walk, &expected, end);
    CHECK(walked || expected.calls < 3);
    /* The cursor is at the record that was told last. */
    if (expected.calls) {
        OK(pylmdb_cursor_seek(cursor, 0, NULL, 0, NULL, 0, MDB_GET_CURRENT, &key, &value));
        expected.next -= (unsigned int)step;
        CHECK(key.mv_size == write_number(numbers, expected.next, start));
        CHECK(!memcmp(key.mv_data, start, key.mv_size));
    }
    mdb_cursor_close(cursor);
}

void test_walks(void)
{
    struct numbers all[] = {
        {0, 0, 8}, {0, MDB_INTEGERKEY, sizeof(unsigned int)}, {0, MDB_INTEGERKEY, sizeof(size_t)}};
    struct opened opened;
    struct pylmdb_txn txn;
    unsigned int kind, i;

    open_new(&opened, "walks", 1 << 20, (size_t)1 << 26);
    for (kind = 0; kind < 3; kind++) {
        char name[8];

        sprintf(name, "%u", kind);
        put_numbers(&opened, &all[kind], name);
        begin_read(&opened, &txn);
        for (i = 0; i < 64; i++) {
            const unsigned int low = i * 37 % 500 * 2, high = low + 2 + i * 7919 % 900 * 2;
            const unsigned int from = i & 8 ? high : low, to = i & 8 ? low : high;

            check_walk(txn.ptr, &all[kind], from, to, i & 1, i >> 1 & 1, i & 4 ? 0 : 1 + i);
        }
        pylmdb_end_reader(&txn);
    }
    close_env(&opened);
}

static int never(void *context, const struct PyLMDB_Value *key, const struct PyLMDB_Value *value)
{
    CHECK(!"called");
    return 0;
}

/* A walk tells nothing in a transaction that writes, nor after a fork. */
void test_walks_that_end(void)
{
    struct numbers numbers = {0, 0, 8};
    struct pylmdb_txn txn;
    struct opened opened;
    MDB_cursor *cursor;
    MDB_val key, value;
    int forks = 1, writes;
    struct pylmdb_walk walk = {.op = MDB_NEXT, .forks = &forks, .on_record = never};

    open_new(&opened, "walks_that_end", 1 << 20, (size_t)1 << 26);
    put_numbers(&opened, &numbers, "numbers");
    for (writes = 0; writes < 2; writes++) {
        if (writes)
            begin_write(&opened, &txn);
        else
            begin_read(&opened, &txn);
        walk.forks_then = writes;
        OK(pylmdb_cursor_open(txn.ptr, numbers.dbi, &cursor));
        OK(pylmdb_cursor_step(cursor, &key, &value, MDB_FIRST));
        CHECK(!pylmdb_walk_page(cursor, &walk));
        OK(pylmdb_cursor_step(cursor, &key, &value, MDB_NEXT));
        CHECK(key.mv_size == 8 && !memcmp(key.mv_data, "00000002", 8));
        mdb_cursor_close(cursor);
        if (writes)
            commit(&opened, &txn);
        else
            pylmdb_end_reader(&txn);
    }
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
