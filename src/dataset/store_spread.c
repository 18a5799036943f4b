/* store_spread: rows of several batches lie scattered over the ranks; a window is written in shares of adjacent ones. */
#include "dataset/store_writer.h"

#include <stdlib.h>

/* Cuts the runs where shares end: pieces in order of number, and how many pieces and records go to each rank. */
static ws_err cut_runs(const ws_held *from, uint64_t begin, uint64_t total, int size, ws_number_run **out,
                       size_t *pieces, size_t *records)
{
    ws_number_run *cut;
    size_t count = 0;
    uint64_t low, high;
    int rank = 0;
    WS_TRY(WS_NEW_ARRAY(cut, from->run_count + (size_t)size));
    *out = cut;
    ws_even_split(total, size, 0, &low, &high);
    for (size_t i = 0; i < from->run_count; i++) {
        ws_number_run run = from->runs[i];
        while (run.count > 0) {
            while (run.number - begin >= high)
                ws_even_split(total, size, ++rank, &low, &high);
            uint64_t here = run.number + run.count - begin > high ? begin + high - run.number : run.count;
            cut[count++] = (ws_number_run){run.number, here};
            pieces[rank]++;
            records[rank] += here;
            run.number += here;
            run.count -= here;
        }
    }
    return WS_OK;
}

/* Received pieces, rank by rank, each in its place. */
static ws_err place_pieces(const ws_number_run *pieces, size_t piece_count, const unsigned char *arrived,
                           size_t record_bytes, uint64_t begin, uint64_t count, void *ordered)
{
    for (size_t i = 0; i < piece_count; i++) {
        WS_CHECK(pieces[i].number >= begin && pieces[i].number + pieces[i].count <= begin + count, INTERNAL,
                 "rows of another rank's share arrived");
        size_t bytes = (size_t)pieces[i].count * record_bytes;
        memcpy((unsigned char *)ordered + (pieces[i].number - begin) * record_bytes, arrived, bytes);
        arrived += bytes;
    }
    return WS_OK;
}

ws_err ws_store_spread_all(const ws_comm *comm, const ws_held *from, uint64_t begin, uint64_t total, ws_share *out)
{
    const size_t size = (size_t)comm->size;
    size_t *counts = NULL, piece_count = 0;
    ws_number_run *cut = NULL, *pieces = NULL;
    unsigned char *arrived = NULL;
    uint64_t low, high;
    ws_even_split(total, comm->size, comm->rank, &low, &high);
    *out = (ws_share){.begin = begin + low, .count = high - low};
    ws_err error = WS_NEW_ARRAY(counts, 3 * size);
    if (error == WS_OK)
        error = cut_runs(from, begin, total, comm->size, &cut, counts, counts + size);
    if (error == WS_OK)
        error = ws_alloc(&out->owned, (size_t)out->count, from->record_bytes);
    WS_TRY_GOTO(done, ws_agree_all(comm, error));
    WS_TRY_GOTO(done, ws_exchange_all(comm, cut, counts, sizeof *cut, (void **)&pieces, counts + 2 * size));
    for (size_t r = 0; r < size; r++)
        piece_count += counts[2 * size + r];
    WS_TRY_GOTO(done, ws_exchange_all(comm, from->records, counts + size, from->record_bytes, (void **)&arrived,
                                      counts + 2 * size));
    WS_TRY_GOTO(done, ws_agree_all(comm, place_pieces(pieces, piece_count, arrived, from->record_bytes, out->begin,
                                                      out->count, out->owned)));
done:
    free(counts);
    free(cut);
    free(pieces);
    free(arrived);
    out->records = out->owned;
    return error;
}
