/* Decoders: zstd, xz and bzip2 by their libraries, gzip by ISA-L where it was there when this was built (two to three times
 * zlib's speed) and by zlib otherwise. The libraries check the sums that the formats carry. See decoder.h.
 */
#include "capture/decoder.h"

#include <bzlib.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#ifdef WS_HAVE_ISAL
#include <isa-l/igzip_lib.h>
#endif

enum { XZ_MEMORY = 1 << 30 }; /* xz -9 needs 65 MiB; a header that asks for more is not believed */

#define WS_NAME(name) #name,
const char *const ws_compression_names[WS_COMPRESSION_COUNT] = {"", WS_COMPRESSION_LIST(WS_NAME)};

struct ws_decoder {
    ws_compression kind;
    bool zlib; /* gzip: by zlib, not ISA-L */
    union {
        z_stream zlib;
#ifdef WS_HAVE_ISAL
        struct inflate_state isal;
#endif
        ZSTD_DStream *zstd;
        lzma_stream xz;
        bz_stream bzip2;
    } by;
    bool made;
};

const char *ws_stream_gzip_library(void)
{
#ifdef WS_HAVE_ISAL
    return "ISA-L";
#else
    return "zlib";
#endif
}

ws_err ws_decoder_create(ws_decoder **out, ws_compression kind)
{
    WS_TRY(WS_NEW(*out));
    (*out)->kind = kind;
    return WS_OK;
}

static void end(ws_decoder *decoder)
{
    if (!decoder->made)
        return;
    switch (decoder->kind) {
    case WS_COMPRESSION_gzip:
        if (decoder->zlib)
            inflateEnd(&decoder->by.zlib);
        break;
    case WS_COMPRESSION_zstd:
        ZSTD_freeDStream(decoder->by.zstd);
        break;
    case WS_COMPRESSION_xz:
        lzma_end(&decoder->by.xz);
        break;
    default:
        BZ2_bzDecompressEnd(&decoder->by.bzip2);
        break;
    }
    decoder->made = false;
}

void ws_decoder_destroy(ws_decoder **decoder)
{
    if (*decoder == NULL)
        return;
    end(*decoder);
    free(*decoder);
    *decoder = NULL;
}

static bool begin_gzip(ws_decoder *decoder)
{
#ifdef WS_HAVE_ISAL
    if (!decoder->zlib) {
        isal_inflate_init(&decoder->by.isal);
        decoder->by.isal.crc_flag = ISAL_GZIP; /* headers and their sums */
        return true;
    }
#endif
    memset(&decoder->by.zlib, 0, sizeof decoder->by.zlib);
    return inflateInit2(&decoder->by.zlib, 16 + MAX_WBITS) == Z_OK; /* 16: gzip headers and their sums */
}

#ifdef WS_HAVE_ISAL
static ws_decoded run_isal(struct inflate_state *z, const uint8_t *in, size_t in_bytes, uint8_t *out, size_t room)
{
    z->next_in = (uint8_t *)(uintptr_t)in;
    z->avail_in = (uint32_t)in_bytes;
    z->next_out = out;
    z->avail_out = (uint32_t)room;
    const int status = isal_inflate(z);
    return (ws_decoded){.taken = in_bytes - z->avail_in,
                        .made = room - z->avail_out,
                        .member_ended = status >= 0 && z->block_state == ISAL_BLOCK_FINISH,
                        .fault = status < 0 || status == ISAL_NEED_DICT ? "the gzip data is damaged" : NULL};
}
#endif

ws_err ws_decoder_begin(ws_decoder *decoder, bool careful)
{
    const bool zlib = careful || strcmp(ws_stream_gzip_library(), "zlib") == 0, same = zlib == decoder->zlib;
    /* A member a kilobyte is usual (bgzf, seekable zstd): those decoders are used again. */
    if (decoder->made && decoder->kind == WS_COMPRESSION_zstd && !ZSTD_isError(ZSTD_initDStream(decoder->by.zstd)))
        return WS_OK;
    if (decoder->made && decoder->kind == WS_COMPRESSION_gzip && zlib && same &&
        inflateReset(&decoder->by.zlib) == Z_OK)
        return WS_OK;
    end(decoder);
    decoder->zlib = zlib;
    switch (decoder->kind) {
    case WS_COMPRESSION_gzip:
        decoder->made = begin_gzip(decoder);
        break;
    case WS_COMPRESSION_zstd:
        decoder->by.zstd = ZSTD_createDStream();
        decoder->made = decoder->by.zstd != NULL;
        break;
    case WS_COMPRESSION_xz:
        decoder->by.xz = (lzma_stream)LZMA_STREAM_INIT;
        decoder->made = lzma_stream_decoder(&decoder->by.xz, XZ_MEMORY, 0) == LZMA_OK;
        break;
    default:
        memset(&decoder->by.bzip2, 0, sizeof decoder->by.bzip2);
        decoder->made = BZ2_bzDecompressInit(&decoder->by.bzip2, 0, 0) == BZ_OK;
        break;
    }
    WS_CHECK(decoder->made, MEMORY, "no memory for a %s decoder", ws_compression_names[decoder->kind]);
    return WS_OK;
}

static ws_decoded run_zlib(z_stream *z, const uint8_t *in, size_t in_bytes, uint8_t *out, size_t room)
{
    z->next_in = (uint8_t *)(uintptr_t)in;
    z->avail_in = (uInt)in_bytes;
    z->next_out = out;
    z->avail_out = (uInt)room;
    const int status = inflate(z, Z_NO_FLUSH);
    const bool bad = status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR;
    return (ws_decoded){.taken = in_bytes - z->avail_in,
                        .made = room - z->avail_out,
                        .member_ended = status == Z_STREAM_END,
                        .fault = bad ? "the gzip data is damaged" : NULL};
}

static ws_decoded run_zstd(ZSTD_DStream *z, const uint8_t *in, size_t in_bytes, uint8_t *out, size_t room)
{
    ZSTD_inBuffer from = {in, in_bytes, 0};
    ZSTD_outBuffer to = {out, room, 0};
    const size_t status = ZSTD_decompressStream(z, &to, &from);
    return (ws_decoded){.taken = from.pos,
                        .made = to.pos,
                        .member_ended = status == 0,
                        .fault = ZSTD_isError(status) ? "the zstd data is damaged" : NULL};
}

static ws_decoded run_xz(lzma_stream *z, const uint8_t *in, size_t in_bytes, uint8_t *out, size_t room)
{
    z->next_in = in;
    z->avail_in = in_bytes;
    z->next_out = out;
    z->avail_out = room;
    const lzma_ret status = lzma_code(z, LZMA_RUN);
    const bool bad = status != LZMA_OK && status != LZMA_STREAM_END && status != LZMA_BUF_ERROR;
    return (ws_decoded){.taken = in_bytes - z->avail_in,
                        .made = room - z->avail_out,
                        .member_ended = status == LZMA_STREAM_END,
                        .fault = bad ? "the xz data is damaged" : NULL};
}

static ws_decoded run_bzip2(bz_stream *z, const uint8_t *in, size_t in_bytes, uint8_t *out, size_t room)
{
    z->next_in = (char *)(uintptr_t)in;
    z->avail_in = (unsigned)in_bytes;
    z->next_out = (char *)out;
    z->avail_out = (unsigned)room;
    const int status = BZ2_bzDecompress(z);
    return (ws_decoded){.taken = in_bytes - z->avail_in,
                        .made = room - z->avail_out,
                        .member_ended = status == BZ_STREAM_END,
                        .fault = status != BZ_OK && status != BZ_STREAM_END ? "the bzip2 data is damaged" : NULL};
}

ws_decoded ws_decoder_run(ws_decoder *decoder, const uint8_t *in, size_t in_bytes, uint8_t *out, size_t room)
{
    enum { AT_ONCE = 1 << 30 }; /* what the libraries count in 32 bits */
    in_bytes = in_bytes < AT_ONCE ? in_bytes : AT_ONCE;
    room = room < AT_ONCE ? room : AT_ONCE;
    switch (decoder->kind) {
    case WS_COMPRESSION_gzip:
#ifdef WS_HAVE_ISAL
        if (!decoder->zlib)
            return run_isal(&decoder->by.isal, in, in_bytes, out, room);
#endif
        return run_zlib(&decoder->by.zlib, in, in_bytes, out, room);
    case WS_COMPRESSION_zstd:
        return run_zstd(decoder->by.zstd, in, in_bytes, out, room);
    case WS_COMPRESSION_xz:
        return run_xz(&decoder->by.xz, in, in_bytes, out, room);
    default:
        return run_bzip2(&decoder->by.bzip2, in, in_bytes, out, room);
    }
}

/* ---------------------------------------------------------------- where members begin */
static bool is_zstd(const uint8_t *magic)
{
    const uint32_t word = (uint32_t)magic[3] << 24 | (uint32_t)magic[2] << 16 | (uint32_t)magic[1] << 8 | magic[0];
    return word == ZSTD_MAGICNUMBER || (word & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

ws_compression ws_compression_of(const uint8_t *magic, size_t bytes)
{
    static const uint8_t xz[6] = {0xfd, '7', 'z', 'X', 'Z', 0};
    if (bytes >= 3 && memcmp(magic, "\x1f\x8b\x08", 3) == 0)
        return WS_COMPRESSION_gzip;
    if (bytes >= 4 && is_zstd(magic))
        return WS_COMPRESSION_zstd;
    if (bytes >= sizeof xz && memcmp(magic, xz, sizeof xz) == 0)
        return WS_COMPRESSION_xz;
    if (bytes >= 4 && memcmp(magic, "BZh", 3) == 0 && magic[3] >= '1' && magic[3] <= '9')
        return WS_COMPRESSION_bzip2;
    return WS_COMPRESSION_NONE;
}

bool ws_member_may_begin(ws_compression kind, const uint8_t *at, size_t bytes)
{
    static const uint8_t block[6] = {0x31, 0x41, 0x59, 0x26, 0x53, 0x59},
                         finish[6] = {0x17, 0x72, 0x45, 0x38, 0x50, 0x90};
    if (ws_compression_of(at, bytes) != kind)
        return false;
    if (kind == WS_COMPRESSION_gzip)
        return bytes < 4 || (at[3] & 0xe0) == 0; /* flags that nobody has given a meaning */
    if (kind == WS_COMPRESSION_bzip2)
        return bytes < WS_MEMBER_HEAD || memcmp(at + 4, block, 6) == 0 || memcmp(at + 4, finish, 6) == 0;
    return true;
}

size_t ws_member_find(ws_compression kind, const uint8_t *data, size_t bytes, size_t from)
{
    static const uint8_t first[WS_COMPRESSION_COUNT] = {0, 0x1f, 0x28, 0xfd, 'B'};
    while (from + WS_MEMBER_HEAD <= bytes) {
        const uint8_t *at = memchr(data + from, first[kind], bytes - from - (WS_MEMBER_HEAD - 1));
        if (at == NULL)
            break;
        if (ws_member_may_begin(kind, at, bytes - (size_t)(at - data)))
            return (size_t)(at - data);
        from = (size_t)(at - data) + 1;
    }
    return SIZE_MAX;
}
