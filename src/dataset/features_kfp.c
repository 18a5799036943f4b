/* features_kfp: the core of k-fingerprinting's features (Hayes and Danezis, USENIX Security 2016): counts and their order, the
 * concentration of forward packets in runs of 20, packets of each second, gaps, times, and bytes. Numbers without packets
 * are 0; deviations are those of the population. Of at most the first 1,000 stored packets, in time.
 */
#include "dataset/packet_series.h"

enum { COLUMNS = 52, EDGE = 30, RUN = 20 };

#define BY_DIRECTION(name) name "_forward", name "_backward"
#define FIVE(s) s "_mean", s "_std", s "_median", s "_min", s "_max"
#define GAPS(s) "gap_max" s, "gap_mean" s, "gap_std" s, "gap_percentile_75" s
#define TIMES(s) "time_percentile_25" s, "time_percentile_50" s, "time_percentile_75" s, "time_last" s
static const char *const names[COLUMNS] = {
    "packets",
    BY_DIRECTION("packets"),
    BY_DIRECTION("share"),
    "place_mean_forward",
    "place_std_forward",
    "place_mean_backward",
    "place_std_backward",
    BY_DIRECTION("first_30"),
    BY_DIRECTION("last_30"),
    FIVE("concentration"),
    FIVE("packets_per_second"),
    GAPS("_forward"),
    GAPS("_backward"),
    GAPS(""),
    TIMES("_forward"),
    TIMES("_backward"),
    TIMES(""),
    "bytes",
    BY_DIRECTION("bytes"),
    BY_DIRECTION("length_mean"),
};
static const char *const units[COLUMNS] = {
    "packets",   "packets",   "packets",   "1",         "1",         "packets", "packets", "packets", "packets",
    "packets",   "packets",   "packets",   "packets",   "packets",   "packets", "packets", "packets", "packets",
    "packets/s", "packets/s", "packets/s", "packets/s", "packets/s", "ms",      "ms",      "ms",      "ms",
    "ms",        "ms",        "ms",        "ms",        "ms",        "ms",      "ms",      "ms",      "s",
    "s",         "s",         "s",         "s",         "s",         "s",       "s",       "s",       "s",
    "s",         "s",         "bytes",     "bytes",     "bytes",     "bytes",   "bytes"};

static float *put_five(ws_series *values, float *out)
{
    *out++ = (float)ws_series_mean(values);
    *out++ = (float)ws_series_deviation(values);
    ws_series_sort(values);
    *out++ = (float)ws_series_percentile(values, 50);
    *out++ = (float)ws_series_percentile(values, 0);
    *out++ = (float)ws_series_percentile(values, 100);
    return out;
}

static void take_places(ws_series *out, const ws_packet_series *packets, ws_series_direction which)
{
    out->count = 0;
    for (uint32_t i = 0; i < packets->count; i++)
        if ((packets->packet[i]->direction > 0) == (which == WS_SERIES_FORWARD))
            out->value[out->count++] = (double)i;
}

static uint32_t count_forward(const ws_packet_series *packets, uint32_t begin, uint32_t end)
{
    uint32_t count = 0;
    for (uint32_t i = begin; i < end; i++)
        count += packets->packet[i]->direction > 0;
    return count;
}

static float *put_counts(const ws_packet_series *packets, float *out)
{
    const uint32_t n = packets->count, edge = n < EDGE ? n : EDGE, forward = count_forward(packets, 0, n);
    const uint32_t first = count_forward(packets, 0, edge), last = count_forward(packets, n - edge, n);
    const double all = n > 0 ? (double)n : 1;
    ws_series values;
    *out++ = (float)n;
    *out++ = (float)forward;
    *out++ = (float)(n - forward);
    *out++ = (float)((double)forward / all);
    *out++ = (float)((double)(n - forward) / all);
    for (int d = 0; d < 2; d++) {
        take_places(&values, packets, d == 0 ? WS_SERIES_FORWARD : WS_SERIES_BACKWARD);
        *out++ = (float)ws_series_mean(&values);
        *out++ = (float)ws_series_deviation(&values);
    }
    *out++ = (float)first;
    *out++ = (float)(edge - first);
    *out++ = (float)last;
    *out++ = (float)(edge - last);
    return out;
}

/* Forward packets in each run of 20; the last run may be shorter. */
static float *put_concentration(const ws_packet_series *packets, float *out)
{
    ws_series values = {.count = 0};
    for (uint32_t begin = 0; begin < packets->count; begin += RUN)
        values.value[values.count++] =
            (double)count_forward(packets, begin, begin + RUN < packets->count ? begin + RUN : packets->count);
    return put_five(&values, out);
}

/* Packets of each second since the first packet, also of seconds without any: at most so many as a series holds. */
static float *put_seconds(const ws_packet_series *packets, float *out)
{
    ws_series values = {.count = 0};
    for (uint32_t i = 0; i < packets->count; i++) {
        const int64_t second = (packets->packet[i]->offset_ns - packets->packet[0]->offset_ns) / 1000000000;
        while (values.count <= second && values.count < WS_SERIES_MOST)
            values.value[values.count++] = 0;
        if (second < values.count)
            values.value[second]++;
    }
    return put_five(&values, out);
}

static const ws_series_direction directions[3] = {WS_SERIES_FORWARD, WS_SERIES_BACKWARD, WS_SERIES_BOTH};

static float *put_times(const ws_packet_series *packets, float *out)
{
    ws_series values;
    for (int d = 0; d < 3; d++) {
        ws_series_gaps(&values, packets, directions[d]);
        out[1] = (float)ws_series_mean(&values);
        out[2] = (float)ws_series_deviation(&values);
        ws_series_sort(&values);
        out[0] = (float)ws_series_percentile(&values, 100);
        out[3] = (float)ws_series_percentile(&values, 75);
        out += 4;
    }
    for (int d = 0; d < 3; d++) {
        ws_series_times(&values, packets, directions[d]);
        for (int quarter = 1; quarter <= 4; quarter++)
            *out++ = (float)ws_series_percentile(&values, 25 * quarter);
    }
    return out;
}

static void put_bytes(const ws_packet_series *packets, float *out)
{
    ws_series forward, backward;
    ws_series_lengths(&forward, packets, WS_SERIES_FORWARD);
    ws_series_lengths(&backward, packets, WS_SERIES_BACKWARD);
    out[1] = (float)ws_series_sum(&forward);
    out[2] = (float)ws_series_sum(&backward);
    out[0] = (float)(ws_series_sum(&forward) + ws_series_sum(&backward));
    out[3] = (float)ws_series_mean(&forward);
    out[4] = (float)ws_series_mean(&backward);
}

static void make(const ws_flow *flow, const ws_flow_packet *packets, float *out)
{
    ws_packet_series series;
    ws_packet_series_take(&series, flow, packets, WS_SERIES_MOST);
    out = put_counts(&series, out);
    out = put_concentration(&series, out);
    out = put_seconds(&series, out);
    out = put_times(&series, out);
    put_bytes(&series, out);
}

const ws_flow_features ws_features_kfp = {.help = "k-fingerprinting: counts, order, concentration, gaps, times, bytes",
                                          .table = {"kfp", COLUMNS, names, units},
                                          .packets = 1,
                                          .reads = WS_SERIES_MOST,
                                          .make = make};
