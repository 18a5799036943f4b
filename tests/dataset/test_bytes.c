/* Bytes of packets in a store: those of the frames, by flow and in its order, wherever they went on the way (other ranks, files
 * for want of memory, a reservoir).
 * ctest: ranks=1,2,3,4 timeout=120 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "capture/captures.h"
#include "dataset/dataset.h"
#include "folder.h"

enum { FLOWS = 3000, PACKETS = 4, H = 28, P = 16, MOST = 7 };

/* Flow f has 1 + f % MOST packets of UDP from port 1000 + f, packet k of it k * f % 40 bytes, each f + k. Its first packet
 * comes in the order of f, the others in rounds. A capture of 14 + H + 10 bytes a frame. */
static size_t packets_of(size_t f)
{
    return 1 + f % MOST;
}

static size_t payload_of(size_t f, size_t k)
{
    return k * f % 40;
}

static void put_flow_packet(bytes *out, size_t f, size_t k, int64_t time_ns)
{
    const pcap_kind kind = {.link_type = 1, .snap_length = 14 + H + 10};
    const size_t payload = payload_of(f, k);
    bytes frame = {0};
    put_ethernet(&frame, 0x0800);
    put_ipv4(&frame, 17, 8 + payload, 0, 0);
    put_udp(&frame, payload);
    frame.data[14 + 20] = (uint8_t)((1000 + f) >> 8);
    frame.data[14 + 21] = (uint8_t)(1000 + f);
    put_fill(&frame, (uint8_t)(f + k), payload);
    put_record(out, kind, time_ns, frame.data, frame.count < kind.snap_length ? frame.count : kind.snap_length,
               frame.count);
    bytes_free(&frame);
}

static int set_up(void **state)
{
    if (make_folder(state) != 0)
        return -1;
    if (world.rank == 0) {
        bytes file = {0};
        int64_t now = INT64_C(1500000000) * 1000000000;
        put_pcap_header(&file, (pcap_kind){.link_type = 1, .snap_length = 14 + H + 10});
        for (size_t k = 0; k < MOST; k++)
            for (size_t f = 0; f < FLOWS; f++)
                if (k < packets_of(f))
                    put_flow_packet(&file, f, k, now += 1000);
        ok(ws_file_write(in_folder("a.pcap"), (const char *)file.data, file.count));
        bytes_free(&file);
    }
    ok(ws_barrier_all(&world));
    return 0;
}

static ws_extract_options options_for(const char *const *inputs)
{
    return (ws_extract_options){.dataset = "generic",
                                .inputs = {inputs, 1},
                                .output = in_folder("store.h5"),
                                .packets = 5,
                                .endpoints = "drop",
                                .bytes = "header:28,payload:16,packets:4",
                                .bytes_stripped = WS_STRIP_NOTHING,
                                .round_bytes = 60000};
}

static void assert_row_holds(size_t f, const uint8_t *values, const uint16_t *kept, const uint32_t *lengths)
{
    for (size_t k = 0; k < PACKETS; k++, values += H + P, kept += 2, lengths += 2) {
        const bool there = k < packets_of(f);
        const size_t payload = there ? payload_of(f, k) : 0, left = payload < 10 ? payload : 10;
        assert_int_equal(lengths[0], there ? H : 0);
        assert_int_equal(lengths[1], payload);
        assert_int_equal(kept[0], there ? H : 0);
        assert_int_equal(kept[1], left);
        assert_int_equal(values[0], there ? 0x45 : 0);
        assert_int_equal(values[20] << 8 | values[21], there ? 1000 + f : 0);
        for (size_t i = 0; i < P; i++)
            assert_int_equal(values[H + i], i < left ? (uint8_t)(f + k) : 0);
    }
}

/* Every stored row has its own flow's bytes; the flow is told by the record number of its first packet. */
static void assert_store_holds(const char *path, uint64_t rows)
{
    ok(ws_barrier_all(&world));
    if (world.rank == 0) {
        ws_store store;
        ws_byte_view view;
        ok(ws_store_open(&store, path));
        assert_int_equal(store.rows, rows);
        ok(ws_store_byte_view(&store, &view));
        assert_int_equal(view.packets, PACKETS);
        assert_int_equal(view.header, H);
        assert_int_equal(view.payload, P);
        uint64_t *first = calloc(rows, sizeof *first);
        uint8_t *values = calloc(rows, PACKETS * (H + P));
        uint16_t *kept = calloc(rows, PACKETS * 2 * sizeof *kept);
        uint32_t *lengths = calloc(rows, PACKETS * 2 * sizeof *lengths);
        ok(ws_store_read(&store, "/flows/first_ordinal", H5T_NATIVE_UINT64, 0, rows, first));
        ok(ws_store_read_bytes(&store, 0, rows, values, kept, lengths));
        for (uint64_t i = 0; i < rows; i++)
            assert_row_holds(first[i], values + i * PACKETS * (H + P), kept + i * PACKETS * 2,
                             lengths + i * PACKETS * 2);
        free(first);
        free(values);
        free(kept);
        free(lengths);
        ws_store_close(&store);
    }
    ok(ws_barrier_all(&world));
}

static void flows_have_their_bytes(void **state)
{
    (void)state;
    const char *const inputs[] = {in_folder("a.pcap")};
    const ws_extract_options options = options_for(inputs);
    ws_extract_report report;
    ok(ws_extract_all(&world, &options, &report));
    assert_store_holds(options.output, FLOWS);
    char hex[65];
    ok(ws_store_compute_hash_all(&world, options.output, hex));
    assert_string_equal(hex, report.content_hash);
}

static void bytes_come_through_files(void **state)
{
    (void)state;
    const char *const inputs[] = {in_folder("a.pcap")};
    ws_extract_options options = options_for(inputs);
    ws_extract_report with, without;
    ok(ws_extract_all(&world, &options, &without));
    options.memory = 1 << 20;
    ok(ws_extract_all(&world, &options, &with));
    assert_true(with.spilled_bytes > 0);
    assert_string_equal(with.content_hash, without.content_hash);
    assert_store_holds(options.output, FLOWS);
}

static void a_reservoir_keeps_the_bytes_of_its_flows(void **state)
{
    (void)state;
    const char *const inputs[] = {in_folder("a.pcap")};
    ws_extract_options options = options_for(inputs);
    options.reservoir = 100;
    ws_extract_report report;
    ok(ws_extract_all(&world, &options, &report));
    assert_store_holds(options.output, 100);
}

/* What is asked for changes the bytes only. */
static void a_store_without_bytes_has_none(void **state)
{
    (void)state;
    const char *const inputs[] = {in_folder("a.pcap")};
    ws_extract_options options = options_for(inputs);
    ws_extract_report report;
    options.bytes = NULL;
    ok(ws_extract_all(&world, &options, &report));
    ok(ws_barrier_all(&world));
    if (world.rank == 0) {
        ws_store store;
        ws_byte_view view;
        ok(ws_store_open(&store, options.output));
        assert_false(ws_h5_exists(store.file, "/bytes"));
        ok(ws_store_byte_view(&store, &view));
        assert_int_equal(view.packets, 0);
        assert_int_equal(ws_store_read_bytes(&store, 0, 1, NULL, NULL, NULL), WS_E_FORMAT);
        ws_store_close(&store);
    }
    ok(ws_barrier_all(&world));
}

static void more_bytes_than_packets_are_refused(void **state)
{
    (void)state;
    const char *const inputs[] = {in_folder("a.pcap")};
    ws_extract_options options = options_for(inputs);
    ws_extract_report report;
    options.packets = 3;
    assert_int_equal(ws_extract_all(&world, &options, &report), WS_E_ARGUMENT);
    options.packets = 5;
    options.bytes = "header:x";
    assert_int_equal(ws_extract_all(&world, &options, &report), WS_E_ARGUMENT);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flows_have_their_bytes),
        cmocka_unit_test(bytes_come_through_files),
        cmocka_unit_test(a_reservoir_keeps_the_bytes_of_its_flows),
        cmocka_unit_test(a_store_without_bytes_has_none),
        cmocka_unit_test(more_bytes_than_packets_are_refused),
    };
    if (ws_cluster_start(&argc, &argv, true, &world) != WS_OK)
        return 1;
    ws_h5_setup();
    int failed = cmocka_run_group_tests(tests, set_up, remove_folder);
    ws_cluster_stop();
    return failed != 0;
}
