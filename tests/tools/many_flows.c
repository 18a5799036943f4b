/* many_flows FLOWS PACKETS FILE [TIMES [SKEW]]: a capture of FLOWS flows of PACKETS packets each that are all alive at once: the first
 * packet of every flow, then the second, ... All of it TIMES times, an hour apart: other flows of the same sessions and hosts.
 * For tests of memory. SKEW: of the flows that the second of two ranks owns, only one in so many. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "flow/flow.h"

enum { FRAME = 60 };

static void put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Ethernet, IPv4, UDP: flows differ in port and client. */
static void make_record(uint64_t number, uint32_t time, uint32_t flow, unsigned way, uint8_t record[16 + FRAME])
{
    const uint32_t header[4] = {1700000000 + 3600 * time + (uint32_t)(number / 1000000), (uint32_t)(number % 1000000),
                                FRAME, FRAME};
    uint8_t *ip = record + 16 + 14, *udp = ip + 20;
    memset(record, 0, 16 + FRAME);
    memcpy(record, header, sizeof header);
    put16(record + 16 + 12, 0x0800);
    ip[0] = 0x45;
    put16(ip + 2, 46);
    ip[8] = 64;
    ip[9] = 17;
    const uint8_t client[4] = {10, (uint8_t)(flow >> 16), (uint8_t)(flow >> 8), (uint8_t)flow},
                  server[4] = {192, 0, 2, 1};
    const unsigned port = 1024 + (flow >> 24);
    memcpy(ip + 12, way == 0 ? client : server, 4);
    memcpy(ip + 16, way == 0 ? server : client, 4);
    put16(udp, way == 0 ? port : 53);
    put16(udp + 2, way == 0 ? 53 : port);
    put16(udp + 4, 26);
}

/* As the decoder sees the record's packet. */
static bool is_left_out(const uint8_t record[16 + FRAME], uint32_t flow, uint32_t skew)
{
    const uint8_t *ip = record + 16 + 14, *udp = ip + 20;
    ws_packet packet = {.protocol = 17, .source_port = (uint16_t)(udp[0] << 8 | udp[1])};
    packet.destination_port = (uint16_t)(udp[2] << 8 | udp[3]);
    for (int side = 0; side < 2; side++) {
        uint8_t *address = side == 0 ? packet.source : packet.destination;
        address[10] = address[11] = 0xff;
        memcpy(address + 12, ip + 12 + 4 * side, 4);
    }
    ws_flow_key key;
    bool source_is_low;
    ws_flow_key_of(&packet, &key, &source_is_low);
    return skew > 1 && ws_flow_key_hash(&key) % 2 == 1 && flow % skew != 0;
}

static bool write_capture(FILE *file, uint32_t flows, uint32_t packets, uint32_t times, uint32_t skew)
{
    static const uint32_t header[6] = {0xa1b2c3d4, 2 | 4u << 16, 0, 0, 65535, 1};
    uint8_t record[16 + FRAME];
    if (fwrite(header, sizeof header, 1, file) != 1)
        return false;
    for (uint32_t time = 0; time < times; time++)
        for (uint64_t number = 0; number < (uint64_t)flows * packets; number++) {
            make_record(number, time, (uint32_t)(number % flows), number / flows % 2, record);
            if (is_left_out(record, (uint32_t)(number % flows), skew))
                continue;
            if (fwrite(record, sizeof record, 1, file) != 1)
                return false;
        }
    return true;
}

static uint32_t number_of(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 6) {
        fputs("many_flows FLOWS PACKETS FILE [TIMES [SKEW]]\n", stderr);
        return 2;
    }
    FILE *file = fopen(argv[3], "wb");
    bool written = file != NULL && write_capture(file, number_of(argv[1]), number_of(argv[2]),
                                                 argc > 4 ? number_of(argv[4]) : 1, argc > 5 ? number_of(argv[5]) : 1);
    if (file == NULL || fclose(file) != 0 || !written) {
        perror(argv[3]);
        return 1;
    }
    return 0;
}
