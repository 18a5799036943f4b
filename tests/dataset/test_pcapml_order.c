/* pcapML as its writers write it: time stamps of either convention, samples sorted backwards or not at all. Whatever the
 * file, the flows are the same.
 * ctest: ranks=1,3 timeout=120 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "capture/captures.h"
#include "dataset/dataset.h"
#include "folder.h"

enum { FLOWS = 40, ROUNDS = 6, PACKETS = FLOWS * ROUNDS };
#define FIRST_US UINT64_C(1500000000900000) /* July 2017; 0.9 s, so that seconds pass within a flow */

/* Packet n in time: of flow n % FLOWS, every second one an answer, i bytes long. */
static void put_packet(bytes *out, size_t n, bool split, uint64_t first_us)
{
    const size_t f = n % FLOWS, k = n / FLOWS, payload = 3 * k + f;
    const uint64_t us = first_us + n * 7001;
    const bool answer = k % 2 == 1;
    bytes frame = {0}, body = {0};
    char comment[64];
    put_ethernet(&frame, 0x0800);
    put_ipv4(&frame, 17, 8 + payload, 0, 0);
    if (answer)
        memcpy(frame.data + frame.count - 8, "\xc0\xa8\x01\x02\x0a\0\0\x01", 8);
    put_number(&frame, answer ? 443 : 2000 + f, 2, true);
    put_number(&frame, answer ? 2000 + f : 443, 2, true);
    put_number(&frame, 8 + payload, 2, true);
    put_fill(&frame, 0, 2 + payload);
    put_number(&body, 0, 4, false);
    put_number(&body, split ? us / 1000000 : us >> 32, 4, false);
    put_number(&body, split ? us % 1000000 : us & UINT32_MAX, 4, false);
    put_number(&body, frame.count, 4, false);
    put_number(&body, frame.count, 4, false);
    put(&body, frame.data, frame.count);
    put_fill(&body, 0, (4 - body.count % 4) % 4);
    snprintf(comment, sizeof comment, "%zu,label-%zu", 900 - f, f % 3);
    put_number(&body, 1, 2, false);
    put_number(&body, strlen(comment), 2, false);
    put(&body, comment, strlen(comment));
    put_fill(&body, 0, (4 - strlen(comment) % 4) % 4);
    put_number(&body, 0, 4, false);
    put_block(out, false, 6, &body);
    bytes_free(&frame);
    bytes_free(&body);
}

typedef enum order { IN_TIME, BACKWARDS, BY_SAMPLE_BACKWARDS, SHUFFLED } order;

/* Which packet in time comes at place i of the file. */
static size_t packet_at(order how, size_t i)
{
    switch (how) {
    case IN_TIME:
        return i;
    case BACKWARDS:
        return PACKETS - 1 - i;
    case BY_SAMPLE_BACKWARDS: /* as pcapML's own sorting leaves them */
        return (ROUNDS - 1 - i % ROUNDS) * FLOWS + i / ROUNDS;
    default:
        return i * 77 % PACKETS; /* 77 and 240 have no common factor */
    }
}

static void write_capture(const char *name, order how, bool split, int resolution, uint64_t first_us)
{
    if (world.rank == 0) {
        bytes file = {0};
        put_section(&file, false);
        put_interface(&file, false, 1, 0, resolution, 0);
        for (size_t i = 0; i < PACKETS; i++)
            put_packet(&file, packet_at(how, i), split, first_us);
        ok(ws_file_write(in_folder(name), (const char *)file.data, file.count));
        bytes_free(&file);
    }
    ok(ws_barrier_all(&world));
}

static ws_err extract(const char *capture, int stamps, int64_t memory, ws_extract_report *report)
{
    const char *const inputs[] = {in_folder(capture)};
    const ws_extract_options options = {.dataset = "pcapml",
                                        .inputs = {inputs, 1},
                                        .output = in_folder("store.h5"),
                                        .packets = 128,
                                        .endpoints = "plain",
                                        .stamps = stamps,
                                        .memory = memory,
                                        .bytes = "header:40,payload:8,packets:2",
                                        .bytes_stripped = WS_STRIP_NOTHING,
                                        .round_bytes = 5000};
    return ws_extract_all(&world, &options, report);
}

static ws_err extract_into(const char *capture, int stamps, int64_t memory)
{
    ws_extract_report report;
    return extract(capture, stamps, memory, &report);
}

/* Each row is told by its source port, 2000 + f. */
static void assert_flows_are_whole(uint64_t first_us)
{
    ok(ws_barrier_all(&world));
    if (world.rank == 0) {
        ws_store store;
        char source[FLOWS][56];
        int64_t first[FLOWS], last[FLOWS];
        int32_t label[FLOWS];
        uint64_t start[FLOWS + 1];
        uint8_t *values = calloc(FLOWS, 2 * 48);
        ws_flow_packet *packets;
        hid_t text = H5Tcopy(H5T_C_S1);
        H5Tset_size(text, sizeof source[0]);
        ok(ws_store_open(&store, in_folder("store.h5")));
        assert_int_equal(store.rows, FLOWS);
        ok(ws_store_read(&store, "/flows/source", text, 0, FLOWS, source));
        ok(ws_store_read(&store, "/flows/first_ns", H5T_NATIVE_INT64, 0, FLOWS, first));
        ok(ws_store_read(&store, "/flows/last_ns", H5T_NATIVE_INT64, 0, FLOWS, last));
        ok(ws_store_read(&store, "/labels/label", H5T_NATIVE_INT32, 0, FLOWS, label));
        ok(ws_store_read_packets(&store, 0, FLOWS, start, &packets));
        ok(ws_store_read_bytes(&store, 0, FLOWS, values, NULL, NULL));
        for (size_t i = 0; i < FLOWS; i++) {
            char expected[32];
            unsigned port = 0;
            assert_int_equal(sscanf(source[i], "10.0.0.1:%u", &port), 1); /* never the one that answers */
            const size_t f = port - 2000;
            const int64_t begin = (int64_t)(first_us + f * 7001) * 1000, step = INT64_C(7001) * FLOWS * 1000;
            assert_true(f < FLOWS);
            assert_int_equal(first[i], begin);
            assert_int_equal(last[i], begin + (ROUNDS - 1) * step);
            snprintf(expected, sizeof expected, "label-%zu", f % 3);
            assert_string_equal(ws_store_level(&store, "label")->names[label[i]], expected);
            assert_int_equal(start[i + 1] - start[i], ROUNDS);
            for (size_t k = 0; k < ROUNDS; k++) {
                const ws_flow_packet *packet = &packets[start[i] + k];
                assert_int_equal(packet->offset_ns, (int64_t)k * step);
                assert_int_equal(packet->payload_length, 3 * k + f);
                assert_int_equal(packet->direction, k % 2 == 0 ? 1 : -1);
            }
            const uint8_t *first_header = values + i * 96, *second_header = first_header + 48;
            assert_int_equal(first_header[20] << 8 | first_header[21], port);
            assert_int_equal(second_header[20] << 8 | second_header[21], 443);
        }
        free(packets);
        free(values);
        H5Tclose(text);
        ws_store_close(&store);
    }
    ok(ws_barrier_all(&world));
}

static void every_convention_gives_the_same_times(void **state)
{
    (void)state;
    write_capture("a.pcapng", IN_TIME, false, 6, FIRST_US);
    ok(extract_into("a.pcapng", 0, 0));
    assert_flows_are_whole(FIRST_US);
    write_capture("a.pcapng", IN_TIME, false, -1, FIRST_US);
    ok(extract_into("a.pcapng", 0, 0));
    assert_flows_are_whole(FIRST_US);
    write_capture("a.pcapng", IN_TIME, true, -1, FIRST_US);
    ok(extract_into("a.pcapng", 0, 0));
    assert_flows_are_whole(FIRST_US);
}

static void every_order_gives_the_same_flows(void **state)
{
    (void)state;
    for (int how = BACKWARDS; how <= SHUFFLED; how++)
        for (int split = 0; split < 2; split++) {
            ws_extract_report report, spilled;
            write_capture("a.pcapng", (order)how, split, -1, FIRST_US);
            ok(extract("a.pcapng", 0, 0, &report));
            assert_flows_are_whole(FIRST_US);
            assert_int_equal(report.negative_gaps, 0);
            ok(extract("a.pcapng", 0, 1 << 20, &spilled));
            assert_true(spilled.spilled_bytes > 0);
            assert_string_equal(spilled.content_hash, report.content_hash);
        }
}

/* A stated unit is obeyed even where the number looks like the other convention. */
static void a_stated_unit_is_obeyed(void **state)
{
    (void)state;
    write_capture("a.pcapng", IN_TIME, true, 9, FIRST_US);
    ok(extract_into("a.pcapng", 0, 0));
    ok(ws_barrier_all(&world));
    if (world.rank == 0) {
        ws_store store;
        int64_t first;
        ok(ws_store_open(&store, in_folder("store.h5")));
        ok(ws_store_read(&store, "/flows/first_ns", H5T_NATIVE_INT64, 0, 1, &first));
        assert_int_equal(first, (INT64_C(1500000000) << 32) + 900000);
        ws_store_close(&store);
    }
    ok(ws_barrier_all(&world));
}

/* Seconds from 0, as a writer of relative times would have them, could be either: the user has to say. */
static void an_unclear_stamp_is_refused(void **state)
{
    (void)state;
    const uint64_t first_us = UINT64_C(5000000);
    write_capture("a.pcapng", BACKWARDS, true, -1, first_us);
    assert_int_equal(extract_into("a.pcapng", 0, 0), WS_E_FORMAT);
    assert_non_null(strstr(ws_error_message(), "a.pcapng: byte "));
    assert_non_null(strstr(ws_error_hint(), "stamps=split"));
    ok(extract_into("a.pcapng", 1 + WS_STAMPS_SPLIT, 0));
    assert_flows_are_whole(first_us);
    ok(extract_into("a.pcapng", 1 + WS_STAMPS_STANDARD, 0));
    write_capture("a.pcapng", IN_TIME, false, -1, FIRST_US * 5); /* 2207 */
    assert_int_equal(extract_into("a.pcapng", 0, 0), WS_E_FORMAT);
    ok(extract_into("a.pcapng", 1 + WS_STAMPS_STANDARD, 0));
    assert_flows_are_whole(FIRST_US * 5);
}

static void stamps_tell_their_convention(void **state)
{
    (void)state;
    assert_int_equal(ws_stamps_tell(349245, 4000000000), WS_STAMPS_STANDARD);
    assert_int_equal(ws_stamps_tell(0, 999999999), WS_STAMPS_STANDARD);
    assert_int_equal(ws_stamps_tell(1500000000, 999999), WS_STAMPS_SPLIT);
    assert_int_equal(ws_stamps_tell(1500000000, 1000000), WS_STAMPS_DETECT);
    assert_int_equal(ws_stamps_tell(199999, 0), WS_STAMPS_DETECT);
    assert_int_equal(ws_stamps_tell(600001, 0), WS_STAMPS_DETECT);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_convention_gives_the_same_times),
        cmocka_unit_test(every_order_gives_the_same_flows),
        cmocka_unit_test(a_stated_unit_is_obeyed),
        cmocka_unit_test(an_unclear_stamp_is_refused),
        cmocka_unit_test(stamps_tell_their_convention),
    };
    if (ws_cluster_start(&argc, &argv, true, &world) != WS_OK)
        return 1;
    ws_h5_setup();
    int failed = cmocka_run_group_tests(tests, make_folder, remove_folder);
    ws_cluster_stop();
    return failed != 0;
}
