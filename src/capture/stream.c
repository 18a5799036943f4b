/* Compressed streams: one decoder a format behind one loop that reads, decodes and keeps what is still wanted. Members
 * and frames that follow each other are one stream; zeros behind the last one are padding, anything else is damage. The
 * libraries check the sums that the formats carry.
 */
#include "capture/stream.h"

#include <bzlib.h>
#include <errno.h>
#include <inttypes.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum {
    STREAM_INPUT = 256 << 10,
    STREAM_ROOM = 256 << 10, /* least room for output */
    XZ_MEMORY = 1 << 30,     /* xz -9 needs 65 MiB; a header that asks for more is not believed */
};

#define WS_NAME(name) #name,
const char *const ws_compression_names[WS_COMPRESSION_COUNT] = {"", WS_COMPRESSION_LIST(WS_NAME)};

/* What one call of a decoder did. */
typedef struct decoded {
    size_t taken, made;
    bool member_ended;
    const char *fault;
} decoded;

struct ws_stream {
    ws_compression kind;
    const char *path; /* borrowed */
    int file;
    uint64_t stored_bytes, fetched; /* compressed: in the file, read from it */
    uint8_t *input;
    size_t input_at, input_bytes;
    uint8_t *data; /* decompressed bytes [begin, begin + count) */
    size_t count, capacity;
    uint64_t begin, released;
    bool in_member, ended;
    const char *fault;
    union {
        z_stream gzip;
        ZSTD_DStream *zstd;
        lzma_stream xz;
        bz_stream bzip2;
    } decoder;
    bool decoder_made;
};

static bool is_zstd(const uint8_t *magic)
{
    const uint32_t word = (uint32_t)magic[3] << 24 | (uint32_t)magic[2] << 16 | (uint32_t)magic[1] << 8 | magic[0];
    return word == ZSTD_MAGICNUMBER || (word & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

ws_compression ws_compression_of(const uint8_t *magic, size_t bytes)
{
    if (bytes >= 3 && memcmp(magic, "\x1f\x8b\x08", 3) == 0)
        return WS_COMPRESSION_gzip;
    if (bytes >= 4 && is_zstd(magic))
        return WS_COMPRESSION_zstd;
    if (bytes >= 6 && memcmp(magic,
                             "\xfd"
                             "7zXZ\0",
                             6) == 0)
        return WS_COMPRESSION_xz;
    if (bytes >= 4 && memcmp(magic, "BZh", 3) == 0 && magic[3] >= '1' && magic[3] <= '9')
        return WS_COMPRESSION_bzip2;
    return WS_COMPRESSION_NONE;
}

/* ---------------------------------------------------------------- decoders */
static void decoder_end(ws_stream *s)
{
    if (!s->decoder_made)
        return;
    switch (s->kind) {
    case WS_COMPRESSION_gzip:
        inflateEnd(&s->decoder.gzip);
        break;
    case WS_COMPRESSION_zstd:
        ZSTD_freeDStream(s->decoder.zstd);
        break;
    case WS_COMPRESSION_xz:
        lzma_end(&s->decoder.xz);
        break;
    default:
        BZ2_bzDecompressEnd(&s->decoder.bzip2);
        break;
    }
    s->decoder_made = false;
}

static ws_err decoder_begin(ws_stream *s)
{
    /* A member a kilobyte is usual (bgzf, seekable zstd): those decoders are used again. */
    if (s->decoder_made && s->kind == WS_COMPRESSION_zstd)
        return WS_OK;
    if (s->decoder_made && s->kind == WS_COMPRESSION_gzip && inflateReset(&s->decoder.gzip) == Z_OK)
        return WS_OK;
    bool made = false;
    decoder_end(s);
    memset(&s->decoder, 0, sizeof s->decoder);
    switch (s->kind) {
    case WS_COMPRESSION_gzip:
        made = inflateInit2(&s->decoder.gzip, 16 + MAX_WBITS) == Z_OK; /* 16: gzip headers and their sums */
        break;
    case WS_COMPRESSION_zstd:
        s->decoder.zstd = ZSTD_createDStream();
        made = s->decoder.zstd != NULL;
        break;
    case WS_COMPRESSION_xz:
        made = lzma_stream_decoder(&s->decoder.xz, XZ_MEMORY, 0) == LZMA_OK;
        break;
    default:
        made = BZ2_bzDecompressInit(&s->decoder.bzip2, 0, 0) == BZ_OK;
        break;
    }
    s->decoder_made = made;
    WS_CHECK(made, MEMORY, "%s: no memory for a %s decoder", s->path, ws_compression_names[s->kind]);
    return WS_OK;
}

static decoded decode_gzip(z_stream *z, const uint8_t *in, size_t in_bytes, uint8_t *out, size_t room)
{
    z->next_in = (uint8_t *)in;
    z->avail_in = (uInt)in_bytes;
    z->next_out = out;
    z->avail_out = (uInt)room;
    const int status = inflate(z, Z_NO_FLUSH);
    const bool bad = status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR;
    return (decoded){.taken = in_bytes - z->avail_in,
                     .made = room - z->avail_out,
                     .member_ended = status == Z_STREAM_END,
                     .fault = bad ? "the gzip data is damaged" : NULL};
}

static decoded decode_zstd(ZSTD_DStream *z, const uint8_t *in, size_t in_bytes, uint8_t *out, size_t room)
{
    ZSTD_inBuffer from = {in, in_bytes, 0};
    ZSTD_outBuffer to = {out, room, 0};
    const size_t status = ZSTD_decompressStream(z, &to, &from);
    return (decoded){.taken = from.pos,
                     .made = to.pos,
                     .member_ended = status == 0,
                     .fault = ZSTD_isError(status) ? "the zstd data is damaged" : NULL};
}

static decoded decode_xz(lzma_stream *z, const uint8_t *in, size_t in_bytes, uint8_t *out, size_t room)
{
    z->next_in = in;
    z->avail_in = in_bytes;
    z->next_out = out;
    z->avail_out = room;
    const lzma_ret status = lzma_code(z, LZMA_RUN);
    const bool bad = status != LZMA_OK && status != LZMA_STREAM_END && status != LZMA_BUF_ERROR;
    return (decoded){.taken = in_bytes - z->avail_in,
                     .made = room - z->avail_out,
                     .member_ended = status == LZMA_STREAM_END,
                     .fault = bad ? "the xz data is damaged" : NULL};
}

static decoded decode_bzip2(bz_stream *z, const uint8_t *in, size_t in_bytes, uint8_t *out, size_t room)
{
    z->next_in = (char *)in;
    z->avail_in = (unsigned)in_bytes;
    z->next_out = (char *)out;
    z->avail_out = (unsigned)room;
    const int status = BZ2_bzDecompress(z);
    return (decoded){.taken = in_bytes - z->avail_in,
                     .made = room - z->avail_out,
                     .member_ended = status == BZ_STREAM_END,
                     .fault = status != BZ_OK && status != BZ_STREAM_END ? "the bzip2 data is damaged" : NULL};
}

static decoded decode(ws_stream *s, const uint8_t *in, size_t in_bytes, uint8_t *out, size_t room)
{
    switch (s->kind) {
    case WS_COMPRESSION_gzip:
        return decode_gzip(&s->decoder.gzip, in, in_bytes, out, room);
    case WS_COMPRESSION_zstd:
        return decode_zstd(s->decoder.zstd, in, in_bytes, out, room);
    case WS_COMPRESSION_xz:
        return decode_xz(&s->decoder.xz, in, in_bytes, out, room);
    default:
        return decode_bzip2(&s->decoder.bzip2, in, in_bytes, out, room);
    }
}

/* ---------------------------------------------------------------- input */
/* More compressed bytes behind those that are there. */
static ws_err fetch(ws_stream *s)
{
    memmove(s->input, s->input + s->input_at, s->input_bytes - s->input_at);
    s->input_bytes -= s->input_at;
    s->input_at = 0;
    const uint64_t left = s->stored_bytes - s->fetched;
    size_t wanted = STREAM_INPUT - s->input_bytes;
    wanted = wanted < left ? wanted : (size_t)left;
    while (wanted > 0) {
        ssize_t got = pread(s->file, s->input + s->input_bytes, wanted, (off_t)s->fetched);
        if (got < 0 && errno == EINTR)
            continue;
        WS_CHECK(got >= 0, IO, "%s: cannot read at byte %" PRIu64 ": %s", s->path, s->fetched, strerror(errno));
        WS_CHECK(got > 0, IO, "%s: ends at byte %" PRIu64 ", but had %" PRIu64 " bytes when it was opened", s->path,
                 s->fetched, s->stored_bytes);
        s->input_bytes += (size_t)got;
        s->fetched += (uint64_t)got;
        wanted -= (size_t)got;
    }
    return WS_OK;
}

static void end_with(ws_stream *s, const char *fault)
{
    s->ended = true;
    s->fault = fault;
}

/* Between members: the next one, padding of zeros, or the end. */
static ws_err next_member(ws_stream *s)
{
    enum { MAGIC = 6 };
    for (;;) {
        if (s->input_bytes - s->input_at < MAGIC && s->fetched < s->stored_bytes)
            WS_TRY(fetch(s));
        if (s->input_at == s->input_bytes) {
            end_with(s, NULL);
            return WS_OK;
        }
        if (s->input[s->input_at] != 0)
            break;
        s->input_at++;
    }
    if (ws_compression_of(s->input + s->input_at, s->input_bytes - s->input_at) != s->kind) {
        end_with(s, "bytes of no meaning follow the compressed data");
        return WS_OK;
    }
    WS_TRY(decoder_begin(s));
    s->in_member = true;
    return WS_OK;
}

/* ---------------------------------------------------------------- output */
/* Room for STREAM_ROOM bytes behind the data; drops what was released. */
static ws_err make_room(ws_stream *s)
{
    if (s->capacity - s->count >= STREAM_ROOM)
        return WS_OK;
    const uint64_t unwanted = s->released > s->begin ? s->released - s->begin : 0;
    const size_t dropped = unwanted < s->count ? (size_t)unwanted : s->count;
    if (dropped > 0) {
        memmove(s->data, s->data + dropped, s->count - dropped);
        s->count -= dropped;
        s->begin += dropped;
    }
    if (s->capacity - s->count < STREAM_ROOM || s->count > s->capacity / 2)
        WS_TRY(WS_GROW(s->data, s->capacity, s->capacity * 2 + 2 * STREAM_ROOM));
    return WS_OK;
}

static ws_err advance(ws_stream *s)
{
    if (!s->in_member) {
        WS_TRY(next_member(s));
        return WS_OK;
    }
    WS_TRY(make_room(s));
    if (s->input_at == s->input_bytes)
        WS_TRY(fetch(s));
    const decoded did =
        decode(s, s->input + s->input_at, s->input_bytes - s->input_at, s->data + s->count, s->capacity - s->count);
    s->input_at += did.taken;
    s->count += did.made;
    if (did.fault)
        end_with(s, did.fault);
    else if (did.member_ended)
        s->in_member = false;
    else if (did.made == 0 && did.taken == 0 && s->input_at == s->input_bytes && s->fetched == s->stored_bytes)
        end_with(s, "the compressed data is cut off");
    else if (did.made == 0 && did.taken == 0 && s->input_at < s->input_bytes)
        end_with(s, "the compressed data leads nowhere");
    return WS_OK;
}

static void rewind_stream(ws_stream *s)
{
    decoder_end(s);
    s->fetched = s->begin = s->released = 0;
    s->input_at = s->input_bytes = s->count = 0;
    s->in_member = s->ended = false;
    s->fault = NULL;
}

ws_err ws_stream_create(ws_stream **out, ws_compression kind, const char *path, int file, uint64_t stored_bytes)
{
    *out = NULL;
    ws_stream *s;
    WS_TRY(WS_NEW(s));
    s->kind = kind;
    s->path = path;
    s->file = file;
    s->stored_bytes = stored_bytes;
    ws_err error = WS_NEW_ARRAY(s->input, STREAM_INPUT);
    if (error != WS_OK) {
        ws_stream_destroy(&s);
        WS_TRY(error);
    }
    *out = s;
    return WS_OK;
}

void ws_stream_destroy(ws_stream **stream)
{
    if (*stream == NULL)
        return;
    decoder_end(*stream);
    free((*stream)->input);
    free((*stream)->data);
    free(*stream);
    *stream = NULL;
}

ws_err ws_stream_reach(ws_stream *s, uint64_t begin, uint64_t end, uint64_t *reached)
{
    if (begin < s->begin)
        rewind_stream(s);
    while (!s->ended && s->begin + s->count < end) {
        /* On the way to a place far ahead nothing needs to be kept. */
        if (s->begin + s->count < begin && s->released < begin)
            s->released = s->begin + s->count;
        WS_TRY(advance(s));
    }
    *reached = s->begin + s->count;
    return WS_OK;
}

void ws_stream_copy(const ws_stream *s, uint64_t offset, void *out, size_t bytes)
{
    memcpy(out, s->data + (offset - s->begin), bytes);
}

void ws_stream_release(ws_stream *s, uint64_t offset)
{
    if (offset > s->released)
        s->released = offset;
}

const char *ws_stream_fault(const ws_stream *s)
{
    return s->fault;
}

uint64_t ws_stream_consumed(const ws_stream *s)
{
    return s->fetched - (s->input_bytes - s->input_at);
}
