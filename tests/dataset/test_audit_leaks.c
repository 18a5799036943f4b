/* The audit of a split, leak by leak: duplicates, contradictions, identifiers that tell the class, times that overlap, another
 * store's rows; each is built in, found, counted and named. And every protocol has a manifest and a report.
 * ctest: timeout=60 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "flows.h"
#include "folder.h"

enum { ROWS = 4000, MANY = 45000 };

static char path[128], other[128];

static int set_up(void **state)
{
    if (make_folder(state) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/store.h5", folder);
    snprintf(other, sizeof other, "%s/other.h5", folder);
    return 0;
}

static void write_rows(const char *to, uint64_t seed, void (*change)(made_flows *made, uint64_t first))
{
    char hash[65];
    const made_store written = {
        .path = to, .seed = seed, .count = ROWS, .batch = ROWS, .max_packets = 30, .change = change};
    ok(write_store(&world, &written, hash));
}

/* The audit of the store at `path`; the report must name the same findings. */
static cJSON *audit_with(const ws_split_options *options)
{
    ws_store store;
    ws_split split;
    ws_text text = {0}, report = {0};
    ok(ws_store_open(&store, path));
    ok(ws_split_create(&split, &store, options));
    ok(ws_split_manifest(&split, &store, options, &text));
    ok(ws_split_report(&split, &store, options, &report));
    ws_split_destroy(&split);
    ws_store_close(&store);
    cJSON *manifest = cJSON_Parse(ws_text_string(&text));
    assert_non_null(manifest);
    cJSON *audit = cJSON_DetachItemFromObject(manifest, "audit");
    const bool compared = strcmp(options->protocol, "cross_store") != 0 || options->training_store != NULL;
    assert_true((strstr(ws_text_string(&report), "nothing was compared") == NULL) == compared);
    assert_true(compared || strstr(ws_text_string(&report), "findings: none") == NULL);
    const cJSON *finding;
    cJSON_ArrayForEach(finding, cJSON_GetObjectItem(audit, "findings"))
        assert_non_null(strstr(ws_text_string(&report), finding->valuestring));
    cJSON_Delete(manifest);
    ws_text_destroy(&text);
    ws_text_destroy(&report);
    return audit;
}

static cJSON *audit_of(const char *protocol)
{
    const ws_split_options options = {
        .protocol = protocol, .train_fraction = 0.6, .validation_fraction = 0.2, .label = "colour"};
    return audit_with(&options);
}

static int rows_of(const cJSON *audit, const char *what)
{
    const cJSON *pair = cJSON_GetObjectItem(cJSON_GetObjectItem(audit, what), "test_in_train");
    assert_non_null(pair);
    return cJSON_GetObjectItem(pair, "rows")->valueint;
}

static double share_of(const cJSON *audit, const char *what)
{
    const cJSON *pair = cJSON_GetObjectItem(cJSON_GetObjectItem(audit, what), "test_in_train");
    const cJSON *share = cJSON_GetObjectItem(pair, "share");
    assert_non_null(share);
    return cJSON_IsNull(share) ? -1 : share->valuedouble;
}

static int findings_with(const cJSON *audit, const char *text)
{
    const cJSON *finding;
    int found = 0;
    cJSON_ArrayForEach(finding, cJSON_GetObjectItem(audit, "findings")) found +=
        strstr(finding->valuestring, text) != NULL;
    return found;
}

/* ---------------------------------------------------------------- duplicates */
/* Flows of 5 packets are all the same one. */
static void repeat(made_flows *made, uint64_t first)
{
    (void)first;
    ws_flow_packet *packets = made->packets;
    for (uint64_t i = 0; i < made->count; packets += made->flows[i++].packet_count) {
        if (made->flows[i].packet_count != 5)
            continue;
        for (int c = 0; c < WS_FLOW20_COLUMNS; c++)
            made->flows[i].features[c] = (float)c;
        for (uint32_t k = 0; k < 5; k++)
            packets[k] = (ws_flow_packet){.offset_ns = k, .ip_length = 100, .direction = 1};
    }
}

static void test_duplicates(void **state)
{
    (void)state;
    write_rows(path, 4, repeat);
    cJSON *audit = audit_of("host");
    /* about 4000 / 30 flows of 5 packets, of which 3/4 have a label and 1/5 test */
    assert_in_range(rows_of(audit, "duplicates"), 8, 40);
    assert_true(rows_of(audit, "near_duplicates") == rows_of(audit, "duplicates"));
    assert_int_equal(findings_with(audit, "same features and packets"), 1);
    assert_int_equal(findings_with(audit, "nearly the features"), 0); /* they are the exact ones */
    cJSON_Delete(audit);
}

static const int64_t day_ns = INT64_C(86400) * 1000000000;

/* The flows of 5 packets that are equal are blue on the first day and green on the second. */
static void contradict(made_flows *made, uint64_t first)
{
    repeat(made, first);
    for (uint64_t i = 0; i < made->count; i++) {
        if (made->flows[i].packet_count == 5)
            made->labels[i] = (int32_t)((first + i) % 2);
        const bool later = made->flows[i].packet_count == 5 ? made->labels[i] == 1 : (first + i) % 10 >= 7;
        made->flows[i].first_ns = (later ? day_ns : 0) + (int64_t)(first + i);
        made->flows[i].last_ns = made->flows[i].first_ns + 1;
    }
}

static void test_contradictions(void **state)
{
    (void)state;
    write_rows(path, 4, contradict);
    cJSON *audit = audit_of("temporal");
    const int contradicted = cJSON_GetObjectItem(audit, "contradicted_test_rows")->valueint;
    assert_true(contradicted > 0);
    assert_int_equal(contradicted, rows_of(audit, "duplicates"));
    assert_int_equal(findings_with(audit, "equal training rows of other classes only"), 1);
    cJSON_Delete(audit);
    audit = audit_of("random"); /* both classes train */
    assert_int_equal(cJSON_GetObjectItem(audit, "contradicted_test_rows")->valueint, 0);
    cJSON_Delete(audit);
}

/* ---------------------------------------------------------------- identifiers */
static const cJSON *identifier(const cJSON *audit, const char *name)
{
    return cJSON_GetObjectItem(cJSON_GetObjectItem(audit, "identifiers"), name);
}

static void label_by_host(made_flows *made, uint64_t first)
{
    (void)first;
    for (uint64_t i = 0; i < made->count; i++) {
        const ws_flow *flow = &made->flows[i];
        made->labels[i] = (flow->forward_is_low ? flow->key.low_address : flow->key.high_address)[15] % 3;
    }
}

static void test_hosts_that_tell(void **state)
{
    (void)state;
    write_rows(path, 4, label_by_host);
    cJSON *audit = audit_of("random");
    assert_int_equal(findings_with(audit, "the host alone tells the class"), 1);
    assert_int_equal(findings_with(audit, "the capture alone"), 0);
    const cJSON *host = identifier(audit, "host");
    assert_int_equal(cJSON_GetObjectItem(host, "right_rows")->valueint,
                     cJSON_GetObjectItem(host, "known_rows")->valueint);
    assert_true(cJSON_GetObjectItem(host, "balanced_accuracy")->valuedouble == 1);
    cJSON_Delete(audit);
    audit = audit_of("host"); /* no host is known, so none tells */
    assert_int_equal(findings_with(audit, "alone tells the class"), 0);
    assert_int_equal(cJSON_GetObjectItem(identifier(audit, "host"), "known_rows")->valueint, 0);
    assert_int_equal(rows_of(audit, "hosts"), 0);
    cJSON_Delete(audit);
}

static void label_by_capture(made_flows *made, uint64_t first)
{
    for (uint64_t i = 0; i < made->count; i++) /* but for every hundredth */
        made->labels[i] = (int32_t)((made->flows[i].input + ((first + i) % 100 == 0)) % 3);
}

static void test_captures_that_tell(void **state)
{
    (void)state;
    write_rows(path, 4, label_by_capture);
    cJSON *audit = audit_of("random");
    assert_int_equal(findings_with(audit, "the capture alone tells the class"), 1);
    assert_int_equal(findings_with(audit, "the host alone"), 0);
    const cJSON *capture = identifier(audit, "capture");
    const int known = cJSON_GetObjectItem(capture, "known_rows")->valueint;
    const int right = cJSON_GetObjectItem(capture, "right_rows")->valueint;
    assert_true(share_of(audit, "captures") == 1); /* every test row's capture trained */
    assert_int_equal(known, rows_of(audit, "captures"));
    assert_in_range(known - right, 1, known / 40);
    cJSON_Delete(audit);
    audit = audit_of("capture");
    assert_int_equal(findings_with(audit, "capture"), 0);
    assert_int_equal(rows_of(audit, "captures"), 0);
    cJSON_Delete(audit);
}

/* ---------------------------------------------------------------- time */
static void period_by_label(made_flows *made, uint64_t first)
{
    for (uint64_t i = 0; i < made->count; i++) {
        made->flows[i].first_ns = made->labels[i] * 10 * day_ns + (int64_t)(first + i) * 1000;
        made->flows[i].last_ns = made->flows[i].first_ns + ((first + i) % 50 == 0 ? 50 * day_ns : 1);
    }
}

static void test_times(void **state)
{
    (void)state;
    write_rows(path, 4, period_by_label);
    cJSON *audit = audit_of("temporal");
    const cJSON *time = cJSON_GetObjectItem(audit, "time");
    assert_int_equal(cJSON_GetObjectItem(time, "test_rows_before_training_ends")->valueint, 0);
    assert_in_range(cJSON_GetObjectItem(time, "training_rows_into_test")->valueint, 15, 60);
    assert_int_equal(findings_with(audit, "begin before the last training row"), 0);
    cJSON_Delete(audit);
    audit =
        audit_of("temporal_per_class"); /* classes one after another: all but the last are tested before it trains */
    assert_true(cJSON_GetObjectItem(cJSON_GetObjectItem(audit, "time"), "test_rows_before_training_ends")->valueint >
                300);
    assert_int_equal(findings_with(audit, "begin before the last training row"), 1);
    cJSON_Delete(audit);
}

/* ---------------------------------------------------------------- another store */
static void test_other_store(void **state)
{
    (void)state;
    ws_split_options options = {
        .protocol = "cross_store", .train_fraction = 0.6, .validation_fraction = 0.2, .label = "colour"};
    write_rows(path, 4, NULL);
    write_rows(other, 4, NULL);
    options.training_store = other;
    cJSON *audit = audit_with(&options);
    assert_true(share_of(audit, "duplicates") == 1);
    assert_true(share_of(audit, "sessions") == 1);
    assert_true(share_of(audit, "captures") == 1);
    assert_true(share_of(audit, "hosts") == -1); /* not known */
    assert_int_equal(findings_with(audit, "same features and packets"), 1);
    assert_int_equal(findings_with(audit, "a capture that the training store has too"), 1);
    cJSON_Delete(audit);
    write_rows(other, 5, NULL); /* other flows between the same hosts */
    audit = audit_with(&options);
    assert_int_equal(rows_of(audit, "duplicates"), 0);
    assert_int_equal(rows_of(audit, "near_duplicates"), 0);
    assert_true(rows_of(audit, "sessions") > 0);
    cJSON_Delete(audit);
    options.training_store = NULL; /* nothing trains, so nothing is shared */
    audit = audit_with(&options);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(audit, "findings")), 0);
    cJSON_Delete(audit);
}

/* ---------------------------------------------------------------- every protocol */
static void test_every_protocol(void **state)
{
    (void)state;
    static const char *const normal[] = {"blue", "green"};
    char hash[65];
    const made_store written = {.path = path, .seed = 4, .count = MANY, .batch = MANY, .max_packets = 0};
    ok(write_store(&world, &written, hash));
    for (size_t p = 0; ws_protocols[p] != NULL; p++) {
        const ws_split_options options = {.protocol = ws_protocols[p]->name,
                                          .train_fraction = 0.6,
                                          .validation_fraction = 0.2,
                                          .label = "colour",
                                          .normal = {normal, 2}};
        cJSON *audit = audit_with(&options);
        for (int kind = 0; kind < WS_AUDIT_COLUMNS; kind++)
            assert_non_null(cJSON_GetObjectItem(audit, ws_audit_column_names[kind]));
        for (const char *const *part = (const char *const[]){"findings", "identifiers", "single_feature", NULL};
             *part != NULL; part++)
            assert_non_null(cJSON_GetObjectItem(audit, *part));
        cJSON_Delete(audit);
    }
}

/* Services and sizes of the published data. */
static const uint64_t services[6] = {32021, 20041, 20036, 20000, 20000, 23};
static char *service_names[] = {"0", "1", "2", "3", "4", "5"}, *size_names[] = {"large", "small"};
static const ws_label_level service_levels[] = {{"colour", service_names, 6}, {"size", size_names, 2}};

static void label_services(made_flows *made, uint64_t first)
{
    for (uint64_t i = 0; i < made->count; i++) {
        uint64_t row = first + i;
        made->labels[i] = 0;
        while (row >= services[made->labels[i]])
            row -= services[made->labels[i]++];
    }
}

static void test_flowconx_v1(void **state)
{
    (void)state;
    enum { ALL = 32021 + 20041 + 20036 + 20000 + 20000 + 23 };
    static int32_t labels[ALL];
    char hash[65];
    const made_store written = {
        .path = path, .seed = 4, .count = ALL, .batch = ALL, .change = label_services, .levels = service_levels};
    ws_split_options options = {
        .protocol = "flowconx_v1", .train_fraction = 0.6, .validation_fraction = 0.2, .label = "colour"};
    uint64_t counts[WS_PART_COUNT][6] = {{0}};
    ws_store store;
    ws_split split, again;
    ok(write_store(&world, &written, hash));
    ok(ws_store_open(&store, path));
    ok(ws_store_read(&store, "/labels/colour", H5T_NATIVE_INT32, 0, ALL, labels));
    ok(ws_split_create(&split, &store, &options));
    for (uint64_t i = 0; i < ALL; i++)
        counts[split.part[i]][labels[i]]++;
    /* as published: 89,697 train; of 22,424 test rows 10,000 are scored: 1,666 of each class, all 5 of the small one, and
     * 1,665 others */
    assert_int_equal(split.counts[WS_PART_TRAIN], 89697);
    assert_int_equal(split.counts[WS_PART_TEST], 10000);
    assert_int_equal(split.counts[WS_PART_NONE], 12424);
    assert_int_equal(counts[WS_PART_TEST][5], 5);
    for (int k = 0; k < 5; k++) {
        assert_int_equal(counts[WS_PART_TRAIN][k], services[k] - (services[k] + 2) / 5);
        assert_in_range(counts[WS_PART_TEST][k], 1666 + 150, 1666 + 600);
    }
    ok(ws_split_create(&again, &store, &options));
    assert_string_equal(split.hash, again.hash);
    ws_split_destroy(&again);
    options.protocol_seed = 7;
    ok(ws_split_create(&again, &store, &options));
    assert_string_not_equal(split.hash, again.hash);
    ws_split_destroy(&again);
    ws_split_destroy(&split);
    ws_store_close(&store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_duplicates, set_up, remove_folder),
        cmocka_unit_test_setup_teardown(test_contradictions, set_up, remove_folder),
        cmocka_unit_test_setup_teardown(test_hosts_that_tell, set_up, remove_folder),
        cmocka_unit_test_setup_teardown(test_captures_that_tell, set_up, remove_folder),
        cmocka_unit_test_setup_teardown(test_times, set_up, remove_folder),
        cmocka_unit_test_setup_teardown(test_other_store, set_up, remove_folder),
        cmocka_unit_test_setup_teardown(test_every_protocol, set_up, remove_folder),
        cmocka_unit_test_setup_teardown(test_flowconx_v1, set_up, remove_folder),
    };
    if (ws_cluster_start(&argc, &argv, true, &world) != WS_OK)
        return 1;
    ws_h5_setup();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ws_cluster_stop();
    return failed != 0;
}
