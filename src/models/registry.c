/* The list of models, and named arrays. */
#include <stdlib.h>
#include "models/models.h"

#define MODEL(name) extern const ws_model ws_model_##name;
#include "models/models.def"
#undef MODEL

const ws_model *const ws_models[] = {
#define MODEL(name) &ws_model_##name,
#include "models/models.def"
#undef MODEL
    NULL};

const char *const ws_task_names[WS_TASK_COUNT] = {"anomaly", "classify"};

const ws_model *ws_model_find(const char *name)
{
    for (size_t i = 0; ws_models[i] != NULL; i++)
        if (strcmp(ws_models[i]->name, name) == 0)
            return ws_models[i];
    return NULL;
}

void ws_model_names(ws_text *out)
{
    for (size_t i = 0; ws_models[i] != NULL; i++)
        ws_text_appendf(out, "%s%s", i == 0 ? "" : ", ", ws_models[i]->name);
}

int ws_model_width(const ws_model *model, const ws_model_context *context)
{
    int scores = 0;
    if (context->task == WS_TASK_CLASSIFY)
        return context->classes;
    while (model->scores[scores] != NULL)
        scores++;
    return scores;
}

ws_needs ws_model_needs(const ws_model *model, const void *options)
{
    ws_needs needs = {0};
    if (model->needs != NULL)
        model->needs(options, &needs);
    return needs;
}

ws_err ws_arrays_add(ws_arrays *arrays, const char *name, int dimensions, const int64_t *shape, double **values)
{
    ws_array array = {.dimensions = dimensions, .count = 1};
    for (int d = 0; d < dimensions; d++) {
        array.shape[d] = shape[d];
        array.count *= (size_t)shape[d];
    }
    array.name = ws_arena_strdup(arrays->arena, name);
    WS_CHECK(array.name != NULL, MEMORY, "out of memory for the name of array %s", name);
    WS_TRY(ws_arena_alloc(arrays->arena, &array.values, array.count, sizeof *array.values));
    WS_TRY(WS_GROW(arrays->items, arrays->capacity, arrays->count + 1));
    arrays->items[arrays->count++] = array;
    *values = array.values;
    return WS_OK;
}

void ws_arrays_destroy(ws_arrays *arrays)
{
    free(arrays->items);
    *arrays = (ws_arrays){.arena = arrays->arena};
}

const ws_array *ws_arrays_find(const ws_arrays *arrays, const char *name)
{
    for (size_t i = 0; i < arrays->count; i++)
        if (strcmp(arrays->items[i].name, name) == 0)
            return &arrays->items[i];
    return NULL;
}
