/* neighbours: the nearest training rows of a row, by Euclidean distance.
 *
 * Products of blocks of rows give all distances but for rounding; where they say that a training row may be among the nearest
 * ones, its distance is computed anew in double, so that what is found depends neither on blocks nor on the BLAS. Of equal
 * distances the earlier training row comes first.
 */
#ifndef WS_MODELS_NEIGHBOURS_H
#define WS_MODELS_NEIGHBOURS_H

#include "models/models.h"

enum { WS_NEIGHBOURS_MOST = 1024 };

/* Keeps all rows: learns "rows" [rows][columns] and "square" [rows]. unit: scaled to length 1 (a row of zeros stays). */
WS_MUST ws_err ws_neighbours_keep(const ws_samples *training, int columns, bool unit, ws_arrays *learned);

typedef struct ws_neighbours {
    size_t k;        /* that many, or all kept rows where there are fewer */
    double *squared; /* [rows][k] squared distances, ascending; owned */
    size_t *row;     /* [rows][k] of the kept rows; owned */
} ws_neighbours;
WS_MUST ws_err ws_neighbours_find(const ws_arrays *learned, int columns, size_t k, bool unit, uint64_t rows,
                                  const float *values, ws_neighbours *out);
void ws_neighbours_destroy(ws_neighbours *neighbours);

#endif
