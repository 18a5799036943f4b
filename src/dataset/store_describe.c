/* store_describe: what is in a store, for people and as JSON. Reads attributes and small datasets, so that it takes no longer
 * for a large store; only of stores written without counts it reads the columns they follow from.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "dataset/store_layout.h"

typedef struct description {
    ws_store_summary summary;
    char **inputs, **input_sha256; /* the latter NULL where the store has none */
    size_t sha256_count;
    uint64_t *input_bytes, *input_records, input_count, damage_runs;
    char **files, **file_sha256; /* where an input is several */
    size_t file_count;
    uint64_t *file_bytes, *file_records, *file_inputs;
    char *options, *counters, *version, *endpoints;
    ws_byte_view view;
    int64_t apart_from; /* row; -1: a host has one number */
} description;

static void description_destroy(description *d)
{
    ws_store_summary_destroy(&d->summary);
    if (d->inputs != NULL)
        ws_texts_destroy(&d->inputs, d->input_count);
    if (d->input_sha256 != NULL)
        ws_texts_destroy(&d->input_sha256, d->sha256_count);
    if (d->files != NULL)
        ws_texts_destroy(&d->files, d->file_count);
    if (d->file_sha256 != NULL)
        ws_texts_destroy(&d->file_sha256, d->file_count);
    free(d->input_bytes);
    free(d->input_records);
    free(d->file_bytes);
    free(d->file_records);
    free(d->file_inputs);
    free(d->options);
    free(d->counters);
    free(d->version);
    free(d->endpoints);
}

static ws_err read_files(const ws_store *store, description *d)
{
    size_t count;
    if (!ws_h5_exists(store->file, "/provenance/files"))
        return WS_OK;
    WS_TRY(ws_h5_read_texts(store->file, "/provenance/files/name", &d->files, &d->file_count));
    WS_TRY(ws_h5_read_texts(store->file, "/provenance/files/sha256", &d->file_sha256, &count));
    WS_CHECK(count == d->file_count, FORMAT, "%s: %zu hashes of %zu files", store->path, count, d->file_count);
    WS_TRY(WS_NEW_ARRAY(d->file_bytes, count));
    WS_TRY(WS_NEW_ARRAY(d->file_records, count));
    WS_TRY(WS_NEW_ARRAY(d->file_inputs, count));
    WS_TRY(ws_store_read(store, "/provenance/files/bytes", H5T_NATIVE_UINT64, 0, count, d->file_bytes));
    WS_TRY(ws_store_read(store, "/provenance/files/records", H5T_NATIVE_UINT64, 0, count, d->file_records));
    WS_TRY(ws_store_read(store, "/provenance/files/input", H5T_NATIVE_UINT64, 0, count, d->file_inputs));
    return WS_OK;
}

static ws_err read_provenance(const ws_store *store, description *d)
{
    int dimensions;
    hsize_t shape[4];
    WS_TRY(ws_h5_read_attribute_text(store->file, ".", "version", &d->version));
    WS_TRY(ws_store_byte_view(store, &d->view));
    WS_TRY(ws_h5_read_attribute_text(store->file, ".", "endpoints", &d->endpoints));
    WS_TRY(ws_h5_read_attribute_text(store->file, "/provenance", "options", &d->options));
    WS_TRY(ws_h5_read_attribute_text(store->file, "/provenance", "counters", &d->counters));
    WS_TRY(ws_h5_read_texts(store->file, "/provenance/inputs", &d->inputs, &d->input_count));
    if (ws_h5_exists(store->file, "/provenance/input_sha256"))
        WS_TRY(ws_h5_read_texts(store->file, "/provenance/input_sha256", &d->input_sha256, &d->sha256_count));
    WS_TRY(WS_NEW_ARRAY(d->input_bytes, d->input_count));
    WS_TRY(WS_NEW_ARRAY(d->input_records, d->input_count));
    WS_TRY(ws_store_read(store, "/provenance/input_bytes", H5T_NATIVE_UINT64, 0, d->input_count, d->input_bytes));
    WS_TRY(ws_store_read(store, "/provenance/input_records", H5T_NATIVE_UINT64, 0, d->input_count, d->input_records));
    WS_TRY(ws_h5_dataset_shape(store->file, "/provenance/damage/offset", &dimensions, shape));
    d->damage_runs = shape[0];
    d->apart_from = -1;
    if (ws_store_hosts_apart(store))
        WS_TRY(ws_h5_read_attribute_i64(store->file, "/flows/host_id", WS_HOSTS_APART, &d->apart_from));
    return read_files(store, d);
}

static ws_err collect(const ws_store *store, description *d)
{
    WS_TRY(read_provenance(store, d));
    WS_CHECK(store->level_count <= WS_LABEL_LEVELS_MAX, FORMAT, "%s: %zu label levels", store->path,
             store->level_count);
    WS_TRY(ws_store_summary_create(&d->summary, d->input_count, store->level_count));
    if (ws_h5_exists(store->file, "/provenance/counts"))
        WS_TRY(ws_store_summary_read(store, &d->summary));
    else
        WS_TRY(ws_store_summary_count(store, 0, 1, &d->summary));
    return WS_OK;
}

/* "2017-07-03 11:55:58 UTC" */
static void format_time(int64_t ns, char out[40])
{
    time_t seconds = (time_t)(ns / 1000000000);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL || strftime(out, 40, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0)
        snprintf(out, 40, "%lld ns", (long long)ns);
}

/* ---------------------------------------------------------------- for people */
/* The sums of the counters, a line each, and what was skipped by reason; all of them as they are where they have no sums. */
static void append_counters(const description *d, ws_text *out)
{
    cJSON *counters = cJSON_Parse(d->counters);
    const cJSON *sum = cJSON_GetObjectItemCaseSensitive(counters, "sum"), *item, *reason;
    if (sum == NULL)
        ws_text_appendf(out, "  counters      %s\n", d->counters);
    else
        ws_text_append(out, "  counters (--json shows them by input)\n");
    cJSON_ArrayForEach(item, sum)
    {
        if (cJSON_IsNumber(item))
            ws_text_appendf(out, "    %-40s %12.0f\n", item->string, item->valuedouble);
        cJSON_ArrayForEach(reason, item)
        {
            int width = 40 - (int)strlen(item->string) - 1;
            ws_text_appendf(out, "    %s %-*s %12.0f\n", item->string, width > 0 ? width : 0, reason->string,
                            reason->valuedouble);
        }
    }
    cJSON_Delete(counters);
}

/* Flows by why they ended and by class. */
static void append_counts(const ws_store *store, const ws_store_summary *summary, ws_text *out)
{
    ws_text_append(out, "  flows that ended by\n");
    for (int e = 0; e < WS_STORE_ENDS; e++)
        ws_text_appendf(out, "    %-40s %12llu\n", ws_store_end_names[e], (unsigned long long)summary->ends[e]);
    for (size_t l = 0; l < store->level_count; l++) {
        const ws_label_level *level = &store->levels[l];
        const ws_class_counts *counts = &summary->levels[l];
        ws_text_appendf(out, "  label %s (%zu classes, %llu flows without)\n", level->name, level->classes,
                        (unsigned long long)counts->without);
        for (size_t c = 0; c < level->classes; c++)
            ws_text_appendf(out, "    %-40s %12llu\n", level->names[c], (unsigned long long)counts->counts[c]);
    }
}

static void describe_text(const ws_store *store, const description *d, ws_text *out)
{
    char first[40], last[40], bytes[32];
    ws_text_appendf(out, "%s: store of data set %s, schema %d, written by wiresweep %s\n", store->path, store->dataset,
                    WS_STORE_SCHEMA, d->version);
    ws_text_appendf(out, "  content hash  %s\n", store->content_hash);
    ws_text_appendf(out, "  flows         %llu, with %llu packets stored; endpoints: %s\n",
                    (unsigned long long)store->rows, (unsigned long long)store->packets, d->endpoints);
    if (d->view.packets > 0)
        ws_text_appendf(
            out, "  bytes         of the first %u packets %u of the header and %u of the payload; stripped: %s\n",
            d->view.packets, d->view.header, d->view.payload, ws_strip_names[d->view.stripped]);
    if (d->apart_from >= 0)
        ws_text_appendf(
            out, "  hosts         of rows from %lld on have numbers of their own, also where rows before have them\n",
            (long long)d->apart_from);
    if (store->rows > 0) {
        format_time(d->summary.first_ns, first);
        format_time(d->summary.last_ns, last);
        ws_text_appendf(out, "  time          %s to %s\n", first, last);
    }
    uint64_t total = 0, records = 0;
    for (uint64_t i = 0; i < d->input_count; i++) {
        total += d->input_bytes[i];
        records += d->input_records[i];
    }
    ws_format_bytes((double)total, bytes);
    ws_text_appendf(out, "  inputs        %llu (%s, %llu records, %llu runs of damage)\n",
                    (unsigned long long)d->input_count, bytes, (unsigned long long)records,
                    (unsigned long long)d->damage_runs);
    for (uint64_t i = 0; i < d->input_count && i < 20; i++)
        ws_text_appendf(out, "    %-40s %12llu bytes %10llu records %10llu flows\n", d->inputs[i],
                        (unsigned long long)d->input_bytes[i], (unsigned long long)d->input_records[i],
                        (unsigned long long)d->summary.inputs[i]);
    if (d->input_count > 20)
        ws_text_appendf(out, "    ... and %llu more (--json shows all)\n", (unsigned long long)d->input_count - 20);
    if (d->file_count > 0)
        ws_text_appendf(out, "  files         %zu, joined to these inputs (--json shows them)\n", d->file_count);
    append_counts(store, &d->summary, out);
    ws_text_appendf(out, "  options       %s\n", d->options);
    append_counters(d, out);
}

/* ---------------------------------------------------------------- for machines */
static cJSON *parsed_or_text(const char *text)
{
    cJSON *value = cJSON_Parse(text);
    return value != NULL ? value : cJSON_CreateString(text);
}

/* Integers up to 2^63 as they are: cJSON's doubles would round them. */
static void add_integer(cJSON *object, const char *name, int64_t value)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%lld", (long long)value);
    cJSON_AddRawToObject(object, name, digits);
}

static void add_levels(cJSON *root, const ws_store *store, const description *d)
{
    cJSON *labels = cJSON_AddObjectToObject(root, "labels");
    for (size_t l = 0; l < store->level_count; l++) {
        const ws_label_level *level = &store->levels[l];
        cJSON *entry = cJSON_AddObjectToObject(labels, level->name),
              *classes = cJSON_AddObjectToObject(entry, "classes");
        for (size_t c = 0; c < level->classes; c++)
            add_integer(classes, level->names[c], (int64_t)d->summary.levels[l].counts[c]);
        add_integer(entry, "without_label", (int64_t)d->summary.levels[l].without);
    }
}

/* Of an input that was hashed as a tree; older stores have no leaves. */
static void add_hash_form(cJSON *input, const cJSON *options)
{
    static const char *const keys[][2] = {{"input_hash_block", "sha256_block"}, {"input_hash_leaf", "sha256_leaf"}};
    for (size_t i = 0; i < 2; i++) {
        const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(options, keys[i][0]);
        if (cJSON_IsNumber(bytes))
            cJSON_AddNumberToObject(input, keys[i][1], bytes->valuedouble);
    }
}

static ws_err describe_json(const ws_store *store, const description *d, ws_text *out)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "kind", "store");
    cJSON_AddStringToObject(root, "path", store->path);
    cJSON_AddStringToObject(root, "dataset", store->dataset);
    add_integer(root, "schema", WS_STORE_SCHEMA);
    cJSON_AddStringToObject(root, "version", d->version);
    cJSON_AddStringToObject(root, "endpoints", d->endpoints);
    cJSON_AddStringToObject(root, "content_hash", store->content_hash);
    add_integer(root, "rows", (int64_t)store->rows);
    add_integer(root, "packets", (int64_t)store->packets);
    if (d->view.packets > 0) {
        cJSON *bytes = cJSON_AddObjectToObject(root, "bytes");
        add_integer(bytes, "packets", d->view.packets);
        add_integer(bytes, "header", d->view.header);
        add_integer(bytes, "payload", d->view.payload);
        cJSON_AddStringToObject(bytes, "stripped", ws_strip_names[d->view.stripped]);
    }
    if (store->rows > 0) {
        add_integer(root, "first_ns", d->summary.first_ns);
        add_integer(root, "last_ns", d->summary.last_ns);
    }
    if (d->apart_from >= 0)
        add_integer(root, "hosts_apart_from", d->apart_from);
    cJSON *inputs = cJSON_AddArrayToObject(root, "inputs"), *options = parsed_or_text(d->options);
    const cJSON *hash_from = cJSON_GetObjectItemCaseSensitive(options, "input_hash_from");
    for (uint64_t i = 0; i < d->input_count; i++) {
        cJSON *input = cJSON_CreateObject();
        cJSON_AddStringToObject(input, "name", d->inputs[i]);
        add_integer(input, "bytes", (int64_t)d->input_bytes[i]);
        add_integer(input, "records", (int64_t)d->input_records[i]);
        if (i < d->sha256_count)
            cJSON_AddStringToObject(input, "sha256", d->input_sha256[i]);
        if (i < d->sha256_count && d->file_count == 0 && cJSON_IsNumber(hash_from) &&
            (double)d->input_bytes[i] >= hash_from->valuedouble)
            add_hash_form(input, options);
        add_integer(input, "rows", (int64_t)d->summary.inputs[i]);
        cJSON_AddItemToArray(inputs, input);
    }
    cJSON *files = d->file_count > 0 ? cJSON_AddArrayToObject(root, "files") : NULL;
    for (size_t i = 0; i < d->file_count; i++) {
        cJSON *file = cJSON_CreateObject();
        cJSON_AddStringToObject(file, "name", d->files[i]);
        add_integer(file, "input", (int64_t)d->file_inputs[i]);
        add_integer(file, "bytes", (int64_t)d->file_bytes[i]);
        add_integer(file, "records", (int64_t)d->file_records[i]);
        cJSON_AddStringToObject(file, "sha256", d->file_sha256[i]);
        cJSON_AddItemToArray(files, file);
    }
    add_integer(root, "damage_runs", (int64_t)d->damage_runs);
    cJSON *ends = cJSON_AddObjectToObject(root, "ends");
    for (int e = 0; e < WS_STORE_ENDS; e++)
        add_integer(ends, ws_store_end_names[e], (int64_t)d->summary.ends[e]);
    add_levels(root, store, d);
    cJSON_AddItemToObject(root, "options", options);
    cJSON_AddItemToObject(root, "counters", parsed_or_text(d->counters));
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    WS_CHECK(text != NULL, MEMORY, "no memory to describe %s", store->path);
    ws_text_append(out, text);
    ws_text_append(out, "\n");
    cJSON_free(text);
    return WS_OK;
}

ws_err ws_store_describe(const ws_store *store, bool json, ws_text *out)
{
    description d = {0};
    ws_err error = collect(store, &d);
    if (error == WS_OK && json)
        error = describe_json(store, &d, out);
    else if (error == WS_OK)
        describe_text(store, &d, out);
    description_destroy(&d);
    WS_TRY(error);
    return ws_text_check(out);
}
