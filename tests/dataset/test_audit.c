/* The audit of a split: silent on clean data, and each leak that is built in is found, counted and named. The published
 * protocols: their sizes, disjoint, the same rows from the same seed.
 * ctest: timeout=60 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "flows.h"
#include "folder.h"

static char path[128];

static int set_up(void **state)
{
    if (make_folder(state) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/store.h5", folder);
    return 0;
}

enum { ROWS = 4000 };

/* The manifest's audit and the report of a store under a protocol. */
static cJSON *audit_of(const char *protocol, void (*change)(made_flows *made, uint64_t first), ws_text *report)
{
    char hash[65];
    const made_store written = {
        .path = path, .seed = 4, .count = ROWS, .batch = ROWS, .max_packets = 30, .change = change};
    const ws_split_options options = {
        .protocol = protocol, .train_fraction = 0.6, .validation_fraction = 0.2, .label = "colour"};
    ws_store store;
    ws_split split;
    ws_text text = {0};
    ok(write_store(&world, &written, hash));
    ok(ws_store_open(&store, path));
    ok(ws_split_create(&split, &store, &options));
    ok(ws_split_manifest(&split, &store, &options, &text));
    ok(ws_split_report(&split, &store, &options, report));
    ws_split_destroy(&split);
    ws_store_close(&store);
    cJSON *manifest = cJSON_Parse(ws_text_string(&text));
    assert_non_null(manifest);
    ws_text_destroy(&text);
    cJSON *audit = cJSON_DetachItemFromObject(manifest, "audit");
    cJSON_Delete(manifest);
    return audit;
}

static int rows_of(const cJSON *audit, const char *what)
{
    return cJSON_GetObjectItem(cJSON_GetObjectItem(cJSON_GetObjectItem(audit, what), "test_in_train"), "rows")
        ->valueint;
}

/* The findings that hold the text. */
static int findings_with(const cJSON *audit, const char *text)
{
    const cJSON *finding;
    int found = 0;
    cJSON_ArrayForEach(finding, cJSON_GetObjectItem(audit, "findings")) found +=
        strstr(finding->valuestring, text) != NULL;
    return found;
}

static void test_clean(void **state)
{
    (void)state;
    ws_text report = {0};
    cJSON *audit = audit_of("host", NULL, &report);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(audit, "findings")), 0);
    assert_non_null(strstr(ws_text_string(&report), "findings: none"));
    const cJSON *single = cJSON_GetObjectItem(audit, "single_feature"), *class;
    assert_int_equal(cJSON_GetObjectItem(single, "decided_test_rows")->valueint, 0);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(single, "classes")), 3);
    cJSON_ArrayForEach(class, cJSON_GetObjectItem(single, "classes"))
    { /* noise tells nothing */
        assert_true(cJSON_GetObjectItem(class, "auroc")->valuedouble < 0.6);
        assert_true(cJSON_GetObjectItem(class, "balanced_accuracy")->valuedouble < 0.6);
    }
    ws_text_destroy(&report);
    cJSON_Delete(audit);
    /* the same rows drawn at random share sessions and hosts, and nothing else */
    audit = audit_of("random", NULL, &report);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(audit, "findings")), 2);
    assert_int_equal(findings_with(audit, "5-tuple"), 1);
    assert_int_equal(findings_with(audit, "host"), 1);
    ws_text_destroy(&report);
    cJSON_Delete(audit);
}

/* Every tenth flow has nearly the features of one before, whose packets differ. */
static void repeat_nearly(made_flows *made, uint64_t first)
{
    for (uint64_t i = 0; i < made->count; i++)
        for (int c = 0; c < WS_FLOW20_COLUMNS && (first + i) % 10 == 0; c++)
            made->flows[i].features[c] = (float)(64 + c) * (1 + 1e-4f * (float)((first + i) % 7));
}

static void test_near_duplicates(void **state)
{
    (void)state;
    ws_text report = {0};
    cJSON *audit = audit_of("host", repeat_nearly, &report);
    assert_int_equal(rows_of(audit, "duplicates"), 0);
    /* of about 3/4 * 4000 labelled rows a fifth tests, a tenth of that repeats */
    assert_in_range(rows_of(audit, "near_duplicates"), 30, 120);
    assert_int_equal(findings_with(audit, "nearly the features"), 1);
    assert_int_equal(findings_with(audit, "same features"), 0);
    assert_non_null(strstr(ws_text_string(&report), "nearly the features"));
    ws_text_destroy(&report);
    cJSON_Delete(audit);
}

/* Every flow with 8 stored packets or more, of every tenth, begins alike; what follows differs. */
static void begin_alike(made_flows *made, uint64_t first)
{
    ws_flow_packet *packets = made->packets;
    for (uint64_t i = 0; i < made->count; packets += made->flows[i++].packet_count)
        for (uint32_t k = 0; k < 16 && k < made->flows[i].packet_count && (first + i) % 10 == 0; k++) {
            packets[k].payload_length = 100 + k;
            packets[k].direction = k % 3 ? 1 : -1;
        }
}

static void test_same_beginning(void **state)
{
    (void)state;
    ws_text report = {0};
    cJSON *audit = audit_of("host", begin_alike, &report);
    assert_in_range(rows_of(audit, "same_beginning"), 15, 120);
    assert_int_equal(findings_with(audit, "begin with the same packets"), 1);
    assert_int_equal(rows_of(audit, "duplicates"), 0);
    assert_int_equal(rows_of(audit, "near_duplicates"), 0);
    ws_text_destroy(&report);
    cJSON_Delete(audit);
}

/* Column 3 lies below for green rows; half of the red rows have one constant in column 5. */
static void tell_labels(made_flows *made, uint64_t first)
{
    for (uint64_t i = 0; i < made->count; i++) {
        if (made->labels[i] == 1)
            made->flows[i].features[3] -= 10;
        if (made->labels[i] == 2 && (first + i) % 2 == 0)
            made->flows[i].features[5] = 0.5f;
    }
}

static void test_labels_in_features(void **state)
{
    (void)state;
    ws_text report = {0};
    cJSON *audit = audit_of("host", tell_labels, &report);
    const cJSON *single = cJSON_GetObjectItem(audit, "single_feature");
    const cJSON *green = cJSON_GetObjectItem(cJSON_GetObjectItem(single, "classes"), "green");
    assert_string_equal(cJSON_GetObjectItem(green, "column")->valuestring, ws_flow20_names[3]);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(green, "above")));
    assert_true(cJSON_GetObjectItem(green, "balanced_accuracy")->valuedouble == 1);
    assert_true(cJSON_GetObjectItem(green, "auroc")->valuedouble == 1);
    const cJSON *blue = cJSON_GetObjectItem(cJSON_GetObjectItem(single, "classes"), "blue");
    assert_true(cJSON_GetObjectItem(blue, "balanced_accuracy")->valuedouble < 0.95);
    assert_int_equal(findings_with(audit, "class green follows from"), 1);
    assert_int_equal(findings_with(audit, "class blue"), 0);
    /* a third of some 600 test rows is red, and half of them tell it */
    assert_in_range(cJSON_GetObjectItem(single, "decided_test_rows")->valueint, 50, 150);
    assert_int_equal(findings_with(audit, "only training rows of their class"), 1);
    ws_text_destroy(&report);
    cJSON_Delete(audit);
}

/* ---------------------------------------------------------------- published protocols */
static void count_parts(const ws_split *split, const int32_t *labels, uint64_t counts[WS_PART_COUNT][3])
{
    memset(counts, 0, sizeof(uint64_t) * WS_PART_COUNT * 3);
    for (uint64_t i = 0; i < split->rows; i++)
        if (labels[i] >= 0)
            counts[split->part[i]][labels[i]]++;
}

static void test_published(void **state)
{
    (void)state;
    enum { MANY = 60000 };
    static int32_t labels[MANY];
    static const char *const normal[] = {"blue", "green"};
    char hash[65];
    const made_store written = {.path = path, .seed = 4, .count = MANY, .batch = MANY, .max_packets = 0};
    ws_split_options options = {.protocol = "shafir_10k",
                                .train_fraction = 0.6,
                                .validation_fraction = 0.2,
                                .label = "colour",
                                .normal = {normal, 2}};
    uint64_t counts[WS_PART_COUNT][3];
    ws_store store;
    ws_split split, again;
    ok(write_store(&world, &written, hash));
    ok(ws_store_open(&store, path));
    ok(ws_store_read(&store, "/labels/colour", H5T_NATIVE_INT32, 0, MANY, labels));
    ok(ws_split_create(&split, &store, &options));
    count_parts(&split, labels, counts);
    assert_int_equal(counts[WS_PART_TRAIN][0] + counts[WS_PART_TRAIN][1], 10000);
    assert_int_equal(counts[WS_PART_TRAIN][2], 0); /* no anomaly trains */
    assert_int_equal(counts[WS_PART_VALIDATION][0] + counts[WS_PART_VALIDATION][1], 1000);
    assert_int_equal(counts[WS_PART_VALIDATION][2], 1000);
    assert_int_equal(counts[WS_PART_TEST][0] + counts[WS_PART_TEST][1], 10000);
    assert_int_equal(counts[WS_PART_TEST][2], 10000);
    ok(ws_split_create(&again, &store, &options));
    assert_string_equal(split.hash, again.hash);
    ws_split_destroy(&again);
    options.protocol_seed = 1;
    ok(ws_split_create(&again, &store, &options));
    assert_string_not_equal(split.hash, again.hash);
    ws_split_destroy(&again);
    options.normal.count = 1; /* a third of the rows is too few for 10,000 and 10,000: all parts shrink by one factor */
    ok(ws_split_create(&again, &store, &options));
    uint64_t normal_rows = 0, part;
    for (uint64_t i = 0; i < MANY; i++)
        normal_rows += labels[i] == 0;
    assert_true(normal_rows < 21000);
    part = normal_rows * 10000 / 21000;
    count_parts(&again, labels, counts);
    assert_int_equal(counts[WS_PART_TRAIN][0], part);
    assert_int_equal(counts[WS_PART_VALIDATION][0], normal_rows * 1000 / 21000);
    assert_int_equal(counts[WS_PART_VALIDATION][1] + counts[WS_PART_VALIDATION][2], normal_rows * 1000 / 21000);
    assert_int_equal(counts[WS_PART_TEST][0], part);
    assert_int_equal(counts[WS_PART_TEST][1] + counts[WS_PART_TEST][2], part);
    ws_split_destroy(&again);
    options.normal.count = 2;
    ws_split_destroy(&split);
    options.normal.count = 0;
    assert_int_equal(ws_split_create(&split, &store, &options), WS_E_CONFIG);
    options.normal.count = 2;
    options.normal.items = (const char *const[]){"red", "none of these"};
    assert_int_equal(ws_split_create(&split, &store, &options), WS_E_CONFIG);
    assert_non_null(strstr(ws_error_message(), "21000 normal"));

    options.protocol = "netmamba";
    ok(ws_split_create(&split, &store, &options));
    count_parts(&split, labels, counts);
    for (int class = 0; class < 3; class ++) {
        assert_int_equal(counts[WS_PART_TRAIN][class], 1600);
        assert_int_equal(counts[WS_PART_VALIDATION][class], 200);
        assert_int_equal(counts[WS_PART_TEST][class], 200);
    }
    ws_split_destroy(&split);
    options.protocol = "leaderboard";
    ok(ws_split_create(&split, &store, &options));
    assert_in_range(split.counts[WS_PART_TRAIN] + split.counts[WS_PART_TEST], 29998, 30002);
    assert_in_range(split.counts[WS_PART_TEST], 5998, 6002);
    assert_int_equal(split.counts[WS_PART_VALIDATION], 0);
    ws_split_destroy(&split);
    ws_store_close(&store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_clean, set_up, remove_folder),
        cmocka_unit_test_setup_teardown(test_near_duplicates, set_up, remove_folder),
        cmocka_unit_test_setup_teardown(test_same_beginning, set_up, remove_folder),
        cmocka_unit_test_setup_teardown(test_labels_in_features, set_up, remove_folder),
        cmocka_unit_test_setup_teardown(test_published, set_up, remove_folder),
    };
    if (ws_cluster_start(&argc, &argv, true, &world) != WS_OK)
        return 1;
    ws_h5_setup();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ws_cluster_stop();
    return failed != 0;
}
