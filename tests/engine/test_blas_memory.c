/* ctest: timeout=30
 * Where OpenBLAS cannot have its buffer, making an executor fails at once; OpenBLAS itself would ask for it for ever.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "engine_test.h"

static void no_room_for_openblas_is_an_error(void **state)
{
    (void)state;
    ws_plan *plan = NULL;
    ws_executor *executor = NULL;
    OK(ws_plan_create(&plan));
    ws_tensor x = ws_input(plan, "x", 2, (int64_t[]){4, 8});
    ws_plan_output(plan, ws_linear(plan, x, 8, WS_NONE, "layer"), "y");
    OK(ws_plan_finish(plan, WS_NO_TENSOR));

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
    ws_err error = ws_executor_create(&executor, plan);
    setrlimit(RLIMIT_AS, &before);
    assert_int_equal(error, WS_E_MEMORY);
    assert_non_null(strstr(ws_error_message(), "OpenBLAS"));
    assert_non_null(strstr(ws_error_hint(), "ulimit -v"));
    assert_null(executor);
    OK(ws_executor_create(&executor, plan));
    ws_executor_destroy(&executor);
    ws_plan_destroy(&plan);
}

int main(void)
{
#if defined(__SANITIZE_ADDRESS__)
    printf("skipped: the address sanitizer needs all of the address space\n");
    return 77;
#endif
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_room_for_openblas_is_an_error)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
