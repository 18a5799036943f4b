/* generic: any captures. Labels, where wanted, come from one CSV file (--labels FILE.csv):
 *
 *     capture,protocol,source,source_port,destination,destination_port,first_ns,label[,more levels]
 *
 * Columns are found by name, in any order. capture is the base name of an input; the ports and first_ns may be left
 * empty or left out (labels.h says what such rows match). Every column that is not one of the key is a label level of
 * that name. Does not know any published data set; those have adapters of their own.
 */
#include "dataset/csv.h"
#include "dataset/labels.h"

#include <stdio.h>

enum { CAPTURE, PROTOCOL, SOURCE, SOURCE_PORT, DESTINATION, DESTINATION_PORT, FIRST_NS, KEY_COLUMNS };
static const char *const key_names[KEY_COLUMNS] = {"capture",     "protocol",         "source",  "source_port",
                                                   "destination", "destination_port", "first_ns"};

typedef struct label_columns {
    int key[KEY_COLUMNS]; /* position, -1 where the column is missing */
    size_t level[WS_LABEL_LEVELS_MAX], level_count, count;
} label_columns;

static ws_err read_header(ws_label_source *source, const char *path, const char *const *fields, size_t count,
                          label_columns *columns)
{
    const char *names[WS_LABEL_LEVELS_MAX];
    columns->count = count;
    columns->level_count = 0;
    for (int k = 0; k < KEY_COLUMNS; k++)
        columns->key[k] = -1;
    for (size_t i = 0; i < count; i++) {
        int key = 0;
        while (key < KEY_COLUMNS && strcmp(fields[i], key_names[key]) != 0)
            key++;
        if (key < KEY_COLUMNS) {
            WS_CHECK(columns->key[key] < 0, FORMAT, "%s:1: column %s appears twice", path, fields[i]);
            columns->key[key] = (int)i;
            continue;
        }
        WS_CHECK(fields[i][0] != '\0' && strchr(fields[i], '/') == NULL, FORMAT,
                 "%s:1: column %zu cannot be a label level: its name is empty or holds a '/'", path, i + 1);
        WS_CHECK(columns->level_count < WS_LABEL_LEVELS_MAX, FORMAT, "%s:1: more than %d label columns", path,
                 WS_LABEL_LEVELS_MAX);
        for (size_t l = 0; l < columns->level_count; l++)
            WS_CHECK(strcmp(names[l], fields[i]) != 0, FORMAT, "%s:1: column %s appears twice", path, fields[i]);
        names[columns->level_count] = fields[i];
        columns->level[columns->level_count++] = i;
    }
    static const int needed[] = {CAPTURE, PROTOCOL, SOURCE, DESTINATION};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        WS_CHECK(columns->key[needed[i]] >= 0, FORMAT, "%s:1: no column %s", path, key_names[needed[i]]);
    WS_CHECK(columns->level_count > 0, FORMAT, "%s:1: no label column behind the key columns", path);
    return ws_label_source_levels(source, names, columns->level_count);
}

/* A number, or "" for none. */
static bool read_number(const char *text, int64_t maximum, bool *given, int64_t *out)
{
    *out = 0;
    *given = text[0] != '\0';
    return !*given || (ws_parse_int64(text, out) && *out >= 0 && *out <= maximum);
}

/* NULL, or why the row cannot be read. */
static const char *read_row(const label_columns *columns, const char *const *fields, ws_label_row *row)
{
    const char *text[KEY_COLUMNS];
    for (int k = 0; k < KEY_COLUMNS; k++)
        text[k] = columns->key[k] < 0 ? "" : fields[columns->key[k]];
    int64_t source_port, destination_port;
    bool has_source_port, has_destination_port;
    memset(row, 0, sizeof *row);
    uint8_t protocol = ws_label_protocol(text[PROTOCOL]);
    if (protocol == 0)
        return "unknown protocol";
    if (!read_number(text[SOURCE_PORT], 65535, &has_source_port, &source_port) ||
        !read_number(text[DESTINATION_PORT], 65535, &has_destination_port, &destination_port))
        return "a port is no number from 0 to 65535";
    if (has_source_port != has_destination_port)
        return "one port is given and the other is not";
    if (!read_number(text[FIRST_NS], INT64_MAX, &row->has_time, &row->first_ns))
        return "first_ns is no number of nanoseconds since 1970";
    row->any_port = !has_source_port;
    if (!ws_label_key(&row->key, protocol, text[SOURCE], (uint16_t)source_port, text[DESTINATION],
                      (uint16_t)destination_port))
        return "an address cannot be read";
    return NULL;
}

static ws_err read_rows(ws_label_source *source, ws_csv *csv, const char *path)
{
    const char *const *fields;
    size_t count;
    bool more;
    label_columns columns;
    WS_TRY(ws_csv_next(csv, &fields, &count, &more));
    WS_CHECK(more, FORMAT, "%s: empty; the first line must name the columns", path);
    WS_TRY(read_header(source, path, fields, count, &columns));
    for (;;) {
        WS_TRY(ws_csv_next(csv, &fields, &count, &more));
        if (!more)
            return WS_OK;
        uint32_t scope;
        if (count != columns.count) {
            ws_label_source_malformed(source, path, ws_csv_line(csv), "the number of fields is not that of the header");
            continue;
        }
        if (!ws_label_source_find_scope(source, fields[columns.key[CAPTURE]], &scope))
            continue;
        ws_label_row row;
        const char *why = read_row(&columns, fields, &row);
        if (why != NULL) {
            ws_label_source_malformed(source, path, ws_csv_line(csv), why);
            continue;
        }
        const char *classes[WS_LABEL_LEVELS_MAX];
        for (size_t l = 0; l < columns.level_count; l++)
            classes[l] = fields[columns.level[l]];
        WS_TRY(ws_label_source_add(source, scope, &row, classes));
    }
}

ws_err ws_labels_read_generic(ws_label_source *source, const char *labels, const ws_string_list *inputs)
{
    if (labels == NULL)
        return WS_OK;
    for (size_t i = 0; i < inputs->count; i++) {
        uint32_t scope;
        WS_TRY(ws_label_source_set_scope(source, i, ws_path_base(inputs->items[i]), &scope));
    }
    ws_csv *csv = NULL;
    ws_err error = ws_csv_open(&csv, labels);
    if (error == WS_OK)
        error = read_rows(source, csv, labels);
    ws_csv_close(&csv);
    WS_TRY(error);
    return WS_OK;
}

const ws_dataset_adapter ws_dataset_generic = {
    .name = "generic",
    .help = "any captures; labels from a CSV file of 5-tuples (--labels FILE.csv)",
    .open_labels = ws_labels_read_generic};
