/* libFuzzer: one frame; the first two bytes choose the link type, the next two the wire length. */
#include "fuzz/fuzz_capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const int link_types[] = {1, 0, 9, 12, 50, 51, 101, 104, 105, 108, 113, 119, 127, 163, 192, 228, 229, 276};
    if (bytes < 4)
        return 0;
    const int link_type = link_types[data[0] % (sizeof link_types / sizeof *link_types)];
    const uint32_t wire = (uint32_t)data[2] << 8 | data[3], captured = (uint32_t)bytes - 4;
    for (int inner = 0; inner < 2; inner++) {
        ws_packet packet;
        const ws_skip skip =
            (inner ? ws_packet_decode_inner : ws_packet_decode)(data + 4, captured, wire, link_type, 5, &packet);
        FUZZ_CHECK((int)skip >= 0 && skip < WS_SKIP_COUNT);
        FUZZ_CHECK(packet.captured_length == captured && packet.wire_length == wire && packet.time_ns == 5);
        if (skip == WS_SKIP_NONE)
            FUZZ_CHECK((uint64_t)packet.header_length + packet.payload_length == packet.ip_length);
    }
    return 0;
}
