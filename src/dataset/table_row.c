/* table_row: a record of a table to a row of the store, or the reason why it is none. Depends on the record alone; knows
 * nothing of ranks.
 */
#include "dataset/table.h"

#include <math.h>
#include <stdlib.h>

const char *const ws_table_skip_names[WS_TABLE_SKIP_COUNT] = {
    "none",      "empty",   "too_few_fields", "too_many_fields", "header_again", "comment",
    "no_number", "packets", "open_quote",     "bytes",           "not_finite"};
const char *const ws_table_skip_help[WS_TABLE_SKIP_COUNT] = {
    "a row",
    "rows without any value",
    "rows with fewer fields than the header",
    "rows with more fields than the header",
    "rows that repeat the header",
    "comments",
    "rows with a text where a number belongs",
    "rows whose packet sequence cannot be read",
    "lines with a quote that is never closed, or longer than 1 MiB",
    "rows whose bytes cannot be read",
    "rows with Infinity or NaN (non_finite=skip)"};

/* ---------------------------------------------------------------- class names */
typedef struct table_name {
    size_t text, level; /* where in `texts` */
} table_name;
struct ws_table_names {
    ws_text texts;
    table_name *names;
    size_t count, capacity;
    uint32_t *slots; /* open addressing; 0: free, else the name's index + 1 */
    size_t slot_count;
};

ws_err ws_table_names_create(ws_table_names **out)
{
    WS_TRY(WS_NEW(*out));
    (*out)->slot_count = 256;
    WS_TRY(WS_NEW_ARRAY((*out)->slots, (*out)->slot_count));
    return WS_OK;
}

void ws_table_names_destroy(ws_table_names **out)
{
    if (*out == NULL)
        return;
    ws_text_destroy(&(*out)->texts);
    free((*out)->names);
    free((*out)->slots);
    free(*out);
    *out = NULL;
}

size_t ws_table_names_count(const ws_table_names *names)
{
    return names->count;
}

const char *ws_table_names_get(const ws_table_names *names, size_t id, size_t *level)
{
    *level = names->names[id].level;
    return names->texts.data + names->names[id].text;
}

static size_t slot_of(const ws_table_names *names, size_t level, const char *name, size_t length)
{
    size_t slot = (size_t)ws_hash64(name, length, level) & (names->slot_count - 1);
    for (; names->slots[slot] != 0; slot = (slot + 1) & (names->slot_count - 1)) {
        const table_name *one = &names->names[names->slots[slot] - 1];
        const char *text = names->texts.data + one->text;
        if (one->level == level && strlen(text) == length && memcmp(text, name, length) == 0)
            break;
    }
    return slot;
}

static ws_err grow_slots(ws_table_names *names)
{
    free(names->slots);
    names->slot_count *= 2;
    WS_TRY(WS_NEW_ARRAY(names->slots, names->slot_count));
    for (size_t i = 0; i < names->count; i++) {
        const char *text = names->texts.data + names->names[i].text;
        names->slots[slot_of(names, names->names[i].level, text, strlen(text))] = (uint32_t)i + 1;
    }
    return WS_OK;
}

ws_err ws_table_names_find(ws_table_names *names, size_t level, const char *name, size_t length, int32_t *id)
{
    size_t slot = slot_of(names, level, name, length);
    if (names->slots[slot] == 0) {
        if (names->count >= WS_TABLE_CLASSES_MAX) {
            ws_err error =
                WS_ERROR(FORMAT, "more than %d classes; the last one is \"%.60s\"", WS_TABLE_CLASSES_MAX, name);
            WS_HINT("is this column a label? --config can name another one");
            return error;
        }
        WS_TRY(WS_GROW(names->names, names->capacity, names->count + 1));
        names->names[names->count] = (table_name){names->texts.length, level};
        ws_text_append_bytes(&names->texts, name, length);
        ws_text_append_bytes(&names->texts, "", 1);
        WS_TRY(ws_text_check(&names->texts));
        names->slots[slot] = (uint32_t)++names->count;
        if (names->count * 2 > names->slot_count)
            WS_TRY(grow_slots(names));
        *id = (int32_t)names->count - 1;
        return WS_OK;
    }
    *id = (int32_t)names->slots[slot] - 1;
    return WS_OK;
}

/* ---------------------------------------------------------------- a row */
void ws_table_rows_destroy(ws_table_rows *rows)
{
    free(rows->flows);
    free(rows->packets);
    free(rows->values);
    free(rows->labels);
    free(rows->attempted);
    memset(rows, 0, sizeof *rows);
}

/* What a row's cells have said so far. */
typedef struct row_draft {
    ws_flow *flow;
    float *values;
    int32_t *labels;
    uint8_t attempted;
    ws_flow_packet *packets; /* room for maker->packets */
    size_t packet_count;
    uint8_t address[2][16]; /* source, destination */
    uint16_t port[2];
    double duration;
    bool has_address[2], has_first, has_last, has_duration;
    size_t list_counts[3]; /* lengths, gaps, directions; SIZE_MAX: no such column */
    ws_table_counts found; /* of cells; added when the row is kept */
} row_draft;

static bool is_blank(const ws_table_record *record, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        const char *text = record->cells[i].text;
        size_t length = record->cells[i].length;
        ws_table_trim(&text, &length);
        if (length > 0)
            return false;
    }
    return true;
}

/* Checks that need no column's meaning. */
static ws_table_skip check_shape(const ws_table_plan *plan, const ws_table_record *record)
{
    if (record->open_quote || record->too_long)
        return WS_TABLE_SKIP_QUOTE;
    size_t seen = record->count < WS_TABLE_COLUMNS_MAX ? record->count : WS_TABLE_COLUMNS_MAX;
    if (record->count > 0 && plan->arff && record->cells[0].length > 0 && record->cells[0].text[0] == '%')
        return WS_TABLE_SKIP_COMMENT;
    if (record->count < plan->field_count)
        return is_blank(record, 0, seen) ? WS_TABLE_SKIP_EMPTY : WS_TABLE_SKIP_SHORT;
    if (record->count > plan->field_count && (record->count > seen || !is_blank(record, plan->field_count, seen)))
        return WS_TABLE_SKIP_LONG;
    return WS_TABLE_SKIP_NONE;
}

/* A cell of a feature: 0 and counted where it is no finite number. */
static bool take_value(row_draft *draft, const ws_table_cell *cell, double *number, float *out)
{
    switch (ws_table_parse_number(cell->text, cell->length, number)) {
    case WS_NUMBER_OK:
        break;
    case WS_NUMBER_EMPTY:
        draft->found.empty_cells++;
        break;
    case WS_NUMBER_INFINITE:
        draft->found.infinite_cells++;
        break;
    case WS_NUMBER_NAN:
        draft->found.nan_cells++;
        break;
    case WS_NUMBER_BAD:
        return false;
    }
    float value = (float)*number;
    if (!isfinite(value)) {
        draft->found.infinite_cells++;
        value = 0;
    }
    if (out != NULL)
        *out = value;
    return true;
}

static uint64_t count_of(double number)
{
    return number >= 0 && number < 1.8e19 ? (uint64_t)(number + 0.5) : 0;
}

static uint16_t port_of(double number)
{
    return number >= 0 && number <= 65535 ? (uint16_t)number : 0;
}

static void take_time(const ws_table_plan *plan, row_draft *draft, const ws_table_cell *cell, int64_t *ns, bool *has)
{
    *has = ws_table_parse_time(cell->text, cell->length, &plan->family->clock, ns);
    if (!*has && !is_blank(&(ws_table_record){.cells = (ws_table_cell *)(uintptr_t)cell}, 0, 1))
        draft->found.bad_times++;
}

/* The number of a cell, for whatever else than a feature the column is. */
static void take_role(ws_table_role role, double number, row_draft *draft)
{
    ws_flow *flow = draft->flow;
    switch (role) {
    case WS_TABLE_SOURCE_PORT:
        draft->port[0] = port_of(number);
        break;
    case WS_TABLE_DESTINATION_PORT:
        draft->port[1] = port_of(number);
        break;
    case WS_TABLE_DURATION:
        draft->duration = number;
        draft->has_duration = true;
        break;
    case WS_TABLE_PACKETS_FORWARD:
    case WS_TABLE_PACKETS_BACKWARD:
        flow->packets[role - WS_TABLE_PACKETS_FORWARD] = count_of(number);
        break;
    case WS_TABLE_BYTES_FORWARD:
    case WS_TABLE_BYTES_BACKWARD:
        flow->bytes[role - WS_TABLE_BYTES_FORWARD] = count_of(number);
        break;
    case WS_TABLE_PAYLOAD_FORWARD:
    case WS_TABLE_PAYLOAD_BACKWARD:
        flow->payload_bytes[role - WS_TABLE_PAYLOAD_FORWARD] = count_of(number);
        break;
    case WS_TABLE_ATTEMPTED:
        draft->attempted = number >= 0 && number <= 6 ? (uint8_t)(number + 1) : 0;
        break;
    case WS_TABLE_ENDED_IDLE:
        flow->end = number != 0 ? WS_FLOW_END_IDLE : flow->end;
        break;
    case WS_TABLE_ENDED_ACTIVE:
        flow->end = number != 0 ? WS_FLOW_END_ACTIVE : flow->end;
        break;
    default:
        break;
    }
}

static ws_table_skip take_histogram(ws_table_maker *maker, row_draft *draft, const ws_table_cell *cell, int32_t feature)
{
    size_t count = 0;
    float *out = draft->values + feature;
    memset(out, 0, WS_TABLE_BINS * sizeof *out);
    if (!ws_table_parse_list(cell->text, cell->length, maker->numbers, WS_TABLE_BINS, &count))
        return WS_TABLE_SKIP_NUMBER;
    draft->found.empty_cells += count == 0;
    for (size_t i = 0; i < count; i++)
        out[i] = (float)maker->numbers[i];
    return WS_TABLE_SKIP_NONE;
}

static ws_err take_label(ws_table_maker *maker, const ws_table_cell *cell, size_t level, int32_t *out)
{
    *out = -1;
    ws_table_clean_label(cell, &maker->scratch);
    WS_TRY(ws_text_check(&maker->scratch));
    if (maker->scratch.length == 0)
        return WS_OK;
    return ws_table_names_find(maker->names, level, maker->scratch.data, maker->scratch.length, out);
}

/* The first one of a run is shown: a column of texts among the features skips every row. */
static void tell_text(ws_table_maker *maker, const ws_table_plan *plan, const ws_table_field *field,
                      const ws_table_cell *cell)
{
    if (maker->warns && field->feature >= 0)
        ws_warn("column \"%s\": \"%.*s\" is no number; such rows are skipped and counted "
                "({\"table\": {\"unused\": [\"%s\"]}} in the file of --config leaves the column out)",
                plan->names[field->feature], (int)(cell->length < 40 ? cell->length : 40), cell->text,
                plan->names[field->feature]);
    maker->warns = false;
}

/* One cell. *skip tells why the row is none. */
static ws_err take_cell(ws_table_maker *maker, const ws_table_plan *plan, const ws_table_field *field,
                        const ws_table_cell *cell, row_draft *draft, ws_table_skip *skip)
{
    double number = 0;
    switch (field->role) {
    case WS_TABLE_UNUSED:
        return WS_OK;
    case WS_TABLE_LABEL:
        return field->level < 0 ? WS_OK : take_label(maker, cell, (size_t)field->level, &draft->labels[field->level]);
    case WS_TABLE_SOURCE:
    case WS_TABLE_DESTINATION: {
        int side = field->role == WS_TABLE_DESTINATION;
        draft->has_address[side] = ws_table_parse_address(cell->text, cell->length, draft->address[side]);
        draft->found.bad_addresses += !draft->has_address[side] && cell->length > 0;
        return WS_OK;
    }
    case WS_TABLE_PROTOCOL:
        draft->flow->key.protocol = ws_table_parse_protocol(cell->text, cell->length);
        if (field->feature < 0)
            return WS_OK;
        break;
    case WS_TABLE_FIRST_TIME:
        take_time(plan, draft, cell, &draft->flow->first_ns, &draft->has_first);
        return WS_OK;
    case WS_TABLE_LAST_TIME:
        take_time(plan, draft, cell, &draft->flow->last_ns, &draft->has_last);
        return WS_OK;
    case WS_TABLE_HISTOGRAM:
        *skip = take_histogram(maker, draft, cell, field->feature);
        return WS_OK;
    case WS_TABLE_PPI:
        if (!ws_table_parse_ppi(cell->text, cell->length, maker->packets, draft->packets, &draft->packet_count))
            *skip = WS_TABLE_SKIP_PACKETS;
        return WS_OK;
    case WS_TABLE_LENGTHS:
    case WS_TABLE_GAPS:
    case WS_TABLE_DIRECTIONS: {
        size_t list = (size_t)(field->role - WS_TABLE_LENGTHS);
        if (!ws_table_parse_list(cell->text, cell->length, maker->numbers + list * WS_TABLE_LIST_MAX, WS_TABLE_LIST_MAX,
                                 &draft->list_counts[list]))
            *skip = WS_TABLE_SKIP_PACKETS;
        return WS_OK;
    }
    case WS_TABLE_BIGRAMS:
        if (!ws_table_parse_bigrams(cell->text, cell->length, draft->values + field->feature))
            *skip = WS_TABLE_SKIP_BYTES;
        return WS_OK;
    default:
        break;
    }
    if (!take_value(draft, cell, &number, field->feature < 0 ? NULL : draft->values + field->feature)) {
        *skip = WS_TABLE_SKIP_NUMBER;
        tell_text(maker, plan, field, cell);
    }
    take_role(field->role, number, draft);
    return WS_OK;
}

/* Packets from the three lists of a row. */
static ws_table_skip join_lists(const ws_table_maker *maker, row_draft *draft)
{
    const size_t *counts = draft->list_counts;
    if (counts[0] == SIZE_MAX && counts[1] == SIZE_MAX && counts[2] == SIZE_MAX)
        return WS_TABLE_SKIP_NONE;
    if (counts[0] != counts[1] || counts[1] != counts[2])
        return WS_TABLE_SKIP_PACKETS;
    const double *lengths = maker->numbers, *gaps = lengths + WS_TABLE_LIST_MAX, *directions = gaps + WS_TABLE_LIST_MAX;
    draft->packet_count = counts[0] < maker->packets ? counts[0] : maker->packets;
    double at = 0;
    for (size_t k = 0; k < draft->packet_count; k++) {
        at += k > 0 ? gaps[k] : 0;
        if (!(at >= 0 && at < 9e12 && lengths[k] >= 0 && lengths[k] <= UINT32_MAX))
            return WS_TABLE_SKIP_PACKETS;
        draft->packets[k] = (ws_flow_packet){.offset_ns = (int64_t)(at * 1e6 + 0.5),
                                             .wire_length = (uint32_t)(lengths[k] + 0.5),
                                             .direction = directions[k] > 0 ? 1 : -1};
    }
    return WS_TABLE_SKIP_NONE;
}

/* Key and times once all cells are known. */
static void complete(const ws_table_plan *plan, row_draft *draft)
{
    ws_flow *flow = draft->flow;
    int order = memcmp(draft->address[0], draft->address[1], 16);
    bool source_is_low = order != 0 ? order < 0 : draft->port[0] <= draft->port[1];
    int low = source_is_low ? 0 : 1;
    flow->forward_is_low = source_is_low;
    memcpy(flow->key.low_address, draft->address[low], 16);
    memcpy(flow->key.high_address, draft->address[1 - low], 16);
    flow->key.low_port = draft->port[low];
    flow->key.high_port = draft->port[1 - low];
    if (!draft->has_first)
        flow->first_ns = plan->day_ns;
    double span = draft->duration * plan->family->duration_ns;
    if (!draft->has_last)
        flow->last_ns = flow->first_ns;
    if (!draft->has_last && draft->has_duration && span >= 0 && span < 1e18)
        flow->last_ns = flow->first_ns + (int64_t)(span + 0.5);
    flow->packet_count = (uint32_t)draft->packet_count;
}

static ws_err make_room(const ws_table_plan *plan, size_t packets, ws_table_rows *rows)
{
    WS_TRY(WS_GROW(rows->flows, rows->capacity, rows->count + 1));
    WS_TRY(WS_GROW(rows->packets, rows->packet_capacity, rows->packet_count + packets));
    WS_TRY(WS_GROW(rows->values, rows->value_capacity, (rows->count + 1) * plan->columns));
    WS_TRY(WS_GROW(rows->attempted, rows->attempted_capacity, rows->count + 1));
    WS_TRY(WS_GROW(rows->labels, rows->label_capacity, (rows->count + 1) * plan->level_count + 1));
    return WS_OK;
}

static ws_err take_path_labels(ws_table_maker *maker, const ws_table_plan *plan, row_draft *draft)
{
    for (size_t l = plan->path_level; l < plan->level_count; l++) {
        const char *name = plan->path_classes[l];
        draft->labels[l] = -1;
        if (name != NULL && name[0] != '\0')
            WS_TRY(ws_table_names_find(maker->names, l, name, strlen(name), &draft->labels[l]));
    }
    return WS_OK;
}

static ws_err take_record(ws_table_maker *maker, const ws_table_plan *plan, const ws_table_record *record,
                          row_draft *draft, ws_table_skip *skip)
{
    for (size_t i = 0; i < plan->field_count; i++) {
        WS_TRY(take_cell(maker, plan, &plan->fields[i], &record->cells[i], draft, skip));
        if (*skip != WS_TABLE_SKIP_NONE)
            break;
    }
    if (*skip == WS_TABLE_SKIP_NONE)
        *skip = join_lists(maker, draft);
    if (*skip != WS_TABLE_SKIP_NONE) {
        if (is_blank(record, 0, plan->field_count))
            *skip = WS_TABLE_SKIP_EMPTY;
        return WS_OK;
    }
    if (draft->found.empty_cells > 0 && is_blank(record, 0, plan->field_count))
        *skip = WS_TABLE_SKIP_EMPTY;
    else if (maker->skip_not_finite && draft->found.infinite_cells + draft->found.nan_cells > 0)
        *skip = WS_TABLE_SKIP_NOT_FINITE;
    if (*skip == WS_TABLE_SKIP_NONE && plan->attempted_level >= 0) {
        const ws_table_field *label = &plan->fields[plan->label_field];
        WS_TRY(take_label(maker, &record->cells[plan->label_field], (size_t)plan->attempted_level,
                          &draft->labels[plan->attempted_level]));
        if (draft->attempted > 0)
            draft->labels[label->level] = -1;
    }
    return take_path_labels(maker, plan, draft);
}

/* A header line among the rows: a name where a number belongs. Looked for only when a number could not be read. */
static bool repeats_header(const ws_table_plan *plan, const ws_table_record *record)
{
    for (size_t i = 0; i < plan->field_count; i++) {
        if (plan->fields[i].feature < 0)
            continue;
        ws_text clean = {0};
        ws_table_clean_label(&record->cells[i], &clean);
        bool same = strcasecmp(ws_text_string(&clean), plan->names[plan->fields[i].feature]) == 0;
        ws_text_destroy(&clean);
        return same;
    }
    return false;
}

ws_err ws_table_add_row(ws_table_maker *maker, const ws_table_plan *plan, ws_table_record *record, uint32_t input,
                        uint64_t ordinal, ws_table_rows *rows, ws_table_counts *counts)
{
    ws_table_skip skip = check_shape(plan, record);
    row_draft draft = {.list_counts = {SIZE_MAX, SIZE_MAX, SIZE_MAX}};
    counts->records++;
    counts->bytes += record->bytes;
    if (skip == WS_TABLE_SKIP_NONE) {
        WS_TRY(make_room(plan, maker->packets, rows));
        draft.flow = &rows->flows[rows->count];
        draft.values = rows->values + rows->count * plan->columns;
        draft.labels = rows->labels + rows->count * plan->level_count;
        draft.packets = rows->packets + rows->packet_count;
        *draft.flow = (ws_flow){.input = input, .first_ordinal = ordinal, .end = WS_FLOW_END_INPUT};
        WS_TRY(take_record(maker, plan, record, &draft, &skip));
        if (skip == WS_TABLE_SKIP_NUMBER && repeats_header(plan, record))
            skip = WS_TABLE_SKIP_HEADER;
    }
    if (skip != WS_TABLE_SKIP_NONE) {
        counts->skipped[skip]++;
        counts->skipped_bytes[skip] += record->bytes;
        return WS_OK;
    }
    complete(plan, &draft);
    rows->attempted[rows->count] = draft.attempted;
    rows->count++;
    rows->packet_count += draft.packet_count;
    counts->rows++;
    counts->row_bytes += record->bytes;
    counts->packets += draft.packet_count;
    counts->empty_cells += draft.found.empty_cells;
    counts->infinite_cells += draft.found.infinite_cells;
    counts->nan_cells += draft.found.nan_cells;
    counts->bad_times += draft.found.bad_times;
    counts->bad_addresses += draft.found.bad_addresses;
    counts->unlabelled += plan->level_count > 0 && draft.labels[0] < 0;
    return WS_OK;
}
