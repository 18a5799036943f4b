/* inspect_other: what is in a file that is no store. Every description is made as JSON and, for people, printed from it line by line.
 */
#include "dataset/dataset.h"

#include <stdio.h>
#include <stdlib.h>

static void add_integer(cJSON *object, const char *name, uint64_t value)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%lld", (long long)value);
    cJSON_AddRawToObject(object, name, digits);
}

/* "name  value" a line; nested objects and arrays as compact JSON, or indented where they are long. */
static void append_lines(const cJSON *object, int depth, ws_text *out)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        if (cJSON_IsObject(item)) {
            ws_text_appendf(out, "%*s%s\n", 2 * depth, "", item->string == NULL ? "" : item->string);
            append_lines(item, depth + 1, out);
            continue;
        }
        char *value = cJSON_IsString(item) ? NULL : cJSON_PrintUnformatted(item);
        ws_text_appendf(out, "%*s%-24s %s\n", 2 * depth, "", item->string == NULL ? "" : item->string,
                        cJSON_IsString(item) ? item->valuestring
                        : value == NULL      ? ""
                                             : value);
        cJSON_free(value);
    }
}

static ws_err append_description(const char *path, const cJSON *root, bool json, ws_text *out)
{
    if (json) {
        char *text = cJSON_Print(root);
        WS_CHECK(text != NULL, MEMORY, "no memory to describe %s", path);
        ws_text_append(out, text);
        ws_text_append(out, "\n");
        cJSON_free(text);
    } else {
        ws_text_appendf(out, "%s\n", path);
        append_lines(root, 1, out);
    }
    return ws_text_check(out);
}

/* ---------------------------------------------------------------- captures */
typedef struct capture_summary {
    uint64_t records, packets, skipped[WS_SKIP_COUNT], wire_bytes, captured_bytes, content_bytes;
    uint64_t damage_runs, damage_bytes, damage_by_reason[WS_DAMAGE_COUNT];
    int64_t first_ns, last_ns;
    int link_types[16]; /* seen, in order of appearance */
    int link_type_count;
} capture_summary;

static void note_link_type(capture_summary *summary, int link_type)
{
    for (int i = 0; i < summary->link_type_count; i++)
        if (summary->link_types[i] == link_type)
            return;
    if (summary->link_type_count < 16)
        summary->link_types[summary->link_type_count++] = link_type;
}

static ws_err walk_capture(const ws_capture *capture, capture_summary *summary)
{
    ws_walk *walk = NULL;
    bool more = true;
    summary->first_ns = INT64_MAX;
    summary->last_ns = INT64_MIN;
    ws_err error = ws_walk_create(&walk, capture, 0);
    if (error == WS_OK)
        error = ws_walk_range(walk, capture->first_record, capture->bytes); /* to the end, also where it is unknown */
    while (error == WS_OK && more) {
        ws_record record;
        ws_packet packet;
        error = ws_walk_next(walk, &record, &more);
        if (error != WS_OK || !more)
            break;
        ws_skip skip = ws_packet_decode(record.frame, record.captured_length, record.wire_length, record.link_type,
                                        record.time_ns, &packet);
        summary->records++;
        summary->packets += skip == WS_SKIP_NONE;
        summary->skipped[skip]++;
        summary->wire_bytes += record.wire_length;
        summary->captured_bytes += record.captured_length;
        summary->first_ns = record.time_ns < summary->first_ns ? record.time_ns : summary->first_ns;
        summary->last_ns = record.time_ns > summary->last_ns ? record.time_ns : summary->last_ns;
        note_link_type(summary, record.link_type);
    }
    if (error == WS_OK) {
        const ws_damage *damage = ws_walk_damage(walk, &summary->damage_runs);
        for (size_t i = 0; i < summary->damage_runs; i++) {
            summary->damage_bytes += damage[i].bytes;
            summary->damage_by_reason[damage[i].reason]++;
        }
        summary->content_bytes = ws_walk_offset(walk);
    }
    ws_walk_destroy(&walk);
    return error;
}

static cJSON *capture_json(const ws_capture *capture, const capture_summary *summary)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "kind", "capture");
    cJSON_AddStringToObject(root, "path", capture->path);
    cJSON_AddStringToObject(root, "format", ws_capture_format_names[capture->format]);
    if (capture->format == WS_CAPTURE_PCAP) {
        cJSON_AddStringToObject(root, "resolution", capture->nanoseconds ? "nanoseconds" : "microseconds");
        cJSON_AddBoolToObject(root, "swapped", capture->swapped);
        add_integer(root, "snap_length", capture->snap_length);
    }
    cJSON *links = cJSON_AddArrayToObject(root, "link_types");
    for (int i = 0; i < summary->link_type_count; i++)
        cJSON_AddItemToArray(links, cJSON_CreateNumber(summary->link_types[i]));
    if (summary->link_type_count == 0 && capture->format == WS_CAPTURE_PCAP)
        cJSON_AddItemToArray(links, cJSON_CreateNumber(capture->link_type));
    add_integer(root, "bytes", capture->stored_bytes);
    if (capture->compression != WS_COMPRESSION_NONE) {
        cJSON_AddStringToObject(root, "compression", ws_compression_names[capture->compression]);
        add_integer(root, "content_bytes", summary->content_bytes);
    }
    add_integer(root, "records", summary->records);
    add_integer(root, "packets", summary->packets);
    if (summary->records > 0) {
        add_integer(root, "first_ns", (uint64_t)summary->first_ns);
        add_integer(root, "last_ns", (uint64_t)summary->last_ns);
    }
    add_integer(root, "wire_bytes", summary->wire_bytes);
    add_integer(root, "captured_bytes", summary->captured_bytes);
    cJSON *skipped = cJSON_AddObjectToObject(root, "skipped");
    for (int s = 1; s < WS_SKIP_COUNT; s++)
        if (summary->skipped[s] > 0)
            add_integer(skipped, ws_skip_names[s], summary->skipped[s]);
    add_integer(root, "damage_runs", summary->damage_runs);
    add_integer(root, "damage_bytes", summary->damage_bytes);
    cJSON *reasons = cJSON_AddObjectToObject(root, "damage_by_reason");
    for (int r = 0; r < WS_DAMAGE_COUNT; r++)
        if (summary->damage_by_reason[r] > 0)
            add_integer(reasons, ws_damage_names[r], summary->damage_by_reason[r]);
    return root;
}

ws_err ws_capture_describe(const char *path, bool json, ws_text *out)
{
    ws_capture capture;
    capture_summary summary = {0};
    WS_TRY(ws_capture_open(&capture, path));
    ws_err error = walk_capture(&capture, &summary);
    if (error == WS_OK) {
        cJSON *root = capture_json(&capture, &summary);
        error = append_description(path, root, json, out);
        cJSON_Delete(root);
    }
    ws_capture_close(&capture);
    WS_TRY(error);
    return WS_OK;
}

/* ---------------------------------------------------------------- HDF5 */
static herr_t add_dataset(hid_t root, const char *name, const H5O_info_t *info, void *context)
{
    int dimensions;
    hsize_t shape[4];
    if (info->type != H5O_TYPE_DATASET)
        return 0;
    if (ws_h5_dataset_shape(root, name, &dimensions, shape) != WS_OK)
        return -1;
    cJSON *extent = cJSON_AddArrayToObject(context, name);
    for (int d = 0; d < dimensions && d < 4; d++)
        cJSON_AddItemToArray(extent, cJSON_CreateNumber((double)shape[d]));
    return 0;
}

static herr_t add_attribute(hid_t location, const char *name, const H5A_info_t *info, void *context)
{
    (void)info;
    char *text = NULL;
    int64_t integer;
    double number;
    if (ws_h5_read_attribute_text(location, ".", name, &text) == WS_OK)
        cJSON_AddStringToObject(context, name, text);
    else if (ws_h5_read_attribute_i64(location, ".", name, &integer) == WS_OK)
        add_integer(context, name, (uint64_t)integer);
    else if (ws_h5_read_attribute_double(location, ".", name, &number) == WS_OK)
        cJSON_AddNumberToObject(context, name, number);
    ws_error_clear(); /* an attribute of another type is passed over */
    free(text);
    return 0;
}

ws_err ws_hdf5_describe(const char *path, bool json, ws_text *out)
{
    hid_t file;
    WS_TRY(ws_h5_open(path, &file));
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "kind", "hdf5");
    cJSON_AddStringToObject(root, "path", path);
    hsize_t at = 0;
    ws_err error = WS_OK;
    WS_H5_GOTO(out, H5Aiterate2(file, H5_INDEX_NAME, H5_ITER_INC, &at, add_attribute,
                                cJSON_AddObjectToObject(root, "attributes")));
    WS_H5_GOTO(out, H5Ovisit(file, H5_INDEX_NAME, H5_ITER_INC, add_dataset, cJSON_AddObjectToObject(root, "datasets")));
    error = append_description(path, root, json, out);
out:
    cJSON_Delete(root);
    H5Fclose(file);
    return error;
}

/* ---------------------------------------------------------------- JSON */
ws_err ws_json_describe(const char *path, bool json, ws_text *out)
{
    ws_json *document = NULL;
    WS_TRY(ws_json_read_file(&document, path));
    ws_err error = append_description(path, ws_json_root(document), json, out);
    ws_json_destroy(&document);
    WS_TRY(error);
    return WS_OK;
}
