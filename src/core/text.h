/* Text: a growing string, formatting, paths, numbers from text, and closest-name search for "did you mean". */
#ifndef WS_CORE_TEXT_H
#define WS_CORE_TEXT_H

#include <stdint.h>
#include <stdarg.h>
#include <stdio.h>
#include "error.h"

/* A growing, always NUL-terminated string. Zero-initialise: ws_text t = {0}. Appending never fails visibly: when memory
 * runs out the text is marked and ws_text_check reports it. */
typedef struct ws_text {
    char *data; /* NULL while empty; owned */
    size_t length, capacity;
    bool out_of_memory;
} ws_text;
void ws_text_append(ws_text *text, const char *string);
void ws_text_append_bytes(ws_text *text, const void *bytes, size_t count);
void ws_text_appendf(ws_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ws_text_vappendf(ws_text *text, const char *format, va_list arguments);
void ws_text_clear(ws_text *text);   /* keeps the memory */
void ws_text_destroy(ws_text *text); /* frees and zeroes */
WS_MUST ws_err ws_text_check(const ws_text *text);
const char *ws_text_string(const ws_text *text); /* "" while empty */

/* malloc'ed printf; NULL when out of memory. */
char *ws_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Shortest decimal text that reads back as the same double ("0.1", "20000", "1e-06"); out holds 32 bytes. */
void ws_format_double(double value, char out[32]);
/* "1.2 GiB", "3 min 20 s": for people. out holds 32 bytes. */
void ws_format_bytes(double bytes, char out[32]);
void ws_format_seconds(double seconds, char out[32]);

/* Whole string as a number; false when it is not one, out of range, or not finite. */
bool ws_parse_int64(const char *text, int64_t *out);
bool ws_parse_double(const char *text, double *out);

/* Paths. Results are malloc'ed; NULL when out of memory. */
char *ws_path_join(const char *directory, const char *name); /* name alone when it is absolute or directory is "" */
char *ws_path_directory(const char *path);                   /* "." where there is no slash */
const char *ws_path_base(const char *path);                  /* points into path */

/* regular_file.c: a file for reading, from its begin; NULL where it cannot be opened, is a folder, a pipe or a device, and *why
 * says so. A pipe would wait for its writer, and could be read by one rank only. */
FILE *ws_open_regular(const char *path, const char **why);

/* The closest of `count` candidates by edit distance, or NULL when none is close. */
const char *ws_closest_name(const char *name, const char *const *candidates, size_t count);

#endif
