/* The part of `wiresweep bench extract` about flow tables: daily CSV as CESNET-QUIC22 publishes it, rows with packet
 * sequences and histograms, plain and as .gz, to a store, beside what must be done at least: its lines counted, the .gz
 * inflated. Rates are rows a second, of the clock and of the processor's time over all threads, so that the latter is what
 * one core can do.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "dataset/bench_extract.h"
#include "dataset/dataset.h"

enum { ROWS = 60000, PACKETS_MOST = 30, ROUNDS = 3, ROW_BYTES = 2048, BLOCK_BYTES = 1 << 20 };

/* ---------------------------------------------------------------- the table */
static const char columns[] =
    "ID,SRC_IP,DST_IP,DST_ASN,SRC_PORT,DST_PORT,PROTOCOL,QUIC_VERSION,QUIC_SNI,QUIC_USERAGENT,TIME_FIRST,TIME_LAST,"
    "DURATION,"
    "BYTES,BYTES_REV,PACKETS,PACKETS_REV,PPI,PPI_LEN,PPI_DURATION,PPI_ROUNDTRIPS,PHIST_SRC_SIZES,PHIST_DST_SIZES,"
    "PHIST_SRC_IPT,PHIST_DST_IPT,APP,CATEGORY,FLOW_ENDREASON_IDLE,FLOW_ENDREASON_ACTIVE,FLOW_ENDREASON_OTHER\n";

static uint32_t draw(uint64_t *state, uint32_t below)
{
    *state = ws_mix64(*state + 0x9e3779b97f4a7c15u);
    return (uint32_t)((*state >> 32) * below >> 32);
}

/* Gaps mostly short, directions mixed, sizes mostly those of full packets. */
static int put_sequence(char *out, int row, uint32_t packets, uint64_t *state)
{
    char *at = out;
    at += sprintf(at, "[");
    for (uint32_t k = 0; k < packets; k++) {
        const uint32_t kind = draw(state, 10);
        const int value = row == 0   ? (k == 0 || kind < 5 ? 0
                                        : kind < 9         ? (int)draw(state, 30)
                                                           : (int)draw(state, 3000))
                          : row == 1 ? (kind < 4 ? -1 : 1)
                                     : (kind < 6 ? 1200 + (int)draw(state, 150) : 20 + (int)draw(state, 600));
        at += sprintf(at, k == 0 ? "%d" : ", %d", value);
    }
    return (int)(at + sprintf(at, "]") - out);
}

static int put_histogram(char *out, uint64_t *state)
{
    char *at = out;
    for (int bin = 0; bin < 8; bin++)
        at += sprintf(at, bin == 0 ? "\"[%u" : ", %u", draw(state, bin % 3 == 0 ? 40 : 8));
    return (int)(at + sprintf(at, "]\",") - out);
}

static int make_row(uint32_t i, char *out)
{
    uint64_t state = i;
    const uint32_t packets = draw(&state, 4) > 0 ? PACKETS_MOST : 3 + draw(&state, PACKETS_MOST - 3),
                   app = draw(&state, 100);
    const uint32_t second = i % 86000, sent = packets + draw(&state, 200), received = packets + draw(&state, 400);
    char *at = out;
    at += sprintf(at, "%u,%u.%u.%u.%u,142.251.%u.%u,15169,%u,443,17,0x00000001,app%u.example.com,,", i,
                  1 + draw(&state, 200), draw(&state, 256), draw(&state, 256), draw(&state, 256), draw(&state, 40),
                  draw(&state, 256), 1024 + draw(&state, 60000), app);
    for (uint32_t later = 0; later < 2; later++)
        at += sprintf(at, "2022-10-31T%02u:%02u:%02u.%06u,", (second + later) / 3600, (second + later) / 60 % 60,
                      (second + later) % 60, draw(&state, 1000000));
    at += sprintf(at, "%u.%06u,%u,%u,%u,%u,\"[", draw(&state, 60), draw(&state, 1000000), sent * 300, received * 900,
                  sent, received);
    for (int row = 0; row < 3; row++) {
        at += put_sequence(at, row, packets, &state);
        at += sprintf(at, row < 2 ? ", " : "]\",");
    }
    at += sprintf(at, "%u,%u.%03u,%u,", packets, draw(&state, 9), draw(&state, 1000), 1 + draw(&state, 9));
    for (int histogram = 0; histogram < 4; histogram++)
        at += put_histogram(at, &state);
    return (int)(at + sprintf(at, "app%u,category%u,%u,0,0\n", app, app % 18, draw(&state, 2)) - out);
}

static ws_err write_tables(const char *plain, const char *packed)
{
    char row[ROW_BYTES];
    FILE *file = fopen(plain, "wb");
    gzFile zipped = gzopen(packed, "wb6");
    bool written = file != NULL && zipped != NULL && fputs(columns, file) >= 0 && gzputs(zipped, columns) > 0;
    for (uint32_t i = 0; written && i < ROWS; i++) {
        const int bytes = make_row(i, row);
        written = fwrite(row, (size_t)bytes, 1, file) == 1 && gzwrite(zipped, row, (unsigned)bytes) == bytes;
    }
    written = (file == NULL || fclose(file) == 0) && (zipped == NULL || gzclose(zipped) == Z_OK) && written;
    WS_CHECK(written, IO, "cannot write the tables %s and %s: %s", plain, packed, strerror(errno));
    return WS_OK;
}

/* ---------------------------------------------------------------- measuring */
typedef struct rate {
    double seconds, cpu_seconds; /* of the fastest run */
    char content_hash[65];
} rate;

static void keep_best(rate *best, double seconds, double cpu_seconds)
{
    if (best->seconds > 0 && best->seconds <= seconds)
        return;
    best->seconds = seconds;
    best->cpu_seconds = cpu_seconds;
}

static ws_err extract_all(const ws_comm *comm, const char *input, const char *store, rate *best)
{
    const ws_extract_options options = {
        .dataset = "cesnet_quic22", .inputs = {&input, 1}, .output = store, .packets = 128, .endpoints = "drop"};
    for (int round = 0; round < ROUNDS; round++) {
        ws_extract_report report;
        const double cpu = ws_cpu_seconds(), start = ws_clock_seconds();
        WS_TRY(ws_extract_all(comm, &options, &report));
        keep_best(best, ws_clock_seconds() - start, ws_cpu_seconds() - cpu);
        WS_CHECK(report.flows == ROWS, INTERNAL, "%llu of %d rows were read", (unsigned long long)report.flows, ROWS);
        memcpy(best->content_hash, report.content_hash, sizeof best->content_hash);
    }
    return WS_OK;
}

/* On one core, to the end; *content: how much it was. */
static ws_err inflate_file(const char *path, int file, uint64_t bytes, uint64_t *content)
{
    ws_stream *stream = NULL;
    ws_stream_use_cores(1);
    WS_TRY(ws_stream_create(&stream, WS_COMPRESSION_gzip, path, file, bytes));
    ws_err error = WS_OK;
    for (uint64_t at = 0;; at = *content) {
        error = ws_stream_reach(stream, at, at + BLOCK_BYTES, content);
        if (error != WS_OK || *content == at)
            break;
        ws_stream_release(stream, *content);
    }
    ws_stream_destroy(&stream);
    WS_TRY(error);
    return WS_OK;
}

static ws_err count_lines(const char *path, int file, char *block, uint64_t *lines)
{
    *lines = 0;
    for (off_t at = 0;;) {
        const ssize_t got = pread(file, block, BLOCK_BYTES, at);
        WS_CHECK(got >= 0, IO, "%s: %s", path, strerror(errno));
        if (got == 0)
            return WS_OK;
        for (const char *line = block; (line = memchr(line, '\n', (size_t)(block + got - line))) != NULL; line++)
            (*lines)++;
        at += got;
    }
}

/* The ceilings, of one file each. */
static ws_err measure_ceiling(const char *path, bool packed, rate *best, uint64_t *found)
{
    ws_err error = WS_OK;
    struct stat about;
    char *block = NULL;
    WS_TRY(WS_NEW_ARRAY(block, BLOCK_BYTES));
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    WS_CHECK_GOTO(done, file >= 0 && fstat(file, &about) == 0, IO, "%s: %s", path, strerror(errno));
    for (int round = 0; round < ROUNDS; round++) {
        const double start = ws_clock_seconds();
        WS_TRY_GOTO(done, packed ? inflate_file(path, file, (uint64_t)about.st_size, found)
                                 : count_lines(path, file, block, found));
        keep_best(best, ws_clock_seconds() - start, 0);
    }
done:
    if (file >= 0)
        close(file);
    free(block);
    return error;
}

typedef struct tables_bench {
    char plain[512], packed[512], store[512];
    rate lines, inflate, from_plain, from_packed, shared;
    uint64_t line_count, content;
} tables_bench;

static ws_err measure_alone(tables_bench *b)
{
    const ws_comm self = ws_comm_self();
    WS_TRY(write_tables(b->plain, b->packed));
    WS_TRY(measure_ceiling(b->plain, false, &b->lines, &b->line_count));
    WS_TRY(measure_ceiling(b->packed, true, &b->inflate, &b->content));
    WS_TRY(extract_all(&self, b->plain, b->store, &b->from_plain));
    WS_TRY(extract_all(&self, b->packed, b->store, &b->from_packed));
    WS_CHECK(b->line_count == ROWS + 1 && strcmp(b->from_plain.content_hash, b->from_packed.content_hash) == 0,
             INTERNAL, "the stores of a table and of its .gz differ");
    return WS_OK;
}

static void show(const tables_bench *b, int ranks, ws_bench_report *report)
{
    const double rows = ROWS / 1e6, lines = rows / b->lines.seconds, inflated = rows / b->inflate.seconds;
    char name[96];
    ws_bench_line(report, "flow table with packet sequences, a row", (double)b->content / ROWS, "bytes", 0, NULL);
    ws_bench_line(report, "ceiling: lines counted", lines, "M rows/s", 0, NULL);
    snprintf(name, sizeof name, "ceiling: .gz inflated by %s", ws_stream_gzip_library());
    ws_bench_line(report, name, inflated, "M rows/s", 0, NULL);
    ws_bench_line(report, "table to store", rows / b->from_plain.seconds, "M rows/s", lines, "lines counted");
    ws_bench_line(report, "table to store, a core", rows / b->from_plain.cpu_seconds, "M rows/s", lines,
                  "lines counted");
    ws_bench_line(report, "table to store from .gz", rows / b->from_packed.seconds, "M rows/s", inflated,
                  ".gz inflated");
    ws_bench_line(report, "table to store from .gz, a core", rows / b->from_packed.cpu_seconds, "M rows/s", inflated,
                  ".gz inflated");
    snprintf(name, sizeof name, "table to store, %d ranks", ranks);
    if (ranks > 1)
        ws_bench_line(report, name, rows / b->shared.seconds, "M rows/s", rows / b->from_plain.seconds, "1 rank");
}

ws_err bench_tables_all(const ws_comm *comm, const char *folder, ws_bench_report *report)
{
    tables_bench b = {0};
    snprintf(b.plain, sizeof b.plain, "%s/flows-20221031.csv", folder);
    snprintf(b.packed, sizeof b.packed, "%s/flows-20221031.csv.gz", folder);
    snprintf(b.store, sizeof b.store, "%s/store.h5", folder);
    WS_AGREE(comm, comm->rank == 0 ? measure_alone(&b) : WS_OK);
    if (comm->size > 1)
        WS_TRY(extract_all(comm, b.plain, b.store, &b.shared));
    if (comm->rank == 0)
        show(&b, comm->size, report);
    return WS_OK;
}
