/* ctest: timeout=30
 * Where OpenBLAS cannot have its buffer, the detectors that call it fail at once; OpenBLAS itself would ask for it for ever.
 */
#include <sys/resource.h>
#include <unistd.h>
#include "models/samples.h"

static const struct {
    const char *model;
    bool scores; /* it is scoring that calls OpenBLAS, not fitting */
} cases[] = {{"mahalanobis", false}, {"knn_distance", true}};

static ws_err fit(const ws_model *model, const ws_model_context *context, const made_samples *rows, ws_arrays *learned)
{
    ws_comm self = ws_comm_self();
    return model->classical->fit_all(&self, context, &rows->samples, &rows->samples, learned);
}

/* Leaves 64 MiB of address space; gives the limit that was there. */
static struct rlimit leave_little_room(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld", &pages), 1);
    fclose(file);
    struct rlimit before, small;
    getrlimit(RLIMIT_AS, &before);
    small = before;
    small.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (64 << 20);
    assert_int_equal(setrlimit(RLIMIT_AS, &small), 0);
    return before;
}

static void no_room_for_openblas_is_an_error(void **state)
{
    (void)state;
    made_samples rows = make_samples(40, 3, 2, 0.5f, 1);
    float out[40];
    for (int i = 0; i < 2; i++) {
        void *options;
        const ws_model *model = ws_model_find(cases[i].model);
        ws_arrays learned = {0};
        OK(ws_arena_create(&learned.arena, 1 << 16));
        ws_model_context context = make_context(learned.arena, model, WS_TASK_ANOMALY, 3, 2, &options);
        if (cases[i].scores)
            OK(fit(model, &context, &rows, &learned));
        struct rlimit before = leave_little_room();
        ws_err error = cases[i].scores ? model->classical->score(&context, &learned, 40, rows.values, out)
                                       : fit(model, &context, &rows, &learned);
        setrlimit(RLIMIT_AS, &before);
        assert_int_equal(error, WS_E_MEMORY);
        assert_non_null(strstr(ws_error_message(), "OpenBLAS"));
        ws_arena *arena = learned.arena;
        ws_arrays_destroy(&learned);
        ws_arena_destroy(&arena);
    }
    free_samples(&rows);
}

int main(void)
{
#if defined(__SANITIZE_ADDRESS__)
    printf("skipped: the address sanitizer needs all of the address space\n");
    return 77;
#endif
    world = ws_comm_self();
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_room_for_openblas_is_an_error)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
