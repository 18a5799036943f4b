/* Intervals of a share of rows, and how many seeds a comparison needs. Sources: Wilson 1927; Clopper & Pearson 1934; power of the
 * paired t test by the noncentral t distribution. */
#include "report/statistics.h"

#include <math.h>

enum { FEW_ROWS = 40, MOST_SEEDS = 1000 };

static const ws_interval none = {NAN, NAN};

ws_interval ws_wilson(double hits, double of)
{
    if (!(of > 0))
        return none;
    double z = ws_normal_quantile(0.975), share = hits / of, scale = 1 + z * z / of;
    double middle = (share + z * z / (2 * of)) / scale;
    double half = z / scale * sqrt(share * (1 - share) / of + z * z / (4 * of * of));
    return (ws_interval){hits <= 0 ? 0 : middle - half, hits >= of ? 1 : middle + half};
}

ws_interval ws_clopper_pearson(double hits, double of)
{
    if (!(of > 0))
        return none;
    return (ws_interval){hits <= 0 ? 0 : ws_beta_quantile(0.025, hits, of - hits + 1),
                         hits >= of ? 1 : ws_beta_quantile(0.975, hits + 1, of - hits)};
}

ws_interval ws_share_interval(double share, double of)
{
    if (isnan(share))
        return none;
    return of < FEW_ROWS ? ws_clopper_pearson(share * of, of) : ws_wilson(share * of, of);
}

double ws_power_paired(double effect, size_t n)
{
    if (n < 2)
        return 0;
    double degrees = (double)n - 1, shift = fabs(effect) * sqrt((double)n), limit = ws_student_quantile(0.975, degrees);
    return 1 - ws_student_shifted_probability(limit, degrees, shift) +
           ws_student_shifted_probability(-limit, degrees, shift);
}

/* Power grows with n, so n is doubled until it is enough, and the smallest found by halving. */
size_t ws_seeds_needed(double effect, double power)
{
    size_t low = 1, high = 2;
    for (; !(ws_power_paired(effect, high) >= power); high = 2 * high < MOST_SEEDS ? 2 * high : MOST_SEEDS) {
        if (high == MOST_SEEDS)
            return 0;
        low = high;
    }
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (ws_power_paired(effect, middle) >= power)
            high = middle;
        else
            low = middle;
    }
    return high;
}

double ws_deviation_bound(double deviation, size_t n)
{
    if (n < 2)
        return NAN;
    double degrees = (double)n - 1;
    return deviation * sqrt(degrees / ws_chi_square_quantile(0.2, degrees));
}
