/* A specification becomes exactly the trials a person would write down, and nothing starts when anything in it is
 * wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "sweep_fixture.h"

static fixture f;

static int setup(void **state)
{
    (void)state;
    fixture_setup(&f);
    assert_int_equal(ws_directory_create(in(&f, "configs/stores")), WS_OK);
    write_text(in(&f, "configs/stores/a.h5"), "a store");
    write_text(in(&f, "configs/base.json"),
               "{\"store\":\"stores/a.h5\",\"task\":\"anomaly\",\"protocol\":\"random\",\"model\":{\"kind\":\"cfm\"},"
               "\"train\":{\"steps\":50}}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_teardown(&f);
    return 0;
}

static ws_sweep *sweep_of(const char *text)
{
    write_text(in(&f, "sweep.json"), text);
    return read_sweep(in(&f, "sweep.json"));
}

static size_t count_kind(const ws_sweep *sweep, const char *kind)
{
    size_t count = 0;
    for (size_t i = 0; i < sweep->count; i++)
        count += strcmp(cJSON_GetStringValue(ws_json_find(sweep->trials[i].facts.config, "model.kind")), kind) == 0;
    return count;
}

static void grid_is_the_product_of_its_axes(void **state)
{
    (void)state;
    ws_sweep *sweep =
        sweep_of("{\"base\":\"configs/base.json\",\"grid\":{\"train.seed\":[0,1,2],\"model.sigma\":[0.1,0.6]}}");
    assert_int_equal(sweep->count, 6);
    assert_string_equal(sweep->name, "sweep");
    bool seen[3][2] = {{false}};
    for (size_t i = 0; i < sweep->count; i++) {
        const cJSON *config = sweep->trials[i].facts.config;
        int seed = ws_json_find(config, "train.seed")->valueint;
        bool wide = ws_json_find(config, "model.sigma")->valuedouble > 0.5;
        assert_false(seen[seed][wide]);
        seen[seed][wide] = true;
        assert_int_equal(ws_json_find(config, "train.steps")->valueint, 50); /* of the base */
    }
    /* a cell is what differs in the seeds only */
    for (size_t i = 0; i < sweep->count; i++)
        for (size_t j = 0; j < sweep->count; j++) {
            bool same = ws_json_find(sweep->trials[i].facts.config, "model.sigma")->valuedouble ==
                        ws_json_find(sweep->trials[j].facts.config, "model.sigma")->valuedouble;
            assert_int_equal(strcmp(sweep->trials[i].cell, sweep->trials[j].cell) == 0, same);
        }
    ws_sweep_destroy(&sweep);
}

static void linked_axes_move_together(void **state)
{
    (void)state;
    ws_sweep *sweep = sweep_of("{\"base\":\"configs/base.json\",\"grid\":{\"model.sigma\":[0.1,0.6]},"
                               "\"linked\":[{\"train.seed\":[0,1,2],\"protocol_seed\":[10,11,12]}]}");
    assert_int_equal(sweep->count, 6);
    for (size_t i = 0; i < sweep->count; i++) {
        const cJSON *config = sweep->trials[i].facts.config;
        assert_int_equal(ws_json_find(config, "protocol_seed")->valueint,
                         ws_json_find(config, "train.seed")->valueint + 10);
    }
    ws_sweep_destroy(&sweep);
}

static void alternatives_replace_whole_objects(void **state)
{
    (void)state;
    ws_sweep *sweep = sweep_of("{\"base\":\"configs/base.json\",\"grid\":{\"train.seed\":[0,1]},\"list\":["
                               "{\"model\":{\"kind\":\"cfm\",\"sigma\":0.3}},"
                               "{\"model\":{\"kind\":\"det\",\"l2\":1},\"task\":\"classify\",\"train.steps\":9}]}");
    assert_int_equal(sweep->count, 3); /* two seeds of one, one of the deterministic other */
    assert_int_equal(sweep->merged, 1);
    const ws_trial *det = &sweep->trials[2];
    assert_string_equal(cJSON_GetStringValue(ws_json_find(det->facts.config, "task")), "classify");
    assert_null(ws_json_find(det->facts.config, "model.sigma"));
    assert_int_equal(ws_json_find(det->facts.config, "train.steps")->valueint, 9);
    assert_null(ws_json_find(det->facts.config, "train.seed"));
    assert_null(strstr(det->description, "seed"));
    assert_non_null(strstr(sweep->trials[1].description, "train.seed=1"));
    ws_sweep_destroy(&sweep);
}

static void baselines_come_once_for_each_set_of_rows(void **state)
{
    (void)state;
    ws_sweep *sweep = sweep_of("{\"base\":\"configs/base.json\",\"baselines\":true,"
                               "\"list\":[{\"task\":\"anomaly\"},{\"task\":\"classify\",\"model.kind\":\"det\"}],"
                               "\"grid\":{\"train.seed\":[0,1,2],\"protocol_seed\":[0,1]}}");
    assert_int_equal(count_kind(sweep, "cfm"), 6);
    assert_int_equal(count_kind(sweep, "det"), 2);      /* one a split, none a seed */
    assert_int_equal(count_kind(sweep, "majority"), 4); /* two tasks, two splits */
    assert_int_equal(count_kind(sweep, "best_single_feature"), 4);
    for (size_t i = 0; i < sweep->count; i++) {
        const cJSON *config = sweep->trials[i].facts.config;
        assert_int_equal(sweep->trials[i].baseline, i >= 8);
        if (sweep->trials[i].baseline)
            assert_null(ws_json_find(config, "train"));
    }
    ws_sweep_destroy(&sweep);
}

static void paths_are_relative_to_the_file_that_names_them(void **state)
{
    (void)state;
    write_text(in(&f, "b.h5"), "another store");
    ws_sweep *sweep = sweep_of("{\"base\":\"configs/base.json\"}");
    ws_json *config = NULL;
    assert_int_equal(ws_json_read_text(&config, sweep->trials[0].config, "trial"), WS_OK);
    assert_string_equal(cJSON_GetStringValue(ws_json_find(ws_json_root(config), "store")),
                        in(&f, "configs/stores/a.h5"));
    ws_json_destroy(&config);
    ws_sweep_destroy(&sweep);
    sweep = sweep_of("{\"base\":\"configs/base.json\",\"list\":[{\"store\":\"b.h5\"}]}");
    assert_non_null(strstr(sweep->trials[0].config, in(&f, "b.h5")));
    ws_sweep_destroy(&sweep);
}

static double value_of(const ws_trial *trial, const char *key)
{
    return ws_json_find(trial->facts.config, key)->valuedouble;
}

static void random_draws_are_one_axis_and_keep_their_values(void **state)
{
    (void)state;
#define DRAWS(count, more)                                                                                             \
    "{\"base\":\"configs/base.json\",\"seeds\":[4,5],\"random\":{\"count\":" count ",\"seed\":9,\"keys\":{"            \
    "\"model.sigma\":{\"uniform\":[0.1,0.6]},\"train.learning_rate\":{\"log_uniform\":[1e-5,1e-1]}," more              \
    "\"train.batch\":{\"integer\":[16,18]},\"task\":{\"choice\":[\"anomaly\",\"classify\"]}}}}"
    ws_sweep *few = sweep_of(DRAWS("20", "")), *many = sweep_of(DRAWS("200", "\"model.width\":{\"integer\":[1,9]},"));
    assert_int_equal(few->count, 40); /* 20 draws, 2 seeds of each */
    assert_int_equal(many->count, 400);
    int low_rates = 0, batches[3] = {0};
    for (size_t i = 0; i < many->count; i += 2) {
        const ws_trial *trial = &many->trials[i];
        double sigma = value_of(trial, "model.sigma"), rate = value_of(trial, "train.learning_rate");
        assert_true(sigma >= 0.1 && sigma <= 0.6 && rate >= 1e-5 && rate <= 1e-1);
        low_rates += rate < 1e-3;
        batches[(int)value_of(trial, "train.batch") - 16]++;
        assert_int_equal(value_of(trial, "train.seed"), 4);
        assert_int_equal(value_of(trial + 1, "train.seed"), 5);
        assert_true(value_of(trial + 1, "model.sigma") == sigma);
        if (i < few->count) { /* neither more draws nor another key change the first ones */
            assert_true(value_of(&few->trials[i], "model.sigma") == sigma);
            assert_true(value_of(&few->trials[i], "train.learning_rate") == rate);
        }
    }
    assert_in_range(low_rates, 70, 130); /* half of the decades are below 1e-3 */
    for (int k = 0; k < 3; k++)
        assert_in_range(batches[k], 40, 95);
    ws_sweep_destroy(&few);
    ws_sweep_destroy(&many);
}

static void exclusions_leave_combinations_out(void **state)
{
    (void)state;
    ws_sweep *sweep = sweep_of("{\"base\":\"configs/base.json\",\"seeds\":3,"
                               "\"grid\":{\"model.sigma\":[0.1,0.3,0.6],\"task\":[\"anomaly\",\"classify\"]},"
                               "\"exclude\":[{\"task\":\"classify\",\"model.sigma\":[0.1,0.6]},{\"train.seed\":2}]}");
    assert_int_equal(sweep->count, 4 * 2);
    assert_int_equal(sweep->excluded, 18 - 8);
    for (size_t i = 0; i < sweep->count; i++) {
        const cJSON *config = sweep->trials[i].facts.config;
        bool classify = strcmp(cJSON_GetStringValue(ws_json_find(config, "task")), "classify") == 0;
        assert_true(value_of(&sweep->trials[i], "train.seed") < 2);
        assert_true(!classify || value_of(&sweep->trials[i], "model.sigma") == 0.3);
    }
    ws_sweep_destroy(&sweep);
}

/* Ids do not depend on how a seed is written down: alone, among others, or beside another key of that name. */
static void a_seed_has_the_same_id_wherever_it_stands(void **state)
{
    (void)state;
    static const char *const more[] = {"\"sigma\":0.5", "\"seed\":3"};
    for (size_t k = 0; k < 2; k++) {
        char text[512], ids[4][WS_TRIAL_ID_BYTES];
        for (int seed = 0; seed < 4; seed++) {
            snprintf(text, sizeof text,
                     "{\"base\":{\"model\":{\"kind\":\"cfm\",%s},\"train\":{\"steps\":5,\"seed\":%d}}}", more[k], seed);
            ws_sweep *alone = sweep_of(text);
            memcpy(ids[seed], alone->trials[0].facts.id, sizeof ids[seed]);
            ws_sweep_destroy(&alone);
        }
        snprintf(text, sizeof text,
                 "{\"base\":{\"model\":{\"kind\":\"cfm\",%s},\"train\":{\"steps\":5}},\"seeds\":[3,0,2,1]}", more[k]);
        ws_sweep *together = sweep_of(text);
        assert_int_equal(together->count, 4);
        for (size_t i = 0; i < 4; i++) {
            const ws_trial *trial = &together->trials[i];
            int seed = (int)value_of(trial, "train.seed");
            assert_string_equal(trial->facts.id, ids[seed]);
            assert_string_equal(trial->cell, together->trials[0].cell);
            snprintf(text, sizeof text, "\"train\":{\"seed\":%d,\"steps\":5}", seed);
            assert_non_null(strstr(trial->config, text));
        }
        ws_sweep_destroy(&together);
    }
}

/* Of the same cell, else of the same model, else of all. */
static void what_is_left_is_estimated_from_what_is_finished(void **state)
{
    (void)state;
    ws_sweep *sweep =
        sweep_of("{\"base\":\"configs/base.json\",\"list\":[{\"model\":{\"kind\":\"cfm\",\"sigma\":1}},"
                 "{\"model\":{\"kind\":\"cfm\",\"sigma\":2}},{\"model\":{\"kind\":\"det\"}}],\"seeds\":3}");
    assert_int_equal(sweep->count, 7);
    static const double seconds[7] = {10, 20, 0, 0, 0, 0, 0}; /* the third is left, and all others */
    for (size_t i = 0; i < 7; i++) {
        if (seconds[i] == 0)
            continue;
        char folder[128], text[256];
        snprintf(folder, sizeof folder, "planned/trials/%s", sweep->trials[i].facts.id);
        assert_int_equal(ws_directory_create(in(&f, folder)), WS_OK);
        snprintf(text, sizeof text,
                 "{\"id\":\"%s\",\"status\":\"done\",\"result\":{},\"run\":{\"seconds\":{\"total\":%g}}}",
                 sweep->trials[i].facts.id, seconds[i]);
        strcat(folder, "/record.json");
        write_text(in(&f, folder), text);
    }
    ws_estimate estimate;
    assert_int_equal(ws_sweep_estimate(sweep, in(&f, "planned"), &estimate), WS_OK);
    assert_int_equal(estimate.finished, 2);
    assert_int_equal(estimate.left, 5);
    assert_true(estimate.seconds == 15 * 5);
    ws_sweep_destroy(&sweep);
}

/* The message must hold `expected`, nothing is made, the exit status is 2. */
static void refused(const char *text, const char *expected)
{
    write_text(in(&f, "sweep.json"), text);
    ws_sweep *sweep = NULL;
    ws_err error = ws_sweep_read(&sweep, in(&f, "sweep.json"), fake_identify, NULL);
    assert_int_equal(ws_error_exit_status(error), 2);
    assert_null(sweep);
    if (!strstr(ws_error_message(), expected))
        fail_msg("\"%s\" is not in: %s", expected, ws_error_message());
}

static void wrong_specifications_are_refused_at_once(void **state)
{
    (void)state;
    refused("{\"base\":\"configs/base.json\",\"grids\":{}}", "Did you mean \"grid\"?");
    refused("{\"base\":\"configs/base.json\",\"grid\":{\"train.seed\":3}}", "grid.train.seed: expected a list");
    refused("{\"base\":\"configs/base.json\",\"grid\":{\"train.seed\":[]}}", "grid.train.seed: expected a list");
    refused("{\"grid\":{\"train.seed\":[1]}}", "base is missing");
    refused("{\"base\":{},\"list\":[{\"model\":{\"kind\":\"cfm\"}}],\"grid\":{\"model.kind\":[\"det\"]}}",
            "model.kind is set by \"list\" and by \"grid\"");
    refused("{\"base\":{},\"list\":[{\"model.kind\":\"cfm\"}],\"grid\":{\"model\":[{}]}}",
            "model is set by \"list\" and by \"grid\"");
    refused("{\"base\":{},\"linked\":[{\"a\":[1,2],\"b\":[1]}]}", "linked.b: as many values as a are needed, 2");
    refused("{\"base\":{},\"linked\":[{\"a\":[1]}],\"grid\":{\"a\":[1]}}", "a is set by \"linked\" and by \"grid\"");
    refused("{\"base\":{},\"linked\":[{}]}", "each group is");
    refused("{\"base\":{},\"list\":[3]}", "each alternative is an object");
    refused("{\"base\":{},\"baselines\":1}", "expected true or false");
    refused("{\"base\":{},\"random\":{\"count\":2}}", "random: expected {");
    refused("{\"base\":{},\"random\":{\"count\":2,\"keys\":{\"a\":{\"uniform\":[2,1]}}}}",
            "random.keys.a: expected [LOW");
    refused("{\"base\":{},\"random\":{\"count\":2,\"keys\":{\"a\":{\"log_uniform\":[0,1]}}}}", "LOW must be above 0");
    refused("{\"base\":{},\"random\":{\"count\":2,\"keys\":{\"a\":{\"normal\":[0,1]}}}}", "random.keys.a: expected {");
    refused("{\"base\":{},\"seeds\":0}", "seeds: expected");
    refused("{\"base\":{},\"seeds\":2.5}", "seeds: expected");
    refused("{\"base\":{},\"seeds\":2,\"grid\":{\"train.seed\":[1]}}",
            "train.seed is set by \"seeds\" and by \"grid\"");
    refused("{\"base\":{},\"exclude\":[3]}", "exclude: expected");
    refused("{\"base\":{},\"seeds\":2,\"exclude\":[{\"train.seed\":7}]}", "exclude: no trial is like this one");
    refused("{\"base\":{},\"seeds\":2,\"exclude\":[{\"train.seed\":[0,1]}]}", "exclude: no trial is left");
    refused("{\"base\":{},\"comparison\":3}", "comparison: expected {");
    refused("{\"base\":{},\"comparison\":{\"reference\":\"logistic\"}}", "comparison.reference: expected the keys");
    refused("{\"base\":{},\"comparison\":{\"metric\":\"auc\"}}", "comparison.metric: expected one of");
    refused("{\"base\":{},\"comparison\":{\"test\":\"t\"}}", "comparison.test: expected paired_t");
    refused("{\"base\":{},\"comparison\":{\"correction\":\"none\"}}", "comparison.correction: expected holm");
    refused("{\"base\":{},\"comparison\":{\"targets\":{\"auroc\":\"high\"}}}", "comparison.targets: expected {");
    refused("{\"base\":\"configs/base.json\",\"comparison\":{\"reference\":{\"model.kind\":\"det\"}}}",
            "comparison.reference: no trial has this model.kind");
    refused(
        "{\"base\":\"configs/base.json\",\"list\":[{\"a\":1,\"b\":1},{\"a\":2,\"b\":2}],\"comparison\":{\"reference\":"
        "{\"a\":1,\"b\":2}}}",
        "comparison.reference: no trial has all of these together");
    refused("{\"base\":\"configs/base.json\",\"comparison\":{\"metric\":\"accuracy\"}}",
            "comparison.metric: accuracy is no metric of these trials' task");
    refused("{\"base\":\"configs/"
            "base.json\",\"list\":[{\"evaluate.scores\":[\"nll\"],\"a\":1},{\"evaluate.scores\":[\"velocity\"]}],"
            "\"comparison\":{\"reference\":{\"a\":1,\"score\":\"velocity\"}}}",
            "comparison.reference.score: the trials that are the reference do not compute it");
    refused("{\"base\":{},\"comparison\":{\"alpha\":0.05}}", "comparison.alpha: unknown key");
    refused("[]", "expected a sweep");
    refused("{\"base\":{},\"grid\":{\"model.kind\":[\"cfm\"],\"model.kind\":[\"det\"]}}", "model.kind");
    /* all at once */
    refused("{\"base\":{},\"baselines\":1,\"name\":2}", "2 errors; nothing was started");
}

static void what_is_wrong_in_many_trials_is_said_once(void **state)
{
    (void)state;
    refused("{\"base\":\"configs/base.json\",\"list\":[{\"wrong\":1},{\"task\":\"classify\"}],"
            "\"grid\":{\"train.seed\":[0,1,2,3]}}",
            "wrong: unknown key (trial wrong=1 train.seed=0 and 3 more)\n1 error; nothing was started");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grid_is_the_product_of_its_axes),
        cmocka_unit_test(linked_axes_move_together),
        cmocka_unit_test(alternatives_replace_whole_objects),
        cmocka_unit_test(baselines_come_once_for_each_set_of_rows),
        cmocka_unit_test(paths_are_relative_to_the_file_that_names_them),
        cmocka_unit_test(random_draws_are_one_axis_and_keep_their_values),
        cmocka_unit_test(exclusions_leave_combinations_out),
        cmocka_unit_test(a_seed_has_the_same_id_wherever_it_stands),
        cmocka_unit_test(what_is_left_is_estimated_from_what_is_finished),
        cmocka_unit_test(wrong_specifications_are_refused_at_once),
        cmocka_unit_test(what_is_wrong_in_many_trials_is_said_once),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
