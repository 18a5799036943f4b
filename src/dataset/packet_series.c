/* Series of a flow's packets; see packet_series.h. */
#include "dataset/packet_series.h"

#include <math.h>
#include <stdlib.h>

void ws_packet_series_take(ws_packet_series *out, const ws_flow *flow, const ws_flow_packet *packets, uint32_t most)
{
    most = most < WS_SERIES_MOST ? most : WS_SERIES_MOST;
    out->count = flow->packet_count < most ? flow->packet_count : most;
    for (uint32_t i = 0; i < out->count; i++) { /* mostly in order already */
        uint32_t at = i;
        for (; at > 0 && out->packet[at - 1]->offset_ns > packets[i].offset_ns; at--)
            out->packet[at] = out->packet[at - 1];
        out->packet[at] = &packets[i];
    }
}

static bool is_of(const ws_flow_packet *packet, ws_series_direction which)
{
    return which == WS_SERIES_BOTH || (packet->direction > 0) == (which == WS_SERIES_FORWARD);
}

void ws_series_lengths(ws_series *out, const ws_packet_series *packets, ws_series_direction which)
{
    out->count = 0;
    for (uint32_t i = 0; i < packets->count; i++)
        if (is_of(packets->packet[i], which))
            out->value[out->count++] = (double)packets->packet[i]->wire_length;
}

void ws_series_gaps(ws_series *out, const ws_packet_series *packets, ws_series_direction which)
{
    const ws_flow_packet *before = NULL;
    out->count = 0;
    for (uint32_t i = 0; i < packets->count; i++) {
        const ws_flow_packet *packet = packets->packet[i];
        if (!is_of(packet, which))
            continue;
        if (before != NULL)
            out->value[out->count++] = (double)(packet->offset_ns - before->offset_ns) / 1e6;
        before = packet;
    }
}

void ws_series_times(ws_series *out, const ws_packet_series *packets, ws_series_direction which)
{
    out->count = 0;
    for (uint32_t i = 0; i < packets->count; i++)
        if (is_of(packets->packet[i], which))
            out->value[out->count++] = (double)(packets->packet[i]->offset_ns - packets->packet[0]->offset_ns) / 1e9;
}

double ws_series_sum(const ws_series *series)
{
    double sum = 0;
    for (uint32_t i = 0; i < series->count; i++)
        sum += series->value[i];
    return sum;
}

double ws_series_mean(const ws_series *series)
{
    return series->count > 0 ? ws_series_sum(series) / (double)series->count : 0;
}

double ws_series_moment(const ws_series *series, double mean, int order)
{
    double sum = 0;
    for (uint32_t i = 0; i < series->count; i++) {
        double power = 1;
        for (int k = 0; k < order; k++)
            power *= series->value[i] - mean;
        sum += power;
    }
    return series->count > 0 ? sum / (double)series->count : 0;
}

double ws_series_deviation(const ws_series *series)
{
    return sqrt(ws_series_moment(series, ws_series_mean(series), 2));
}

static int compare_values(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

void ws_series_sort(ws_series *series)
{
    if (series->count > 1)
        qsort(series->value, series->count, sizeof *series->value, compare_values);
}

double ws_series_percentile(const ws_series *sorted, double percent)
{
    if (sorted->count == 0)
        return 0;
    const double place = percent / 100 * (double)(sorted->count - 1), below = floor(place);
    const uint32_t at = (uint32_t)below;
    if (at + 1 >= sorted->count)
        return sorted->value[sorted->count - 1];
    return sorted->value[at] + (place - below) * (sorted->value[at + 1] - sorted->value[at]);
}
