/* bench_features: what the feature tables of flows cost: the time to make a row, of made-up flows of 20 and of 200 stored packets, on
 * one core. Sums that the flow table keeps anyway, such as those of flow20, are not in it.
 */
#include "dataset/dataset.h"

#include <stdio.h>
#include <time.h>

enum { PACKETS = 200, WIDEST = 512 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static ws_flow make_flow(ws_flow_packet packets[PACKETS], uint32_t count)
{
    ws_flow flow = {.key = {.low_port = 443, .high_port = 50000, .protocol = 6},
                    .packets = {count / 2, count - count / 2},
                    .packet_count = count};
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t drawn = ws_random_u64(1, WS_RANDOM_TEST, 0, i);
        flow.last_ns += (int64_t)(drawn % 50000000);
        packets[i] = (ws_flow_packet){.offset_ns = flow.last_ns,
                                      .wire_length = 60 + (uint32_t)(drawn >> 32) % 1440,
                                      .direction = (int8_t)((drawn >> 20) % 3 == 0 ? -1 : 1)};
        flow.wire_bytes += packets[i].wire_length;
        flow.wire_squares += (uint64_t)packets[i].wire_length * packets[i].wire_length;
    }
    return flow;
}

/* Seconds a row: as many as 20 ms allow, the best of five. */
static double time_table(const ws_flow_features *features, const ws_flow *flow, const ws_flow_packet *packets)
{
    float out[WIDEST];
    double best = 1e9;
    for (int round = 0; round < 5; round++) {
        const double begin = now();
        double took;
        int rows = 0;
        do {
            for (int i = 0; i < 16; i++)
                features->make(flow, packets, out);
            rows += 16;
            took = now() - begin;
        } while (took < 0.02);
        best = took / rows < best ? took / rows : best;
    }
    return best;
}

ws_err ws_bench_features(ws_text *out, bool json)
{
    static const uint32_t lengths[] = {20, PACKETS};
    ws_bench_report report = {.out = out, .json = json};
    ws_flow_packet packets[PACKETS];
    for (size_t i = 0; ws_flow_feature_tables[i] != NULL; i++)
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            const ws_flow flow = make_flow(packets, lengths[k]);
            char name[80];
            WS_CHECK(ws_flow_feature_tables[i]->table.columns <= WIDEST, INTERNAL, "table %s is wider than %d columns",
                     ws_flow_feature_tables[i]->table.name, WIDEST);
            snprintf(name, sizeof name, "%s, %u packets", ws_flow_feature_tables[i]->table.name, lengths[k]);
            ws_bench_line(&report, name, 1e6 * time_table(ws_flow_feature_tables[i], &flow, packets), "us/flow", 0,
                          NULL);
        }
    return ws_bench_end(&report);
}
