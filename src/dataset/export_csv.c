/* export_csv: a store as one CSV table (RFC 4180), a row a flow: names, times, counts, endpoints where kept, labels by
 * name, the features with nine digits (which give the same float back), sessions and hosts; where asked for, the kept bytes of
 * packets in hex. Packets are not exported otherwise.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "dataset/csv.h"
#include "dataset/store_layout.h"

enum { BLOCK_ROWS = 8192 };

typedef struct csv_export {
    const ws_store *store;
    FILE *file;
    const char *target; /* for messages */
    ws_store_row *rows;
    float *features;
    const char *wanted; /* feature table; NULL: the first */
    char table[256];
    ws_arena *arena;
    int columns;
    ws_string_list column_names;
    unsigned char *column;
    char **inputs;
    size_t input_count;
    bool endpoints;
    uint64_t block_rows;
    ws_byte_view view; /* packets 0: bytes are not exported */
    uint8_t *values;
    uint16_t *kept;
    ws_text text;
} csv_export;

/* Reads one column of a block into the rows' member. */
static ws_err read_member(csv_export *export, const ws_store_column *column, uint64_t begin, uint64_t count)
{
    hid_t type = ws_stored_memory_type(column->type);
    ws_err error = ws_store_read(export->store, column->path, type, begin, count, export->column);
    ws_stored_release(column->type, type);
    WS_TRY(error);
    size_t bytes = ws_stored_size(column->type);
    for (uint64_t i = 0; i < count; i++)
        memcpy((unsigned char *)&export->rows[i] + column->offset, export->column + i * bytes, bytes);
    return WS_OK;
}

static ws_err read_block(csv_export *export, uint64_t begin, uint64_t count)
{
    for (const ws_store_column *column = ws_flow_columns; column->path != NULL; column++)
        WS_TRY(read_member(export, column, begin, count));
    for (const ws_store_column *column = ws_endpoint_columns; export->endpoints && column->path != NULL; column++)
        WS_TRY(read_member(export, column, begin, count));
    for (size_t l = 0; l < export->store->level_count; l++) {
        char *path = ws_format("/labels/%s", export->store->levels[l].name);
        WS_CHECK(path != NULL, MEMORY, "no memory to export %s", export->store->path);
        const ws_store_column column = {path, WS_STORED_I32, offsetof(ws_store_row, labels) + l * sizeof(int32_t)};
        ws_err error = read_member(export, &column, begin, count);
        free(path);
        WS_TRY(error);
    }
    WS_TRY(ws_store_read_features(export->store, export->table, begin, count, export->features));
    if (export->view.packets > 0)
        WS_TRY(ws_store_read_bytes(export->store, begin, count, export->values, export->kept, NULL));
    return WS_OK;
}

static void append_header(csv_export *export)
{
    ws_text *out = &export->text;
    ws_text_append(out, "row_hash,input,first_ordinal,protocol,first_ns,last_ns,packets_forward,packets_backward,"
                        "bytes_forward,bytes_backward,payload_forward,payload_backward,end,session_id,host_id");
    if (export->endpoints)
        ws_text_append(out, ",source,destination");
    for (size_t l = 0; l < export->store->level_count; l++) {
        ws_text_append(out, ",label_");
        ws_csv_append(out, export->store->levels[l].name);
    }
    for (int c = 0; c < export->columns; c++) {
        ws_text_append(out, ",");
        ws_csv_append(out, export->column_names.items[c]);
    }
    for (uint32_t k = 1; k <= export->view.packets; k++)
        ws_text_appendf(out, ",header_%u,payload_%u", k, k);
    ws_text_append(out, "\r\n");
}

static void append_hex(ws_text *out, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    char text[129] = "";
    for (size_t done = 0; done < count;) {
        const size_t here = count - done < 64 ? count - done : 64;
        for (size_t i = 0; i < here; i++, done++) {
            text[2 * i] = digits[bytes[done] >> 4];
            text[2 * i + 1] = digits[bytes[done] & 15];
        }
        text[2 * here] = '\0';
        ws_text_append(out, text);
    }
}

/* The bytes that are the packets' own, without what fills them up. */
static void append_bytes(csv_export *export, uint64_t row)
{
    const size_t width = (size_t) export->view.header + export->view.payload;
    for (size_t k = row * export->view.packets; k < (row + 1) * export->view.packets; k++) {
        const uint8_t *values = export->values + k * width;
        const uint16_t *kept = export->kept + 2 * k;
        ws_text_append(&export->text, ",");
        append_hex(&export->text, values, kept[0] < export->view.header ? kept[0] : export->view.header);
        ws_text_append(&export->text, ",");
        append_hex(&export->text, values + export->view.header,
                   kept[1] < export->view.payload ? kept[1] : export->view.payload);
    }
}

static void append_row(csv_export *export, const ws_store_row *row, const float *features)
{
    ws_text *out = &export->text;
    ws_text_appendf(out, "%016" PRIx64 ",", row->row_hash);
    ws_csv_append(out, row->input_id < export->input_count ? export->inputs[row->input_id] : "");
    ws_text_appendf(out, ",%" PRIu64 ",%u,%" PRId64 ",%" PRId64, row->first_ordinal, row->protocol, row->first_ns,
                    row->last_ns);
    const uint64_t *const pairs[] = {row->packets, row->bytes, row->payload};
    for (int p = 0; p < 3; p++)
        ws_text_appendf(out, ",%" PRIu64 ",%" PRIu64, pairs[p][0], pairs[p][1]);
    ws_text_appendf(out, ",%s,%u,%u", row->end < WS_STORE_ENDS ? ws_store_end_names[row->end] : "", row->session_id,
                    row->host_id);
    if (export->endpoints)
        ws_text_appendf(out, ",%.*s,%.*s", WS_ENDPOINT_TEXT, row->source, WS_ENDPOINT_TEXT, row->destination);
    for (size_t l = 0; l < export->store->level_count; l++) {
        const ws_label_level *level = &export->store->levels[l];
        ws_text_append(out, ",");
        if (row->labels[l] >= 0 && (size_t)row->labels[l] < level->classes)
            ws_csv_append(out, level->names[row->labels[l]]);
    }
    for (int c = 0; c < export->columns; c++)
        ws_text_appendf(out, ",%.9g", (double)features[c]);
}

static ws_err write_text(csv_export *export)
{
    WS_TRY(ws_text_check(&export->text));
    WS_CHECK(fwrite(ws_text_string(&export->text), 1, export->text.length, export->file) == export->text.length, IO,
             "cannot write %s: %s", export->target, strerror(errno));
    ws_text_clear(&export->text);
    return WS_OK;
}

static ws_err prepare_bytes(csv_export *export)
{
    enum { BLOCK_BYTES = 8 << 20 };
    const size_t row = (size_t) export->view.packets * (export->view.header + export->view.payload);
    export->block_rows = BLOCK_ROWS;
    if (row == 0)
        return WS_OK;
    if (export->block_rows > BLOCK_BYTES / row)
        export->block_rows = BLOCK_BYTES / row + 1;
    WS_TRY(ws_alloc(&export->values, export->block_rows, row));
    WS_TRY(WS_NEW_ARRAY(export->kept, export->block_rows * export->view.packets * 2));
    return WS_OK;
}

static ws_err write_rows(csv_export *export)
{
    const ws_store *store = export->store;
    WS_CHECK(store->level_count <= WS_LABEL_LEVELS_MAX, UNSUPPORTED, "%s: more than %d label levels", store->path,
             WS_LABEL_LEVELS_MAX);
    WS_TRY(WS_NEW_ARRAY(export->rows, BLOCK_ROWS));
    WS_TRY(ws_arena_create(&export->arena, 4096));
    if (export->wanted != NULL)
        snprintf(export->table, sizeof export->table, "%s", export->wanted);
    else
        WS_TRY(ws_store_features_name(store, export->table));
    WS_TRY(ws_store_features_info(store, export->table, export->arena, &export->columns, &export->column_names));
    const size_t columns = (size_t) export->columns;
    WS_TRY(WS_NEW_ARRAY(export->features, BLOCK_ROWS * columns));
    WS_TRY(ws_alloc(&export->column, BLOCK_ROWS, WS_ENDPOINT_TEXT));
    WS_TRY(prepare_bytes(export));
    WS_TRY(ws_h5_read_texts(store->file, "/provenance/inputs", &export->inputs, &export->input_count));
    export->endpoints = ws_h5_exists(store->file, "/flows/source");
    append_header(export);
    for (uint64_t begin = 0; begin < store->rows; begin += export->block_rows) {
        uint64_t count = store->rows - begin < export->block_rows ? store->rows - begin : export->block_rows;
        WS_TRY(read_block(export, begin, count));
        for (uint64_t i = 0; i < count; i++) {
            append_row(export, &export->rows[i], export->features + i * columns);
            append_bytes(export, i);
            ws_text_append(&export->text, "\r\n");
        }
        WS_TRY(write_text(export));
    }
    return write_text(export);
}

static ws_err write_file(csv_export *export, const char *partial, const char *output)
{
    export->target = partial;
    export->file = fopen(partial, "wb");
    WS_CHECK(export->file != NULL, IO, "cannot create %s: %s", partial, strerror(errno));
    ws_err error = write_rows(export);
    if (error == WS_OK && (fflush(export->file) != 0 || fsync(fileno(export->file)) != 0))
        error = WS_ERROR(IO, "cannot write %s: %s", partial, strerror(errno));
    if (fclose(export->file) != 0 && error == WS_OK)
        error = WS_ERROR(IO, "cannot write %s: %s", partial, strerror(errno));
    WS_TRY(error);
    WS_TRY(ws_file_rename(partial, output));
    return WS_OK;
}

ws_err ws_store_export_csv(const ws_store *store, const char *features, bool bytes, const char *output)
{
    csv_export export = {.store = store, .wanted = features};
    ws_err error;
    if (bytes) {
        WS_TRY(ws_store_byte_view(store, &export.view));
        WS_TRY(ws_store_read_bytes(store, 0, 0, NULL, NULL, NULL)); /* which says so where there are none */
    }
    if (output == NULL) {
        export.file = stdout;
        export.target = "standard output";
        error = write_rows(&export);
    } else {
        char *partial = ws_format("%s.partial", output);
        error =
            partial == NULL ? WS_ERROR(MEMORY, "no memory to write %s", output) : write_file(&export, partial, output);
        if (error != WS_OK && partial != NULL)
            unlink(partial);
        free(partial);
    }
    if (export.inputs != NULL)
        ws_texts_destroy(&export.inputs, export.input_count);
    free(export.rows);
    free(export.features);
    ws_arena_destroy(&export.arena);
    free(export.column);
    free(export.values);
    free(export.kept);
    ws_text_destroy(&export.text);
    WS_TRY(error);
    return WS_OK;
}
