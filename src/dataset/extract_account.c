/* The books of an extraction: counters of all ranks summed, the conservation check, provenance, the report.
 *
 * Conservation, for each input: every record is a packet or skipped for one reason, the same for captured bytes; the
 * bytes of a classic pcap are its header, its records and its damage; every packet, and every byte of IP length, is in
 * one row of the store. The two sides are counted in different places (the walks, the written rows), mostly on
 * different ranks.
 */
#include "dataset/extract_append.h"
#include "dataset/store_summary.h"

#include <stdlib.h>

static ws_err sum_counts_all(extraction *x)
{
    uint64_t *words = NULL;
    ws_err local = WS_NEW_ARRAY(words, x->input_count * EXTRACT_COUNTS);
    for (size_t i = 0; local == WS_OK && i < x->input_count; i++)
        memcpy(words + i * EXTRACT_COUNTS, &x->inputs[i].counts, sizeof x->inputs[i].counts);
    ws_err error = ws_agree_all(x->comm, local);
    if (error == WS_OK)
        error = ws_sum_u64_all(x->comm, words, x->input_count * EXTRACT_COUNTS);
    for (size_t i = 0; error == WS_OK && i < x->input_count; i++)
        memcpy(&x->inputs[i].counts, words + i * EXTRACT_COUNTS, sizeof x->inputs[i].counts);
    free(words);
    return error;
}

static void add_counts(extract_counts *total, const extract_counts *more)
{
    for (size_t c = 0; c < EXTRACT_COUNTS; c++)
        ((uint64_t *)total)[c] += ((const uint64_t *)more)[c];
}

static extract_counts total_counts(const extraction *x)
{
    extract_counts total = {0};
    for (size_t i = 0; i < x->input_count; i++)
        add_counts(&total, &x->inputs[i].counts);
    return total;
}

/* Of the files of an input of the store. */
static extract_counts group_counts(const extraction *x, size_t group)
{
    extract_counts total = {0};
    const size_t first = x->groups[group].first;
    for (size_t i = first; i < first + x->groups[group].count; i++)
        add_counts(&total, &x->inputs[i].counts);
    return total;
}

static ws_err check_conservation(const extraction *x)
{
    for (size_t i = 0; i < x->input_count; i++) {
        const extract_input *input = &x->inputs[i];
        const extract_counts *c = &input->counts;
        uint64_t skipped = 0, skipped_captured = 0;
        for (int reason = 0; reason < WS_SKIP_COUNT; reason++) {
            skipped += c->skipped[reason];
            skipped_captured += c->skipped_captured[reason];
        }
        WS_TRY(extract_check_equal(input->path, "records, and packets with skipped records,", c->records,
                                   c->packets + skipped));
        WS_TRY(extract_check_equal(input->path, "captured bytes, and those of packets and skipped records,",
                                   c->captured, c->packets_captured + skipped_captured));
        WS_TRY(extract_check_equal(input->path, "numbered and counted records", input->records, c->records));
        if (input->record_header > 0)
            WS_TRY(extract_check_equal(input->path, "bytes of the file, and of header, records and damage,",
                                       input->compressed ? input->next_offset : input->bytes,
                                       input->first_record + c->records * input->record_header + c->captured +
                                           c->damage_bytes));
    }
    for (size_t g = 0; g < x->group_count; g++) {
        const char *name = x->group_names.items[g];
        const extract_counts c = group_counts(x, g);
        WS_TRY(extract_check_equal(name, "packets, and packets in flows,", c.packets, c.flow_packets));
        WS_TRY(extract_check_equal(name, "bytes of packets, and bytes in flows,", c.packets_ip, c.flow_ip));
    }
    return WS_OK;
}

/* ---------------------------------------------------------------- damage of all ranks in one order */
static int compare_damage(const void *a, const void *b)
{
    const ws_damage *x = a, *y = b;
    if (x->input != y->input)
        return x->input < y->input ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static ws_err gather_damage_all(extraction *x)
{
    ws_damage *all = NULL;
    size_t bytes = 0;
    WS_TRY(ws_gather_all(x->comm, x->damage, x->damage_count * sizeof *x->damage, (void **)&all, &bytes, NULL));
    free(x->damage);
    x->damage = all;
    x->damage_count = x->damage_capacity = bytes / sizeof *all;
    qsort(x->damage, x->damage_count, sizeof *x->damage, compare_damage);
    return WS_OK;
}

/* ---------------------------------------------------------------- counters and options as JSON */
static cJSON *counts_json(const extract_counts *c)
{
    cJSON *object = cJSON_CreateObject();
    extract_put_number(object, "records", c->records);
    extract_put_number(object, "captured_bytes", c->captured);
    extract_put_number(object, "packets_in_flows", c->flow_packets);
    extract_put_number(object, "packets_in_flows_captured_bytes", c->packets_captured);
    extract_put_number(object, "packets_in_flows_ip_bytes", c->flow_ip);
    extract_put_reasons(object, "skipped", ws_skip_names, c->skipped, WS_SKIP_COUNT);
    extract_put_reasons(object, "skipped_captured_bytes", ws_skip_names, c->skipped_captured, WS_SKIP_COUNT);
    extract_put_number(object, "damage_runs", c->damage_runs);
    extract_put_number(object, "damage_bytes", c->damage_bytes);
    extract_put_number(object, "flows", c->flows);
    extract_put_number(object, "stored_packets", c->stored_packets);
    return object;
}

static cJSON *input_counts_json(const void *x, size_t input)
{
    const extract_counts counts = group_counts(x, input);
    return counts_json(&counts);
}

/* What can be said of a file where flows are of several. */
static cJSON *file_counts_json(const extraction *x, size_t file)
{
    const extract_counts *c = &x->inputs[file].counts;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", x->names.items[file]);
    extract_put_number(object, "input", x->inputs[file].group);
    extract_put_number(object, "records", c->records);
    extract_put_number(object, "captured_bytes", c->captured);
    extract_put_number(object, "packets", c->packets);
    extract_put_number(object, "packets_ip_bytes", c->packets_ip);
    extract_put_reasons(object, "skipped", ws_skip_names, c->skipped, WS_SKIP_COUNT);
    extract_put_number(object, "damage_runs", c->damage_runs);
    extract_put_number(object, "damage_bytes", c->damage_bytes);
    return object;
}

typedef struct table_totals {
    uint64_t ended[5], negative_gaps, rows;
} table_totals;

static ws_err counters_json_all(const extraction *x, const table_totals *totals, ws_label_counters *labels,
                                ws_text *out)
{
    ws_text label_text = {0};
    WS_TRY(ws_labels_report_all(x->comm, x->labels, labels, &label_text));
    if (x->comm->rank > 0) { /* the first rank writes it, and there may be many inputs */
        ws_text_destroy(&label_text);
        return WS_OK;
    }
    cJSON *root = cJSON_CreateObject();
    extract_counts total = total_counts(x);
    cJSON_AddItemToObject(root, "sum", counts_json(&total));
    extract_put_inputs(root, x, input_counts_json, x);
    cJSON *files = extract_is_joined(x) ? cJSON_AddArrayToObject(root, "files") : NULL;
    for (size_t i = 0; files != NULL && i < x->input_count; i++)
        cJSON_AddItemToArray(files, file_counts_json(x, i));
    cJSON *ended = cJSON_AddObjectToObject(root, "flows_ended");
    for (int e = 0; e < WS_STORE_ENDS; e++)
        extract_put_number(ended, ws_store_end_names[e], totals->ended[e]);
    extract_put_number(root, "negative_gaps", totals->negative_gaps);
    extract_put_number(root, "boundary_repairs", x->boundary_repairs);
    if (x->options->reservoir > 0)
        extract_put_number(root, "rows", totals->rows);
    cJSON_AddStringToObject(root, "conservation",
                            "checked: every record and byte is in a flow or counted as skipped or damaged");
    cJSON_AddItemToObject(root, "labels", cJSON_Parse(ws_text_string(&label_text)));
    ws_err error = ws_json_canonical(root, out);
    cJSON_Delete(root);
    ws_text_destroy(&label_text);
    return error;
}

ws_err extract_options_json(const extraction *x, ws_text *out)
{
    const ws_extract_options *o = x->options;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "dataset", o->dataset);
    extract_put_number(root, "packets", x->rules.max_packets);
    cJSON_AddNumberToObject(root, "idle_timeout", (double)x->rules.idle_timeout_ns / 1e9);
    cJSON_AddNumberToObject(root, "active_timeout", (double)x->rules.active_timeout_ns / 1e9);
    cJSON_AddNumberToObject(root, "linger", (double)x->rules.linger_ns / 1e9);
    cJSON_AddStringToObject(root, "direction",
                            x->rules.direction_by_private ? "private"
                            : x->rules.direction_by_syn   ? "syn"
                                                          : "first");
    cJSON_AddStringToObject(root, "endpoints", o->endpoints);
    cJSON_AddStringToObject(root, "tunnels", o->inner_packets ? "inner" : "outer");
    if (o->filter != NULL)
        cJSON_AddStringToObject(root, "filter", o->filter);
    if (o->bytes != NULL) {
        cJSON_AddStringToObject(root, "bytes", o->bytes);
        cJSON_AddStringToObject(root, "bytes_stripped", ws_strip_names[o->bytes_stripped]);
    }
    if (o->protocols.count > 0)
        cJSON_AddItemToObject(
            root, "protocols",
            cJSON_CreateStringArray((const char *const *)o->protocols.items, (int)o->protocols.count));
    if (x->rules.keys_whole)
        cJSON_AddStringToObject(root, "rows", "sample");
    if (x->rules.window_ns > 0)
        cJSON_AddNumberToObject(root, "window", (double)x->rules.window_ns / 1e9);
    cJSON *features = x->feature_count > 0 ? cJSON_AddArrayToObject(root, "features") : NULL;
    for (size_t t = 0; t < x->feature_count; t++)
        cJSON_AddItemToArray(features, cJSON_CreateString(x->features[t]->table.name));
    if (x->rules.window_ns > 0) {
        cJSON_AddStringToObject(root, "window_rule",
                                x->options->window_captures ? "capture"
                                : x->rules.windows_alone    ? "alone"
                                                            : "flows");
        cJSON_AddStringToObject(root, "window_origin", x->options->windows_from_epoch ? "epoch" : "first");
    }
    if (o->reservoir > 0) {
        cJSON_AddNumberToObject(root, "reservoir", (double)o->reservoir);
        cJSON_AddStringToObject(root, "reservoir_kind", o->reservoir_balanced ? "balanced" : "uniform");
        cJSON_AddNumberToObject(root, "reservoir_seed", (double)o->reservoir_seed);
    }
    extract_put_hash_form(root, o);
    static const char *const joins[] = {"none", "all", "directory"};
    if (o->join != WS_JOIN_NONE)
        cJSON_AddStringToObject(root, "join", joins[o->join]);
    if (o->groups.count > 0)
        cJSON_AddItemToObject(root, "groups", cJSON_CreateStringArray(o->groups.items, (int)o->groups.count));
    if (o->labels != NULL)
        cJSON_AddStringToObject(root, "labels", ws_path_base(o->labels));
    ws_err error = ws_json_canonical(root, out);
    cJSON_Delete(root);
    return error;
}

/* ---------------------------------------------------------------- the end of the run */
static void fill_report(const extraction *x, const table_totals *totals, ws_extract_report *report)
{
    extract_counts total = total_counts(x);
    report->inputs = x->group_count - x->old_groups;
    report->files = x->input_count;
    report->inputs_skipped = x->skipped_count;
    report->records = total.records;
    report->packets = total.packets;
    memcpy(report->skipped, total.skipped, sizeof report->skipped);
    report->flows = total.flows;
    report->stored_packets = total.stored_packets;
    report->damage_runs = total.damage_runs;
    report->damage_bytes = total.damage_bytes;
    report->boundary_repairs = x->boundary_repairs;
    report->negative_gaps = totals->negative_gaps;
    report->rows = x->options->reservoir > 0 ? totals->rows : total.flows;
}

ws_err extract_finish_all(extraction *x, ws_extract_report *report)
{
    WS_TRY(sum_counts_all(x));
    WS_TRY(check_conservation(x)); /* sums are the same on all ranks, and so is the outcome */
    WS_TRY(gather_damage_all(x));
    const ws_flow_counters *mine = ws_flow_table_counters(x->table);
    table_totals totals = {.negative_gaps = mine->negative_gaps, .rows = x->rows_written};
    totals.negative_gaps += x->earlier.negative_gaps;
    for (int e = 0; e < 5; e++)
        totals.ended[e] = mine->ended[e] + x->earlier.ended[e];
    WS_TRY(ws_sum_u64_all(x->comm, (uint64_t *)&totals, sizeof totals / sizeof(uint64_t)));
    uint64_t labelled = x->labelled;
    WS_TRY(ws_sum_u64_all(x->comm, &labelled, 1));
    report->labelled = labelled;

    ws_text options = {0}, counters = {0};
    ws_label_counters labels;
    ws_err error = counters_json_all(x, &totals, &labels, &counters);
    if (error == WS_OK)
        error = extract_options_json(x, &options);
    error = ws_agree_all(x->comm, error);
    ws_store_provenance provenance = {.options_json = ws_text_string(&options),
                                      .counters_json = ws_text_string(&counters),
                                      .damage = x->damage,
                                      .damage_count = x->damage_count};
    if (x->append != NULL) {
        provenance.levels = x->append->levels;
        provenance.renumber = (const int32_t *const *)x->append->renumber;
    }
    if (error == WS_OK)
        error = extract_finish_store_all(x, &provenance, report->content_hash);
    ws_text_destroy(&options);
    ws_text_destroy(&counters);
    fill_report(x, &totals, report);
    return error;
}
