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

typedef struct bare_moments {
    uint64_t count, sum, squares, least, most;
} bare_moments;

/* Beside the flow of the same number. */
typedef struct bare_features {
    bare_moments length[3], gap[3]; /* of the flow, of either direction */
    int64_t newest_ns[2];
    uint32_t flags[2][8];
    uint16_t first_window[2];
} bare_features;

typedef struct bare_packet {
    uint64_t key[5], hash;
    int64_t time_ns;
    uint32_t length;
    uint16_t window;
    uint8_t flags, way;
} bare_packet;

typedef struct bare_table {
    bare_flow *flows;
    bare_features *features; /* NULL without */
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
    packet->way = !low;
    uint64_t hash = 0;
    for (int i = 0; i < 5; i++)
        hash = (hash ^ packet->key[i]) * 0x9fb21c651e98df25u + (hash >> 31);
    packet->hash = hash ^ hash >> 29;
}

static void set_flags(bare_packet *packet, const uint8_t *transport, const uint8_t *end, unsigned protocol)
{
    const bool tcp = protocol == 6 && transport + 16 <= end;
    packet->flags = tcp ? transport[13] : 0;
    packet->window = tcp ? (uint16_t)big16(transport + 14) : 0;
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
        set_flags(out, ip + header, frame + bytes, ip[9]);
        return true;
    }
    if (type != 0x86dd || at + 46 > bytes || (ip[6] != 6 && ip[6] != 17))
        return false;
    out->length = 40 + big16(ip + 4);
    set_key(out, ip + 8, 16, ip + 40, ip[6]);
    set_flags(out, ip + 40, frame + bytes, ip[6]);
    return true;
}

static void add_moment(bare_moments *moments, uint64_t value)
{
    moments->least = moments->count == 0 || value < moments->least ? value : moments->least;
    moments->most = value > moments->most ? value : moments->most;
    moments->count++;
    moments->sum += value;
    moments->squares += value * value;
}

/* gap: to the packet before it in the flow, in microseconds. */
static void add_features(bare_features *features, const bare_packet *packet, bool first, uint64_t gap)
{
    const unsigned way = packet->way;
    const int64_t before = features->newest_ns[way];
    const bool first_of_way = features->length[1 + way].count == 0;
    add_moment(&features->length[0], packet->length);
    add_moment(&features->length[1 + way], packet->length);
    if (!first)
        add_moment(&features->gap[0], gap);
    if (first_of_way)
        features->first_window[way] = packet->window;
    else
        add_moment(&features->gap[1 + way], packet->time_ns > before ? (uint64_t)(packet->time_ns - before) / 1000 : 0);
    features->newest_ns[way] = first_of_way || packet->time_ns > before ? packet->time_ns : before;
    for (int f = 0; f < 8; f++)
        features->flags[way][f] += packet->flags >> f & 1;
}

static void fetch(const bare_table *table, const bare_packet *packet)
{
    const size_t i = packet->hash & table->mask;
    __builtin_prefetch(&table->flows[i], 1);
    if (table->features != NULL)
        for (size_t line = 0; line < sizeof(bare_features); line += 64)
            __builtin_prefetch((const char *)&table->features[i] + line, 1);
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
    const uint64_t gap = packet->time_ns > flow->newest_ns ? (uint64_t)(packet->time_ns - flow->newest_ns) / 1000 : 0;
    if (table->features != NULL)
        add_features(&table->features[i], packet, flow->packets == 0, gap);
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
            fetch(table, &batch[held]);
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

/* Zeroed; by pages of 2 MB where the system has them. */
static ws_err map_memory(size_t bytes, void *out)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    WS_CHECK(memory != MAP_FAILED, MEMORY, "no memory for the ceiling's table");
    (void)madvise(memory, bytes, MADV_HUGEPAGE);
    memcpy(out, &memory, sizeof memory);
    return WS_OK;
}

static ws_err run(const uint8_t *file, size_t bytes, const char *path, bool with_features, bench_ceiling *out)
{
    bool nanoseconds;
    bare_table table = {.mask = 1023};
    WS_TRY(check(file, bytes, path, &nanoseconds));
    while (table.mask < bytes / 1000)
        table.mask = table.mask * 2 + 1;
    const size_t slots = table.mask + 1;
    WS_TRY(map_memory(slots * sizeof *table.flows, &table.flows));
    ws_err error = with_features ? map_memory(slots * sizeof *table.features, &table.features) : WS_OK;
    if (error == WS_OK)
        walk(file, bytes, nanoseconds, &table, out);
    if (table.features != NULL)
        munmap(table.features, slots * sizeof *table.features);
    munmap(table.flows, slots * sizeof *table.flows);
    return error;
}

ws_err bench_ceiling_run(const char *path, bool with_features, bench_ceiling *out)
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
    ws_err error = run(file, (size_t)about.st_size, path, with_features, out);
    munmap(file, (size_t)about.st_size);
    out->seconds = ws_clock_seconds() - start;
    return error;
}
