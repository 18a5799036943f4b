/* Running sums of one flow, exact integers, and the 20-d vector made of them. Inside the flow room only.
 *
 * Sender 0 and 1 are whatever the caller means by them (the low and the high endpoint in the table, forward and
 * backward elsewhere); ws_flow_sums_features is told which of them is forward. Times are nanoseconds since the flow's
 * first packet.
 */
#ifndef WS_FLOW_SUMS_H
#define WS_FLOW_SUMS_H

#include "flow/flow.h"

/* Of one sender; a cache line. */
typedef struct ws_sender_sums {
    ws_uint128 length_squares; /* of IP lengths */
    uint64_t packets, lengths, payloads;
    int64_t first, newest; /* meaningful where packets > 0 */
    uint64_t longest_payload;
} ws_sender_sums;

/* A packet touches the line of its sender and the next one; what rarely changes comes behind. */
typedef struct ws_flow_sums {
    ws_sender_sums of[2];
    ws_uint128 gap_squares; /* of gaps in ns; a gap is what a packet adds to the flow's newest time */
    int64_t newest;         /* newest time; also the sum of all gaps */
    int64_t longest_gap;
    uint64_t wire_lengths, wire_squares; /* of all packets; kept by the table */
    uint64_t psh;
    uint32_t longest_length;
    bool begun;
    uint64_t syn, fin_rst;
} ws_flow_sums;

/* Adds a packet. True where it is older than the flow's newest time (its gap counts as 0). */
static inline bool ws_flow_sums_add(ws_flow_sums *sums, int sender, int64_t offset_ns, uint32_t ip_length,
                                    uint32_t payload_length, uint8_t tcp_flags)
{
    ws_sender_sums *own = &sums->of[sender];
    const bool late = sums->begun && offset_ns < sums->newest;
    if (!late) {
        const uint64_t gap = sums->begun ? (uint64_t)(offset_ns - sums->newest) : 0;
        sums->gap_squares += (ws_uint128)gap * gap;
        if ((int64_t)gap > sums->longest_gap)
            sums->longest_gap = (int64_t)gap;
        sums->newest = offset_ns;
        sums->begun = true;
    }
    if (own->packets == 0)
        own->first = own->newest = offset_ns;
    else if (offset_ns > own->newest)
        own->newest = offset_ns;
    own->packets++;
    own->lengths += ip_length;
    own->payloads += payload_length;
    own->longest_payload = payload_length > own->longest_payload ? payload_length : own->longest_payload;
    own->length_squares += (uint64_t)ip_length * ip_length;
    if (ip_length > sums->longest_length)
        sums->longest_length = ip_length;
    sums->psh += (tcp_flags & WS_TCP_PSH) != 0;
    if (__builtin_expect(tcp_flags & (WS_TCP_SYN | WS_TCP_FIN | WS_TCP_RST), 0)) {
        sums->syn += (tcp_flags & WS_TCP_SYN) != 0;
        sums->fin_rst += ((tcp_flags & WS_TCP_FIN) != 0) + ((tcp_flags & WS_TCP_RST) != 0);
    }
    return late;
}

void ws_flow_sums_features(const ws_flow_sums *sums, int forward, float out[WS_FLOW20_COLUMNS]);

#endif
