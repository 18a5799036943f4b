/* Scores of another program in a table: the metrics of the same rows, what is missing, and what is refused. */
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

/* Rows 16 * split + 0..3 are tested (two anomalous: a scan and a flood), rows + 4, 5 are normal validation rows. */
static void write_scores(const char *trial, uint64_t split)
{
    static const float score[] = {1, 2, 3, 4, 5, 6};
    static const uint8_t part[] = {3, 3, 3, 3, 2, 2}, anomalous[] = {1, 0, 1, 0, 0, 0};
    static const int32_t truth[] = {1, 0, 2, 0, 0, 0};
    uint64_t row_hash[6];
    hsize_t rows = 6;
    char *path = ws_format("%s/trials/%s/scores.h5", root, trial);
    hid_t file;
    for (uint64_t i = 0; i < 6; i++)
        row_hash[i] = 16 * split + i;
    assert_int_equal(ws_h5_create(path, &file), WS_OK);
    assert_int_equal(ws_h5_write_dataset(file, "/row_hash", H5T_NATIVE_UINT64, row_hash, 1, &rows), WS_OK);
    assert_int_equal(ws_h5_write_dataset(file, "/truth", H5T_NATIVE_INT32, truth, 1, &rows), WS_OK);
    assert_int_equal(ws_h5_write_dataset(file, "/anomalous", H5T_NATIVE_UINT8, anomalous, 1, &rows), WS_OK);
    assert_int_equal(ws_h5_write_dataset(file, "/scores/nll", H5T_NATIVE_FLOAT, score, 1, &rows), WS_OK);
    assert_int_equal(ws_h5_write_dataset(file, "/part", H5T_NATIVE_UINT8, part, 1, &rows), WS_OK);
    assert_int_equal(ws_h5_write_attribute_texts(file, "/part", "names",
                                                 (const char *const[]){"none", "train", "validation", "test"}, 4),
                     WS_OK);
    assert_int_equal(
        ws_h5_write_attribute_texts(file, "/truth", "names", (const char *const[]){"benign", "scan", "flood"}, 3),
        WS_OK);
    assert_int_equal(ws_h5_close(&file), WS_OK);
    free(path);
}

/* One model on two splits. */
static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/wiresweep-external-XXXXXX");
    assert_non_null(mkdtemp(root));
    write_file(
        ".", "sweep.json",
        "{\"schema\":1,\"name\":\"n\",\"specification\":{},\"cells\":[{\"cell\":\"c\",\"config\":{\"task\":\"anomaly\","
        "\"protocol\":\"random\",\"model\":{\"kind\":\"flow_cfm\"}},\"store_hash\":\"s\",\"dataset\":\"d\"}],"
        "\"trials\":["
        "{\"id\":\"t0\",\"cell\":\"c\",\"train_seed\":0,\"protocol_seed\":0,\"split_hash\":\"zero\"},"
        "{\"id\":\"t1\",\"cell\":\"c\",\"train_seed\":1,\"protocol_seed\":1,\"split_hash\":\"one\"}]}");
    for (uint64_t split = 0; split < 2; split++) {
        char *folder = ws_format("trials/t%d", (int)split), *trial = ws_format("t%d", (int)split);
        char *text = ws_format("{\"schema\":1,\"id\":\"%s\",\"status\":\"done\",\"result\":{\"config\":{\"evaluate\":{"
                               "\"quantiles\":[1]}},\"scores\":{\"nll\":{\"auroc\":0.5}}},\"run\":{}}",
                               trial);
        write_file(folder, "record.json", text);
        write_scores(trial, split);
        free(folder);
        free(trial);
        free(text);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(ws_directory_remove(root), WS_OK);
    return 0;
}

/* The table with the file, or NULL and *error. */
static char *table_with(const char *content, ws_err *error)
{
    ws_report *report = NULL;
    ws_text text = {0};
    char *path = ws_format("%s/theirs.csv", root);
    write_file(".", "theirs.csv", content);
    assert_int_equal(ws_report_load(&report, root), WS_OK);
    *error = ws_report_add_scores(report, path);
    if (*error == WS_OK)
        assert_int_equal(ws_report_write(report, WS_TABLES_THRESHOLDS | WS_TABLES_CLASSES, WS_REPORT_MARKDOWN, &text),
                         WS_OK);
    ws_report_destroy(&report);
    free(path);
    return text.data;
}

static void assert_holds(const char *text, const char *line)
{
    if (!text || !strstr(text, line))
        fail_msg("not in the table: %s\n%s", line, text ? text : ws_error_message());
}

/* scan 0.9, flood 0.4, normal 0.5 and 0.1: three of four pairs are in order, auroc 0.75 */
static const char head[] = "row_hash,score,protocol_seed\n", split_zero[] =
                                                                 "0000000000000000,0.9,0\n0000000000000001,0.5,0\n"
                                                                 "0000000000000002,0.4,0\n0000000000000003,0.1,0\n";

static void the_same_rows_and_metrics(void **state)
{
    (void)state;
    ws_err error;
    char *content =
        ws_format("%s%s0000000000000004,0.3,0\n0000000000000005,0.2,0\n00000000000000ff,7,0\n", head, split_zero);
    char *text = table_with(content, &error);
    assert_holds(text, "| theirs (another program; file ");
    assert_holds(text, ") | score | 1/1 | **0.7500 ± n/a** |");
    /* the quantile 1 of the validation rows is 0.3: three rows are above it, two of them anomalies */
    assert_holds(text,
                 ") | score | quantile 1 | 0.3 ± n/a | 0.5000 ± n/a | 0.6667 ± n/a | 1.0000 ± n/a | 0.8000 ± n/a |\n");
    assert_holds(text, "| model | score | flood | scan |\n");
    assert_holds(text, ") | score | 0.5000 ± n/a | 1.0000 ± n/a |\n");
    assert_holds(text, "- Trials: 2 planned, 2 done, 0 failed, 0 not run.\n"); /* theirs are no trials of the sweep */
    free(text);
    free(content);
}

static void a_split_that_is_not_covered_is_not_run(void **state)
{
    (void)state;
    ws_err error;
    char *text = table_with("score,row_hash\r\n0.9,0000000000000000\r\n0.5,0000000000000001\r\n0.4,0000000000000002\r\n"
                            "0.1,0000000000000003\r\n",
                            &error);
    assert_holds(text, ") | score | 1/2, 1 not run | **0.7500 ± n/a**‡ |");
    assert_null(strstr(text, ") | score | quantile")); /* no validation row has a score */
    free(text);
}

static void what_is_incomplete_or_wrong_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"row_hash,score,protocol_seed\n0000000000000000,1,0\n0000000000000001,1,0\n0000000000000002,1,0\n",
         "theirs.csv: 1 of the 4 test rows of split zero have no score, the first of them 0000000000000003"},
        {"row_hash,value\n", "theirs.csv:1: the columns row_hash and score are needed"},
        {"row_hash,score\n12,1\n", "theirs.csv:2: \"12\" is no row_hash"},
        {"row_hash,score\n0123456789abcdef0123456789abcdef0123456789abcdef,1\n",
         "theirs.csv:2: \"0123456789abcdef0123456789abcdef01234567\" is no row_hash"},
        {"row_hash,score\n\n0000000000000001,nan\n", "theirs.csv:3: \"nan\" is no score"},
        {"row_hash,score\n0000000000000001\n", "theirs.csv:2: row_hash or score is missing"},
        {"row_hash,score\n0000000000000001,1\n0000000000000001,2\n",
         "theirs.csv: row 0000000000000001 has two scores under the same seeds"},
        {"row_hash,score\n00000000000000aa,1\n",
         "theirs.csv: there is no split of this sweep whose test rows all have a score in it"},
        {"row_hash,score\n", "theirs.csv: no scores in it"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ws_err error;
        assert_null(table_with(wrong[i][0], &error));
        assert_int_equal(error, WS_E_FORMAT);
        assert_holds(ws_error_message(), wrong[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_rows_and_metrics),
        cmocka_unit_test(a_split_that_is_not_covered_is_not_run),
        cmocka_unit_test(what_is_incomplete_or_wrong_is_refused),
    };
    ws_h5_setup();
    return cmocka_run_group_tests(tests, setup, teardown);
}
