/* Feature tables of flows: FlowCon-X's numbers against values published with its specification. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include "dataset/dataset.h"

/* Lengths 1252, 1252, 60, 1300; gaps 0, 12, 3, 40 ms; directions + - + -. */
static const uint32_t lengths[4] = {1252, 1252, 60, 1300};
static const int64_t gaps_ms[4] = {0, 12, 3, 40};

static ws_flow fixture(ws_flow_packet packets[4])
{
    ws_flow flow = {.packets = {2, 2}, .packet_count = 4};
    int64_t time = 0;
    for (int k = 0; k < 4; k++) {
        const int64_t gap = gaps_ms[k] * 1000000;
        time += gap;
        flow.wire_bytes += lengths[k];
        flow.wire_squares += (uint64_t)lengths[k] * lengths[k];
        flow.gap_squares += (ws_uint128)(gap * gap);
        packets[k] =
            (ws_flow_packet){.offset_ns = time, .wire_length = lengths[k], .direction = (int8_t)(k % 2 == 0 ? 1 : -1)};
    }
    flow.last_ns = time;
    return flow;
}

static void near(double value, double wanted, double tolerance)
{
    if (!(fabs(value - wanted) <= tolerance))
        fail_msg("%.9g, not %.9g", value, wanted);
}

static void values_of(const char *name, float out[32])
{
    ws_flow_packet packets[4];
    const ws_flow flow = fixture(packets);
    const ws_flow_features *features = ws_flow_features_find(name);
    assert_non_null(features);
    assert_true(features->table.columns <= 32);
    features->make(&flow, packets, out);
}

static void first_version(void **state)
{
    (void)state;
    float out[32];
    values_of("flowconx", out);
    near(out[0], 13.75, 1e-6);                                        /* "rtt" */
    near(out[1], sqrt((144.0 + 9 + 1600) / 4 - 13.75 * 13.75), 1e-5); /* "jitter" */
    near(out[2], 0, 0);
    near(out[3], 4, 0);
    near(out[4], 2, 0);
    near(out[5], 2, 0);
    near(out[6], 966, 0);
    near(out[7], sqrt((1252.0 * 1252 * 2 + 60 * 60 + 1300 * 1300) / 4 - 966.0 * 966), 1e-4);
    near(out[8], out[0], 0);
    near(out[9], out[1], 0);
    near(out[10], 55, 0);
    near(out[11], 70254.545454, 0.01);
    near(out[12], 72.727272, 1e-5);
}

static void second_version(void **state)
{
    (void)state;
    static const double published[10] = {.13412,  .412986, .251584, .5,      .859275,
                                         .782793, .269124, .282053, .557995, .358364};
    float out[32];
    values_of("flowconx_v2", out);
    for (int c = 0; c < 10; c++)
        near(out[c], published[c], 1e-6);
}

static void first_lengths(void **state)
{
    (void)state;
    static const float wanted[20] = {1252, -1252, 60, -1300};
    float out[32];
    values_of("first20", out);
    assert_memory_equal(out, wanted, sizeof wanted);
}

/* A flow of one packet, and one without any, give numbers. */
static void few_packets(void **state)
{
    (void)state;
    const ws_flow one = {.packets = {1, 0}, .wire_bytes = 60, .wire_squares = 3600}, none = {0};
    for (size_t i = 0; ws_flow_feature_tables[i] != NULL; i++) {
        float out[32];
        ws_flow_feature_tables[i]->make(&one, NULL, out);
        for (size_t c = 0; c < ws_flow_feature_tables[i]->table.columns; c++)
            assert_true(isfinite(out[c]));
        ws_flow_feature_tables[i]->make(&none, NULL, out);
        for (size_t c = 0; c < ws_flow_feature_tables[i]->table.columns; c++)
            assert_true(out[c] == 0);
    }
    float out[32];
    ws_flow_features_find("flowconx")->make(&one, NULL, out);
    near(out[11], 60000, 0); /* a flow lasts 1 ms at least */
    near(out[12], 1000, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_version),
        cmocka_unit_test(second_version),
        cmocka_unit_test(first_lengths),
        cmocka_unit_test(few_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
