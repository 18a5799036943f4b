/* split_audit: what the parts of a split share that they should not: exact duplicates, sessions, hosts. */
#include <stdlib.h>
#include "dataset/dataset.h"

const char *const ws_audit_column_names[WS_AUDIT_COLUMNS] = {"duplicates", "sessions", "hosts"};
const char *const ws_audit_pair_names[WS_AUDIT_PAIRS] = {"test_in_train", "validation_in_train", "test_in_validation"};

static const char *const paths[WS_AUDIT_COLUMNS] = {"/flows/input_hash", "/flows/session_id", "/flows/host_id"};
static const struct {
    ws_part of, in;
} pairs[WS_AUDIT_PAIRS] = {
    {WS_PART_TEST, WS_PART_TRAIN}, {WS_PART_VALIDATION, WS_PART_TRAIN}, {WS_PART_TEST, WS_PART_VALIDATION}};

typedef struct audited_row {
    uint64_t value;
    uint8_t part;
} audited_row;

static int compare_audited(const void *left, const void *right)
{
    const audited_row *a = left, *b = right;
    return (a->value > b->value) - (a->value < b->value);
}

/* Counts in `rows` of `count`, which it sorts. */
static void count_overlaps(audited_row *rows, uint64_t count, ws_audit_overlap overlap[WS_AUDIT_PAIRS])
{
    qsort(rows, count, sizeof *rows, compare_audited);
    for (uint64_t begin = 0, end; begin < count; begin = end) {
        uint64_t of_part[WS_PART_COUNT] = {0};
        for (end = begin; end < count && rows[end].value == rows[begin].value; end++)
            of_part[rows[end].part]++;
        for (int k = 0; k < WS_AUDIT_PAIRS; k++) {
            overlap[k].of += of_part[pairs[k].of];
            if (of_part[pairs[k].of] > 0 && of_part[pairs[k].in] > 0) {
                overlap[k].values++;
                overlap[k].rows += of_part[pairs[k].of];
            }
        }
    }
}

ws_err ws_split_audit_make(ws_split_audit *out, const ws_split *split, const ws_store *store)
{
    uint64_t *column = NULL;
    audited_row *rows = NULL;
    ws_err error = WS_OK;
    memset(out, 0, sizeof *out);
    WS_TRY_GOTO(done, WS_NEW_ARRAY(column, split->rows));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(rows, split->rows));
    for (int c = 0; c < WS_AUDIT_COLUMNS; c++) {
        WS_TRY_GOTO(done, ws_store_read(store, paths[c], H5T_NATIVE_UINT64, 0, split->rows, column));
        uint64_t count = 0;
        for (uint64_t i = 0; i < split->rows; i++)
            if (split->part[i] != WS_PART_NONE)
                rows[count++] = (audited_row){column[i], split->part[i]};
        count_overlaps(rows, count, out->overlap[c]);
    }
done:
    free(column);
    free(rows);
    return error;
}
