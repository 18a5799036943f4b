/* features_baseline: the two tables of the pcapML leaderboard's notebook, for the first P = 5, 10, 20 or 40 packets in time.
 * baseline_P: five numbers a packet, zeros where there are fewer packets. extended_P: the same and 16 numbers of all stored
 * packets, at most 200 (extract --packets 200), whatever P is.
 *
 * Lengths are wire lengths, which are the captured ones where the capture cuts nothing off. A gap before the packet in front
 * counts as 0. Logarithms are ws_fixed_log1p. Packets behind those that are stored count as missing.
 */
#include "dataset/packet_series.h"

#include <math.h>

enum { PER_PACKET = 5, WHOLE = 16, WHOLE_PACKETS = 200, BUCKETS = 4, TCP = 6, UDP = 17 };

#define PACKETS_5(F) F(1) F(2) F(3) F(4) F(5)
#define PACKETS_10(F) PACKETS_5(F) F(6) F(7) F(8) F(9) F(10)
#define PACKETS_20(F) PACKETS_10(F) F(11) F(12) F(13) F(14) F(15) F(16) F(17) F(18) F(19) F(20)
#define PACKETS_40(F)                                                                                                  \
    PACKETS_20(F)                                                                                                      \
    F(21)                                                                                                              \
    F(22) F(23) F(24) F(25) F(26) F(27) F(28) F(29) F(30) F(31) F(32) F(33) F(34) F(35) F(36) F(37) F(38) F(39) F(40)
#define NAMES(k) "signed_length_" #k, "log_gap_" #k, "tcp_" #k, "udp_" #k, "other_" #k,
#define UNITS(k) "bytes", "ln(1+s)", "1", "1", "1",
#define WHOLE_NAMES                                                                                                    \
    "log_duration", "bytes", "length_mean", "length_std", "forward_share", "tcp_share", "udp_share", "other_share",    \
        "source_port_0", "source_port_below_1024", "source_port_below_49152", "source_port_dynamic",                   \
        "destination_port_0", "destination_port_below_1024", "destination_port_below_49152",                           \
        "destination_port_dynamic"
#define WHOLE_UNITS "ln(1+s)", "bytes", "bytes", "bytes", "1", "1", "1", "1", "1", "1", "1", "1", "1", "1", "1", "1"

/* Packets of a sample may be of several flows. */
static bool is_sample(const ws_flow *flow)
{
    return flow->key.sample[0] != 0 || flow->key.sample[1] != 0 || flow->key.sample[2] != 0;
}

static void make_packets(const ws_flow *flow, const ws_packet_series *series, uint32_t count, float *out)
{
    memset(out, 0, (size_t)count * PER_PACKET * sizeof *out);
    for (uint32_t i = 0; i < count && i < series->count; i++, out += PER_PACKET) {
        const ws_flow_packet *packet = series->packet[i];
        const uint8_t protocol = is_sample(flow) ? packet->protocol : flow->key.protocol;
        const int64_t gap = i > 0 ? packet->offset_ns - series->packet[i - 1]->offset_ns : 0;
        out[0] = (float)packet->wire_length * (float)packet->direction;
        out[1] = (float)ws_fixed_log1p((double)gap / 1e9);
        out[2] = protocol == TCP;
        out[3] = protocol == UDP;
        out[4] = protocol != TCP && protocol != UDP;
    }
}

static int bucket(uint16_t port)
{
    return port == 0 ? 0 : port < 1024 ? 1 : port < 49152 ? 2 : 3;
}

/* The shares of packets by the bucket of the port they come from, and go to. */
static void make_ports(const ws_flow *flow, double forward_share, float *out)
{
    const uint16_t low = flow->key.low_port, high = flow->key.high_port;
    const uint16_t own = flow->forward_is_low ? low : high, other = flow->forward_is_low ? high : low;
    double shares[2 * BUCKETS] = {0};
    shares[bucket(own)] += forward_share;
    shares[bucket(other)] += 1 - forward_share;
    shares[BUCKETS + bucket(other)] += forward_share;
    shares[BUCKETS + bucket(own)] += 1 - forward_share;
    for (int k = 0; k < 2 * BUCKETS; k++)
        out[k] = (float)shares[k];
}

/* The same, and the shares of the protocols, where packets have ports and protocols of their own. */
static void make_ports_of_packets(const ws_packet_series *series, float protocols[3], float *out)
{
    uint32_t shares[2 * BUCKETS] = {0}, counts[3] = {0};
    const double n = (double)series->count;
    for (uint32_t i = 0; i < series->count; i++) {
        const ws_flow_packet *packet = series->packet[i];
        shares[bucket(packet->source_port)]++;
        shares[BUCKETS + bucket(packet->destination_port)]++;
        counts[packet->protocol == TCP ? 0 : packet->protocol == UDP ? 1 : 2]++;
    }
    for (int k = 0; k < 2 * BUCKETS; k++)
        out[k] = (float)((double)shares[k] / n);
    for (int k = 0; k < 3; k++)
        protocols[k] = (float)((double)counts[k] / n);
}

static void make_whole(const ws_flow *flow, const ws_packet_series *series, float *out)
{
    uint64_t sum = 0, forward = 0;
    ws_uint128 squares = 0;
    memset(out, 0, WHOLE * sizeof *out);
    if (series->count == 0)
        return;
    for (uint32_t i = 0; i < series->count; i++) {
        const uint64_t length = series->packet[i]->wire_length;
        sum += length;
        squares += length * length;
        forward += series->packet[i]->direction > 0;
    }
    const double n = (double)series->count, share = (double)forward / n;
    const int64_t lasted = series->packet[series->count - 1]->offset_ns - series->packet[0]->offset_ns;
    out[0] = (float)ws_fixed_log1p((double)lasted / 1e9);
    out[1] = (float)sum;
    out[2] = (float)((double)sum / n);
    out[3] = (float)(sqrt((double)(series->count * squares - (ws_uint128)sum * sum)) / n);
    out[4] = (float)share;
    if (is_sample(flow)) {
        make_ports_of_packets(series, out + 5, out + 8);
        return;
    }
    out[5] = flow->key.protocol == TCP;
    out[6] = flow->key.protocol == UDP;
    out[7] = 1 - out[5] - out[6];
    make_ports(flow, share, out + 8);
}

static void make_baseline(const ws_flow *flow, const ws_flow_packet *packets, uint32_t count, float *out)
{
    ws_packet_series series;
    ws_packet_series_take(&series, flow, packets, WHOLE_PACKETS);
    make_packets(flow, &series, count, out);
}

static void make_extended(const ws_flow *flow, const ws_flow_packet *packets, uint32_t count, float *out)
{
    ws_packet_series series;
    ws_packet_series_take(&series, flow, packets, WHOLE_PACKETS);
    make_packets(flow, &series, count, out);
    make_whole(flow, &series, out + (size_t)count * PER_PACKET);
}

#define TABLES(P)                                                                                                      \
    static const char *const names_##P[] = {PACKETS_##P(NAMES) WHOLE_NAMES};                                           \
    static const char *const units_##P[] = {PACKETS_##P(UNITS) WHOLE_UNITS};                                           \
    static void make_baseline_##P(const ws_flow *flow, const ws_flow_packet *packets, float *out)                      \
    {                                                                                                                  \
        make_baseline(flow, packets, P, out);                                                                          \
    }                                                                                                                  \
    static void make_extended_##P(const ws_flow *flow, const ws_flow_packet *packets, float *out)                      \
    {                                                                                                                  \
        make_extended(flow, packets, P, out);                                                                          \
    }                                                                                                                  \
    const ws_flow_features ws_features_baseline_##P = {                                                                \
        .help = "pcapML notebook: length, gap and protocol of the first " #P " packets",                               \
        .table = {"baseline_" #P, PER_PACKET * P, names_##P, units_##P},                                               \
        .packets = P,                                                                                                  \
        .reads = P,                                                                                                    \
        .make = make_baseline_##P};                                                                                    \
    const ws_flow_features ws_features_extended_##P = {                                                                \
        .help = "pcapML notebook: baseline_" #P " and 16 numbers of up to 200 packets",                                \
        .table = {"extended_" #P, PER_PACKET * P + WHOLE, names_##P, units_##P},                                       \
        .packets = P,                                                                                                  \
        .reads = WHOLE_PACKETS,                                                                                        \
        .make = make_extended_##P};
TABLES(5)
TABLES(10)
TABLES(20)
TABLES(40)
