/* Prints what the capture room makes of each record of a capture, one tab-separated line a record: number, "ok" or the reason
 * of the skip, time in ns, wire length, protocol, source port, destination port, IP length, payload length, TCP flags, window,
 * link type, captured length.
 * For comparing with other programs in tests.
 */
#include "capture/capture.h"

#include <inttypes.h>
#include <stdio.h>

static ws_err dump(ws_walk *walk)
{
    for (uint64_t number = 1;; number++) {
        ws_record record;
        ws_packet packet;
        bool more;
        WS_TRY(ws_walk_next(walk, &record, &more));
        if (!more)
            return WS_OK;
        ws_skip skip = ws_packet_decode(record.frame, record.captured_length, record.wire_length, record.link_type,
                                        record.time_ns, &packet);
        printf("%" PRIu64 "\t%s\t%" PRId64 "\t%" PRIu32 "\t%u\t%u\t%u\t%" PRIu32 "\t%" PRIu32 "\t%02x\t%u\t%d\t%" PRIu32
               "\n",
               number, skip ? ws_skip_names[skip] : "ok", packet.time_ns, packet.wire_length, packet.protocol,
               packet.source_port, packet.destination_port, packet.ip_length, packet.payload_length, packet.tcp_flags,
               packet.window, record.link_type, record.captured_length);
    }
}

int main(int count, char **arguments)
{
    ws_capture capture;
    ws_walk *walk = NULL;
    if (count != 2) {
        fprintf(stderr, "usage: %s CAPTURE\n", arguments[0]);
        return 2;
    }
    ws_err error = ws_capture_open(&capture, arguments[1]);
    if (error == WS_OK)
        error = ws_walk_create(&walk, &capture, 0);
    if (error == WS_OK)
        error = ws_walk_range(walk, capture.first_record, capture.bytes);
    if (error == WS_OK)
        error = dump(walk);
    if (error != WS_OK)
        ws_error_print(error, false);
    ws_walk_destroy(&walk);
    ws_capture_close(&capture);
    return ws_error_exit_status(error);
}
