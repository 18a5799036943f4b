/* store_columns: the columns of a store as its writer has them, in one list: where each one's values lie until they are
 * written, and its dataset while the file is open. */
#include "dataset/store_writer.h"

#include <stdlib.h>

/* With dataset and blocks still to come. Columns of packets come last. */
static ws_err add_column(ws_store_writer *writer, const char *group, const char *name, ws_written_column column)
{
    WS_CHECK(writer->column_count < WS_WRITTEN_COLUMNS_MAX, INTERNAL, "more than %d columns", WS_WRITTEN_COLUMNS_MAX);
    column.path = ws_format("%s%s", group, name);
    WS_CHECK(column.path != NULL, MEMORY, "no memory for the column %s%s", group, name);
    column.row_bytes = ws_stored_size(column.type) * (size_t)(column.shape[0] * column.shape[1]);
    column.dataset = -1;
    writer->row_column_count += column.held != WS_HELD_PACKETS;
    writer->columns[writer->column_count++] = column;
    return WS_OK;
}

/* One value a record. */
static ws_err add_plain(ws_store_writer *writer, const ws_store_column *columns, ws_held_kind held)
{
    for (; columns->path != NULL; columns++)
        WS_TRY(add_column(
            writer, "", columns->path,
            (ws_written_column){
                .type = columns->type, .held = held, .offset = columns->offset, .dimensions = 1, .shape = {1, 1}}));
    return WS_OK;
}

static ws_err add_labels(ws_store_writer *writer)
{
    ws_written_column column = {.type = WS_STORED_I32, .held = WS_HELD_ROWS, .dimensions = 1, .shape = {1, 1}};
    for (size_t l = 0; l < writer->level_count; l++) {
        column.offset = offsetof(ws_store_row, labels) + l * sizeof(int32_t);
        WS_TRY(add_column(writer, "/labels/", writer->options.levels[l].name, column));
    }
    column.type = WS_STORED_U8;
    column.offset = offsetof(ws_store_row, attempted);
    return writer->options.tells_attempts ? add_column(writer, "/labels/", "attempted", column) : WS_OK;
}

/* flow20 lies in the rows, tables beside it one after another. */
static ws_err add_table(ws_store_writer *writer, const ws_feature_table *table, bool in_rows)
{
    ws_held *values = &writer->held[WS_HELD_VALUES];
    const ws_written_column column = {.type = WS_STORED_F32,
                                      .held = in_rows ? WS_HELD_ROWS : WS_HELD_VALUES,
                                      .offset = in_rows ? offsetof(ws_store_row, features) : values->record_bytes,
                                      .dimensions = 2,
                                      .shape = {table->columns, 1}};
    WS_TRY(add_column(writer, "/features/", table->name, column));
    values->record_bytes += in_rows ? 0 : table->columns * sizeof(float);
    return WS_OK;
}

static ws_err add_tables(ws_store_writer *writer)
{
    const ws_store_writer_options *options = &writer->options;
    WS_CHECK(options->more_count < WS_FEATURE_TABLES_MAX, ARGUMENT, "%zu feature tables; at most %d are supported",
             options->more_count + 1, WS_FEATURE_TABLES_MAX);
    WS_TRY(add_table(writer, options->features != NULL ? options->features : &ws_features_flow20.table,
                     options->features == NULL));
    for (size_t t = 0; t < options->more_count; t++)
        WS_TRY(add_table(writer, options->more_features[t], false));
    return WS_OK;
}

static ws_err add_bytes(ws_store_writer *writer)
{
    ws_byte_column columns[WS_BYTE_COLUMNS];
    if (writer->options.bytes == NULL)
        return WS_OK;
    writer->held[WS_HELD_VIEWS].record_bytes = ws_byte_record_size(writer->options.bytes);
    ws_byte_columns(writer->options.bytes, columns);
    for (size_t c = 0; c < WS_BYTE_COLUMNS; c++)
        WS_TRY(add_column(writer, "", columns[c].path,
                          (ws_written_column){.type = columns[c].type,
                                              .held = WS_HELD_VIEWS,
                                              .offset = columns[c].offset,
                                              .dimensions = 3,
                                              .shape = {writer->options.bytes->packets, columns[c].width}}));
    return WS_OK;
}

ws_err ws_store_columns_list(ws_store_writer *writer)
{
    WS_TRY(WS_NEW_ARRAY(writer->columns, WS_WRITTEN_COLUMNS_MAX));
    WS_TRY(WS_NEW_ARRAY(writer->blocks, WS_WRITTEN_COLUMNS_MAX));
    writer->held[WS_HELD_ROWS].record_bytes = sizeof(ws_store_row);
    writer->held[WS_HELD_PACKETS].record_bytes = sizeof(ws_flow_packet);
    WS_TRY(add_plain(writer, ws_flow_columns, WS_HELD_ROWS));
    if (writer->maker.endpoints != WS_ENDPOINTS_DROP)
        WS_TRY(add_plain(writer, ws_endpoint_columns, WS_HELD_ROWS));
    WS_TRY(add_labels(writer));
    WS_TRY(add_tables(writer));
    WS_TRY(add_bytes(writer));
    return add_plain(writer, ws_packet_columns, WS_HELD_PACKETS);
}

ws_written_column *ws_store_column_find(ws_store_writer *writer, const char *path)
{
    size_t c = 0;
    while (strcmp(writer->columns[c].path, path) != 0)
        c++;
    return &writer->columns[c];
}

ws_err ws_store_columns_open(ws_store_writer *writer)
{
    for (size_t c = 0; c < writer->column_count; c++) {
        ws_written_column *column = &writer->columns[c];
        WS_H5(column->dataset = H5Dopen2(writer->file, column->path, H5P_DEFAULT));
        WS_TRY(
            ws_block_hash_create(&writer->blocks[c], column->path, column->row_bytes, column->type == WS_STORED_TEXT));
    }
    return WS_OK;
}

ws_err ws_store_columns_close(ws_store_writer *writer)
{
    ws_err error = WS_OK;
    for (size_t c = 0; c < writer->column_count; c++) {
        ws_written_column *column = &writer->columns[c];
        if (column->dataset >= 0 && H5Dclose(column->dataset) < 0 && error == WS_OK)
            error = ws_h5_raise("H5Dclose", __FILE__, __LINE__, __func__);
        column->dataset = -1;
    }
    return error;
}

void ws_store_columns_destroy(ws_store_writer *writer)
{
    for (size_t c = 0; c < writer->column_count; c++) {
        if (writer->columns[c].dataset >= 0)
            H5Dclose(writer->columns[c].dataset);
        ws_block_hash_destroy(&writer->blocks[c]);
        free(writer->columns[c].path);
    }
    free(writer->columns);
    free(writer->blocks);
}
