/* store_sort: triples of numbers in ascending order, in bounded memory: sorted runs of them go to a file beside the store and
 * are merged through a heap (Knuth, The Art of Computer Programming, volume 3, 5.4). Few of them never see a file.
 */
#include "dataset/extract_file.h"
#include "dataset/store_layout.h"

#include <stdlib.h>

enum { LEAST_HELD = 1024 };

typedef struct run_head {
    ws_triple triple; /* its next one */
    extract_reader reader;
} run_head;

struct ws_sorter {
    const char *store; /* borrowed */
    ws_triple *held;
    size_t count, capacity, most; /* most: held before they become a run */
    extract_file file;
    size_t run_count; /* in the file; all but the last one have `most` triples */
    run_head *heads;  /* a heap, the lowest first */
    size_t head_count, next;
};

ws_err ws_sorter_create(ws_sorter **out, const char *store, uint64_t bytes)
{
    WS_TRY(WS_NEW(*out));
    const uint64_t most = bytes / (2 * sizeof(ws_triple)); /* sorting takes the same again */
    (*out)->store = store;
    (*out)->most = most > LEAST_HELD ? (size_t)most : LEAST_HELD;
    return WS_OK;
}

static void drop_head(ws_sorter *sorter)
{
    extract_reader_close(&sorter->heads[0].reader);
    sorter->heads[0] = sorter->heads[--sorter->head_count];
}

void ws_sorter_destroy(ws_sorter **out)
{
    ws_sorter *sorter = *out;
    if (sorter == NULL)
        return;
    while (sorter->head_count > 0)
        drop_head(sorter);
    extract_file_close(&sorter->file);
    free(sorter->heads);
    free(sorter->held);
    free(sorter);
    *out = NULL;
}

static int compare(const void *left, const void *right)
{
    const ws_triple *a = left, *b = right;
    for (int i = 0; i < 3; i++)
        if (a->of[i] != b->of[i])
            return a->of[i] < b->of[i] ? -1 : 1;
    return 0;
}

static ws_err write_run(ws_sorter *sorter)
{
    qsort(sorter->held, sorter->count, sizeof *sorter->held, compare);
    WS_TRY(extract_file_open(&sorter->file, sorter->store));
    WS_TRY(extract_file_write(&sorter->file, sorter->held, sorter->count * sizeof *sorter->held));
    sorter->run_count++;
    sorter->count = 0;
    return WS_OK;
}

ws_err ws_sorter_add(ws_sorter *sorter, ws_triple triple)
{
    if (sorter->count == sorter->most)
        WS_TRY(write_run(sorter));
    if (sorter->count == sorter->capacity) {
        const size_t wanted = sorter->capacity < LEAST_HELD ? LEAST_HELD : 2 * sorter->capacity;
        WS_TRY(WS_GROW(sorter->held, sorter->capacity, wanted < sorter->most ? wanted : sorter->most));
    }
    sorter->held[sorter->count++] = triple;
    return WS_OK;
}

ws_err ws_sorter_copy(ws_sorter *sorter, ws_triple_sink sink, void *context)
{
    extract_reader reader = {0};
    ws_triple triple;
    ws_err error = extract_reader_open(&reader, &sorter->file, 0, sorter->file.bytes);
    while (error == WS_OK && extract_reader_more(&reader)) {
        error = extract_reader_read(&reader, &triple, sizeof triple);
        if (error == WS_OK)
            error = sink(context, &triple);
    }
    extract_reader_close(&reader);
    for (size_t i = 0; i < sorter->count && error == WS_OK; i++)
        error = sink(context, &sorter->held[i]);
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}

static void sift_down(ws_sorter *sorter, size_t at)
{
    for (size_t child; (child = 2 * at + 1) < sorter->head_count; at = child) {
        run_head *heads = sorter->heads;
        if (child + 1 < sorter->head_count && compare(&heads[child + 1].triple, &heads[child].triple) < 0)
            child++;
        if (compare(&heads[at].triple, &heads[child].triple) <= 0)
            return;
        const run_head swapped = heads[at];
        heads[at] = heads[child];
        heads[child] = swapped;
    }
}

ws_err ws_sorter_merge(ws_sorter *sorter)
{
    if (sorter->run_count == 0) {
        if (sorter->count > 0)
            qsort(sorter->held, sorter->count, sizeof *sorter->held, compare);
        return WS_OK;
    }
    if (sorter->count > 0)
        WS_TRY(write_run(sorter));
    free(sorter->held);
    sorter->held = NULL;
    sorter->capacity = 0;
    WS_TRY(WS_NEW_ARRAY(sorter->heads, sorter->run_count));
    for (size_t r = 0; r < sorter->run_count; r++) {
        const uint64_t run_bytes = sorter->most * sizeof(ws_triple), begin = r * run_bytes;
        const uint64_t end = r + 1 < sorter->run_count ? begin + run_bytes : sorter->file.bytes;
        run_head *head = &sorter->heads[sorter->head_count++];
        WS_TRY(extract_reader_open(&head->reader, &sorter->file, begin, end));
        WS_TRY(extract_reader_read(&head->reader, &head->triple, sizeof head->triple));
    }
    for (size_t i = sorter->head_count; i-- > 0;)
        sift_down(sorter, i);
    return WS_OK;
}

ws_err ws_sorter_next(ws_sorter *sorter, ws_triple *out, bool *more)
{
    if (sorter->run_count == 0) {
        *more = sorter->next < sorter->count;
        if (*more)
            *out = sorter->held[sorter->next++];
        return WS_OK;
    }
    *more = sorter->head_count > 0;
    if (!*more)
        return WS_OK;
    run_head *lowest = &sorter->heads[0];
    *out = lowest->triple;
    if (extract_reader_more(&lowest->reader))
        WS_TRY(extract_reader_read(&lowest->reader, &lowest->triple, sizeof lowest->triple));
    else
        drop_head(sorter);
    sift_down(sorter, 0);
    return WS_OK;
}
