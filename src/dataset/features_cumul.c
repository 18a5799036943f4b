/* features_cumul: CUMUL (Panchenko et al., NDSS 2016): packets and bytes of each direction, and the running sum of signed wire
 * lengths at 100 evenly spaced places of the flow, between packets interpolated. Signs are those of the direction, forward
 * positive. Of at most the first 1,000 stored packets, in time.
 */
#include "dataset/packet_series.h"

enum { POINTS = 100, COUNTS = 4, COLUMNS = COUNTS + POINTS };

#define TEN(F, t) F(t##0) F(t##1) F(t##2) F(t##3) F(t##4) F(t##5) F(t##6) F(t##7) F(t##8) F(t##9)
#define HUNDRED(F) TEN(F, 0) TEN(F, 1) TEN(F, 2) TEN(F, 3) TEN(F, 4) TEN(F, 5) TEN(F, 6) TEN(F, 7) TEN(F, 8) TEN(F, 9)
#define NAME(k) "cumulative_" #k,
#define UNIT(k) "bytes",
static const char *const names[COLUMNS] = {"packets_backward", "packets_forward", "bytes_backward", "bytes_forward",
                                           HUNDRED(NAME)};
static const char *const units[COLUMNS] = {"packets", "packets", "bytes", "bytes", HUNDRED(UNIT)};

static void make(const ws_flow *flow, const ws_flow_packet *packets, float *out)
{
    ws_packet_series series;
    int64_t running[WS_SERIES_MOST], sum = 0;
    uint64_t count[2] = {0}, bytes[2] = {0};
    ws_packet_series_take(&series, flow, packets, WS_SERIES_MOST);
    for (uint32_t i = 0; i < series.count; i++) {
        const ws_flow_packet *packet = series.packet[i];
        const bool forward = packet->direction > 0;
        count[forward]++;
        bytes[forward] += packet->wire_length;
        sum += forward ? (int64_t)packet->wire_length : -(int64_t)packet->wire_length;
        running[i] = sum;
    }
    for (int d = 0; d < 2; d++) {
        out[d] = (float)count[d];
        out[2 + d] = (float)bytes[d];
    }
    for (uint32_t p = 0; p < POINTS; p++) {
        if (series.count == 0) {
            out[COUNTS + p] = 0;
            continue;
        }
        const uint32_t place = p * (series.count - 1), at = place / (POINTS - 1), behind = place % (POINTS - 1);
        const int64_t step = behind > 0 ? running[at + 1] - running[at] : 0;
        out[COUNTS + p] = (float)((double)running[at] + (double)behind / (POINTS - 1) * (double)step);
    }
}

const ws_flow_features ws_features_cumul = {
    .help = "CUMUL: counts, bytes, and the running sum of signed lengths at 100 places",
    .table = {"cumul", COLUMNS, names, units},
    .packets = 1,
    .reads = WS_SERIES_MOST,
    .make = make};
