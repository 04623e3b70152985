/* SPDX-License-Identifier: MIT */
/* Read the text of mdb_dump. Headers and errors are for Python: this stops before them. */
#include "text.h"

#include <string.h>

/* -- one line ----------------------------------------------------------------------- */

/* The value of a hexadecimal digit, and a bit that tells that it is one. */
#define IS_DIGIT 0x10

static const unsigned char digits[256] = {
    ['0'] = 0x10, ['1'] = 0x11, ['2'] = 0x12, ['3'] = 0x13, ['4'] = 0x14, ['5'] = 0x15,
    ['6'] = 0x16, ['7'] = 0x17, ['8'] = 0x18, ['9'] = 0x19, ['a'] = 0x1a, ['b'] = 0x1b,
    ['c'] = 0x1c, ['d'] = 0x1d, ['e'] = 0x1e, ['f'] = 0x1f, ['A'] = 0x1a, ['B'] = 0x1b,
    ['C'] = 0x1c, ['D'] = 0x1d, ['E'] = 0x1e, ['F'] = 0x1f,
};

/* Decode hexadecimal digits; return 0 if it is not all digits, or one is missing. */
static int decode_hexadecimal(MDB_val *datum, char *out)
{
    const unsigned char *text = datum->mv_data;
    const size_t size = datum->mv_size / 2;
    unsigned int valid = IS_DIGIT;
    size_t i;

    if (datum->mv_size % 2)
        return 0;
    for (i = 0; i < size; i++) {
        const unsigned int high = digits[text[2 * i]], low = digits[text[2 * i + 1]];

        valid &= high & low;
        out[i] = (char)(high << 4 | (low & 0xf));
    }
    *datum = (MDB_val){size, out};
    return valid != 0;
}

/* Decode backslashes: each is doubled, or has two digits after it. */
static int decode_printable(MDB_val *datum, char *out)
{
    const unsigned char *text = datum->mv_data, *const end = text + datum->mv_size;
    char *const begin = out;

    if (!datum->mv_size || !memchr(text, '\\', datum->mv_size))
        return 1;
    while (text < end) {
        if (*text != '\\') {
            *out++ = (char)*text++;
        } else if (end - text >= 2 && text[1] == '\\') {
            *out++ = '\\';
            text += 2;
        } else if (end - text >= 3 && digits[text[1]] & digits[text[2]]) {
            *out++ = (char)(digits[text[1]] << 4 | (digits[text[2]] & 0xf));
            text += 3;
        } else {
            return 0;
        }
    }
    *datum = (MDB_val){(size_t)(out - begin), begin};
    return 1;
}

/* -- records ------------------------------------------------------------------------- */

/* Decode the line at *at, and set *at to the next one; 0: it is not complete or not valid. */
static int read_line(const struct pylmdb_text *text, size_t *at, MDB_val *datum)
{
    const char *line = text->bytes + *at;
    const char *end = *at < text->size ? memchr(line, '\n', text->size - *at) : NULL;
    char *const out = text->decoded + *at;

    if (!end)
        return 0;
    *at = (size_t)(end - text->bytes) + 1;
    if (text->indented && *line++ != ' ')
        return 0;
    *datum = (MDB_val){(size_t)(end - line), (void *)line};
    return text->printable ? decode_printable(datum, out) : decode_hexadecimal(datum, out);
}

void pylmdb_text_parse(struct pylmdb_text *text)
{
    MDB_val *records = text->records;
    size_t at = 0;

    text->used = 0;
    for (text->count = 0; text->count < text->room; text->count++, records += 2) {
        if (!read_line(text, &at, &records[0]) || !read_line(text, &at, &records[1]))
            break;
        text->used = at;
    }
}
