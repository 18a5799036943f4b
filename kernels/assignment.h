/* The inner loops of linear assignment, one version a level (subtractions and comparisons only: the same bits at every
 * level). Arrays have `columns` entries, a multiple of WS_ASSIGNMENT_LANES, 64-byte aligned. */
#ifndef WS_KERNELS_ASSIGNMENT_H
#define WS_KERNELS_ASSIGNMENT_H

#include <stdint.h>

enum { WS_ASSIGNMENT_LANES = 8 };

typedef struct ws_two_least {
    double first, second;
    int64_t first_column, second_column; /* among equal values the lower column is first */
} ws_two_least;

/* The two least of cost[j] - price[j]. */
typedef ws_two_least (*ws_assignment_least_function)(int64_t columns, const float *cost, const double *price);
/* distance[j] = min(distance[j], cost[j] - price[j] - base); via[j] = row where it got less. Returns the column of the
 * least distance, the lowest of equal ones. */
typedef int64_t (*ws_assignment_relax_function)(int64_t columns, const float *cost, const double *price, double base,
                                                int64_t row, double *distance, int64_t *via);

#define WS_DECLARE_ASSIGNMENT(level)                                                                                   \
    ws_two_least ws_assignment_least_##level(int64_t columns, const float *cost, const double *price);                 \
    int64_t ws_assignment_relax_##level(int64_t columns, const float *cost, const double *price, double base,          \
                                        int64_t row, double *distance, int64_t *via);
WS_DECLARE_ASSIGNMENT(portable)
WS_DECLARE_ASSIGNMENT(avx2)
WS_DECLARE_ASSIGNMENT(avx512)
#undef WS_DECLARE_ASSIGNMENT

#endif
