/* SPDX-License-Identifier: MIT */
/* Native cursors: records of their transaction, which close with it, or when the operations in
 * progress have left (see transaction_end.c). */
#include "core.h"

/* Nobody is inside. */
void close_handle(Transaction *txn, Handle *handle)
{
    if (handle->previous)
        handle->previous->next = handle->next;
    else
        txn->cursors = handle->next;
    if (handle->next)
        handle->next->previous = handle->previous;
    if (handle->owner) {
        handle->owner->position.cursor = NULL;
        handle->owner->handle = NULL;
    }
    if (handle->generation == pylmdb_generation)
        txn->engine->cursor_close(handle->native);
    PyMem_Free(handle);
}

void drop_handle(Transaction *txn, Handle *handle)
{
    if (txn->top->holders)
        handle->dropped = txn->top->dirty = 1;
    else
        close_handle(txn, handle);
}

static void close_dropped(Transaction *txn)
{
    Handle *handle = txn->cursors, *next;

    for (; handle; handle = next) {
        next = handle->next;
        if (handle->dropped)
            close_handle(txn, handle);
    }
}

void close_dropped_in_tree(Transaction *txn)
{
    Transaction *child;

    for (child = txn->children; child; child = child->next_sibling)
        close_dropped_in_tree(child);
    close_dropped(txn);
}
