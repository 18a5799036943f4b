/* Counters of energy, as files of a folder that looks like /sys/class/powercap. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/energy.h"

static char root[64];

static void put(const char *domain, const char *file, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, domain);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/%s", root, domain, file);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fprintf(out, "%s\n", text);
    fclose(out);
}

static void add(const char *domain, const char *name, const char *microjoules)
{
    put(domain, "name", name);
    put(domain, "energy_uj", microjoules);
    put(domain, "max_energy_range_uj", "262143328850");
}

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/wiresweep-energy-XXXXXX");
    assert_non_null(mkdtemp(root));
    setenv("WIRESWEEP_POWERCAP", root, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

static double processors(ws_energy_meter *meter)
{
    double joules, gpus;
    ws_energy_read(meter, &joules, &gpus);
    assert_true(isnan(gpus));
    return joules;
}

static ws_energy_meter *begin(void)
{
    ws_energy_meter *meter;
    assert_int_equal(ws_energy_start(&meter, true, -1), WS_OK);
    return meter;
}

static void without_counters_there_is_no_number(void **state)
{
    (void)state;
    ws_energy_meter *meter = begin();
    assert_true(isnan(processors(meter)));
    ws_energy_stop(&meter);
    assert_null(meter);
}

static void packages_and_memory_are_summed_once(void **state)
{
    (void)state;
    add("intel-rapl:0", "package-0", "1000000");
    add("intel-rapl:0:0", "core", "500000");
    add("intel-rapl:0:1", "dram", "0");
    add("intel-rapl:1", "package-1", "0");
    add("intel-rapl:2", "psys", "0");
    add("intel-rapl-mmio:0", "package-0", "1000000");
    ws_energy_meter *meter = begin();
    assert_float_equal(processors(meter), 0, 0);
    add("intel-rapl:0", "package-0", "4000000");
    add("intel-rapl:0:0", "core", "2500000");
    add("intel-rapl:0:1", "dram", "250000");
    add("intel-rapl:1", "package-1", "2000000");
    add("intel-rapl:2", "psys", "9000000");
    add("intel-rapl-mmio:0", "package-0", "4000000");
    assert_float_equal(processors(meter), 3 + 0.25 + 2, 1e-9);
    ws_energy_stop(&meter);
}

static void a_counter_that_begins_anew_goes_on(void **state)
{
    (void)state;
    add("intel-rapl:0", "package-0", "262143000000");
    ws_energy_meter *meter = begin();
    add("intel-rapl:0", "package-0", "671150"); /* 328850 to its end, 671150 since */
    assert_float_equal(processors(meter), 1, 1e-9);
    add("intel-rapl:0", "package-0", "1671150");
    assert_float_equal(processors(meter), 2, 1e-9);
    ws_energy_stop(&meter);
}

static void a_counter_that_cannot_be_read_leaves_no_half_truth(void **state)
{
    (void)state;
    put("intel-rapl:1", "energy_uj", "secret");
    ws_energy_meter *meter = begin();
    add("intel-rapl:0", "package-0", "9000000");
    assert_true(isnan(processors(meter)));
    ws_energy_stop(&meter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_counters_there_is_no_number),
        cmocka_unit_test(packages_and_memory_are_summed_once),
        cmocka_unit_test(a_counter_that_begins_anew_goes_on),
        cmocka_unit_test(a_counter_that_cannot_be_read_leaves_no_half_truth),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
