/* ctest: timeout=120
 * Where a trained flow takes rows of the density that it was trained on, data plus noise of width sigma: back to a Gaussian
 * whose mean square is 1 + sigma^2; and the density it gives them: the trace of the trained network equals that of central
 * differences of its own velocity.
 */
#include <math.h>
#include "models/samples.h"
#include "train/internal.h"

enum { COLUMNS = 2, TRAINING_ROWS = 4096, ROWS = 4096 };
static const double sigma = 0.5;

static ws_train_options options_of_training(void)
{
    return (ws_train_options){.steps = 700,
                              .learning_rate = 2e-3,
                              .minimum_learning_rate = 1e-5,
                              .warmup = 10,
                              .weight_decay = 1e-4,
                              .beta1 = 0.9,
                              .beta2 = 0.99,
                              .epsilon = 1e-8,
                              .clip = 1,
                              .ema = 0.99,
                              .validate_every = 700,
                              .threads = 1,
                              .checkpoint_every = 1000000,
                              .keep = 1,
                              .log_every = 1000};
}

static int score_of(const ws_model *model, const char *name)
{
    int index = 0;
    while (strcmp(model->scores[index], name) != 0)
        index++;
    return index;
}

/* The divergence of the network at (x, t), by differences of its velocity, of the first row of a block. */
static double divergence_by_differences(ws_executor *executor, const ws_learned *learned)
{
    const float step = 0x1p-7f;
    double sum = 0;
    for (int k = 0; k < COLUMNS; k++) {
        ws_real *x = ws_executor_input(executor, "x") + k, before = *x;
        double side[2];
        for (int s = 0; s < 2; s++) {
            *x = before + (s ? step : -step);
            ws_executor_forward(executor, learned->parameters);
            side[s] = (double)ws_executor_output(executor, "velocity")[k];
        }
        *x = before;
        sum += (side[1] - side[0]) / (2 * (double)step);
    }
    return sum;
}

static void trace_equals_central_differences(const ws_learned *learned, const float *rows)
{
    ws_executor *executor;
    OK(ws_executor_create(&executor, learned->plan));
    ws_real *cotangent = calloc((size_t)WS_SCORE_ROWS * COLUMNS, sizeof *cotangent);
    for (int i = 0; i < 8; i++) {
        double trace = 0;
        memcpy(ws_executor_input(executor, "x"), rows + i * COLUMNS, COLUMNS * sizeof(float));
        ws_executor_input(executor, "time")[0] = (ws_real)(0.1 * i);
        ws_executor_forward(executor, learned->parameters);
        for (int k = 0; k < COLUMNS; k++) {
            cotangent[k] = 1;
            ws_executor_pull_back(executor, learned->parameters, cotangent);
            trace += (double)ws_executor_input_gradient(executor, "x")[k];
            cotangent[k] = 0;
        }
        assert_true(fabs(trace - divergence_by_differences(executor, learned)) < 5e-3 * (1 + fabs(trace)));
    }
    free(cotangent);
    ws_executor_destroy(&executor);
}

static void rows_of_the_trained_density_end_on_the_shell(void **state)
{
    (void)state;
    ws_arena *arena;
    ws_comm self = ws_comm_self();
    ws_network_state network;
    ws_learned learned;
    void *options;
    OK(ws_arena_create(&arena, 1 << 16));
    const ws_model *model = ws_model_find("flow_cfm");
    made_samples rows = make_samples(TRAINING_ROWS, COLUMNS, 4, 0.15f, 1);
    made_samples held_out = make_samples(ROWS, COLUMNS, 4, 0.15f, 2);
    for (uint64_t i = 0; i < ROWS; i++) {
        float noise[COLUMNS];
        ws_random_normal(3, WS_RANDOM_TEST, 1, i, noise, COLUMNS);
        for (int k = 0; k < COLUMNS; k++)
            held_out.values[i * COLUMNS + (uint64_t)k] += (float)sigma * noise[k];
    }
    ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, COLUMNS, 2, &options);
    set_option(arena, model, options, "{\"sigma\": 0.5, \"width\": 64, \"blocks\": 2}");
    context.batch = 256;
    int norm = score_of(model, "terminal_norm"), nll = score_of(model, "nll"), width = ws_model_width(model, &context);
    context.wanted = UINT64_C(1) << norm | UINT64_C(1) << nll;
    ws_train_options train = options_of_training();
    ws_network_training training = {&self, &train, &rows.samples, &rows.samples, NULL, ""};
    OK(ws_network_state_create(&network, model, &context));
    OK(ws_network_train_all(&training, &network));
    OK(ws_learned_create(model, &context, &learned));
    OK(ws_learned_take(&learned, &network));
    trace_equals_central_differences(&learned, held_out.values);

    float *out = NULL;
    double mean = 0, entropy = 0;
    OK(ws_score_all(&self, &learned, &held_out.samples, "test", &out, NULL));
    for (int i = 0; i < ROWS; i++) {
        mean += (double)out[i * width + norm] / ROWS;
        entropy += (double)out[i * width + nll] / ROWS;
    }
    print_message("mean |z|^2 / d = %.4f of 1 + sigma^2, mean -log p = %.4f\n", mean, entropy);
    assert_true(mean > 0.95 && mean < 1.05);

    /* The true density: four Gaussians of variance 0.15^2 + sigma^2 on the circle. A model's mean -log p is never below. */
    static const double centres[4][2] = {{1, 0}, {0, 1}, {-1, 0}, {0, -1}};
    double variance = 0.15 * 0.15 + sigma * sigma, truth = 0;
    for (int i = 0; i < ROWS; i++) {
        double p = 0;
        for (int c = 0; c < 4; c++) {
            double dx = held_out.values[2 * i] - centres[c][0], dy = held_out.values[2 * i + 1] - centres[c][1];
            p += exp(-(dx * dx + dy * dy) / (2 * variance)) / (4 * 2 * acos(-1) * variance);
        }
        truth -= log(p) / ROWS;
    }
    print_message("of the true density: %.4f\n", truth);
    assert_true(entropy > truth - 0.02 && entropy < truth + 0.05);
    free(out);
    ws_learned_destroy(&learned);
    ws_network_state_destroy(&network);
    free_samples(&rows);
    free_samples(&held_out);
    ws_arena_destroy(&arena);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(rows_of_the_trained_density_end_on_the_shell)};

WS_MPI_TEST_MAIN(tests)
