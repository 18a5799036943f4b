/* libFuzzer: a command line, its words between NULs, for a table with every type of option; then each word as what --bytes,
 * --protocols and --features take. What is accepted is in range, and printed, it is read again to the same.
 */
#include "dataset/dataset.h"
#include "fuzz/fuzz_capture.h"

enum { WORDS_MOST = 32 };

typedef struct fuzz_values {
    int64_t packets;
    double window;
    bool resume;
    const char *dataset, *output;
    int endpoints;
    ws_string_list protocols, set;
} fuzz_values;

static const ws_option fields[] = {
    WS_OPTION_INT(fuzz_values, packets, 128, 0, 65536, "a whole number"),
    WS_OPTION_DOUBLE(fuzz_values, window, 0.5, 0, 1e6, "a number"),
    WS_OPTION_BOOL(fuzz_values, resume, false, "yes or no"),
    WS_OPTION_STRING(fuzz_values, dataset, "generic", "a word"),
    WS_OPTION_PATH(fuzz_values, output, NULL, "a file"),
    WS_OPTION_ENUM(fuzz_values, endpoints, "drop", "drop|keyed|prefix|plain", "one of several"),
    WS_OPTION_LIST(fuzz_values, protocols, NULL, "a list"),
    WS_OPTION_REPEATED(fuzz_values, set, "each alone"),
    WS_OPTION_END};
static const ws_option_table table = {"", sizeof(fuzz_values), fields, "fuzzed"};

static char *print(const fuzz_values *values)
{
    cJSON *object = ws_options_print(&table, values);
    FUZZ_CHECK(object != NULL);
    char *text = cJSON_PrintUnformatted(object);
    FUZZ_CHECK(text != NULL);
    cJSON_Delete(object);
    return text;
}

/* The printed values as a configuration, less what only a command line takes. */
static void read_again(const fuzz_values *values, ws_arena *arena)
{
    fuzz_values again = *values;
    ws_json *document = NULL;
    ws_problems problems = {0};
    again.set = (ws_string_list){0};
    again.output = NULL;
    char *text = print(&again), *twice;
    if (ws_json_read_text(&document, text, "") == WS_OK) { /* words that are no UTF-8 are refused there */
        cJSON_DeleteItemFromObjectCaseSensitive((cJSON *)(uintptr_t)ws_json_root(document), "set");
        FUZZ_CHECK(ws_options_read(&table, document, ws_json_root(document), "", NULL, arena, &again, &problems) ==
                   WS_OK);
        FUZZ_CHECK(ws_problems_error(&problems) == WS_OK);
        twice = print(&again);
        FUZZ_CHECK(strcmp(text, twice) == 0);
        cJSON_free(twice);
    }
    cJSON_free(text);
    ws_json_destroy(&document);
}

static void read_line(int count, char **words, ws_arena *arena)
{
    fuzz_values values;
    ws_string_list positional;
    FUZZ_CHECK(ws_options_default(&table, arena, &values) == WS_OK);
    if (ws_options_command_line(&table, count, words, arena, &values, &positional) != WS_OK)
        return;
    FUZZ_CHECK(values.packets >= 0 && values.packets <= 65536 && values.window >= 0 && values.window <= 1e6);
    FUZZ_CHECK(values.endpoints >= 0 && values.endpoints < 4 && (int)positional.count <= count);
    read_again(&values, arena);
}

static void read_word(const char *word)
{
    const ws_string_list names = {&word, 1};
    ws_byte_view view = {0};
    ws_ip_protocols protocols = {0};
    if (ws_byte_view_read(word, &view) == WS_OK)
        FUZZ_CHECK(view.packets >= 1 && view.header + view.payload >= 1 && ws_byte_slot_size(&view) < 1 << 17);
    (void)ws_ip_protocols_read(&names, &protocols);
    (void)ws_flow_features_find(word);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *text = malloc(bytes + 1), *words[WORDS_MOST + 1] = {NULL};
    int count = 0;
    ws_arena *arena = NULL;
    FUZZ_CHECK(text != NULL && ws_arena_create(&arena, 1 << 12) == WS_OK);
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    for (char *at = text; at < text + bytes && count < WORDS_MOST; at += strlen(at) + 1)
        words[count++] = at;
    for (int i = 0; i < count; i++)
        read_word(words[i]);
    read_line(count, words, arena);
    ws_arena_destroy(&arena);
    free(text);
    return 0;
}
