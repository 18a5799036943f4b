/* Shapes of tensors: counting, comparing, printing. */
#include <inttypes.h>
#include <stdio.h>
#include "engine/operator.h"

int64_t ws_shape_count(const ws_shape *shape)
{
    int64_t count = 1;
    for (int i = 0; i < shape->dimensions; i++)
        count *= shape->size[i];
    return count;
}

int64_t ws_shape_width(const ws_shape *shape)
{
    return shape->dimensions > 0 ? shape->size[shape->dimensions - 1] : 1;
}

int64_t ws_shape_rows(const ws_shape *shape)
{
    return ws_shape_count(shape) / ws_shape_width(shape);
}

bool ws_shape_equal(const ws_shape *a, const ws_shape *b)
{
    return a->dimensions == b->dimensions && memcmp(a->size, b->size, (size_t)a->dimensions * sizeof a->size[0]) == 0;
}

const char *ws_shape_text(const ws_shape *shape, char out[96])
{
    size_t used = 0;
    out[used++] = '[';
    for (int i = 0; i < shape->dimensions; i++)
        used += (size_t)snprintf(out + used, 96 - used, i ? ", %" PRId64 : "%" PRId64, shape->size[i]);
    snprintf(out + used, 96 - used, "]");
    return out;
}
