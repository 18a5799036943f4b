/* features_flowconx: the record of FlowCon-X of a flow, or of what a 5-tuple has in a window. flowconx: the numbers of the
 * canonical record, with the names that its CSV files have (data set flowconx_csv), so that a model trained on the one
 * reads the other. flowconx_v2: the ten values a flow of the second version.
 *
 * Lengths are wire lengths, at most 65,535. A packet's gap is the time since the newest packet before it, the first one's
 * is 0 and counts: means and deviations (of the population) divide by the number of packets. "rtt_ms" and "jitter_ms" are
 * the published names of the gaps' mean and deviation; no round trip is measured, and loss is never seen. Rates take a
 * flow to last 1 ms at least. Forward is what it is everywhere here, the sender of the first packet. Sums are integers,
 * logarithms ws_fixed_log1p, so the bits do not depend on the machine.
 *
 * Sequences are no table: they lie in /packets.
 */
#include "dataset/dataset.h"

#include <math.h>

enum { V1_COLUMNS = 13, V2_COLUMNS = 10 };

static const char *const v1_names[V1_COLUMNS] = {"rtt_ms",
                                                 "jitter_ms",
                                                 "loss_rate",
                                                 "total packets",
                                                 "total fwd packets",
                                                 "total backward packets",
                                                 "packet length mean",
                                                 "packet length std",
                                                 "flow iat mean",
                                                 "flow iat std",
                                                 "flow duration",
                                                 "flow bytes/s",
                                                 "flow packets/s"};
static const char *const v1_units[V1_COLUMNS] = {"ms",    "ms", "1",  "packets", "packets", "packets", "bytes",
                                                 "bytes", "ms", "ms", "ms",      "bytes/s", "1/s"};
static const char *const v2_names[V2_COLUMNS] = {"log_packets",  "log_bytes",     "log_duration", "forward_share",
                                                 "log_mean_len", "log_std_len",   "log_mean_iat", "log_std_iat",
                                                 "log_bytes_ps", "log_packets_ps"};
static const char *const v2_units[V2_COLUMNS] = {"ln(1+packets)/12", "ln(1+bytes)/20",    "ln(1+ms)/16", "1",
                                                 "ln(1+bytes)/8",    "ln(1+bytes)/8",     "ln(1+ms)/10", "ln(1+ms)/10",
                                                 "ln(1+bytes/s)/20", "ln(1+packets/s)/12"};

typedef struct measures {
    double packets, forward, bytes, duration_ms, mean_length, std_length, mean_gap_ms, std_gap_ms, bytes_ps, packets_ps;
} measures;

static double deviation(uint64_t count, uint64_t sum, ws_uint128 squares)
{
    return sqrt((double)(count * squares - (ws_uint128)sum * sum)) / (double)count;
}

static measures measure(const ws_flow *flow)
{
    const uint64_t count = flow->packets[0] + flow->packets[1], duration = (uint64_t)(flow->last_ns - flow->first_ns);
    if (count == 0)
        return (measures){0};
    const double n = (double)count, seconds = (double)duration / 1e9, lasts = seconds > 0.001 ? seconds : 0.001;
    return (measures){.packets = n,
                      .forward = (double)flow->packets[0],
                      .bytes = (double)flow->wire_bytes,
                      .duration_ms = (double)duration / 1e6,
                      .mean_length = (double)flow->wire_bytes / n,
                      .std_length = deviation(count, flow->wire_bytes, flow->wire_squares),
                      .mean_gap_ms = (double)duration / 1e6 / n,
                      .std_gap_ms = deviation(count, duration, flow->gap_squares) / 1e6,
                      .bytes_ps = (double)flow->wire_bytes / lasts,
                      .packets_ps = n / lasts};
}

static void make_v1(const ws_flow *flow, const ws_flow_packet *packets, float *out)
{
    (void)packets;
    const measures m = measure(flow);
    const double values[V1_COLUMNS] = {m.mean_gap_ms, m.std_gap_ms,  0,
                                       m.packets,     m.forward,     m.packets - m.forward,
                                       m.mean_length, m.std_length,  m.mean_gap_ms,
                                       m.std_gap_ms,  m.duration_ms, m.bytes_ps,
                                       m.packets_ps};
    for (int c = 0; c < V1_COLUMNS; c++)
        out[c] = (float)values[c];
}

static float scaled_log(double value, double scale)
{
    return (float)(ws_fixed_log1p(value) / scale);
}

static void make_v2(const ws_flow *flow, const ws_flow_packet *packets, float *out)
{
    (void)packets;
    const measures m = measure(flow);
    out[0] = scaled_log(m.packets, 12);
    out[1] = scaled_log(m.bytes, 20);
    out[2] = scaled_log(m.duration_ms, 16);
    out[3] = m.packets > 0 ? (float)(m.forward / m.packets) : 0;
    out[4] = scaled_log(m.mean_length, 8);
    out[5] = scaled_log(m.std_length, 8);
    out[6] = scaled_log(m.mean_gap_ms, 10);
    out[7] = scaled_log(m.std_gap_ms, 10);
    out[8] = scaled_log(m.bytes_ps, 20);
    out[9] = scaled_log(m.packets_ps, 12);
}

const ws_flow_features ws_features_flowconx = {.help = "the numbers of FlowCon-X's canonical record",
                                               .table = {"flowconx", V1_COLUMNS, v1_names, v1_units},
                                               .make = make_v1};
const ws_flow_features ws_features_flowconx_v2 = {.help = "the ten flow values of FlowCon-X's second version",
                                                  .table = {"flowconx_v2", V2_COLUMNS, v2_names, v2_units},
                                                  .make = make_v2};
