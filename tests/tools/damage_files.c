/* damage_files CASES SEED FOLDER FAMILY FILE [FAMILY FILE]...: every file as it is, then CASES of them cut off somewhere or with
 * some bits turned, each through all of an extraction, in one process. Each must end with a store, whose records are all accounted
 * for, or with an error of one line that names the file and leaves nothing behind; damage that must show has to be counted.
 * Then some of the cases once more: memory in use must not grow. In FOLDER lie the case (case.SUFFIX) and its store.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>
#include "dataset/dataset.h"

extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

enum { SECONDS_A_CASE = 60, REPEATED = 100, GROWTH_BYTES = 64 << 10 };

typedef struct base_file {
    const char *family, *path, *suffix;
    unsigned char *bytes;
    size_t count;
    bool compressed;
} base_file;

typedef struct damage {
    const base_file *base;
    bool cut;
    size_t bytes; /* left */
    int flips;
} damage;

static ws_comm world;
static char case_path[512], store_path[512], partial_path[520];
static uint64_t stores, refusals, damaged_runs, rows_skipped;

static void fail(uint64_t number, const damage *d, const char *why)
{
    printf("case %llu: %s, %s %zu bytes of %zu, %d bits turned: %s\n", (unsigned long long)number, d->base->path,
           d->cut ? "cut to" : "all", d->bytes, d->base->count, d->flips, why);
    exit(1);
}

static uint64_t draw(uint64_t *state, uint64_t below)
{
    *state = ws_mix64(*state + 0x9e3779b97f4a7c15);
    return *state % below;
}

/* Where the file's records end, of a classic pcap as make_capture writes it by default. */
static bool ends_between_records(const base_file *base, size_t bytes)
{
    size_t at = 24;
    uint32_t captured;
    while (at + 16 <= bytes) {
        memcpy(&captured, base->bytes + at + 8, sizeof captured);
        at += 16 + (size_t)captured;
    }
    return at == bytes;
}

/* Damage that no reader can miss: a compressed stream without its end, a pcap that ends within a record. */
static bool must_show(const damage *d)
{
    static const uint32_t magic = 0xa1b2c3d4;
    if (!d->cut || d->flips > 0 || d->bytes >= d->base->count)
        return false;
    if (d->base->compressed)
        return true;
    return d->base->count > 24 && memcmp(d->base->bytes, &magic, sizeof magic) == 0 &&
           !ends_between_records(d->base, d->bytes);
}

static void check_refusal(uint64_t number, const damage *d)
{
    const char *message = ws_error_message(), *name = strrchr(case_path, '/') + 1;
    if (strstr(message, name) == NULL)
        fail(number, d, ws_format("the error does not name the file: %s", message));
    if (strchr(message, '\n') != NULL)
        fail(number, d, ws_format("the error has several lines: %s", message));
    if (ws_file_exists(store_path) || ws_file_exists(partial_path))
        fail(number, d, "an error leaves a store behind");
    refusals++;
}

static void check_store(uint64_t number, const damage *d, const ws_extract_report *report)
{
    uint64_t records = report->packets;
    for (int s = 0; s < WS_SKIP_COUNT; s++)
        records += report->skipped[s];
    if (!report->tables && records != report->records)
        fail(number, d, "records are missing from the counters");
    if (!report->tables && must_show(d) && report->damage_runs == 0)
        fail(number, d, "damage was passed over in silence");
    if (report->tables && must_show(d))
        fail(number, d, "a table that was cut off within its compressed stream makes a store");
    stores++;
    damaged_runs += report->damage_runs;
    rows_skipped += report->rows_skipped;
}

static void write_case(uint64_t number, const damage *d, uint64_t *state)
{
    snprintf(case_path, sizeof case_path, "%.*s/case.%s", (int)(strrchr(store_path, '/') - store_path), store_path,
             d->base->suffix);
    unsigned char *bytes = malloc(d->bytes + 1);
    if (bytes == NULL)
        fail(number, d, "no memory");
    memcpy(bytes, d->base->bytes, d->bytes);
    for (int k = 0; k < d->flips && d->bytes > 0; k++) {
        const size_t within = draw(state, 3) == 0 && d->bytes > 512 ? 512 : d->bytes; /* headers are worth more */
        bytes[draw(state, within)] ^= (unsigned char)(1u << draw(state, 8));
    }
    if (ws_file_write(case_path, bytes, d->bytes) != WS_OK)
        fail(number, d, ws_error_message());
    free(bytes);
}

/* Of the process, not of the clock: then a signal ends it. */
static void limit_time(long seconds)
{
    const struct itimerval limit = {.it_value = {.tv_sec = seconds}};
    setitimer(ITIMER_PROF, &limit, NULL);
}

static void run_case(uint64_t number, const base_file *files, size_t file_count, uint64_t seed)
{
    uint64_t state = ws_mix64(seed) ^ ws_mix64(number);
    damage d = {.base = &files[number % file_count], .bytes = files[number % file_count].count};
    if (number >= file_count) {
        d.base = &files[draw(&state, file_count)];
        d.cut = draw(&state, 2);
        d.bytes = d.cut ? draw(&state, d.base->count + 1) : d.base->count;
        d.flips = d.cut ? 0 : 1 + (int)draw(&state, 8);
    }
    write_case(number, &d, &state);
    const char *const paths[] = {case_path};
    ws_extract_report report;
    const ws_extract_options options = {.dataset = d.base->family,
                                        .inputs = {paths, 1},
                                        .output = store_path,
                                        .packets = 16,
                                        .endpoints = "drop",
                                        .round_bytes = number % 3 == 0 ? 4096 : 0};
    limit_time(SECONDS_A_CASE);
    if (ws_extract_all(&world, &options, &report) == WS_OK)
        check_store(number, &d, &report);
    else
        check_refusal(number, &d);
    limit_time(0);
    ws_error_clear();
    unlink(store_path);
    unlink(case_path);
}

static size_t memory_in_use(void)
{
    H5garbage_collect();
    return __sanitizer_get_current_allocated_bytes != NULL ? __sanitizer_get_current_allocated_bytes()
                                                           : mallinfo2().uordblks;
}

static bool load(base_file *file, const char *family, const char *path)
{
    static const char *const compressed[] = {".gz", ".zst", ".xz", ".bz2"};
    const char *base = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path, *dot = strchr(base, '.');
    FILE *stream = fopen(path, "rb");
    long bytes = -1;
    *file = (base_file){.family = family, .path = path, .suffix = dot != NULL ? dot + 1 : "pcap"};
    for (size_t i = 0; i < sizeof compressed / sizeof *compressed; i++)
        file->compressed = file->compressed || (dot != NULL && strstr(dot, compressed[i]) != NULL);
    if (stream != NULL && fseek(stream, 0, SEEK_END) == 0)
        bytes = ftell(stream);
    if (bytes < 0)
        return false;
    rewind(stream);
    file->count = (size_t)bytes;
    file->bytes = malloc(file->count + 1);
    const bool read = file->bytes != NULL && fread(file->bytes, 1, file->count, stream) == file->count;
    fclose(stream);
    return read;
}

static int run_all(uint64_t cases, uint64_t seed, const char *folder, const base_file *files, size_t file_count)
{
    snprintf(store_path, sizeof store_path, "%s/store.h5", folder);
    snprintf(partial_path, sizeof partial_path, "%s.partial", store_path);
    for (uint64_t number = 0; number < file_count + cases; number++)
        run_case(number, files, file_count, seed);
    printf("%llu cases of %zu files: %llu stores (%llu damaged places, %llu rows skipped), %llu refused\n",
           (unsigned long long)(file_count + cases), file_count, (unsigned long long)stores,
           (unsigned long long)damaged_runs, (unsigned long long)rows_skipped, (unsigned long long)refusals);
    const size_t before = memory_in_use();
    const uint64_t repeated = cases < REPEATED ? cases : REPEATED;
    for (uint64_t number = 0; number < repeated; number++)
        run_case(file_count + number, files, file_count, seed);
    const size_t after = memory_in_use();
    printf("%llu cases again: %zu bytes in use before, %zu after\n", (unsigned long long)repeated, before, after);
    return after > before + GROWTH_BYTES;
}

int main(int argc, char **argv)
{
    if (argc < 6 || argc % 2 != 0) {
        fputs("damage_files CASES SEED FOLDER FAMILY FILE [FAMILY FILE]...\n", stderr);
        return 2;
    }
    const size_t file_count = (size_t)(argc - 4) / 2;
    base_file *files = calloc(file_count, sizeof *files);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; files != NULL && i < file_count; i++)
        if (!load(&files[i], argv[4 + 2 * i], argv[5 + 2 * i])) {
            perror(argv[5 + 2 * i]);
            return 1;
        }
    if (files == NULL || ws_cluster_start(&argc, &argv, true, &world) != WS_OK)
        return 1;
    const int status = run_all(strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10), argv[3], files, file_count);
    for (size_t i = 0; i < file_count; i++)
        free(files[i].bytes);
    free(files);
    ws_cluster_stop();
    return status;
}
