/* What a model learned, ready for scoring, and the file that keeps it. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "train/internal.h"

ws_err ws_learned_create(const ws_model *model, const ws_model_context *context, ws_learned *out)
{
    ws_err error = WS_OK;
    *out = (ws_learned){.model = model, .context = context};
    if (model->network) {
        WS_TRY_GOTO(fail, ws_plan_create(&out->plan));
        WS_TRY_GOTO(fail, model->network->build_scoring(context, out->plan, WS_SCORE_ROWS));
        WS_TRY_GOTO(fail, ws_plan_finish(out->plan, WS_NO_TENSOR));
        WS_TRY_GOTO(fail, WS_NEW_ARRAY(out->parameters, ws_plan_parameter_extent(out->plan)));
    }
    WS_TRY_GOTO(fail, ws_arena_create(&out->arena, 1 << 16));
    out->arrays.arena = out->arena;
    return WS_OK;
fail:
    ws_learned_destroy(out);
    return error;
}

void ws_learned_destroy(ws_learned *learned)
{
    ws_plan_destroy(&learned->plan);
    free(learned->parameters);
    ws_arrays_destroy(&learned->arrays);
    ws_arena_destroy(&learned->arena);
    *learned = (ws_learned){0};
}

ws_err ws_learned_take(ws_learned *learned, const ws_network_state *state)
{
    const ws_parameter *to, *from;
    size_t to_count = ws_plan_parameters(learned->plan, &to), from_count = ws_plan_parameters(state->plan, &from);
    for (size_t i = 0; i < to_count; i++) {
        size_t j = 0;
        while (j < from_count && strcmp(from[j].name, to[i].name) != 0)
            j++;
        WS_CHECK(j < from_count && from[j].count == to[i].count, INTERNAL,
                 "model %s: the scoring plan's parameter %s is not in the training plan", learned->model->name,
                 to[i].name);
        memcpy(learned->parameters + to[i].offset, state->average + from[j].offset, to[i].count * sizeof(ws_real));
    }
    return WS_OK;
}

ws_err ws_learned_prepare(ws_learned *learned)
{
    const ws_classical *classical = learned->model->classical;
    if (!classical || !classical->prepare || learned->arrays.undefined)
        return WS_OK;
    return classical->prepare(learned->context, &learned->arrays);
}

ws_err ws_learned_calibrate_all(const ws_comm *comm, ws_learned *learned, const ws_samples *normal)
{
    const ws_network *network = learned->model->network;
    ws_model_context context = *learned->context;
    float *scores = NULL;
    context.wanted = network && network->calibration ? network->calibration(&context) : 0;
    if (context.wanted == 0)
        return WS_OK;
    ws_learned seen = *learned;
    seen.context = &context;
    seen.calibrating = true;
    WS_TRY(ws_score_all(comm, &seen, normal, "score normal rows", &scores, NULL));
    ws_err error = network->calibrate(learned->context, scores, normal->rows, &learned->arrays);
    free(scores);
    WS_AGREE(comm, error);
    return WS_OK;
}

/* ---- hash ---- */

typedef struct named_values {
    const char *group, *name;
    int dimensions;
    const int64_t *shape;
    const void *values;
    size_t bytes;
} named_values;

static int compare_names(const void *a, const void *b)
{
    const named_values *x = a, *y = b;
    int order = strcmp(x->group, y->group);
    return order ? order : strcmp(x->name, y->name);
}

static size_t list_parameters(const ws_network_state *state, const char *group, const ws_real *values,
                              named_values *out)
{
    const ws_parameter *table;
    size_t count = ws_plan_parameters(state->plan, &table);
    for (size_t i = 0; i < count; i++)
        out[i] = (named_values){group,
                                table[i].name,
                                table[i].dimensions,
                                table[i].shape,
                                values + table[i].offset,
                                table[i].count * sizeof *values};
    return count;
}

static ws_err hash_values(named_values *list, size_t count, char hex[65])
{
    ws_sha256 *hash;
    WS_TRY(ws_sha256_create(&hash));
    if (count > 0)
        qsort(list, count, sizeof *list, compare_names);
    for (size_t i = 0; i < count; i++) {
        char line[512];
        size_t used = (size_t)snprintf(line, sizeof line, "%s/%s", list[i].group, list[i].name);
        for (int d = 0; d < list[i].dimensions && used < sizeof line; d++)
            used += (size_t)snprintf(line + used, sizeof line - used, " %lld", (long long)list[i].shape[d]);
        ws_sha256_update(hash, line, strlen(line) + 1);
        ws_sha256_update(hash, list[i].values, list[i].bytes);
    }
    ws_digest digest = ws_sha256_finish(hash);
    ws_digest_hex(&digest, hex);
    ws_sha256_destroy(&hash);
    return WS_OK;
}

ws_err ws_learned_hash(const ws_learned *learned, const ws_network_state *state, char hex[65])
{
    named_values *list;
    const ws_parameter *table;
    size_t count = state ? 2 * ws_plan_parameters(state->plan, &table) : learned->arrays.count;
    WS_TRY(WS_NEW_ARRAY(list, count));
    if (state) {
        size_t half = list_parameters(state, "ema", state->average, list);
        list_parameters(state, "param", state->parameters, list + half);
    } else {
        for (size_t i = 0; i < count; i++) {
            const ws_array *a = &learned->arrays.items[i];
            list[i] =
                (named_values){"learned", a->name, a->dimensions, a->shape, a->values, a->count * sizeof *a->values};
        }
    }
    ws_err error = hash_values(list, count, hex);
    free(list);
    return error;
}

/* ---- model.h5 ---- */

static ws_err write_arrays(hid_t file, const ws_arrays *arrays)
{
    for (size_t i = 0; i < arrays->count; i++) {
        const ws_array *a = &arrays->items[i];
        hsize_t shape[WS_MAX_DIMENSIONS];
        for (int d = 0; d < a->dimensions; d++)
            shape[d] = (hsize_t)a->shape[d];
        char *path = ws_format("/learned/%s", a->name);
        WS_CHECK(path, MEMORY, "no memory for a path");
        ws_err error = ws_h5_write_dataset(file, path, H5T_NATIVE_DOUBLE, a->values, a->dimensions, shape);
        free(path);
        WS_TRY(error);
    }
    return WS_OK;
}

static ws_err write_config(hid_t file, const ws_train_config *config)
{
    ws_text text = {0};
    cJSON *printed = ws_train_config_print(config, false);
    WS_CHECK(printed, MEMORY, "no memory for the configuration");
    ws_err error = ws_json_canonical(printed, &text);
    cJSON_Delete(printed);
    if (error == WS_OK)
        error = ws_text_check(&text);
    if (error == WS_OK)
        error = ws_h5_write_attribute_text(file, ".", "config", ws_text_string(&text));
    ws_text_destroy(&text);
    return error;
}

static ws_err write_normalisation(hid_t file, const char *group, const ws_normalisation *n)
{
    static const char *const names[] = {"mean", "deviation"};
    const double *values[] = {n->mean, n->deviation};
    const hsize_t columns = (hsize_t)n->columns;
    for (int i = 0; i < 2; i++) {
        char *path = ws_format("%s/%s", group, names[i]);
        WS_CHECK(path, MEMORY, "no memory for a path");
        ws_err error = ws_h5_write_dataset(file, path, H5T_NATIVE_DOUBLE, values[i], 1, &columns);
        free(path);
        WS_TRY(error);
    }
    return ws_h5_write_attribute_double(file, group, "clip", n->clip);
}

static ws_err write_model(hid_t file, const ws_train_config *config, const ws_rows *rows, const ws_learned *learned)
{
    WS_TRY(ws_h5_write_attribute_i64(file, ".", "format", 1));
    WS_TRY(ws_h5_write_attribute_text(file, ".", "version", ws_version()));
    WS_TRY(ws_h5_write_attribute_text(file, ".", "model", learned->model->name));
    WS_TRY(ws_h5_write_attribute_text(file, ".", "store_hash", rows->store_hash));
    WS_TRY(ws_h5_write_attribute_text(file, ".", "extraction", rows->extraction));
    WS_TRY(write_config(file, config));
    WS_TRY(ws_h5_write_attribute_texts(file, ".", "classes", rows->class_names, (size_t)rows->classes));
    WS_TRY(ws_h5_write_attribute_texts(file, ".", "columns", rows->column_names, (size_t)rows->columns));
    WS_TRY(write_normalisation(file, "/normalisation", &rows->normalisation));
    if (rows->packet_normalisation.columns > 0)
        WS_TRY(write_normalisation(file, "/normalisation/packets", &rows->packet_normalisation));
    if (learned->plan)
        WS_TRY(ws_parameters_write(file, "/param", learned->plan, learned->parameters));
    if (learned->arrays.undefined)
        WS_TRY(ws_h5_write_attribute_text(file, ".", "undefined", learned->arrays.undefined));
    return write_arrays(file, &learned->arrays);
}

ws_err ws_model_file_write(const char *path, const ws_train_config *config, const ws_rows *rows,
                           const ws_learned *learned)
{
    hid_t file = -1;
    char *partial = ws_format("%s.partial", path);
    WS_CHECK(partial, MEMORY, "no memory for a path");
    ws_err error = ws_h5_create(partial, &file);
    if (error == WS_OK) {
        error = write_model(file, config, rows, learned);
        ws_err closing = ws_h5_close(&file);
        if (error == WS_OK)
            error = closing;
    }
    if (error == WS_OK)
        error = ws_file_rename(partial, path);
    else
        (void)unlink(partial);
    free(partial);
    WS_TRY(error);
    return WS_OK;
}

static ws_err read_names(hid_t file, const char *attribute, ws_arena *arena, int *count, const char *const **out)
{
    char **texts;
    const char **names;
    size_t n;
    WS_TRY(ws_h5_read_attribute_texts(file, ".", attribute, &texts, &n));
    ws_err error = ws_arena_alloc(arena, &names, n, sizeof *names);
    for (size_t i = 0; i < n && error == WS_OK; i++)
        names[i] = ws_arena_strdup(arena, texts[i]);
    ws_texts_destroy(&texts, n);
    WS_TRY(error);
    *count = (int)n;
    *out = names;
    return WS_OK;
}

static ws_err read_values(hid_t file, const char *path, ws_arena *arena, int count, const double **out)
{
    double *values;
    WS_TRY(ws_arena_alloc(arena, &values, (size_t)count, sizeof *values));
    WS_TRY(ws_h5_read_dataset(file, path, H5T_NATIVE_DOUBLE, values, (size_t)count));
    *out = values;
    return WS_OK;
}

static ws_err read_text(hid_t file, const char *attribute, ws_arena *arena, const char **out)
{
    char *text;
    WS_TRY(ws_h5_read_attribute_text(file, ".", attribute, &text));
    *out = ws_arena_strdup(arena, text);
    free(text);
    WS_CHECK(*out, MEMORY, "no memory for a text");
    return WS_OK;
}

static ws_err read_frozen(hid_t file, ws_arena *arena, ws_frozen *out)
{
    WS_TRY(read_text(file, "store_hash", arena, &out->store_hash));
    if (H5Aexists(file, "extraction") > 0) /* models of older programs do not say */
        WS_TRY(read_text(file, "extraction", arena, &out->extraction));
    WS_TRY(read_names(file, "classes", arena, &out->classes, &out->class_names));
    WS_TRY(read_names(file, "columns", arena, &out->columns, &out->column_names));
    WS_TRY(read_values(file, "/normalisation/mean", arena, out->columns, &out->mean));
    WS_TRY(read_values(file, "/normalisation/deviation", arena, out->columns, &out->deviation));
    WS_TRY(ws_h5_read_attribute_double(file, "/normalisation", "clip", &out->clip));
    if (!ws_h5_exists(file, "/normalisation/packets"))
        return WS_OK;
    WS_TRY(read_values(file, "/normalisation/packets/mean", arena, WS_PACKET9_COLUMNS, &out->packet_mean));
    return read_values(file, "/normalisation/packets/deviation", arena, WS_PACKET9_COLUMNS, &out->packet_deviation);
}

/* A path given on the command line is relative to the current folder. */
static ws_err set_store(cJSON *root, const char *given)
{
    char *here = realpath(".", NULL), *path = ws_path_join(here ? here : ".", given);
    WS_CHECK(path, MEMORY, "no memory for a path");
    ws_err error = ws_json_set_in(root, "store", cJSON_CreateString(path));
    free(here);
    free(path);
    return error;
}

static ws_err set_normal(cJSON *root, const ws_string_list *normal)
{
    cJSON *list = cJSON_CreateStringArray(normal->items, (int)normal->count);
    WS_CHECK(list, MEMORY, "no memory for the normal classes");
    return ws_json_set_in(root, "normal", list);
}

/* What the model was trained on, from its configuration. */
static ws_err read_origin(const cJSON *root, ws_arena *arena, ws_frozen *frozen)
{
    static const char *const keys[] = {"protocol", "store", "label"};
    const char **places[] = {&frozen->protocol, &frozen->store, &frozen->label};
    const cJSON *normal = cJSON_GetObjectItemCaseSensitive(root, "normal"), *item;
    const char **names;
    size_t count = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, keys[i]));
        *places[i] = text ? ws_arena_strdup(arena, text) : NULL;
        WS_CHECK(!text || *places[i], MEMORY, "no memory for a configuration");
    }
    WS_TRY(ws_arena_alloc(arena, &names, (size_t)cJSON_GetArraySize(normal) + 1, sizeof *names));
    cJSON_ArrayForEach(item, normal)
    {
        names[count] = cJSON_IsString(item) ? ws_arena_strdup(arena, item->valuestring) : NULL;
        WS_CHECK(names[count], MEMORY, "no memory for a configuration");
        count++;
    }
    frozen->normal = (ws_string_list){names, count};
    return WS_OK;
}

static ws_err read_config(hid_t file, const char *path, ws_arena *arena, const ws_evaluate_run *run,
                          ws_train_config *config, ws_frozen *frozen)
{
    char *text;
    ws_json *document = NULL;
    ws_problems problems = {0};
    WS_CHECK(H5Aexists(file, "config") > 0, FORMAT,
             "%s: holds no trained model; `wiresweep inspect %s` says what it is", path, path);
    WS_TRY(ws_h5_read_attribute_text(file, ".", "config", &text));
    ws_err error = ws_json_read_text(&document, text, path);
    free(text);
    WS_TRY(error);
    cJSON *root = ws_json_root(document);
    error = read_origin(root, arena, frozen);
    if (error == WS_OK && run->store)
        error = set_store(root, run->store);
    if (error == WS_OK && run->protocol)
        error = ws_json_set_in(root, "protocol", cJSON_CreateString(run->protocol));
    if (error == WS_OK && run->label)
        error = ws_json_set_in(root, "label", cJSON_CreateString(run->label));
    if (error == WS_OK && run->normal.count > 0)
        error = set_normal(root, &run->normal);
    if (error == WS_OK)
        error = ws_train_config_read(document, arena, config, &problems);
    ws_err complaint = ws_problems_error(&problems);
    ws_json_destroy(&document);
    WS_TRY(error);
    WS_TRY(complaint);
    return WS_OK;
}

ws_err ws_model_file_open(const char *path, const ws_evaluate_run *run, ws_arena *arena, hid_t *file,
                          ws_train_config *config, ws_frozen *frozen)
{
    WS_TRY(ws_h5_open(path, file));
    ws_err error = read_config(*file, path, arena, run, config, frozen);
    if (error == WS_OK)
        error = read_frozen(*file, arena, frozen);
    if (error == WS_OK)
        return WS_OK;
    ws_err closing = ws_h5_close(file);
    (void)closing;
    return error;
}

static herr_t note_array(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    ws_arrays *arrays = context;
    hsize_t found[4];
    int64_t shape[4];
    int dimensions;
    double *values;
    (void)info;
    if (ws_h5_dataset_shape(group, name, &dimensions, found) != WS_OK)
        return -1;
    for (int d = 0; d < dimensions; d++)
        shape[d] = (int64_t)found[d];
    if (ws_arrays_add(arrays, name, dimensions, shape, &values) != WS_OK)
        return -1;
    return ws_h5_read_dataset(group, name, H5T_NATIVE_DOUBLE, values, arrays->items[arrays->count - 1].count) == WS_OK
               ? 0
               : -1;
}

static ws_err read_undefined(hid_t file, ws_arrays *arrays)
{
    char *text;
    WS_TRY(ws_h5_read_attribute_text(file, ".", "undefined", &text));
    arrays->undefined = ws_arena_strdup(arrays->arena, text);
    free(text);
    WS_CHECK(arrays->undefined, MEMORY, "no memory for a text");
    return WS_OK;
}

ws_err ws_model_file_read(hid_t file, const char *path, ws_learned *learned)
{
    if (learned->plan) {
        WS_TRY(ws_parameters_check(file, "/param", learned->plan, path));
        WS_TRY(ws_parameters_read(file, "/param", learned->plan, learned->parameters));
        if (!ws_h5_exists(file, "/learned"))
            return WS_OK;
    } else if (H5Aexists(file, "undefined") > 0) {
        return read_undefined(file, &learned->arrays);
    }
    WS_CHECK(H5Literate_by_name(file, "/learned", H5_INDEX_NAME, H5_ITER_INC, NULL, note_array, &learned->arrays,
                                H5P_DEFAULT) >= 0,
             FORMAT, "%s: what the model learned cannot be read", path);
    ws_err error = ws_model_check_arrays(learned->model, learned->context, &learned->arrays);
    if (error == WS_OK)
        error = ws_learned_prepare(learned);
    if (error == WS_E_FORMAT)
        WS_HINT("%s is damaged: train again, into another folder", path);
    return error;
}
