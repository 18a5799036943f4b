/* What a run was told to do, as a text that a later run compares with its own before it goes on: the options that determine
 * rows, and the inputs by name, size, time of change and digest of their ends. Where the inputs lie does not matter.
 */
#include "dataset/extract_append.h"
#include "dataset/extract_checkpoint.h"
#include "dataset/table.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { END_BYTES = 4096 };

typedef struct input_mark {
    int64_t modified_ns;
    uint64_t digest; /* of the first and the last bytes */
} input_mark;

static ws_err mark_input(const extract_input *input, input_mark *out)
{
    uint8_t ends[2 * END_BYTES];
    struct stat about;
    int file = open(input->path, O_RDONLY | O_CLOEXEC);
    WS_CHECK(file >= 0, IO, "%s: cannot be opened again", input->path);
    const uint64_t bytes = input->bytes < END_BYTES ? input->bytes : END_BYTES;
    ssize_t first = pread(file, ends, bytes, 0);
    ssize_t last = pread(file, ends + END_BYTES, bytes, (off_t)(input->bytes - bytes));
    const bool known = fstat(file, &about) == 0 && first == (ssize_t)bytes && last == (ssize_t)bytes;
    close(file);
    WS_CHECK(known, IO, "%s: cannot be read again; it had %" PRIu64 " bytes", input->path, input->bytes);
    memset(ends + bytes, 0, END_BYTES - bytes);
    ws_digest digest = ws_sha256_of(ends, END_BYTES + bytes);
    *out = (input_mark){(int64_t)about.st_mtim.tv_sec * 1000000000 + about.st_mtim.tv_nsec, ws_digest_u64(&digest)};
    return WS_OK;
}

/* marks[inputs]; each rank looks at its share. */
static ws_err mark_inputs_all(const extraction *x, input_mark *marks)
{
    ws_err local = WS_OK;
    for (size_t i = (size_t)x->comm->rank; local == WS_OK && i < x->input_count; i += (size_t)x->comm->size)
        local = mark_input(&x->inputs[i], &marks[i]);
    WS_AGREE(x->comm, local);
    WS_TRY(ws_sum_u64_all(x->comm, (uint64_t *)marks, x->input_count * sizeof *marks / sizeof(uint64_t)));
    return WS_OK;
}

static ws_err add_file(cJSON *object, const char *key, const char *path)
{
    struct stat about;
    ws_digest digest;
    char hex[65];
    if (path == NULL)
        return WS_OK;
    if (stat(path, &about) != 0 || !S_ISREG(about.st_mode)) {
        cJSON_AddStringToObject(object, key, path);
        return WS_OK;
    }
    WS_TRY(ws_sha256_file(path, &digest));
    ws_digest_hex(&digest, hex);
    cJSON_AddStringToObject(object, key, hex);
    return WS_OK;
}

static void add_classes(cJSON *object, const extraction *x)
{
    size_t count;
    if (x->labels == NULL)
        return;
    const ws_label_level *levels = ws_labels_levels(x->labels, &count);
    cJSON *all = cJSON_AddObjectToObject(object, "classes");
    for (size_t l = 0; l < count; l++)
        cJSON_AddItemToObject(all, levels[l].name,
                              cJSON_CreateStringArray((const char *const *)levels[l].names, (int)levels[l].classes));
}

static ws_err add_options(const extraction *x, cJSON *root)
{
    ws_text text = {0};
    ws_err error = x->tables != NULL ? ws_table_options_json(x, &text) : extract_options_json(x, &text);
    cJSON *options = error == WS_OK ? cJSON_Parse(ws_text_string(&text)) : NULL;
    ws_text_destroy(&text);
    WS_TRY(error);
    WS_CHECK(options != NULL, MEMORY, "no memory for the options");
    cJSON_AddItemToObject(root, "options", options);
    WS_TRY(add_file(options, "key", x->options->key_file));
    WS_TRY(add_file(options, "config", x->options->config));
    WS_TRY(add_file(options, "labels", x->options->labels));
    if (x->append != NULL)
        cJSON_AddStringToObject(options, "store that is added to", x->append->store.content_hash);
    add_classes(options, x);
    return WS_OK;
}

static ws_err identity_text(const extraction *x, const input_mark *marks, ws_text *out)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "program", ws_program_hash());
    ws_err error = add_options(x, root);
    cJSON *inputs = cJSON_AddArrayToObject(root, "inputs");
    for (size_t i = 0; i < x->input_count; i++) {
        char number[32];
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "name", x->names.items[i]);
        cJSON_AddNumberToObject(one, "bytes", (double)x->inputs[i].bytes);
        snprintf(number, sizeof number, "%" PRId64, marks[i].modified_ns);
        cJSON_AddStringToObject(one, "modified_ns", number);
        snprintf(number, sizeof number, "%016" PRIx64, marks[i].digest);
        cJSON_AddStringToObject(one, "ends", number);
        cJSON_AddItemToArray(inputs, one);
    }
    if (error == WS_OK)
        error = ws_json_canonical(root, out);
    cJSON_Delete(root);
    return error;
}

ws_err extract_identity_make_all(const extraction *x, char **out)
{
    input_mark *marks = NULL;
    ws_text text = {0};
    *out = NULL;
    ws_err error = ws_agree_all(x->comm, WS_NEW_ARRAY(marks, x->input_count));
    if (error == WS_OK)
        error = mark_inputs_all(x, marks);
    if (error == WS_OK)
        error = ws_agree_all(x->comm, x->comm->rank == 0 ? identity_text(x, marks, &text) : WS_OK);
    free(marks);
    *out = text.data;
    return error;
}

/* ---------------------------------------------------------------- comparing */
static ws_err equal(const cJSON *a, const cJSON *b, bool *same)
{
    ws_text left = {0}, right = {0};
    ws_err error = a != NULL ? ws_json_canonical(a, &left) : WS_OK;
    if (error == WS_OK && b != NULL)
        error = ws_json_canonical(b, &right);
    *same = strcmp(ws_text_string(&left), ws_text_string(&right)) == 0;
    ws_text_destroy(&left);
    ws_text_destroy(&right);
    return error;
}

static const char *text_of(const cJSON *object, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(value) ? value->valuestring : "";
}

static double number_of(const cJSON *object, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(value) ? value->valuedouble : -1;
}

static ws_err compare_inputs(const cJSON *then, const cJSON *now, ws_text *difference)
{
    const int count = cJSON_GetArraySize(then), count_now = cJSON_GetArraySize(now);
    const cJSON *a = then != NULL ? then->child : NULL, *b = now != NULL ? now->child : NULL;
    for (; a != NULL && b != NULL; a = a->next, b = b->next) {
        const char *name = text_of(a, "name");
        bool same;
        WS_TRY(equal(a, b, &same));
        if (same)
            continue;
        if (strcmp(name, text_of(b, "name")) != 0)
            ws_text_appendf(difference, "input %s was there then, %s is now", name, text_of(b, "name"));
        else if (number_of(a, "bytes") != number_of(b, "bytes"))
            ws_text_appendf(difference, "the input %s had %.0f bytes then and has %.0f now", name,
                            number_of(a, "bytes"), number_of(b, "bytes"));
        else
            ws_text_appendf(difference, "the input %s was changed since", name);
        return WS_OK;
    }
    if (count != count_now)
        ws_text_appendf(difference, "there were %d inputs then and are %d now", count, count_now);
    return WS_OK;
}

static ws_err compare_options(const cJSON *then, const cJSON *now, ws_text *difference)
{
    const cJSON *const sides[2] = {then, now};
    for (int side = 0; side < 2; side++)
        for (const cJSON *one = sides[side] != NULL ? sides[side]->child : NULL; one != NULL; one = one->next) {
            const cJSON *other = cJSON_GetObjectItemCaseSensitive(sides[1 - side], one->string);
            bool same;
            WS_TRY(equal(one, other, &same));
            if (same)
                continue;
            ws_text_appendf(difference, "it was begun with another %s", one->string);
            return WS_OK;
        }
    return WS_OK;
}

ws_err extract_identity_compare(const cJSON *then, const cJSON *now, bool *same, ws_text *difference)
{
    static const char program[] = "program";
    WS_TRY(equal(then, now, same));
    if (*same)
        return WS_OK;
    WS_TRY(compare_options(cJSON_GetObjectItemCaseSensitive(then, "options"),
                           cJSON_GetObjectItemCaseSensitive(now, "options"), difference));
    if (difference->length == 0)
        WS_TRY(compare_inputs(cJSON_GetObjectItemCaseSensitive(then, "inputs"),
                              cJSON_GetObjectItemCaseSensitive(now, "inputs"), difference));
    if (difference->length == 0 && strcmp(text_of(then, program), text_of(now, program)) != 0)
        ws_text_append(difference, "another build of the program began it");
    return ws_text_check(difference);
}
