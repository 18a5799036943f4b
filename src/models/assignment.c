/* Jonker-Volgenant linear assignment; see assignment.h. Costs are floats, the dual prices doubles. The scans over columns
 * are kernels; columns are padded to their lanes with infinite cost. */
#include <math.h>
#include <stdlib.h>
#include "../kernels/assignment.h"
#include "models/assignment.h"

struct ws_assignment {
    int size;
    size_t columns;     /* size, padded */
    float *cost;        /* [size][columns] */
    double *price;      /* [columns] dual variable of each column */
    double *open_price; /* [columns] the same, minus infinity once the search has settled a column */
    double *distance;   /* [columns] length of the shortest path to a column; infinite once settled */
    double *settled_at; /* [columns] distance of a settled column */
    int64_t *via;       /* [columns] row from which a column was reached */
    int32_t *row_of;    /* row assigned to each column, or -1 */
    int32_t *free_rows; /* rows without a column */
    int32_t *settled;   /* columns in the order in which the search settled them */
    int32_t *cheapest;  /* row of the least cost in each column */
    int32_t *matches;   /* how many columns chose a row during column reduction */
    ws_assignment_least_function least;
    ws_assignment_relax_function relax;
};

static void choose_kernels(ws_assignment *a)
{
    a->least = ws_assignment_least_portable;
    a->relax = ws_assignment_relax_portable;
#if defined(__x86_64__)
    if (ws_isa_active() == WS_ISA_AVX2) {
        a->least = ws_assignment_least_avx2;
        a->relax = ws_assignment_relax_avx2;
    } else if (ws_isa_active() >= WS_ISA_AVX512) {
        a->least = ws_assignment_least_avx512;
        a->relax = ws_assignment_relax_avx512;
    }
#endif
}

ws_err ws_assignment_create(ws_assignment **out, int size)
{
    ws_err error = WS_OK;
    ws_assignment *a;
    size_t n = (size_t)size, columns = (n + WS_ASSIGNMENT_LANES - 1) / WS_ASSIGNMENT_LANES * WS_ASSIGNMENT_LANES;
    WS_TRY(WS_NEW(a));
    a->size = size;
    a->columns = columns;
    choose_kernels(a);
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(a->cost, n * columns));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(a->price, columns));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(a->open_price, columns));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(a->distance, columns));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(a->settled_at, columns));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(a->via, columns));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(a->row_of, n));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(a->free_rows, n));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(a->settled, n));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(a->cheapest, n));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(a->matches, n));
    for (size_t i = 0; i < n; i++)
        for (size_t j = n; j < columns; j++)
            a->cost[i * columns + j] = INFINITY;
    *out = a;
    return WS_OK;
fail:
    ws_assignment_destroy(&a);
    return error;
}

void ws_assignment_destroy(ws_assignment **assignment)
{
    ws_assignment *a = *assignment;
    if (a == NULL)
        return;
    free(a->cost);
    free(a->price);
    free(a->open_price);
    free(a->distance);
    free(a->settled_at);
    free(a->via);
    free(a->row_of);
    free(a->free_rows);
    free(a->settled);
    free(a->cheapest);
    free(a->matches);
    free(a);
    *assignment = NULL;
}

static const float *costs_of(const ws_assignment *a, int row)
{
    return a->cost + (size_t)row * a->columns;
}

/* Every column offers its cheapest row; a row keeps the first column that chose it. */
static void reduce_columns(ws_assignment *a, int32_t *column_of)
{
    int n = a->size;
    for (int i = 0; i < n; i++) {
        column_of[i] = -1;
        a->matches[i] = 0;
    }
    for (int j = 0; j < n; j++) {
        a->price[j] = a->cost[j];
        a->cheapest[j] = 0;
    }
    for (int i = 1; i < n; i++)
        for (int j = 0; j < n; j++) {
            double c = costs_of(a, i)[j];
            a->cheapest[j] = c < a->price[j] ? i : a->cheapest[j];
            a->price[j] = c < a->price[j] ? c : a->price[j];
        }
    for (int j = n - 1; j >= 0; j--) {
        int row = a->cheapest[j];
        a->row_of[j] = -1;
        if (++a->matches[row] == 1) {
            column_of[row] = j;
            a->row_of[j] = row;
        }
    }
}

/* Rows with exactly one column pass their slack on to its price; rows with none become free. Returns how many are free. */
static int transfer_reduction(ws_assignment *a, const int32_t *column_of)
{
    int free_count = 0;
    for (int i = 0; i < a->size; i++) {
        if (a->matches[i] == 0) {
            a->free_rows[free_count++] = i;
        } else if (a->matches[i] == 1 && a->size > 1) {
            ws_two_least least = a->least((int64_t)a->columns, costs_of(a, i), a->price);
            a->price[column_of[i]] -= least.first_column == column_of[i] ? least.second : least.first;
        }
    }
    return free_count;
}

/* Free rows take their cheapest column at a price that makes it as good as the second cheapest, and may displace its
 * owner. Returns how many rows are free afterwards. */
static int reduce_rows(ws_assignment *a, int32_t *column_of, int free_count)
{
    int left = 0, k = 0;
    int64_t budget =
        2 * (int64_t)a->size; /* bidding wars are long; what is left is cheaper by shortest paths (measured) */
    while (k < free_count) {
        int i = a->free_rows[k++];
        ws_two_least least = a->least((int64_t)a->columns, costs_of(a, i), a->price);
        int j = (int)least.first_column, owner = a->row_of[j];
        double lowered = a->price[j] - (least.second - least.first);
        bool lowers = lowered < a->price[j];
        if (lowers) {
            a->price[j] = lowered;
        } else if (owner >= 0) {
            j = (int)least.second_column;
            owner = a->row_of[j];
        }
        column_of[i] = j;
        a->row_of[j] = i;
        if (owner < 0)
            continue;
        column_of[owner] = -1;
        if (lowers && budget-- > 0)
            a->free_rows[--k] = owner;
        else
            a->free_rows[left++] = owner;
    }
    return left;
}

/* Dijkstra over reduced costs from the free row `start` to the nearest free column, which is returned; lowers the prices
 * of the columns it passed. */
static int shortest_path(ws_assignment *a, int start)
{
    int count = 0;
    for (size_t j = 0; j < a->columns; j++) {
        a->distance[j] = INFINITY;
        a->open_price[j] = a->price[j];
    }
    int64_t j = a->relax((int64_t)a->columns, costs_of(a, start), a->open_price, 0, start, a->distance, a->via);
    while (a->row_of[j] >= 0) {
        int row = a->row_of[j];
        double reached = a->distance[j];
        a->settled[count++] = (int32_t)j;
        a->settled_at[j] = reached;
        a->distance[j] = INFINITY;
        a->open_price[j] = -INFINITY;
        j = a->relax((int64_t)a->columns, costs_of(a, row), a->open_price, costs_of(a, row)[j] - a->price[j] - reached,
                     row, a->distance, a->via);
    }
    for (int k = 0; k < count; k++)
        a->price[a->settled[k]] += a->settled_at[a->settled[k]] - a->distance[j];
    return (int)j;
}

void ws_assignment_solve(ws_assignment *a, const float *cost, int32_t *column_of_row)
{
    for (int i = 0; i < a->size; i++)
        memcpy(a->cost + (size_t)i * a->columns, cost + (size_t)i * (size_t)a->size, (size_t)a->size * sizeof *cost);
    reduce_columns(a, column_of_row);
    int free_count = transfer_reduction(a, column_of_row);
    for (int round = 0; round < 2 && free_count > 0 && a->size > 1; round++)
        free_count = reduce_rows(a, column_of_row, free_count);
    for (int f = 0; f < free_count; f++) {
        int start = a->free_rows[f], j = shortest_path(a, start), i;
        do { /* flip the path back to its start */
            i = (int)a->via[j];
            a->row_of[j] = i;
            int next = column_of_row[i];
            column_of_row[i] = j;
            j = next;
        } while (i != start);
    }
}
