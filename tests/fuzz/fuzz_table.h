/* What the fuzzers of flow tables share: a file through everything that `extract` does with a table but the store, as every
 * family that has tables. Every byte behind the header belongs to one record, every record is a row or skipped under one
 * reason, and reading from any record's start finds the same records behind it.
 */
#ifndef WS_FUZZ_TABLE_H
#define WS_FUZZ_TABLE_H

#include "dataset/table.h"
#include "fuzz/fuzz_capture.h"

enum { FUZZ_CELLS = WS_TABLE_COLUMNS_MAX, FUZZ_PACKETS = 32 };

static inline const ws_table_family *fuzz_family(unsigned choice)
{
    const ws_table_family *families[64];
    unsigned count = 0;
    for (size_t i = 0; ws_dataset_adapters[i] != NULL; i++)
        if (ws_dataset_adapters[i]->table != NULL && count < 64)
            families[count++] = ws_dataset_adapters[i]->table;
    return families[choice % count];
}

/* Records from `offset` on, `skip` of them passed over; *third: where the third one of them begins. */
static inline size_t fuzz_count_records(ws_table_text *text, uint64_t offset, uint64_t *third)
{
    ws_table_record record;
    size_t count = 0;
    FUZZ_CHECK(ws_table_text_seek(text, offset, UINT64_MAX) == WS_OK);
    for (bool more = true;;) {
        FUZZ_CHECK(ws_table_text_next(text, &record, &more) == WS_OK);
        if (!more)
            return count;
        FUZZ_CHECK(record.bytes > 0);
        if (++count == 3)
            *third = record.offset;
    }
}

static inline void fuzz_check_counts(const ws_table_counts *counts, const ws_table_rows *rows, uint64_t bytes)
{
    uint64_t records = counts->rows, taken = counts->row_bytes;
    for (int s = 0; s < WS_TABLE_SKIP_COUNT; s++) {
        records += counts->skipped[s];
        taken += counts->skipped_bytes[s];
    }
    FUZZ_CHECK(counts->rows == rows->count && counts->packets == rows->packet_count);
    FUZZ_CHECK(records == counts->records && taken == counts->bytes && counts->bytes == bytes);
}

static inline void fuzz_rows(ws_table_text *text, const ws_table_plan *plan, uint64_t file_bytes, bool skip_not_finite)
{
    static double numbers[3 * WS_TABLE_LIST_MAX];
    ws_table_maker maker = {.numbers = numbers, .packets = FUZZ_PACKETS, .skip_not_finite = skip_not_finite};
    ws_table_rows rows = {0};
    ws_table_counts counts = {0};
    ws_table_record record;
    uint64_t third = plan->data_begin;
    FUZZ_CHECK(ws_table_names_create(&maker.names) == WS_OK);
    FUZZ_CHECK(ws_table_text_seek(text, plan->data_begin, UINT64_MAX) == WS_OK);
    for (bool more = true;;) {
        FUZZ_CHECK(ws_table_text_next(text, &record, &more) == WS_OK);
        if (!more)
            break;
        if (ws_table_add_row(&maker, plan, &record, 0, counts.records, &rows, &counts) != WS_OK)
            FUZZ_CHECK(ws_table_names_count(maker.names) >= WS_TABLE_CLASSES_MAX);
    }
    fuzz_check_counts(&counts, &rows, file_bytes - plan->data_begin);
    const size_t records = fuzz_count_records(text, plan->data_begin, &third);
    FUZZ_CHECK(records == counts.records);
    if (records >= 3)
        FUZZ_CHECK(fuzz_count_records(text, third, &third) == records - 2);
    ws_table_names_destroy(&maker.names);
    ws_text_destroy(&maker.scratch);
    ws_table_rows_destroy(&rows);
}

static inline void fuzz_table(const char *path, uint64_t file_bytes, const ws_table_family *family,
                              bool skip_not_finite)
{
    ws_arena *arena = NULL;
    ws_table_plan plan;
    FUZZ_CHECK(ws_arena_create(&arena, 1 << 16) == WS_OK);
    (void)ws_table_is_text(path);
    if (ws_table_read_header(path, family, arena, &plan) == WS_OK) {
        ws_table_text *text = NULL;
        FUZZ_CHECK(plan.data_begin <= file_bytes && plan.field_count <= WS_TABLE_COLUMNS_MAX);
        FUZZ_CHECK(ws_table_text_open(&text, path, plan.separator, FUZZ_CELLS) == WS_OK);
        if (!ws_table_text_compressed(text))
            fuzz_rows(text, &plan, file_bytes, skip_not_finite);
        ws_table_text_close(&text);
    }
    ws_arena_destroy(&arena);
}

#endif
