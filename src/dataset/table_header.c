/* table_header: what the columns of a file are. Reads the first line (CSV, TSV) or the declarations (ARFF, also where a
 * spreadsheet has put commas behind them or a column of numbers before them) and finds each name in the family's list.
 * A name that comes a second time is left out, as it repeats the column. Does not read rows.
 */
#include "dataset/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEADER_LINES_MAX = WS_TABLE_COLUMNS_MAX + 64, NAME_MAX_BYTES = 256 };

/* A feature that a file has: which, and how the family orders it. */
typedef struct feature {
    const char *name, *unit;
    size_t order, field, width;
} feature;

typedef struct header_reader {
    const char *path;
    const ws_table_family *family;
    ws_arena *arena;
    ws_table_plan *plan;
    size_t listed; /* columns of the family */
    bool *taken;   /* [listed] */
    feature *features;
    size_t feature_count, listed_features;
    ws_text unknown;
    bool failed; /* out of memory for a name */
} header_reader;

/* Letters and digits in lower case. */
static void plain_name(const char *name, size_t length, char out[NAME_MAX_BYTES])
{
    size_t at = 0;
    for (size_t i = 0; i < length && at + 1 < NAME_MAX_BYTES; i++) {
        char c = name[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            out[at++] = c;
    }
    out[at] = '\0';
}

static bool is_named(const char *names, const char *plain)
{
    char one[NAME_MAX_BYTES];
    for (const char *at = names; at != NULL;) {
        const char *bar = strchr(at, '|');
        plain_name(at, bar != NULL ? (size_t)(bar - at) : strlen(at), one);
        if (strcmp(one, plain) == 0)
            return true;
        at = bar != NULL ? bar + 1 : NULL;
    }
    return false;
}

/* Copy of the first `length` bytes, cleaned as labels are. */
static const char *keep(header_reader *h, const char *text, size_t length)
{
    ws_text clean = {0};
    const ws_table_cell cell = {.text = (char *)(uintptr_t)text, .length = (uint32_t)length};
    ws_table_clean_label(&cell, &clean);
    const char *copy = ws_arena_strdup(h->arena, ws_text_string(&clean));
    h->failed = h->failed || copy == NULL || clean.out_of_memory;
    ws_text_destroy(&clean);
    return copy;
}

static int32_t level_of(header_reader *h, const char *name)
{
    ws_table_plan *plan = h->plan;
    for (size_t l = 0; l < plan->level_count; l++)
        if (strcmp(plan->levels[l], name) == 0)
            return -1; /* the first column that fills it wins */
    if (plan->level_count == WS_LABEL_LEVELS_MAX)
        return -1;
    plan->levels[plan->level_count] = name;
    return (int32_t)plan->level_count++;
}

static void add_feature(header_reader *h, const char *name, const char *unit, size_t order, size_t field, size_t width)
{
    h->features[h->feature_count++] = (feature){name, unit, order, field, width};
    h->listed_features += order < h->listed;
}

/* What field number `field`, called `name`, is. */
static void place_field(header_reader *h, size_t field, const char *name, size_t length)
{
    char plain[NAME_MAX_BYTES];
    ws_table_field *f = &h->plan->fields[field];
    *f = (ws_table_field){WS_TABLE_UNUSED, -1, -1};
    plain_name(name, length, plain);
    for (size_t c = 0; c < h->listed; c++) {
        const ws_table_column *column = &h->family->columns[c];
        if (!is_named(column->names, plain))
            continue;
        if (h->taken[c])
            return;
        h->taken[c] = true;
        f->role = column->role;
        if (column->role == WS_TABLE_LABEL)
            f->level = level_of(h, column->level);
        if (column->unit != NULL)
            add_feature(h, keep(h, column->names, strcspn(column->names, "|")), column->unit, c, field,
                        column->role == WS_TABLE_HISTOGRAM ? WS_TABLE_BINS
                        : column->role == WS_TABLE_BIGRAMS ? WS_TABLE_BYTES
                                                           : 1);
        return;
    }
    if (plain[0] == '\0')
        return;
    if (h->family->rest_are_features) {
        const char *kept = keep(h, name, length);
        for (size_t i = 0; i < h->feature_count; i++)
            if (kept != NULL && h->features[i].name != NULL && strcmp(h->features[i].name, kept) == 0)
                return;
        f->role = WS_TABLE_VALUE;
        add_feature(h, kept, "unknown", h->listed + field, field, 1);
        return;
    }
    ws_text_append(&h->unknown, h->unknown.length > 0 ? ", " : "");
    ws_text_append_bytes(&h->unknown, name, length);
}

static int compare_features(const void *a, const void *b)
{
    const feature *x = a, *y = b;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* The feature table: the family's order, not the file's. */
static ws_err lay_out_features(header_reader *h)
{
    ws_table_plan *plan = h->plan;
    qsort(h->features, h->feature_count, sizeof *h->features, compare_features);
    for (size_t i = 0; i < h->feature_count; i++)
        plan->columns += h->features[i].width;
    WS_TRY(ws_arena_alloc(h->arena, &plan->names, plan->columns, sizeof *plan->names));
    WS_TRY(ws_arena_alloc(h->arena, &plan->units, plan->columns, sizeof *plan->units));
    size_t at = 0;
    for (size_t i = 0; i < h->feature_count; i++) {
        const feature *f = &h->features[i];
        plan->fields[f->field].feature = (int32_t)at;
        for (size_t k = 0; k < f->width; k++, at++) {
            char name[NAME_MAX_BYTES + 24];
            snprintf(name, sizeof name, f->width > 1 ? "%.240s_%zu" : "%.240s", f->name, k);
            plan->names[at] = ws_arena_strdup(h->arena, name);
            plan->units[at] = f->unit;
            h->failed = h->failed || plan->names[at] == NULL;
        }
    }
    return WS_OK;
}

/* ---------------------------------------------------------------- labels of the path */
static void take_path_labels(header_reader *h)
{
    ws_table_plan *plan = h->plan;
    plan->path_level = plan->level_count;
    for (const ws_table_path_label *label = h->family->path_labels; label->part != WS_TABLE_NO_PART; label++) {
        const char *base = ws_path_base(h->path), *start = base;
        size_t length = strcspn(base, ".");
        if (label->part == WS_TABLE_FOLDER) {
            const char *end = base > h->path ? base - 1 : base;
            for (start = end; start > h->path && start[-1] != '/';)
                start--;
            length = (size_t)(end - start);
        }
        char stem[1024];
        snprintf(stem, sizeof stem, "%.*s", (int)(length < 1000 ? length : 1000), start);
        if (label->cut != NULL)
            for (char *cut = stem, *next; (next = strstr(cut, label->cut)) != NULL; cut = next + 1)
                if (strstr(next + 1, label->cut) == NULL)
                    *next = '\0';
        int32_t level = level_of(h, label->level);
        if (level >= 0)
            plan->path_classes[level] = keep(h, stem, strlen(stem));
    }
}

static ws_err refuse(const header_reader *h, const char *first)
{
    ws_err error = WS_ERROR(
        FORMAT, "%s: %zu of the columns of %s were found, at least %d are needed; the first column is \"%.60s\"",
        h->path, h->listed_features, h->family->feature_table, h->family->least_features, first);
    WS_HINT("another --dataset may fit (wiresweep list datasets); --dataset flow_csv takes any table with a header");
    return error;
}

/* A level of its own keeps the class of attempts, which have none in the label's. */
static void take_attempts(header_reader *h)
{
    ws_table_plan *plan = h->plan;
    size_t label = 0, attempted = 0;
    while (label < plan->field_count && plan->fields[label].level < 0)
        label++;
    while (attempted < plan->field_count && plan->fields[attempted].role != WS_TABLE_ATTEMPTED)
        attempted++;
    if (label == plan->field_count || attempted == plan->field_count)
        return;
    plan->label_field = label;
    plan->attempted_level = level_of(h, "label_attempted");
}

/* Midnight of the first YYYYMMDD in the base name, UTC; 0 where there is none. */
static int64_t day_in_name(const char *path)
{
    const char *base = ws_path_base(path);
    for (size_t digits = 0; *base != '\0'; base++) {
        digits = *base >= '0' && *base <= '9' ? digits + 1 : 0;
        char next = base[1];
        if (digits != 8 || (next >= '0' && next <= '9'))
            continue;
        char text[16];
        int64_t ns;
        snprintf(text, sizeof text, "%.4s-%.2s-%.2s", base - 7, base - 3, base - 1);
        const ws_table_clock utc = {0};
        return ws_table_parse_time(text, strlen(text), &utc, &ns) ? ns : 0;
    }
    return 0;
}

static uint64_t form_of(const ws_table_plan *plan)
{
    uint64_t form = ws_mix64(plan->columns);
    for (size_t i = 0; i < plan->columns; i++)
        form =
            ws_hash64(plan->names[i], strlen(plan->names[i]), ws_hash64(plan->units[i], strlen(plan->units[i]), form));
    for (size_t l = 0; l < plan->level_count; l++)
        form = ws_hash64(plan->levels[l], strlen(plan->levels[l]), form);
    return form;
}

static ws_err finish(header_reader *h, const char *first)
{
    ws_table_plan *plan = h->plan;
    take_attempts(h);
    take_path_labels(h);
    plan->day_ns = h->family->day_in_name ? day_in_name(h->path) : 0;
    int found = h->family->rest_are_features ? (int)h->feature_count : (int)h->listed_features;
    if (found < h->family->least_features || h->feature_count == 0)
        return refuse(h, first);
    WS_TRY(lay_out_features(h));
    plan->unknown = ws_arena_strdup(h->arena, ws_text_string(&h->unknown));
    WS_CHECK(!h->failed && plan->unknown != NULL && !h->unknown.out_of_memory, MEMORY,
             "%s: out of memory for its columns", h->path);
    plan->form = form_of(plan);
    return WS_OK;
}

static ws_err prepare_fields(header_reader *h, size_t fields)
{
    WS_CHECK(fields <= WS_TABLE_COLUMNS_MAX, FORMAT, "%s: %zu columns, more than %d", h->path, fields,
             WS_TABLE_COLUMNS_MAX);
    WS_TRY(ws_arena_alloc(h->arena, &h->plan->fields, fields + 1, sizeof *h->plan->fields));
    WS_TRY(ws_arena_alloc(h->arena, &h->features, fields + 1, sizeof *h->features));
    return WS_OK;
}

/* ---------------------------------------------------------------- CSV and TSV */
static ws_err read_names(header_reader *h, const ws_table_record *record)
{
    ws_table_plan *plan = h->plan;
    WS_TRY(prepare_fields(h, record->count));
    plan->field_count = record->count;
    for (size_t i = 0; i < record->count; i++)
        place_field(h, i, record->cells[i].text, record->cells[i].length);
    char first[64];
    snprintf(first, sizeof first, "%.*s", (int)(record->cells[0].length < 60 ? record->cells[0].length : 60),
             record->cells[0].text);
    return finish(h, first);
}

/* ---------------------------------------------------------------- ARFF */
static bool starts_with(const char *text, size_t length, const char *word)
{
    return length >= strlen(word) && strncasecmp(text, word, strlen(word)) == 0;
}

/* "@attribute 'a name' {A,B}": the name; the type does not matter. */
static void attribute_name(const char **text, size_t *length)
{
    *text += 10;
    *length -= 10;
    ws_table_trim(text, length);
    char quote = *length > 0 && (**text == '\'' || **text == '"') ? **text : '\0';
    if (quote != '\0') {
        (*text)++;
        (*length)--;
    }
    size_t bytes = 0;
    while (bytes < *length && (quote != '\0' ? (*text)[bytes] != quote : (unsigned char)(*text)[bytes] > ' '))
        bytes++;
    *length = bytes;
}

/* The first cell that says something: behind a column of numbers where a spreadsheet put one. */
static ws_table_cell declaration(const ws_table_record *record, size_t lead)
{
    ws_table_cell cell = {.text = ""};
    if (record->count > lead && lead < WS_TABLE_COLUMNS_MAX)
        cell = record->cells[lead];
    const char *text = cell.text;
    size_t length = cell.length;
    ws_table_trim(&text, &length);
    cell.text = (char *)(uintptr_t)text;
    cell.length = (uint32_t)length;
    return cell;
}

static ws_err read_attributes(header_reader *h, ws_table_text *text, size_t lead)
{
    ws_table_plan *plan = h->plan;
    ws_table_record record;
    bool more = true;
    WS_TRY(prepare_fields(h, WS_TABLE_COLUMNS_MAX));
    for (size_t i = 0; i < lead; i++)
        plan->fields[plan->field_count++] = (ws_table_field){WS_TABLE_UNUSED, -1, -1};
    for (int line = 0; line < HEADER_LINES_MAX; line++) {
        WS_TRY(ws_table_text_next(text, &record, &more));
        if (!more)
            break;
        ws_table_cell cell = declaration(&record, lead);
        const char *name = cell.text;
        size_t length = cell.length;
        if (starts_with(name, length, "@attribute")) {
            WS_CHECK(plan->field_count < WS_TABLE_COLUMNS_MAX, FORMAT, "%s: more than %d attributes", h->path,
                     WS_TABLE_COLUMNS_MAX);
            attribute_name(&name, &length);
            place_field(h, plan->field_count++, name, length);
        } else if (starts_with(name, length, "@data")) {
            plan->data_begin = ws_table_text_position(text);
            return finish(h, "an attribute");
        }
    }
    WS_FAIL(FORMAT, "%s: an ARFF file without @DATA", h->path);
}

/* ---------------------------------------------------------------- any */
/* Tabs win, then semicolons where there is no comma. */
static char separator_of(const char *line, size_t length)
{
    if (memchr(line, '\t', length) != NULL)
        return '\t';
    return memchr(line, ',', length) == NULL && memchr(line, ';', length) != NULL ? ';' : ',';
}

static ws_err read_header(header_reader *h, ws_table_text **text)
{
    ws_table_plan *plan = h->plan;
    ws_table_record record;
    bool more;
    /* Split at a byte that no header has: the whole first line is one cell. */
    WS_TRY(ws_table_text_open(text, h->path, '\x01', WS_TABLE_COLUMNS_MAX));
    plan->compressed = ws_table_text_compressed(*text);
    WS_TRY(ws_table_text_next(*text, &record, &more));
    WS_CHECK(more, FORMAT, "%s: an empty file", h->path);
    WS_CHECK(record.count > 0 && !record.open_quote && !record.too_long, FORMAT,
             "%s: its first line is no header: a quote is left open or it is longer than 1 MiB", h->path);
    uint64_t mark = record.bytes >= 3 && memcmp(record.cells[0].text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    ws_table_cell cell = declaration(&record, 0);
    cell.text += mark > 0 && cell.length >= 3 ? 3 : 0;
    bool numbered = starts_with(cell.text, cell.length, "id,") && cell.length <= 4;
    plan->arff = numbered || *cell.text == '@' || *cell.text == '%';
    /* The line, without its last byte: where it begins with a quote, its first cell begins behind that. */
    plan->separator = plan->arff ? ',' : separator_of(record.cells[0].text, record.bytes - 1);
    plan->data_begin = record.offset + record.bytes;
    ws_table_text_close(text);
    WS_TRY(ws_table_text_open(text, h->path, plan->separator, WS_TABLE_COLUMNS_MAX));
    WS_TRY(ws_table_text_seek(*text, mark, UINT64_MAX));
    if (plan->arff)
        return read_attributes(h, *text, numbered);
    WS_TRY(ws_table_text_next(*text, &record, &more));
    WS_CHECK(more && record.count > 0 && !record.open_quote, FORMAT, "%s: no header line", h->path);
    return read_names(h, &record);
}

ws_err ws_table_read_header(const char *path, const ws_table_family *family, ws_arena *arena, ws_table_plan *plan)
{
    *plan = (ws_table_plan){.family = family, .attempted_level = -1};
    header_reader h = {.path = path, .family = family, .arena = arena, .plan = plan};
    while (family->columns[h.listed].names != NULL)
        h.listed++;
    WS_TRY(ws_arena_alloc(arena, &h.taken, h.listed + 1, sizeof *h.taken));
    ws_table_text *text = NULL;
    ws_err error = read_header(&h, &text);
    ws_table_text_close(&text);
    ws_text_destroy(&h.unknown);
    WS_TRY(error);
    return WS_OK;
}
