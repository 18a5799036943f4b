/* Figures: curves as counted by hand from scored rows, what is drawn for a sweep, and one clear line where gnuplot is absent. */
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

/* Four test rows, best score first: anomalous, normal, anomalous, normal; and a validation row that must not count. */
static void write_scores(const char *trial)
{
    static const float score[] = {4, 3, 2, 1, 9};
    static const uint8_t part[] = {3, 3, 3, 3, 2}, anomalous[] = {1, 0, 1, 0, 0};
    static const uint64_t row_hash[] = {1, 2, 3, 4, 5};
    static const int32_t truth[] = {1, 0, 1, 0, 0};
    hsize_t rows = 5;
    char *path = ws_format("%s/trials/%s/scores.h5", root, trial);
    hid_t file;
    assert_int_equal(ws_h5_create(path, &file), WS_OK);
    assert_int_equal(ws_h5_write_dataset(file, "/row_hash", H5T_NATIVE_UINT64, row_hash, 1, &rows), WS_OK);
    assert_int_equal(ws_h5_write_dataset(file, "/truth", H5T_NATIVE_INT32, truth, 1, &rows), WS_OK);
    assert_int_equal(ws_h5_write_dataset(file, "/anomalous", H5T_NATIVE_UINT8, anomalous, 1, &rows), WS_OK);
    assert_int_equal(ws_h5_write_dataset(file, "/scores/nll", H5T_NATIVE_FLOAT, score, 1, &rows), WS_OK);
    assert_int_equal(ws_h5_write_dataset(file, "/part", H5T_NATIVE_UINT8, part, 1, &rows), WS_OK);
    assert_int_equal(ws_h5_write_attribute_texts(file, "/part", "names",
                                                 (const char *const[]){"none", "train", "validation", "test"}, 4),
                     WS_OK);
    assert_int_equal(ws_h5_write_attribute_texts(file, "/truth", "names", (const char *const[]){"benign", "scan"}, 2),
                     WS_OK);
    assert_int_equal(ws_h5_close(&file), WS_OK);
    free(path);
}

static int setup(void **state)
{
    (void)state;
    static const char *const sigma[] = {"0.1", "0.6"};
    snprintf(root, sizeof root, "/tmp/wiresweep-figures-XXXXXX");
    assert_non_null(mkdtemp(root));
    ws_text plan = {0};
    ws_text_append(&plan, "{\"schema\":1,\"name\":\"drawn\",\"specification\":{},\"cells\":[");
    for (int c = 0; c < 2; c++)
        ws_text_appendf(
            &plan,
            "%s{\"cell\":\"%d\",\"config\":{\"task\":\"anomaly\",\"protocol\":\"random\",\"model\":{\"kind\":"
            "\"flow_cfm\",\"sigma\":%s}},\"store_hash\":\"s\",\"dataset\":\"a \\\"b\\\" `c`\"}",
            c ? "," : "", c, sigma[c]);
    ws_text_append(&plan,
                   ",{\"cell\":\"k\",\"config\":{\"task\":\"classify\",\"protocol\":\"random\",\"model\":{\"kind\":"
                   "\"logistic\"}},\"store_hash\":\"s\",\"dataset\":\"z\"}],\"trials\":[");
    for (int i = 0; i < 5; i++)
        ws_text_appendf(&plan,
                        "%s{\"id\":\"t%d\",\"cell\":\"%s\",\"train_seed\":%d,\"protocol_seed\":0,\"split_hash\":\"h\"}",
                        i ? "," : "", i,
                        i == 4  ? "k"
                        : i < 2 ? "0"
                                : "1",
                        i % 2);
    ws_text_append(&plan, "]}");
    write_file(".", "sweep.json", ws_text_string(&plan));
    ws_text_destroy(&plan);
    for (int i = 0; i < 4; i++) {
        char *folder = ws_format("trials/t%d", i), id[16];
        char *text =
            ws_format("{\"schema\":1,\"id\":\"t%d\",\"status\":\"done\",\"result\":{\"scores\":{\"nll\":{\"auroc\":"
                      "0.7%d}}},\"run\":{}}",
                      i, i);
        snprintf(id, sizeof id, "t%d", i);
        write_file(folder, "record.json", text);
        write_file(folder, "metrics.jsonl", "{\"step\":1,\"loss\":2.5}\n{\"step\":10,\"loss\":0.5}\n");
        if (i < 2)
            write_scores(id);
        free(folder);
        free(text);
    }
    write_file(
        "trials/t4", "record.json",
        "{\"schema\":1,\"id\":\"t4\",\"status\":\"done\",\"result\":{\"classes\":[\"chat\",\"mail\"],\"scores\":{"
        "\"prediction\":{\"accuracy\":0.75,\"confusion\":[[3,1],[0,0]]}}},\"run\":{}}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(ws_directory_remove(root), WS_OK);
    return 0;
}

static char *content(const char *name, size_t *bytes)
{
    char *path = ws_format("%s/figures/%s", root, name), *text = NULL;
    assert_int_equal(ws_file_read(path, &text, bytes), WS_OK);
    free(path);
    return text;
}

static void assert_script_holds(const char *name, const char *part)
{
    size_t bytes;
    char *text = content(name, &bytes);
    if (!strstr(text, part))
        fail_msg("not in %s: %s\n%s", name, part, text);
    free(text);
}

static void every_section_is_drawn(void **state)
{
    (void)state;
    static const char *const names[] = {
        "s1_intervals", "s1_roc",       "s1_precision_recall", "s1_setting_flow_cfm_sigma",
        "s1_training",  "s2_intervals", "s2_confusion_k"};
    ws_report *report = NULL;
    ws_text page = {0};
    size_t bytes, images = 0;
    char *folder = ws_format("%s/figures", root);
    assert_int_equal(ws_report_load(&report, root), WS_OK);
    ws_err error = ws_report_draw(report, folder);
    free(folder);
    if (error == WS_E_UNSUPPORTED) {
        ws_report_destroy(&report);
        skip();
    }
    assert_int_equal(error, WS_OK);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *svg = ws_format("%s.svg", names[i]), *png = ws_format("%s.png", names[i]);
        char *text = content(svg, &bytes);
        assert_non_null(strstr(text, "</svg>"));
        free(text);
        text = content(png, &bytes);
        assert_true(bytes > 1000 && memcmp(text, "\x89PNG", 4) == 0);
        free(text);
        free(svg);
        free(png);
    }
    assert_int_equal(ws_report_write(report, 0, WS_REPORT_HTML, &page), WS_OK);
    for (const char *at = page.data; (at = strstr(at, "<img alt=\"\" src=\"data:image/svg+xml,")); at++)
        images++;
    assert_int_equal(images, sizeof names / sizeof *names);
    ws_text_destroy(&page);
    ws_report_destroy(&report);
    /* by hand: the first anomaly alone at no false positive, both at half of the normal rows; 2 of 3 flagged are anomalies then */
    assert_script_holds("s1_roc.gnuplot", "\n0.495 0.5 0.5 0.5\n0.5 1 1 1\n");
    assert_script_holds("s1_precision_recall.gnuplot", "\n0.5 1 1 1\n0.505 0.666666667 0.666666667 0.666666667\n");
    assert_script_holds("s1_roc.gnuplot", "title \"flow_cfm sigma=0.1, nll (n 2)\"");
    assert_script_holds("s1_training.gnuplot", "1 2.5\n10 0.5\n\n1 2.5\n");
    assert_script_holds("s2_confusion_k.gnuplot", "0 0 0.75\n1 0 0.25\nEOD"); /* the class without rows has no share */
    assert_script_holds("s1_intervals.gnuplot", "a \\\"b\\\" \\`c\\`");
}

static void without_gnuplot_there_is_one_clear_line(void **state)
{
    (void)state;
    ws_report *report = NULL;
    char *path = strdup(getenv("PATH")), *folder = ws_format("%s/none", root);
    assert_int_equal(ws_report_load(&report, root), WS_OK);
    setenv("PATH", root, 1);
    assert_int_equal(ws_report_draw(report, folder), WS_E_UNSUPPORTED);
    setenv("PATH", path, 1);
    assert_string_equal(ws_error_message(), "figures are drawn by gnuplot, which is not installed");
    assert_non_null(strstr(ws_error_hint(), "apt-get install gnuplot-nox"));
    ws_report_destroy(&report);
    free(folder);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_section_is_drawn),
        cmocka_unit_test(without_gnuplot_there_is_one_clear_line),
    };
    ws_h5_setup();
    return cmocka_run_group_tests(tests, setup, teardown);
}
