/* A row of pcapML is a sample: all packets that name it, whatever flows and protocols they are of, in time; with features over
 * them, and direction by its first packet. On request its flows are rows.
 * ctest: ranks=1,3 timeout=120 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "capture/captures.h"
#include "dataset/dataset.h"
#include "folder.h"

enum { SAMPLES = 24, ROUNDS = 4, PACKETS = SAMPLES * ROUNDS, WITHOUT = 3, COLUMNS = 5 * 5 + 16 };
#define FIRST_US UINT64_C(1500000000000000)

/* A question and its answer, whose 5-tuple the next sample has too; 200 s later a reset of another connection by the same host, and
 * an echo to it. */
static void put_content(bytes *frame, size_t s, size_t k)
{
    static const char *const endpoints[ROUNDS] = {"\x0a\0\0\x01\xc0\xa8\x01\x02", "\xc0\xa8\x01\x02\x0a\0\0\x01",
                                                  "\x0a\0\0\x01\x0a\x09\x09\x09", "\x0a\x09\x09\x09\x0a\0\0\x01"};
    const size_t port = 2000 + s / 2;
    put_ethernet(frame, 0x0800);
    put_ipv4(frame, k < 2 ? 17 : k == 2 ? 6 : 1, k == 2 ? 20 : 8, 0, 0);
    memcpy(frame->data + frame->count - 8, endpoints[k], 8);
    if (k < 2) {
        put_number(frame, k == 0 ? port : 53, 2, true);
        put_number(frame, k == 0 ? 53 : port, 2, true);
        put_hex(frame, "0008 0000");
    } else if (k == 2) {
        put_hex(frame, "0bb8 01bb 00000001 00000000 5004 2000 0000 0000"); /* 3000 to 443, RST */
    } else {
        put_hex(frame, "0800 0000 0001 0001");
    }
}

static uint64_t time_of(size_t s, size_t k)
{
    return FIRST_US + (k < 2 ? k * 1000 : 200000000 + k * 1000) + s * 10;
}

static void put_packet(bytes *out, size_t s, size_t k, const char *comment)
{
    bytes frame = {0}, body = {0};
    const uint64_t us = time_of(s, k);
    put_content(&frame, s, k);
    put_number(&body, 0, 4, false);
    put_number(&body, us >> 32, 4, false);
    put_number(&body, us & UINT32_MAX, 4, false);
    put_number(&body, frame.count, 4, false);
    put_number(&body, frame.count, 4, false);
    put(&body, frame.data, frame.count);
    put_fill(&body, 0, (4 - body.count % 4) % 4);
    if (comment != NULL) {
        put_number(&body, 1, 2, false);
        put_number(&body, strlen(comment), 2, false);
        put(&body, comment, strlen(comment));
        put_fill(&body, 0, (4 - strlen(comment) % 4) % 4);
        put_number(&body, 0, 4, false);
    }
    put_block(out, false, 6, &body);
    bytes_free(&frame);
    bytes_free(&body);
}

/* Packets in an order that is neither that of time nor that of samples, with some that name no sample. */
static void write_capture(const char *name)
{
    if (world.rank == 0) {
        bytes file = {0};
        put_section(&file, false);
        put_interface(&file, false, 1, 0, -1, 0);
        for (size_t i = 0; i < PACKETS; i++) {
            const size_t at = i * 35 % PACKETS; /* 35 and 96 have no common factor */
            char comment[64];
            snprintf(comment, sizeof comment, "%llu,label-%zu", (unsigned long long)(UINT64_MAX - at % SAMPLES),
                     at % SAMPLES % 3);
            put_packet(&file, at % SAMPLES, at / SAMPLES, comment);
            if (i % 40 == 0)
                put_packet(&file, 1, 0, NULL);
        }
        ok(ws_file_write(in_folder(name), (const char *)file.data, file.count));
        bytes_free(&file);
    }
    ok(ws_barrier_all(&world));
}

static ws_err extract(ws_extract_row rows, int64_t memory, const char *filter, ws_extract_report *report)
{
    static const char *const table = "extended_5";
    const char *const inputs[] = {in_folder("a.pcapng")};
    const ws_extract_options options = {.dataset = "pcapml",
                                        .inputs = {inputs, 1},
                                        .output = in_folder("store.h5"),
                                        .packets = 200,
                                        .endpoints = "plain",
                                        .features = {&table, 1},
                                        .rows = rows,
                                        .memory = memory,
                                        .filter = filter,
                                        .round_bytes = 3000};
    return ws_extract_all(&world, &options, report);
}

static void assert_features(const float *values)
{
    static const float protocol[ROUNDS][3] = {{0, 1, 0}, {0, 1, 0}, {1, 0, 0}, {0, 0, 1}};
    static const float shares[11] = {0.25F, 0.5F,  0.25F, 0.25F, 0.25F,
                                     0.5F,                           /* TCP, UDP, others; source ports 0, 53, */
                                     0,     0.25F, 0.5F,  0.25F, 0}; /* 2000 and 3000; destination ports */
    for (size_t k = 0; k < ROUNDS; k++) {
        const float sign = k % 2 == 0 ? 1 : -1;
        assert_true(values[5 * k] * sign > 0);
        assert_memory_equal(values + 5 * k + 2, protocol[k], sizeof protocol[k]);
    }
    assert_true(values[20] == 0);
    assert_memory_equal(values + 25 + 5, shares, sizeof shares);
}

/* Rows stand in the order in which the capture first names them. */
static void assert_row(const ws_store *store, uint64_t row)
{
    int64_t first;
    uint64_t counts[2], start[2];
    uint8_t protocol;
    int32_t label;
    float values[COLUMNS];
    ws_flow_packet *packets;
    char expected[32];
    ok(ws_store_read(store, "/flows/first_ns", H5T_NATIVE_INT64, row, 1, &first));
    ok(ws_store_read(store, "/flows/packets_forward", H5T_NATIVE_UINT64, row, 1, &counts[0]));
    ok(ws_store_read(store, "/flows/packets_backward", H5T_NATIVE_UINT64, row, 1, &counts[1]));
    ok(ws_store_read(store, "/flows/protocol", H5T_NATIVE_UINT8, row, 1, &protocol));
    ok(ws_store_read(store, "/labels/label", H5T_NATIVE_INT32, row, 1, &label));
    ok(ws_store_read_features(store, "extended_5", row, 1, values));
    ok(ws_store_read_packets(store, row, 1, start, &packets));
    const size_t s = (size_t)(first / 1000 - (int64_t)FIRST_US) / 10;
    assert_true(s < SAMPLES);
    assert_int_equal(first, (int64_t)time_of(s, 0) * 1000);
    snprintf(expected, sizeof expected, "label-%zu", s % 3);
    assert_string_equal(ws_store_level(store, "label")->names[label], expected);
    assert_int_equal(counts[0], 2);
    assert_int_equal(counts[1], 2);
    assert_int_equal(protocol, 17);
    assert_int_equal(start[1] - start[0], ROUNDS);
    for (size_t k = 0; k < ROUNDS; k++) {
        assert_int_equal(packets[k].offset_ns, (int64_t)(time_of(s, k) - time_of(s, 0)) * 1000);
        assert_int_equal(packets[k].direction, k % 2 == 0 ? 1 : -1);
    }
    assert_features(values);
    free(packets);
}

static void rows_are_samples(void **state)
{
    (void)state;
    ws_extract_report report, spilled;
    write_capture("a.pcapng");
    ok(extract(WS_ROW_AUTO, 0, NULL, &report));
    assert_int_equal(report.skipped[WS_SKIP_no_sample], WITHOUT);
    assert_int_equal(report.packets, PACKETS);
    ok(ws_barrier_all(&world));
    if (world.rank == 0) {
        ws_store store;
        uint64_t sessions[SAMPLES];
        bool shared = false;
        ok(ws_store_open(&store, in_folder("store.h5")));
        assert_int_equal(store.rows, SAMPLES);
        for (uint64_t row = 0; row < SAMPLES; row++)
            assert_row(&store, row);
        ok(ws_store_read(&store, "/flows/session_id", H5T_NATIVE_UINT64, 0, SAMPLES, sessions));
        for (size_t i = 1; i < SAMPLES; i++)
            shared = shared || sessions[i] == sessions[0];
        assert_true(shared); /* samples of one 5-tuple are one session, though two rows */
        ws_store_close(&store);
    }
    ok(ws_barrier_all(&world));
    ok(extract(WS_ROW_SAMPLE, 1 << 20, NULL, &spilled));
    assert_string_equal(spilled.content_hash, report.content_hash);
}

/* TCP and UDP flows by default: of two samples with one 5-tuple one flow, and the resets of all are one. */
static void flows_on_request(void **state)
{
    (void)state;
    ws_extract_report report;
    write_capture("a.pcapng");
    ok(extract(WS_ROW_FLOW, 0, NULL, &report));
    assert_int_equal(report.skipped[WS_SKIP_no_sample], 0);
    assert_int_equal(report.rows, SAMPLES / 2 + 1);
}

/* Of packets that a filter refuses none is a sample's first: forward is the sender of the first one that is left. */
static void refused_packets_are_of_no_sample(void **state)
{
    (void)state;
    ws_extract_report report;
    write_capture("a.pcapng");
    ok(extract(WS_ROW_AUTO, 0, "not (udp and src host 10.0.0.1)", &report));
    assert_int_equal(report.packets, PACKETS - SAMPLES);
    ok(ws_barrier_all(&world));
    if (world.rank == 0) {
        ws_store store;
        uint64_t forward[SAMPLES], backward[SAMPLES];
        ok(ws_store_open(&store, in_folder("store.h5")));
        assert_int_equal(store.rows, SAMPLES);
        ok(ws_store_read(&store, "/flows/packets_forward", H5T_NATIVE_UINT64, 0, SAMPLES, forward));
        ok(ws_store_read(&store, "/flows/packets_backward", H5T_NATIVE_UINT64, 0, SAMPLES, backward));
        for (size_t i = 0; i < SAMPLES; i++) {
            assert_int_equal(forward[i], 1); /* the answer; the others are of two other hosts */
            assert_int_equal(backward[i], 2);
        }
        ws_store_close(&store);
    }
    ok(ws_barrier_all(&world));
    assert_int_equal(extract(WS_ROW_AUTO, 0, "arp", &report), WS_E_FORMAT); /* as where no packet names a sample */
    assert_non_null(strstr(ws_error_message(), "that --filter accepts"));
    ws_error_clear();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_are_samples), cmocka_unit_test(flows_on_request),
                                       cmocka_unit_test(refused_packets_are_of_no_sample)};
    if (ws_cluster_start(&argc, &argv, true, &world) != WS_OK)
        return 1;
    ws_h5_setup();
    int failed = cmocka_run_group_tests(tests, make_folder, remove_folder);
    ws_cluster_stop();
    return failed != 0;
}
