/* many_flows FLOWS PACKETS FILE: a capture of FLOWS flows of PACKETS packets each that are all alive at once: the first packet
 * of every flow, then the second, ... For tests of memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/core.h"

enum { FRAME = 60 };

static void put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Ethernet, IPv4, UDP: flows differ in port and client. */
static void make_record(uint64_t number, uint32_t flow, unsigned way, uint8_t record[16 + FRAME])
{
    const uint32_t header[4] = {1700000000 + (uint32_t)(number / 1000000), (uint32_t)(number % 1000000), FRAME, FRAME};
    uint8_t *ip = record + 16 + 14, *udp = ip + 20;
    memset(record, 0, 16 + FRAME);
    memcpy(record, header, sizeof header);
    put16(record + 16 + 12, 0x0800);
    ip[0] = 0x45;
    put16(ip + 2, 46);
    ip[8] = 64;
    ip[9] = 17;
    const uint8_t client[4] = {10, 0, (uint8_t)(flow >> 24), (uint8_t)(flow >> 16)}, server[4] = {192, 0, 2, 1};
    memcpy(ip + 12, way == 0 ? client : server, 4);
    memcpy(ip + 16, way == 0 ? server : client, 4);
    put16(udp, way == 0 ? flow & 0xffff : 53);
    put16(udp + 2, way == 0 ? 53 : flow & 0xffff);
    put16(udp + 4, 26);
}

static bool write_capture(FILE *file, uint32_t flows, uint32_t packets)
{
    static const uint32_t header[6] = {0xa1b2c3d4, 2 | 4u << 16, 0, 0, 65535, 1};
    uint8_t record[16 + FRAME];
    uint64_t number = 0;
    if (fwrite(header, sizeof header, 1, file) != 1)
        return false;
    for (uint32_t k = 0; k < packets; k++)
        for (uint32_t flow = 0; flow < flows; flow++) {
            make_record(number++, flow, k % 2, record);
            if (fwrite(record, sizeof record, 1, file) != 1)
                return false;
        }
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("many_flows FLOWS PACKETS FILE\n", stderr);
        return 2;
    }
    FILE *file = fopen(argv[3], "wb");
    bool written =
        file != NULL && write_capture(file, (uint32_t)strtoul(argv[1], NULL, 10), (uint32_t)strtoul(argv[2], NULL, 10));
    if (file == NULL || fclose(file) != 0 || !written) {
        perror(argv[3]);
        return 1;
    }
    return 0;
}
