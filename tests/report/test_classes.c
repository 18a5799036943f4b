/* Tables by class of anomalies: means over seeds, a class that a trial lacks, and the intervals of single trials. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "report/report.h"
#include "storage/storage.h"

static char root[64];

static void write_file(const char *folder, const char *name, const char *text)
{
    char *path = ws_format("%s/%s/%s", root, folder, name), *directory = ws_format("%s/%s", root, folder);
    assert_int_equal(ws_directory_create(directory), WS_OK);
    assert_int_equal(ws_file_write(path, text, strlen(text)), WS_OK);
    free(path);
    free(directory);
}

static void record(const char *id, const char *classes)
{
    char *folder = ws_format("trials/%s", id);
    char *text = ws_format("{\"schema\":1,\"id\":\"%s\",\"status\":\"done\",\"result\":{\"scores\":{\"terminal_norm\":{"
                           "\"auroc\":0.8,\"interval\":{\"auroc\":[0.75,0.875]},\"per_class\":{%s}}}},"
                           "\"run\":{\"program_hash\":\"p\"}}",
                           id, classes);
    write_file(folder, "record.json", text);
    free(folder);
    free(text);
}

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/wiresweep-classes-XXXXXX");
    assert_non_null(mkdtemp(root));
    write_file(".", "sweep.json",
               "{\"schema\":1,\"name\":\"classes\",\"cells\":[{\"cell\":\"c\",\"config\":{\"task\":\"anomaly\","
               "\"protocol\":\"random\",\"model\":{\"kind\":\"flow_cfm\"}},\"store_hash\":\"s\",\"dataset\":\"d\"}],"
               "\"trials\":[{\"id\":\"a\",\"cell\":\"c\",\"train_seed\":0,\"protocol_seed\":0,\"split_hash\":\"h\"},"
               "{\"id\":\"b\",\"cell\":\"c\",\"train_seed\":1,\"protocol_seed\":0,\"split_hash\":\"h\"}]}");
    record("a", "\"scan\":{\"auroc\":0.9,\"n\":10},\"flood|big\":{\"auroc\":0.5,\"n\":4}");
    record("b", "\"scan\":{\"auroc\":1,\"n\":12},\"brute force\":{\"auroc\":0.25,\"n\":1}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(ws_directory_remove(root), WS_OK);
    return 0;
}

static char *table_of(ws_err (*write)(const ws_report *report, ws_text *out))
{
    ws_report *report = NULL;
    ws_text text = {0};
    assert_int_equal(ws_report_load(&report, root), WS_OK);
    assert_int_equal(write(report, &text), WS_OK);
    ws_report_destroy(&report);
    return text.data;
}

static void assert_holds(const char *text, const char *line)
{
    if (!strstr(text, line))
        fail_msg("not in the table: %s\n%s", line, text);
}

static void every_class_has_its_column(void **state)
{
    (void)state;
    char *text = table_of(ws_report_markdown);
    assert_holds(text, "| model | score | brute force | flood\\|big | scan |\n| --- | --- | ---: | ---: | ---: |\n"
                       "| flow_cfm | terminal_norm | 0.2500 ± n/a (n 1) | 0.5000 ± n/a (n 1) | 0.9500 ± 0.0707 |\n");
    free(text);
}

static void files_hold_the_same(void **state)
{
    (void)state;
    char *text = table_of(ws_report_classes_csv);
    assert_holds(text, ",score,class,metric,mean_rows,n,mean,std,low_95,high_95\n");
    assert_holds(text, ",terminal_norm,scan,auroc,11,2,0.94999999999999996,0.07071");
    assert_holds(text, ",terminal_norm,brute force,auroc,1,1,0.25,,,\n");
    free(text);
    text = table_of(ws_report_trials_csv);
    assert_holds(text, ",parameter_hash,score_hash,low_95,high_95\n");
    assert_holds(text, ",terminal_norm,auroc,0.80000000000000004,,,0.75,0.875\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_class_has_its_column, setup, teardown),
        cmocka_unit_test_setup_teardown(files_hold_the_same, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
