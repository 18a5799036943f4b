/* Comparison with the reference that a sweep froze, thresholds, shares of classes and alarms, in Markdown, LaTeX and HTML; and that
 * the order in which trials were planned changes no byte. */
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

static void record(const char *cell, int seed, double auroc, double found, int rows)
{
    char *folder = ws_format("trials/%s%d", cell, seed);
    char *text = ws_format(
        "{\"schema\":1,\"id\":\"%s%d\",\"status\":\"done\",\"result\":{\"counts\":{\"test\":100},\"audit\":{"
        "\"test_in_train\":{\"duplicates\":12,\"sessions\":0}},\"scores\":{\"a_b\":{\"auroc\":%g,\"thresholds\":[{"
        "\"quantile\":0.95,\"threshold\":1.5,\"false_positive_rate\":0.06,\"precision\":0.8,\"recall\":0.7,\"f1\":0.75}"
        "],"
        "\"oracle_on_test\":{\"threshold\":1,\"false_positive_rate\":0.1,\"precision\":0.9,\"recall\":0.9,\"f1\":0.9},"
        "\"per_class\":{\"heart<bleed>\":{\"auroc\":1,\"tpr_at_fpr_0.01\":%g,\"n\":%d}}}}},"
        "\"run\":{\"program_hash\":\"p\"}}",
        cell, seed, auroc, found, rows);
    write_file(folder, "record.json", text);
    free(folder);
    free(text);
}

static const double a[] = {.9931, .9952, .9918, .9960, .9945}, b[] = {.9702, .9731, .9711, .9725, .9729};

static void plan(bool turned, const char *comparison)
{
    ws_text text = {0};
    ws_text_appendf(&text,
                    "{\"schema\":1,\"name\":\"50 %% & more\",\"specification\":{%s},\"cells\":["
                    "{\"cell\":\"x\",\"config\":{\"task\":\"anomaly\",\"protocol\":\"random\",\"model\":{\"kind\":"
                    "\"flow_cfm\"}},\"store_hash\":\"s\",\"dataset\":\"d\"},"
                    "{\"cell\":\"y\",\"config\":{\"task\":\"anomaly\",\"protocol\":\"random\",\"model\":{\"kind\":"
                    "\"tccm\"}},\"store_hash\":\"s\",\"dataset\":\"d\"}],\"trials\":[",
                    comparison);
    for (int i = 0; i < 10; i++) {
        int k = turned ? 9 - i : i;
        ws_text_appendf(
            &text, "%s{\"id\":\"%c%d\",\"cell\":\"%c\",\"train_seed\":%d,\"protocol_seed\":0,\"split_hash\":\"h\"}",
            i ? "," : "", "xy"[k / 5], k % 5, "xy"[k / 5], k % 5);
    }
    ws_text_append(&text, "]}");
    write_file(".", "sweep.json", ws_text_string(&text));
    ws_text_destroy(&text);
}

static const char frozen[] = "\"comparison\":{\"reference\":{\"model.kind\":\"tccm\"},\"metric\":\"auroc\"}";

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/wiresweep-formats-XXXXXX");
    assert_non_null(mkdtemp(root));
    plan(false, frozen);
    for (int seed = 0; seed < 5; seed++) {
        record("x", seed, a[seed], 1, 11);
        record("y", seed, b[seed], 0.9, 40);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(ws_directory_remove(root), WS_OK);
    return 0;
}

static char *write(ws_report_format format)
{
    ws_report *report = NULL;
    ws_text text = {0};
    assert_int_equal(ws_report_load(&report, root), WS_OK);
    assert_int_equal(ws_report_write(report, WS_TABLES_ALL, format, &text), WS_OK);
    ws_report_destroy(&report);
    return text.data;
}

static void assert_holds(const char *text, const char *line)
{
    if (!strstr(text, line))
        fail_msg("not in the table: %s\n%s", line, text);
}

static void every_line_is_tested_against_the_frozen_reference(void **state)
{
    (void)state;
    char *text = write(WS_REPORT_MARKDOWN);
    assert_holds(text, "auroc less that of tccm, a_b:\n");
    /* the differences are those of the golden vector moved by 0.02, whose mean is 0.00216 + 0.02; p by SciPy's ttest_rel */
    assert_holds(text,
                 "| flow_cfm | a_b | 5 | +0.0222 | +0.0208 to +0.0235 | <0.0001 | <0.0001 | 0.0625 | 0.0625 | 2 (");
    assert_holds(text, "frozen with the sweep, before its first trial; test: paired_t, 1 of them, corrected by holm.");
    assert_holds(text, "can reach with 5 pairs: 0.0625. With 1 comparison neither can be significant");
    assert_holds(text, "| flow_cfm | a_b | 5/5 | **0.9941 ± 0.0017** |");
    assert_holds(text, "| tccm | a_b | 5/5 | 0.9720 ± 0.0013 |");
    assert_holds(text, "| flow_cfm | a_b | quantile 0.95 | 1.5 ± 0 | 0.0600 ± 0.0000 | 0.8000 ± 0.0000 |");
    assert_holds(text, "| flow_cfm | a_b | _oracle on test rows_ |");
    assert_holds(text, "| _test rows_ |  | 11 to 40 |\n");
    assert_holds(text, "| flow_cfm | a_b | **1.000 [0.715, 1.000]** |\n"); /* 11 of 11 */
    assert_holds(text, "| tccm | a_b | 0.900 [0.769, 0.960] |\n");         /* 36 of 40, Wilson */
    assert_holds(
        text, "**Too good?** flow_cfm, a_b: auroc 0.9941, where up to 12.0 % of the test rows have an exact duplicate");
    free(text);
}

static void the_file_for_programs_holds_every_test(void **state)
{
    (void)state;
    ws_report *report = NULL;
    ws_text text = {0};
    assert_int_equal(ws_report_load(&report, root), WS_OK);
    assert_int_equal(ws_report_comparison_csv(report, &text), WS_OK);
    ws_report_destroy(&report);
    assert_holds(text.data, ",a_b,y,tccm,a_b,frozen,auroc,paired_t,holm,5,0.02216");
    /* the golden vector of a, moved by 0.02: its interquartile mean */
    assert_holds(text.data, ",2,0.99426666666666");
    ws_text_destroy(&text);
}

static void without_a_reference_there_is_no_test(void **state)
{
    (void)state;
    plan(false, "");
    char *text = write(WS_REPORT_MARKDOWN);
    assert_holds(text, "The sweep names no reference (\"comparison\") and has no baselines: no tests.\n");
    free(text);
    plan(false, "\"comparison\":{\"reference\":{\"model.kind\":\"random_forest\"}}");
    text = write(WS_REPORT_MARKDOWN);
    assert_holds(text, "No line is what the sweep calls its reference: no tests.\n");
    free(text);
    plan(false, "\"comparison\":{\"reference\":{\"protocol\":\"random\"}}");
    text = write(WS_REPORT_MARKDOWN);
    assert_holds(text, "2 lines are what the sweep calls its reference: no tests.");
    free(text);
    plan(false, frozen);
}

static void latex_is_escaped_and_ruled(void **state)
{
    (void)state;
    char *text = write(WS_REPORT_LATEX);
    assert_holds(text, "\\section{50 \\% \\& more}");
    assert_holds(text, "\\begin{tabular}{llrr}\n\\toprule\nmodel & score & n & auroc $\\uparrow$ \\\\\n\\midrule\n");
    assert_holds(text, "flow\\_cfm & a\\_b & 5/5 & \\textbf{0.9941 $\\pm$ 0.0017} \\\\\n");
    assert_holds(text, "\\bottomrule\n\\end{tabular}");
    assert_holds(text, "model & score & heart$<$bleed$>$ \\\\\n");
    assert_null(strchr(text, '|'));
    free(text);
}

static void the_page_is_escaped_and_shows_every_seed(void **state)
{
    (void)state;
    char *text = write(WS_REPORT_HTML);
    assert_holds(text, "<title>50 % &amp; more</title>");
    assert_holds(text, "title=\"split 0, seed 0: 0.9931\nsplit 0, seed 1: 0.9952\n");
    assert_holds(text, "<b>0.9941 ± 0.0017</b></td>");
    assert_holds(text, ">heart&lt;bleed&gt;</th>");
    assert_holds(text, "<li>Trials: 10 planned, 10 done, 0 failed, 0 not run.</li>");
    assert_null(strstr(text, "src=\"http"));
    assert_null(strstr(text, "heart<bleed>"));
    free(text);
}

static void the_order_of_the_trials_changes_no_byte(void **state)
{
    (void)state;
    for (ws_report_format format = WS_REPORT_MARKDOWN; format <= WS_REPORT_HTML; format++) {
        char *text = write(format);
        plan(true, frozen);
        char *turned = write(format);
        plan(false, frozen);
        assert_string_equal(text, turned);
        free(text);
        free(turned);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_is_tested_against_the_frozen_reference),
        cmocka_unit_test(the_file_for_programs_holds_every_test),
        cmocka_unit_test(without_a_reference_there_is_no_test),
        cmocka_unit_test(latex_is_escaped_and_ruled),
        cmocka_unit_test(the_page_is_escaped_and_shows_every_seed),
        cmocka_unit_test(the_order_of_the_trials_changes_no_byte),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
