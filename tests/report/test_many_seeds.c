/* A table of many seeds says how many there are. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "report/report.h"
#include "storage/storage.h"

enum { SEEDS = 130, SPLITS = 2 };
static char root[64];

static int setup(void **state)
{
    (void)state;
    ws_text text = {0};
    snprintf(root, sizeof root, "/tmp/wiresweep-seeds-XXXXXX");
    assert_non_null(mkdtemp(root));
    ws_text_append(&text,
                   "{\"schema\":1,\"name\":\"seeds\",\"specification\":{},\"additions\":[],\"cells\":[{\"cell\":\"c\","
                   "\"config\":{\"task\":\"anomaly\",\"protocol\":\"random\",\"model\":{\"kind\":\"flow_cfm\"}},"
                   "\"store_hash\":\"abcd\",\"dataset\":\"real\",\"label\":\"attack\",\"synthetic\":false,"
                   "\"deterministic\":false,\"baseline\":false}],\"trials\":[");
    for (int seed = 0; seed < SEEDS; seed++)
        for (int split = 0; split < SPLITS; split++)
            ws_text_appendf(&text,
                            "%s{\"id\":\"%d_%d\",\"cell\":\"c\",\"train_seed\":%d,\"protocol_seed\":%d,"
                            "\"split_hash\":\"s%d\"}",
                            seed || split ? "," : "", seed, split, seed, split, split);
    ws_text_append(&text, "]}");
    char *path = ws_path_join(root, "sweep.json");
    assert_int_equal(ws_file_write(path, text.data, text.length), WS_OK);
    free(path);
    ws_text_destroy(&text);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(ws_directory_remove(root), WS_OK);
    return 0;
}

static void all_seeds_are_counted(void **state)
{
    (void)state;
    ws_report *report = NULL;
    ws_text text = {0};
    assert_int_equal(ws_report_load(&report, root), WS_OK);
    assert_int_equal(ws_report_markdown(report, &text), WS_OK);
    assert_non_null(strstr(text.data, "Seeds: 130 of training, 2 of the split; the spread holds both.\n"));
    ws_text_destroy(&text);
    ws_report_destroy(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_seeds_are_counted)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
