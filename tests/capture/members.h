/* Members of compressed files: gzip members, zstd frames, xz and bzip2 streams. Used by one test program each. */
#ifndef WS_TEST_MEMBERS_H
#define WS_TEST_MEMBERS_H

#include "captures.h"

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

/* level: of gzip; 0 stores. */
static inline void put_member_at(bytes *out, ws_compression kind, int level, const uint8_t *data, size_t count)
{
    const size_t room = count * 2 + 4096;
    uint8_t *packed = malloc(room);
    size_t length = 0;
    assert_non_null(packed);
    switch (kind) {
    case WS_COMPRESSION_gzip: {
        z_stream z = {.next_in = (uint8_t *)data, .avail_in = (uInt)count, .next_out = packed, .avail_out = (uInt)room};
        assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        length = room - z.avail_out;
        deflateEnd(&z);
        break;
    }
    case WS_COMPRESSION_zstd: {
        ZSTD_CCtx *context = ZSTD_createCCtx();
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1); /* as the zstd program does */
        length = ZSTD_compress2(context, packed, room, data, count);
        assert_false(ZSTD_isError(length));
        ZSTD_freeCCtx(context);
        break;
    }
    case WS_COMPRESSION_xz:
        assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, data, count, packed, &length, room),
                         LZMA_OK);
        break;
    default: {
        unsigned made = (unsigned)room;
        assert_int_equal(BZ2_bzBuffToBuffCompress((char *)packed, &made, (char *)data, (unsigned)count, 1, 0, 0),
                         BZ_OK);
        length = made;
        break;
    }
    }
    put(out, packed, length);
    free(packed);
}

static inline void put_member(bytes *out, ws_compression kind, const uint8_t *data, size_t count)
{
    put_member_at(out, kind, 6, data, count);
}

#endif
