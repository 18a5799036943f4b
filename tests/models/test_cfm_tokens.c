/* ctest: timeout=120
 * packet_cfm and unified_cfm: the network is the one described; padding never influences anything; hidden tokens are as many as
 * asked for and are not seen; one batch can be learned by heart; rows whose features do not fit their packets are found.
 */
#include <math.h>
#include "models/cfm_tokens.h"
#include "models/samples.h"
#include "train/internal.h"

enum { TOKENS = 5, PACKET = 9, FEATURES = 6, BATCH = 16, SHARDS = 2, SHARD = BATCH / SHARDS };
static const char small[] = "{\"packets\": 5, \"width\": 16, \"blocks\": 2, \"heads\": 2, \"hidden\": 24, "
                            "\"time_features\": 8, \"ot_group\": 16, \"solver_steps\": 2}";
static const char small_mamba[] = "{\"packets\": 5, \"width\": 16, \"blocks\": 2, \"backbone\": \"mamba\", "
                                  "\"time_features\": 8, \"ot_group\": 16, \"solver_steps\": 2}";
/* Every model with every backbone. */
static const struct {
    const char *model, *options;
    int features;
} kinds[] = {{"packet_cfm", small, 0},
             {"unified_cfm", small, 1},
             {"packet_cfm", small_mamba, 0},
             {"unified_cfm", small_mamba, 1}};
enum { KINDS = sizeof kinds / sizeof *kinds };
static ws_arena *arena;

static int setup(void **state)
{
    (void)state;
    return ws_arena_create(&arena, 1 << 16) != WS_OK;
}

static int teardown(void **state)
{
    (void)state;
    ws_arena_destroy(&arena);
    return 0;
}

typedef struct fixture {
    const ws_model *model;
    ws_model_context context;
    void *options;
    made_samples rows;
    uint64_t order[BATCH];
    ws_batch batch;
    void *plan;
    ws_network_state network;
    ws_executor *executor;
} fixture;

/* The parameters are drawn anew, since gates that begin at 0 keep everything behind them out of sight. */
static void draw_parameters(const ws_network_state *network)
{
    const ws_parameter *table;
    const size_t count = ws_plan_parameters(network->plan, &table);
    for (size_t i = 0; i < count; i++) {
        float *values = network->parameters + table[i].offset;
        ws_random_normal(3, WS_RANDOM_TEST, i, 0, values, table[i].count);
        for (size_t k = 0; k < table[i].count; k++)
            values[k] *= 0.2f;
    }
    memcpy(network->average, network->parameters, network->extent * sizeof *network->average);
}

static void begin(fixture *f, const char *name, const char *json)
{
    void *scratch = NULL;
    *f = (fixture){.model = ws_model_find(name), .rows = make_samples(60, FEATURES, 3, 0.3f, 1)};
    add_packets(&f->rows, TOKENS, PACKET, 2);
    f->context = make_context(arena, f->model, WS_TASK_ANOMALY, FEATURES, 2, &f->options);
    expect_packets(&f->context, TOKENS);
    set_option(arena, f->model, f->options, json);
    f->context.batch = BATCH;
    f->context.shards = SHARDS;
    for (uint64_t i = 0; i < BATCH; i++)
        f->order[i] = i * 7 % 60;
    f->batch = (ws_batch){7, 12, &f->rows.samples, f->order};
    f->plan = malloc(f->model->network->plan_bytes(&f->context));
    OK(f->model->network->scratch_create(&f->context, &scratch));
    f->model->network->plan_batch(&f->context, &f->batch, scratch, f->plan);
    f->model->network->scratch_destroy(&scratch);
    OK(ws_network_state_create(&f->network, f->model, &f->context));
    OK(ws_executor_create(&f->executor, f->network.plan));
    f->model->network->fill(&f->context, &f->batch, f->plan, 1, f->executor);
    draw_parameters(&f->network);
}

static void end(fixture *f)
{
    ws_executor_destroy(&f->executor);
    ws_network_state_destroy(&f->network);
    free(f->plan);
    free_samples(&f->rows);
}

/* ---- the network ---- */

static size_t parameters_of(const char *name)
{
    void *options;
    ws_network_state network;
    const ws_model *model = ws_model_find(name);
    ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, 20, 2, &options);
    expect_packets(&context, 32);
    OK(ws_network_state_create(&network, model, &context));
    size_t count = ws_plan_parameter_count(network.plan);
    ws_network_state_destroy(&network);
    return count;
}

static void has_the_parameters_of_the_description(void **state)
{
    (void)state;
    assert_int_equal(parameters_of("unified_cfm"), 1269434);
    /* less the features' embedding and two heads, their place, and the two types */
    assert_int_equal(parameters_of("packet_cfm"), 1269434 - (20 + 1) * 128 - 2 * (128 + 1) * 20 - 128 - 2 * 128);
}

static void gradient_reaches_every_parameter(void **state)
{
    (void)state;
    for (int m = 0; m < KINDS; m++) {
        fixture f;
        begin(&f, kinds[m].model, kinds[m].options);
        ws_real *gradient = calloc(f.network.extent, sizeof *gradient);
        ws_executor_forward(f.executor, f.network.parameters);
        ws_executor_backward(f.executor, f.network.parameters, gradient);
        assert_true(isfinite(ws_executor_loss(f.executor)));
        const ws_parameter *table;
        const size_t count = ws_plan_parameters(f.network.plan, &table);
        for (size_t i = 0; i < count; i++) {
            size_t moved = 0;
            for (size_t k = 0; k < table[i].count; k++)
                moved += gradient[table[i].offset + k] != 0;
            if (moved < table[i].count / 2)
                fail_msg("%s: %s: %zu of %zu gradients are zero", kinds[m].model, table[i].name, table[i].count - moved,
                         table[i].count);
        }
        free(gradient);
        end(&f);
    }
}

/* ---- padding ---- */

static int64_t length_at(const fixture *f, int64_t row)
{
    return f->rows.length[f->order[SHARD + row % SHARD]]; /* shard 1; the second half are the same rows */
}

/* Elements behind those that a row has become this. */
static void overwrite_padding(const fixture *f, const char *input, int64_t features, float value)
{
    ws_real *x = ws_executor_input(f->executor, input);
    const int64_t elements = features + TOKENS * PACKET;
    for (int64_t r = 0; r < 2 * SHARD; r++)
        for (int64_t k = features + length_at(f, r) * PACKET; k < elements; k++)
            x[r * elements + k] = value;
}

static void padding_never_influences_training(void **state)
{
    (void)state;
    for (int m = 0; m < KINDS; m++) {
        fixture f;
        begin(&f, kinds[m].model, kinds[m].options);
        const size_t bytes = f.network.extent * sizeof(ws_real);
        ws_real *before = malloc(bytes), *after = malloc(bytes);
        ws_executor_forward(f.executor, f.network.parameters);
        const ws_real loss = ws_executor_loss(f.executor);
        ws_executor_backward(f.executor, f.network.parameters, before);
        overwrite_padding(&f, "x", kinds[m].features * FEATURES, 1000);
        overwrite_padding(&f, "target", kinds[m].features * FEATURES, -77);
        ws_executor_forward(f.executor, f.network.parameters);
        assert_true(ws_executor_loss(f.executor) == loss);
        ws_executor_backward(f.executor, f.network.parameters, after);
        for (size_t i = 0; i < f.network.extent; i++)
            assert_true(before[i] == after[i]);
        overwrite_padding(&f, "x", kinds[m].features * FEATURES - PACKET, 1000); /* and what is no padding does */
        ws_executor_forward(f.executor, f.network.parameters);
        assert_true(ws_executor_loss(f.executor) != loss);
        free(before);
        free(after);
        end(&f);
    }
}

static void padding_never_influences_scores(void **state)
{
    (void)state;
    fixture f;
    ws_comm self = ws_comm_self();
    float *scores[2] = {NULL, NULL};
    ws_learned learned;
    begin(&f, "unified_cfm", small);
    f.context.wanted = (1u << ws_model_width(f.model, &f.context)) - 1;
    for (int changed = 0; changed < 2; changed++) {
        for (uint64_t i = 0; changed && i < f.rows.samples.rows; i++)
            for (int k = f.rows.length[i] * PACKET; k < TOKENS * PACKET; k++)
                f.rows.packets[i * TOKENS * PACKET + (uint64_t)k] = 5;
        OK(ws_learned_create(f.model, &f.context, &learned));
        OK(ws_learned_take(&learned, &f.network));
        OK(ws_score_all(&self, &learned, &f.rows.samples, "test", &scores[changed], NULL));
        ws_learned_destroy(&learned);
    }
    const int width = ws_model_width(f.model, &f.context);
    assert_memory_equal(scores[0], scores[1], f.rows.samples.rows * (size_t)width * sizeof(float));
    free(scores[0]);
    free(scores[1]);
    end(&f);
}

/* ---- hidden tokens ---- */

/* The hidden tokens of one step; returns in how many rows these are the features. */
static int check_hidden(const fixture *f)
{
    int features_hidden = 0;
    const ws_real *of_features = ws_executor_input(f->executor, "hidden_features");
    const ws_real *of_packets = ws_executor_input(f->executor, "hidden_packets");
    const int32_t *hidden = ws_executor_input_index(f->executor, "hidden");
    for (int64_t r = 0; r < 2 * SHARD; r++) {
        const int64_t length = length_at(f, r);
        int packets = 0;
        for (int64_t k = 0; k < TOKENS; k++) {
            const int32_t one = hidden[r * (1 + TOKENS) + 1 + k];
            assert_true(of_packets[r * TOKENS + k] == (ws_real)one);
            assert_true(k < length || one == 0);
            packets += one;
        }
        assert_true(of_features[r] == (ws_real)hidden[r * (1 + TOKENS)]);
        if (r < SHARD) /* on their paths all tokens are seen */
            assert_true(packets == 0 && of_features[r] == 0);
        else if (of_features[r] > 0)
            assert_int_equal(packets, 0);
        else
            assert_int_equal(packets, length == 0 ? 0 : fmax(1, floor(0.3 * (double)length + 0.5)));
        features_hidden += of_features[r] > 0;
    }
    return features_hidden;
}

static void as_many_tokens_are_hidden_as_asked_for(void **state)
{
    (void)state;
    fixture f;
    int features_hidden = 0, rows = 0;
    begin(&f, "unified_cfm", small);
    for (; f.batch.step < 60; f.batch.step++, rows += SHARD) {
        f.model->network->fill(&f.context, &f.batch, f.plan, 1, f.executor);
        features_hidden += check_hidden(&f);
    }
    assert_true(fabs((double)features_hidden / rows - 0.5) < 0.1); /* 2.5 % is one standard deviation */
    end(&f);
}

/* ---- paths ---- */

/* Along a straight path x + (1 - t) u is the row, and what was added to it. Sums of that and of its square over 40 steps, of columns
 * of two values and of the others; it is the same number throughout where nothing was added. */
static void added_to_rows(const char *json, double mean[2], double square[2])
{
    fixture f;
    double count[2] = {0};
    begin(&f, "packet_cfm", json);
    for (f.batch.step = 0; f.batch.step < 40; f.batch.step++) {
        f.model->network->fill(&f.context, &f.batch, f.plan, 1, f.executor);
        const ws_real *x = ws_executor_input(f.executor, "x"), *u = ws_executor_input(f.executor, "target");
        const ws_real *time = ws_executor_input(f.executor, "time");
        for (int64_t r = 0; r < SHARD; r++, x += TOKENS * PACKET, u += TOKENS * PACKET) {
            const double t = asin(time[r * 8]); /* the slowest sine */
            for (int64_t k = 0; k < length_at(&f, r) * PACKET; k++) {
                const bool two = made_two_valued[k % PACKET];
                const double row = f.rows.packets[f.order[SHARD + r] * TOKENS * PACKET + (uint64_t)k];
                const double added = x[k] + (1 - t) * u[k] - row;
                mean[two] += added, square[two] += added * added, count[two]++;
            }
        }
    }
    for (int two = 0; two < 2; two++)
        mean[two] /= count[two], square[two] /= count[two];
    end(&f);
}

/* Without sigma columns of two values alone are blurred, by 0.1; with it all columns, by sigma. */
static void rows_are_blurred_by_sigma_or_where_they_have_two_values(void **state)
{
    (void)state;
    static const char none[] =
        "{\"packets\": 5, \"width\": 16, \"blocks\": 0, \"ot_group\": 16, \"time_features\": 8, \"sigma\": 0}";
    static const char some[] =
        "{\"packets\": 5, \"width\": 16, \"blocks\": 0, \"ot_group\": 16, \"time_features\": 8, \"sigma\": 0.3}";
    double mean[2] = {0}, square[2] = {0}; /* of some 2,000 and 4,000 numbers */
    added_to_rows(none, mean, square);
    assert_true(square[0] < 1e-10);
    assert_true(fabs(mean[1]) < 5 * 0.1 / sqrt(2000) && fabs(sqrt(square[1]) / 0.1 - 1) < 0.08);
    mean[0] = mean[1] = square[0] = square[1] = 0;
    added_to_rows(some, mean, square);
    for (int two = 0; two < 2; two++)
        assert_true(fabs(mean[two]) < 5 * 0.3 / sqrt(2000) && fabs(sqrt(square[two]) / 0.3 - 1) < 0.08);
}

/* ---- the loss ---- */

static double mean_square(const float *values, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += (double)values[i] * (double)values[i] / count;
    return sum;
}

/* Sums of squares of what is to be found in shard 1, and over how many rows or tokens. */
typedef struct parts {
    double moving_features, moving_packets, hidden_features, hidden_packets;
    double rows, rows_with_packets, features_hidden, packets_hidden;
} parts;

static parts parts_of(const fixture *f, int features)
{
    parts p = {0};
    const int columns = features ? FEATURES : 0, first = features ? 1 : 0;
    const ws_real *u = ws_executor_input(f->executor, "target");
    const int32_t *hidden = ws_executor_input_index(f->executor, "hidden") + SHARD * (first + TOKENS);
    for (int64_t r = 0; r < SHARD; r++, u += columns + TOKENS * PACKET, hidden += first + TOKENS) {
        const uint64_t row = f->order[SHARD + r];
        const int length = f->rows.length[row];
        p.rows++;
        p.moving_features += columns ? mean_square(u, columns) : 0;
        p.rows_with_packets += length > 0;
        p.features_hidden += first && hidden[0];
        p.hidden_features += first && hidden[0] ? mean_square(f->rows.values + row * FEATURES, FEATURES) : 0;
        for (int k = 0; k < length; k++) {
            p.moving_packets += mean_square(u + columns + k * PACKET, PACKET) / length;
            p.packets_hidden += hidden[first + k] != 0;
            if (hidden[first + k])
                p.hidden_packets += mean_square(f->rows.packets + (row * TOKENS + (uint64_t)k) * PACKET, PACKET);
        }
    }
    return p;
}

/* Without any parameter every prediction is 0, and the loss is the weighted mean of the squares of what is to be found. */
static void the_loss_weighs_its_parts_as_described(void **state)
{
    (void)state;
    static const char packets_json[] =
        "{\"packets\": 5, \"width\": 16, \"blocks\": 1, \"ot_group\": 16, \"lambda\": 0.7}";
    static const char unified_json[] =
        "{\"packets\": 5, \"width\": 16, \"blocks\": 1, \"ot_group\": 16, \"lambda\": 0.7, "
        "\"flow_weight\": 0.2}";
    fixture f;
    begin(&f, "packet_cfm", packets_json);
    memset(f.network.parameters, 0, f.network.extent * sizeof *f.network.parameters);
    parts p = parts_of(&f, 0);
    assert_true(p.packets_hidden > 3);
    ws_executor_forward(f.executor, f.network.parameters);
    double want = p.moving_packets / p.rows_with_packets + 0.7 * p.hidden_packets / p.packets_hidden;
    assert_true(fabs(ws_executor_loss(f.executor) - want) < 1e-5 * want);
    end(&f);
    begin(&f, "unified_cfm", unified_json);
    memset(f.network.parameters, 0, f.network.extent * sizeof *f.network.parameters);
    p = parts_of(&f, 1);
    assert_true(p.packets_hidden > 1 && p.features_hidden > 1);
    ws_executor_forward(f.executor, f.network.parameters);
    want = 0.2 * p.moving_features / p.rows + 0.8 * p.moving_packets / p.rows_with_packets +
           0.35 * (p.hidden_features / p.features_hidden + p.hidden_packets / p.packets_hidden);
    assert_true(fabs(ws_executor_loss(f.executor) - want) < 1e-5 * want);
    end(&f);
}

/* What a hidden token holds changes no prediction, neither its own nor another's. */
static void check_not_seen(const char *json)
{
    fixture f;
    begin(&f, "unified_cfm", json);
    ws_executor_forward(f.executor, f.network.parameters);
    const ws_real loss = ws_executor_loss(f.executor);
    ws_real *x = ws_executor_input(f.executor, "x");
    const int32_t *hidden = ws_executor_input_index(f.executor, "hidden");
    const int64_t elements = FEATURES + TOKENS * PACKET;
    for (int64_t r = SHARD; r < 2 * SHARD; r++)
        for (int64_t token = 0; token <= TOKENS; token++)
            for (int64_t c = 0; hidden[r * (1 + TOKENS) + token] && c < (token == 0 ? FEATURES : PACKET); c++)
                x[r * elements + (token == 0 ? c : FEATURES + (token - 1) * PACKET + c)] += 50;
    ws_executor_forward(f.executor, f.network.parameters);
    assert_true(ws_executor_loss(f.executor) == loss);
    end(&f);
}

static void hidden_tokens_are_not_seen(void **state)
{
    (void)state;
    for (int m = 0; m < KINDS; m++)
        if (kinds[m].features)
            check_not_seen(kinds[m].options);
}

/* ---- the order in which Mamba sees tokens ---- */

/* Whether the velocity of the first packet (of the features: packet false) changes with the second packet. */
static bool second_packet_is_seen(const char *json, bool packet)
{
    fixture f;
    begin(&f, "unified_cfm", json);
    static const char *const weights[] = {"moving_features", "hidden_features", "moving_packets", "hidden_packets"};
    for (int i = 0; i < 4; i++)
        memset(ws_executor_input(f.executor, weights[i]), 0, 2 * SHARD * (i < 2 ? 1 : TOKENS) * sizeof(ws_real));
    ws_real *x = ws_executor_input(f.executor, "x"), loss[2];
    for (int changed = 0; changed < 2; changed++) {
        for (int64_t r = 0; r < SHARD; r++) {
            const bool two = length_at(&f, r) >= 2;
            ws_executor_input(f.executor, "moving_features")[r] = !packet && two;
            ws_executor_input(f.executor, "moving_packets")[r * TOKENS] = packet && two;
            for (int c = 0; c < PACKET; c++)
                x[r * (FEATURES + TOKENS * PACKET) + FEATURES + PACKET + c] += (ws_real)changed;
        }
        ws_executor_forward(f.executor, f.network.parameters);
        loss[changed] = ws_executor_loss(f.executor);
    }
    end(&f);
    return loss[0] != loss[1];
}

static void mamba_sees_packets_in_order_and_the_features_last(void **state)
{
    (void)state;
    assert_false(second_packet_is_seen(small_mamba, true));
    assert_true(second_packet_is_seen(small_mamba, false));
    assert_true(second_packet_is_seen(small, true));
}

/* ---- learning ---- */

static void one_batch_is_learned_by_heart(void **state)
{
    (void)state;
    for (int m = 0; m < KINDS; m++) {
        fixture f;
        begin(&f, kinds[m].model, kinds[m].options);
        const ws_adamw adamw = {0.9, 0.99, 1e-8, 0};
        ws_real *gradient = calloc(f.network.extent, sizeof *gradient);
        double first = 0, last = 0;
        for (uint64_t step = 1; step <= 400; step++) {
            ws_executor_forward(f.executor, f.network.parameters);
            last = ws_executor_loss(f.executor);
            first = step == 1 ? last : first;
            ws_executor_backward(f.executor, f.network.parameters, gradient);
            ws_adamw_step(f.network.plan, &adamw, 3e-3, 1, step, f.network.parameters, gradient, f.network.first_moment,
                          f.network.second_moment);
        }
        if (!(last < 0.05 * first))
            fail_msg("%s: the loss falls from %g to %g only", kinds[m].model, first, last);
        free(gradient);
        end(&f);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
static const struct CMUnitTest tests[] = {
    TEST(has_the_parameters_of_the_description),  TEST(gradient_reaches_every_parameter),
    TEST(padding_never_influences_training),      TEST(padding_never_influences_scores),
    TEST(as_many_tokens_are_hidden_as_asked_for), TEST(hidden_tokens_are_not_seen),
    TEST(one_batch_is_learned_by_heart),          TEST(mamba_sees_packets_in_order_and_the_features_last),
    TEST(the_loss_weighs_its_parts_as_described), TEST(rows_are_blurred_by_sigma_or_where_they_have_two_values),
};

WS_MPI_TEST_MAIN(tests)
