/* table_text: the records of a text file, split into cells (RFC 4180: a quote at the start of a field opens it, doubled
 * quotes stand for one, line breaks inside belong to it), from any record start, plain or compressed. What a record is
 * depends on the bytes from its start on and on nothing else, so walks that start at the same place agree. Does not know
 * columns.
 */
#include "dataset/table.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A quote left open must not swallow a file: a record longer than this ends at its first line end. */
enum { RECORD_MAX = 1 << 20, BUFFER = 4 << 20, STREAM_STEP = 1 << 20, LOOK = 4096 };

struct ws_table_text {
    char *path, *buffer;
    char separator;
    int file;
    ws_stream *stream;       /* of compressed files */
    uint64_t begin;          /* of buffer[0] in the text */
    size_t at, filled, room; /* room: of the buffer; a small file has a small one */
    uint64_t limit;          /* plain: end of what is read */
    bool ended;              /* nothing comes behind buffer[filled] */
    ws_table_cell *cells;
    size_t capacity;
};

ws_err ws_table_text_open(ws_table_text **out, const char *path, char separator, size_t cells)
{
    uint8_t head[16];
    ws_table_text *text;
    WS_TRY(WS_NEW(text));
    *out = text;
    text->separator = separator;
    text->capacity = cells;
    text->file = open(path, O_RDONLY | O_CLOEXEC);
    WS_CHECK(text->file >= 0, IO, "%s: cannot be opened: %s", path, strerror(errno));
    text->path = ws_format("%s", path);
    WS_CHECK(text->path != NULL, MEMORY, "%s: out of memory", path);
    WS_TRY(WS_NEW_ARRAY(text->cells, cells));
    struct stat status;
    WS_CHECK(fstat(text->file, &status) == 0, IO, "%s: %s", path, strerror(errno));
    ssize_t bytes = pread(text->file, head, sizeof head, 0);
    ws_compression kind = ws_compression_of(head, bytes > 0 ? (size_t)bytes : 0);
    if (kind != WS_COMPRESSION_NONE)
        WS_TRY(ws_stream_create(&text->stream, kind, text->path, text->file, (uint64_t)status.st_size));
    text->room = kind == WS_COMPRESSION_NONE && status.st_size < BUFFER ? (size_t)status.st_size + 1 : BUFFER;
    WS_TRY(WS_NEW_ARRAY(text->buffer, text->room));
    text->limit = UINT64_MAX;
    return WS_OK;
}

void ws_table_text_close(ws_table_text **out)
{
    ws_table_text *text = *out;
    if (text == NULL)
        return;
    ws_stream_destroy(&text->stream);
    if (text->file >= 0)
        close(text->file);
    free(text->cells);
    free(text->buffer);
    free(text->path);
    free(text);
    *out = NULL;
}

bool ws_table_text_compressed(const ws_table_text *text)
{
    return text->stream != NULL;
}

uint64_t ws_table_text_position(const ws_table_text *text)
{
    return text->begin + text->at;
}

uint64_t ws_table_text_file_position(const ws_table_text *text)
{
    if (text->stream == NULL)
        return text->begin + text->at;
    return text->ended && text->at == text->filled ? UINT64_MAX : ws_stream_consumed(text->stream);
}

static ws_err fill_compressed(ws_table_text *text)
{
    const uint64_t at = text->begin + text->filled;
    uint64_t reached;
    size_t wanted = text->room - text->filled < STREAM_STEP ? text->room - text->filled : STREAM_STEP;
    WS_TRY(ws_stream_reach(text->stream, at, at + wanted, &reached));
    const ws_stream_break *broken = ws_stream_next_break(text->stream, at);
    if (broken != NULL && broken->offset < reached)
        reached = broken->offset;
    if (broken != NULL && reached == at) {
        ws_err error = WS_ERROR(FORMAT,
                                "%s: damaged or cut off behind byte %" PRIu64 " of the text, in bytes %" PRIu64
                                " to %" PRIu64 " of the file: %s",
                                text->path, reached, broken->lost_begin, broken->lost_end, broken->reason);
        WS_HINT("fetch the file again; its rows up to there are in no store");
        return error;
    }
    size_t got = (size_t)(reached - at);
    ws_stream_copy(text->stream, at, text->buffer + text->filled, got);
    ws_stream_release(text->stream, reached);
    text->ended = got == 0;
    text->filled += got;
    return WS_OK;
}

/* More bytes behind what is not taken yet. */
static ws_err fill(ws_table_text *text)
{
    memmove(text->buffer, text->buffer + text->at, text->filled - text->at);
    text->begin += text->at;
    text->filled -= text->at;
    text->at = 0;
    if (text->stream != NULL)
        return fill_compressed(text);
    uint64_t left = text->limit - (text->begin + text->filled);
    size_t wanted = text->room - text->filled;
    ssize_t got = pread(text->file, text->buffer + text->filled, left < wanted ? (size_t)left : wanted,
                        (off_t)(text->begin + text->filled));
    WS_CHECK(got >= 0, IO, "%s: cannot be read at byte %" PRIu64 ": %s", text->path, text->begin + text->filled,
             strerror(errno));
    text->ended = got == 0;
    text->filled += (size_t)got;
    return WS_OK;
}

bool ws_table_is_text(const char *path)
{
    unsigned char head[LOOK];
    uint64_t bytes = 0;
    ws_table_text *text = NULL;
    ws_err error = ws_table_text_open(&text, path, ',', 1);
    if (error == WS_OK)
        error = fill(text);
    if (error == WS_OK) {
        bytes = text->filled < LOOK ? text->filled : LOOK;
        memcpy(head, text->buffer, bytes);
    }
    ws_table_text_close(&text);
    ws_error_clear();
    if (bytes >= 5 && memcmp(head, "%PDF-", 5) == 0)
        return false;
    for (size_t i = 0; i < bytes; i++)
        if (head[i] < 32 && head[i] != '\t' && head[i] != '\n' && head[i] != '\r' && head[i] != '\f')
            return false;
    return bytes > 0;
}

ws_err ws_table_text_seek(ws_table_text *text, uint64_t offset, uint64_t limit)
{
    text->limit = limit;
    if (text->stream == NULL) {
        bool inside = offset >= text->begin && offset <= text->begin + text->filled;
        text->at = inside ? (size_t)(offset - text->begin) : 0;
        text->filled = inside ? text->filled : 0;
        text->begin = inside ? text->begin : offset;
        text->ended = false;
        return WS_OK;
    }
    while (text->begin + text->filled < offset && !text->ended) {
        text->at = text->filled;
        WS_TRY(fill(text));
    }
    WS_CHECK(offset >= text->begin && offset <= text->begin + text->filled, INTERNAL,
             "%s: byte %" PRIu64 " of a compressed text is behind or gone", text->path, offset);
    text->at = (size_t)(offset - text->begin);
    return WS_OK;
}

ws_err ws_table_text_seek_line(ws_table_text *text, uint64_t offset, uint64_t limit)
{
    WS_TRY(ws_table_text_seek(text, offset - 1, limit));
    for (;;) {
        char *line_end = memchr(text->buffer + text->at, '\n', text->filled - text->at);
        text->at = line_end != NULL ? (size_t)(line_end - text->buffer) + 1 : text->filled;
        if (line_end != NULL || text->ended)
            return WS_OK;
        WS_TRY(fill(text));
    }
}

/* ---------------------------------------------------------------- records */
typedef struct cursor {
    char *at, *end;
    bool last; /* the text ends at `end` */
} cursor;

/* A quoted cell from behind its opening quote to its closing one; false where it is not closed before the end. */
static bool take_quoted(cursor *c, ws_table_cell *cell)
{
    cell->text = c->at;
    cell->doubled = false;
    for (;;) {
        char *quote = memchr(c->at, '"', (size_t)(c->end - c->at));
        if (quote == NULL || (quote + 1 == c->end && !c->last))
            return false;
        c->at = quote + 1;
        if (c->at == c->end || *c->at != '"') {
            cell->length = (uint32_t)(quote - cell->text);
            return true;
        }
        cell->doubled = true;
        c->at++;
    }
}

/* The first separator or line end, or the end. */
static inline char *find_end(char *at, const char *end, char separator)
{
#ifdef __SSE2__
    const __m128i separators = _mm_set1_epi8(separator), line_ends = _mm_set1_epi8('\n');
    for (; end - at >= 16; at += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        const int found =
            _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(bytes, separators), _mm_cmpeq_epi8(bytes, line_ends)));
        if (found != 0)
            return at + __builtin_ctz((unsigned)found);
    }
#endif
    while (at < end && *at != separator && *at != '\n')
        at++;
    return at;
}

static void put_cell(const ws_table_text *text, ws_table_record *record, ws_table_cell cell)
{
    if (record->count < text->capacity)
        text->cells[record->count] = cell;
    record->count++;
}

/* One record from c->at; false where it does not end before c->end. c->at is then of no use. */
static bool split_record(const ws_table_text *text, cursor *c, ws_table_record *record)
{
    const char separator = text->separator;
    record->count = 0;
    for (;;) {
        ws_table_cell cell = {.text = c->at};
        if (c->at < c->end && *c->at == '"') {
            c->at++;
            if (!take_quoted(c, &cell))
                return false;
            c->at = find_end(c->at, c->end, separator);
        } else {
            c->at = find_end(c->at, c->end, separator);
            cell.length = (uint32_t)(c->at - cell.text);
        }
        if (c->at == c->end && !c->last)
            return false;
        put_cell(text, record, cell);
        if (c->at == c->end)
            return true;
        if (*c->at++ == '\n')
            return true;
    }
}

/* The bytes up to the first line end, at most RECORD_MAX, as a record without cells. */
static void take_line(ws_table_text *text, ws_table_record *record)
{
    size_t left = text->filled - text->at, most = left < RECORD_MAX ? left : RECORD_MAX;
    char *start = text->buffer + text->at, *line_end = memchr(start, '\n', most);
    record->count = 0;
    record->too_long = line_end == NULL && left > RECORD_MAX;
    record->open_quote = !record->too_long;
    record->bytes = line_end != NULL ? (uint64_t)(line_end - start) + 1 : most;
}

ws_err ws_table_text_next(ws_table_text *text, ws_table_record *record, bool *more)
{
    *record = (ws_table_record){.cells = text->cells};
    for (;;) {
        char *start = text->buffer + text->at;
        const bool far = text->filled - text->at > RECORD_MAX;
        cursor c = {start, text->buffer + text->filled, text->ended && !far};
        if (far)
            c.end = start + RECORD_MAX;
        record->offset = text->begin + text->at;
        *more = text->at < text->filled;
        if (!*more && text->ended)
            return WS_OK;
        if (*more && split_record(text, &c, record)) {
            record->bytes = (uint64_t)(c.at - start);
            break;
        }
        if (far || (*more && text->ended)) {
            take_line(text, record);
            break;
        }
        WS_TRY(fill(text));
    }
    text->at += record->bytes;
    return WS_OK;
}
