/* Benchmark of the way from file to flows on one core: walk, decoding and flow table over a capture of small packets made
 * here, against the speed at which this core reads memory and the file; and what memory a live flow takes. A part of
 * `wiresweep bench extract`. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "flow/flow.h"

enum {
    RECORDS = 1000000,
    FLOWS = 20000,   /* live at once, packets of all of them mixed */
    FRAME = 60,      /* bytes: the smallest Ethernet frame, the worst case per byte */
    BATCH = 4096,    /* records a write */
    TOGETHER = 1024, /* packets given to the table at once */
    ROUNDS = 5,
    MEMORY_BYTES = 1 << 28,
    PAGE = 1 << 22,             /* a read */
    LIVE_FLOWS = (1 << 18) + 1, /* the index has just been doubled: the worst case */
    LIVE_FLOW_BYTES = 400,      /* allowed */
};

static void put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Ethernet, IPv4, TCP with 6 bytes of payload; packet i belongs to flow i * prime mod FLOWS, both ways in turn. */
static void make_record(uint32_t i, uint8_t record[16 + FRAME])
{
    uint32_t flow = (uint32_t)((uint64_t)i * 7919 % FLOWS), way = i / FLOWS % 2;
    uint32_t header[4] = {1700000000 + i / 100000, i % 100000 * 10, FRAME, FRAME};
    memset(record, 0, 16 + FRAME);
    memcpy(record, header, sizeof header);
    uint8_t *ip = record + 16 + 14, *tcp = ip + 20;
    put16(record + 16 + 12, 0x0800);
    ip[0] = 0x45;
    put16(ip + 2, 46);
    ip[8] = 64;
    ip[9] = 6;
    uint8_t client[4] = {10, 0, (uint8_t)(flow >> 8), (uint8_t)flow}, server[4] = {192, 0, 2, 1};
    memcpy(ip + 12, way == 0 ? client : server, 4);
    memcpy(ip + 16, way == 0 ? server : client, 4);
    put16(tcp, way == 0 ? 40000 : 443);
    put16(tcp + 2, way == 0 ? 443 : 40000);
    tcp[12] = 0x50;
    tcp[13] = WS_TCP_ACK;
    put16(tcp + 14, 512);
}

static ws_err write_capture(int file, const char *path)
{
    static const uint32_t header[6] = {0xa1b2c3d4, 2 | 4u << 16, 0, 0, 65535, 1};
    uint8_t *batch = NULL;
    WS_TRY(ws_alloc(&batch, BATCH, 16 + FRAME));
    bool written = write(file, header, sizeof header) == (ssize_t)sizeof header;
    for (uint32_t i = 0; written && i < RECORDS; i += BATCH) {
        uint32_t count = RECORDS - i < BATCH ? RECORDS - i : BATCH;
        for (uint32_t k = 0; k < count; k++)
            make_record(i + k, batch + (size_t)k * (16 + FRAME));
        ssize_t bytes = (ssize_t)count * (16 + FRAME);
        written = write(file, batch, (size_t)bytes) == bytes;
    }
    free(batch);
    WS_CHECK(written, IO, "cannot write the capture %s: %s", path, strerror(errno));
    return WS_OK;
}

/* ---- ceilings ---- */

static volatile uint64_t sink;

static double memory_seconds(const uint64_t *memory)
{
    double start = ws_clock_seconds();
    uint64_t sums[8] = {0};
    for (size_t i = 0; i < MEMORY_BYTES / sizeof *memory; i += 8)
        for (size_t k = 0; k < 8; k++)
            sums[k] += memory[i + k];
    for (size_t k = 0; k < 8; k++)
        sink += sums[k];
    return ws_clock_seconds() - start;
}

static double file_seconds(const ws_capture *capture, void *page)
{
    double start = ws_clock_seconds();
    for (uint64_t at = 0; at < capture->bytes; at += PAGE)
        sink += (uint64_t)pread(capture->file, page, PAGE, (off_t)at);
    return ws_clock_seconds() - start;
}

/* ---- the way ---- */

typedef enum ws_depth { WALK, DECODE, TABLE } ws_depth;

static ws_err count_flow(void *context, const ws_flow *flow)
{
    (void)flow;
    ++*(uint64_t *)context;
    return WS_OK;
}

static ws_err go(ws_walk *walk, const ws_capture *capture, ws_depth depth, ws_flow_table *table, uint64_t *flows)
{
    ws_record record;
    static ws_packet packets[TOGETHER];
    size_t held = 0;
    uint64_t ordinal = 0;
    int64_t newest = 0;
    bool more = true;
    WS_TRY(ws_walk_range(walk, capture->first_record, capture->bytes));
    for (;; ordinal++) {
        WS_TRY(ws_walk_next(walk, &record, &more));
        if (!more)
            break;
        sink += record.captured_length;
        if (depth == WALK)
            continue;
        ws_skip skip = ws_packet_decode(record.frame, record.captured_length, record.wire_length, record.link_type,
                                        record.time_ns, &packets[held]);
        WS_CHECK(skip == WS_SKIP_NONE, INTERNAL, "packet %llu was skipped", (unsigned long long)ordinal);
        newest = packets[held].time_ns;
        packets[held++].ordinal = ordinal;
        if (depth == TABLE && held == TOGETHER)
            WS_TRY(ws_flow_table_add(table, packets, held));
        held %= TOGETHER;
    }
    if (depth == TABLE)
        WS_TRY(ws_flow_table_add(table, packets, held));
    WS_CHECK(ordinal == RECORDS, INTERNAL, "%llu records read of %d", (unsigned long long)ordinal, RECORDS);
    if (depth == TABLE)
        WS_TRY(ws_flow_table_close(table, ordinal, newest, true, count_flow, flows));
    return WS_OK;
}

static ws_err time_depth(const ws_capture *capture, ws_depth depth, double *seconds)
{
    ws_walk *walk = NULL;
    ws_flow_table *table = NULL;
    uint64_t flows = 0;
    double start = ws_clock_seconds();
    ws_err error = ws_walk_create(&walk, capture, 0);
    if (error == WS_OK)
        error = ws_flow_table_create(&table, &ws_flow_rules_default);
    if (error == WS_OK)
        error = go(walk, capture, depth, table, &flows);
    *seconds = ws_clock_seconds() - start;
    ws_flow_table_destroy(&table);
    ws_walk_destroy(&walk);
    WS_TRY(error);
    WS_CHECK(depth != TABLE || flows == FLOWS, INTERNAL, "%llu flows of %d", (unsigned long long)flows, FLOWS);
    return WS_OK;
}

static void keep_least(double *least, double seconds)
{
    if (*least == 0 || seconds < *least)
        *least = seconds;
}

/* All take turns, so that a slower clock or a busy neighbour meets work and ceiling alike. */
static ws_err measure(const ws_capture *capture, uint64_t *memory, ws_bench_report *report)
{
    static const char *const names[] = {"walk", "walk, decode", "walk, decode, flow table"};
    double of_memory = 0, of_file = 0, of_depth[3] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        keep_least(&of_memory, memory_seconds(memory));
        keep_least(&of_file, file_seconds(capture, memory));
        for (int depth = WALK; depth <= TABLE; depth++) {
            double seconds = 0;
            WS_TRY(time_depth(capture, (ws_depth)depth, &seconds));
            keep_least(&of_depth[depth], seconds);
        }
    }
    double gigabytes = (double)capture->bytes / 1e9, memory_rate = MEMORY_BYTES / 1e9 / of_memory;
    ws_bench_line(report, "reading memory, one core", memory_rate, "GB/s", 0, NULL);
    ws_bench_line(report, "reading the file in the page cache", gigabytes / of_file, "GB/s", memory_rate,
                  "reading memory");
    for (int depth = WALK; depth <= TABLE; depth++) {
        char name[64];
        ws_bench_line(report, names[depth], gigabytes / of_depth[depth], "GB/s", memory_rate, "reading memory");
        snprintf(name, sizeof name, "%s, records", names[depth]);
        ws_bench_line(report, name, RECORDS / of_depth[depth] / 1e6, "M records/s", 0, NULL);
    }
    return WS_OK;
}

static ws_err add_live_flows(ws_flow_table *table)
{
    ws_packet *packets = NULL;
    ws_err error = WS_NEW_ARRAY(packets, TOGETHER);
    for (uint32_t i = 0; error == WS_OK && i < LIVE_FLOWS; i += TOGETHER) {
        const uint32_t count = LIVE_FLOWS - i < TOGETHER ? LIVE_FLOWS - i : TOGETHER;
        for (uint32_t k = 0; k < count; k++) {
            const uint32_t number = i + k;
            packets[k] = (ws_packet){.ordinal = number, .ip_length = 40, .header_length = 40, .protocol = 6};
            memcpy(packets[k].source + 12, &number, sizeof number);
        }
        error = ws_flow_table_add(table, packets, count);
    }
    free(packets);
    return error;
}

/* What the table takes for a flow whose packets are not stored, however many packets it has. */
static ws_err measure_live_flow(ws_bench_report *report)
{
    ws_flow_rules rules = ws_flow_rules_default;
    rules.max_packets = 0;
    ws_flow_table *table = NULL;
    WS_TRY(ws_flow_table_create(&table, &rules));
    ws_err error = add_live_flows(table);
    const double bytes = (double)ws_flow_table_bytes(table) / (double)LIVE_FLOWS;
    ws_flow_table_destroy(&table);
    WS_TRY(error);
    ws_bench_line(report, "memory of a live flow without its packets", bytes, "bytes", LIVE_FLOW_BYTES,
                  "what is allowed");
    return WS_OK;
}

static ws_err measure_file(const char *path, ws_bench_report *report)
{
    ws_capture capture;
    uint64_t *memory = NULL;
    WS_TRY(ws_capture_open(&capture, path));
    ws_err error = ws_alloc(&memory, MEMORY_BYTES, 1);
    if (error == WS_OK) {
        memset(memory, 1, MEMORY_BYTES); /* pages of their own, not one of zeros */
        error = measure(&capture, memory, report);
    }
    free(memory);
    ws_capture_close(&capture);
    return error;
}

ws_err ws_bench_flow(ws_bench_report *report)
{
    const char *folder = getenv("TMPDIR");
    char path[512];
    snprintf(path, sizeof path, "%s/wiresweep-bench-XXXXXX", folder == NULL ? "/tmp" : folder);
    int file = mkstemp(path);
    WS_CHECK(file >= 0, IO, "cannot create %s: %s", path, strerror(errno));
    ws_err error = write_capture(file, path);
    close(file);
    if (error == WS_OK)
        error = measure_file(path, report);
    unlink(path);
    WS_TRY(error);
    WS_TRY(measure_live_flow(report));
    return WS_OK;
}
