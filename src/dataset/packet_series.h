/* packet_series: a flow's stored packets as series of numbers, for feature tables: in the order of their times, at most the
 * first WS_SERIES_MOST that are stored. And what such tables make of series: percentiles, moments. Sums run in the order of
 * the series, without contraction, so the bits do not depend on the machine.
 */
#ifndef WS_DATASET_PACKET_SERIES_H
#define WS_DATASET_PACKET_SERIES_H

#include "dataset/dataset.h"

enum { WS_SERIES_MOST = 1000 };

typedef struct ws_packet_series {
    uint32_t count;
    const ws_flow_packet *packet[WS_SERIES_MOST]; /* borrowed; equal times in the order of storage */
} ws_packet_series;
/* The first `most` stored packets. */
void ws_packet_series_take(ws_packet_series *out, const ws_flow *flow, const ws_flow_packet *packets, uint32_t most);

typedef struct ws_series {
    uint32_t count;
    double value[WS_SERIES_MOST];
} ws_series;
typedef enum ws_series_direction {
    WS_SERIES_BACKWARD = -1,
    WS_SERIES_BOTH = 0,
    WS_SERIES_FORWARD = 1
} ws_series_direction;
void ws_series_lengths(ws_series *out, const ws_packet_series *packets, ws_series_direction which); /* wire lengths */
/* Milliseconds since the packet before it of the same choice; one fewer than packets. */
void ws_series_gaps(ws_series *out, const ws_packet_series *packets, ws_series_direction which);
void ws_series_times(ws_series *out, const ws_packet_series *packets,
                     ws_series_direction which); /* s since the first packet */

/* All are 0 for a series without values. */
double ws_series_sum(const ws_series *series);
double ws_series_mean(const ws_series *series);
double ws_series_moment(const ws_series *series, double mean, int order); /* mean of (value - mean)^order */
double ws_series_deviation(const ws_series *series);                      /* of the population */
void ws_series_sort(ws_series *series);
double ws_series_percentile(const ws_series *sorted, double percent); /* interpolated between neighbours */

#endif
