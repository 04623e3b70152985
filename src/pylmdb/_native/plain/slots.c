/* SPDX-License-Identifier: MIT */
/* Which slot a database has, and what becomes of it (see slots.h). */
#include "plain.h"
#include "slots.h"

#include <stdlib.h>

/* -- lists ------------------------------------------------------------------------ */

/* The slot that has the name of another one now. */
static struct pylmdb_slot *same_name(const struct pylmdb_slots *slots,
                                     const struct pylmdb_slot *slot)
{
    return pylmdb_slot_named(slots, slot->name, slot->name_size, slot->hash);
}

static void add_name(struct pylmdb_slots *slots, struct pylmdb_slot *slot)
{
    struct pylmdb_slot **list = pylmdb_names_at(slots, slot->hash);

    slot->next_named = *list;
    *list = slot;
}

/* It may have been opened under another number since, and is not in the list then. */
static void remove_name(struct pylmdb_slots *slots, struct pylmdb_slot *slot)
{
    struct pylmdb_slot **link = pylmdb_names_at(slots, slot->hash);

    while (*link && *link != slot)
        link = &(*link)->next_named;
    if (*link) {
        *link = slot->next_named;
        slots->databases--;
    }
}

/* From now on a name means this slot. */
static void set_name(struct pylmdb_slots *slots, struct pylmdb_slot *slot)
{
    struct pylmdb_slot *known = same_name(slots, slot);

    if (known == slot)
        return;
    if (known)
        remove_name(slots, known);
    add_name(slots, slot);
    slots->databases++;
}

/* Make room for a number.  In another thread a fork can come between any two steps, and then the
 * child frees the table. */
static int make_room(struct pylmdb_slots *slots, MDB_dbi dbi)
{
    struct pylmdb_number *old = slots->numbers, *grown;
    struct pylmdb_slot *slot, *next;
    size_t count = slots->room, room = count ? count : 16, i;

    if (dbi < count)
        return 0;
    while (room <= dbi)
        room *= 2;
    if (!(grown = calloc(room, sizeof(*grown))))
        return ENOMEM;
    for (i = 0; i < count; i++) {
        grown[i] = old[i];
        grown[i].named = NULL;
    }
    slots->numbers = grown;
    slots->room = room;
    for (i = 0; i < count; i++)
        for (slot = old[i].named; slot; slot = next) {
            next = slot->next_named;
            add_name(slots, slot);
        }
    free(old);
    return 0;
}

static void leave_list(struct pylmdb_slots *slots, struct pylmdb_slot *slot, int list)
{
    slot->held &= (unsigned char)~list;
    if (!slot->held) {
        slot->next_released = slots->released;
        slots->released = slot;
    }
}

/* -- the end of a slot ------------------------------------------------------------ */

/* Its database was dropped, or the creation aborted, or its number means another database. */
static void end_slot(struct pylmdb_slots *slots, struct pylmdb_slot *slot)
{
    if (!slot->alive)
        return;
    slot->alive = 0;
    if (slot->name)
        remove_name(slots, slot);
    if (slots->on_death)
        slots->on_death(slots, slot);
}

static void empty_number(struct pylmdb_slots *slots, struct pylmdb_number *number)
{
    struct pylmdb_slot *last = number->last;

    number->last = NULL;
    if (last) {
        end_slot(slots, last);
        leave_list(slots, last, PYLMDB_IN_NUMBERS);
    }
}

/* Retire a native handle whose database no longer exists; the table has room for its number. */
static void retire(struct pylmdb_slots *slots, MDB_dbi dbi)
{
    slots->numbers[dbi].used = 1;
    empty_number(slots, &slots->numbers[dbi]);
    pylmdb_dbi_retire(slots->pool->env, dbi);
}

void pylmdb_slots_close(struct pylmdb_slots *slots, struct pylmdb_slot *main)
{
    size_t i;

    end_slot(slots, main);
    for (i = 0; i < slots->room; i++)
        empty_number(slots, &slots->numbers[i]);
    pylmdb_slots_free(slots);
}

void pylmdb_slots_free(struct pylmdb_slots *slots)
{
    free(slots->numbers);
    slots->numbers = NULL;
    slots->room = 0;
}

/* -- opening ---------------------------------------------------------------------- */

static int open_once(struct pylmdb_slots *slots, const struct pylmdb_db_opening *opening,
                     struct pylmdb_opened *opened)
{
    return pylmdb_open_db(slots->pool, opening->txn, opening->fresh->name, opening->flags,
                          opening->live, opening->used, opened);
}

/* Open a native handle.  One whose database no longer exists is retired first. */
static int open_native(struct pylmdb_slots *slots, const struct pylmdb_db_opening *opening,
                       struct pylmdb_opened *opened)
{
    int rc = open_once(slots, opening, opened);

    if (rc == PYLMDB_GONE && !(rc = make_room(slots, opened->dbi))) {
        retire(slots, opened->dbi);
        rc = open_once(slots, opening, opened);
    }
    return rc ? rc : make_room(slots, opened->dbi);
}

/* Give a number to a new slot.  If the slot before had the same name, and the number was not
 * retired since, then the number has always meant this database. */
static void set_number(struct pylmdb_slots *slots, const struct pylmdb_db_opening *opening,
                       const struct pylmdb_opened *opened, int is_same)
{
    struct pylmdb_number *number = &slots->numbers[opened->dbi];
    struct pylmdb_slot *slot = opening->fresh;

    if (is_same) {
        slot->reuse = number->last->reuse;
        slot->since = number->last->since;
    } else if (number->used) {
        slot->reuse = ++slots->reuses;
        slot->since = mdb_txn_id(opening->txn);
    }
    empty_number(slots, number);
    number->last = slot;
    number->used = 1;
    slot->held = PYLMDB_IN_NUMBERS;
    slot->dbi = opened->dbi;
    slot->flags = opened->flags;
    slot->alive = 1;
    if (opened->pending && opening->handles) {
        slot->pending = 1;
        slot->held |= PYLMDB_IN_OPENED;
        slot->next_opened = opening->handles->opened;
        opening->handles->opened = slot;
    }
}

/* Return the slot of the database that was opened. */
static struct pylmdb_slot *slot_of(struct pylmdb_slots *slots,
                                   const struct pylmdb_db_opening *opening,
                                   const struct pylmdb_opened *opened)
{
    struct pylmdb_slot *fresh = opening->fresh, *last = slots->numbers[opened->dbi].last;
    int is_same;

    if (!fresh->name) {
        fresh->flags = opened->flags;
        return fresh;
    }
    is_same = last && pylmdb_slot_has_name(last, fresh->name, fresh->name_size);
    if (!is_same || !last->alive) {
        set_number(slots, opening, opened, is_same);
        last = fresh;
    }
    set_name(slots, last);
    return last;
}

/* There is one write transaction at a time, so it sees all databases that are not committed.  A
 * reader sees the database if the writer has dropped it and is creating it again: then the handle
 * that was found is not pending. */
int pylmdb_slots_open(struct pylmdb_slots *slots, struct pylmdb_db_opening *opening)
{
    struct pylmdb_slot *fresh = opening->fresh, *known = fresh;
    struct pylmdb_opened opened;
    int code;

    if (fresh->name)
        known = same_name(slots, fresh);
    if (!known && slots->databases >= slots->max_dbs)
        return MDB_DBS_FULL;
    if (known)
        known->doubted = 0; /* so that another thread can set it from now on */
    if ((code = open_native(slots, opening, &opened))) {
        if (known)
            known->doubted = 1;
        return code;
    }
    opening->found = slot_of(slots, opening, &opened);
    if (pylmdb_txn_is_old(opening->txn) || slots->numbers[opened.dbi].dropped)
        opening->found->doubted = 1;
    return opening->found->pending && opened.pending && !opening->handles ? MDB_NOTFOUND : 0;
}

int pylmdb_slot_is_newer(const struct pylmdb_slot *slot, const struct pylmdb_handles *handles,
                         MDB_txn *txn)
{
    return slot->since && handles->reuses < slot->reuse && mdb_txn_id(txn) < slot->since;
}

/* -- write transactions ----------------------------------------------------------- */

static void note_dropped(struct pylmdb_slots *slots, struct pylmdb_handles *handles,
                         struct pylmdb_slot *slot, int dies)
{
    if (!(slot->held & PYLMDB_IN_DROPPED)) {
        slot->held |= PYLMDB_IN_DROPPED;
        slots->numbers[slot->dbi].dropped++;
        slot->next_dropped = handles->dropped;
        handles->dropped = slot;
    }
    if (dies)
        end_slot(slots, slot);
}

void pylmdb_slots_drop(struct pylmdb_slots *slots, struct pylmdb_handles *handles,
                       struct pylmdb_slot *slot, int dies)
{
    size_t i;

    if (slot->name)
        note_dropped(slots, handles, slot, dies);
    for (i = 0; !slot->name && i < slots->room; i++)
        if (slots->numbers[i].last && slots->numbers[i].last->alive)
            note_dropped(slots, handles, slots->numbers[i].last, dies);
}

static void give_to_parent(struct pylmdb_handles *handles, struct pylmdb_handles *parents)
{
    struct pylmdb_slot **opened = &handles->opened, **dropped = &handles->dropped;

    while (*opened)
        opened = &(*opened)->next_opened;
    while (*dropped)
        dropped = &(*dropped)->next_dropped;
    *opened = parents->opened;
    *dropped = parents->dropped;
    parents->opened = handles->opened;
    parents->dropped = handles->dropped;
    handles->opened = handles->dropped = NULL;
}

/* Retire the number of a database that was dropped, unless one of the same name was created in the
 * transaction, which has got the number. */
static void settle_dropped(struct pylmdb_slots *slots, MDB_dbi dbi, int kept)
{
    struct pylmdb_number *number = &slots->numbers[dbi];
    const struct pylmdb_slot *last = number->last;

    number->dropped--;
    if (kept && !(last && last->alive && last->held & PYLMDB_IN_OPENED))
        retire(slots, dbi);
}

void pylmdb_slots_settle(struct pylmdb_slots *slots, struct pylmdb_handles *handles,
                         struct pylmdb_handles *parents, int kept)
{
    struct pylmdb_slot *slot;

    if (kept && parents) {
        give_to_parent(handles, parents);
        return;
    }
    while ((slot = handles->dropped)) {
        handles->dropped = slot->next_dropped;
        if (slot->dbi < slots->room) /* else the environment was closed meanwhile */
            settle_dropped(slots, slot->dbi, kept);
        leave_list(slots, slot, PYLMDB_IN_DROPPED);
    }
    while ((slot = handles->opened)) {
        handles->opened = slot->next_opened;
        slot->pending = 0;
        if (!kept)
            end_slot(slots, slot);
        leave_list(slots, slot, PYLMDB_IN_OPENED);
    }
}
