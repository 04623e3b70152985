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
