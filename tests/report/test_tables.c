/* Tables from records written by hand: what a reader must be able to see, and what must not change a byte. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "report/report.h"
#include "storage/storage.h"

static char root[64];

static const char *in_folder(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    assert_int_equal(ws_file_write(in_folder(name), text, strlen(text)), WS_OK);
}

static void record(const char *id, const char *program, const char *scores)
{
    char *name = ws_format("trials/%s", id);
    assert_int_equal(ws_directory_create(in_folder(name)), WS_OK);
    free(name);
    name = ws_format("trials/%s/record.json", id);
    char *text =
        ws_format("{\"schema\":1,\"id\":\"%s\",\"status\":\"done\",\"result\":{\"isa\":\"avx2\",\"device\":\"cpu\","
                  "\"counts\":{\"train\":60,\"validation\":20,\"test\":20,\"classes\":2,\"rows_left_out\":3,\"rows_"
                  "unlabelled\":7},\"parameter_hash\":\"p\","
                  "\"audit\":{\"test_in_train\":{\"duplicates\":%d,\"sessions\":0,\"hosts\":20,\"near_duplicates\":5}},"
                  "\"score_hash\":\"s\",\"scores\":%s},\"run\":{\"program_hash\":\"%s\",\"seconds\":{\"total\":1.5}}}",
                  id, strcmp(program, "two") == 0 ? 3 : 2, scores, program);
    write_file(name, text);
    free(text);
    free(name);
}

static void failed_record(const char *id)
{
    char *folder = ws_format("trials/%s", id), *name = ws_format("%s/record.json", folder);
    char *text = ws_format("{\"schema\":1,\"id\":\"%s\",\"status\":\"failed\","
                           "\"failure\":{\"reason\":\"ended by signal 11 | twice\"}}",
                           id);
    assert_int_equal(ws_directory_create(in_folder(folder)), WS_OK);
    write_file(name, text);
    free(folder);
    free(name);
    free(text);
}

/* Two data sets; three flow_cfm cells told apart by sigma and steps, one of them with a failed and a missing trial; a
 * deterministic model; two baselines. */
static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/wiresweep-tables-XXXXXX");
    assert_non_null(mkdtemp(root));
    write_file(
        "sweep.json",
        "{\"schema\":1,\"name\":\"by hand\",\"specification\":{},\"additions\":[],\"cells\":["
        "{\"cell\":\"c2\",\"config\":{\"task\":\"anomaly\",\"protocol\":\"random\",\"model\":{\"kind\":\"flow_cfm\","
        "\"sigma\":0.6},\"train\":{\"steps\":50}},\"store_hash\":\"abcdef0123456789abcdef\",\"dataset\":\"real\","
        "\"label\":\"attack\",\"synthetic\":false,\"deterministic\":false,\"baseline\":false},"
        "{\"cell\":\"c1\",\"config\":{\"task\":\"anomaly\",\"protocol\":\"random\",\"model\":{\"kind\":\"flow_cfm\","
        "\"sigma\":0.1},\"train\":{\"steps\":50}},\"store_hash\":\"abcdef0123456789abcdef\",\"dataset\":\"real\","
        "\"label\":\"attack\",\"synthetic\":false,\"deterministic\":false,\"baseline\":false},"
        "{\"cell\":\"b1\",\"config\":{\"task\":\"anomaly\",\"protocol\":\"random\",\"model\":{\"kind\":\"majority\"}},"
        "\"store_hash\":\"abcdef0123456789abcdef\",\"dataset\":\"real\",\"label\":\"attack\",\"synthetic\":false,"
        "\"deterministic\":true,\"baseline\":true},"
        "{\"cell\":\"k1\",\"config\":{\"task\":\"classify\",\"protocol\":\"temporal\",\"model\":{\"kind\":\"logistic\"}"
        "},"
        "\"store_hash\":\"1234\",\"dataset\":\"made, up\",\"label\":null,\"synthetic\":true,"
        "\"deterministic\":true,\"baseline\":false}],"
        "\"trials\":["
        "{\"id\":\"t2\",\"cell\":\"c1\",\"train_seed\":10,\"protocol_seed\":0,\"split_hash\":\"split0\"},"
        "{\"id\":\"t1\",\"cell\":\"c1\",\"train_seed\":9,\"protocol_seed\":0,\"split_hash\":\"split0\"},"
        "{\"id\":\"t3\",\"cell\":\"c1\",\"train_seed\":0,\"protocol_seed\":0,\"split_hash\":\"split0\"},"
        "{\"id\":\"t4\",\"cell\":\"c1\",\"train_seed\":1,\"protocol_seed\":0,\"split_hash\":\"split0\"},"
        "{\"id\":\"t5\",\"cell\":\"c1\",\"train_seed\":2,\"protocol_seed\":0,\"split_hash\":\"split0\"},"
        "{\"id\":\"u1\",\"cell\":\"c2\",\"train_seed\":0,\"protocol_seed\":0,\"split_hash\":\"split0\"},"
        "{\"id\":\"u2\",\"cell\":\"c2\",\"train_seed\":1,\"protocol_seed\":0,\"split_hash\":\"split0\"},"
        "{\"id\":\"u3\",\"cell\":\"c2\",\"train_seed\":2,\"protocol_seed\":0,\"split_hash\":\"split0\"},"
        "{\"id\":\"u4\",\"cell\":\"c2\",\"train_seed\":3,\"protocol_seed\":0,\"split_hash\":\"split0\"},"
        "{\"id\":\"m1\",\"cell\":\"b1\",\"train_seed\":null,\"protocol_seed\":0,\"split_hash\":\"split0\"},"
        "{\"id\":\"l1\",\"cell\":\"k1\",\"train_seed\":null,\"protocol_seed\":0,\"split_hash\":\"split0\"},"
        "{\"id\":\"l2\",\"cell\":\"k1\",\"train_seed\":null,\"protocol_seed\":1,\"split_hash\":\"split1\"}]}");
    /* the golden vector, in the order of the seeds 0 1 2 9 10 */
    record("t3", "one", "{\"terminal_norm\":{\"auroc\":0.9731,\"auprc\":0.5,\"tpr_at_fpr_0.01\":0.25}}");
    record("t4", "one", "{\"terminal_norm\":{\"auroc\":0.9752,\"auprc\":0.50001,\"tpr_at_fpr_0.01\":0.25}}");
    record("t5", "one", "{\"terminal_norm\":{\"auroc\":0.9718,\"auprc\":0.5,\"tpr_at_fpr_0.01\":0.25}}");
    record("t1", "one", "{\"terminal_norm\":{\"auroc\":0.9760,\"auprc\":0.5,\"tpr_at_fpr_0.01\":0.25}}");
    record("t2", "one", "{\"terminal_norm\":{\"auroc\":0.9745,\"auprc\":0.5,\"tpr_at_fpr_0.01\":0.25}}");
    record("u1", "one", "{\"terminal_norm\":{\"auroc\":0.8,\"auprc\":null,\"tpr_at_fpr_0.01\":0}}");
    record("u2", "two", "{\"terminal_norm\":{\"auroc\":0.9,\"auprc\":0.4,\"tpr_at_fpr_0.01\":0}}");
    failed_record("u3");
    record("m1", "one", "{\"constant\":{\"auroc\":0.5,\"auprc\":0.125,\"tpr_at_fpr_0.01\":null}}");
    record("l1", "one", "{\"prediction\":{\"balanced_accuracy\":0.75,\"macro_f1\":0.5,\"accuracy\":0.8}}");
    record("l2", "one", "{\"prediction\":{\"balanced_accuracy\":0.25,\"macro_f1\":0.5,\"accuracy\":0.9}}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(ws_directory_remove(root), WS_OK);
    return 0;
}

typedef ws_err (*writer)(const ws_report *report, ws_text *out);

static char *table_of(writer write)
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

static void the_markdown_says_what_a_reader_must_know(void **state)
{
    (void)state;
    char *text = table_of(ws_report_markdown);
    assert_holds(text, "## real: anomaly, random split, label attack\n");
    assert_holds(text, "| flow_cfm sigma=0.1 | terminal_norm | 5/5 | **0.9741 ± 0.0017** | **0.5000 ± <0.0001** | "
                       "**0.2500 ± 0.0000** |");
    assert_holds(text, "\nLeakage: test rows with an exact duplicate 10.0 to 15.0 %; a near duplicate 25.0 %; a flow "
                       "of the same session 0.0 %; a flow "
                       "of the same host 100.0 % (in the training rows).\n");
    /* a failed and a missing trial are shown, and an undefined value is not averaged as 0 */
    assert_holds(text, "| flow_cfm sigma=0.6 | terminal_norm | 2/4, 1 failed, 1 not run | **0.8500 ± 0.0707**‡ | "
                       "0.4000 ± n/a (n 1)‡ | 0.0000 ± 0.0000‡ |");
    assert_holds(text, "| _majority_ | constant | 1/1 | 0.5000 ± n/a | 0.1250 ± n/a | n/a |");
    assert_holds(text, "- `u3` flow_cfm sigma=0.6, seed 2: ended by signal 11 \\| twice\n");
    assert_holds(text, "## made, up (synthetic data, made by the project's generator): classify, temporal split\n");
    assert_holds(text,
                 "| logistic (synthetic) | prediction | 2/2 | 0.5000 ± 0.3536 | 0.5000 ± 0.0000 | 0.8500 ± 0.0707 |");
    assert_holds(text, "Store `1234`, split `split0` `split1`.");
    assert_holds(text, "**Trials of several programs are mixed**: `one` (9 trials), `two` (1 trial).");
    assert_holds(text, "12 planned, 10 done, 1 failed, 1 not run.");
    /* the lines to beat stand below the models */
    assert_non_null(strstr(text, "Rows: train 60, validation 20, test 20; 2 classes; left out: 7 without label, 3 of "
                                 "classes too small.\n"));
    assert_true(strstr(text, "_majority_") > strstr(text, "flow_cfm sigma=0.6"));
    free(text);
}

/* The fields of the first CSV line that begins with `start`; quotes are not expected in them. */
static void csv_fields(char *text, const char *start, char *fields[32])
{
    char *line = strstr(text, start);
    assert_non_null(line);
    line = strdup(line);
    line[strcspn(line, "\n")] = '\0';
    for (int i = 0; i < 32; i++)
        fields[i] = line ? strsep(&line, ",") : NULL;
}

static int column(char *text, const char *name)
{
    char *header = strndup(text, strcspn(text, "\n")), *rest = header, *field;
    int index = 0;
    while ((field = strsep(&rest, ",")) && strcmp(field, name) != 0)
        index++;
    assert_non_null(field);
    free(header);
    return index;
}

static void the_csv_has_full_precision_and_the_interval(void **state)
{
    (void)state;
    char *text = table_of(ws_report_csv), *fields[32];
    csv_fields(text, "c1,", fields);
    assert_string_equal(fields[column(text, "metric")], "auroc");
    assert_float_equal(strtod(fields[column(text, "mean")], NULL), 0.97412, 1e-15);
    assert_float_equal(strtod(fields[column(text, "std")], NULL), 0.0016783920876839188, 1e-16);
    assert_float_equal(strtod(fields[column(text, "low_95")], NULL), 0.972036000970, 1e-12);
    assert_float_equal(strtod(fields[column(text, "high_95")], NULL), 0.976203999030, 1e-12);
    assert_string_equal(fields[column(text, "options")], "sigma=0.1");
    free(fields[0]);
    csv_fields(text, "b1,", fields);
    assert_string_equal(fields[column(text, "std")], "");
    assert_string_equal(fields[column(text, "baseline")], "true");
    free(fields[0]);
    assert_holds(text, "k1,\"made, up\",1234,true,classify,temporal,,logistic,");
    free(text);
}

static void every_trial_has_its_lines(void **state)
{
    (void)state;
    char *text = table_of(ws_report_trials_csv);
    assert_holds(text, ",t1,split0,9,0,done,terminal_norm,auroc,0.97599999999999998,p,s,,\n");
    assert_holds(text, ",u1,split0,0,0,done,terminal_norm,auprc,,p,s,,\n");
    assert_holds(text, ",u3,split0,2,0,failed,,,,,,,\n");
    assert_holds(text, ",u4,split0,3,0,missing,,,,,,,\n");
    assert_holds(text, ",m1,split0,,0,done,constant,auroc,0.5,p,s,,\n");
    assert_true(strstr(text, ",t1,") < strstr(text, ",t2,")); /* seed 9 before seed 10 */
    free(text);
    text = table_of(ws_report_cost_csv);
    assert_holds(text, ",l1,split0,,0,done,,,1.5,");
    free(text);
}

/* Changes records, so it comes after those who read them as they were. */
static void notes_say_what_stands_behind_a_value(void **state)
{
    (void)state;
    record("t1", "one",
           "{\"terminal_norm\":{\"auroc\":0.976,\"unsolved\":{\"test\":2,\"validation\":1},\"auprc\":0.5}}");
    record("t4", "one", "{\"terminal_norm\":{\"auroc\":0.975,\"unsolved\":{\"test\":3,\"validation\":0}}}");
    record("m1", "one", "{\"constant\":{\"undefined\":\"nothing | to go by\",\"auroc\":null,\"auprc\":null}}");
    char *text = table_of(ws_report_markdown);
    assert_holds(text, "Scores of rows that the solver could not keep to its tolerance");
    assert_holds(text, "- flow_cfm sigma=0.1, terminal_norm: 5 of 100 test rows, 1 of 100 validation rows\n");
    assert_holds(text, "\nNot defined (n/a above):\n\n- majority, constant: nothing \\| to go by (1 trial)\n");
    assert_holds(text, "| _majority_ | constant | 1/1 | n/a |");
    assert_null(strstr(text, "sigma=0.6, terminal_norm:")); /* it has none of both */
    free(text);
}

static void what_cannot_be_read_is_one_clear_line(void **state)
{
    (void)state;
    ws_report *report = NULL;
    assert_int_equal(ws_report_load(&report, "/tmp"), WS_E_IO);
    assert_non_null(strstr(ws_error_message(), "this is no sweep folder"));
    write_file("trials/u1/record.json", "{\"id\":\"other\",\"status\":\"done\"}");
    assert_int_equal(ws_report_load(&report, root), WS_E_FORMAT);
    assert_non_null(strstr(ws_error_message(), "not a record of trial u1"));
    assert_null(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_markdown_says_what_a_reader_must_know),
        cmocka_unit_test(the_csv_has_full_precision_and_the_interval),
        cmocka_unit_test(every_trial_has_its_lines),
        cmocka_unit_test(notes_say_what_stands_behind_a_value),
        cmocka_unit_test(what_cannot_be_read_is_one_clear_line),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
