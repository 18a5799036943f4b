/* A compressed file as the stream of bytes that it holds: gzip, zstd, xz and bzip2, several members or frames one
 * behind the other. Knows nothing of captures. What is large is decompressed ahead by threads of the stream's own, members
 * side by side where there are several; a stream itself is used by one thread. Memory is what lies between the released
 * and the reached offset, and what the threads are ahead.
 */
#ifndef WS_CAPTURE_STREAM_H
#define WS_CAPTURE_STREAM_H

#include "core/core.h"

#define WS_COMPRESSION_LIST(C) C(gzip) C(zstd) C(xz) C(bzip2)
typedef enum ws_compression {
    WS_COMPRESSION_NONE = 0,
#define WS_COMPRESSION_ENUM(name) WS_COMPRESSION_##name,
    WS_COMPRESSION_LIST(WS_COMPRESSION_ENUM)
#undef WS_COMPRESSION_ENUM
        WS_COMPRESSION_COUNT
} ws_compression;
extern const char *const ws_compression_names[WS_COMPRESSION_COUNT]; /* "", "gzip", ... */

/* By the magic at the beginning of a file. */
ws_compression ws_compression_of(const uint8_t *magic, size_t bytes);
const char *ws_stream_gzip_library(void); /* what inflates: "ISA-L" or "zlib" */

/* Cores that this process may use, for streams made from now on; 1: no threads. Unless told, those it is bound to. What is
 * read does not depend on it. */
void ws_stream_use_cores(int cores);

typedef struct ws_stream ws_stream;
/* Of the first stored_bytes bytes of the file; path for messages; both are borrowed. */
WS_MUST ws_err ws_stream_create(ws_stream **out, ws_compression kind, const char *path, int file,
                                uint64_t stored_bytes);
void ws_stream_destroy(ws_stream **stream);

/* Decompresses until `end` bytes are there or the stream ends. *reached: how many there are from the stream's start;
 * less than `end` only where that is all. Going back before what was released starts from the beginning. Errors are those
 * of reading and memory: damage makes breaks. */
WS_MUST ws_err ws_stream_reach(ws_stream *stream, uint64_t begin, uint64_t end, uint64_t *reached);
/* Bytes that ws_stream_reach has reached. */
void ws_stream_copy(const ws_stream *stream, uint64_t offset, void *out, size_t bytes);
/* What lies before is not asked for again, or seldom. */
void ws_stream_release(ws_stream *stream, uint64_t offset);
/* Why the stream ended before its time: damaged or cut off; NULL where it did not end so, as far as it was reached. */
const char *ws_stream_fault(const ws_stream *stream);

/* A place where content is missing: what lies before `offset` and behind it does not belong together. Bytes
 * [lost_begin, lost_end) of the file could not be decompressed, or only what lies before the break. */
typedef struct ws_stream_break {
    uint64_t offset, lost_begin, lost_end;
    const char *reason; /* static */
} ws_stream_break;
/* The first one at or behind `offset` of those that were reached; NULL: none. One at the stream's end ends it. */
const ws_stream_break *ws_stream_next_break(const ws_stream *stream, uint64_t offset);

/* Compressed bytes taken in for what was reached. */
uint64_t ws_stream_consumed(const ws_stream *stream);

#endif
