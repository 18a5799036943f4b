/* libFuzzer: a JSON configuration: read, written canonically and for people, and read again to the same; then as the file that
 * says what the columns of a flow table are.
 */
#include "fuzz/fuzz_table.h"

static char *canonical(const char *text)
{
    ws_json *document = NULL;
    ws_text out = {0};
    char *copy = NULL;
    if (ws_json_read_text(&document, text, "fuzz.json") == WS_OK) {
        FUZZ_CHECK(ws_json_canonical(ws_json_root(document), &out) == WS_OK);
        copy = strdup(ws_text_string(&out));
        ws_text_clear(&out);
        FUZZ_CHECK(ws_json_pretty(ws_json_root(document), &out) == WS_OK);
    }
    ws_text_destroy(&out);
    ws_json_destroy(&document);
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *text = malloc(bytes + 1);
    FUZZ_CHECK(text != NULL);
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    char *once = canonical(text), *twice = once != NULL ? canonical(once) : NULL;
    if (once != NULL)
        FUZZ_CHECK(twice != NULL && strcmp(once, twice) == 0);
    free(text);
    free(once);
    free(twice);
    ws_arena *arena = NULL;
    const ws_table_family *family;
    FUZZ_CHECK(ws_arena_create(&arena, 1 << 16) == WS_OK);
    (void)ws_table_configure(fuzz_family((unsigned)bytes), fuzz_file("", 0, data, bytes), arena, &family);
    ws_arena_destroy(&arena);
    return 0;
}
