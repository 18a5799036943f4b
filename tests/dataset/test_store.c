/* A store written by any number of ranks holds the same rows in the same order, and reads back as it was written.
 * ctest: ranks=1,2,3,4 timeout=120 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "flows.h"

static ws_comm world;
static char folder[64], path[128];

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

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/wiresweep_store_XXXXXX");
    if (world.rank == 0 && mkdtemp(folder) == NULL)
        return -1;
    ok(ws_broadcast_all(&world, folder, sizeof folder, 0));
    snprintf(path, sizeof path, "%s/store.h5", folder);
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

/* The same flows, written by one rank in one batch, have the same content hash; reading again finds it too. */
static void test_ranks_do_not_show(void **state)
{
    (void)state;
    char hash[65], alone[65] = "", again[65];
    made_store store = {.path = path, .seed = 1, .count = 3001, .batch = 500, .max_packets = 20};
    ok(write_store(&world, &store, hash));
    if (world.rank == 0) {
        ws_comm self = ws_comm_self();
        store.path = in_folder("alone.h5");
        store.batch = 4000;
        ok(write_store(&self, &store, alone));
        assert_string_equal(hash, alone);
    }
    ok(ws_store_compute_hash_all(&world, path, again));
    assert_string_equal(hash, again);
}

/* More rows than one hash block and than one window, as written by several ranks. */
static void test_many_rows(void **state)
{
    (void)state;
    char hash[65], alone[65] = "";
    made_store store = {.path = in_folder("many.h5"),
                        .seed = 2,
                        .count = 140000,
                        .batch = 30000,
                        .max_packets = 3,
                        .window_bytes = 7 << 20};
    ok(write_store(&world, &store, hash));
    if (world.rank == 0) {
        ws_comm self = ws_comm_self();
        store.path = in_folder("many_alone.h5");
        store.batch = 140000;
        store.window_bytes = 0;
        ok(write_store(&self, &store, alone));
        assert_string_equal(hash, alone);
        ws_store opened;
        ok(ws_store_open(&opened, store.path));
        assert_int_equal(opened.rows, 140000);
        ws_store_close(&opened);
    }
}

/* Content hashes are taken on the way: reading the file finds the same, wherever blocks end in the ranks' shares: windows of
 * one batch, of several, of fewer rows than ranks, and texts. */
static void test_hash_on_the_way(void **state)
{
    (void)state;
    char hash[65], again[65], first[65] = "";
    const uint64_t shapes[][2] = {/* rows a batch, bytes a window */ {140000, 1}, {50000, 1}, {9000, 3 << 20}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        made_store store = {.path = in_folder("way.h5"),
                            .seed = 3,
                            .count = 140000,
                            .batch = shapes[i][0],
                            .max_packets = 4,
                            .endpoints = "plain",
                            .window_bytes = shapes[i][1]};
        ok(write_store(&world, &store, hash));
        ok(ws_store_compute_hash_all(&world, store.path, again));
        assert_string_equal(hash, again);
        if (i == 0)
            memcpy(first, hash, sizeof first);
        assert_string_equal(hash, first);
    }
    made_store store = {
        .path = in_folder("small.h5"), .seed = 4, .count = 70, .batch = 3, .max_packets = 2, .window_bytes = 1};
    ok(write_store(&world, &store, hash));
    ok(ws_store_compute_hash_all(&world, store.path, again));
    assert_string_equal(hash, again);
}

static void check_numbers(const ws_store *store, const made_flows *made)
{
    uint32_t *sessions = calloc(made->count, sizeof *sessions), *hosts = calloc(made->count, sizeof *hosts);
    ok(ws_store_read(store, "/flows/session_id", H5T_NATIVE_UINT32, 0, made->count, sessions));
    ok(ws_store_read(store, "/flows/host_id", H5T_NATIVE_UINT32, 0, made->count, hosts));
    uint32_t next_session = 0, next_host = 0;
    for (uint64_t i = 0; i < made->count; i++) {
        const ws_flow *flow = &made->flows[i];
        const uint8_t *host = flow->forward_is_low ? flow->key.low_address : flow->key.high_address;
        uint32_t session = next_session, number = next_host;
        for (uint64_t k = 0; k < i; k++) {
            const ws_flow *before = &made->flows[k];
            if (memcmp(&before->key, &flow->key, sizeof flow->key) == 0)
                session = sessions[k];
            if (memcmp(before->forward_is_low ? before->key.low_address : before->key.high_address, host, 16) == 0)
                number = hosts[k];
        }
        assert_int_equal(sessions[i], session);
        assert_int_equal(hosts[i], number);
        next_session += session == next_session;
        next_host += number == next_host;
    }
    assert_in_range(next_session, 10, made->count - 1); /* some came again, or the test says nothing */
    assert_in_range(next_host, 10, made->count - 1);
    free(sessions);
    free(hosts);
}

static void check_columns(const ws_store *store, const made_flows *made)
{
    int64_t *first = calloc(made->count, sizeof *first);
    uint64_t *bytes = calloc(made->count, sizeof *bytes);
    int32_t *colours = calloc(made->count, sizeof *colours);
    float *features = calloc(made->count * WS_FLOW20_COLUMNS, sizeof *features);
    ok(ws_store_read(store, "/flows/first_ns", H5T_NATIVE_INT64, 0, made->count, first));
    ok(ws_store_read(store, "/flows/bytes_backward", H5T_NATIVE_UINT64, 0, made->count, bytes));
    ok(ws_store_read(store, "/labels/colour", H5T_NATIVE_INT32, 0, made->count, colours));
    ok(ws_store_read_features(store, "flow20", 0, made->count, features));
    for (uint64_t i = 0; i < made->count; i++) {
        assert_int_equal(first[i], made->flows[i].first_ns);
        assert_int_equal(bytes[i], made->flows[i].bytes[1]);
        assert_int_equal(colours[i], made->labels[i]);
        assert_memory_equal(features + i * WS_FLOW20_COLUMNS, made->flows[i].features, sizeof made->flows[i].features);
    }
    free(first);
    free(bytes);
    free(colours);
    free(features);
}

static void test_reads_back(void **state)
{
    (void)state;
    char hash[65];
    const made_store written = {.path = in_folder("back.h5"), .seed = 3, .count = 900, .batch = 70, .max_packets = 30};
    ok(write_store(&world, &written, hash));
    if (world.rank != 0)
        return;
    made_flows made = make_flows(3, 0, 900, 900, 30);
    ws_store store;
    ok(ws_store_open(&store, written.path));
    assert_int_equal(store.rows, 900);
    assert_int_equal(store.packets, made.packet_count);
    assert_string_equal(store.content_hash, hash);
    assert_string_equal(store.dataset, "generic");
    assert_int_equal(store.level_count, 2);
    assert_string_equal(ws_store_level(&store, "colour")->names[2], "red, \"dark\"");
    assert_null(ws_store_level(&store, "shape"));
    check_numbers(&store, &made);
    check_columns(&store, &made);
    uint64_t start[101];
    ws_flow_packet *packets;
    ok(ws_store_read_packets(&store, 250, 100, start, &packets));
    uint64_t before = 0;
    for (int i = 0; i < 250; i++)
        before += made.flows[i].packet_count;
    for (int i = 0; i < 100; i++)
        assert_int_equal(start[i + 1] - start[i], made.flows[250 + i].packet_count);
    assert_memory_equal(packets, made.packets + before, start[100] * sizeof *packets);
    free(packets);
    ws_arena *arena;
    ok(ws_arena_create(&arena, 4096));
    int columns;
    ws_string_list names;
    ok(ws_store_features_info(&store, "flow20", arena, &columns, &names));
    assert_int_equal(columns, 20);
    assert_string_equal(names.items[0], ws_flow20_names[0]);
    assert_int_not_equal(ws_store_features_info(&store, "flow21", arena, &columns, &names), WS_OK);
    ws_arena_destroy(&arena);
    int64_t value;
    assert_int_not_equal(ws_store_read(&store, "/flows/first_ns", H5T_NATIVE_INT64, 900, 1, &value), WS_OK);
    assert_int_not_equal(ws_store_read(&store, "/flows/none", H5T_NATIVE_INT64, 0, 1, &value), WS_OK);
    ws_store_close(&store);
    free_flows(&made);
}

static void test_empty_store(void **state)
{
    (void)state;
    char hash[65], again[65];
    const made_store written = {.path = in_folder("empty.h5"), .count = 0, .batch = 1};
    ok(write_store(&world, &written, hash));
    ws_store store;
    ok(ws_store_open(&store, written.path));
    assert_int_equal(store.rows, 0);
    assert_int_equal(store.packets, 0);
    ws_store_close(&store);
    ok(ws_store_compute_hash_all(&world, written.path, again));
    assert_string_equal(hash, again);
}

/* A writer that is given up leaves neither the store nor its partial file, nor touches an older store of the name. */
static ws_text described(const char *name)
{
    ws_store store;
    ws_text text = {0};
    ok(ws_store_open(&store, name));
    ok(ws_store_describe(&store, true, &text));
    ws_store_close(&store);
    return text;
}

/* Counts kept in the store say what its rows say: without them the rows are read, and give the same. */
static void test_counts(void **state)
{
    (void)state;
    char hash[65];
    made_store store = {.path = in_folder("counts.h5"), .seed = 6, .count = 70001, .batch = 9000, .max_packets = 2};
    ok(write_store(&world, &store, hash));
    if (world.rank > 0)
        return;
    ws_text kept = described(store.path);
    hid_t file = H5Fopen(store.path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(H5Ldelete(file, "/provenance/counts", H5P_DEFAULT) >= 0);
    H5Fclose(file);
    ws_text counted = described(store.path);
    assert_string_equal(ws_text_string(&kept), ws_text_string(&counted));
    assert_non_null(strstr(ws_text_string(&kept), "\"blue\""));
    ws_text_destroy(&kept);
    ws_text_destroy(&counted);
}

static void test_given_up(void **state)
{
    (void)state;
    ws_store_writer *writer;
    const char *name = in_folder("given_up.h5");
    const ws_store_writer_options options = {
        .path = name, .dataset = "generic", .inputs = &made_inputs, .levels = made_levels, .level_count = 2};
    ok(ws_store_writer_create_all(&writer, &world, &options));
    made_flows made = make_flows(4, 0, 10, 10, 5);
    ws_flow_packet *room;
    ws_row_source *rows = made_rows(&made, &room);
    const ws_store_block block = {.rows = rows, .count = made.count, .labels = made.labels};
    ok(ws_store_writer_append_all(writer, &block));
    if (world.rank == world.size - 1)
        made.flows[3].input = 99; /* one rank alone has a flow of an unknown input: all see the error */
    assert_int_not_equal(ws_store_writer_append_all(writer, &block), WS_OK);
    ws_store_writer_destroy(&writer);
    free(rows);
    free(room);
    free_flows(&made);
    ok(ws_barrier_all(&world));
    assert_false(ws_file_exists(name));
    char partial[160];
    snprintf(partial, sizeof partial, "%s.partial", name);
    assert_false(ws_file_exists(partial));
    const ws_store_writer_options keyed = {
        .path = name, .dataset = "generic", .inputs = &made_inputs, .endpoints = "keyed"};
    assert_int_not_equal(ws_store_writer_create_all(&writer, &world, &keyed), WS_OK);
    ws_store_writer_destroy(&writer);
    const ws_store_writer_options nowhere = {
        .path = "/nowhere/at/all.h5", .dataset = "generic", .inputs = &made_inputs};
    assert_int_not_equal(ws_store_writer_create_all(&writer, &world, &nowhere), WS_OK);
    ws_store_writer_destroy(&writer);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks_do_not_show), cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_hash_on_the_way),   cmocka_unit_test(test_reads_back),
        cmocka_unit_test(test_empty_store),       cmocka_unit_test(test_counts),
        cmocka_unit_test(test_given_up),
    };
    if (ws_cluster_start(&argc, &argv, true, &world) != WS_OK)
        return 1;
    ws_h5_setup();
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    ws_cluster_stop();
    return failed != 0;
}
