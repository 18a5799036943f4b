/* Strings, numbers from text, paths, closest names. */
#include "text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(ws_text *text, size_t extra)
{
    if (text->out_of_memory)
        return false;
    size_t needed = text->length + extra + 1;
    if (needed <= text->capacity)
        return true;
    size_t larger = text->capacity < 64 ? 64 : text->capacity * 2;
    if (larger < needed)
        larger = needed;
    char *data = realloc(text->data, larger);
    if (!data) {
        text->out_of_memory = true;
        return false;
    }
    text->data = data;
    text->capacity = larger;
    return true;
}

void ws_text_append_bytes(ws_text *text, const void *bytes, size_t count)
{
    if (!reserve(text, count))
        return;
    if (count)
        memcpy(text->data + text->length, bytes, count);
    text->length += count;
    text->data[text->length] = '\0';
}

void ws_text_append(ws_text *text, const char *string)
{
    ws_text_append_bytes(text, string, strlen(string));
}

void ws_text_vappendf(ws_text *text, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length > 0 && reserve(text, (size_t)length)) {
        vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
}

void ws_text_appendf(ws_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    ws_text_vappendf(text, format, arguments);
    va_end(arguments);
}

void ws_text_clear(ws_text *text)
{
    text->length = 0;
    text->out_of_memory = false;
    if (text->data)
        text->data[0] = '\0';
}

void ws_text_destroy(ws_text *text)
{
    free(text->data);
    *text = (ws_text){0};
}

ws_err ws_text_check(const ws_text *text)
{
    WS_CHECK(!text->out_of_memory, MEMORY, "a text of more than %zu bytes could not be stored", text->length);
    return WS_OK;
}

const char *ws_text_string(const ws_text *text)
{
    return text->data ? text->data : "";
}

char *ws_format(const char *format, ...)
{
    ws_text text = {0};
    va_list arguments;
    va_start(arguments, format);
    ws_text_append(&text, ""); /* so that an empty result is a string too */
    ws_text_vappendf(&text, format, arguments);
    va_end(arguments);
    if (text.out_of_memory)
        ws_text_destroy(&text);
    return text.data;
}

void ws_format_double(double value, char out[32])
{
    const bool small = fabs(value) < 1e15;
    if (small && value == rint(value)) {
        snprintf(out, 32, "%lld", (long long)value);
        return;
    }
    /* what has up to 15 digits is found by 15 already (%g leaves zeros at the end out), but for subnormal numbers */
    if (small && fabs(value) > 1e-290) {
        snprintf(out, 32, "%.15g", value);
        if (strtod(out, NULL) != value)
            snprintf(out, 32, "%.16g", value);
        if (strtod(out, NULL) != value)
            snprintf(out, 32, "%.17g", value);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            return;
    }
}

void ws_format_bytes(double bytes, char out[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++)
        bytes /= 1024;
    snprintf(out, 32, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

void ws_format_seconds(double seconds, char out[32])
{
    if (!(seconds < 1e9))
        snprintf(out, 32, "?");
    else if (seconds < 60)
        snprintf(out, 32, seconds < 10 ? "%.1f s" : "%.0f s", seconds);
    else if (seconds < 3600)
        snprintf(out, 32, "%d min %02d s", (int)seconds / 60, (int)seconds % 60);
    else
        snprintf(out, 32, "%d h %02d min", (int)(seconds / 3600), (int)(seconds / 60) % 60);
}

bool ws_parse_int64(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || text[0] == ' ' || text[0] == '\t' || text[0] == '\n')
        return false;
    *out = value;
    return true;
}

bool ws_parse_double(const char *text, double *out)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || text[0] == ' ' || text[0] == '\t' || text[0] == '\n')
        return false;
    *out = value;
    return true;
}

char *ws_path_join(const char *directory, const char *name)
{
    size_t length = strlen(directory);
    if (name[0] == '/' || !length)
        return ws_format("%s", name);
    return ws_format(directory[length - 1] == '/' ? "%s%s" : "%s/%s", directory, name);
}

char *ws_path_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return ws_format(".");
    return slash == path ? ws_format("/") : ws_format("%.*s", (int)(slash - path), path);
}

const char *ws_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Levenshtein distance, with a swap of neighbours as one edit; words up to 63 letters. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t rows[3][64], n = strlen(a), m = strlen(b);
    if (n > 63 || m > 63)
        return SIZE_MAX;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[n % 3][m];
}

const char *ws_closest_name(const char *name, const char *const *candidates, size_t count)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX, allowed = strlen(name) / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(name, candidates[i]);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidates[i];
        }
    }
    return best_distance <= allowed ? best : NULL;
}
