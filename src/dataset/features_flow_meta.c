/* features_flow_meta: numbers of a whole flow that any exporter of flows has: flow_meta with 13 of them, five_stat with the five
 * that are mostly taken. All packets count, stored or not; lengths are wire lengths, but bytes of a direction those of IP. A gap is the
 * time since the newest packet before it; rates take a flow to last 1 ms at least.
 */
#include "dataset/dataset.h"

#include <math.h>

enum { META_COLUMNS = 13, FIVE_COLUMNS = 5 };

static const char *const meta_names[META_COLUMNS] = {
    "duration",         "packets",           "packets_forward",   "packets_backward", "bytes",
    "ip_bytes_forward", "ip_bytes_backward", "length_mean",       "length_std",       "gap_mean",
    "gap_std",          "bytes_per_second",  "packets_per_second"};
static const char *const meta_units[META_COLUMNS] = {
    "ms", "packets", "packets", "packets", "bytes", "bytes", "bytes", "bytes", "bytes", "ms", "ms", "bytes/s", "1/s"};
static const char *const five_names[FIVE_COLUMNS] = {"packets", "bytes", "duration", "gap_mean", "length_mean"};
static const char *const five_units[FIVE_COLUMNS] = {"packets", "bytes", "ms", "ms", "bytes"};

static double deviation(uint64_t count, uint64_t sum, ws_uint128 squares)
{
    return count > 0 ? sqrt((double)(count * squares - (ws_uint128)sum * sum)) / (double)count : 0;
}

static void make_meta(const ws_flow *flow, const ws_flow_packet *packets, float *out)
{
    (void)packets;
    const uint64_t count = flow->packets[0] + flow->packets[1], gaps = count > 1 ? count - 1 : 0;
    const uint64_t lasted = (uint64_t)(flow->last_ns - flow->first_ns);
    const double n = count > 0 ? (double)count : 1, seconds = (double)lasted / 1e9;
    const double rate_seconds = seconds > 0.001 ? seconds : 0.001;
    const double values[META_COLUMNS] = {(double)lasted / 1e6,
                                         (double)count,
                                         (double)flow->packets[0],
                                         (double)flow->packets[1],
                                         (double)flow->wire_bytes,
                                         (double)flow->bytes[0],
                                         (double)flow->bytes[1],
                                         (double)flow->wire_bytes / n,
                                         deviation(count, flow->wire_bytes, flow->wire_squares),
                                         gaps > 0 ? (double)lasted / 1e6 / (double)gaps : 0,
                                         deviation(gaps, lasted, flow->gap_squares) / 1e6,
                                         (double)flow->wire_bytes / rate_seconds,
                                         (double)count / rate_seconds};
    for (int c = 0; c < META_COLUMNS; c++)
        out[c] = (float)values[c];
}

static void make_five(const ws_flow *flow, const ws_flow_packet *packets, float *out)
{
    static const int taken[FIVE_COLUMNS] = {1, 4, 0, 9, 7};
    float meta[META_COLUMNS];
    make_meta(flow, packets, meta);
    for (int c = 0; c < FIVE_COLUMNS; c++)
        out[c] = meta[taken[c]];
}

const ws_flow_features ws_features_flow_meta = {.help =
                                                    "13 numbers of a whole flow: counts, bytes, lengths, gaps, rates",
                                                .table = {"flow_meta", META_COLUMNS, meta_names, meta_units},
                                                .make = make_meta};
const ws_flow_features ws_features_five_stat = {.help = "packets, bytes, duration, mean gap and mean length of a flow",
                                                .table = {"five_stat", FIVE_COLUMNS, five_names, five_units},
                                                .make = make_five};
