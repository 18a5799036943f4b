/* Running sums of one flow, exact integers, and the 20-d vector made of them. Inside the flow room only.
 *
 * Sender 0 and 1 are whatever the caller means by them (the low and the high endpoint in the table, forward and
 * backward elsewhere); ws_flow_sums_features is told which of them is forward. Times are nanoseconds since the flow's
 * first packet.
 */
#ifndef WS_FLOW_SUMS_H
#define WS_FLOW_SUMS_H

#include "flow/flow.h"

typedef struct ws_flow_sums {
    ws_uint128 length_squares[2]; /* of IP lengths */
    ws_uint128 gap_squares;       /* of gaps in ns; a gap is what a packet adds to the flow's newest time */
    uint64_t packets[2], lengths[2], payloads[2];
    uint64_t wire_lengths, wire_squares; /* of all packets; kept by the table */
    int64_t newest;                      /* newest time; also the sum of all gaps */
    int64_t first_of[2], newest_of[2];   /* by sender; meaningful where packets[] > 0 */
    int64_t longest_gap;
    uint64_t syn, fin_rst, psh;
    uint32_t longest_length;
} ws_flow_sums;

/* Adds a packet. True where it is older than the flow's newest time (its gap counts as 0). */
bool ws_flow_sums_add(ws_flow_sums *sums, int sender, int64_t offset_ns, uint32_t ip_length, uint32_t payload_length,
                      uint8_t tcp_flags);
void ws_flow_sums_features(const ws_flow_sums *sums, int forward, float out[WS_FLOW20_COLUMNS]);

#endif
