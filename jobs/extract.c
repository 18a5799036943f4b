/* wiresweep extract: captures, or flow tables, to a store. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset/dataset.h"
#include "jobs/job.h"

typedef struct extract_job {
    ws_job_common common;
    const char *dataset, *config, *labels, *filter, *output, *memory, *key, *bytes;
    ws_string_list set, protocols, features;
    int64_t packets;
    int endpoints, on_error;
    bool join, append, resume;
} extract_job;

static const ws_option fields[] = {
    WS_JOB_COMMON_OPTIONS(extract_job),
    WS_OPTION_STRING(extract_job, dataset, "generic", "data set family (wiresweep list datasets)"),
    WS_OPTION_PATH(extract_job, config, NULL,
                   "JSON file: the settings below, columns of a table, label rules (as in configs/datasets)"),
    WS_OPTION_PATH(extract_job, labels, NULL, "label file or directory of the data set"),
    WS_OPTION_REPEATED(extract_job, set, "KEY=VALUE: one of the settings below; may be repeated"),
    WS_OPTION_LIST(extract_job, features, NULL,
                   "tables stored beside flow20, e.g. flowconx,first20 (wiresweep list features)"),
    WS_OPTION_STRING(extract_job, filter, NULL, "only packets that match (pcap-filter(7)), e.g. 'tcp port 443'"),
    WS_OPTION_LIST(extract_job, protocols, NULL,
                   "kept as flows besides TCP and UDP: names and numbers (icmp,sctp,gre,89), or all"),
    WS_OPTION_INT(extract_job, packets, 128, 0, 65536, "packets stored per flow; counts and flow20 use all"),
    WS_OPTION_STRING(extract_job, bytes, NULL,
                     "bytes kept of the first packets of a flow, e.g. header:80,payload:240,packets:5"),
    WS_OPTION_ENUM(extract_job, endpoints, "drop", "drop|keyed|prefix|plain",
                   "what is stored of addresses; prefix: Crypto-PAn"),
    WS_OPTION_PATH(extract_job, key, NULL,
                   "file with a secret (32 bytes): --endpoints keyed and prefix need it; it keys key_hash in any case"),
    WS_OPTION_STRING(extract_job, memory, NULL,
                     "bytes a rank may take, e.g. 4G: live flows beyond it go through files beside the store"),
    WS_OPTION_BOOL(extract_job, join, false,
                   "rotated captures: all inputs are one, by the times of their first records; flows span the files "
                   "(several such: settings join and groups)"),
    WS_OPTION_BOOL(
        extract_job, append, false,
        "add the inputs to the store that is there; where there is none, make one that knows its hosts again"),
    WS_OPTION_ENUM(extract_job, on_error, "stop", "stop|skip", "at an input that is not there or cannot be read"),
    WS_OPTION_BOOL(extract_job, resume, false,
                   "go on with an extraction that was stopped or killed, on any number of ranks"),
    WS_OPTION_REQUIRED_PATH(extract_job, output, "-o STORE.h5: the store"),
    WS_OPTION_END};
static const ws_option_table table = {"", sizeof(extract_job), fields, "extraction"};

static ws_err more_help(ws_text *out)
{
    ws_text_append(out, "\nsettings (--set KEY=VALUE, or keys of the JSON file of --config):\n");
    WS_TRY(ws_options_help(&ws_extract_settings_table, true, out));
    return WS_OK;
}

static ws_err read_settings(const extract_job *job, ws_arena *arena, ws_extract_settings *out, bool *has_rules)
{
    ws_json *document = NULL;
    ws_problems problems = {0};
    ws_err error = WS_OK;
    WS_TRY(job->config != NULL ? ws_json_read_file(&document, job->config)
                               : ws_json_read_text(&document, "{}", "--set"));
    for (size_t i = 0; i < job->set.count; i++)
        WS_TRY_GOTO(done, ws_json_set(document, job->set.items[i]));
    WS_TRY_GOTO(done, ws_options_read(&ws_extract_settings_table, document, ws_json_root(document), "",
                                      ws_extract_settings_beside, arena, out, &problems));
    if (job->join && out->join == WS_JOIN_NONE)
        out->join = WS_JOIN_ALL;
    *has_rules = cJSON_GetObjectItemCaseSensitive(ws_json_root(document), "rules") != NULL;
    error = ws_problems_error(&problems);
done:
    ws_json_destroy(&document);
    return error;
}

static void print_tables(const ws_extract_report *report, const char *output)
{
    char seconds[32];
    ws_format_seconds(report->seconds, seconds);
    ws_info("%s: %" PRIu64 " rows of %" PRIu64 " records of %" PRIu64 " flow tables in %s (%.0f rows/s)", output,
            report->flows, report->records, report->inputs, seconds,
            report->seconds > 0 ? (double)report->flows / report->seconds : 0.0);
    for (int i = 0; i < WS_REPORT_REASONS && report->row_reasons[i].help != NULL; i++)
        ws_info("  skipped %" PRIu64 ": %s", report->row_reasons[i].rows, report->row_reasons[i].help);
    if (report->cells_not_finite + report->cells_empty > 0)
        ws_info("  %" PRIu64 " cells with Infinity or NaN and %" PRIu64 " empty ones are 0", report->cells_not_finite,
                report->cells_empty);
    if (report->boundary_repairs > 0)
        ws_info("  %" PRIu64 " shares began inside a record by guess and were read again", report->boundary_repairs);
    ws_info("  %" PRIu64 " rows labelled; every record is accounted for; content hash %s", report->labelled,
            report->content_hash);
}

/* "4G", "512M", "1000000": powers of 1024. */
static ws_err read_size(const char *text, int64_t *out)
{
    static const char units[] = "KMGT";
    *out = 0;
    if (text == NULL)
        return WS_OK;
    char *end = NULL;
    double value = strtod(text, &end);
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
    for (const char *at = units; unit != NULL && at <= unit; at++)
        value *= 1024;
    const bool sound = end != text && (*end == '\0' || (unit != NULL && end[1] == '\0'));
    if (sound && value >= 1024 * 1024 && value < 0x1p60) {
        *out = (int64_t)value;
        return WS_OK;
    }
    ws_err error = WS_ERROR(ARGUMENT, "--memory %s is no size of at least 1M", text);
    WS_HINT("give bytes, or a number with K, M, G or T behind it: --memory 4G");
    return error;
}

static void print_summary(const ws_extract_report *report, const char *output, const char *labels)
{
    char bytes[32], seconds[32];
    ws_format_seconds(report->seconds, seconds);
    ws_info("%s: %" PRIu64 " flows of %" PRIu64 " packets, %" PRIu64 " records of %" PRIu64 " inputs in %s (%.2f Mpps)",
            output, report->flows, report->packets, report->records, report->inputs, seconds,
            report->seconds > 0 ? (double)report->records / report->seconds / 1e6 : 0.0);
    if (report->files != report->inputs)
        ws_info("  the inputs are %" PRIu64 " files, joined by their times", report->files);
    if (report->rows != report->flows && !report->tables)
        ws_info("  the reservoir kept %" PRIu64 " of them", report->rows);
    for (int reason = 1; reason < WS_SKIP_COUNT; reason++)
        if (report->skipped[reason] > 0)
            ws_info("  skipped %" PRIu64 ": %s", report->skipped[reason], ws_skip_help[reason]);
    ws_format_bytes((double)report->damage_bytes, bytes);
    if (report->damage_runs > 0)
        ws_warn("%" PRIu64 " damaged stretches, %s, were skipped; wiresweep inspect %s lists them", report->damage_runs,
                bytes, output);
    if (report->negative_gaps > 0)
        ws_info("  %" PRIu64 " packets earlier than the ones before them in their flow", report->negative_gaps);
    if (report->boundary_repairs > 0)
        ws_info("  %" PRIu64 " stripe starts were guessed wrong and repaired", report->boundary_repairs);
    ws_format_bytes((double)report->spilled_bytes, bytes);
    if (report->spilled_bytes > 0)
        ws_info("  %s of flows and packets went through files for want of memory", bytes);
    if (report->labelled > 0)
        ws_info("  %" PRIu64 " of %" PRIu64 " flows labelled", report->labelled, report->flows);
    else if (labels != NULL && report->flows > 0)
        ws_warn("no flow is labelled: none of %s matches one of these inputs by file name and endpoints", labels);
    ws_info("  every record and byte is accounted for; content hash %s", report->content_hash);
}

static ws_err print_json(const ws_extract_report *report, const char *output)
{
    cJSON *root = cJSON_CreateObject(), *skipped = cJSON_CreateObject();
    ws_text text = {0};
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {{"inputs", report->inputs},
                   {"files", report->files},
                   {"inputs_skipped", report->inputs_skipped},
                   {"records", report->records},
                   {"packets", report->packets},
                   {"flows", report->flows},
                   {"rows", report->rows},
                   {"stored_packets", report->stored_packets},
                   {"damage_runs", report->damage_runs},
                   {"damage_bytes", report->damage_bytes},
                   {"boundary_repairs", report->boundary_repairs},
                   {"negative_gaps", report->negative_gaps},
                   {"labelled", report->labelled},
                   {"rows_skipped", report->rows_skipped},
                   {"cells_not_finite", report->cells_not_finite},
                   {"cells_empty", report->cells_empty},
                   {"spilled_bytes", report->spilled_bytes},
                   {"peak_memory_bytes", report->peak_memory_bytes}};
    cJSON_AddStringToObject(root, "store", output);
    cJSON_AddStringToObject(root, "content_hash", report->content_hash);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        cJSON_AddNumberToObject(root, numbers[i].key, (double)numbers[i].value);
    for (int reason = 1; reason < WS_SKIP_COUNT; reason++)
        cJSON_AddNumberToObject(skipped, ws_skip_names[reason], (double)report->skipped[reason]);
    cJSON_AddItemToObject(root, "skipped", skipped);
    cJSON_AddNumberToObject(root, "seconds", report->seconds);
    ws_err error = ws_json_pretty(root, &text);
    if (error == WS_OK)
        printf("%s\n", ws_text_string(&text));
    cJSON_Delete(root);
    ws_text_destroy(&text);
    return error;
}

static ws_err run(const ws_comm *world, const void *values, const ws_string_list *positional, ws_arena *arena)
{
    static const char *const endpoints[] = {"drop", "keyed", "prefix", "plain"};
    static const int64_t input_hash_from[] = {0, WS_INPUT_HASH_WHOLE, 1};
    const extract_job *job = values;
    ws_extract_settings settings;
    bool has_rules = false;
    WS_TRY(read_settings(job, arena, &settings, &has_rules));
    if (positional->count == 0) {
        ws_err error = WS_ERROR(ARGUMENT, "no inputs were named");
        WS_HINT("wiresweep extract -o STORE.h5 FILE... (files, directories, globs or @LIST)");
        return error;
    }
    int64_t memory;
    WS_TRY(read_size(job->memory, &memory));
    const ws_extract_options options = {.dataset = job->dataset,
                                        .labels = job->labels,
                                        .inputs = *positional,
                                        .output = job->output,
                                        .packets = job->packets,
                                        .idle_timeout = settings.idle_timeout,
                                        .active_timeout = settings.active_timeout,
                                        .round_bytes = settings.round_bytes,
                                        .memory = memory,
                                        .skip_unreadable = job->on_error == 1,
                                        .endpoints = endpoints[job->endpoints],
                                        .key_file = job->key,
                                        .direction_by_syn = settings.direction == 1,
                                        .direction_by_private = settings.direction == 2,
                                        .filter = job->filter,
                                        .protocols = job->protocols,
                                        .stamps = settings.stamps,
                                        .bytes = job->bytes,
                                        .bytes_stripped = (ws_strip)settings.bytes_stripped,
                                        .inner_packets = settings.tunnels == 1,
                                        .window = settings.window,
                                        .features = job->features,
                                        .windows_alone = settings.window_rule != 1,
                                        .window_captures = settings.window_rule == 2,
                                        .windows_from_epoch = settings.window_origin == 1,
                                        .rows = (ws_extract_row)settings.rows,
                                        .reservoir = settings.reservoir,
                                        .reservoir_balanced = settings.reservoir_kind == 1,
                                        .reservoir_seed = settings.reservoir_seed,
                                        .input_hash_from = input_hash_from[settings.input_hash],
                                        .append = job->append,
                                        .join = (ws_join)settings.join,
                                        .groups = settings.groups,
                                        .label_rules = has_rules ? job->config : NULL,
                                        .config = job->config,
                                        .resume = job->resume,
                                        .checkpoint_seconds = settings.checkpoint,
                                        .checkpoint_bytes = settings.checkpoint_bytes,
                                        .skip_not_finite = settings.non_finite == 1};
    ws_extract_report report;
    ws_err error = ws_extract_all(world, &options, &report);
    if (error != WS_OK && error != WS_E_PARTIAL)
        return ws_error_pass(error, __FILE__, __LINE__, __func__);
    if (world->rank == 0) {
        if (report.tables)
            print_tables(&report, job->output);
        else
            print_summary(&report, job->output, job->labels);
        if (job->common.json)
            WS_TRY(print_json(&report, job->output));
    }
    return error;
}

const ws_job ws_job_extract = {
    .name = "extract",
    .usage = "extract [OPTIONS] -o STORE.h5 INPUT...",
    .help = "captures or flow tables to a store: flows with their packets, features, labels",
    .example =
        "  wiresweep extract -o monday.h5 monday.pcap\n"
        "  wiresweep extract --bytes header:80,payload:240,packets:5 -o monday.h5 monday.pcap\n"
        "  wiresweep extract --join -o week.h5 rotated/   # tcpdump -C or -G, dumpcap -b: one capture in many files\n"
        "  mpirun -n 4 wiresweep extract --dataset ndpi --labels results/ -o ndpi.h5 captures/",
    .options = &table,
    .collective = true,
    .more_help = more_help,
    .run = run,
};
