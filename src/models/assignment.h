/* Linear assignment: the permutation of least total cost, exactly and deterministically (ties go to the lower column).
 *
 * Jonker & Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment problems", Computing
 * 38 (1987): column reduction, reduction transfer, two rounds of augmenting row reduction, then shortest augmenting
 * paths. O(n^3) in the worst case, well under a millisecond for most 256 x 256 problems. Not for sparse or rectangular
 * costs.
 */
#ifndef WS_MODELS_ASSIGNMENT_H
#define WS_MODELS_ASSIGNMENT_H

#include <stdint.h>
#include "core/core.h"

typedef struct ws_assignment ws_assignment; /* scratch for problems of one size; one thread at a time */
WS_MUST ws_err ws_assignment_create(ws_assignment **out, int size);
void ws_assignment_destroy(ws_assignment **assignment);
/* cost[size * size] row-major, finite. column_of_row[size] receives the optimal permutation. Never allocates. */
void ws_assignment_solve(ws_assignment *assignment, const float *cost, int32_t *column_of_row);

#endif
