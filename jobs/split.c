/* wiresweep split: the split of a store under a protocol, with its checksums and its leakage audit. */
#include "dataset/dataset.h"
#include "jobs/job.h"

typedef struct split_options {
    ws_job_common common;
    const char *protocol, *label, *features, *training_store, *output;
    ws_string_list normal;
    int64_t protocol_seed, minimum_rows, maximum_rows;
    double train_fraction, validation_fraction;
    bool other_extraction;
} split_options;

static const ws_option fields[] = {
    WS_JOB_COMMON_OPTIONS(split_options),
    WS_OPTION_STRING(split_options, protocol, "random", "how rows are split; `wiresweep list protocols` shows all"),
    WS_OPTION_INT(split_options, protocol_seed, 0, -9e15, 9e15, "seed of the split"),
    WS_OPTION_DOUBLE(split_options, train_fraction, 0.6, 0, 1, "share of the rows that train"),
    WS_OPTION_DOUBLE(split_options, validation_fraction, 0.2, 0, 1, "share that validates; the rest is test"),
    WS_OPTION_STRING(split_options, label, NULL, "label level: only labelled rows take part, classes are stratified"),
    WS_OPTION_INT(split_options, minimum_rows, 0, 0, 1e15, "classes with fewer labelled rows are left out"),
    WS_OPTION_INT(split_options, maximum_rows, 0, 0, 1e15,
                  "of classes with more labelled rows, normal ones apart, as many are drawn; 0: all"),
    WS_OPTION_LIST(split_options, normal, NULL, "classes that are normal, for protocols that tell them from anomalies"),
    WS_OPTION_STRING(split_options, features, NULL, "feature table that the audit looks at; flow20 of captures"),
    WS_OPTION_PATH(split_options, training_store, NULL,
                   "with cross_store: the store that trains, whose rows the audit compares with"),
    WS_OPTION_BOOL(split_options, other_extraction, false,
                   "with --training-store: also where options of its extraction shape features otherwise"),
    WS_OPTION_PATH(split_options, output, NULL, "-o: the manifest (JSON; -o - or --json: to standard output)"),
    WS_OPTION_END,
};
static const ws_option_table table = {"", sizeof(split_options), fields, ""};

/* The manifest where it is asked for, the report otherwise. */
static ws_err show(const ws_split *split, const ws_store *store, const split_options *options,
                   const ws_split_options *wanted)
{
    bool manifest = options->output != NULL || options->common.json;
    ws_text text = {0};
    ws_err error =
        manifest ? ws_split_manifest(split, store, wanted, &text) : ws_split_report(split, store, wanted, &text);
    if (error == WS_OK)
        error = ws_job_write_output(options->output, &text);
    ws_text_destroy(&text);
    return error;
}

static ws_err make_split(const ws_store *store, const split_options *options)
{
    const ws_split_options wanted = {.protocol = options->protocol,
                                     .protocol_seed = options->protocol_seed,
                                     .train_fraction = options->train_fraction,
                                     .validation_fraction = options->validation_fraction,
                                     .label = options->label,
                                     .minimum_rows = options->minimum_rows,
                                     .maximum_rows = options->maximum_rows,
                                     .normal = options->normal,
                                     .features = options->features,
                                     .training_store = options->training_store,
                                     .other_extraction = options->other_extraction};
    ws_split split;
    WS_TRY(ws_split_create(&split, store, &wanted));
    ws_err error = show(&split, store, options, &wanted);
    if (error == WS_OK)
        ws_info("split %.16s: %llu train, %llu validation, %llu test rows; left out: %llu rows without label, %llu of "
                "%zu classes too small, %llu of classes cut to maximum_rows",
                split.hash, (unsigned long long)split.counts[WS_PART_TRAIN],
                (unsigned long long)split.counts[WS_PART_VALIDATION], (unsigned long long)split.counts[WS_PART_TEST],
                (unsigned long long)split.rows_unlabelled, (unsigned long long)split.rows_left_out,
                split.classes_left_out, (unsigned long long)split.rows_thinned);
    ws_split_destroy(&split);
    WS_TRY(error);
    return WS_OK;
}

static ws_err run(const ws_comm *world, const void *values, const ws_string_list *positional, ws_arena *arena)
{
    (void)world;
    (void)arena;
    const split_options *options = values;
    ws_store store;
    WS_CHECK(positional->count == 1, ARGUMENT, "split takes one store: wiresweep split STORE.h5 --protocol temporal");
    WS_CHECK(options->training_store == NULL || strcmp(options->protocol, "cross_store") == 0, ARGUMENT,
             "--training-store is for --protocol cross_store; the training rows of %s are of the store itself",
             options->protocol);
    WS_TRY(ws_job_check_output(options->output));
    WS_TRY(ws_store_open(&store, positional->items[0]));
    ws_err error = make_split(&store, options);
    ws_store_close(&store);
    WS_TRY(error);
    return WS_OK;
}

const ws_job ws_job_split = {
    .name = "split",
    .usage = "split STORE.h5 [--protocol NAME] [--label LEVEL] [-o MANIFEST.json]",
    .help = "the split of a store under a protocol, and its leakage audit",
    .example = "  wiresweep split flows.h5 --protocol temporal --label category -o split.json",
    .options = &table,
    .run = run,
};
