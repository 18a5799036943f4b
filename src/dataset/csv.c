/* csv: see csv.h. Does not know what columns mean. */
#include "dataset/csv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { CSV_RECORD_MAX = 1 << 20, CSV_BUFFER = 1 << 18 };

struct ws_csv {
    FILE *file;
    char *path, *buffer;
    ws_text record; /* the fields' text, each ended by NUL */
    size_t *starts; /* of the fields in `record` */
    size_t start_capacity;
    const char **fields;
    size_t field_capacity, field_count;
    uint64_t line, record_line;
};

ws_err ws_csv_open(ws_csv **out, const char *path)
{
    ws_csv *csv;
    WS_TRY(WS_NEW(csv));
    *out = csv;
    csv->line = 1;
    csv->path = ws_format("%s", path);
    WS_CHECK(csv->path != NULL, MEMORY, "no memory to open %s", path);
    const char *why;
    csv->file = ws_open_regular(path, &why);
    WS_CHECK(csv->file != NULL, IO, "cannot open %s: %s", path, why);
    WS_TRY(WS_NEW_ARRAY(csv->buffer, CSV_BUFFER));
    setvbuf(csv->file, csv->buffer, _IOFBF, CSV_BUFFER);
    int mark[3] = {getc_unlocked(csv->file), getc_unlocked(csv->file), getc_unlocked(csv->file)};
    if (mark[0] != 0xEF || mark[1] != 0xBB || mark[2] != 0xBF)
        rewind(csv->file);
    return WS_OK;
}

void ws_csv_close(ws_csv **csv)
{
    if (*csv == NULL)
        return;
    if ((*csv)->file != NULL)
        fclose((*csv)->file);
    ws_text_destroy(&(*csv)->record);
    free((*csv)->buffer);
    free((*csv)->starts);
    free((*csv)->fields);
    free((*csv)->path);
    free(*csv);
    *csv = NULL;
}

static ws_err end_field(ws_csv *csv)
{
    WS_TRY(WS_GROW(csv->starts, csv->start_capacity, csv->field_count + 2));
    ws_text_append_bytes(&csv->record, "", 1);
    csv->field_count++;
    csv->starts[csv->field_count] = csv->record.length;
    return WS_OK;
}

static void put(ws_csv *csv, int c)
{
    char byte = (char)c;
    ws_text_append_bytes(&csv->record, &byte, 1);
}

/* A quoted part, behind its opening quote. */
static ws_err read_quoted(ws_csv *csv)
{
    for (;;) {
        int c = getc_unlocked(csv->file);
        if (c == EOF || csv->record.length > CSV_RECORD_MAX)
            WS_FAIL(FORMAT, "%s:%llu: a quoted field is never closed", csv->path, (unsigned long long)csv->record_line);
        if (c == '\n')
            csv->line++;
        if (c == '"') {
            int next = getc_unlocked(csv->file);
            if (next != '"') {
                if (next != EOF)
                    ungetc(next, csv->file);
                return WS_OK;
            }
        }
        put(csv, c);
    }
}

/* One record into csv->record; *any false where the file ended before its first byte. */
static ws_err read_record(ws_csv *csv, bool *any)
{
    ws_text_clear(&csv->record);
    csv->field_count = 0;
    WS_TRY(WS_GROW(csv->starts, csv->start_capacity, 2));
    csv->starts[0] = 0;
    csv->record_line = csv->line;
    *any = false;
    for (;;) {
        int c = getc_unlocked(csv->file);
        if (c == EOF) {
            WS_CHECK(!ferror(csv->file), IO, "cannot read %s: %s", csv->path, strerror(errno));
            return *any ? end_field(csv) : WS_OK;
        }
        *any = true;
        if (c == '"' && csv->record.length == csv->starts[csv->field_count]) {
            WS_TRY(read_quoted(csv));
        } else if (c == ',') {
            WS_TRY(end_field(csv));
        } else if (c == '\n') {
            csv->line++;
            size_t length = csv->record.length;
            if (length > csv->starts[csv->field_count] && csv->record.data[length - 1] == '\r')
                csv->record.length--;
            return end_field(csv);
        } else {
            WS_CHECK(csv->record.length < CSV_RECORD_MAX, FORMAT, "%s:%llu: a record longer than 1 MiB", csv->path,
                     (unsigned long long)csv->record_line);
            put(csv, c);
        }
    }
}

ws_err ws_csv_next(ws_csv *csv, const char *const **fields, size_t *count, bool *more)
{
    bool any = true;
    do {
        WS_TRY(read_record(csv, &any));
    } while (any && csv->field_count == 1 && csv->record.data[0] == '\0');
    WS_TRY(ws_text_check(&csv->record));
    *more = any;
    *count = csv->field_count;
    WS_TRY(WS_GROW(csv->fields, csv->field_capacity, csv->field_count + 1));
    for (size_t i = 0; i < csv->field_count; i++)
        csv->fields[i] = csv->record.data + csv->starts[i];
    *fields = csv->fields;
    return WS_OK;
}

uint64_t ws_csv_line(const ws_csv *csv)
{
    return csv->record_line;
}

void ws_csv_append(ws_text *out, const char *field)
{
    if (strpbrk(field, ",\"\r\n") == NULL) {
        ws_text_append(out, field);
        return;
    }
    ws_text_append(out, "\"");
    for (const char *c = field; *c != '\0'; c++) {
        if (*c == '"')
            ws_text_append(out, "\"");
        ws_text_append_bytes(out, c, 1);
    }
    ws_text_append(out, "\"");
}
