/* table_config: what a user's JSON file says of the columns of flow tables:
 *
 *     {"table": {"features": ["Flow Duration", ...],          default: every column without another meaning
 *                "feature_table": "my_flows", "units": {"Flow Duration": "us"},
 *                "labels": {"LEVEL": "COLUMN"}, "unused": ["COLUMN"],
 *                "source": "COLUMN", "source_port": ..., "destination": ..., "destination_port": ..., "protocol": ...,
 *                "first_time": ..., "last_time": ..., "duration": ..., "packets_forward": ..., "packets_backward": ...,
 *                "bytes_forward": ..., "bytes_backward": ..., "payload_forward": ..., "payload_backward": ...,
 *                "ppi": ..., "packet_lengths": ..., "packet_gaps": ..., "packet_directions": ...,
 *                "duration_unit": "s|ms|us|ns", "utc_offset_hours": 0}}
 *
 * Given columns come before those the family knows, so a file overrides it name by name.
 */
#include "dataset/table.h"

static const struct {
    const char *key;
    ws_table_role role;
} roles[] = {{"source", WS_TABLE_SOURCE},
             {"source_port", WS_TABLE_SOURCE_PORT},
             {"destination", WS_TABLE_DESTINATION},
             {"destination_port", WS_TABLE_DESTINATION_PORT},
             {"protocol", WS_TABLE_PROTOCOL},
             {"first_time", WS_TABLE_FIRST_TIME},
             {"last_time", WS_TABLE_LAST_TIME},
             {"duration", WS_TABLE_DURATION},
             {"packets_forward", WS_TABLE_PACKETS_FORWARD},
             {"packets_backward", WS_TABLE_PACKETS_BACKWARD},
             {"bytes_forward", WS_TABLE_BYTES_FORWARD},
             {"bytes_backward", WS_TABLE_BYTES_BACKWARD},
             {"payload_forward", WS_TABLE_PAYLOAD_FORWARD},
             {"payload_backward", WS_TABLE_PAYLOAD_BACKWARD},
             {"ppi", WS_TABLE_PPI},
             {"packet_lengths", WS_TABLE_LENGTHS},
             {"packet_gaps", WS_TABLE_GAPS},
             {"packet_directions", WS_TABLE_DIRECTIONS}};
enum { ROLES = sizeof roles / sizeof *roles };

typedef struct config_reader {
    const ws_json *document;
    ws_arena *arena;
    ws_problems problems;
    ws_table_family *family;
    ws_table_column *columns;
    size_t count, capacity;
    const cJSON *units;
    bool failed;
} config_reader;

static const char *keep(config_reader *r, const char *text)
{
    const char *copy = ws_arena_strdup(r->arena, text);
    r->failed = r->failed || copy == NULL;
    return copy;
}

static const char *unit_of(config_reader *r, const char *name)
{
    const cJSON *unit = cJSON_GetObjectItemCaseSensitive(r->units, name);
    return cJSON_IsString(unit) ? keep(r, unit->valuestring) : "unknown";
}

/* A column called `name`. One that is also a feature has both meanings. */
static void add_column(config_reader *r, const cJSON *value, ws_table_role role, const char *level, const char *unit)
{
    if (!cJSON_IsString(value) || value->valuestring[0] == '\0') {
        ws_problems_add(&r->problems, r->document, value, "table.%s: the name of a column is wanted",
                        value->string != NULL ? value->string : "features");
        return;
    }
    for (size_t c = 0; c < r->count; c++)
        if (r->columns[c].names != NULL && strcmp(r->columns[c].names, value->valuestring) == 0) {
            if (role == WS_TABLE_VALUE)
                r->columns[c].unit = unit;
            else
                ws_problems_add(&r->problems, r->document, value, "table: column \"%s\" has two meanings",
                                value->valuestring);
            return;
        }
    if (r->count < r->capacity)
        r->columns[r->count++] = (ws_table_column){keep(r, value->valuestring), unit, role, level};
}

static void add_list(config_reader *r, const cJSON *list, ws_table_role role)
{
    const cJSON *item;
    if (!cJSON_IsArray(list)) {
        ws_problems_add(&r->problems, r->document, list, "table.%s: a list of columns is wanted", list->string);
        return;
    }
    cJSON_ArrayForEach(item, list) add_column(
        r, item, role, NULL, role == WS_TABLE_VALUE && cJSON_IsString(item) ? unit_of(r, item->valuestring) : NULL);
}

static void read_duration_unit(config_reader *r, const cJSON *value)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};
    for (size_t i = 0; cJSON_IsString(value) && i < sizeof units / sizeof *units; i++)
        if (strcmp(value->valuestring, units[i].name) == 0) {
            r->family->duration_ns = units[i].ns;
            return;
        }
    ws_problems_add(&r->problems, r->document, value, "table.duration_unit: one of s, ms, us, ns is wanted");
}

static void read_offset(config_reader *r, const cJSON *value)
{
    if (!cJSON_IsNumber(value) || value->valuedouble < -14 || value->valuedouble > 14) {
        ws_problems_add(&r->problems, r->document, value, "table.utc_offset_hours: a number from -14 to 14 is wanted");
        return;
    }
    int seconds = (int)(value->valuedouble * 3600);
    r->family->clock = (ws_table_clock){.utc_offset_s = seconds, .slash_offset_s = seconds};
}

static void read_key(config_reader *r, const cJSON *value)
{
    const char *key = value->string;
    const cJSON *item;
    for (size_t i = 0; i < ROLES; i++)
        if (strcmp(key, roles[i].key) == 0) {
            add_column(r, value, roles[i].role, NULL, NULL);
            return;
        }
    if (strcmp(key, "unused") == 0) {
        add_list(r, value, WS_TABLE_UNUSED);
    } else if (strcmp(key, "labels") == 0 && cJSON_IsObject(value)) {
        cJSON_ArrayForEach(item, value) add_column(r, item, WS_TABLE_LABEL, keep(r, item->string), NULL);
    } else if (strcmp(key, "feature_table") == 0 && cJSON_IsString(value) && strchr(value->valuestring, '/') == NULL &&
               value->valuestring[0] != '\0') {
        r->family->feature_table = keep(r, value->valuestring);
    } else if (strcmp(key, "duration_unit") == 0) {
        read_duration_unit(r, value);
    } else if (strcmp(key, "utc_offset_hours") == 0) {
        read_offset(r, value);
    } else if (strcmp(key, "features") != 0 && strcmp(key, "units") != 0) {
        ws_problems_add(&r->problems, r->document, value, "table.%s: unknown key, or a value of the wrong type", key);
    }
}

static ws_err read_table(config_reader *r, const ws_table_family *base, const cJSON *table)
{
    if (!cJSON_IsObject(table)) {
        ws_problems_add(&r->problems, r->document, table, "table: an object is wanted");
        return WS_OK;
    }
    const cJSON *value, *features = cJSON_GetObjectItemCaseSensitive(table, "features");
    size_t listed = 0;
    while (base->columns[listed].names != NULL)
        listed++;
    r->capacity = ROLES + WS_TABLE_COLUMNS_MAX;
    WS_TRY(ws_arena_alloc(r->arena, &r->columns, r->capacity + listed + 1, sizeof *r->columns));
    r->units = cJSON_GetObjectItemCaseSensitive(table, "units");
    cJSON_ArrayForEach(value, table) read_key(r, value);
    if (features != NULL) { /* last: a column that has a meaning already becomes a feature too */
        add_list(r, features, WS_TABLE_VALUE);
        r->family->rest_are_features = false;
    }
    memcpy(r->columns + r->count, base->columns, (listed + 1) * sizeof *r->columns);
    r->family->columns = r->columns;
    return WS_OK;
}

ws_err ws_table_configure(const ws_table_family *base, const char *file, ws_arena *arena, const ws_table_family **out)
{
    *out = base;
    if (file == NULL)
        return WS_OK;
    ws_json *document = NULL;
    config_reader r = {.arena = arena};
    WS_TRY(ws_json_read_file(&document, file));
    r.document = document;
    ws_err error = WS_OK;
    const cJSON *table = cJSON_GetObjectItemCaseSensitive(ws_json_root(document), "table");
    if (table != NULL) {
        error = ws_arena_alloc(arena, &r.family, 1, sizeof *r.family);
        if (error == WS_OK) {
            *r.family = *base;
            error = read_table(&r, base, table);
        }
        if (error == WS_OK)
            error = ws_problems_error(&r.problems);
        if (error == WS_OK && r.failed)
            error = WS_ERROR(MEMORY, "%s: out of memory for its table", file);
        *out = r.family;
    }
    ws_json_destroy(&document);
    WS_TRY(error);
    return WS_OK;
}
