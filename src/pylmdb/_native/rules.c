/* SPDX-License-Identifier: MIT */
/* Which operations both cores refuse.  Compiled into the core and into each engine. */
#include "rules.h"

const char *pylmdb_use_refusal(int is_ended, int of_another_thread, int has_reservation,
                               int is_held, int has_child)
{
    if (is_ended)
        return "transaction ended";
    if (of_another_thread)
        return "transaction of another thread";
    if (has_reservation)
        return "transaction with a reservation";
    if (is_held)
        return "transaction held";
    return has_child ? "transaction with a child" : NULL;
}

const char *pylmdb_child_refusal(int write, int read_only_children, int parent_is_inherited,
                                 int parent_is_open, int parent_writes, int same_environment)
{
    if (parent_is_inherited)
        return "parent of another process";
    if (parent_is_open && !parent_writes)
        return "parent is read-only";
    if (parent_is_open && !same_environment)
        return "parent of another environment";
    return !write && !read_only_children ? "child is read-only" : NULL;
}

const char *pylmdb_getmulti_refusal(ptrdiff_t width, int dupdata, int keyfixed, int values)
{
    if (width < 0)
        return "negative width";
    if ((width || keyfixed) && !dupdata)
        return "width without dupdata";
    if (keyfixed && !width)
        return "keyfixed without width";
    return dupdata && !values ? "dupdata without values" : NULL;
}

const char *pylmdb_put_if_refusal(int overwrite, int append, int has_duplicates)
{
    if (!overwrite || append)
        return "if_value with another condition";
    return has_duplicates ? "if_value with duplicates" : NULL;
}

const char *pylmdb_prefix_refusal(int has_bounds, int is_ordered_otherwise)
{
    if (has_bounds)
        return "prefix with bounds";
    return is_ordered_otherwise ? "prefix in another order" : NULL;
}
