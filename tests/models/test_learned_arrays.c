/* Files of models: one without an array, or with one of another shape, is refused with the array's name; one whose values make no
 * sense is refused or scored, and never followed out of its arrays. All classical models of the list, on all their tasks. */
/* ctest: labels=mpi ranks=1 timeout=60 */
#include <math.h>
#include <unistd.h>
#include "models/samples.h"
#include "train/internal.h"

enum { ROWS = 240, COLUMNS = 5, CLASSES = 3 };

typedef struct trained {
    ws_arena *arena;
    const ws_model *model;
    made_samples m;
    ws_model_context context;
    ws_arrays learned;
} trained;

/* False: it was not built. */
static bool train(trained *t, const ws_model *model, ws_task task)
{
    void *options;
    const ws_comm self = ws_comm_self();
    *t = (trained){.model = model, .m = make_samples(ROWS, COLUMNS, CLASSES, 0.8f, 41)};
    OK(ws_arena_create(&t->arena, 1 << 16));
    for (int i = 0; i < ROWS; i++)
        t->m.anomalous[i] = t->m.label[i] == 0;
    t->context = make_context(t->arena, model, task, COLUMNS, CLASSES, &options);
    t->learned.arena = t->arena;
    if (model->classical->fit_all(&self, &t->context, &t->m.samples, &t->m.samples, &t->learned) == WS_OK)
        return true;
    assert_string_equal(model->name, "rbf_svm");
    assert_non_null(strstr(ws_error_message(), "was not built"));
    return false;
}

static void forget(trained *t)
{
    ws_arrays_destroy(&t->learned);
    free_samples(&t->m);
    ws_arena_destroy(&t->arena);
}

/* Writes the arrays, but for number `without`, and reads them again; scores where that goes well. */
static ws_err read_again(const trained *t, size_t without)
{
    char path[] = "/tmp/test_learned_arrays.XXXXXX";
    hid_t file;
    ws_learned learned;
    int temporary = mkstemp(path);
    assert_true(temporary >= 0);
    close(temporary);
    OK(ws_h5_create(path, &file));
    for (size_t i = 0; i < t->learned.count; i++) {
        const ws_array *a = &t->learned.items[i];
        hsize_t shape[WS_MAX_DIMENSIONS];
        char name[64];
        for (int d = 0; d < a->dimensions; d++)
            shape[d] = (hsize_t)a->shape[d];
        snprintf(name, sizeof name, "/learned/%s", a->name);
        if (i != without)
            OK(ws_h5_write_dataset(file, name, H5T_NATIVE_DOUBLE, a->values, a->dimensions, shape));
    }
    OK(ws_learned_create(t->model, &t->context, &learned));
    ws_err error = ws_model_file_read(file, path, &learned);
    if (error == WS_OK) {
        float *out = calloc((size_t)ROWS * CLASSES, sizeof *out);
        OK(t->model->classical->score(&t->context, &learned.arrays, ROWS, t->m.values, out));
        free(out);
    }
    ws_learned_destroy(&learned);
    OK(ws_h5_close(&file));
    unlink(path);
    return error;
}

static void try_each(void (*try)(trained *t))
{
    ws_h5_setup();
    for (size_t i = 0; ws_models[i]; i++)
        for (ws_task task = 0; task < WS_TASK_COUNT && ws_models[i]->classical; task++) {
            trained t;
            if (ws_models[i]->tasks >> task & 1 && train(&t, ws_models[i], task)) {
                OK(read_again(&t, SIZE_MAX));
                try(&t);
                forget(&t);
            }
        }
}

static bool is_needed(const trained *t, const char *name)
{
    const ws_learned_array *wanted = t->model->classical->arrays;
    assert_non_null(wanted);
    while (wanted->name && strcmp(wanted->name, name) != 0)
        wanted++;
    return wanted->name && (wanted->tasks == 0 || wanted->tasks >> t->context.task & 1);
}

static void leave_out(trained *t)
{
    size_t needed = 0;
    for (size_t i = 0; i < t->learned.count; i++) {
        const char *name = t->learned.items[i].name;
        const ws_err error = read_again(t, i);
        needed += is_needed(t, name);
        if (t->learned.count == 1) /* nothing is left to be read */
            assert_int_equal(error, WS_E_FORMAT);
        else
            assert_int_equal(error, is_needed(t, name) ? WS_E_FORMAT : WS_OK);
        if (error == WS_E_FORMAT && t->learned.count > 1)
            assert_non_null(strstr(ws_error_message(), name));
    }
    assert_true(needed > 0 || (t->context.task == WS_TASK_ANOMALY && strcmp(t->model->name, "majority") == 0));
}

static void change_shape(trained *t)
{
    for (size_t i = 0; i < t->learned.count; i++) {
        ws_array *a = &t->learned.items[i];
        const ws_array kept = *a;
        a->dimensions++; /* one value each in a further dimension */
        a->shape[kept.dimensions] = 1;
        if (is_needed(t, a->name))
            assert_int_equal(read_again(t, SIZE_MAX), WS_E_FORMAT);
        *a = kept;
    }
}

static void change_values(trained *t)
{
    static const double strange[] = {-1, 0, 0.5, 1e6, 1e300, -1e300, NAN};
    for (size_t i = 0; i < t->learned.count; i++) {
        ws_array *a = &t->learned.items[i];
        for (size_t k = 0; k < sizeof strange / sizeof *strange; k++)
            for (size_t at = 0; at < a->count; at += a->count / 3 + 1) {
                const double kept = a->values[at];
                a->values[at] = strange[k];
                const ws_err error = read_again(t, SIZE_MAX);
                assert_true(error == WS_OK || error == WS_E_FORMAT);
                a->values[at] = kept;
            }
    }
}

static void an_array_that_is_not_there_is_named(void **state)
{
    (void)state;
    try_each(leave_out);
}

static void an_array_of_another_shape_is_refused(void **state)
{
    (void)state;
    try_each(change_shape);
}

static void values_that_make_no_sense_are_not_followed(void **state)
{
    (void)state;
    try_each(change_values);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_array_that_is_not_there_is_named),
    cmocka_unit_test(an_array_of_another_shape_is_refused),
    cmocka_unit_test(values_that_make_no_sense_are_not_followed),
};

WS_MPI_TEST_MAIN(tests)
