/* SPDX-License-Identifier: MIT */
/* The order in which threads and processes see each other's loads and stores, where no lock orders
 * them. Included by shim.c, before mdb.c.
 *
 * mdb.c declares such fields as volatile, or as plain fields. That is enough for x86, which delays
 * a store, and otherwise keeps the order of the program. Other processors, such as ARM, reorder
 * loads and stores of different variables. So edits/ordering.edit declares these fields as
 * PYLMDB_SHARED: each of their loads is an acquire, each store a release, and all of them have one
 * order. On x86 a load is a plain instruction, as before. A store is a locked one (xchg), which
 * waits until all other processors see it. A commit makes one such store, of mti_txnid; with a
 * writable map also that of mm_txnid. A reader makes one only when the table gets a new slot. The
 * others are made when files or handles are opened or closed, or the map grows.
 *
 * These belong together:
 *
 * - mti_txnid, and mm_txnid of a meta page: a commit stores them last, so a thread that loads
 *   the number sees the pages of that transaction, and its meta page (mdb_env_write_meta;
 *   mdb_txn_renew0, mdb_env_pick_meta, copy_meta() in readers.c).
 * - A reader's slot: a reader stores mr_txnid, and then loads mti_txnid (mdb_txn_renew0,
 *   copy_meta()). A writer stores mti_txnid, and a later writer loads the slots
 *   (mdb_find_oldest). In the one order of all, either the reader sees the new number, or the
 *   writer sees the slot.
 * - A reader that ends stores -1 into mr_txnid, or 0 into mr_pid, after its last read of a page
 *   (mdb_txn_end, pylmdb_txn_release_slot()). A writer that finds that overwrites these pages.
 * - mti_numreaders is stored before mr_pid of a new slot.
 * - me_numdbs and me_dbflags: a handle is published after its name and its functions for comparing
 *   are stored (mdb_dbis_update, reserve_slot() in handles.c). A thread that loads MDB_VALID
 *   sees these (mdb_txn_renew0, adopt_slot()).
 * - me_mapsize and me_maxpg: me_maxpg is raised last (raise_limit() in growth.c), so a writer that
 *   sees it stores a sufficient me_mapsize into the meta page.
 *
 * Elsewhere: checked_pages.c (settled, and the epoch), truncation.c (the note of a read of zeros),
 * lock_file.c (another name), plain/pool.c (idle transactions). */
#ifndef PYLMDB_ORDERING_H
#define PYLMDB_ORDERING_H

#include <stdatomic.h>

#define PYLMDB_SHARED _Atomic

/* The fields of a reader's slot. A read transaction stores into its slot several times, which would
 * be as many locked instructions on x86. There the fields stay volatile: their order is that of the
 * program, but a slot may be seen late. That would do harm only if two transactions were committed
 * meanwhile. A processor delays a store by nanoseconds, and ends the delay when it is interrupted;
 * each commit is several system calls. */
#if (defined(__x86_64__) || defined(__i386__)) && !defined(__SANITIZE_THREAD__)
#define PYLMDB_SLOT volatile
#else
#define PYLMDB_SLOT PYLMDB_SHARED
#endif

#endif
