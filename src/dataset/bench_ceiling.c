/* The ceiling of extraction: see bench_extract.h. It shares no code with the extraction that is measured against it, trusts
 * the file, and is no extractor: wrong on damaged, foreign or nested captures.
 */
#include "dataset/bench_extract.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct bare_flow {
    uint64_t key[5]; /* all zero: free */
    uint64_t packets, bytes, squares, gap_squares;
    int64_t newest_ns;
} bare_flow;

typedef struct bare_packet {
    uint64_t key[5], hash;
    int64_t time_ns;
    uint32_t length;
} bare_packet;

typedef struct bare_table {
    bare_flow *flows;
    size_t mask;
} bare_table;

static uint32_t big16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

/* The key with the lower endpoint first; ports after the addresses. */
static void set_key(bare_packet *packet, const uint8_t *addresses, size_t bytes, const uint8_t *ports,
                    unsigned protocol)
{
    uint8_t key[40] = {0};
    int order = memcmp(addresses, addresses + bytes, bytes);
    bool low = order != 0 ? order < 0 : memcmp(ports, ports + 2, 2) <= 0;
    memcpy(key, addresses + (low ? 0 : bytes), bytes);
    memcpy(key + 16, addresses + (low ? bytes : 0), bytes);
    memcpy(key + 32, ports + (low ? 0 : 2), 2);
    memcpy(key + 34, ports + (low ? 2 : 0), 2);
    key[36] = (uint8_t)protocol;
    memcpy(packet->key, key, sizeof key);
    uint64_t hash = 0;
    for (int i = 0; i < 5; i++)
        hash = (hash ^ packet->key[i]) * 0x9fb21c651e98df25u + (hash >> 31);
    packet->hash = hash ^ hash >> 29;
}

static bool parse(const uint8_t *frame, uint32_t bytes, bare_packet *out)
{
    uint32_t at = 12;
    while (at + 6 < bytes && (big16(frame + at) == 0x8100 || big16(frame + at) == 0x88a8))
        at += 4;
    const uint32_t type = big16(frame + at);
    const uint8_t *ip = frame + at + 2;
    if (type == 0x0800 && at + 26 < bytes) {
        const uint32_t header = (ip[0] & 15u) * 4;
        if (at + 6 + header > bytes || (ip[9] != 6 && ip[9] != 17) || (big16(ip + 6) & 0x1fff) != 0)
            return false;
        out->length = big16(ip + 2);
        set_key(out, ip + 12, 4, ip + header, ip[9]);
        return true;
    }
    if (type != 0x86dd || at + 46 > bytes || (ip[6] != 6 && ip[6] != 17))
        return false;
    out->length = 40 + big16(ip + 4);
    set_key(out, ip + 8, 16, ip + 40, ip[6]);
    return true;
}

static void count(bare_table *table, const bare_packet *packet, bench_ceiling *out)
{
    size_t i = packet->hash & table->mask;
    while (table->flows[i].packets > 0 && memcmp(table->flows[i].key, packet->key, sizeof packet->key) != 0)
        i = (i + 1) & table->mask;
    bare_flow *flow = &table->flows[i];
    if (flow->packets == 0) {
        memcpy(flow->key, packet->key, sizeof flow->key);
        flow->newest_ns = packet->time_ns;
        out->flows++;
    }
    uint64_t gap = packet->time_ns > flow->newest_ns ? (uint64_t)(packet->time_ns - flow->newest_ns) / 1000 : 0;
    flow->packets++;
    flow->bytes += packet->length;
    flow->squares += (uint64_t)packet->length * packet->length;
    flow->gap_squares += gap * gap;
    flow->newest_ns += (int64_t)gap * 1000;
    out->packets++;
    out->bytes += packet->length;
}

static void walk(const uint8_t *file, size_t bytes, bool nanoseconds, bare_table *table, bench_ceiling *out)
{
    enum { BATCH = 32 };
    bare_packet batch[BATCH];
    size_t at = 24, held = 0;
    while (at + 16 <= bytes) {
        uint32_t header[4];
        memcpy(header, file + at, sizeof header);
        if (header[2] > bytes - at - 16)
            break;
        out->records++;
        if (header[2] >= 34 && parse(file + at + 16, header[2], &batch[held])) {
            batch[held].time_ns = (int64_t)header[0] * 1000000000 + (int64_t)header[1] * (nanoseconds ? 1 : 1000);
            __builtin_prefetch(&table->flows[batch[held].hash & table->mask], 1);
            held++;
        }
        at += 16 + header[2];
        if (held < BATCH && at + 16 <= bytes)
            continue;
        for (size_t i = 0; i < held; i++)
            count(table, &batch[i], out);
        held = 0;
    }
    for (size_t i = 0; i < held; i++)
        count(table, &batch[i], out);
}

static ws_err check(const uint8_t *file, size_t bytes, const char *path, bool *nanoseconds)
{
    uint32_t header[6] = {0};
    memcpy(header, file, bytes < sizeof header ? bytes : sizeof header);
    *nanoseconds = header[0] == 0xa1b23c4d;
    WS_CHECK((header[0] == 0xa1b2c3d4 || *nanoseconds) && header[5] == 1, UNSUPPORTED,
             "%s: the ceiling reads classic pcap of Ethernet in this machine's byte order only", path);
    return WS_OK;
}

ws_err bench_ceiling_run(const char *path, bench_ceiling *out)
{
    memset(out, 0, sizeof *out);
    const double start = ws_clock_seconds();
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    struct stat about;
    WS_CHECK(descriptor >= 0, IO, "cannot open %s", path);
    void *file = MAP_FAILED;
    if (fstat(descriptor, &about) == 0 && about.st_size > 0)
        file = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, descriptor, 0);
    close(descriptor);
    WS_CHECK(file != MAP_FAILED, IO, "cannot map %s", path);
    const size_t bytes = (size_t)about.st_size;
    bool nanoseconds;
    bare_table table = {.mask = 1023};
    while (table.mask < bytes / 1000)
        table.mask = table.mask * 2 + 1;
    ws_err error = check(file, bytes, path, &nanoseconds);
    size_t table_bytes = (table.mask + 1) * sizeof *table.flows;
    if (error == WS_OK) {
        table.flows = mmap(NULL, table_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (table.flows == MAP_FAILED)
            error = WS_ERROR(MEMORY, "no memory for the ceiling's table");
    }
    if (error == WS_OK) {
        (void)madvise(table.flows, table_bytes, MADV_HUGEPAGE);
        walk(file, bytes, nanoseconds, &table, out);
        munmap(table.flows, table_bytes);
    }
    munmap(file, bytes);
    out->seconds = ws_clock_seconds() - start;
    return error;
}
