/* ctest: timeout=60
 * Packets as models read them: the first of each row, normalised by the training rows of the normal class, or as a trained model
 * has it; features of these packets only; what the store does not hold is refused.
 */
#include <math.h>
#include <unistd.h>
#include "dataset/flows.h"
#include "models/samples.h"
#include "train/internal.h"

enum { ROWS = 400, STORED = 24, TOKENS = 10, COLUMNS = WS_PACKET9_COLUMNS };
static const char path[] = "test_packets.h5";
static ws_arena *arena;
static made_flows made;
static uint64_t row_hash[ROWS];

static int setup(void **state)
{
    (void)state;
    char hash[65];
    ws_store store;
    ws_comm self = ws_comm_self();
    const made_store to_make = {.path = path,
                                .endpoints = "drop",
                                .options_json = "{\"packets\":24}",
                                .seed = 5,
                                .count = ROWS,
                                .batch = ROWS,
                                .max_packets = STORED};
    ws_h5_setup();
    OK(ws_arena_create(&arena, 1 << 16));
    OK(write_store(&self, &to_make, hash));
    made = make_flows(5, 0, ROWS, ROWS, STORED);
    OK(ws_store_open(&store, path));
    OK(ws_store_read(&store, "/flows/row_hash", H5T_NATIVE_UINT64, 0, ROWS, row_hash));
    ws_store_close(&store);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free_flows(&made);
    ws_arena_destroy(&arena);
    return unlink(path);
}

/* The number of problems of a configuration with this model. */
static size_t read_config(const char *model_json, ws_train_config *out)
{
    ws_json *document;
    ws_problems problems = {0};
    char *json = ws_format("{\"store\": \"%s\", \"task\": \"anomaly\", \"label\": \"colour\", \"normal\": [\"blue\"], "
                           "\"model\": %s, \"train\": {\"batch\": 8}}",
                           path, model_json);
    OK(ws_json_read_text(&document, json, "test_packets"));
    OK(ws_train_config_read(document, arena, out, &problems));
    size_t count = problems.count;
    ws_text_destroy(&problems.lines);
    ws_json_destroy(&document);
    free(json);
    return count;
}

static const ws_flow_packet *packets_of(uint64_t hash, uint32_t *count)
{
    const ws_flow_packet *packets = made.packets;
    for (uint64_t i = 0; i < ROWS; packets += made.flows[i++].packet_count)
        if (row_hash[i] == hash) {
            *count = made.flows[i].packet_count;
            return packets;
        }
    fail_msg("no flow has row hash %llx", (unsigned long long)hash);
    return NULL;
}

/* Mean and deviation of a column over the packets read of the training rows. */
static void statistics(const ws_rows *rows, int column, double *mean, double *deviation)
{
    double count = 0, sum = 0, squares = 0;
    for (int pass = 0; pass < 2; pass++)
        for (uint64_t i = 0; i < rows->part[WS_PART_TRAIN].rows; i++) {
            uint32_t stored = 0;
            const ws_flow_packet *packets = packets_of(rows->row_hash[WS_PART_TRAIN][i], &stored);
            for (uint32_t k = 0; k < stored && k < TOKENS; k++) {
                float raw[COLUMNS];
                ws_packet9(packets, k, raw);
                if (pass == 0)
                    count++, sum += raw[column];
                else
                    squares += (raw[column] - sum / count) * (raw[column] - sum / count);
            }
        }
    *mean = sum / count;
    *deviation = sqrt(squares / count);
}

/* Compares all parts with packets that are normalised by these. */
static void check_packets(const ws_rows *rows, const double *mean, const double *deviation, ws_part first)
{
    for (int p = first; p < WS_PART_COUNT; p++) {
        const ws_sequence *packets = &rows->part[p].sequence[WS_SEQUENCE_PACKETS];
        assert_int_equal(packets->tokens, TOKENS);
        assert_int_equal(packets->columns, COLUMNS);
        assert_true(rows->part[p].rows > 5);
        for (uint64_t i = 0; i < rows->part[p].rows; i++) {
            uint32_t stored = 0;
            const ws_flow_packet *of = packets_of(rows->row_hash[p][i], &stored);
            assert_int_equal(packets->length[i], stored < TOKENS ? stored : TOKENS);
            for (uint32_t k = 0; k < TOKENS; k++) {
                const float *found = packets->values + (i * TOKENS + k) * COLUMNS;
                float raw[COLUMNS];
                if (k < stored)
                    ws_packet9(of, k, raw);
                for (int c = 0; c < COLUMNS; c++) {
                    double z = k < stored ? (raw[c] - mean[c]) / deviation[c] : 0;
                    assert_true(fabs(found[c] - fmax(-8, fmin(8, z))) < 1e-5);
                }
            }
        }
    }
}

static const char with_packets[] = "{\"kind\": \"flow_cfm\", \"flow_scope\": \"prefix\", \"packets\": 10}";

static void are_normalised_by_the_training_rows(void **state)
{
    (void)state;
    ws_train_config config;
    ws_rows rows;
    assert_int_equal(read_config(with_packets, &config), 0);
    OK(ws_rows_load(&config, NULL, &rows));
    double mean[COLUMNS], deviation[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) {
        statistics(&rows, c, &mean[c], &deviation[c]);
        if (c == 2) /* the direction stays, flags become -1 and 1 */
            mean[c] = 0, deviation[c] = 1;
        if (c >= 4)
            mean[c] = deviation[c] = 0.5;
    }
    check_packets(&rows, mean, deviation, WS_PART_TRAIN);
    ws_model_context context = ws_train_context(&config, &rows);
    assert_int_equal(context.sequence[WS_SEQUENCE_PACKETS].tokens, TOKENS);
    assert_true(context.sequence[WS_SEQUENCE_PACKETS].two_valued[4]);
    assert_false(context.sequence[WS_SEQUENCE_PACKETS].two_valued[0]);
    ws_rows_destroy(&rows);
}

static void are_normalised_as_a_trained_model_has_it(void **state)
{
    (void)state;
    ws_train_config config;
    ws_rows rows, frozen_rows;
    double mean[COLUMNS] = {1, 2, 0, 3, .5, .5, .5, .5, .5}, deviation[COLUMNS] = {2, 3, 1, 4, .5, .5, .5, .5, .5};
    assert_int_equal(read_config(with_packets, &config), 0);
    OK(ws_rows_load(&config, NULL, &rows));
    const ws_frozen frozen = {.classes = rows.classes,
                              .columns = rows.columns,
                              .class_names = rows.class_names,
                              .column_names = rows.column_names,
                              .mean = rows.normalisation.mean,
                              .deviation = rows.normalisation.deviation,
                              .packet_mean = mean,
                              .packet_deviation = deviation,
                              .clip = 8,
                              .store_hash = "another store",
                              .protocol = "random"};
    OK(ws_rows_load(&config, &frozen, &frozen_rows));
    check_packets(&frozen_rows, mean, deviation, WS_PART_VALIDATION);
    ws_rows_destroy(&rows);
    ws_rows_destroy(&frozen_rows);
}

/* The store's own table holds random numbers here, so whatever is made of packets differs from it. */
static void features_are_of_the_packets_read(void **state)
{
    (void)state;
    ws_train_config config;
    ws_rows rows;
    assert_int_equal(read_config(with_packets, &config), 0);
    OK(ws_rows_load(&config, NULL, &rows));
    for (int p = WS_PART_TRAIN; p < WS_PART_COUNT; p++)
        for (uint64_t i = 0; i < rows.part[p].rows; i++) {
            uint32_t stored = 0;
            const ws_flow_packet *of = packets_of(rows.row_hash[p][i], &stored);
            float raw[WS_FLOW20_COLUMNS];
            ws_flow20_from_packets(of, stored < TOKENS ? stored : TOKENS, raw);
            for (int c = 0; c < WS_FLOW20_COLUMNS; c++) {
                double z = (raw[c] - rows.normalisation.mean[c]) / rows.normalisation.deviation[c];
                assert_true(fabs(rows.part[p].values[i * WS_FLOW20_COLUMNS + (uint64_t)c] - fmax(-8, fmin(8, z))) <
                            1e-5);
            }
        }
    ws_rows_destroy(&rows);
    /* some columns, in another order */
    assert_int_equal(read_config("{\"kind\": \"flow_cfm\", \"flow_scope\": \"prefix\", \"packets\": 10}, "
                                 "\"columns\": [\"log_bytes_f\", \"log_dur\"]",
                                 &config),
                     0);
    OK(ws_rows_load(&config, NULL, &rows));
    assert_int_equal(rows.columns, 2);
    for (uint64_t i = 0; i < rows.part[WS_PART_TEST].rows; i++) {
        uint32_t stored = 0;
        const ws_flow_packet *of = packets_of(rows.row_hash[WS_PART_TEST][i], &stored);
        float raw[WS_FLOW20_COLUMNS];
        ws_flow20_from_packets(of, stored < TOKENS ? stored : TOKENS, raw);
        for (int c = 0; c < 2; c++) {
            double z = (raw[c == 0 ? 3 : 0] - rows.normalisation.mean[c]) / rows.normalisation.deviation[c];
            assert_true(fabs(rows.part[WS_PART_TEST].values[i * 2 + (uint64_t)c] - fmax(-8, fmin(8, z))) < 1e-5);
        }
    }
    ws_rows_destroy(&rows);
    /* without being asked, no packets are read and the features are the stored ones */
    assert_int_equal(read_config("{\"kind\": \"flow_cfm\"}", &config), 0);
    OK(ws_rows_load(&config, NULL, &rows));
    assert_int_equal(rows.part[WS_PART_TEST].sequence[WS_SEQUENCE_PACKETS].tokens, 0);
    assert_true(rows.normalisation.mean[0] > 0.4 && rows.normalisation.mean[0] < 0.6); /* of uniform numbers */
    ws_rows_destroy(&rows);
}

static void normal_validation_rows_keep_their_packets(void **state)
{
    (void)state;
    ws_train_config config;
    ws_rows rows;
    assert_int_equal(read_config(with_packets, &config), 0);
    OK(ws_rows_load(&config, NULL, &rows));
    const ws_samples *all = &rows.part[WS_PART_VALIDATION], *normal = &rows.validation_normal;
    const ws_sequence *from = &all->sequence[WS_SEQUENCE_PACKETS], *to = &normal->sequence[WS_SEQUENCE_PACKETS];
    uint64_t n = 0;
    for (uint64_t i = 0; i < all->rows; i++) {
        if (all->anomalous[i])
            continue;
        assert_int_equal(to->length[n], from->length[i]);
        assert_memory_equal(to->values + n * TOKENS * COLUMNS, from->values + i * TOKENS * COLUMNS,
                            TOKENS * COLUMNS * sizeof(float));
        n++;
    }
    assert_int_equal(normal->rows, n);
    assert_true(n > 0 && n < all->rows);
    ws_rows_destroy(&rows);
}

static void what_the_store_does_not_hold_is_refused(void **state)
{
    (void)state;
    ws_train_config config;
    assert_int_equal(read_config("{\"kind\": \"flow_cfm\", \"flow_scope\": \"prefix\", \"packets\": 24}", &config), 0);
    assert_int_equal(read_config("{\"kind\": \"flow_cfm\", \"flow_scope\": \"prefix\", \"packets\": 25}", &config), 1);
    /* packets that are not read need not be there */
    assert_int_equal(read_config("{\"kind\": \"flow_cfm\", \"packets\": 25}", &config), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
static const struct CMUnitTest tests[] = {
    TEST(are_normalised_by_the_training_rows),     TEST(are_normalised_as_a_trained_model_has_it),
    TEST(features_are_of_the_packets_read),        TEST(normal_validation_rows_keep_their_packets),
    TEST(what_the_store_does_not_hold_is_refused),
};

WS_MPI_TEST_MAIN(tests)
