/* The 20-d flow vector and the 9-d packet vector: exact integer sums, floating point only in the last division, root or
 * logarithm, logarithms by ws_fixed_log1p, so that the stored bits are the same on every machine.
 *
 * Times are summed in nanoseconds and become microseconds by one division (ns / 1000.0) at the very end, so fractions
 * of a microsecond count. A gap is measured from the newest time before it; a packet that is older than that has gap 0.
 * The gaps of a flow thus add up to its duration. The same holds for the gaps of one direction. Lengths are IP lengths
 * (IPv6: 40 + payload length). Deviations are population deviations: sqrt(n * sum(x^2) - sum(x)^2) / n.
 */
#include "flow/sums.h"

#include <math.h>

const char *const ws_flow20_names[WS_FLOW20_COLUMNS] = {
    "log_dur",        "log_pkts_f", "log_pkts_b", "log_bytes_f",  "log_bytes_b", "mean_len_f",  "std_len_f",
    "mean_len_b",     "std_len_b",  "max_len",    "log_iat_mean", "log_iat_std", "log_iat_max", "log_iat_mean_f",
    "log_iat_mean_b", "log_pps",    "byte_asym",  "log_syn",      "log_finrst",  "psh_frac"};

const char *const ws_flow20_units[WS_FLOW20_COLUMNS] = {
    "ln(1+us)",    "ln(1+packets)", "ln(1+packets)", "ln(1+bytes)",
    "ln(1+bytes)", "1500 bytes",    "1500 bytes",    "1500 bytes",
    "1500 bytes",  "1500 bytes",    "ln(1+us)",      "ln(1+us)",
    "ln(1+us)",    "ln(1+us)",      "ln(1+us)",      "ln(1+packets/s)",
    "1",           "ln(1+packets)", "ln(1+packets)", "1"};

const char *const ws_packet9_names[WS_PACKET9_COLUMNS] = {"log_len", "log_iat", "dir", "log_win", "syn",
                                                          "ack",     "fin",     "rst", "psh"};

static double deviation(uint64_t count, uint64_t sum, ws_uint128 squares)
{
    if (count == 0)
        return 0;
    return sqrt((double)(count * squares - (ws_uint128)sum * sum)) / (double)count;
}

static double mean(uint64_t count, uint64_t sum)
{
    return count == 0 ? 0 : (double)sum / (double)count;
}

static float log_us(double ns)
{
    return (float)ws_fixed_log1p(ns / 1000.0);
}

static double mean_gap_of(const ws_flow_sums *sums, int sender)
{
    uint64_t count = sums->of[sender].packets;
    return count < 2 ? 0 : mean(count - 1, (uint64_t)(sums->of[sender].newest - sums->of[sender].first));
}

enum { LOGARITHMS = 16 }; /* 13, filled up with zeros to a multiple of what is computed at once */

void ws_flow_sums_features(const ws_flow_sums *sums, int forward, float out[WS_FLOW20_COLUMNS])
{
    int f = forward, b = 1 - forward;
    uint64_t count = sums->of[0].packets + sums->of[1].packets;
    uint64_t gaps = count > 0 ? count - 1 : 0;
    uint64_t duration = (uint64_t)sums->newest; /* the first packet is at 0, so never below it */
    double forward_bytes = (double)sums->of[f].lengths, backward_bytes = (double)sums->of[b].lengths;
    double all_bytes = (double)(sums->of[0].lengths + sums->of[1].lengths);
    const double unit = 1500.0;

    /* All logarithms at once; times in microseconds. */
    const double x[LOGARITHMS] = {
        [0] = (double)duration / 1000.0,
        [1] = (double)sums->of[f].packets,
        [2] = (double)sums->of[b].packets,
        [3] = forward_bytes,
        [4] = backward_bytes,
        [5] = mean(gaps, duration) / 1000.0,
        [6] = deviation(gaps, duration, sums->gap_squares) / 1000.0,
        [7] = (double)sums->longest_gap / 1000.0,
        [8] = mean_gap_of(sums, f) / 1000.0,
        [9] = mean_gap_of(sums, b) / 1000.0,
        [10] = (double)count / ((double)duration / 1e9 + 0.001),
        [11] = (double)sums->syn,
        [12] = (double)sums->fin_rst,
    };
    double log[LOGARITHMS];
    ws_fixed_log1p_many(x, log, LOGARITHMS);

    for (int i = 0; i < 5; i++)
        out[i] = (float)log[i];
    out[5] = (float)(mean(sums->of[f].packets, sums->of[f].lengths) / unit);
    out[6] = (float)(deviation(sums->of[f].packets, sums->of[f].lengths, sums->of[f].length_squares) / unit);
    out[7] = (float)(mean(sums->of[b].packets, sums->of[b].lengths) / unit);
    out[8] = (float)(deviation(sums->of[b].packets, sums->of[b].lengths, sums->of[b].length_squares) / unit);
    out[9] = (float)((double)sums->longest_length / unit);
    for (int i = 10; i < 16; i++)
        out[i] = (float)log[i - 5];
    out[16] = all_bytes > 0 ? (float)(((double)sums->of[f].lengths - (double)sums->of[b].lengths) / all_bytes) : 0;
    out[17] = (float)log[11];
    out[18] = (float)log[12];
    out[19] = count > 0 ? (float)((double)sums->psh / (double)count) : 0;
}

void ws_flow20_from_packets(const ws_flow_packet *stored, uint32_t count, float out[WS_FLOW20_COLUMNS])
{
    ws_flow_sums sums = {0};
    for (uint32_t i = 0; i < count; i++)
        ws_flow_sums_add(&sums, stored[i].direction > 0 ? 0 : 1, stored[i].offset_ns, stored[i].ip_length,
                         stored[i].payload_length, stored[i].tcp_flags);
    ws_flow_sums_features(&sums, 0, out);
}

void ws_packet9(const ws_flow_packet *stored, uint32_t k, float out[WS_PACKET9_COLUMNS])
{
    const ws_flow_packet *packet = &stored[k];
    int64_t newest = stored[0].offset_ns;
    for (uint32_t i = 1; i < k; i++)
        if (stored[i].offset_ns > newest)
            newest = stored[i].offset_ns;
    bool later = k > 0 && packet->offset_ns > newest;

    out[0] = (float)ws_fixed_log1p((double)packet->ip_length);
    out[1] = later ? log_us((double)(packet->offset_ns - newest)) : 0;
    out[2] = packet->direction;
    out[3] = (float)ws_fixed_log1p((double)packet->window);
    out[4] = (packet->tcp_flags & WS_TCP_SYN) != 0;
    out[5] = (packet->tcp_flags & WS_TCP_ACK) != 0;
    out[6] = (packet->tcp_flags & WS_TCP_FIN) != 0;
    out[7] = (packet->tcp_flags & WS_TCP_RST) != 0;
    out[8] = (packet->tcp_flags & WS_TCP_PSH) != 0;
}
