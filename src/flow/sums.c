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

bool ws_flow_sums_add(ws_flow_sums *sums, int sender, int64_t offset_ns, uint32_t ip_length, uint32_t payload_length,
                      uint8_t tcp_flags)
{
    bool first = sums->packets[0] + sums->packets[1] == 0;
    bool late = !first && offset_ns < sums->newest;
    if (first) {
        sums->newest = offset_ns;
    } else if (!late) {
        int64_t gap = offset_ns - sums->newest;
        sums->gap_squares += (ws_uint128)(uint64_t)gap * (uint64_t)gap;
        if (gap > sums->longest_gap)
            sums->longest_gap = gap;
        sums->newest = offset_ns;
    }
    if (sums->packets[sender] == 0)
        sums->first_of[sender] = sums->newest_of[sender] = offset_ns;
    else if (offset_ns > sums->newest_of[sender])
        sums->newest_of[sender] = offset_ns;
    sums->packets[sender]++;
    sums->lengths[sender] += ip_length;
    sums->payloads[sender] += payload_length;
    sums->length_squares[sender] += (uint64_t)ip_length * ip_length;
    if (ip_length > sums->longest_length)
        sums->longest_length = ip_length;
    sums->syn += (tcp_flags & WS_TCP_SYN) != 0;
    sums->fin_rst += ((tcp_flags & WS_TCP_FIN) != 0) + ((tcp_flags & WS_TCP_RST) != 0);
    sums->psh += (tcp_flags & WS_TCP_PSH) != 0;
    return late;
}

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
    uint64_t count = sums->packets[sender];
    return count < 2 ? 0 : mean(count - 1, (uint64_t)(sums->newest_of[sender] - sums->first_of[sender]));
}

void ws_flow_sums_features(const ws_flow_sums *sums, int forward, float out[WS_FLOW20_COLUMNS])
{
    int f = forward, b = 1 - forward;
    uint64_t count = sums->packets[0] + sums->packets[1];
    uint64_t gaps = count > 0 ? count - 1 : 0;
    uint64_t duration = (uint64_t)sums->newest; /* the first packet is at 0, so never below it */
    double forward_bytes = (double)sums->lengths[f], backward_bytes = (double)sums->lengths[b];
    double all_bytes = (double)(sums->lengths[0] + sums->lengths[1]);
    const double unit = 1500.0;

    out[0] = log_us((double)duration);
    out[1] = (float)ws_fixed_log1p((double)sums->packets[f]);
    out[2] = (float)ws_fixed_log1p((double)sums->packets[b]);
    out[3] = (float)ws_fixed_log1p(forward_bytes);
    out[4] = (float)ws_fixed_log1p(backward_bytes);
    out[5] = (float)(mean(sums->packets[f], sums->lengths[f]) / unit);
    out[6] = (float)(deviation(sums->packets[f], sums->lengths[f], sums->length_squares[f]) / unit);
    out[7] = (float)(mean(sums->packets[b], sums->lengths[b]) / unit);
    out[8] = (float)(deviation(sums->packets[b], sums->lengths[b], sums->length_squares[b]) / unit);
    out[9] = (float)((double)sums->longest_length / unit);
    out[10] = log_us(mean(gaps, duration));
    out[11] = log_us(deviation(gaps, duration, sums->gap_squares));
    out[12] = log_us((double)sums->longest_gap);
    out[13] = log_us(mean_gap_of(sums, f));
    out[14] = log_us(mean_gap_of(sums, b));
    out[15] = (float)ws_fixed_log1p((double)count / ((double)duration / 1e9 + 0.001));
    out[16] = all_bytes > 0 ? (float)(((double)sums->lengths[f] - (double)sums->lengths[b]) / all_bytes) : 0;
    out[17] = (float)ws_fixed_log1p((double)sums->syn);
    out[18] = (float)ws_fixed_log1p((double)sums->fin_rst);
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
