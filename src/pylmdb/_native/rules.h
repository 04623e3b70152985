/* SPDX-License-Identifier: MIT */
/* Which operations both cores refuse, and the order of the reasons.  Each function
 * returns the name of a refusal (_core_rules/refusals.py), or NULL.  None of this needs an engine,
 * so the core is compiled with it, too. */
#ifndef PYLMDB_RULES_H
#define PYLMDB_RULES_H

#include <stddef.h>

/* cdef: begin */
/* An operation on a transaction. */
const char *pylmdb_use_refusal(int is_ended, int of_another_thread, int has_reservation,
                               int is_held, int has_child);
/* A child, before pylmdb_use_refusal() is asked about its parent. */
const char *pylmdb_child_refusal(int write, int read_only_children, int parent_is_inherited,
                                 int parent_is_open, int parent_writes, int same_environment);
/* The arguments of getmulti. */
const char *pylmdb_getmulti_refusal(ptrdiff_t width, int dupdata, int keyfixed, int values);
/* put() with if_value. */
const char *pylmdb_put_if_refusal(int overwrite, int append, int has_duplicates);
/* A range of a prefix. */
const char *pylmdb_prefix_refusal(int has_bounds, int is_ordered_otherwise);
/* cdef: end */

#endif
