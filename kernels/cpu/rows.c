/* hide_tokens on the CPU: rows are copied, or taken from a learned one. */
#include "level.h"

enum { ROWS_A_PART = 64 }; /* rows summed into one part before it is added to the total */

WS_INLINE void copy_row(ws_real *restrict to, const ws_real *restrict from, int64_t D)
{
    memcpy(to, from, (size_t)D * sizeof *to);
}

WS_INLINE void zero_row(ws_real *to, int64_t D)
{
    memset(to, 0, (size_t)D * sizeof *to);
}

WS_INLINE void add_row(ws_real *restrict to, const ws_real *restrict from, int64_t D)
{
    for (int64_t d = 0; d < D; d++)
        to[d] += from[d];
}

WS_OPERATOR_KERNEL(hide_tokens, forward)
{
    for (int64_t r = 0, D = a->D; r < a->R; r++)
        copy_row(a->y + r * D, a->hidden[r] ? a->weight : a->x + r * D, D);
}

WS_OPERATOR_KERNEL(hide_tokens, backward)
{
    int64_t D = a->D;
    for (int64_t r = 0; a->dx && r < a->R; r++) {
        if (a->hidden[r]) {
            if (!a->accumulate_dx)
                zero_row(a->dx + r * D, D);
        } else if (a->accumulate_dx) {
            add_row(a->dx + r * D, a->dy + r * D, D);
        } else {
            copy_row(a->dx + r * D, a->dy + r * D, D);
        }
    }
    if (!a->dweight)
        return;
    zero_row(a->dweight, D);
    for (int64_t from = 0; from < a->R; from += ROWS_A_PART) {
        int64_t to = from + ROWS_A_PART < a->R ? from + ROWS_A_PART : a->R;
        zero_row(a->scratch, D);
        for (int64_t r = from; r < to; r++)
            if (a->hidden[r])
                add_row(a->scratch, a->dy + r * D, D);
        add_row(a->dweight, a->scratch, D);
    }
}
