/* Feature tables of flows: FlowCon-X's numbers against values published with its specification; those of classical baselines
 * against numbers worked out by hand, or by numpy and scipy from the definitions. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include "dataset/dataset.h"

enum { WIDEST = 256 };

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

static void values_of(const char *name, float out[WIDEST])
{
    ws_flow_packet packets[4];
    ws_flow flow = fixture(packets);
    flow.key = (ws_flow_key){.low_port = 443, .high_port = 50000, .protocol = 6}; /* asked by the high port */
    const ws_flow_features *features = ws_flow_features_find(name);
    assert_non_null(features);
    assert_true(features->table.columns <= WIDEST);
    features->make(&flow, packets, out);
}

static void first_version(void **state)
{
    (void)state;
    float out[WIDEST];
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
    float out[WIDEST];
    values_of("flowconx_v2", out);
    for (int c = 0; c < 10; c++)
        near(out[c], published[c], 1e-6);
}

static void first_lengths(void **state)
{
    (void)state;
    static const float wanted[20] = {1252, -1252, 60, -1300};
    float out[WIDEST];
    values_of("first20", out);
    assert_memory_equal(out, wanted, sizeof wanted);
}

/* ln(1 + gap in s) of the four packets. */
static const double log_gaps[4] = {0, 0.011928570865, 0.002995508979, 0.039220713153};

static void assert_first_packets(const float *out, int packets)
{
    for (int i = 0; i < packets; i++) {
        const bool there = i < 4;
        near(out[5 * i], there ? (double)lengths[i] * (i % 2 == 0 ? 1 : -1) : 0, 0);
        near(out[5 * i + 1], there ? log_gaps[i] : 0, 1e-9);
        near(out[5 * i + 2], there, 0);
        near(out[5 * i + 3], 0, 0);
        near(out[5 * i + 4], 0, 0);
    }
}

static void notebook_tables(void **state)
{
    (void)state;
    static const int sizes[4] = {5, 10, 20, 40};
    /* ln(1.055), sum, mean, deviation; forward; TCP, UDP, other; source ports; destination ports */
    static const double whole[16] = {
        0.053540766928, 3864, 966, 523.44627231, 0.5, 1, 0, 0, 0, 0.5, 0, 0.5, 0, 0.5, 0, 0.5};
    for (int k = 0; k < 4; k++) {
        char name[32];
        float out[WIDEST];
        snprintf(name, sizeof name, "baseline_%d", sizes[k]);
        assert_int_equal(ws_flow_features_find(name)->table.columns, 5 * sizes[k]);
        values_of(name, out);
        assert_first_packets(out, sizes[k]);
        snprintf(name, sizeof name, "extended_%d", sizes[k]);
        assert_int_equal(ws_flow_features_find(name)->table.columns, 5 * sizes[k] + 16);
        values_of(name, out);
        assert_first_packets(out, sizes[k]);
        for (int c = 0; c < 16; c++)
            near(out[5 * sizes[k] + c], whole[c], 1e-4);
    }
    assert_string_equal(ws_flow_features_find("extended_5")->table.names[25], "log_duration");
    assert_string_equal(ws_flow_features_find("extended_40")->table.names[199], "other_40");
    assert_string_equal(ws_flow_features_find("extended_40")->table.names[215], "destination_port_dynamic");
}

/* More packets than a table takes: the first by time, whatever the order they are stored in; the 16 numbers are of 200. */
static void packets_are_taken_by_time(void **state)
{
    (void)state;
    enum { MANY = 300 };
    static ws_flow_packet packets[MANY];
    ws_flow flow = {.key = {.low_port = 7, .high_port = 7, .protocol = 17}, .packet_count = MANY};
    float turned[WIDEST], sorted[WIDEST];
    for (int i = 0; i < MANY; i++) {
        const int k = i < 200 ? 199 - i : i;
        packets[i] =
            (ws_flow_packet){.offset_ns = INT64_C(1000000000) * k, .wire_length = (uint32_t)(100 + k), .direction = 1};
    }
    ws_flow_features_find("extended_20")->make(&flow, packets, turned);
    for (int i = 0; i < MANY; i++)
        packets[i] =
            (ws_flow_packet){.offset_ns = INT64_C(1000000000) * i, .wire_length = (uint32_t)(100 + i), .direction = 1};
    ws_flow_features_find("extended_20")->make(&flow, packets, sorted);
    assert_memory_equal(turned, sorted, 116 * sizeof *turned);
    near(sorted[5 * 19], 119, 0);
    near(sorted[5 * 19 + 1], log(2), 1e-7);
    near(sorted[5 * 19 + 3], 1, 0);
    near(sorted[100], log(200), 1e-6);
    near(sorted[101], 100 * 200 + 199 * 100, 0);
}

static void size_histogram(void **state)
{
    (void)state;
    float out[WIDEST];
    values_of("size_histogram", out); /* forward 1252, 60; backward 1252, 1300 */
    for (int c = 0; c < 24; c++)
        near(out[c], c == 0 || c == 8 || c == 12 + 8 || c == 12 + 9 ? 0.25 : 0, 0);
}

static void cumul(void **state)
{
    (void)state;
    float out[WIDEST];
    values_of("cumul", out); /* the running sum is 1252, 0, 60, -1240 at places 0, 33, 66, 99 */
    const double counts[4] = {2, 2, 2552, 1312};
    for (int c = 0; c < 4; c++)
        near(out[c], counts[c], 0);
    near(out[4], 1252, 0);
    near(out[4 + 11], 1252 * 2 / 3.0, 1e-3);
    near(out[4 + 33], 0, 0);
    near(out[4 + 66], 60, 0);
    near(out[4 + 77], 60 - 1300 / 3.0, 1e-3);
    near(out[4 + 99], -1240, 0);
}

static void appscanner(void **state)
{
    (void)state;
    float out[WIDEST];
    values_of("appscanner", out);
    /* numpy: min, max, mean, mean absolute deviation, std, var, skew, kurtosis, sum, n, percentiles 10 to 80 */
    static const double forward[18] = {60, 1252,  656,   596,   596,   355216, 0,     -2,    1312,
                                       2,  179.2, 298.4, 417.6, 536.8, 656,    775.2, 894.4, 1013.6};
    static const double both[18] = {60, 1300,  966,   453,    523.446272, 273996, -1.14980538, -0.670300502, 3864,
                                    4,  417.6, 775.2, 1132.8, 1252,       1252,   1252,        1256.8,       1271.2};
    static const double gaps[18] = {3, 40,  18.3333333, 14.4444444, 15.7550697, 248.222222, 0.538022002, -1.5, 55,
                                    3, 4.8, 6.6,        8.4,        10.2,       12,         17.6,        23.2, 28.8};
    for (int c = 0; c < 18; c++) {
        near(out[c], forward[c], 1e-5 * (1 + fabs(forward[c])));
        near(out[36 + c], both[c], 1e-5 * (1 + fabs(both[c])));
        near(out[54 + c], gaps[c], 1e-5 * (1 + fabs(gaps[c])));
    }
    near(out[18], 1252, 0);
    near(out[19], 1300, 0);
}

static void fingerprint(void **state)
{
    (void)state;
    float out[WIDEST];
    values_of("kfp", out);
    assert_int_equal(ws_flow_features_find("kfp")->table.columns, 52);
    static const double wanted[52] = {4,       2,      2,       0.5,        0.5,        1,
                                      1,       2,      1,                      /* counts, shares, places */
                                      2,       2,      2,       2,             /* first and last 30 */
                                      2,       0,      2,       2,          2, /* concentration */
                                      4,       0,      4,       4,          4, /* packets of the only second */
                                      15,      15,     0,       15,         43,         43,
                                      0,       43,     40,      18.3333333, 15.7550696, 26, /* gaps in ms */
                                      0.00375, 0.0075, 0.01125, 0.015,      0.02275,    0.0335,
                                      0.04425, 0.055,  0.009,   0.0135,     0.025,      0.055, /* times */
                                      3864,    1312,   2552,    656,        1276};
    for (int c = 0; c < 52; c++)
        near(out[c], wanted[c], 1e-6 * (1 + fabs(wanted[c])));
}

static void whole_flows(void **state)
{
    (void)state;
    float out[WIDEST];
    static const double wanted[13] = {55,  4,           2,          2,          3864,       0,         0,
                                      966, 523.4462723, 18.3333333, 15.7550696, 70254.5455, 72.7272727};
    values_of("flow_meta", out);
    for (int c = 0; c < 13; c++)
        near(out[c], wanted[c], 1e-5 * (1 + wanted[c]));
    static const int five[5] = {1, 4, 0, 9, 7};
    float few[WIDEST];
    values_of("five_stat", few);
    for (int c = 0; c < 5; c++)
        assert_true(few[c] == out[five[c]]);
    values_of("first10", few);
    near(few[3], -1300, 0);
    near(few[9], 0, 0);
}

/* A flow of one packet, and one without any, give numbers. */
static void few_packets(void **state)
{
    (void)state;
    const ws_flow one = {.packets = {1, 0}, .wire_bytes = 60, .wire_squares = 3600}, none = {0};
    for (size_t i = 0; ws_flow_feature_tables[i] != NULL; i++) {
        float out[WIDEST];
        ws_flow_feature_tables[i]->make(&one, NULL, out);
        for (size_t c = 0; c < ws_flow_feature_tables[i]->table.columns; c++)
            assert_true(isfinite(out[c]));
        ws_flow_feature_tables[i]->make(&none, NULL, out);
        for (size_t c = 0; c < ws_flow_feature_tables[i]->table.columns; c++)
            assert_true(out[c] == 0);
    }
    float out[WIDEST];
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
        cmocka_unit_test(notebook_tables),
        cmocka_unit_test(packets_are_taken_by_time),
        cmocka_unit_test(size_histogram),
        cmocka_unit_test(cumul),
        cmocka_unit_test(appscanner),
        cmocka_unit_test(fingerprint),
        cmocka_unit_test(whole_flows),
        cmocka_unit_test(few_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
