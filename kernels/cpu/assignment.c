/* Inner loops of linear assignment over registers of doubles; see kernels/assignment.h. */
#include "../assignment.h"
#include "level.h"

typedef double doubles __attribute__((vector_size(WS_REGISTER_BYTES)));
typedef int64_t integers __attribute__((vector_size(WS_REGISTER_BYTES)));
typedef float floats __attribute__((vector_size(WS_REGISTER_BYTES / 2)));
enum { WIDTH = WS_REGISTER_BYTES / 8 };

WS_INLINE doubles choose(integers mask, doubles yes, doubles no)
{
    return (doubles)((mask & (integers)yes) | (~mask & (integers)no));
}

WS_INLINE integers choose_index(integers mask, integers yes, integers no)
{
    return (mask & yes) | (~mask & no);
}

WS_INLINE doubles load_costs(const float *from)
{
    floats narrow;
    memcpy(&narrow, from, sizeof narrow);
    return __builtin_convertvector(narrow, doubles);
}

WS_INLINE doubles load_doubles(const double *from)
{
    return *(const doubles *)from;
}

WS_INLINE integers first_columns(void)
{
    integers out;
    for (int lane = 0; lane < WIDTH; lane++)
        out[lane] = lane;
    return out;
}

static inline int comes_before(double a, int64_t a_column, double b, int64_t b_column)
{
    return a < b || (a == b && a_column < b_column);
}

ws_two_least WS_KERNEL(ws_assignment_least)(int64_t columns, const float *cost, const double *price)
{
    integers column = first_columns(), first_at = column, second_at = column;
    doubles infinite = (doubles){0} + (double)__builtin_inff(), first = infinite, second = infinite;
    for (int64_t j = 0; j < columns; j += WIDTH) {
        doubles value = load_costs(cost + j) - load_doubles(price + j);
        integers below_first = value < first, below_second = value < second;
        doubles new_second = choose(below_second, value, second);
        integers new_second_at = choose_index(below_second, column, second_at);
        second = choose(below_first, first, new_second);
        second_at = choose_index(below_first, first_at, new_second_at);
        first = choose(below_first, value, first);
        first_at = choose_index(below_first, column, first_at);
        column += WIDTH;
    }
    ws_two_least out = {first[0], __builtin_inff(), first_at[0], -1};
    for (int lane = 1; lane < WIDTH; lane++)
        if (comes_before(first[lane], first_at[lane], out.first, out.first_column)) {
            out.first = first[lane];
            out.first_column = first_at[lane];
        }
    for (int lane = 0; lane < WIDTH; lane++) {
        int taken = first_at[lane] == out.first_column;
        double value = taken ? second[lane] : first[lane];
        int64_t at = taken ? second_at[lane] : first_at[lane];
        if (out.second_column < 0 || comes_before(value, at, out.second, out.second_column)) {
            out.second = value;
            out.second_column = at;
        }
    }
    return out;
}

int64_t WS_KERNEL(ws_assignment_relax)(int64_t columns, const float *cost, const double *price, double base,
                                       int64_t row, double *distance, int64_t *via)
{
    integers column = first_columns(), least_at = column, from_row = (integers){0} + row;
    doubles least = (doubles){0} + (double)__builtin_inff(), bases = (doubles){0} + base;
    for (int64_t j = 0; j < columns; j += WIDTH) {
        doubles known = load_doubles(distance + j), found = load_costs(cost + j) - load_doubles(price + j) - bases;
        integers shorter = found < known;
        known = choose(shorter, found, known);
        *(doubles *)(distance + j) = known;
        *(integers *)(via + j) = choose_index(shorter, from_row, *(const integers *)(via + j));
        integers below = known < least;
        least = choose(below, known, least);
        least_at = choose_index(below, column, least_at);
        column += WIDTH;
    }
    double value = least[0];
    int64_t at = least_at[0];
    for (int lane = 1; lane < WIDTH; lane++)
        if (comes_before(least[lane], least_at[lane], value, at)) {
            value = least[lane];
            at = least_at[lane];
        }
    return at;
}
