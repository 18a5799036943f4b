/* store_ids_late: numbers of the sessions and hosts that did not fit the memory while the rows were written. Their rows have
 * none yet; what is known of each is its identity and its row, in a file.
 *
 * Sorted by identity and row, the first row of each identity comes first of its rows. A new identity's number is how many
 * identities have a lower first row: a bit a row, set at first rows, and a running count of them answer that. Sorted by row
 * again, the numbers go into the column where they belong. Memory: that of the sorting, and a bit a row.
 */
#include "dataset/store_ids.h"

#include <stdlib.h>

/* Rows whose numbers are brought into the column together, a rank. */
enum { PATCH_ROWS = 1 << 18, WORD = 64 };

typedef struct late_row {
    uint64_t row, number;
} late_row;

/* First rows among [base, ...), a bit a row, and how many there are before each word. */
typedef struct first_rows {
    uint64_t base, *bits, *before;
    size_t words;
} first_rows;

static ws_err find_first_rows(ws_dense_ids *ids, first_rows *first, ws_sorter **by_row)
{
    uint64_t first_row = 0;
    ws_triple last = {{0}}, at;
    bool any = false, more;
    WS_TRY(ws_sorter_create(by_row, ids->store, ids->bytes));
    WS_TRY(ws_sorter_merge(ids->late));
    for (;;) {
        WS_TRY(ws_sorter_next(ids->late, &at, &more));
        if (!more)
            break;
        if (!any || at.of[0] != last.of[0] || at.of[1] != last.of[1]) {
            first_row = at.of[2];
            first->bits[(first_row - first->base) / WORD] |= UINT64_C(1) << (first_row - first->base) % WORD;
        }
        any = true;
        last = at;
        WS_TRY(ws_sorter_add(*by_row, (ws_triple){{at.of[2], first_row, 0}}));
    }
    ws_sorter_destroy(&ids->late);
    WS_TRY(ws_sorter_merge(*by_row));
    return WS_OK;
}

/* Every first row is known to one rank only, so the sum of the words has the bits of all. */
static ws_err count_first_rows_all(const ws_comm *comm, first_rows *first, uint64_t *total)
{
    WS_TRY(ws_sum_u64_all(comm, first->bits, first->words));
    *total = 0;
    for (size_t w = 0; w < first->words; w++) {
        first->before[w] = *total;
        *total += (uint64_t)__builtin_popcountll(first->bits[w]);
    }
    return WS_OK;
}

static uint64_t number_of(const first_rows *first, uint64_t row)
{
    const uint64_t at = row - first->base, below = (UINT64_C(1) << at % WORD) - 1;
    return first->before[at / WORD] + (uint64_t)__builtin_popcountll(first->bits[at / WORD] & below);
}

/* ---------------------------------------------------------------- into the column */
typedef struct patch {
    const ws_comm *comm;
    const first_rows *first;
    uint64_t next_number; /* of the first new identity */
    ws_sorter *by_row;
    ws_triple at; /* the next late row of this rank */
    bool more;
    late_row *rows; /* of this window */
    size_t count, capacity;
    size_t *counts; /* [2 * ranks] */
    uint32_t *values;
} patch;

/* This rank's late rows below `end`, and how many of them lie in each rank's share of [begin, end). */
static ws_err take_late_rows(patch *p, uint64_t begin, uint64_t end)
{
    int rank = 0;
    uint64_t low, high;
    p->count = 0;
    memset(p->counts, 0, 2 * (size_t)p->comm->size * sizeof *p->counts);
    ws_even_split(end - begin, p->comm->size, 0, &low, &high);
    while (p->more && p->at.of[0] < end) {
        while (p->at.of[0] - begin >= high)
            ws_even_split(end - begin, p->comm->size, ++rank, &low, &high);
        WS_TRY(WS_GROW(p->rows, p->capacity, p->count + 1));
        p->rows[p->count++] = (late_row){p->at.of[0], p->next_number + number_of(p->first, p->at.of[1])};
        p->counts[rank]++;
        WS_TRY(ws_sorter_next(p->by_row, &p->at, &p->more));
    }
    return WS_OK;
}

/* Rows [begin, begin + count) of the column, read or written by all ranks together; count may be 0. */
static ws_err transfer(hid_t dataset, hid_t collective, bool write, uint64_t begin, uint64_t count, uint32_t *values)
{
    ws_err error = WS_OK;
    const hsize_t start = begin, size = count;
    hid_t file_space = -1, memory_space = -1;
    WS_H5_GOTO(out, file_space = H5Dget_space(dataset));
    WS_H5_GOTO(out, memory_space = H5Screate_simple(1, &size, NULL));
    if (count == 0) {
        WS_H5_GOTO(out, H5Sselect_none(file_space));
        WS_H5_GOTO(out, H5Sselect_none(memory_space));
    } else {
        WS_H5_GOTO(out, H5Sselect_hyperslab(file_space, H5S_SELECT_SET, &start, NULL, &size, NULL));
    }
    if (write)
        WS_H5_GOTO(out, H5Dwrite(dataset, H5T_NATIVE_UINT32, memory_space, file_space, collective, values));
    else
        WS_H5_GOTO(out, H5Dread(dataset, H5T_NATIVE_UINT32, memory_space, file_space, collective, values));
out:
    if (file_space >= 0)
        H5Sclose(file_space);
    if (memory_space >= 0)
        H5Sclose(memory_space);
    return error;
}

static ws_err patch_window_all(patch *p, hid_t dataset, hid_t collective, uint64_t begin, uint64_t end)
{
    const ws_comm *comm = p->comm;
    late_row *arrived = NULL;
    size_t *arrived_counts = p->counts + comm->size, count = 0;
    uint64_t low, high;
    WS_AGREE(comm, take_late_rows(p, begin, end));
    WS_TRY(ws_exchange_all(comm, p->rows, p->counts, sizeof *p->rows, (void **)&arrived, arrived_counts));
    for (int r = 0; r < comm->size; r++)
        count += arrived_counts[r];
    ws_even_split(end - begin, comm->size, comm->rank, &low, &high);
    ws_err error = ws_agree_all(comm, transfer(dataset, collective, false, begin + low, high - low, p->values));
    for (size_t i = 0; error == WS_OK && i < count; i++)
        p->values[arrived[i].row - begin - low] = (uint32_t)arrived[i].number;
    free(arrived);
    WS_TRY(error);
    WS_AGREE(comm, transfer(dataset, collective, true, begin + low, high - low, p->values));
    return WS_OK;
}

static ws_err patch_all(patch *p, hid_t dataset, hid_t collective, uint64_t begin, uint64_t end)
{
    ws_err local = WS_NEW_ARRAY(p->counts, 2 * (size_t)p->comm->size);
    if (local == WS_OK)
        local = WS_NEW_ARRAY(p->values, PATCH_ROWS + 1);
    if (local == WS_OK)
        local = ws_sorter_next(p->by_row, &p->at, &p->more);
    WS_AGREE(p->comm, local);
    const uint64_t step = (uint64_t)PATCH_ROWS * (uint64_t)p->comm->size;
    for (; begin < end; begin += step < end - begin ? step : end - begin)
        WS_TRY(patch_window_all(p, dataset, collective, begin, step < end - begin ? begin + step : end));
    return WS_OK;
}

ws_err ws_dense_ids_finish_all(const ws_comm *comm, ws_dense_ids *ids, uint64_t total_rows, hid_t dataset,
                               hid_t collective)
{
    if (!ids->is_late)
        return WS_OK;
    free(ids->slots);
    ids->slots = NULL;
    uint64_t total = 0;
    first_rows first = {.base = ids->first_late, .words = (size_t)((total_rows - ids->first_late) / WORD + 1)};
    patch p = {.comm = comm, .first = &first, .next_number = ids->next};
    ws_err error = WS_NEW_ARRAY(first.bits, first.words);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(first.before, first.words);
    if (error == WS_OK)
        error = find_first_rows(ids, &first, &p.by_row);
    WS_TRY_GOTO(out, ws_agree_all(comm, error));
    WS_TRY_GOTO(out, count_first_rows_all(comm, &first, &total));
    WS_CHECK_GOTO(out, ids->next + total <= UINT32_MAX, UNSUPPORTED, "more than 2^32 sessions or hosts in one store");
    error = patch_all(&p, dataset, collective, first.base, total_rows);
out:
    ws_sorter_destroy(&p.by_row);
    free(p.rows);
    free(p.counts);
    free(p.values);
    free(first.bits);
    free(first.before);
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}
