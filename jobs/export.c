/* wiresweep export: a store as a table for other programs. */
#include "dataset/dataset.h"
#include "jobs/job.h"

typedef struct export_options {
    ws_job_common common;
    int format;
    bool bytes;
    const char *features, *output;
} export_options;

static const ws_option fields[] = {
    WS_JOB_COMMON_OPTIONS(export_options),
    WS_OPTION_ENUM(export_options, format, "csv", "csv", "csv: one row a flow (RFC 4180)"),
    WS_OPTION_BOOL(export_options, bytes, false, "the kept bytes of packets too, in hex (extract --bytes)"),
    WS_OPTION_STRING(export_options, features, NULL, "feature table of the store; flow20 of captures"),
    WS_OPTION_PATH(export_options, output, NULL, "-o: the file to write (standard output without it, or with -)"),
    WS_OPTION_END,
};
static const ws_option_table table = {"", sizeof(export_options), fields, ""};

static ws_err run(const ws_comm *world, const void *values, const ws_string_list *positional, ws_arena *arena)
{
    (void)world;
    (void)arena;
    const export_options *options = values;
    ws_store store;
    WS_CHECK(positional->count == 1, ARGUMENT, "export takes one store: wiresweep export STORE.h5 -o FILE.csv");
    const char *file = ws_job_output_file(options->output);
    WS_TRY(ws_job_check_output(options->output));
    WS_TRY(ws_store_open(&store, positional->items[0]));
    ws_err error = ws_store_export_csv(&store, options->features, options->bytes, file);
    if (error == WS_OK && file != NULL)
        ws_info("%s: %llu flows", file, (unsigned long long)store.rows);
    ws_store_close(&store);
    WS_TRY(error);
    return WS_OK;
}

const ws_job ws_job_export = {
    .name = "export",
    .usage = "export STORE.h5 [--format csv] [--features TABLE] [--bytes] [-o FILE]",
    .help = "a store as a table for other programs",
    .example = "  wiresweep export flows.h5 --format csv -o flows.csv",
    .options = &table,
    .run = run,
};
