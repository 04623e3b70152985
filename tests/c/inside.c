/* SPDX-License-Identifier: MIT */
/* The engine itself, and tests that need its insides. */
#include "shim.c"

#include "check.h"

/* An assertion of liblmdb that fails inside a guarded call. */
static int fail_in_call(MDB_env *of)
{
    GUARDED(of, (mdb_assert_fail(of, "no", __func__, __FILE__, __LINE__), 0));
}

void test_assertions(void)
{
    struct opened opened;
    struct pylmdb_txn txn;

    open_new(&opened, "assertions", 1 << 20, 1 << 20, 0);
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
