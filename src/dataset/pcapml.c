/* pcapml: comments of packets, and the walk over a capture whose packets have them; see pcapml.h. */
#include "dataset/pcapml.h"

/* ---------------------------------------------------------------- comments */
/* A number of 64 bits; such samples are often above 2^63. */
static bool read_sample(const char *text, size_t length, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned digit = (unsigned)(text[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, digit, out))
            return false;
    }
    return length > 0;
}

static bool has_key(const char *field, size_t length, const char *key)
{
    size_t bytes = strlen(key);
    return length > bytes && memcmp(field, key, bytes) == 0 && field[bytes] == '=';
}

/* False where the comment is none of pcapML's. Trailing NULs are padding of some writers. */
static bool read_comment(const char *text, size_t length, uint64_t *sample, char label[WS_PCAPML_LABEL_BYTES])
{
    const char *sample_text = NULL, *found = NULL, *positional[2] = {NULL, NULL};
    size_t sample_length = 0, found_length = 0, positional_length[2] = {0, 0}, count = 0;
    bool by_process = false;
    while (length > 0 && text[length - 1] == '\0')
        length--;
    for (const char *at = text, *end = text + length; at <= end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at)), *stop = comma == NULL ? end : comma;
        size_t bytes = (size_t)(stop - at);
        if (has_key(at, bytes, "s")) {
            sample_text = at + 2;
            sample_length = bytes - 2;
        } else if (has_key(at, bytes, "proc") || (has_key(at, bytes, "label") && !by_process)) {
            by_process = at[0] == 'p';
            found = memchr(at, '=', bytes);
            found_length = (size_t)(stop - ++found);
        } else if (memchr(at, '=', bytes) == NULL && count < 2) {
            positional[count] = at;
            positional_length[count++] = bytes;
        }
        at = stop + 1;
    }
    /* With key s the first positional field is not the sample, but stays the first. */
    if (sample_text == NULL) {
        sample_text = positional[0];
        sample_length = positional_length[0];
    }
    if (found == NULL) {
        found = positional[1];
        found_length = positional_length[1];
    }
    if (sample_text == NULL || found == NULL || found_length == 0 || found_length >= WS_PCAPML_LABEL_BYTES)
        return false;
    memcpy(label, found, found_length);
    label[found_length] = '\0';
    return strlen(label) == found_length && read_sample(sample_text, sample_length, sample);
}

bool ws_pcapml_find_comment(const ws_record *record, uint64_t *sample, char label[WS_PCAPML_LABEL_BYTES],
                            const char **text, size_t *length)
{
    const char *comment;
    for (size_t at = 0, bytes; ws_record_comment(record, &at, &comment, &bytes);) {
        if (!read_comment(comment, bytes, sample, label))
            continue;
        while (bytes > 0 && comment[bytes - 1] == '\0')
            bytes--;
        if (text != NULL) {
            *text = comment;
            *length = bytes;
        }
        return true;
    }
    return false;
}

bool ws_pcapml_has_comment(const ws_record *record)
{
    const char *comment;
    size_t at = 0, bytes;
    return ws_record_comment(record, &at, &comment, &bytes);
}

/* ---------------------------------------------------------------- the walk */
static ws_err check_stamp(const char *path, const ws_record *record)
{
    if (record->stamps != WS_STAMPS_DETECT)
        return WS_OK;
    ws_err error = WS_ERROR(FORMAT,
                            "%s: byte %llu: a time stamp that is neither microseconds since 1970 nor seconds and "
                            "microseconds, and no time unit is stated",
                            path, (unsigned long long)record->offset);
    WS_HINT("say which it is: --set stamps=standard (64 bits of microseconds) or --set stamps=split (seconds, "
            "microseconds); of export --stamps standard or --stamps split");
    return error;
}

static ws_err walk_records(ws_walk *walk, const char *path, ws_pcapml_visit visit, void *context)
{
    ws_record record;
    bool more;
    WS_TRY(ws_walk_next(walk, &record, &more));
    while (more) {
        WS_TRY(check_stamp(path, &record));
        WS_TRY(visit(context, &record));
        WS_TRY(ws_walk_next(walk, &record, &more));
    }
    return WS_OK;
}

ws_err ws_pcapml_walk(const char *path, ws_stamps stamps, ws_pcapml_visit visit, void *context)
{
    ws_capture capture;
    ws_walk *walk = NULL;
    WS_TRY(ws_capture_open(&capture, path));
    capture.stamps = stamps;
    ws_err error = ws_walk_create(&walk, &capture, 0);
    if (error == WS_OK)
        error = ws_walk_range(walk, capture.first_record, capture.bytes);
    if (error == WS_OK)
        error = walk_records(walk, path, visit, context);
    ws_walk_destroy(&walk);
    ws_capture_close(&capture);
    WS_TRY(error);
    return WS_OK;
}
