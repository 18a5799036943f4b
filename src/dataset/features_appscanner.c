/* features_appscanner: the statistics of AppScanner (Taylor et al., EuroS&P 2016) of four series: wire lengths forward, backward
 * and of both, and gaps between packets in ms; 18 of each, zeros of an empty series. Deviations and moments are those of
 * the population, kurtosis is 0 for a normal distribution, percentiles are interpolated. Of at most the first 1,000 stored
 * packets, in time.
 */
#include "dataset/packet_series.h"

#include <math.h>

enum { STATISTICS = 18, SERIES = 4, COLUMNS = STATISTICS * SERIES };

#define STATISTIC_NAMES(s)                                                                                             \
    s "_min", s "_max", s "_mean", s "_mean_absolute_deviation", s "_std", s "_variance", s "_skew", s "_kurtosis",    \
        s "_sum", s "_count", s "_percentile_10", s "_percentile_20", s "_percentile_30", s "_percentile_40",          \
        s "_percentile_50", s "_percentile_60", s "_percentile_70", s "_percentile_80"
#define STATISTIC_UNITS(u) u, u, u, u, u, u "^2", "1", "1", u, "1", u, u, u, u, u, u, u, u
static const char *const names[COLUMNS] = {STATISTIC_NAMES("length_forward"), STATISTIC_NAMES("length_backward"),
                                           STATISTIC_NAMES("length"), STATISTIC_NAMES("gap")};
static const char *const units[COLUMNS] = {STATISTIC_UNITS("bytes"), STATISTIC_UNITS("bytes"), STATISTIC_UNITS("bytes"),
                                           STATISTIC_UNITS("ms")};

static void describe(ws_series *series, float out[STATISTICS])
{
    memset(out, 0, STATISTICS * sizeof *out);
    if (series->count == 0)
        return;
    double mean = ws_series_mean(series), absolute = 0, variance = ws_series_moment(series, mean, 2);
    for (uint32_t i = 0; i < series->count; i++)
        absolute += fabs(series->value[i] - mean);
    out[2] = (float)mean;
    out[3] = (float)(absolute / (double)series->count);
    out[4] = (float)sqrt(variance);
    out[5] = (float)variance;
    if (variance > 1e-12 * mean * mean) { /* else what is left of it is rounding */
        out[6] = (float)(ws_series_moment(series, mean, 3) / (variance * sqrt(variance)));
        out[7] = (float)(ws_series_moment(series, mean, 4) / (variance * variance) - 3);
    }
    out[8] = (float)ws_series_sum(series);
    out[9] = (float)series->count;
    ws_series_sort(series);
    out[0] = (float)series->value[0];
    out[1] = (float)series->value[series->count - 1];
    for (int k = 1; k <= 8; k++)
        out[9 + k] = (float)ws_series_percentile(series, 10 * k);
}

static void make(const ws_flow *flow, const ws_flow_packet *packets, float *out)
{
    static const ws_series_direction which[3] = {WS_SERIES_FORWARD, WS_SERIES_BACKWARD, WS_SERIES_BOTH};
    ws_packet_series series;
    ws_series values;
    ws_packet_series_take(&series, flow, packets, WS_SERIES_MOST);
    for (int s = 0; s < 3; s++) {
        ws_series_lengths(&values, &series, which[s]);
        describe(&values, out + s * STATISTICS);
    }
    ws_series_gaps(&values, &series, WS_SERIES_BOTH);
    describe(&values, out + 3 * STATISTICS);
}

const ws_flow_features ws_features_appscanner = {.help =
                                                     "AppScanner: 18 statistics of lengths by direction and of gaps",
                                                 .table = {"appscanner", COLUMNS, names, units},
                                                 .packets = 1,
                                                 .reads = WS_SERIES_MOST,
                                                 .make = make};
