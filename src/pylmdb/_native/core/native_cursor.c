/* SPDX-License-Identifier: MIT */
/* Native cursors.  They are closed with their transaction, or after the operations in progress
 * (see transaction_end.c). */
#include "core.h"

/* No operation is in progress. */
void close_native_cursor(Transaction *txn, NativeCursor *native)
{
    if (native->previous)
        native->previous->next = native->next;
    else
        txn->cursors = native->next;
    if (native->next)
        native->next->previous = native->previous;
    if (native->owner) {
        native->owner->position.cursor = NULL;
        native->owner->native = NULL;
        native->owner->is_open = 0;
    }
    if (native->generation == pylmdb_generation)
        txn->engine->cursor_close(native->ptr);
    PyMem_Free(native);
}

void drop_native_cursor(Transaction *txn, NativeCursor *native)
{
    if (!txn->top->operations) {
        close_native_cursor(txn, native);
        return;
    }
    native->dropped = txn->top->dirty = 1;
    if (native->owner)
        native->owner->is_open = 0;
}

static void close_dropped(Transaction *txn)
{
    NativeCursor *native = txn->cursors, *next;

    for (; native; native = next) {
        next = native->next;
        if (native->dropped)
            close_native_cursor(txn, native);
    }
}

void close_dropped_in_tree(Transaction *txn)
{
    Transaction *child;

    for (child = txn->children; child; child = child->next_sibling)
        close_dropped_in_tree(child);
    close_dropped(txn);
}
