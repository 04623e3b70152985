/* SPDX-License-Identifier: MIT */
/* Append records in the order in which they come. Included by shim.c, after mdb.c.
 *
 * A database that a program orders by a comparison function of its own can only be restored
 * in the order in which it was dumped. So the cursor gets its own description of the
 * database, whose comparison puts each new record last. The environment's description, which
 * other threads read, is not changed. */

static int comes_last(const MDB_val *a, const MDB_val *b)
{
    (void)a;
    (void)b;
    return 1;
}

static int append_all(MDB_cursor *mc, const MDB_val *records, size_t count, size_t *done)
{
    MDB_val last = {0, NULL}, value;
    int rc = pylmdb_safe_cursor_get(mc, &last, &value, MDB_LAST);

    if (rc == MDB_NOTFOUND)
        last.mv_size = 0;
    else if (rc)
        return rc;
    for (rc = 0; !rc && *done < count; records += 2, ++*done) {
        MDB_val key = records[0];
        unsigned int flags = MDB_APPEND;

        value = records[1];
        if (mc->mc_xcursor && last.mv_size && last.mv_size == key.mv_size &&
            !memcmp(last.mv_data, key.mv_data, key.mv_size))
            flags = MDB_CURRENT | MDB_APPENDDUP;
        rc = pylmdb_safe_cursor_put(mc, &key, &value, flags);
        if (rc)
            break;
        last = records[0];
    }
    return rc;
}

int pylmdb_append(MDB_txn *txn, MDB_dbi dbi, const MDB_val *records, size_t count, size_t *done)
{
    MDB_cursor *mc;
    MDB_dbx own;
    int rc = mdb_cursor_open(txn, dbi, &mc);

    *done = 0;
    if (rc)
        return rc;
    own = *mc->mc_dbx;
    own.md_cmp = own.md_dcmp = comes_last;
    mc->mc_dbx = &own;
    if (mc->mc_xcursor)
        mc->mc_xcursor->mx_dbx.md_cmp = comes_last;
    rc = append_all(mc, records, count, done);
    mdb_cursor_close(mc);
    return rc;
}
