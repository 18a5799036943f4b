/* ctest: labels=slow timeout=300
 * Supervisors killed at random moments (chaos.h). The whole of it: 200 trials, 20 kills. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "chaos.h"

static void kills_at_random_moments_change_nothing(void **state)
{
    (void)state;
    fixture f;
    fixture_setup(&f);
    chaos(&f, 100, 20);
    fixture_teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(kills_at_random_moments_change_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
