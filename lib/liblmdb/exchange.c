/* SPDX-License-Identifier: MIT */
/* Read a record, then replace or delete it, with one search. Included by shim.c, after mdb.c. */

/* During the call the cursor is in liblmdb's list of cursors, as in mdb_put() and mdb_del0(),
 * so that liblmdb moves it when it moves the cursor's page. */
static int change_at(MDB_cursor *mc, MDB_val *key, MDB_val *value)
{
    MDB_cursor **cursors = &mc->mc_txn->mt_cursors[mc->mc_dbi];
    int rc;

    mc->mc_next = *cursors;
    *cursors = mc;
    if (value) {
        rc = pylmdb_safe_cursor_put(mc, key, value, MDB_CURRENT);
    } else {
        mc->mc_flags |= C_UNTRACK;
        rc = pylmdb_safe_cursor_del(mc, MDB_NODUPDATA);
    }
    *cursors = mc->mc_next;
    return rc;
}

int pylmdb_exchange(MDB_txn *txn, MDB_dbi dbi, const MDB_val *key, MDB_val *value,
                    pylmdb_on_old_value *on_old_value, void *context)
{
    MDB_val found = *key, own = *key, old;
    MDB_cursor mc;
    int rc, same_page = 0;

    if (!TXN_DBI_EXIST(txn, dbi, DB_USRVALID) ||
        (txn->mt_flags & (MDB_TXN_BLOCKED | MDB_TXN_RDONLY)) || (txn->mt_dbflags[dbi] & DB_STALE) ||
        (txn->mt_dbs[dbi].md_flags & MDB_DUPSORT))
        return PYLMDB_NOT_QUICK;
    mdb_cursor_init(&mc, txn, dbi, NULL);
    rc = pylmdb_quick_seek(&mc, &found, &old, MDB_SET_KEY, &same_page);
    if (rc == MDB_NOTFOUND && value)
        return pylmdb_safe_put(txn, dbi, &own, value, 0);
    if (rc)
        return rc;
    if (on_old_value && (rc = on_old_value(context, &old)))
        return rc;
    return change_at(&mc, &own, value);
}
