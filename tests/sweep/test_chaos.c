/* ctest: timeout=60
 * Supervisors killed at random moments (chaos.h). The short form. */
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
    chaos(&f, 8, 6);
    fixture_teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(kills_at_random_moments_change_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
