/* The part of `wiresweep bench extract` about many small captures: 5,000 files of a few packets each to a store, on one rank
 * and on all, beside the same packets in one file. The difference is what a file costs: found, opened for its header, its
 * hash and its records, named, counted and accounted for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "dataset/bench_extract.h"
#include "dataset/dataset.h"

enum { FILES = 5000, RECORDS_A_FILE = 20, RECORD_BYTES = 16 + 60, ROUNDS = 3 };

/* Header-sized UDP packets of one flow a file, both ways. */
static void make_records(uint32_t file, uint8_t *out)
{
    for (uint32_t k = 0; k < RECORDS_A_FILE; k++, out += RECORD_BYTES) {
        const uint32_t header[4] = {1700000000 + file, k * 1000, 60, 60};
        uint8_t *ip = out + 16 + 14, way = k % 2;
        memset(out, 0, RECORD_BYTES);
        memcpy(out, header, sizeof header);
        out[16 + 12] = 8;
        ip[0] = 0x45;
        ip[3] = 46;
        ip[8] = 64;
        ip[9] = 17;
        const uint8_t ends[2][4] = {{10, 0, (uint8_t)(file >> 8), (uint8_t)file}, {192, 0, 2, 1}};
        memcpy(ip + 12, ends[way], 4);
        memcpy(ip + 16, ends[1 - way], 4);
        ip[21 + 2 * way] = ip[22] = 53; /* one port is 53, the other 13,568 + 53 */
        ip[25] = 26;
    }
}

static ws_err write_captures(const char *folder, const char *one)
{
    static const uint32_t header[6] = {0xa1b2c3d4, 2 | 4u << 16, 0, 0, 65535, 1};
    uint8_t records[RECORDS_A_FILE * RECORD_BYTES];
    FILE *all = fopen(one, "wb");
    bool written = all != NULL && mkdir(folder, 0700) == 0 && fwrite(header, sizeof header, 1, all) == 1;
    for (uint32_t f = 0; written && f < FILES; f++) {
        char path[640];
        snprintf(path, sizeof path, "%s/%05u.pcap", folder, f);
        FILE *file = fopen(path, "wb");
        make_records(f, records);
        written = file != NULL && fwrite(header, sizeof header, 1, file) == 1 &&
                  fwrite(records, sizeof records, 1, file) == 1 && fwrite(records, sizeof records, 1, all) == 1;
        written = (file == NULL || fclose(file) == 0) && written;
    }
    written = (all == NULL || fclose(all) == 0) && written;
    WS_CHECK(written, IO, "cannot write captures to %s: %s", folder, strerror(errno));
    return WS_OK;
}

/* Seconds of the fastest of some runs. */
static ws_err extract_all(const ws_comm *comm, const char *input, const char *store, double *best)
{
    const ws_extract_options options = {
        .dataset = "generic", .inputs = {&input, 1}, .output = store, .packets = 128, .endpoints = "drop"};
    *best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        ws_extract_report report;
        const double start = ws_clock_seconds();
        WS_TRY(ws_extract_all(comm, &options, &report));
        const double seconds = ws_clock_seconds() - start;
        WS_CHECK(report.records == FILES * RECORDS_A_FILE, INTERNAL, "%llu of %d records were read",
                 (unsigned long long)report.records, FILES * RECORDS_A_FILE);
        *best = *best == 0 || seconds < *best ? seconds : *best;
    }
    return WS_OK;
}

ws_err bench_small_files_all(const ws_comm *comm, const char *folder, ws_bench_report *report)
{
    char many[512], one[512], store[512];
    double together = 0, alone = 0, shared = 0;
    snprintf(many, sizeof many, "%s/many", folder);
    snprintf(one, sizeof one, "%s/one.pcap", folder);
    snprintf(store, sizeof store, "%s/store.h5", folder);
    ws_err local = WS_OK;
    if (comm->rank == 0) {
        const ws_comm self = ws_comm_self();
        local = write_captures(many, one);
        if (local == WS_OK)
            local = extract_all(&self, one, store, &together);
        if (local == WS_OK)
            local = extract_all(&self, many, store, &alone);
    }
    WS_AGREE(comm, local);
    if (comm->size > 1)
        WS_TRY(extract_all(comm, many, store, &shared));
    if (comm->rank > 0)
        return WS_OK;
    char name[96];
    snprintf(name, sizeof name, "many small files: %d of %d packets", FILES, RECORDS_A_FILE);
    ws_bench_line(report, name, FILES / alone, "files/s", FILES / together, "the same packets in one file");
    ws_bench_line(report, "a file, 1 rank", (alone - together) / FILES * 1e6, "us/file", 0, NULL);
    snprintf(name, sizeof name, "many small files, %d ranks", comm->size);
    if (comm->size > 1)
        ws_bench_line(report, name, FILES / shared, "files/s", FILES / alone, "1 rank");
    return WS_OK;
}
