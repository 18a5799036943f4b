/* The content of a compressed file from its start on: member after member, over broken ones. Inside capture; stream.c
 * makes of it what others read. */
#ifndef WS_CAPTURE_SOURCE_H
#define WS_CAPTURE_SOURCE_H

#include "capture/decoder.h"

/* What one call gave. */
typedef struct ws_source_step {
    size_t made;
    const char *broken;            /* why content is missing behind these bytes; NULL: it is not */
    uint64_t lost_begin, lost_end; /* then: where in the file */
    bool ended;
} ws_source_step;

typedef struct ws_source ws_source;
/* Of the first stored_bytes bytes of the file; path for messages; both are borrowed. threads: that decode members ahead
 * where there are several, 0 none; what is read does not depend on it. */
WS_MUST ws_err ws_source_create(ws_source **out, ws_compression kind, const char *path, int file, uint64_t stored_bytes,
                                int threads);
void ws_source_destroy(ws_source **source);
/* Up to `room` bytes; fewer only where content is missing or it ends. */
WS_MUST ws_err ws_source_read(ws_source *source, uint8_t *out, size_t room, ws_source_step *step);
uint64_t ws_source_position(const ws_source *source); /* bytes of the file taken in */

/* pread of [at, at + bytes), which lie within the file's first stored_bytes bytes. */
WS_MUST ws_err ws_source_fetch(const char *path, int file, uint64_t at, void *out, size_t bytes, uint64_t stored_bytes);

/* ahead.c: members decoded ahead by threads. A piece begins at a member's head and ends where another may begin: a guess,
 * which the decoder proves (the last member of the piece ends exactly there) or refutes. What is refuted, damaged or too
 * large is decoded by the caller, so a guess can cost time but never change what is read. */
typedef struct ws_ahead ws_ahead;
typedef struct ws_ahead_piece {
    uint64_t begin, end; /* in the file */
    const uint8_t *content;
    size_t bytes;
} ws_ahead_piece;
WS_MUST ws_err ws_ahead_create(ws_ahead **out, ws_compression kind, const char *path, int file, uint64_t stored_bytes,
                               int threads);
void ws_ahead_destroy(ws_ahead **ahead);
/* The piece that begins at `offset`, a member's head, when it was decoded; NULL: the caller decodes one member, then asks
 * again. Waits; starts what comes behind. Offsets rise. The piece is valid until the next call. */
WS_MUST ws_err ws_ahead_take(ws_ahead *ahead, uint64_t offset, const ws_ahead_piece **piece);

#endif
