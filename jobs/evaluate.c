/* evaluate: scores rows with a trained run, also those of another store. */
#include "jobs/job.h"
#include "train/train.h"

typedef struct evaluate_arguments {
    ws_job_common common;
    const char *store, *protocol, *label, *output;
    ws_string_list normal;
    bool other_extraction;
    int device;
} evaluate_arguments;

static const ws_option fields[] = {
    WS_JOB_COMMON_OPTIONS(evaluate_arguments),
    WS_OPTION_STRING(evaluate_arguments, store, NULL,
                     "another store; normalisation and classes stay as trained (--protocol cross_store: all its rows)"),
    WS_OPTION_STRING(evaluate_arguments, protocol, NULL, "another protocol"),
    WS_OPTION_STRING(evaluate_arguments, label, NULL,
                     "its label level, where that has another name than the trained one"),
    {"normal", WS_OPTION_TYPE_REPEATED, offsetof(evaluate_arguments, normal), NULL, 0, 0, NULL,
     "a class that is normal in it, where these have other names than the trained ones; may be repeated", false},
    WS_OPTION_BOOL(
        evaluate_arguments, other_extraction, false,
        "score another store also where options of its extraction shape features otherwise than those of the "
        "one that trained; the result names them"),
    WS_OPTION_ENUM(evaluate_arguments, device, "cpu", "cpu|cuda",
                   "what a network's scores are made on; cuda: one rank a GPU"),
    WS_OPTION_STRING(evaluate_arguments, output, NULL, "-o: a file for the result, as JSON; -: standard output"),
    WS_OPTION_END};
static const ws_option_table table = {"", sizeof(evaluate_arguments), fields, "evaluate"};

static ws_err print_result(const evaluate_arguments *arguments, const cJSON *result)
{
    ws_text text = {0};
    WS_TRY(ws_json_pretty(result, &text));
    ws_text_append(&text, "\n");
    if (!arguments->output && !arguments->common.json) {
        const cJSON *counts = cJSON_GetObjectItemCaseSensitive(result, "counts");
        ws_text_clear(&text);
        ws_text_appendf(&text, "%s on %s (%s, protocol %s): %.0f test rows\n",
                        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(result, "model")),
                        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(result, "dataset")),
                        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(result, "task")),
                        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(result, "protocol")),
                        cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(counts, "test")));
        const double left_out = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(counts, "rows_left_out"));
        if (left_out > 0)
            ws_text_appendf(&text, "  left out: %.0f rows, of classes too small, or seen by the model in training%s\n",
                            left_out, arguments->protocol ? " under its own protocol" : "");
        ws_scores_describe(cJSON_GetObjectItemCaseSensitive(result, "scores"), &text);
    }
    ws_err error = ws_job_write_output(arguments->output, &text);
    ws_text_destroy(&text);
    return error;
}

static ws_err run(const ws_comm *world, const void *values, const ws_string_list *positional, ws_arena *arena)
{
    const evaluate_arguments *arguments = values;
    cJSON *result = NULL;
    WS_CHECK(positional->count == 1, ARGUMENT, "wiresweep evaluate takes one run folder, not %zu", positional->count);
    WS_CHECK(arguments->store || (!arguments->label && arguments->normal.count == 0 && !arguments->other_extraction),
             ARGUMENT, "--label, --normal and --other-extraction are for another store: they need --store");
    WS_AGREE(world, world->rank == 0 ? ws_job_check_output(arguments->output) : WS_OK);
    ws_evaluate_run evaluation = {positional->items[0], arguments->store,  arguments->protocol,
                                  arguments->label,     arguments->normal, arguments->other_extraction,
                                  arguments->device};
    WS_TRY(ws_evaluate_run_all(world, &evaluation, arena, &result));
    ws_err error = world->rank == 0 ? print_result(arguments, result) : WS_OK;
    cJSON_Delete(result);
    return error;
}

const ws_job ws_job_evaluate = {
    .name = "evaluate",
    .usage = "evaluate RUN_DIR [--store STORE.h5] [--protocol NAME] [--label LEVEL] [--normal CLASS]... "
             "[--other-extraction] [--device cpu|cuda] [-o FILE.json]",
    .help = "score test rows with a trained run, also of another store",
    .example = "  wiresweep evaluate runs/1 --store stores/other.h5 --protocol cross_store --normal BENIGN",
    .options = &table,
    .collective = true,
    .run = run,
};
