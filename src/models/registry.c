/* The list of models, named arrays, and what classes weigh. */
#include <math.h>
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

ws_err ws_class_weights(ws_arena *arena, const ws_samples *samples, int classes, bool balanced, double **rows,
                        double **weight, double *sum)
{
    double present = 0;
    WS_TRY(ws_arena_alloc(arena, rows, (size_t)classes, sizeof **rows));
    WS_TRY(ws_arena_alloc(arena, weight, (size_t)classes, sizeof **weight));
    for (uint64_t i = 0; i < samples->rows; i++)
        (*rows)[samples->label[i]] += 1;
    for (int k = 0; k < classes; k++)
        present += (*rows)[k] > 0;
    *sum = 0;
    for (int k = 0; k < classes; k++) {
        if ((*rows)[k] > 0)
            (*weight)[k] = balanced ? (double)samples->rows / (present * (*rows)[k]) : 1;
        *sum += (*weight)[k] * (*rows)[k];
    }
    return WS_OK;
}

/* What a size of a ws_learned_array stands for where `found` is there; *a: WS_SIZE_A, below 0 until it is known. */
static int64_t size_of(const ws_model_context *context, int64_t size, int64_t found, int64_t *a)
{
    if (size == WS_SIZE_A && *a < 0)
        *a = found;
    return size == WS_SIZE_COLUMNS   ? context->columns
           : size == WS_SIZE_CLASSES ? context->classes
           : size == WS_SIZE_ANY     ? found
           : size == WS_SIZE_A       ? *a
                                     : size;
}

static ws_err check_array(const ws_model *model, const ws_model_context *context, const ws_array *array,
                          const ws_learned_array *wanted, int64_t *a)
{
    WS_CHECK(array, FORMAT, "array \"%s\" of %s is not there", wanted->name, model->name);
    WS_CHECK(array->dimensions == wanted->dimensions, FORMAT, "array \"%s\" of %s has %d dimensions, not %d",
             wanted->name, model->name, array->dimensions, wanted->dimensions);
    for (int d = 0; d < wanted->dimensions; d++) {
        const int64_t size = size_of(context, wanted->shape[d], array->shape[d], a);
        WS_CHECK(array->shape[d] == size, FORMAT, "array \"%s\" of %s has %lld values in dimension %d, not %lld",
                 wanted->name, model->name, (long long)array->shape[d], d, (long long)size);
    }
    const double below = wanted->below == 0 ? 0 : (double)size_of(context, wanted->below, 0, a);
    for (size_t i = 0; i < array->count && wanted->below != 0; i++)
        WS_CHECK(array->values[i] >= 0 && array->values[i] < below && array->values[i] == floor(array->values[i]),
                 FORMAT, "array \"%s\" of %s: %g is no whole number from 0 to below %g", wanted->name, model->name,
                 array->values[i], below);
    return WS_OK;
}

ws_err ws_model_check_arrays(const ws_model *model, const ws_model_context *context, const ws_arrays *arrays)
{
    const ws_learned_array *wanted = model->classical ? model->classical->arrays : NULL;
    int64_t a = -1;
    for (; wanted && wanted->name; wanted++)
        if (wanted->tasks == 0 || wanted->tasks >> context->task & 1)
            WS_TRY(check_array(model, context, ws_arrays_find(arrays, wanted->name), wanted, &a));
    return WS_OK;
}
