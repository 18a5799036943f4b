/* Hand-made packets and a sink that keeps what a table hands out, for the tests of the flow room. */
#ifndef TESTS_FLOW_FIXTURE_H
#define TESTS_FLOW_FIXTURE_H

#include <stdlib.h>
#include "flow/flow.h"

#define SECONDS(s) ((int64_t)((s)*1e9))
#define START_NS INT64_C(1500000000000000000)

/* Endpoints: client 10.0.0.1:40000, server 10.0.0.2:80. */
static ws_packet packet_make(uint64_t ordinal, int64_t time_ns, bool from_client, uint8_t protocol, uint8_t flags,
                             uint32_t payload)
{
    ws_packet packet = {.ordinal = ordinal, .time_ns = START_NS + time_ns, .protocol = protocol, .tcp_flags = flags};
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(packet.source, prefix, 12);
    memcpy(packet.destination, prefix, 12);
    memcpy(packet.source + 12, from_client ? "\x0a\0\0\x01" : "\x0a\0\0\x02", 4);
    memcpy(packet.destination + 12, from_client ? "\x0a\0\0\x02" : "\x0a\0\0\x01", 4);
    packet.source_port = from_client ? 40000 : 80;
    packet.destination_port = from_client ? 80 : 40000;
    packet.header_length = protocol == 6 ? 40 : 28;
    packet.payload_length = payload;
    packet.ip_length = packet.header_length + payload;
    packet.wire_length = packet.captured_length = packet.ip_length + 14;
    packet.ip_version = 4;
    packet.window = protocol == 6 ? 512 : 0;
    return packet;
}

typedef struct kept_flows {
    ws_flow *flows; /* `stored` is owned here */
    size_t count, capacity;
} kept_flows;

static ws_err keep_flow(void *context, const ws_flow *flow)
{
    kept_flows *kept = context;
    WS_TRY(WS_GROW(kept->flows, kept->capacity, kept->count + 1));
    ws_flow_packet *stored = NULL;
    WS_TRY(WS_NEW_ARRAY(stored, flow->packet_count));
    memcpy(stored, flow->stored, flow->packet_count * sizeof *stored);
    kept->flows[kept->count] = *flow;
    kept->flows[kept->count++].stored = stored;
    return WS_OK;
}

static void kept_destroy(kept_flows *kept)
{
    for (size_t i = 0; i < kept->count; i++)
        free((void *)(uintptr_t)kept->flows[i].stored);
    free(kept->flows);
    memset(kept, 0, sizeof *kept);
}

#endif
