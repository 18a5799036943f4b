/* Extraction by any number of ranks: counts, content of the store, refusals, interruption. That the content hash is the
 * same for all numbers of ranks is shown by test_extract_ranks.sh.
 * ctest: ranks=1,2,3,4 timeout=120 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataset/extract.h"
#include "synthetic/synthetic.h"

static ws_comm world;
static char folder[64];
static synthetic_counts truth;

static const char *in_folder(const char *name)
{
    static char out[8][128];
    static int next;
    next = (next + 1) % 8;
    snprintf(out[next], sizeof out[next], "%s/%s", folder, name);
    return out[next];
}

static void ok(ws_err error)
{
    if (error != WS_OK)
        fail_msg("%s (%s)\n%s", ws_error_message(), ws_error_hint(), ws_error_trace());
}

/* captures/a.pcap and b.pcapng, and a file that is none, next to them. */
static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/wiresweep_extract_XXXXXX");
    if (world.rank == 0) {
        if (mkdtemp(folder) == NULL)
            return -1;
        ok(ws_directory_create(in_folder("captures")));
        synthetic_counts one;
        for (int format = 0; format < 2; format++) {
            synthetic_options options = {.flows = 400,
                                         .seed = 5 + format,
                                         .snap_length = 512,
                                         .classes = 7,
                                         .format = format,
                                         .output = in_folder(format ? "captures/b.pcapng" : "captures/a.pcap"),
                                         .labels = in_folder(format ? "b.csv" : "a.csv")};
            ok(synthetic_write(&options, &one));
            uint64_t *sum = (uint64_t *)&truth;
            for (size_t i = 0; i < sizeof truth / sizeof(uint64_t); i++)
                sum[i] += ((const uint64_t *)&one)[i];
        }
        ok(ws_file_write(in_folder("none.pcap"), "not a capture", 13));
    }
    ok(ws_broadcast_all(&world, folder, sizeof folder, 0));
    ok(ws_broadcast_all(&world, &truth, sizeof truth, 0));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ok(ws_barrier_all(&world));
    if (world.rank == 0)
        ok(ws_directory_remove(folder));
    return 0;
}

static ws_extract_options options_for(const char *const *inputs, size_t count)
{
    return (ws_extract_options){.dataset = "generic",
                                .inputs = {inputs, count},
                                .output = in_folder("store.h5"),
                                .packets = 64,
                                .endpoints = "drop",
                                .round_bytes = 100000};
}

static void assert_nothing_left(const char *store)
{
    ok(ws_barrier_all(&world));
    assert_false(ws_file_exists(store));
    char *partial = ws_format("%s.partial", store);
    assert_false(ws_file_exists(partial));
    assert_false(ws_directory_exists(partial));
    free(partial);
    ok(ws_barrier_all(&world));
}

/* Rank 0 reads the store back: what it says of its rows agrees with the report and with itself. */
static void assert_store_holds(const char *path, const ws_extract_report *report)
{
    ws_store store;
    ok(ws_store_open(&store, path));
    assert_int_equal(store.rows, report->flows);
    assert_int_equal(store.packets, report->stored_packets);
    uint64_t n = store.rows, packets = 0, *start = calloc(n + 1, sizeof *start);
    uint64_t *forward = calloc(n, sizeof *forward), *backward = calloc(n, sizeof *backward);
    uint32_t *input = calloc(n, sizeof *input);
    float *features = calloc(n * WS_FLOW20_COLUMNS, sizeof *features);
    ws_flow_packet *stored = NULL;
    ok(ws_store_read(&store, "/flows/packets_forward", H5T_NATIVE_UINT64, 0, n, forward));
    ok(ws_store_read(&store, "/flows/packets_backward", H5T_NATIVE_UINT64, 0, n, backward));
    ok(ws_store_read(&store, "/flows/input_id", H5T_NATIVE_UINT32, 0, n, input));
    ok(ws_store_read_features(&store, "flow20", 0, n, features));
    ok(ws_store_read_packets(&store, 0, n, start, &stored));
    for (uint64_t i = 0; i < n; i++) {
        uint64_t count = forward[i] + backward[i], kept = start[i + 1] - start[i];
        packets += count;
        assert_true(forward[i] >= 1);
        assert_int_equal(kept, count < 64 ? count : 64);
        assert_true(i == 0 || input[i] >= input[i - 1]);
        float again[WS_FLOW20_COLUMNS];
        ws_flow20_from_packets(stored + start[i], (uint32_t)kept, again);
        if (kept == count)
            assert_memory_equal(again, features + i * WS_FLOW20_COLUMNS, sizeof again);
    }
    assert_int_equal(packets, report->packets);
    free(start);
    free(forward);
    free(backward);
    free(input);
    free(features);
    free(stored);
    ws_store_close(&store);
}

static void everything_read_is_in_a_flow_or_counted(void **state)
{
    (void)state;
    const char *inputs[] = {in_folder("captures")};
    ws_extract_options options = options_for(inputs, 1);
    ws_extract_report report;
    ok(ws_extract_all(&world, &options, &report));
    assert_int_equal(report.inputs, 2);
    assert_int_equal(report.records, truth.records);
    assert_int_equal(report.packets, truth.packets);
    assert_int_equal(report.flows, truth.flows);
    assert_int_equal(report.skipped[WS_SKIP_not_ip], truth.not_ip);
    assert_int_equal(report.skipped[WS_SKIP_fragment_later], truth.fragment_later);
    assert_int_equal(report.skipped[WS_SKIP_protocol_other], truth.protocol_other);
    assert_int_equal(report.damage_runs, 0);
    if (world.rank == 0)
        assert_store_holds(options.output, &report);
    ok(ws_barrier_all(&world));
    if (world.rank == 0)
        assert_int_equal(unlink(options.output), 0);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void copies_of_a_capture_have_rows_of_their_own(void **state)
{
    (void)state;
    if (world.rank == 0) {
        char *data;
        size_t bytes;
        ok(ws_file_read(in_folder("captures/a.pcap"), &data, &bytes));
        ok(ws_directory_create(in_folder("copies/one")));
        ok(ws_directory_create(in_folder("copies/two")));
        ok(ws_file_write(in_folder("copies/one/a.pcap"), data, bytes));
        ok(ws_file_write(in_folder("copies/two/a.pcap"), data, bytes));
        free(data);
    }
    ok(ws_barrier_all(&world));
    const char *inputs[] = {in_folder("copies")};
    ws_extract_options options = options_for(inputs, 1);
    ws_extract_report report;
    ok(ws_extract_all(&world, &options, &report));
    assert_int_equal(report.flows, 800);
    if (world.rank == 0) {
        ws_store store;
        uint64_t *names = calloc(report.flows, sizeof *names);
        ok(ws_store_open(&store, options.output));
        ok(ws_store_read(&store, "/flows/row_hash", H5T_NATIVE_UINT64, 0, report.flows, names));
        qsort(names, report.flows, sizeof *names, compare_u64);
        for (uint64_t i = 1; i < report.flows; i++)
            assert_true(names[i] != names[i - 1]);
        ws_store_close(&store);
        free(names);
        assert_int_equal(unlink(options.output), 0);
    }
    ok(ws_barrier_all(&world));
}

static void labels_find_their_flows(void **state)
{
    (void)state;
    const char *inputs[] = {in_folder("captures/a.pcap")};
    ws_extract_options options = options_for(inputs, 1);
    options.labels = in_folder("a.csv");
    ws_extract_report report;
    ok(ws_extract_all(&world, &options, &report));
    assert_int_equal(report.flows, 400);
    assert_int_equal(report.labelled, 400);
    ok(ws_barrier_all(&world));
    if (world.rank == 0)
        assert_int_equal(unlink(options.output), 0);
}

static void a_filter_leaves_packets_out_and_counts_them(void **state)
{
    (void)state;
    const char *inputs[] = {in_folder("captures")};
    ws_extract_options options = options_for(inputs, 1);
    ws_extract_report tcp, udp;
    options.filter = "tcp";
    ok(ws_extract_all(&world, &options, &tcp));
    options.filter = "not tcp";
    ok(ws_extract_all(&world, &options, &udp));
    assert_true(tcp.packets > 0 && udp.packets > 0 && tcp.skipped[WS_SKIP_filtered] > 0);
    assert_int_equal(tcp.records, tcp.packets + tcp.skipped[WS_SKIP_filtered]);
    assert_int_equal(tcp.records, truth.records);
    assert_int_equal(tcp.skipped[WS_SKIP_filtered] + udp.skipped[WS_SKIP_filtered], truth.records);

    options.filter = "tcp port banana or";
    ws_extract_report none;
    ok(ws_barrier_all(&world));
    if (world.rank == 0)
        assert_int_equal(unlink(options.output), 0);
    assert_int_equal(ws_extract_all(&world, &options, &none), WS_E_ARGUMENT);
    assert_non_null(strstr(ws_error_message(), "banana"));
    assert_nothing_left(options.output);
}

static void an_unreadable_input_ends_the_run_with_its_name(void **state)
{
    (void)state;
    const char *inputs[] = {in_folder("captures"), in_folder("none.pcap")};
    ws_extract_options options = options_for(inputs, 2);
    ws_extract_report report;
    assert_int_equal(ws_extract_all(&world, &options, &report), WS_E_FORMAT);
    assert_non_null(strstr(ws_error_message(), "none.pcap: byte 0:"));
    assert_nothing_left(options.output);
}

static void an_unreadable_input_can_be_skipped(void **state)
{
    (void)state;
    const char *inputs[] = {in_folder("captures"), in_folder("none.pcap")};
    ws_extract_options options = options_for(inputs, 2);
    options.skip_unreadable = true;
    ws_extract_report report;
    assert_int_equal(ws_extract_all(&world, &options, &report), WS_E_PARTIAL);
    assert_int_equal(ws_error_exit_status(WS_E_PARTIAL), 3);
    assert_int_equal(report.inputs, 2);
    assert_int_equal(report.inputs_skipped, 1);
    assert_int_equal(report.flows, truth.flows);
    if (world.rank == 0)
        assert_store_holds(options.output, &report);
    ok(ws_barrier_all(&world));
    if (world.rank == 0)
        assert_int_equal(unlink(options.output), 0);

    const char *nothing[] = {in_folder("none.pcap")};
    options = options_for(nothing, 1);
    options.skip_unreadable = true;
    assert_int_equal(ws_extract_all(&world, &options, &report), WS_E_FORMAT);
    assert_nothing_left(options.output);
}

static void an_unknown_data_set_is_refused(void **state)
{
    (void)state;
    const char *inputs[] = {in_folder("captures")};
    ws_extract_options options = options_for(inputs, 1);
    options.dataset = "genreic";
    ws_extract_report report;
    assert_int_equal(ws_extract_all(&world, &options, &report), WS_E_ARGUMENT);
    assert_non_null(strstr(ws_error_hint(), "generic"));
    assert_nothing_left(options.output);
}

static void a_file_that_shrank_is_an_error_that_names_it(void **state)
{
    (void)state;
    char *path = ws_path_join(folder, "captures/a.pcap");
    extract_input input = {.path = path, .bytes = UINT64_C(1) << 40, .capture = {.file = -1}};
    assert_int_equal(extract_input_use(&input, 0), WS_E_IO);
    assert_non_null(strstr(ws_error_message(), "a.pcap: ends at byte"));
    extract_input_release(&input);
    free(path);
}

/* The last test: the wish to stop stays. Only one rank has it. */
static void a_wish_to_stop_ends_all_ranks_and_leaves_nothing(void **state)
{
    (void)state;
    const char *inputs[] = {in_folder("captures")};
    ws_extract_options options = options_for(inputs, 1);
    if (world.rank == world.size - 1)
        ws_stop_request();
    ws_extract_report report;
    assert_int_equal(ws_extract_all(&world, &options, &report), WS_E_INTERRUPTED);
    assert_int_equal(ws_error_exit_status(WS_E_INTERRUPTED), 75);
    assert_nothing_left(options.output);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_read_is_in_a_flow_or_counted),
        cmocka_unit_test(copies_of_a_capture_have_rows_of_their_own),
        cmocka_unit_test(labels_find_their_flows),
        cmocka_unit_test(a_filter_leaves_packets_out_and_counts_them),
        cmocka_unit_test(an_unreadable_input_ends_the_run_with_its_name),
        cmocka_unit_test(an_unreadable_input_can_be_skipped),
        cmocka_unit_test(an_unknown_data_set_is_refused),
        cmocka_unit_test(a_file_that_shrank_is_an_error_that_names_it),
        cmocka_unit_test(a_wish_to_stop_ends_all_ranks_and_leaves_nothing),
    };
    if (ws_cluster_start(&argc, &argv, true, &world) != WS_OK)
        return 1;
    ws_h5_setup();
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    ws_cluster_stop();
    return failed != 0;
}
