/* JSON: strict reading of configurations with positions, and canonical writing.
 *
 * cJSON holds the tree. Before it, our own scan checks what cJSON lets pass: duplicate keys, trailing text, numbers
 * that are not finite (1e400), integers that a double cannot hold (2^53+1), control characters; and keeps the line and
 * column of every value, so that later errors can point at them. Lookup is case-sensitive. Source: RFC 8259.
 */
#ifndef WS_CORE_JSON_H
#define WS_CORE_JSON_H

#include <cjson/cJSON.h>
#include <stdint.h>
#include "error.h"
#include "text.h"

typedef struct ws_json ws_json; /* a parsed document: the tree, the file name, the positions */

WS_MUST ws_err ws_json_read_file(ws_json **out, const char *path);
WS_MUST ws_err ws_json_read_text(ws_json **out, const char *text, const char *name);
void ws_json_destroy(ws_json **document);
cJSON *ws_json_root(const ws_json *document);      /* borrowed; may be edited (--set) */
const char *ws_json_name(const ws_json *document); /* file name as given */
/* "FILE:LINE:COLUMN" of a value in the document, or "FILE" for values added later. out holds 512 bytes. */
void ws_json_position(const ws_json *document, const cJSON *value, char out[512]);

/* Applies "a.b.c=VALUE" (VALUE is JSON, or a bare string). Creates objects on the way. */
WS_MUST ws_err ws_json_set(ws_json *document, const char *assignment);
WS_MUST ws_err ws_json_set_in(cJSON *root, const char *dotted_key, cJSON *value /* owned by the callee */);
const cJSON *ws_json_find(const cJSON *root, const char *dotted_key); /* NULL where absent */

/* Canonical text: keys sorted bytewise, no blanks, shortest numbers that read back the same. Appends to out. */
WS_MUST ws_err ws_json_canonical(const cJSON *value, ws_text *out);
/* The same order and numbers, indented by two blanks, for people and files. */
WS_MUST ws_err ws_json_pretty(const cJSON *value, ws_text *out);
/* SHA-256 of the canonical text, in hexadecimal digits. */
WS_MUST ws_err ws_json_hash(const cJSON *value, char out[65]);

#endif
