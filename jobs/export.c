/* wiresweep export: a store as a table for other programs, or its captures' packets with their labels. */
#include "dataset/dataset.h"
#include "jobs/job.h"

#include <inttypes.h>

enum { FORMAT_CSV, FORMAT_PCAPML };

typedef struct export_options {
    ws_job_common common;
    int format, stamps;
    bool bytes;
    const char *features, *label, *labels, *key, *output;
} export_options;

static const ws_option fields[] = {
    WS_JOB_COMMON_OPTIONS(export_options),
    WS_OPTION_ENUM(export_options, format, "csv", "csv|pcapml",
                   "csv: one row a flow (RFC 4180); pcapml: pcapng with \"sample,label\" at each packet"),
    WS_OPTION_BOOL(export_options, bytes, false, "csv: the kept bytes of packets too, in hex (extract --bytes)"),
    WS_OPTION_STRING(export_options, features, NULL, "csv: feature table of the store; flow20 of captures"),
    WS_OPTION_STRING(export_options, label, NULL, "pcapml: label level of the store; its first"),
    WS_OPTION_PATH(export_options, labels, NULL,
                   "pcapml: the label file that a store of --dataset pcapml was made with (extract --labels)"),
    WS_OPTION_PATH(export_options, key, NULL, "pcapml: the secret that the store was made with (extract --key)"),
    WS_OPTION_ENUM(export_options, stamps, "auto", "auto|standard|split",
                   "pcapml: stamps of pcapng without a stated unit, as for extract; auto: each tells"),
    WS_OPTION_PATH(export_options, output, NULL, "-o: the file to write (standard output without it, or with -)"),
    WS_OPTION_END,
};
static const ws_option_table table = {"", sizeof(export_options), fields, ""};

static ws_err export_csv(const ws_store *store, const export_options *options, const char *file)
{
    WS_TRY(ws_store_export_csv(store, options->features, options->bytes, file));
    if (file != NULL)
        ws_info("%s: %llu flows", file, (unsigned long long)store->rows);
    return WS_OK;
}

static ws_err export_pcapml(const ws_store *store, const export_options *options, const ws_string_list *captures,
                            const char *file, ws_arena *arena)
{
    ws_pcapml_export wanted = {.label = options->label, .key_file = options->key, .label_file = options->labels};
    ws_pcapml_exported report;
    WS_CHECK(captures->count > 0, ARGUMENT,
             "a store has no whole packets: name its captures too: wiresweep export STORE.h5 --format pcapml -o "
             "FILE.pcapng CAPTURE...");
    wanted.stamps = options->stamps == 0 ? WS_STAMPS_DETECT : (ws_stamps)(options->stamps - 1);
    WS_TRY(ws_inputs_expand(captures, arena, &wanted.captures));
    WS_TRY(ws_store_export_pcapml(store, &wanted, file, &report));
    if (report.short_samples > 0)
        ws_warn("%" PRIu64
                " samples lack packets that their rows in %s count, the first one: %s; are these the captures "
                "that it was made of?",
                report.short_samples, store->path, report.first_short);
    if (report.shared_samples > 0)
        ws_warn("%" PRIu64 " samples are of several captures by their numbers: pcapML knows no captures, so each is one sample in what "
                "is written; export one capture at a time to keep them apart",
                report.shared_samples);
    if (file != NULL)
        ws_info("%s: %" PRIu64 " packets; left out: %" PRIu64 " of no row, %" PRIu64 " of %" PRIu64
                " rows without label",
                file, report.packets, report.left_out, report.unlabelled, report.unlabelled_rows);
    return WS_OK;
}

static ws_err run(const ws_comm *world, const void *values, const ws_string_list *positional, ws_arena *arena)
{
    (void)world;
    const export_options *options = values;
    ws_store store;
    WS_CHECK(positional->count == 1 || (positional->count > 1 && options->format == FORMAT_PCAPML), ARGUMENT,
             "export takes one store: wiresweep export STORE.h5 -o FILE.csv");
    WS_CHECK(options->format == FORMAT_CSV || (options->features == NULL && !options->bytes), ARGUMENT,
             "--features and --bytes choose what a table holds: --format csv; pcapml holds whole packets");
    WS_CHECK(options->format == FORMAT_PCAPML ||
                 (options->label == NULL && options->labels == NULL && options->key == NULL && options->stamps == 0),
             ARGUMENT,
             "--label, --labels, --key and --stamps are for packets: --format pcapml; a table has all labels");
    const char *file = ws_job_output_file(options->output);
    const ws_string_list captures = {positional->items + 1, positional->count - 1};
    WS_TRY(ws_job_check_output(options->output));
    WS_TRY(ws_store_open(&store, positional->items[0]));
    ws_err error = options->format == FORMAT_PCAPML ? export_pcapml(&store, options, &captures, file, arena)
                                                    : export_csv(&store, options, file);
    ws_store_close(&store);
    WS_TRY(error);
    return WS_OK;
}

const ws_job ws_job_export = {
    .name = "export",
    .usage = "export STORE.h5 [--format csv|pcapml] [--features TABLE] [--bytes] [-o FILE] [CAPTURE...]",
    .help = "a store as a table for other programs, or its captures with their labels",
    .example = "  wiresweep export flows.h5 --format csv -o flows.csv\n"
               "  wiresweep export flows.h5 --format pcapml -o labelled.pcapng captures/",
    .options = &table,
    .run = run,
};
