/* `wiresweep bench extract`: captures to stores from end to end, by phase, on one rank and on all, beside what one core could
 * do at most (bench_ceiling.c) on the same file in the same run, and what that would give with many ranks. Files are in
 * the page cache; the store is written to $TMPDIR.
 *
 * What a record of the header-only sample costs at least: 94 bytes are copied from the page cache (10 ns at 10 GB/s) and the
 * packet is parsed and looked up (the ceiling: 47 ns with the copy, 85 to 90 with features); its 32 bytes in the table and 40
 * bytes of columns are written to fresh memory and copied to fresh pages of the file (22 ns measured, mostly the kernel's pages);
 * hashed are 94 bytes of input, 48 for the row, 40 for the columns: 32 ns at the 5.7 GB/s of sixteen chains with AVX-512, 64 at
 * the 2.8 of two with the SHA extensions. Measured by phase on one core of an EPYC of family 26, in ns: read with the input's hash
 * 42, table 50, rows 25, write 42, finish 4: 5.7 to 6.6 million records/s, 0.50 to 0.63 of the ceiling with features; with two
 * chains 5.5. Beside the ceiling without features it is 0.28 to 0.30: hashing and writing take longer than all of that one.
 * With payload the input's SHA-256 weighs most: 1.6 GB/s on one core, 0.53 to 0.55 of the ceiling without features; 2.1 to 2.3
 * GB/s with a second core, 0.72 to 0.82.
 *
 * Two ranks, each with a core, did 1.57 to 1.67 times as many records of headers as one core, mostly 1.64, and 1.60 to 1.65 times
 * with payload (TMPDIR in memory, AVX-512, ten runs on a quiet host; a busy one gives 1.25 to 1.95), where two that share nothing did
 * 1.7 to 2.0 times as many and a memory copy 1.1 to 2.0. What they paid for sharing, of the 210 ns a record that both cores took (perf,
 * headers, before packets travelled in 64 bytes, half of the ranks wrote later and rows were packed from where they lie, which took 6 %
 * off): waiting where they meet 13; packets that are dealt out and come from the other core's cache 9; the file, to which the kernel lets
 * one write at a time, 5; rows brought into one order 5; shares that are too short to fill the lanes of SHA-256 4; numbering sessions
 * and hosts 3.
 */
#include "dataset/bench_extract.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "dataset/dataset.h"

enum { ROUNDS = 5, LIVE = 4096, PACKETS_A_FLOW = 16, COPY_BYTES = 64 << 20, BATCH_BYTES = 4 << 20 };

/* ---------------------------------------------------------------- captures */
typedef struct sample {
    const char *name;
    uint32_t records, snap_length;
    uint32_t lengths[4]; /* of frames on the wire, in turn */
} sample;
static const sample samples[] = {{"headers only (96 bytes a packet)", 1 << 23, 96, {60, 1514, 60, 600}},
                                 {"full payload", 1 << 20, 65535, {60, 1514, 60, 120}}};
enum { SAMPLES = sizeof samples / sizeof *samples };

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Record i of flows of 16 packets both ways, 4,096 of them alive at once and mixed. */
static size_t make_record(const sample *s, uint32_t i, uint8_t *record)
{
    const uint32_t group = i / (LIVE * PACKETS_A_FLOW), k = i % (LIVE * PACKETS_A_FLOW) / LIVE;
    const uint32_t flow = group * LIVE + i * 1789 % LIVE, way = k % 2, wire = s->lengths[(k + flow) % 4];
    const uint32_t captured = wire < s->snap_length ? wire : s->snap_length;
    const uint32_t header[4] = {1700000000 + i / 200000, i % 200000 * 5, captured, wire};
    uint8_t *ip = record + 16 + 14, *tcp = ip + 20;
    memset(record, 0, 16 + 54);
    memcpy(record, header, sizeof header);
    put16(record + 16 + 12, 0x0800);
    ip[0] = 0x45;
    put16(ip + 2, wire - 14);
    ip[8] = 64;
    ip[9] = 6;
    const uint8_t client[4] = {10, (uint8_t)(flow >> 16), (uint8_t)(flow >> 8), (uint8_t)flow};
    const uint8_t server[4] = {192, 0, 2, (uint8_t)(flow % 251)};
    memcpy(ip + 12, way == 0 ? client : server, 4);
    memcpy(ip + 16, way == 0 ? server : client, 4);
    put16(tcp, way == 0 ? 40000 : 443);
    put16(tcp + 2, way == 0 ? 443 : 40000);
    tcp[12] = 0x50;
    tcp[13] = k == 0 ? WS_TCP_SYN : WS_TCP_ACK;
    put16(tcp + 14, 512);
    return 16 + captured;
}

static ws_err write_sample(const sample *s, FILE *file, const char *path)
{
    const uint32_t header[6] = {0xa1b2c3d4, 2 | 4u << 16, 0, 0, s->snap_length, 1};
    uint8_t *batch = NULL;
    WS_TRY(ws_alloc(&batch, 1, BATCH_BYTES));
    bool written = fwrite(header, sizeof header, 1, file) == 1;
    size_t held = 0;
    for (uint32_t i = 0; written && i < s->records; i++) {
        held += make_record(s, i, batch + held);
        if (held > BATCH_BYTES - 2048 || i + 1 == s->records) {
            written = fwrite(batch, held, 1, file) == 1;
            held = 0;
        }
    }
    free(batch);
    WS_CHECK(written && fflush(file) == 0, IO, "cannot write the capture %s: %s", path, strerror(errno));
    return WS_OK;
}

/* ---------------------------------------------------------------- measuring */
typedef struct measured {
    double seconds, cpu_seconds, copy_rate; /* of the slowest rank; copy: bytes/s a rank */
    ws_extract_report report;
} measured;

typedef struct bench {
    ws_comm all, alone;
    ws_bench_report *report;
    const char *capture;
    char store[512];
    uint64_t bytes;
    bench_ceiling bare, with_features;
    double hash_seconds; /* of the file's SHA-256, on one core */
    /* whole: one rank, the input's hash as one chain; core: one rank with all its threads on one core; seconds 0: it may not
     * be bound */
    measured one, whole, core, many;
    double apart_seconds; /* of the slowest, where every rank extracts the capture on its own, all at once */
} bench;

static ws_err slowest_all(const ws_comm *comm, double *seconds)
{
    int64_t nanoseconds = (int64_t)(*seconds * 1e9);
    WS_TRY(ws_max_i64_all(comm, &nanoseconds, 1));
    *seconds = (double)nanoseconds / 1e9;
    return WS_OK;
}

static ws_err extract_once_all(const bench *b, const ws_comm *comm, bool whole, measured *out)
{
    const ws_extract_options options = {.dataset = "generic",
                                        .inputs = {(const char *const *)&b->capture, 1},
                                        .output = b->store,
                                        .packets = 128,
                                        .endpoints = "drop",
                                        .input_hash_from = whole ? WS_INPUT_HASH_WHOLE : 0};
    if (comm->rank == 0)
        unlink(b->store); /* of the run before: giving back its memory is no part of this one */
    WS_TRY(ws_barrier_all(comm));
    const double cpu = ws_cpu_seconds(), start = ws_clock_seconds();
    ws_extract_report report;
    WS_TRY(ws_extract_all(comm, &options, &report));
    double seconds = ws_clock_seconds() - start;
    WS_TRY(slowest_all(comm, &seconds));
    if (out->seconds == 0 || seconds < out->seconds)
        *out = (measured){seconds, ws_cpu_seconds() - cpu, out->copy_rate, report};
    return WS_OK;
}

/* Bytes a second that every rank copies while all do. */
static ws_err copy_once_all(const ws_comm *comm, uint8_t *memory, measured *out)
{
    WS_TRY(ws_barrier_all(comm));
    double start = ws_clock_seconds();
    memcpy(memory, memory + COPY_BYTES, COPY_BYTES);
    double seconds = ws_clock_seconds() - start;
    WS_TRY(slowest_all(comm, &seconds));
    const double rate = COPY_BYTES / seconds;
    out->copy_rate = rate > out->copy_rate ? rate : out->copy_rate;
    return WS_OK;
}

/* One rank on one core: what several ranks, each with a core, are compared with, since one rank alone has threads on others. */
static ws_err extract_on_one_core(bench *b)
{
    cpu_set_t before, one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    if (sched_getaffinity(0, sizeof before, &before) != 0 || sched_setaffinity(0, sizeof one, &one) != 0)
        return WS_OK;
    ws_err error = extract_once_all(b, &b->alone, false, &b->core);
    if (sched_setaffinity(0, sizeof before, &before) != 0 && error == WS_OK)
        error = WS_ERROR(INTERNAL, "the process stays bound to one core: %s", strerror(errno));
    return error;
}

/* What the machine lets the ranks do that exchange nothing and wait for nobody. */
static ws_err extract_apart_all(bench *b)
{
    bench own = *b;
    measured mine = {0};
    snprintf(own.store, sizeof own.store, "%.480s.%d", b->store, b->all.rank);
    WS_TRY(ws_barrier_all(&b->all));
    ws_err error = extract_once_all(&own, &b->alone, false, &mine);
    unlink(own.store);
    WS_AGREE(&b->all, error);
    WS_TRY(slowest_all(&b->all, &mine.seconds));
    b->apart_seconds = b->apart_seconds == 0 || mine.seconds < b->apart_seconds ? mine.seconds : b->apart_seconds;
    return WS_OK;
}

static ws_err ceiling_once(const char *capture, bool with_features, bench_ceiling *out)
{
    bench_ceiling ceiling;
    WS_TRY(bench_ceiling_run(capture, with_features, &ceiling));
    if (out->seconds == 0 || ceiling.seconds < out->seconds)
        *out = ceiling;
    return WS_OK;
}

static ws_err hash_once(const char *capture, double *least)
{
    ws_digest digest;
    const double start = ws_clock_seconds();
    WS_TRY(ws_sha256_file(capture, &digest));
    const double seconds = ws_clock_seconds() - start;
    *least = *least == 0 || seconds < *least ? seconds : *least;
    return WS_OK;
}

static ws_err measure_alone(bench *b, uint8_t *memory)
{
    WS_TRY(ceiling_once(b->capture, false, &b->bare));
    WS_TRY(ceiling_once(b->capture, true, &b->with_features));
    WS_TRY(hash_once(b->capture, &b->hash_seconds));
    WS_TRY(copy_once_all(&b->alone, memory, &b->one));
    WS_TRY(extract_once_all(b, &b->alone, false, &b->one));
    if (b->all.size == 1)
        WS_TRY(extract_once_all(b, &b->alone, true, &b->whole));
    WS_TRY(extract_on_one_core(b));
    return WS_OK;
}

/* One rank works, the others wait for it. */
static ws_err measure_alone_all(bench *b, uint8_t *memory)
{
    WS_AGREE(&b->all, b->all.rank == 0 ? measure_alone(b, memory) : WS_OK);
    return WS_OK;
}

static ws_err measure_all(bench *b)
{
    uint8_t *memory = NULL;
    WS_AGREE(&b->all, ws_alloc(&memory, 2, COPY_BYTES));
    ws_err error = WS_OK;
    for (int round = 0; round < ROUNDS && error == WS_OK; round++) {
        error = measure_alone_all(b, memory);
        if (error == WS_OK && b->all.size > 1)
            error = copy_once_all(&b->all, memory, &b->many);
        if (error == WS_OK && b->all.size > 1)
            error = extract_apart_all(b);
        if (error == WS_OK && b->all.size > 1)
            error = extract_once_all(b, &b->all, false, &b->many);
    }
    free(memory);
    return error;
}

/* ---------------------------------------------------------------- showing */
static void show_phases(const bench *b, const measured *m, const char *who)
{
    static const char *const names[] = {
#define NAME(name, text) #name,
        WS_EXTRACT_PHASE_LIST(NAME)
#undef NAME
    };
    const double records = (double)m->report.records / 1e9;
    for (int p = 0; p < WS_EXTRACT_PHASE_COUNT; p++) {
        char name[64];
        if (m->report.phase_seconds[p] < m->seconds / 1000)
            continue;
        snprintf(name, sizeof name, "%s: %s", who, names[p]);
        ws_bench_line(b->report, name, m->report.phase_seconds[p] / records, "ns/record", m->seconds / records,
                      "the whole");
    }
}

/* A record of one rank, at n ranks, in seconds. What one core did with it, all threads; the way of its packet and its share of a
 * row to their ranks, of which all but an n-th go to others, over a link that gives a rank 1 GB/s; and the calls that all ranks
 * make together in a round, 20 as counted, a tree of messages of 5 microseconds each. What it leaves out: ranks that wait
 * because others have more to do, and a file system that is slower than the page cache. */
static double model_seconds(const bench *b, double n, double *travel, double *meet)
{
    enum { CALLS = 20, ROUND_BYTES = 8 << 20, PACKET_BYTES = 64 }; /* as dealt out by extract_deal.c */
    const double link = 1e9, message = 5e-6;
    const measured *m = b->core.seconds > 0 ? &b->core : &b->one;
    const double records = (double)m->report.records;
    const double row_bytes =
        (double)m->report.rows * sizeof(ws_flow) + (double)m->report.stored_packets * sizeof(ws_flow_packet);
    const double work = (m->seconds - m->report.phase_seconds[WS_EXTRACT_PHASE_open]) / records;
    *travel = (PACKET_BYTES + row_bytes / records) * (n - 1) / n / link;
    *meet = CALLS * message * log2(n) / (ROUND_BYTES / ((double)b->bytes / records));
    return work + *travel + *meet;
}

static void show_model(const bench *b)
{
    const measured *m = b->core.seconds > 0 ? &b->core : &b->one;
    const double one = (double)m->report.records / m->seconds / 1e6;
    static const int ranks[] = {8, 64, 1024};
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++) {
        double travel, meet;
        const double n = ranks[i], seconds = model_seconds(b, n, &travel, &meet);
        char name[96];
        snprintf(name, sizeof name, "model: %d ranks, a core and 1 GB/s each", ranks[i]);
        ws_bench_line(b->report, name, n / seconds / 1e6, "M records/s", one * n, "one core times ranks");
        snprintf(name, sizeof name, "model: %d ranks, packets and rows travel", ranks[i]);
        ws_bench_line(b->report, name, travel * 1e9, "ns/record", seconds * 1e9, "the whole");
        snprintf(name, sizeof name, "model: %d ranks, all ranks meet", ranks[i]);
        ws_bench_line(b->report, name, meet * 1e9, "ns/record", seconds * 1e9, "the whole");
    }
}

static void show(const bench *b, const char *title)
{
    const double records = (double)b->one.report.records, gigabytes = (double)b->bytes / 1e9;
    const double ceiling = (double)b->bare.records / b->bare.seconds / 1e6;
    const double features = (double)b->with_features.records / b->with_features.seconds / 1e6;
    const double hash = gigabytes / b->hash_seconds;
    const double one = records / b->one.seconds / 1e6;
    char name[96];
    snprintf(name, sizeof name, "%s", title);
    ws_bench_line(b->report, name, gigabytes, "GB", 0, NULL);
    ws_bench_line(b->report, "ceiling: map, parse, hash", ceiling, "M records/s", 0, NULL);
    ws_bench_line(b->report, "ceiling: map, parse, hash, features", features, "M records/s", ceiling,
                  "the ceiling without features");
    ws_bench_line(b->report, "the capture's SHA-256 alone", hash, "GB/s", 0, NULL);
    ws_bench_line(b->report, "capture to store, 1 rank", one, "M records/s", ceiling, "the ceiling");
    ws_bench_line(b->report, "capture to store, 1 rank, beside features", one, "M records/s", features,
                  "the ceiling with features");
    ws_bench_line(b->report, "capture to store, 1 rank, bytes", gigabytes / b->one.seconds, "GB/s", hash,
                  "SHA-256 alone");
    if (b->all.size == 1)
        ws_bench_line(b->report, "capture to store, 1 rank, input hash in one chain", records / b->whole.seconds / 1e6,
                      "M records/s", features, "the ceiling with features");
    ws_bench_line(b->report, "processor time, all threads", b->one.cpu_seconds / records * 1e9, "ns/record", 0, NULL);
    show_phases(b, &b->one, "1 rank");
    if (b->core.seconds > 0) {
        const double core = records / b->core.seconds / 1e6;
        ws_bench_line(b->report, "capture to store, 1 rank on one core", core, "M records/s", ceiling, "the ceiling");
        ws_bench_line(b->report, "capture to store, 1 rank on one core, beside features", core, "M records/s", features,
                      "the ceiling with features");
        ws_bench_line(b->report, "capture to store, 1 rank on one core, bytes", gigabytes / b->core.seconds, "GB/s",
                      hash, "SHA-256 alone");
        show_phases(b, &b->core, "one core");
    }
    if (b->all.size > 1) {
        snprintf(name, sizeof name, "memory copy, %d ranks", b->all.size);
        ws_bench_line(b->report, name, b->many.copy_rate * b->all.size / 1e9, "GB/s", b->one.copy_rate / 1e9, "1 rank");
        snprintf(name, sizeof name, "capture to store, %d ranks that share nothing", b->all.size);
        ws_bench_line(b->report, name, records * b->all.size / b->apart_seconds / 1e6, "M records/s",
                      b->core.seconds > 0 ? records / b->core.seconds / 1e6 : one,
                      b->core.seconds > 0 ? "one core" : "1 rank");
        snprintf(name, sizeof name, "capture to store, %d ranks", b->all.size);
        ws_bench_line(b->report, name, records / b->many.seconds / 1e6, "M records/s", one, "1 rank");
        if (b->core.seconds > 0)
            ws_bench_line(b->report, "the same, parallel efficiency", records / b->many.seconds / 1e6, "M records/s",
                          records / b->core.seconds / 1e6 * b->all.size, "one core times ranks");
        show_phases(b, &b->many, "rank 0 of all");
        ws_bench_line(b->report, "exchanged between ranks, a record",
                      (double)b->many.report.exchanged_bytes * b->all.size / records, "bytes", 0, NULL);
    }
    ws_bench_line(b->report, "peak memory of the process", (double)ws_peak_memory_bytes() / 1e6, "MB", 0, NULL);
    ws_bench_line(b->report, "flows alive at once", (double)b->one.report.peak_live_flows, "flows", 0, NULL);
    show_model(b);
}

static ws_err bench_file_all(bench *b, const char *title)
{
    ws_capture capture;
    ws_err local = ws_capture_open(&capture, b->capture);
    if (local == WS_OK) {
        b->bytes = capture.bytes;
        ws_capture_close(&capture);
    }
    WS_AGREE(&b->all, local);
    ws_err error = measure_all(b);
    if (b->all.rank == 0)
        unlink(b->store);
    WS_TRY(error);
    if (b->all.rank == 0 && b->all.size > 1 && strcmp(b->one.report.content_hash, b->many.report.content_hash) != 0)
        local = WS_ERROR(INTERNAL, "%s: the stores of one rank and of all differ", title);
    WS_AGREE(&b->all, local);
    if (b->all.rank == 0)
        show(b, title);
    return WS_OK;
}

/* Every rank works in rank 0's folder, under rank 0's name. */
static ws_err bench_samples_all(bench *b, const char *folder)
{
    char path[sizeof b->store];
    for (size_t i = 0; i < SAMPLES; i++) {
        snprintf(path, sizeof path, "%s/sample.pcap", folder);
        ws_err local = WS_OK;
        if (b->all.rank == 0) {
            FILE *file = fopen(path, "wb");
            local = file == NULL ? WS_ERROR(IO, "cannot create %s: %s", path, strerror(errno))
                                 : write_sample(&samples[i], file, path);
            if (file != NULL)
                fclose(file);
        }
        WS_AGREE(&b->all, local);
        b->capture = path;
        b->one = b->whole = b->core = b->many = (measured){0};
        b->bare = b->with_features = (bench_ceiling){0};
        b->hash_seconds = b->apart_seconds = 0;
        WS_TRY(bench_file_all(b, samples[i].name));
    }
    return WS_OK;
}

static ws_err run_all(const ws_comm *comm, const char *capture, ws_bench_report *report, const char *folder)
{
    bench b = {.all = *comm, .alone = ws_comm_self(), .report = report, .capture = capture};
    snprintf(b.store, sizeof b.store, "%s/store.h5", folder);
    if (capture != NULL)
        WS_TRY(bench_file_all(&b, "the capture"));
    else
        WS_TRY(bench_samples_all(&b, folder));
    if (capture == NULL)
        WS_TRY(bench_small_files_all(comm, folder, report));
    if (capture == NULL)
        WS_TRY(bench_tables_all(comm, folder, report));
    if (comm->size == 1 && capture == NULL)
        WS_TRY(ws_bench_flow(report));
    return WS_OK;
}

ws_err ws_bench_extract_all(const ws_comm *comm, const char *capture, ws_text *out, bool json)
{
    ws_bench_report report = {.out = out, .json = json};
    char folder[448];
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/wiresweep-bench-XXXXXX", parent == NULL ? "/tmp" : parent);
    ws_err local = WS_OK;
    if (comm->rank == 0 && mkdtemp(folder) == NULL)
        local = WS_ERROR(IO, "cannot create %s: %s", folder, strerror(errno));
    WS_AGREE(comm, local);
    WS_TRY(ws_broadcast_all(comm, folder, sizeof folder, 0));
    ws_err error = run_all(comm, capture, &report, folder);
    if (comm->rank == 0) {
        ws_err removed = ws_directory_remove(folder);
        error = error == WS_OK ? removed : error;
    }
    WS_AGREE(comm, error);
    return comm->rank == 0 ? ws_bench_end(&report) : WS_OK;
}
