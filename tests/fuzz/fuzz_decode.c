/* libFuzzer: one frame; the first two bytes are the link type, the next two the wire length. What is decoded is cut into a byte
 * view as well.
 */
#include "flow/flow.h"
#include "fuzz/fuzz_capture.h"

enum { LINK_TYPES = 300, HEADER = 70, PAYLOAD = 30 };

static void take_bytes(const uint8_t *frame, const ws_packet *packet, ws_strip stripped)
{
    const ws_byte_view view = {.packets = 1, .header = HEADER, .payload = PAYLOAD, .stripped = stripped};
    uint8_t slot[WS_BYTE_SLOT_HEAD + HEADER + PAYLOAD];
    uint16_t own[2];
    ws_byte_view_take(&view, frame, packet, slot);
    memcpy(own, slot, sizeof own);
    FUZZ_CHECK(own[0] <= HEADER && own[1] <= PAYLOAD);
    for (int i = own[0]; i < HEADER; i++)
        FUZZ_CHECK(slot[WS_BYTE_SLOT_HEAD + i] == 0);
    for (int i = own[1]; i < PAYLOAD; i++)
        FUZZ_CHECK(slot[WS_BYTE_SLOT_HEAD + HEADER + i] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 4)
        return 0;
    const int link_type = (data[0] << 8 | data[1]) % LINK_TYPES;
    const uint32_t wire = (uint32_t)data[2] << 8 | data[3], captured = (uint32_t)bytes - 4;
    const uint8_t *frame = data + 4;
    for (int inner = 0; inner < 2; inner++) {
        ws_packet packet;
        ws_skip skip =
            (inner ? ws_packet_decode_inner : ws_packet_decode)(frame, captured, wire, link_type, 5, &packet);
        FUZZ_CHECK((int)skip >= 0 && skip < WS_SKIP_COUNT);
        FUZZ_CHECK(packet.captured_length == captured && packet.wire_length == wire && packet.time_ns == 5);
        if (skip == WS_SKIP_protocol_other)
            skip = ws_packet_decode_other(frame, &packet);
        if (skip != WS_SKIP_NONE)
            continue;
        FUZZ_CHECK((uint64_t)packet.header_length + packet.payload_length == packet.ip_length);
        take_bytes(frame, &packet, (ws_strip)(wire & 3));
    }
    return 0;
}
