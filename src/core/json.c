/* Strict JSON over cJSON: one scan of the text that refuses what cJSON lets pass and notes where values stand. */
#include "json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hash.h"
#include "memory.h"

enum { MAXIMUM_DEPTH = 200 };

struct ws_json {
    cJSON *root;
    char *name, *text;
    /* Offsets of all values in document order (a value before its children), matched to the tree after parsing. */
    struct place {
        const cJSON *value;
        size_t offset;
    } * places;
    size_t place_count, place_capacity;
};

/* ---- scan ---- */

typedef struct scan {
    ws_json *document;
    const char *text;
    size_t at;
    int depth;
} scan;

static void line_and_column(const char *text, size_t offset, size_t *line, size_t *column)
{
    *line = *column = 1;
    for (size_t i = 0; i < offset && text[i]; i++) {
        if (text[i] == '\n') {
            ++*line;
            *column = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) { /* UTF-8 continuation bytes are no columns */
            ++*column;
        }
    }
}

static ws_err fault(const scan *s, size_t offset, const char *what)
{
    size_t line, column;
    line_and_column(s->text, offset, &line, &column);
    WS_FAIL(CONFIG, "%s:%zu:%zu: %s", s->document->name, line, column, what);
}

static void skip_blanks(scan *s)
{
    s->at += strspn(s->text + s->at, " \t\r\n");
}

static ws_err scan_string(scan *s, size_t *begin, size_t *length)
{
    const size_t start = s->at++;
    *begin = s->at;
    for (;; s->at++) {
        const unsigned char c = (unsigned char)s->text[s->at];
        if (c == '"')
            break;
        if (c == '\0')
            return fault(s, start, "this string is never closed");
        if (c < 0x20)
            return fault(s, s->at, "control character in a string (write \\n, \\t, ...)");
        if (c == '\\' && s->text[s->at + 1])
            s->at++;
    }
    *length = s->at++ - *begin;
    return WS_OK;
}

static ws_err scan_number(scan *s)
{
    const size_t start = s->at;
    const char *from = s->text + start;
    size_t n = strspn(from, "+-0123456789.eE");
    char copy[64];
    if (n >= sizeof copy)
        return fault(s, start, "this number is too long");
    memcpy(copy, from, n);
    copy[n] = '\0';
    const char *digits = copy + (copy[0] == '-');
    const bool integer = strspn(digits, "0123456789") == strlen(digits);
    char *end;
    const double value = strtod(copy, &end);
    if (*end || !strspn(digits, "0123456789") || (digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9'))
        return fault(s, start, "this is no JSON number");
    if (!isfinite(value))
        return fault(s, start, "this number is too large to be a double");
    if (integer && fabs(value) >= 0x1p53 && strcmp(digits, "9007199254740992") != 0)
        return fault(s, start, "this integer is above 2^53 and would be rounded; write a smaller one");
    s->at += n;
    return WS_OK;
}

static ws_err scan_value(scan *s);

static ws_err scan_object(scan *s)
{
    typedef struct key {
        size_t begin, length;
    } key;
    key *keys = NULL;
    size_t count = 0, capacity = 0;
    ws_err error = WS_OK;
    s->at++;
    skip_blanks(s);
    while (s->text[s->at] != '}') {
        WS_TRY_GOTO(done, WS_GROW(keys, capacity, count + 1));
        const size_t start = s->at;
        if (s->text[s->at] != '"') {
            error = fault(s, start, "expected a key in double quotes");
            goto done;
        }
        WS_TRY_GOTO(done, scan_string(s, &keys[count].begin, &keys[count].length));
        for (size_t i = 0; i < count; i++) {
            if (keys[i].length == keys[count].length &&
                memcmp(s->text + keys[i].begin, s->text + keys[count].begin, keys[i].length) == 0) {
                char what[128];
                snprintf(what, sizeof what, "duplicate key \"%.*s\"", (int)(keys[i].length < 80 ? keys[i].length : 80),
                         s->text + keys[i].begin);
                error = fault(s, start, what);
                goto done;
            }
        }
        count++;
        skip_blanks(s);
        if (s->text[s->at] != ':') {
            error = fault(s, s->at, "expected ':' behind the key");
            goto done;
        }
        s->at++;
        WS_TRY_GOTO(done, scan_value(s));
        skip_blanks(s);
        if (s->text[s->at] == ',') {
            s->at++;
            skip_blanks(s);
            if (s->text[s->at] == '}') {
                error = fault(s, s->at, "no comma is allowed before '}'");
                goto done;
            }
        } else if (s->text[s->at] != '}') {
            error = fault(s, s->at, "expected ',' or '}'");
            goto done;
        }
    }
    s->at++;
done:
    free(keys);
    return error;
}

static ws_err scan_array(scan *s)
{
    s->at++;
    skip_blanks(s);
    while (s->text[s->at] != ']') {
        WS_TRY(scan_value(s));
        skip_blanks(s);
        if (s->text[s->at] == ',') {
            s->at++;
            skip_blanks(s);
            if (s->text[s->at] == ']')
                return fault(s, s->at, "no comma is allowed before ']'");
        } else if (s->text[s->at] != ']') {
            return fault(s, s->at, "expected ',' or ']'");
        }
    }
    s->at++;
    return WS_OK;
}

static ws_err scan_value(scan *s)
{
    skip_blanks(s);
    ws_json *d = s->document;
    WS_TRY(WS_GROW(d->places, d->place_capacity, d->place_count + 1));
    d->places[d->place_count++] = (struct place){NULL, s->at};
    const char c = s->text[s->at];
    size_t begin, length;
    if (c == '{' || c == '[') {
        if (++s->depth > MAXIMUM_DEPTH)
            return fault(s, s->at, "nested too deeply");
        WS_TRY(c == '{' ? scan_object(s) : scan_array(s));
        s->depth--;
        return WS_OK;
    }
    if (c == '"')
        return scan_string(s, &begin, &length);
    if (c == '-' || (c >= '0' && c <= '9'))
        return scan_number(s);
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < 3; i++) {
        if (strncmp(s->text + s->at, words[i], strlen(words[i])) == 0) {
            s->at += strlen(words[i]);
            return WS_OK;
        }
    }
    return fault(s, s->at, c ? "expected a value" : "the text ends where a value is expected");
}

/* The tree in the order of the scan. */
static void match(ws_json *document, const cJSON *value, size_t *next)
{
    if (*next < document->place_count)
        document->places[(*next)++].value = value;
    for (const cJSON *child = value->child; child; child = child->next)
        match(document, child, next);
}

ws_err ws_json_read_text(ws_json **out, const char *text, const char *name)
{
    ws_err error = WS_OK;
    ws_json *document = NULL;
    *out = NULL;
    WS_TRY(WS_NEW(document));
    document->name = strdup(name);
    document->text = strdup(text);
    WS_CHECK_GOTO(failed, document->name && document->text, MEMORY, "%s could not be kept", name);
    scan s = {document, document->text, 0, 0};
    if ((unsigned char)s.text[0] == 0xef && (unsigned char)s.text[1] == 0xbb && (unsigned char)s.text[2] == 0xbf)
        s.at = 3;
    const size_t start = s.at;
    WS_TRY_GOTO(failed, scan_value(&s));
    skip_blanks(&s);
    if (s.text[s.at]) {
        error = fault(&s, s.at, "text behind the end of the JSON value");
        goto failed;
    }
    const char *stopped = NULL;
    document->root = cJSON_ParseWithOpts(document->text + start, &stopped, 1);
    if (!document->root) { /* what our scan lets pass and cJSON does not: bad escapes */
        error = fault(&s, stopped ? (size_t)(stopped - document->text) : start, "bad escape or character");
        goto failed;
    }
    size_t next = 0;
    match(document, document->root, &next);
    *out = document;
    return WS_OK;
failed:
    ws_json_destroy(&document);
    return error;
}

ws_err ws_json_read_file(ws_json **out, const char *path)
{
    *out = NULL;
    const char *why;
    FILE *file = ws_open_regular(path, &why);
    WS_CHECK(file, CONFIG, "%s: %s", path, why);
    ws_err error = WS_OK;
    ws_text text = {0};
    char piece[16384];
    for (size_t got; (got = fread(piece, 1, sizeof piece, file)) > 0;)
        ws_text_append_bytes(&text, piece, got);
    WS_CHECK_GOTO(done, !ferror(file), CONFIG, "%s: cannot be read: %s", path, strerror(errno));
    WS_TRY_GOTO(done, ws_text_check(&text));
    WS_CHECK_GOTO(done, strlen(ws_text_string(&text)) == text.length, CONFIG, "%s: is no text (it has zero bytes)",
                  path);
    WS_TRY_GOTO(done, ws_json_read_text(out, ws_text_string(&text), path));
done:
    ws_text_destroy(&text);
    fclose(file);
    return error;
}

void ws_json_destroy(ws_json **document)
{
    if (!*document)
        return;
    cJSON_Delete((*document)->root);
    free((*document)->name);
    free((*document)->text);
    free((*document)->places);
    free(*document);
    *document = NULL;
}

cJSON *ws_json_root(const ws_json *document)
{
    return document->root;
}

const char *ws_json_name(const ws_json *document)
{
    return document->name;
}

void ws_json_position(const ws_json *document, const cJSON *value, char out[512])
{
    for (size_t i = 0; value && i < document->place_count; i++) {
        if (document->places[i].value == value) {
            size_t line, column;
            line_and_column(document->text, document->places[i].offset, &line, &column);
            snprintf(out, 512, "%s:%zu:%zu", document->name, line, column);
            return;
        }
    }
    snprintf(out, 512, "%s", document->name);
}

/* ---- editing ---- */

/* A value that goes away must not be found by its address again. */
static void forget(ws_json *document, const cJSON *value)
{
    for (size_t i = 0; i < document->place_count; i++)
        if (document->places[i].value == value)
            document->places[i].value = NULL;
    for (const cJSON *child = value->child; child; child = child->next)
        forget(document, child);
}

ws_err ws_json_set_in(cJSON *root, const char *dotted_key, cJSON *value)
{
    char key[256];
    cJSON *object = root;
    const char *at = dotted_key;
    for (;;) {
        const char *dot = strchr(at, '.');
        const size_t length = dot ? (size_t)(dot - at) : strlen(at);
        if (!length || length >= sizeof key || !cJSON_IsObject(object)) {
            cJSON_Delete(value);
            WS_FAIL(CONFIG, "\"%s\" names no place in the configuration", dotted_key);
        }
        memcpy(key, at, length);
        key[length] = '\0';
        cJSON *child = cJSON_GetObjectItemCaseSensitive(object, key);
        if (!dot) {
            const bool done = child ? cJSON_ReplaceItemInObjectCaseSensitive(object, key, value)
                                    : cJSON_AddItemToObject(object, key, value);
            if (!done)
                cJSON_Delete(value);
            WS_CHECK(done, MEMORY, "\"%s\" could not be set", dotted_key);
            return WS_OK;
        }
        if (!child) {
            child = cJSON_AddObjectToObject(object, key);
            if (!child)
                cJSON_Delete(value);
            WS_CHECK(child, MEMORY, "\"%s\" could not be set", dotted_key);
        }
        object = child;
        at = dot + 1;
    }
}

ws_err ws_json_set(ws_json *document, const char *assignment)
{
    const char *equals = strchr(assignment, '=');
    WS_CHECK(equals && equals != assignment, CONFIG, "--set %s: expected KEY=VALUE", assignment);
    char key[256];
    WS_CHECK((size_t)(equals - assignment) < sizeof key, CONFIG, "--set %s: the key is too long", assignment);
    memcpy(key, assignment, (size_t)(equals - assignment));
    key[equals - assignment] = '\0';
    /* JSON where it looks like JSON, so that 1e400 and 2^53+1 are refused; otherwise a bare string. */
    cJSON *value = NULL;
    const char *text = equals + 1;
    if (strchr("-0123456789[{\"", *text) || !strcmp(text, "true") || !strcmp(text, "false") || !strcmp(text, "null")) {
        ws_json *parsed;
        char name[300];
        snprintf(name, sizeof name, "--set %s", key);
        ws_err error = ws_json_read_text(&parsed, text, name);
        if (error == WS_OK) {
            value = cJSON_Duplicate(parsed->root, true);
            ws_json_destroy(&parsed);
        } else if (strchr("[{\"-", *text) || strspn(text, "+-0123456789.eE") == strlen(text)) {
            return ws_error_pass(error, __FILE__, __LINE__, __func__);
        }
    }
    if (!value)
        value = cJSON_CreateString(text);
    WS_CHECK(value, MEMORY, "--set %s could not be kept", key);
    const cJSON *old = ws_json_find(document->root, key);
    if (old)
        forget(document, old);
    return ws_json_set_in(document->root, key, value);
}

const cJSON *ws_json_find(const cJSON *root, const char *dotted_key)
{
    char key[256];
    for (const char *at = dotted_key; root;) {
        const char *dot = strchr(at, '.');
        const size_t length = dot ? (size_t)(dot - at) : strlen(at);
        if (length >= sizeof key)
            return NULL;
        memcpy(key, at, length);
        key[length] = '\0';
        root = cJSON_GetObjectItemCaseSensitive(root, key);
        if (!dot)
            return root;
        at = dot + 1;
    }
    return NULL;
}

/* ---- canonical writing ---- */

static void write_string(const char *string, ws_text *out)
{
    ws_text_append_bytes(out, "\"", 1);
    for (const char *c = string; *c; c++) {
        const char *plain = c;
        while ((unsigned char)*c >= 0x20 && *c != '"' && *c != '\\')
            c++;
        ws_text_append_bytes(out, plain, (size_t)(c - plain));
        if (!*c)
            break;
        if ((unsigned char)*c < 0x20)
            ws_text_appendf(out, "\\u%04x", (unsigned char)*c);
        else
            ws_text_appendf(out, "\\%c", *c);
    }
    ws_text_append_bytes(out, "\"", 1);
}

static int by_key(const void *a, const void *b)
{
    return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

static void new_line(ws_text *out, int indent)
{
    if (indent >= 0)
        ws_text_appendf(out, "\n%*s", indent, "");
}

/* indent < 0: everything on one line without blanks. */
static ws_err write_value(const cJSON *value, int indent, ws_text *out)
{
    const int deeper = indent < 0 ? -1 : indent + 2;
    if (cJSON_IsObject(value) || cJSON_IsArray(value)) {
        const bool object = cJSON_IsObject(value);
        const size_t count = (size_t)cJSON_GetArraySize(value);
        const cJSON **children;
        WS_TRY(ws_alloc(&children, count, sizeof *children));
        size_t n = 0;
        bool flat = !object; /* arrays of plain values stay on one line */
        for (const cJSON *child = value->child; child; child = child->next) {
            children[n++] = child;
            flat = flat && !child->child;
        }
        if (object && n)
            qsort(children, n, sizeof *children, by_key);
        ws_err error = WS_OK;
        ws_text_append(out, object ? "{" : "[");
        for (size_t i = 0; i < n && error == WS_OK; i++) {
            if (i)
                ws_text_append(out, flat && indent >= 0 ? ", " : ",");
            if (!flat)
                new_line(out, deeper);
            if (object) {
                write_string(children[i]->string, out);
                ws_text_append(out, indent < 0 ? ":" : ": ");
            }
            error = write_value(children[i], deeper, out);
        }
        if (n && !flat)
            new_line(out, indent);
        ws_text_append(out, object ? "}" : "]");
        free(children);
        return error;
    }
    if (cJSON_IsString(value)) {
        write_string(value->valuestring, out);
    } else if (cJSON_IsNumber(value)) {
        char number[32];
        if (isfinite(value->valuedouble)) {
            ws_format_double(value->valuedouble, number);
            ws_text_append(out, number);
        } else {
            ws_text_append(out, "null");
        }
    } else {
        ws_text_append(out, cJSON_IsTrue(value) ? "true" : cJSON_IsFalse(value) ? "false" : "null");
    }
    return ws_text_check(out);
}

ws_err ws_json_canonical(const cJSON *value, ws_text *out)
{
    return write_value(value, -1, out);
}

ws_err ws_json_pretty(const cJSON *value, ws_text *out)
{
    WS_TRY(write_value(value, 0, out));
    ws_text_append(out, "\n");
    return ws_text_check(out);
}

ws_err ws_json_hash(const cJSON *value, char out[65])
{
    ws_text text = {0};
    ws_err error = ws_json_canonical(value, &text);
    if (error == WS_OK)
        error = ws_text_check(&text);
    if (error == WS_OK) {
        ws_digest digest = ws_sha256_of(ws_text_string(&text), text.length);
        ws_digest_hex(&digest, out);
    }
    ws_text_destroy(&text);
    return error;
}
