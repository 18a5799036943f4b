/* Trials tested on another store than their own: the values of both side by side, and what is no such result. */
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

static int setup(void **state)
{
    (void)state;
    static const char *const here[] = {"0.9", "0.8", "0.7"}, *const there[] = {"0.6", "0.6"};
    snprintf(root, sizeof root, "/tmp/wiresweep-elsewhere-XXXXXX");
    assert_non_null(mkdtemp(root));
    write_file(
        ".", "sweep.json",
        "{\"schema\":1,\"name\":\"n\",\"specification\":{},\"cells\":[{\"cell\":\"c\",\"config\":{\"task\":\"anomaly\","
        "\"protocol\":\"random\",\"model\":{\"kind\":\"flow_cfm\"}},\"store_hash\":\"s\",\"dataset\":\"d\"}],"
        "\"trials\":["
        "{\"id\":\"t0\",\"cell\":\"c\",\"train_seed\":0,\"protocol_seed\":0,\"split_hash\":\"h\"},"
        "{\"id\":\"t1\",\"cell\":\"c\",\"train_seed\":1,\"protocol_seed\":0,\"split_hash\":\"h\"},"
        "{\"id\":\"t2\",\"cell\":\"c\",\"train_seed\":2,\"protocol_seed\":0,\"split_hash\":\"h\"}]}");
    for (int i = 0; i < 3; i++) {
        char *folder = ws_format("trials/t%d", i);
        char *text = ws_format(
            "{\"schema\":1,\"id\":\"t%d\",\"status\":\"done\",\"result\":{\"scores\":{\"nll\":{\"auroc\":%s}}},"
            "\"run\":{}}",
            i, here[i]);
        write_file(folder, "record.json", text);
        free(text);
        if (i < 2) { /* the third has not been tested there */
            text = ws_format(
                "{\"dataset\":\"far\",\"protocol\":\"cross_store\",\"store_hash\":\"abc\",\"scores\":{\"nll\":{"
                "\"auroc\":%s}}}",
                there[i]);
            write_file(folder, "elsewhere_far.json", text);
            free(text);
        }
        free(folder);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(ws_directory_remove(root), WS_OK);
    return 0;
}

static ws_err write(ws_text *out)
{
    ws_report *report = NULL;
    assert_int_equal(ws_report_load(&report, root), WS_OK);
    ws_err error = ws_report_write(report, 0, WS_REPORT_MARKDOWN, out);
    ws_report_destroy(&report);
    return error;
}

static void both_values_stand_side_by_side(void **state)
{
    (void)state;
    ws_text text = {0};
    assert_int_equal(write(&text), WS_OK);
    /* 0.6 - 0.9 and 0.6 - 0.8: the mean is -0.25, the t interval of two values 12.706 * 0.05 to either side */
    const char *line =
        "| flow_cfm | nll | far (cross_store, store abc) | auroc | 0.8000 ± 0.1000 | 0.6000 ± 0.0000 (n 2) | -0.2500 | "
        "-0.8853 to +0.3853 |\n";
    if (!strstr(text.data, line))
        fail_msg("not in the table: %s\n%s", line, text.data);
    ws_text_destroy(&text);
}

static void what_is_no_such_result_is_named(void **state)
{
    (void)state;
    ws_text text = {0};
    write_file("trials/t2", "elsewhere_wrong.json", "{\"scores\"");
    assert_int_equal(write(&text), WS_E_FORMAT);
    assert_non_null(strstr(ws_error_message(), "trials/t2/elsewhere_wrong.json: not a result of wiresweep evaluate"));
    ws_text_destroy(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_values_stand_side_by_side),
        cmocka_unit_test(what_is_no_such_result_is_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
