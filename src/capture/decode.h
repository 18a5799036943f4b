/* Inside the decoding of frames: where it stands, and what the link layer offers the rest. Outsiders include capture.h.
 */
#ifndef WS_CAPTURE_DECODE_H
#define WS_CAPTURE_DECODE_H

#include "walk.h"

/* What is left to decode. */
typedef struct frame_cursor {
    const uint8_t *frame;
    uint32_t captured;
    uint32_t at;    /* of the next header; at most captured */
    uint32_t depth; /* of frames in frames */
} frame_cursor;

/* More frames in frames than any network has would only exhaust the stack. */
static inline bool ws_cursor_too_deep(frame_cursor *cursor)
{
    enum { MOST = 64 };
    return ++cursor->depth > MOST;
}

static inline uint32_t ws_cursor_left(const frame_cursor *cursor)
{
    return cursor->captured - cursor->at;
}

/* All leave the cursor at the IP header, or give the reason why there is none. */
ws_skip ws_decode_link(frame_cursor *cursor, int link_type);
/* What an EtherType says about the bytes at the cursor. */
ws_skip ws_decode_ethertype(frame_cursor *cursor, unsigned type);
ws_skip ws_decode_ethernet(frame_cursor *cursor);
ws_skip ws_decode_ppp(frame_cursor *cursor); /* address and control bytes may be there or not */
/* For the two above: link types and EtherTypes that are seldom met. */
ws_skip ws_decode_link_rare(frame_cursor *cursor, int link_type);
ws_skip ws_decode_ethertype_rare(frame_cursor *cursor, unsigned type);

/* Leaves the cursor, which is behind the IP header, at the IP header of the packet that the tunnel carries (IP in IP,
 * GRE, VXLAN, GTP-U); false where there is no tunnel. */
bool ws_decode_tunnel(frame_cursor *cursor, const ws_packet *packet);

#endif
