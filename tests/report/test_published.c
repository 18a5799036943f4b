/* Published numbers beside ours, targets frozen with a sweep, one setting at a time, and what it all cost. */
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

/* The golden vector: sigma 0.1 and sigma 0.6, five seeds each. */
static int setup(void **state)
{
    (void)state;
    static const double values[2][5] = {{.9731, .9752, .9718, .9760, .9745}, {.9702, .9731, .9711, .9725, .9729}};
    ws_text plan = {0};
    snprintf(root, sizeof root, "/tmp/wiresweep-published-XXXXXX");
    assert_non_null(mkdtemp(root));
    ws_text_append(&plan,
                   "{\"schema\":1,\"name\":\"n\",\"specification\":{\"comparison\":{\"targets\":{\"auroc\":0.975}}},"
                   "\"cells\":[");
    for (int c = 0; c < 2; c++)
        ws_text_appendf(
            &plan,
            "%s{\"cell\":\"%d\",\"config\":{\"task\":\"anomaly\",\"protocol\":\"random\",\"model\":{\"kind\":"
            "\"flow_cfm\",\"sigma\":%s}},\"store_hash\":\"s\",\"dataset\":\"d\"}",
            c ? "," : "", c, c ? "0.6" : "0.1");
    ws_text_append(&plan, "],\"trials\":[");
    for (int i = 0; i < 10; i++) {
        ws_text_appendf(&plan,
                        "%s{\"id\":\"t%d\",\"cell\":\"%d\",\"train_seed\":%d,\"protocol_seed\":0,\"split_hash\":\"h\"}",
                        i ? "," : "", i, i / 5, i % 5);
        char *folder = ws_format("trials/t%d", i);
        char *text =
            ws_format("{\"schema\":1,\"id\":\"t%d\",\"status\":\"done\",\"result\":{\"scores\":{\"nll\":{\"auroc\":%g,"
                      "\"per_class\":{\"scan\":{\"auroc\":0.5,\"n\":9}}}}},\"run\":{\"ranks\":2,\"threads\":1,"
                      "\"peak_memory_bytes\":1048576,\"seconds\":{\"total\":36}}}",
                      i, values[i / 5][i % 5]);
        write_file(folder, "record.json", text);
        free(folder);
        free(text);
    }
    ws_text_append(&plan, "]}");
    write_file(".", "sweep.json", ws_text_string(&plan));
    ws_text_destroy(&plan);
    write_file(
        ".", "paper.json",
        "{\"source\":\"A. Author\",\"seen\":\"in "
        "full\",\"protocol\":\"any\",\"seeds\":5,\"split\":\"random\",\"rows\":[\n"
        "{\"dataset\":\"d\",\"model\":\"b\",\"metric\":\"auroc\",\"value\":0.97196,\"deviation\":0.0012561847},\n"
        "{\"dataset\":\"d\",\"model\":\"old\",\"metric\":\"auroc\",\"value\":0.95,\"where\":\"Table 2\"},\n"
        "{\"dataset\":\"d\",\"model\":\"one\",\"metric\":\"auroc\",\"value\":0.64,\"class\":\"scan\",\"split\":"
        "\"host\"},\n"
        "{\"dataset\":\"other\",\"model\":\"c\",\"metric\":\"auroc\",\"value\":0.1}]}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(ws_directory_remove(root), WS_OK);
    return 0;
}

static char *write(const char *published, unsigned tables)
{
    ws_report *report = NULL;
    ws_text text = {0};
    assert_int_equal(ws_report_load(&report, root), WS_OK);
    if (published) {
        char *path = ws_format("%s/%s", root, published);
        assert_int_equal(ws_report_add_published(report, path), WS_OK);
        free(path);
    }
    assert_int_equal(ws_report_write(report, tables, WS_REPORT_MARKDOWN, &text), WS_OK);
    ws_report_destroy(&report);
    return text.data;
}

static void assert_holds(const char *text, const char *line)
{
    if (!strstr(text, line))
        fail_msg("not in the table: %s\n%s", line, text);
}

static void published_numbers_have_their_own_ruler(void **state)
{
    (void)state;
    char *text = write("paper.json", 0);
    /* Welch's p and the prediction interval of the golden vector */
    assert_holds(
        text,
        "| b |  | auroc | 0.9720 ± 0.0013 (n 5)† | flow_cfm sigma=0.1 | nll | 0.9741 ± 0.0017 | +0.0022 | +0.0001 to "
        "+0.0042 | published is inside | 0.0527 | as published |\n");
    assert_holds(text, "| old | Table 2 | auroc | 0.9500 (n 5)† | flow_cfm sigma=0.6 | nll |");
    assert_holds(text, "| published is below | n/a | as published |\n");
    assert_holds(text, "**Too good?** flow_cfm, nll: auroc 0.9741 is above the published 0.9500 (old)");
    assert_null(strstr(text, "is above the published 0.9720"));
    assert_holds(text, "| one: scan |  | auroc | 0.6400 (n 5)† | flow_cfm sigma=0.1 | nll | 0.5000 ± 0.0000 |");
    assert_holds(text, "| another |\n");
    assert_null(strstr(text, "| c |"));
    assert_holds(text, "Published: A. Author. Read: in full. Its protocol: any. File `");
    free(text);
}

static void a_file_without_numbers_is_refused(void **state)
{
    (void)state;
    ws_report *report = NULL;
    char *path = ws_format("%s/wrong.json", root);
    write_file(".", "wrong.json",
               "{\"source\":\"s\",\"rows\":[\n{\"dataset\":\"d\",\"model\":\"m\",\"metric\":\"auroc\"}]}");
    assert_int_equal(ws_report_load(&report, root), WS_OK);
    assert_int_equal(ws_report_add_published(report, path), WS_E_FORMAT);
    assert_non_null(strstr(ws_error_message(), "wrong.json:2:1: a published number needs"));
    write_file(".", "wrong.json", "{\"source\":\"s\",\"rows\":[]}");
    assert_int_equal(ws_report_add_published(report, path), WS_E_FORMAT);
    assert_non_null(strstr(ws_error_message(), "wrong.json: no published numbers"));
    ws_report_destroy(&report);
    free(path);
}

static void targets_are_judged_by_intervals(void **state)
{
    (void)state;
    char *text = write(NULL, 0);
    assert_holds(text, "| flow_cfm sigma=0.1 | nll | auroc ≥ 0.975 | 0.9741 ± 0.0017 | 0.9720 to 0.9762 | open |\n");
    assert_holds(text, "| flow_cfm sigma=0.6 | nll | auroc ≥ 0.975 | 0.9720 ± 0.0013 | 0.9704 to 0.9735 | missed |\n");
    free(text);
}

static void settings_are_compared_with_the_first(void **state)
{
    (void)state;
    char *text = write(NULL, WS_TABLES_ABLATION);
    assert_holds(
        text, "| flow_cfm sigma=0.1 | nll | sigma=0.1 | 0.9741 ± 0.0017 | — |  |  |\n"
              "| flow_cfm sigma=0.6 | nll | sigma=0.6 | 0.9720 ± 0.0013 | -0.0022 | -0.0035 to -0.0008 | 0.0116 |\n");
    free(text);
}

static void cost_is_summed_over_the_finished_trials(void **state)
{
    (void)state;
    char *text = write(NULL, WS_TABLES_COST);
    assert_holds(text, "| flow_cfm sigma=0.1 | d | 5/5 | 36 s | 0.050 | 0.100 | 1.0 MiB |\n");
    free(text);
}

/* Changes records, so it comes last. */
static void energy_is_shown_where_it_was_measured(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        char *folder = ws_format("trials/t%d", i);
        char *text = ws_format("{\"schema\":1,\"id\":\"t%d\",\"status\":\"done\",\"result\":{\"scores\":{\"nll\":{}}},"
                               "\"run\":{\"seconds\":{\"total\":36},\"energy_joules\":{\"processors\":%d}}}",
                               i, 500 + i);
        write_file(folder, "record.json", text);
        free(folder);
        free(text);
    }
    char *text = write(NULL, WS_TABLES_COST);
    assert_holds(text, "| energy of processors, kJ |\n");
    assert_holds(text, " | 2.510 |\n");
    assert_holds(text, "| flow_cfm sigma=0.6 | d | 5/5 | 36 s | 0.050 | 0.100 | 1.0 MiB | n/a |\n");
    assert_null(strstr(text, "GPUs"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_numbers_have_their_own_ruler),
        cmocka_unit_test(a_file_without_numbers_is_refused),
        cmocka_unit_test(targets_are_judged_by_intervals),
        cmocka_unit_test(settings_are_compared_with_the_first),
        cmocka_unit_test(cost_is_summed_over_the_finished_trials),
        cmocka_unit_test(energy_is_shown_where_it_was_measured),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
