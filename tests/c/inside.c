/* SPDX-License-Identifier: MIT */
/* The engine itself, and tests that need its insides. */
#include "shim.c"

#include "check.h"

#include "position.h"

/* An assertion of liblmdb that fails inside a guarded call. */
static int fail_in_call(MDB_env *of)
{
    GUARDED(of, (mdb_assert_fail(of, "no", __func__, __FILE__, __LINE__), 0));
}

void test_assertions(void)
{
    struct opened opened;
    struct pylmdb_txn txn;

    open_new(&opened, "assertions", 1 << 20, 1 << 20);
    begin_write(&opened, &txn);
    put(txn.ptr, 1, "kept", "1");
    commit(&opened, &txn);
    begin_write(&opened, &txn);
    put(txn.ptr, 1, "lost", "2");
    RETURNS(MDB_PANIC, fail_in_call(opened.env));
    pylmdb_commit(&txn, opened.env, 0);
    CHECK(txn.code == MDB_PANIC);
    RETURNS(MDB_PANIC, pylmdb_begin_reader(&txn, opened.pool, -1));
    close_env(&opened);
    open_again(&opened);
    begin_read(&opened, &txn);
    CHECK(has(txn.ptr, 1, "kept", "1"));
    CHECK(!has(txn.ptr, 1, "lost", "2"));
    pylmdb_end_reader(&txn);
    close_env(&opened);
}

enum { MOST_PAGES = 40 };

/* Fill a list of page numbers, the least one first: without gaps, with many, or with one in the
 * middle, by its kind. Returns the last number. */
static MDB_ID fill_list(MDB_ID2 *list, unsigned int count, unsigned int kind)
{
    static unsigned int state = 1;
    MDB_ID pgno = state % 7;
    unsigned int i;

    list[0].mid = count;
    for (i = 1; i <= count; i++) {
        state = state * 1103515245 + 12345;
        pgno += 1 + (kind == 1 ? (state >> 16) % 5 : 0) + (kind == 2 && i == count / 2 ? 50 : 0);
        list[i].mid = pgno;
    }
    return pgno;
}

/* As liblmdb seeks it. */
static unsigned int find_run_page_by_page(const MDB_ID *pages, unsigned int count,
                                          unsigned int more)
{
    unsigned int i;

    for (i = count; i > more; i--)
        if (pages[i - more] == pages[i] + more)
            return i;
    return 0;
}

void test_page_lists(void)
{
    MDB_ID2 list[MOST_PAGES + 1];
    MDB_ID descending[MOST_PAGES + 1] = {0}, last, sought;
    unsigned int round, i;

    for (round = 0; round < 2000; round++) {
        const unsigned int count = round % (MOST_PAGES + 1);

        last = fill_list(list, count, round % 3);
        for (sought = 0; sought < last + 3; sought++)
            CHECK(search_dirty(list, sought) == mdb_mid2l_search(list, sought));
        for (i = 1; i <= count; i++)
            descending[i] = list[count + 1 - i].mid;
        for (i = 0; i < 10; i++)
            CHECK(find_free_run(descending, count, i) ==
                  find_run_page_by_page(descending, count, i));
    }
}

/* -- files that are cut short ------------------------------------------------------ */

#if PYLMDB_GUARDS_READS
enum { NUMBERS = 1000 };

/* A database of integers, a read transaction, and a cursor at the first of them, whose page does
 * not have all of them. */
struct cut {
    struct opened opened;
    struct pylmdb_txn txn;
    MDB_dbi dbi;
    MDB_cursor *cursor;
};

static void begin_cut(struct cut *cut, const char *name)
{
    MDB_val key, value;
    unsigned int i;

    open_new(&cut->opened, name, 1 << 20, (size_t)1 << 26);
    begin_write(&cut->opened, &cut->txn);
    cut->dbi = open_db(&cut->opened, cut->txn.ptr, "numbers", MDB_CREATE | MDB_INTEGERKEY);
    for (i = 0; i < NUMBERS; i++)
        OK(pylmdb_put(cut->txn.ptr, cut->dbi, MDB_INTEGERKEY, &i, sizeof(i), "value", 5, 0));
    commit(&cut->opened, &cut->txn);
    begin_write(&cut->opened, &cut->txn); /* moves the page of number 0 behind that of the root */
    i = 0;
    OK(pylmdb_put(cut->txn.ptr, cut->dbi, MDB_INTEGERKEY, &i, sizeof(i), "other", 5, 0));
    commit(&cut->opened, &cut->txn);
    begin_read(&cut->opened, &cut->txn);
    OK(pylmdb_cursor_open(cut->txn.ptr, cut->dbi, &cut->cursor));
    OK(pylmdb_cursor_step(cut->cursor, &key, &value, MDB_FIRST));
    CHECK(NUMKEYS(cut->cursor->mc_pg[cut->cursor->mc_top]) < NUMBERS);
    CHECK(cut->cursor->mc_pg[0] < cut->cursor->mc_pg[cut->cursor->mc_top]);
}

static void end_cut(struct cut *cut)
{
    mdb_cursor_close(cut->cursor);
    pylmdb_end_reader(&cut->txn);
    close_env(&cut->opened);
}

/* The file ends so many bytes behind the beginning of the cursor's page. */
static void cut_file(const struct cut *cut, size_t bytes)
{
    const MDB_page *mp = cut->cursor->mc_pg[cut->cursor->mc_top];
    const char *map = mdb_txn_env(cut->txn.ptr)->me_map;

    CHECK(!truncate(cut->opened.data, (const char *)mp - map + (off_t)bytes));
}

#endif

/* The page of a cursor is missing: its zeros are not taken for a page with many keys. */
void test_missing_page(void)
{
#if PYLMDB_GUARDS_READS
    char name[512];
    size_t size = sizeof(name);
    struct cut cut;

    begin_cut(&cut, "missing_page");
    cut_file(&cut, 0);
    CHECK(!keys_on(cut.cursor->mc_pg[cut.cursor->mc_top]));
    RETURNS(MDB_CORRUPTED, pylmdb_cursor_next_db(cut.cursor, name, &size));
    RETURNS(MDB_CORRUPTED, pylmdb_cursor_skip(cut.cursor, NUMBERS, MDB_NEXT));
    end_cut(&cut);
#endif
}

/* The end of a page reads as zeros, without a signal: keys without a width. */
void test_page_that_is_cut(void)
{
#if PYLMDB_GUARDS_READS
    const unsigned int number = 7;
    const struct pylmdb_range range = {{0, NULL}, {sizeof(number), (void *)&number}, 0, 0};
    struct pylmdb_position position = {.dbflags = MDB_INTEGERKEY};
    struct pylmdb_iteration iteration = {0};
    MDB_val found;
    struct cut cut;

    begin_cut(&cut, "range_over_a_cut");
    position.cursor = cut.cursor;
    OK(pylmdb_range_start(&iteration, &position, &range, 0, 0));
    OK(pylmdb_iteration_next(&iteration, &position));
    RETURNS(PYLMDB_OTHER_WIDTH, pylmdb_unless_truncated(cut.cursor, PYLMDB_OTHER_WIDTH));
    cut_file(&cut, 200);
    RETURNS(MDB_CORRUPTED, pylmdb_iteration_next(&iteration, &position));
    pylmdb_iteration_free(&iteration);
    end_cut(&cut);
    begin_cut(&cut, "get_on_a_cut");
    cut_file(&cut, 200);
    RETURNS(MDB_CORRUPTED,
            pylmdb_get(cut.txn.ptr, cut.dbi, MDB_INTEGERKEY, &number, sizeof(number), &found));
    end_cut(&cut);
#endif
}
