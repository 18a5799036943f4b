/* Splits: disjoint, stratified, ordered by time, groups whole, independent of row order where that is promised; the manifest
 * adds up and its audit equals a naive count.
 * ctest: timeout=60 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "flows.h"

enum { ROWS = 2000 };
static ws_comm world;
static char folder[64], path[128], shuffled_path[128];
static ws_store store;
static int32_t labels[ROWS];
static uint64_t row_hash[ROWS], input_hash[ROWS];
static int64_t first_ns[ROWS];
static uint32_t session_id[ROWS], host_id[ROWS], input_id[ROWS];

static void ok(ws_err error)
{
    if (error != WS_OK)
        fail_msg("%s (%s)\n%s", ws_error_message(), ws_error_hint(), ws_error_trace());
}

/* Every tenth flow repeats what a model sees of the one before. */
static void add_duplicates(made_flows *made, uint64_t first)
{
    for (uint64_t i = 1; i < made->count; i++)
        if ((first + i) % 10 == 0)
            memcpy(made->flows[i].features, made->flows[i - 1].features, sizeof made->flows[i].features);
}

/* The same flows in the reverse order (each is still named by its input and first ordinal). */
static void reverse(made_flows *made, uint64_t first)
{
    add_duplicates(made, first);
    for (uint64_t i = 0; i < made->count / 2; i++) {
        uint64_t j = made->count - 1 - i;
        ws_flow flow = made->flows[i];
        made->flows[i] = made->flows[j];
        made->flows[j] = flow;
        for (int l = 0; l < 2; l++) {
            int32_t *level = made->labels + (uint64_t)l * made->count, label = level[i];
            level[i] = level[j];
            level[j] = label;
        }
    }
}

static int set_up(void **state)
{
    (void)state;
    char hash[65];
    snprintf(folder, sizeof folder, "/tmp/wiresweep_split_XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/store.h5", folder);
    snprintf(shuffled_path, sizeof shuffled_path, "%s/reversed.h5", folder);
    made_store written = {
        .path = path, .seed = 9, .count = ROWS, .batch = ROWS, .max_packets = 0, .change = add_duplicates};
    ok(write_store(&world, &written, hash));
    written.path = shuffled_path;
    written.change = reverse;
    ok(write_store(&world, &written, hash));
    ok(ws_store_open(&store, path));
    ok(ws_store_read(&store, "/labels/colour", H5T_NATIVE_INT32, 0, ROWS, labels));
    ok(ws_store_read(&store, "/flows/row_hash", H5T_NATIVE_UINT64, 0, ROWS, row_hash));
    ok(ws_store_read(&store, "/flows/input_hash", H5T_NATIVE_UINT64, 0, ROWS, input_hash));
    ok(ws_store_read(&store, "/flows/first_ns", H5T_NATIVE_INT64, 0, ROWS, first_ns));
    ok(ws_store_read(&store, "/flows/session_id", H5T_NATIVE_UINT32, 0, ROWS, session_id));
    ok(ws_store_read(&store, "/flows/host_id", H5T_NATIVE_UINT32, 0, ROWS, host_id));
    ok(ws_store_read(&store, "/flows/input_id", H5T_NATIVE_UINT32, 0, ROWS, input_id));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ws_store_close(&store);
    ok(ws_directory_remove(folder));
    return 0;
}

static ws_split_options options_of(const char *protocol, int64_t seed)
{
    return (ws_split_options){.protocol = protocol,
                              .protocol_seed = seed,
                              .train_fraction = 0.6,
                              .validation_fraction = 0.2,
                              .label = "colour",
                              .minimum_rows = 10};
}

static ws_split split_of(const char *protocol, int64_t seed)
{
    ws_split split;
    const ws_split_options options = options_of(protocol, seed);
    ok(ws_split_create(&split, &store, &options));
    assert_int_equal(split.rows, ROWS);
    uint64_t counts[WS_PART_COUNT] = {0};
    for (int i = 0; i < ROWS; i++) {
        assert_in_range(split.part[i], 0, WS_PART_COUNT - 1);
        assert_int_equal(split.part[i] != WS_PART_NONE, labels[i] >= 0); /* labelled rows, each in one part */
        counts[split.part[i]]++;
    }
    assert_memory_equal(counts, split.counts, sizeof counts);
    assert_true(counts[WS_PART_TRAIN] > 0 && counts[WS_PART_VALIDATION] > 0 && counts[WS_PART_TEST] > 0);
    return split;
}

static void check_stratified(const ws_split *split)
{
    const double fractions[WS_PART_COUNT] = {0, 0.6, 0.2, 0.2};
    for (int32_t class = 0; class < 3; class ++) {
        uint64_t all = 0, of[WS_PART_COUNT] = {0};
        for (int i = 0; i < ROWS; i++)
            if (labels[i] == class) {
                all++;
                of[split->part[i]]++;
            }
        assert_true(all > 100);
        for (int p = WS_PART_TRAIN; p < WS_PART_COUNT; p++)
            assert_true(fabs((double)of[p] - fractions[p] * (double)all) <= 1);
    }
}

static void test_random(void **state)
{
    (void)state;
    ws_split split = split_of("random", 0), again = split_of("random", 0), seeded = split_of("random", 1);
    check_stratified(&split);
    check_stratified(&seeded);
    assert_string_equal(split.hash, again.hash);
    assert_string_not_equal(split.hash, seeded.hash);
    int moved = 0;
    for (int i = 0; i < ROWS; i++)
        moved += split.part[i] != seeded.part[i];
    assert_true(moved > ROWS / 10);
    ws_split_destroy(&split);
    ws_split_destroy(&again);
    ws_split_destroy(&seeded);
}

/* Parts belong to flows, not to their places in the store. */
static void test_row_order_does_not_enter(void **state)
{
    (void)state;
    ws_store reversed;
    uint64_t hashes[ROWS];
    ok(ws_store_open(&reversed, shuffled_path));
    ok(ws_store_read(&reversed, "/flows/row_hash", H5T_NATIVE_UINT64, 0, ROWS, hashes));
    static const char *const protocols[] = {"random", "temporal", "temporal_per_class", "session", "host", "capture"};
    for (size_t p = 0; p < sizeof protocols / sizeof *protocols; p++) {
        ws_split split = split_of(protocols[p], 3), other;
        const ws_split_options options = options_of(protocols[p], 3);
        ok(ws_split_create(&other, &reversed, &options));
        for (int i = 0; i < ROWS; i++) {
            assert_int_equal(hashes[ROWS - 1 - i], row_hash[i]);
            assert_int_equal(split.part[i], other.part[ROWS - 1 - i]);
        }
        ws_split_destroy(&split);
        ws_split_destroy(&other);
    }
    ws_store_close(&reversed);
}

/* No row is earlier than any row of an earlier part. */
static void check_order(const ws_split *split, int32_t class)
{
    int64_t earliest[WS_PART_COUNT] = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX};
    int64_t latest[WS_PART_COUNT] = {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN};
    for (int i = 0; i < ROWS; i++)
        if (split->part[i] != WS_PART_NONE && (class < 0 || labels[i] == class)) {
            int part = split->part[i];
            earliest[part] = first_ns[i] < earliest[part] ? first_ns[i] : earliest[part];
            latest[part] = first_ns[i] > latest[part] ? first_ns[i] : latest[part];
        }
    assert_true(latest[WS_PART_TRAIN] <= earliest[WS_PART_VALIDATION]);
    assert_true(latest[WS_PART_VALIDATION] <= earliest[WS_PART_TEST]);
}

static void test_temporal(void **state)
{
    (void)state;
    ws_split split = split_of("temporal", 0), per_class = split_of("temporal_per_class", 0);
    check_order(&split, -1);
    double taking_part = (double)(ROWS - split.counts[WS_PART_NONE]);
    assert_true(fabs((double)split.counts[WS_PART_TRAIN] - 0.6 * taking_part) <= 1);
    check_stratified(&per_class);
    for (int32_t class = 0; class < 3; class ++)
        check_order(&per_class, class);
    assert_string_not_equal(split.hash, per_class.hash);
    ws_split_destroy(&split);
    ws_split_destroy(&per_class);
}

static void check_groups(const char *protocol, const uint32_t *ids)
{
    for (int64_t seed = 0; seed < 3; seed++) {
        ws_split split = split_of(protocol, seed);
        static uint8_t part_of[ROWS + 1];
        memset(part_of, 0, sizeof part_of);
        for (int i = 0; i < ROWS; i++) {
            if (split.part[i] == WS_PART_NONE)
                continue;
            assert_true(part_of[ids[i]] == 0 || part_of[ids[i]] == split.part[i]);
            part_of[ids[i]] = split.part[i];
        }
        ws_split_destroy(&split);
    }
}

static void test_groups_stay_whole(void **state)
{
    (void)state;
    check_groups("session", session_id);
    check_groups("host", host_id);
    check_groups("capture", input_id);
}

/* Where normal classes are named, a group of anomalies alone never trains: it tests or validates, and normal rows keep the
 * shares that were asked for. */
static void test_groups_of_anomalies(void **state)
{
    (void)state;
    static const char *const normal[] = {"blue"};
    for (int64_t seed = 0; seed < 3; seed++) {
        ws_split_options options = options_of("session", seed);
        ws_split split;
        options.normal = (ws_string_list){normal, 1};
        ok(ws_split_create(&split, &store, &options));
        static bool has_normal[ROWS + 1];
        static uint8_t part_of[ROWS + 1];
        memset(has_normal, 0, sizeof has_normal);
        memset(part_of, 0, sizeof part_of);
        for (int i = 0; i < ROWS; i++) {
            has_normal[session_id[i]] |= labels[i] == 0;
            if (labels[i] < 0)
                continue;
            assert_true(part_of[session_id[i]] == 0 || part_of[session_id[i]] == split.part[i]);
            part_of[session_id[i]] = split.part[i];
        }
        double of_normal[WS_PART_COUNT] = {0}, alone[WS_PART_COUNT] = {0}, normals = 0, anomalies = 0;
        for (int i = 0; i < ROWS; i++) {
            if (labels[i] == 0)
                of_normal[split.part[i]] += 1, normals += 1;
            if (labels[i] > 0 && !has_normal[session_id[i]])
                alone[split.part[i]] += 1, anomalies += 1;
        }
        assert_true(normals > 100 && anomalies > 100);
        assert_true(alone[WS_PART_TRAIN] == 0);
        assert_true(fabs(alone[WS_PART_VALIDATION] / anomalies - 0.5) < 0.02);
        assert_true(fabs(of_normal[WS_PART_TRAIN] / normals - 0.6) < 0.02);
        assert_true(fabs(of_normal[WS_PART_VALIDATION] / normals - 0.2) < 0.02);
        ws_split_destroy(&split);
    }
}

/* Large classes are drawn from, the same rows whatever their order in the store, others with another seed. */
static void test_large_classes_are_thinned(void **state)
{
    (void)state;
    enum { MOST = 150 };
    ws_split_options options = options_of("random", 0);
    ws_split whole, split, other, reversed;
    ws_store reverse_store;
    ok(ws_split_create(&whole, &store, &options));
    options.maximum_rows = ROWS;
    ok(ws_split_create(&split, &store, &options));
    assert_string_equal(split.hash, whole.hash);
    ws_split_destroy(&split);
    options.maximum_rows = MOST;
    ok(ws_split_create(&split, &store, &options));
    ok(ws_store_open(&reverse_store, shuffled_path));
    ok(ws_split_create(&reversed, &reverse_store, &options));
    options.protocol_seed = 1;
    ok(ws_split_create(&other, &store, &options));
    uint64_t kept[3] = {0}, all = 0;
    int differ = 0;
    for (int i = 0; i < ROWS; i++) {
        all += labels[i] >= 0;
        if (split.part[i] != WS_PART_NONE)
            kept[labels[i]]++;
        assert_int_equal(reversed.part[ROWS - 1 - i], split.part[i]);
        differ += (split.part[i] == WS_PART_NONE) != (other.part[i] == WS_PART_NONE);
    }
    for (int c = 0; c < 3; c++)
        assert_int_equal(kept[c], MOST);
    assert_int_equal(split.rows_thinned, all - 3 * MOST);
    assert_int_equal(split.rows_unlabelled, ROWS - all);
    assert_true(differ > MOST);
    static const char *const normal[] = {"blue"};
    uint64_t whole_class = 0, left = 0;
    ws_split_destroy(&other);
    options.normal = (ws_string_list){normal, 1};
    ok(ws_split_create(&other, &store, &options));
    for (int i = 0; i < ROWS; i++) {
        whole_class += labels[i] == 0;
        left += labels[i] == 0 && other.part[i] != WS_PART_NONE;
    }
    assert_true(whole_class > MOST);
    assert_int_equal(left, whole_class); /* what is normal stays whole */
    ws_split_destroy(&whole);
    ws_split_destroy(&split);
    ws_split_destroy(&other);
    ws_split_destroy(&reversed);
    ws_store_close(&reverse_store);
}

/* The rows of leaderboard; of each class the last fifth in time is test. */
static void test_leaderboard_temporal(void **state)
{
    (void)state;
    ws_split drawn, split;
    ws_split_options options = options_of("leaderboard", 3);
    ok(ws_split_create(&drawn, &store, &options));
    options.protocol = "leaderboard_temporal";
    ok(ws_split_create(&split, &store, &options));
    for (int c = 0; c < 3; c++) {
        int64_t newest = INT64_MIN, oldest = INT64_MAX;
        uint64_t rows = 0, tests = 0;
        for (int i = 0; i < ROWS; i++) {
            assert_int_equal(split.part[i] == WS_PART_NONE, drawn.part[i] == WS_PART_NONE);
            if (labels[i] != c || split.part[i] == WS_PART_NONE)
                continue;
            const bool test = split.part[i] == WS_PART_TEST;
            rows++;
            tests += test;
            assert_true(test || split.part[i] == WS_PART_TRAIN);
            newest = !test && first_ns[i] > newest ? first_ns[i] : newest;
            oldest = test && first_ns[i] < oldest ? first_ns[i] : oldest;
        }
        assert_int_equal(tests, rows / 5);
        assert_true(newest <= oldest);
    }
    ws_split_destroy(&drawn);
    ws_split_destroy(&split);
}

static void test_small_classes_and_wrong_options(void **state)
{
    (void)state;
    uint64_t of_class[3] = {0};
    for (int i = 0; i < ROWS; i++)
        if (labels[i] >= 0)
            of_class[labels[i]]++;
    uint64_t smallest = of_class[0] < of_class[1] ? of_class[0] : of_class[1];
    smallest = smallest < of_class[2] ? smallest : of_class[2];
    uint64_t left_out = 0, classes = 0, unlabelled = ROWS;
    for (int c = 0; c < 3; c++)
        unlabelled -= of_class[c];
    assert_true(unlabelled > 0);
    for (int c = 0; c < 3; c++)
        if (of_class[c] < smallest + 1) {
            left_out += of_class[c];
            classes++;
        }
    ws_split split;
    ws_split_options options = options_of("random", 0);
    options.minimum_rows = (int64_t)smallest + 1;
    ok(ws_split_create(&split, &store, &options));
    assert_int_equal(split.classes_left_out, classes);
    assert_int_equal(split.rows_left_out, left_out);
    for (int c = 0; c < 3; c++) { /* and which they are */
        char named[64];
        const ws_label_level *level = ws_store_level(&store, options.label);
        snprintf(named, sizeof named, "%s (%llu)", level->names[c], (unsigned long long)of_class[c]);
        assert_int_equal(strstr(split.small_classes, named) != NULL, of_class[c] < smallest + 1);
    }
    assert_null(split.untrained_classes);
    assert_null(split.untested_classes);
    assert_int_equal(split.rows_unlabelled, unlabelled);
    ws_split_destroy(&split);
    options.minimum_rows = ROWS + 1;
    assert_int_equal(ws_split_create(&split, &store, &options), WS_E_CONFIG);
    options = options_of("randum", 0);
    assert_int_equal(ws_split_create(&split, &store, &options), WS_E_CONFIG);
    assert_non_null(strstr(ws_error_hint(), "\"random\""));
    options = options_of("random", 0);
    options.label = "shape";
    assert_int_equal(ws_split_create(&split, &store, &options), WS_E_CONFIG);
    assert_non_null(strstr(ws_error_hint(), "colour"));
    options = options_of("random", 0);
    options.train_fraction = 0.9;
    assert_int_equal(ws_split_create(&split, &store, &options), WS_E_CONFIG);
    options = options_of("random", 0);
    options.label = NULL; /* all rows */
    ok(ws_split_create(&split, &store, &options));
    assert_int_equal(split.counts[WS_PART_NONE], 0);
    ws_split_destroy(&split);
}

/* Rows of part `of` whose value some row of part `in` has. */
static int naive_shared(const ws_split *split, const uint64_t *values, int of, int in)
{
    int rows = 0;
    for (int i = 0; i < ROWS; i++) {
        bool found = false;
        for (int j = 0; j < ROWS && split->part[i] == of && !found; j++)
            found = split->part[j] == in && values[j] == values[i];
        rows += found;
    }
    return rows;
}

static int audited_rows(const cJSON *manifest, const char *what, const char *pair)
{
    const cJSON *entry = cJSON_GetObjectItem(cJSON_GetObjectItem(cJSON_GetObjectItem(manifest, "audit"), what), pair);
    return cJSON_GetObjectItem(entry, "rows")->valueint;
}

static void check_part(const cJSON *manifest, const ws_split *split, const char *name, int part)
{
    const cJSON *entry = cJSON_GetObjectItem(cJSON_GetObjectItem(manifest, "parts"), name), *item;
    const cJSON *hashes = cJSON_GetObjectItem(entry, "row_hashes");
    ws_text lines = {0};
    char hex[65];
    int i = -1, count = 0, in_classes = 0;
    cJSON_ArrayForEach(item, hashes)
    {
        for (i++; split->part[i] != part; i++) /* in row order */
            assert_in_range(i, 0, ROWS - 2);
        assert_int_equal(strtoull(item->valuestring, NULL, 16), row_hash[i]);
        ws_text_appendf(&lines, "%s\n", item->valuestring);
        count++;
    }
    assert_int_equal(count, split->counts[part]);
    assert_int_equal(cJSON_GetObjectItem(entry, "rows")->valueint, count);
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(entry, "classes")) in_classes += item->valueint;
    assert_int_equal(in_classes, count);
    ws_digest digest = ws_sha256_of(ws_text_string(&lines), lines.length);
    ws_digest_hex(&digest, hex);
    assert_string_equal(cJSON_GetObjectItem(entry, "sha256")->valuestring, hex);
    ws_text_destroy(&lines);
}

static void test_manifest(void **state)
{
    (void)state;
    ws_split split = split_of("random", 0);
    const ws_split_options options = options_of("random", 0);
    ws_text text = {0};
    ok(ws_split_manifest(&split, &store, &options, &text));
    cJSON *manifest = cJSON_Parse(ws_text_string(&text));
    assert_non_null(manifest);
    assert_string_equal(cJSON_GetObjectItem(manifest, "split_hash")->valuestring, split.hash);
    check_part(manifest, &split, "train", WS_PART_TRAIN);
    check_part(manifest, &split, "validation", WS_PART_VALIDATION);
    check_part(manifest, &split, "test", WS_PART_TEST);
    uint64_t sessions[ROWS];
    for (int i = 0; i < ROWS; i++)
        sessions[i] = session_id[i];
    int duplicates = naive_shared(&split, input_hash, WS_PART_TEST, WS_PART_TRAIN);
    assert_in_range(duplicates, 1, ROWS); /* the store was made with some */
    assert_int_equal(audited_rows(manifest, "duplicates", "test_in_train"), duplicates);
    assert_int_equal(audited_rows(manifest, "duplicates", "test_in_validation"),
                     naive_shared(&split, input_hash, WS_PART_TEST, WS_PART_VALIDATION));
    assert_int_equal(audited_rows(manifest, "sessions", "validation_in_train"),
                     naive_shared(&split, sessions, WS_PART_VALIDATION, WS_PART_TRAIN));
    cJSON_Delete(manifest);
    ws_text_destroy(&text);
    ws_split_destroy(&split);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_row_order_does_not_enter),
        cmocka_unit_test(test_temporal),
        cmocka_unit_test(test_groups_stay_whole),
        cmocka_unit_test(test_groups_of_anomalies),
        cmocka_unit_test(test_large_classes_are_thinned),
        cmocka_unit_test(test_leaderboard_temporal),
        cmocka_unit_test(test_small_classes_and_wrong_options),
        cmocka_unit_test(test_manifest),
    };
    if (ws_cluster_start(&argc, &argv, true, &world) != WS_OK)
        return 1;
    ws_h5_setup();
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    ws_cluster_stop();
    return failed != 0;
}
