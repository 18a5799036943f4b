/* Checkpoints: what is written comes back to the bit; what does not fit is refused with all differences; damaged files are
 * passed over; old ones go. */
#include <math.h>
#include <stdio.h>
#include <unistd.h>
#include "models/samples.h"
#include "train/internal.h"

static ws_arena *arena;
static char folder[] = "checkpoint_test_XXXXXX";

static int setup(void **state)
{
    (void)state;
    ws_h5_setup();
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    return mkdtemp(folder) == NULL || ws_arena_create(&arena, 1 << 16) != WS_OK;
}

static int teardown(void **state)
{
    (void)state;
    ws_arena_destroy(&arena);
    return ws_directory_remove(folder) != WS_OK;
}

static ws_model_context context_of(int64_t width, void **options)
{
    char json[64];
    ws_model_context context = make_context(arena, &ws_model_template, WS_TASK_CLASSIFY, 5, 3, options);
    snprintf(json, sizeof json, "{\"width\": %lld}", (long long)width);
    set_option(arena, &ws_model_template, *options, json);
    return context;
}

static void fill_state(ws_network_state *s, uint64_t step)
{
    ws_real *all[] = {s->parameters, s->average, s->first_moment, s->second_moment};
    const ws_parameter *table;
    size_t count = ws_plan_parameters(s->plan, &table);
    for (int b = 0; b < 4; b++)
        for (size_t i = 0; i < count; i++)
            for (size_t k = 0; k < table[i].count; k++)
                all[b][table[i].offset + k] = (ws_real)(b + 1) / (ws_real)(step + i + k + 1);
    s->step = step;
    s->skipped = 2;
    s->loss = 1.0 / 3;
    s->best_loss = 0.1;
    s->best_step = step / 2;
    s->seconds = 12.5;
}

static void comes_back_to_the_bit(void **state)
{
    (void)state;
    void *options;
    bool found;
    ws_network_state saved, loaded;
    ws_model_context context = context_of(16, &options);
    OK(ws_network_state_create(&saved, &ws_model_template, &context));
    OK(ws_network_state_create(&loaded, &ws_model_template, &context));
    OK(ws_checkpoint_resume(folder, &loaded, "config", &found));
    assert_false(found);
    fill_state(&saved, 70);
    char *within = ws_format("%s/checkpoints", folder);
    OK(ws_directory_create(within));
    OK(ws_checkpoint_save(folder, &saved, "config", 2));
    OK(ws_checkpoint_resume(folder, &loaded, "config", &found));
    assert_true(found);
    assert_int_equal(loaded.step, 70);
    assert_int_equal(loaded.skipped, 2);
    assert_int_equal(loaded.best_step, 35);
    assert_true(loaded.loss == saved.loss && loaded.best_loss == saved.best_loss && loaded.seconds == saved.seconds);
    size_t bytes = saved.extent * sizeof *saved.parameters;
    assert_memory_equal(loaded.parameters, saved.parameters, bytes);
    assert_memory_equal(loaded.average, saved.average, bytes);
    assert_memory_equal(loaded.first_moment, saved.first_moment, bytes);
    assert_memory_equal(loaded.second_moment, saved.second_moment, bytes);
    assert_int_equal(ws_checkpoint_resume(folder, &loaded, "another config", &found), WS_E_CONFIG);
    free(within);
    ws_network_state_destroy(&saved);
    ws_network_state_destroy(&loaded);
}

static void keeps_the_newest_and_passes_over_damaged_ones(void **state)
{
    (void)state;
    void *options;
    bool found;
    ws_network_state s;
    ws_model_context context = context_of(16, &options);
    OK(ws_network_state_create(&s, &ws_model_template, &context));
    char *within = ws_format("%s/checkpoints", folder);
    OK(ws_directory_create(within));
    for (uint64_t step = 10; step <= 40; step += 10) {
        fill_state(&s, step);
        OK(ws_checkpoint_save(folder, &s, "config", 2));
    }
    char *paths[4];
    for (int i = 0; i < 4; i++)
        paths[i] = ws_format("%s/step_%08d.h5", within, 10 * (i + 1));
    assert_false(ws_file_exists(paths[0]) || ws_file_exists(paths[1]));
    assert_true(ws_file_exists(paths[2]) && ws_file_exists(paths[3]));
    assert_int_equal(truncate(paths[3], 3000), 0);
    ws_log_setup(true, 1, 2); /* the warning is wanted, not read here */
    OK(ws_checkpoint_resume(folder, &s, "config", &found));
    assert_true(found);
    assert_int_equal(s.step, 30);
    for (int i = 0; i < 4; i++)
        free(paths[i]);
    free(within);
    ws_network_state_destroy(&s);
}

/* The only checkpoint cannot be read to its end: training begins anew, not with what was read until then. */
static void half_a_checkpoint_leaves_nothing_behind(void **state)
{
    (void)state;
    void *options;
    bool found = true;
    ws_network_state fresh, s;
    hid_t file;
    ws_model_context context = context_of(16, &options);
    OK(ws_network_state_create(&fresh, &ws_model_template, &context));
    OK(ws_network_state_create(&s, &ws_model_template, &context));
    char *within = ws_format("%s/checkpoints", folder), *path = ws_format("%s/step_00000010.h5", within);
    OK(ws_directory_create(within));
    fill_state(&s, 10);
    OK(ws_checkpoint_save(folder, &s, "config", 2));
    file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t space = H5Screate_simple(1, (hsize_t[]){3}, NULL);
    assert_true(H5Ldelete(file, "/adam/v/head.bias", H5P_DEFAULT) >= 0);
    hid_t words = H5Dcreate2(file, "/adam/v/head.bias", H5T_C_S1, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(words >= 0 && H5Dclose(words) >= 0 && H5Sclose(space) >= 0 && H5Fclose(file) >= 0);
    ws_log_setup(true, 1, 2); /* the warning is wanted, not read here */
    OK(ws_checkpoint_resume(folder, &s, "config", &found));
    assert_false(found);
    const size_t bytes = fresh.extent * sizeof *fresh.parameters;
    assert_memory_equal(s.parameters, fresh.parameters, bytes);
    assert_memory_equal(s.average, fresh.average, bytes);
    assert_memory_equal(s.first_moment, fresh.first_moment, bytes);
    assert_memory_equal(s.second_moment, fresh.second_moment, bytes);
    assert_int_equal(s.step + s.skipped + s.best_step, 0);
    assert_true(isinf(s.best_loss));
    free(path);
    free(within);
    ws_network_state_destroy(&fresh);
    ws_network_state_destroy(&s);
}

static void names_every_difference(void **state)
{
    (void)state;
    void *options, *narrow_options;
    ws_network_state wide, narrow;
    hid_t file;
    ws_model_context context = context_of(16, &options), narrow_context = context_of(8, &narrow_options);
    OK(ws_network_state_create(&wide, &ws_model_template, &context));
    OK(ws_network_state_create(&narrow, &ws_model_template, &narrow_context));
    char *path = ws_format("%s/one.h5", folder);
    OK(ws_checkpoint_write(path, &wide, "config"));
    assert_int_equal(ws_checkpoint_read(path, &narrow, "config"), WS_E_FORMAT);
    assert_non_null(strstr(ws_error_message(), "/param/hidden.weight is [16,5], not [8,5]"));
    assert_non_null(strstr(ws_error_message(), "/param/hidden.bias is [16], not [8]"));
    assert_non_null(strstr(ws_error_message(), "/param/head.weight is [3,16], not [3,8]"));
    assert_null(strstr(ws_error_message(), "head.bias"));
    OK(ws_h5_create(path, &file));
    hsize_t shape[1] = {3};
    OK(ws_h5_write_dataset(file, "/param/stranger", H5T_NATIVE_FLOAT, (float[]){1, 2, 3}, 1, shape));
    OK(ws_h5_write_attribute_text(file, ".", "config", "config"));
    OK(ws_h5_close(&file));
    assert_int_equal(ws_checkpoint_read(path, &wide, "config"), WS_E_FORMAT);
    assert_non_null(strstr(ws_error_message(), "missing /param/hidden.weight"));
    assert_non_null(strstr(ws_error_message(), "missing /param/head.bias"));
    assert_non_null(strstr(ws_error_message(), "unexpected /param/stranger"));
    free(path);
    ws_network_state_destroy(&wide);
    ws_network_state_destroy(&narrow);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(comes_back_to_the_bit, setup, teardown),
    cmocka_unit_test_setup_teardown(keeps_the_newest_and_passes_over_damaged_ones, setup, teardown),
    cmocka_unit_test_setup_teardown(half_a_checkpoint_leaves_nothing_behind, setup, teardown),
    cmocka_unit_test_setup_teardown(names_every_difference, setup, teardown),
};

WS_MPI_TEST_MAIN(tests)
