/* gather_rows: y[b,k] = x[b,index[b,k]]. Backward sorts the k of each b by index, by merging, and adds up equal indices in pieces of a
 * fixed length and then over the pieces, so that an index that stands almost everywhere is the work of many threads. No two threads
 * write to one place. */
#include "queue.h"

static __global__ void gather(int64_t B, int64_t T, int64_t K, int64_t D, const float *x, const int32_t *index,
                              float *y)
{
    for (WS_EACH(i, B * K * D)) {
        int64_t row = i / D;
        int32_t t = index[row];
        y[i] = t < 0 ? 0.0f : t < T ? x[(row / K * T + t) * D + i % D] : NAN;
    }
}

extern "C" void ws_gather_rows_forward_cuda(const ws_gather_rows_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, gather, ws_blocks(a->B * a->K * a->D, WS_BLOCK), WS_BLOCK, a->B, a->T, a->K, a->D, a->x, a->index,
              a->y);
}

/* order[b, place] = k: the k of each run of WS_GATHER_RUN by rising index, equal ones by rising k. A place is found by counting. */
static __global__ void sort_runs(int64_t B, int64_t K, const int32_t *index, int32_t *order)
{
    for (WS_EACH(i, B * K)) {
        const int32_t *of_row = index + i / K * K;
        int64_t k = i % K, begin = k - k % WS_GATHER_RUN, end = begin + WS_GATHER_RUN < K ? begin + WS_GATHER_RUN : K;
        int64_t place = begin;
        int32_t own = of_row[k];
        for (int64_t other = begin; other < end; other++)
            place += of_row[other] < own || (of_row[other] == own && other < k) ? 1 : 0;
        order[i - k + place] = (int32_t)k;
    }
}

/* Runs of `length` to runs twice as long. An element goes as far as those of the other run that come before it push it; of equal
 * indices those of the left run come first. */
static __global__ void merge_runs(int64_t B, int64_t K, int64_t length, const int32_t *index, const int32_t *from,
                                  int32_t *to)
{
    for (WS_EACH(i, B * K)) {
        int64_t place = i % K, begin = place - place % (2 * length);
        int64_t middle = begin + length < K ? begin + length : K, end = middle + length < K ? middle + length : K;
        const int32_t *of_row = index + (i - place), *sorted = from + (i - place);
        bool left = place < middle;
        int32_t k = sorted[place], own = of_row[k];
        int64_t low = left ? middle : begin, high = left ? end : middle;
        while (low < high) {
            int64_t half = low + (high - low) / 2;
            int32_t other = of_row[sorted[half]];
            if (left ? other < own : other <= own)
                low = half + 1;
            else
                high = half;
        }
        to[i - middle + low] = k; /* so on both sides: its place in its own run, and those of the other before it */
    }
}

static __global__ void clear(int64_t count, float *dx)
{
    for (WS_EACH(i, count))
        dx[i] = 0;
}

/* The piece of a row's sorted places that belongs to one thread a column. */
typedef struct piece {
    int64_t b, number, begin, end;
    const int32_t *of_row, *sorted;
} piece;

static __device__ __forceinline__ piece piece_of(const ws_gather_rows_arguments &a, int64_t pieces,
                                                 const int32_t *order, int64_t i)
{
    int64_t number = i % pieces, b = i / pieces, begin = number * WS_GATHER_RUN;
    int64_t end = begin + WS_GATHER_RUN < a.K ? begin + WS_GATHER_RUN : a.K;
    return piece{b, number, begin, end, a.index + b * a.K, order + b * a.K};
}

static __device__ __forceinline__ int32_t index_at(const piece &p, int64_t place)
{
    return p.of_row[p.sorted[place]];
}

/* Sums over equal indices within a piece. One that begins and ends there is whole and goes to dx; one that began before it is left
 * in edges[0], one that begins in it and goes on behind it in edges[1]. */
static __global__ void sum_pieces(ws_gather_rows_arguments a, int64_t pieces, const int32_t *order)
{
    for (WS_EACH(i, a.B * pieces * a.D)) {
        piece p = piece_of(a, pieces, order, i / a.D);
        int64_t d = i % a.D, place = p.begin;
        while (place < p.end) {
            int64_t first = place;
            int32_t t = index_at(p, first);
            float sum = 0;
            for (; place < p.end && index_at(p, place) == t; place++)
                sum += a.dy[(p.b * a.K + p.sorted[place]) * a.D + d];
            bool began_before = first == p.begin && first > 0 && index_at(p, first - 1) == t;
            bool goes_on = place == p.end && place < a.K && index_at(p, place) == t;
            if (began_before || goes_on)
                a.edges[(i / a.D * 2 + (began_before ? 0 : 1)) * a.D + d] = sum;
            else if (t >= 0 && t < a.T)
                a.dx[(p.b * a.T + t) * a.D + d] += sum;
        }
    }
}

/* The piece in which a sum begins that goes on behind it adds up the pieces after it, in their order. */
static __global__ void join_pieces(ws_gather_rows_arguments a, int64_t pieces, const int32_t *order)
{
    for (WS_EACH(i, a.B * pieces * a.D)) {
        piece p = piece_of(a, pieces, order, i / a.D);
        int32_t t = index_at(p, p.end - 1);
        bool goes_on = p.end < a.K && index_at(p, p.end) == t;
        bool begins_here = p.begin == 0 || index_at(p, p.begin - 1) != t;
        if (!goes_on || !begins_here || t < 0 || t >= a.T)
            continue;
        int64_t d = i % a.D;
        float sum = a.edges[(i / a.D * 2 + 1) * a.D + d];
        for (int64_t next = p.number + 1, at = p.end; next < pieces && index_at(p, at) == t;
             next++, at += WS_GATHER_RUN)
            sum += a.edges[(p.b * pieces + next) * 2 * a.D + d];
        a.dx[(p.b * a.T + t) * a.D + d] += sum;
    }
}

extern "C" void ws_gather_rows_backward_cuda(const ws_gather_rows_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    int64_t rows = a->B * a->K, pieces = ws_gather_rows_pieces(a->K), columns = a->B * pieces * a->D;
    int32_t *order = a->order, *other = a->order + rows;
    if (a->dx == NULL)
        return;
    if (!a->accumulate_dx)
        WS_LAUNCH(queue, clear, ws_blocks(a->B * a->T * a->D, WS_BLOCK), WS_BLOCK, a->B * a->T * a->D, a->dx);
    WS_LAUNCH(queue, sort_runs, ws_blocks(rows, WS_BLOCK), WS_BLOCK, a->B, a->K, a->index, order);
    for (int64_t length = WS_GATHER_RUN; length < a->K; length *= 2) {
        WS_LAUNCH(queue, merge_runs, ws_blocks(rows, WS_BLOCK), WS_BLOCK, a->B, a->K, length, a->index, order, other);
        int32_t *merged = other;
        other = order;
        order = merged;
    }
    WS_LAUNCH(queue, sum_pieces, ws_blocks(columns, WS_BLOCK), WS_BLOCK, *a, pieces, order);
    WS_LAUNCH(queue, join_pieces, ws_blocks(columns, WS_BLOCK), WS_BLOCK, *a, pieces, order);
}
