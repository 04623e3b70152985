/* SPDX-License-Identifier: MIT */
/* Read the text of mdb_dump. */
#ifndef PYLMDB_TEXT_H
#define PYLMDB_TEXT_H

#include "plain/plain.h"

/* cdef: begin */
/* Lines of text, and the records in them. */
struct pylmdb_text {
    const char *bytes;
    size_t size;
    /* format=print, or else hexadecimal; whether lines begin with a space */
    int printable, indented;
    /* room for size bytes that are decoded, and for pairs of keys and values */
    char *decoded;
    MDB_val *records;
    size_t room;
    /* how many records were found, and how many bytes of text they have */
    size_t count, used;
};

/* Find records until there is no room, or until one is not complete or not valid. Their keys
 * and values are in decoded, or in bytes. */
void pylmdb_text_parse(struct pylmdb_text *text);
/* cdef: end */

#endif
