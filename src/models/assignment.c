/* Jonker-Volgenant linear assignment; see assignment.h. Costs are floats, the dual prices doubles. */
#include <stdlib.h>
#include "models/assignment.h"

struct ws_assignment {
    int size;
    double *price;      /* dual variable of each column */
    double *distance;   /* length of the shortest path found so far to each column */
    int32_t *row_of;    /* row assigned to each column, or -1 */
    int32_t *free_rows; /* rows without a column */
    int32_t *columns;   /* columns in three runs: done, at the current minimum, others */
    int32_t *previous;  /* row from which each column was reached */
    int32_t *matches;   /* how many columns chose a row during column reduction */
};

ws_err ws_assignment_create(ws_assignment **out, int size)
{
    ws_err error = WS_OK;
    ws_assignment *a;
    size_t n = (size_t)size;
    WS_TRY(WS_NEW(a));
    a->size = size;
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(a->price, n));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(a->distance, n));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(a->row_of, n));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(a->free_rows, n));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(a->columns, n));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(a->previous, n));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(a->matches, n));
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
    free(a->price);
    free(a->distance);
    free(a->row_of);
    free(a->free_rows);
    free(a->columns);
    free(a->previous);
    free(a->matches);
    free(a);
    *assignment = NULL;
}

/* Every column offers its cheapest row; a row keeps the first column that chose it. */
static void reduce_columns(ws_assignment *a, const float *cost, int32_t *column_of)
{
    int n = a->size;
    for (int i = 0; i < n; i++) {
        column_of[i] = -1;
        a->matches[i] = 0;
    }
    for (int j = 0; j < n; j++) {
        a->price[j] = cost[j];
        a->previous[j] = 0;
    }
    for (int i = 1; i < n; i++)
        for (int j = 0; j < n; j++) {
            double c = cost[(size_t)i * (size_t)n + (size_t)j];
            if (c < a->price[j]) {
                a->price[j] = c;
                a->previous[j] = i;
            }
        }
    for (int j = n - 1; j >= 0; j--) {
        int row = a->previous[j];
        a->row_of[j] = -1;
        if (++a->matches[row] == 1) {
            column_of[row] = j;
            a->row_of[j] = row;
        }
    }
}

/* Rows with exactly one column pass their slack on to its price; rows with none become free. Returns how many are free.
 */
static int transfer_reduction(ws_assignment *a, const float *cost, const int32_t *column_of)
{
    int n = a->size, free_count = 0;
    for (int i = 0; i < n; i++) {
        if (a->matches[i] == 0) {
            a->free_rows[free_count++] = i;
        } else if (a->matches[i] == 1 && n > 1) {
            const float *row = cost + (size_t)i * (size_t)n;
            int own = column_of[i];
            double least = 0;
            bool any = false;
            for (int j = 0; j < n; j++) {
                double reduced = row[j] - a->price[j];
                if (j != own && (!any || reduced < least)) {
                    least = reduced;
                    any = true;
                }
            }
            a->price[own] -= least;
        }
    }
    return free_count;
}

typedef struct two_least {
    double first, second;
    int first_column, second_column;
} two_least;

static two_least find_two_least(const ws_assignment *a, const float *row)
{
    two_least least = {row[0] - a->price[0], 0, 0, -1};
    for (int j = 1; j < a->size; j++) {
        double reduced = row[j] - a->price[j];
        if (least.second_column >= 0 && reduced >= least.second)
            continue;
        if (reduced >= least.first) {
            least.second = reduced;
            least.second_column = j;
        } else {
            least.second = least.first;
            least.second_column = least.first_column;
            least.first = reduced;
            least.first_column = j;
        }
    }
    return least;
}

/* Free rows take their cheapest column at a price that makes it as good as the second cheapest, and may displace its
 * owner. Returns how many rows are free afterwards. */
static int reduce_rows(ws_assignment *a, const float *cost, int32_t *column_of, int free_count)
{
    int n = a->size, left = 0, k = 0;
    int64_t budget = 2 * (int64_t)n; /* bidding wars are long; what is left is cheaper by shortest paths (measured) */
    while (k < free_count) {
        int i = a->free_rows[k++];
        two_least least = find_two_least(a, cost + (size_t)i * (size_t)n);
        int j = least.first_column, owner = a->row_of[j];
        double lowered = a->price[j] - (least.second - least.first);
        bool lowers = lowered < a->price[j];
        if (lowers) {
            a->price[j] = lowered;
        } else if (owner >= 0 && least.second_column >= 0) {
            j = least.second_column;
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

/* Moves the columns at the smallest distance among columns[low..n) to columns[low..high); returns high. */
static int collect_minimum(ws_assignment *a, int low)
{
    int high = low + 1;
    double minimum = a->distance[a->columns[low]];
    for (int k = high; k < a->size; k++) {
        int j = a->columns[k];
        double d = a->distance[j];
        if (d > minimum)
            continue;
        if (d < minimum) {
            high = low;
            minimum = d;
        }
        a->columns[k] = a->columns[high];
        a->columns[high++] = j;
    }
    return high;
}

/* Shortens the paths to columns[high..n) through the row that owns column `via`. Columns that reach the minimum join
 * the run at `high`. Returns a free column at the minimum, or -1. */
static int relax_columns(ws_assignment *a, const float *cost, int via, double minimum, int *high)
{
    int i = a->row_of[via];
    const float *row = cost + (size_t)i * (size_t)a->size;
    double base = row[via] - a->price[via] - minimum;
    for (int k = *high; k < a->size; k++) {
        int j = a->columns[k];
        double d = row[j] - a->price[j] - base;
        if (d >= a->distance[j])
            continue;
        a->distance[j] = d;
        a->previous[j] = i;
        if (d > minimum)
            continue;
        if (a->row_of[j] < 0)
            return j;
        a->columns[k] = a->columns[*high];
        a->columns[(*high)++] = j;
    }
    return -1;
}

/* Dijkstra over reduced costs from the free row `start` to the nearest free column, which is returned; lowers the
 * prices of the columns left behind. */
static int shortest_path(ws_assignment *a, const float *cost, int start)
{
    int n = a->size, low = 0, high = 0, settled = 0, end = -1;
    const float *row = cost + (size_t)start * (size_t)n;
    double minimum = 0;
    for (int j = 0; j < n; j++) {
        a->distance[j] = row[j] - a->price[j];
        a->previous[j] = start;
        a->columns[j] = j;
    }
    while (end < 0) {
        if (low == high) {
            settled = low;
            high = collect_minimum(a, low);
            minimum = a->distance[a->columns[low]];
            for (int k = low; k < high && end < 0; k++)
                if (a->row_of[a->columns[k]] < 0)
                    end = a->columns[k];
        }
        if (end < 0)
            end = relax_columns(a, cost, a->columns[low++], minimum, &high);
    }
    for (int k = 0; k < settled; k++) {
        int j = a->columns[k];
        a->price[j] += a->distance[j] - minimum;
    }
    return end;
}

void ws_assignment_solve(ws_assignment *a, const float *cost, int32_t *column_of_row)
{
    reduce_columns(a, cost, column_of_row);
    int free_count = transfer_reduction(a, cost, column_of_row);
    for (int round = 0; round < 2 && free_count > 0 && a->size > 1; round++)
        free_count = reduce_rows(a, cost, column_of_row, free_count);
    for (int f = 0; f < free_count; f++) {
        int start = a->free_rows[f], j = shortest_path(a, cost, start), i;
        do { /* flip the path back to its start */
            i = a->previous[j];
            a->row_of[j] = i;
            int next = column_of_row[i];
            column_of_row[i] = j;
            j = next;
        } while (i != start);
    }
}
