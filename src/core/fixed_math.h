/* Exact integers and the logarithm of stored features: a fixed sequence of IEEE additions and multiplications, so that
 * a store has the same bits on every machine. Built with floating-point contraction off. Error below 2 units in the
 * last place of a double. */
#ifndef WS_CORE_FIXED_MATH_H
#define WS_CORE_FIXED_MATH_H

#include <stddef.h>

__extension__ typedef unsigned __int128 ws_uint128; /* exact sums of squares: those of nanoseconds do not fit 64 bits */

double ws_fixed_log(double x);   /* x > 0; -inf for 0, NaN below */
double ws_fixed_log1p(double x); /* ln(1+x) for x >= 0 */
/* out[i] = ws_fixed_log1p(x[i]), to the bit, several at once; for 0 <= x <= 1e300. Best in fours. */
void ws_fixed_log1p_many(const double *x, double *out, size_t count);

#endif
