/* One member of a compressed file (a gzip member, a zstd frame, an xz or bzip2 stream) decoded piece by piece, and where
 * members may begin. Knows no files. Inside capture. */
#ifndef WS_CAPTURE_DECODER_H
#define WS_CAPTURE_DECODER_H

#include "capture/stream.h"

/* What one call of a decoder did. */
typedef struct ws_decoded {
    size_t taken, made;
    bool member_ended;
    const char *fault; /* static text; the member is broken here */
} ws_decoded;

typedef struct ws_decoder ws_decoder;
WS_MUST ws_err ws_decoder_create(ws_decoder **out, ws_compression kind);
void ws_decoder_destroy(ws_decoder **decoder);
/* To a member's first byte. `careful`: by the library that has the last word on what is damaged (of gzip, zlib), so that
 * what is read of a damaged member does not depend on the build. */
WS_MUST ws_err ws_decoder_begin(ws_decoder *decoder, bool careful);
/* Faults do not end the program: a fault, or nothing taken and nothing made, and the member is at its end. */
ws_decoded ws_decoder_run(ws_decoder *decoder, const uint8_t *in, size_t in_bytes, uint8_t *out, size_t room);

enum { WS_MEMBER_HEAD = 10 }; /* bytes that tell a head from others, fewer only at a file's end */
/* Whether a member may begin with these bytes: all that must be as it is, is. */
bool ws_member_may_begin(ws_compression kind, const uint8_t *at, size_t bytes);
/* The first offset in [from, bytes - WS_MEMBER_HEAD] where one may; SIZE_MAX: none. */
size_t ws_member_find(ws_compression kind, const uint8_t *data, size_t bytes, size_t from);

#endif
