/* SPDX-License-Identifier: MIT */
/* Which page a thread has found damaged, for the message of the exception. Included by shim.c. */

static __thread struct {
    size_t page;
    int what;
} damage;

static void note_damage(size_t page, int what)
{
    damage.page = page;
    damage.what = what;
}

int pylmdb_take_damage(size_t *page)
{
    const int what = damage.what;

    *page = damage.page;
    damage.what = PYLMDB_NO_DAMAGE;
    return what;
}
