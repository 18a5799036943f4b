/* The line of sigma as chosen: every seed by its own criterion, each score by itself, test values without a say, and nothing
 * counted twice. */
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

/* Sigma 0.1, 0.3 and 0.6, three seeds; the trial of sigma 0.6 with seed 2 has not been run. norm, nll: criterion and AUROC. */
static void record(const char *id, double norm_criterion, double norm_auroc, double nll_criterion, double nll_auroc)
{
    char *folder = ws_format("trials/%s", id);
    char *text = ws_format("{\"schema\":1,\"id\":\"%s\",\"status\":\"done\",\"result\":{\"scores\":{"
                           "\"terminal_norm\":{\"auroc\":%g,\"shuffled_auroc\":%g},"
                           "\"nll\":{\"auroc\":%g,\"shuffled_auroc\":%g}}},\"run\":{\"program_hash\":\"p\"}}",
                           id, norm_auroc, norm_criterion, nll_auroc, nll_criterion);
    write_file(folder, "record.json", text);
    free(folder);
    free(text);
}

static int setup(void **state)
{
    (void)state;
    static const char *const sigmas[] = {"0.1", "0.3", "0.6"};
    ws_text manifest = {0};
    snprintf(root, sizeof root, "/tmp/wiresweep-choose-XXXXXX");
    assert_non_null(mkdtemp(root));
    ws_text_append(&manifest, "{\"schema\":1,\"name\":\"choice\",\"cells\":[");
    for (int c = 0; c < 4; c++) /* the last differs in more than sigma */
        ws_text_appendf(&manifest,
                        "%s{\"cell\":\"c%d\",\"config\":{\"task\":\"anomaly\",\"protocol\":\"random\",\"model\":{"
                        "\"kind\":\"flow_cfm\",\"sigma\":%s,\"width\":%d}},\"store_hash\":\"s\",\"dataset\":\"d\"}",
                        c ? "," : "", c, c < 3 ? sigmas[c] : "0.2", c < 3 ? 64 : 128);
    ws_text_append(&manifest, "],\"trials\":[");
    for (int c = 0; c < 4; c++)
        for (int seed = 0; seed < 3; seed++)
            ws_text_appendf(&manifest,
                            "%s{\"id\":\"t%d%d\",\"cell\":\"c%d\",\"train_seed\":%d,\"protocol_seed\":0,"
                            "\"split_hash\":\"h\"}",
                            c || seed ? "," : "", c, seed, c, seed);
    ws_text_append(&manifest, "]}");
    write_file(".", "sweep.json", ws_text_string(&manifest));
    ws_text_destroy(&manifest);
    record("t00", 0.9, 0.70, 0.5, 0.2);
    record("t01", 0.8, 0.72, 0.6, 0.2);
    record("t02", 0.7, 0.99, 0.7, 0.2);
    record("t10", 0.8, 0.95, 0.4, 0.9); /* the better AUROC, and the worse criterion */
    record("t11", 0.7, 0.95, 0.4, 0.9);
    record("t12", 0.75, 0.74, 0.4, 0.9);
    record("t20", 0.1, 0.96, 0.1, 0.9);
    record("t21", 0.1, 0.96, 0.1, 0.9);
    for (int seed = 0; seed < 3; seed++) {
        char id[16];
        snprintf(id, sizeof id, "t3%d", seed);
        record(id, 1, 1, 1, 1);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(ws_directory_remove(root), WS_OK);
    return 0;
}

static void assert_holds(const char *text, const char *line)
{
    if (!strstr(text, line))
        fail_msg("not in the table: %s\n%s", line, text);
}

static void every_seed_takes_its_own_best(void **state)
{
    (void)state;
    ws_report *report = NULL;
    ws_text text = {0}, cost = {0}, csv = {0};
    assert_int_equal(ws_report_load(&report, root), WS_OK);
    assert_int_equal(ws_report_markdown(report, &text), WS_OK);
    assert_int_equal(ws_report_cost_csv(report, &cost), WS_OK);
    assert_int_equal(ws_report_csv(report, &csv), WS_OK);
    ws_report_destroy(&report);
    /* 0.70, 0.72 and 0.74: the mean is 0.72 */
    assert_holds(text.data,
                 "| flow_cfm width=64 sigma chosen on normal validation rows: 0.1 x2, 0.3 x1 | terminal_norm | 3/3 | "
                 "0.7200 ± 0.0200 |");
    assert_holds(text.data,
                 "| flow_cfm width=64 sigma chosen on normal validation rows: 0.1 x3 | nll | 3/3 | 0.2000 ± 0.0000 |");
    assert_holds(text.data, "| flow_cfm sigma=0.6 width=64 | nll | 2/3, 1 not run |");
    assert_holds(text.data, "- Trials: 12 planned, 11 done, 0 failed, 1 not run.\n");
    assert_null(strstr(cost.data, "chosen"));
    assert_holds(csv.data, "\"width=64 sigma chosen on normal validation rows: 0.1 x2, 0.3 x1\"");
    ws_text_destroy(&text);
    ws_text_destroy(&cost);
    ws_text_destroy(&csv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(every_seed_takes_its_own_best, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
