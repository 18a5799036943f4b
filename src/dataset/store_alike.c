/* store_alike: whether two stores were extracted so that the same traffic has the same features in both, from what their
 * provenance says. For whoever takes a model, or an audit, from one store to another.
 *
 * Compared is what shapes a row: time-outs, windows, direction, tunnels, filter, stored packets. Not compared is what only chooses
 * rows (protocols, reservoir, labels), what hides or names (endpoints), and how files are to be read (stamps, join): another
 * writer's capture needs other such options to give the same features.
 */
#include "dataset/dataset.h"

#include <stdlib.h>

/* absent: what a store has whose options do not name the key; NULL: such stores are not compared. */
typedef struct compared_key {
    const char *key, *absent, *option;
    bool of_time_outs;
} compared_key;

static const compared_key keys[] = {
    {"direction", NULL, "--set direction=", false},
    {"idle_timeout", NULL, "--set idle_timeout=", true},
    {"active_timeout", NULL, "--set active_timeout=", true},
    {"linger", NULL, NULL, true},
    {"tunnels", NULL, "--set tunnels=", false},
    {"non_finite", NULL, "--set non_finite=", false},
    {"rows", "flow", "--set rows=", false},
    {"filter", "none", "--filter ", false},
    {"window", "none", "--set window=", false},
    {"window_rule", "none", "--set window_rule=", false},
    {"window_origin", "none", "--set window_origin=", false},
};

ws_err ws_store_extraction(const ws_store *store, char **out)
{
    return ws_h5_read_attribute_text(store->file, "/provenance", "options", out);
}

/* A number or text of the options as text; room for a number. NULL: neither store can be judged by it. */
static const char *value_of(const cJSON *options, const compared_key *key, char room[32])
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(options, key->key);
    if (cJSON_IsString(value))
        return value->valuestring;
    if (cJSON_IsNumber(value)) {
        ws_format_double(value->valuedouble, room);
        return room;
    }
    return key->absent;
}

/* Nothing but the window's edge ends a row: then time-outs do not. */
static bool windows_alone(const cJSON *options)
{
    const char *rule = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(options, "window_rule"));
    return rule != NULL && strcmp(rule, "flows") != 0;
}

static void note(ws_text *differences, ws_text *remedy, const char *key, const char *here, const char *wanted,
                 const char *option)
{
    ws_text_appendf(differences, "%s%s %s, not %s", differences->length > 0 ? "; " : "", key, here, wanted);
    if (option == NULL || strcmp(wanted, "none") == 0)
        return;
    const char *quote = strchr(wanted, ' ') != NULL ? "'" : "";
    ws_text_appendf(remedy, " %s%s%s%s", option, quote, wanted, quote);
}

static void compare_packets(const cJSON *here, const cJSON *trained, uint64_t reads, ws_text *differences,
                            ws_text *remedy)
{
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(here, "packets");
    const cJSON *other = cJSON_GetObjectItemCaseSensitive(trained, "packets");
    char texts[2][32];
    if (!cJSON_IsNumber(own) || !cJSON_IsNumber(other) || own->valuedouble == other->valuedouble ||
        (own->valuedouble >= (double)reads && other->valuedouble >= (double)reads))
        return;
    ws_format_double(own->valuedouble, texts[0]);
    ws_format_double(other->valuedouble, texts[1]);
    note(differences, remedy, "packets", texts[0], texts[1], "--packets ");
}

static void compare(const cJSON *here, const cJSON *trained, uint64_t reads, ws_text *differences, ws_text *remedy)
{
    const bool captures = cJSON_HasObjectItem(here, "idle_timeout") && cJSON_HasObjectItem(trained, "idle_timeout");
    const bool without_time_outs = windows_alone(here) && windows_alone(trained);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char rooms[2][32];
        const char *own = value_of(here, &keys[i], rooms[0]), *other = value_of(trained, &keys[i], rooms[1]);
        if (own == NULL || other == NULL || strcmp(own, other) == 0 || (keys[i].absent != NULL && !captures) ||
            (keys[i].of_time_outs && without_time_outs))
            continue;
        note(differences, remedy, keys[i].key, own, other, keys[i].option);
    }
    compare_packets(here, trained, reads, differences, remedy);
}

/* *differences NULL: none. */
static ws_err judge(const ws_store *store, const ws_text *found, const ws_text *remedy, bool accepts,
                    char **differences)
{
    if (found->length == 0)
        return WS_OK;
    if (!accepts) {
        ws_err error =
            WS_ERROR(CONFIG, "%s: was not extracted as the store that trained: %s", store->path, ws_text_string(found));
        WS_HINT("extract it again%s%s, or take it as it is with --other-extraction", remedy->length > 0 ? " with" : "",
                ws_text_string(remedy));
        return error;
    }
    ws_warn("%s: was not extracted as the store that trained: %s", store->path, ws_text_string(found));
    *differences = strdup(ws_text_string(found));
    WS_CHECK(*differences != NULL, MEMORY, "no memory for a text");
    return WS_OK;
}

static ws_err find_differences(const ws_store *store, const char *trained, uint64_t reads, ws_text *found,
                               ws_text *remedy)
{
    char *text;
    WS_TRY(ws_store_extraction(store, &text));
    cJSON *here = cJSON_Parse(text), *there = cJSON_Parse(trained);
    const bool known = here != NULL && there != NULL;
    free(text);
    if (known)
        compare(here, there, reads, found, remedy);
    cJSON_Delete(here);
    cJSON_Delete(there);
    WS_CHECK(known, FORMAT, "%s: the options of its extraction, or those of the store that trained, are no JSON",
             store->path);
    WS_TRY(ws_text_check(found));
    return ws_text_check(remedy);
}

ws_err ws_store_check_extraction(const ws_store *store, const char *trained, uint64_t reads, bool accepts,
                                 char **differences)
{
    ws_text found = {0}, remedy = {0};
    *differences = NULL;
    ws_err error = find_differences(store, trained, reads, &found, &remedy);
    if (error == WS_OK)
        error = judge(store, &found, &remedy, accepts, differences);
    ws_text_destroy(&found);
    ws_text_destroy(&remedy);
    return error;
}

ws_err ws_stores_extracted_alike(const ws_store *store, const ws_store *trained, bool *alike)
{
    char *text;
    ws_text found = {0}, remedy = {0};
    WS_TRY(ws_store_extraction(trained, &text));
    ws_err error = find_differences(store, text, WS_READS_ALL, &found, &remedy);
    *alike = found.length == 0;
    free(text);
    ws_text_destroy(&found);
    ws_text_destroy(&remedy);
    return error;
}
