/* Checkpoints: named HDF5 datasets and attributes, written by one process with plain HDF5, independent of the rank
 * count. A file gets its name only when complete, so a torn one cannot be taken for a sound one. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "train/internal.h"

enum { FORMAT = 1 };
static const char folder[] = "checkpoints";

/* ---- parameters ---- */

static hid_t real_type(void)
{
    return sizeof(ws_real) == sizeof(float) ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
}

ws_err ws_parameters_write(hid_t file, const char *group, const ws_plan *plan, const ws_real *values)
{
    const ws_parameter *table;
    size_t count = ws_plan_parameters(plan, &table);
    for (size_t i = 0; i < count; i++) {
        const ws_parameter *p = &table[i];
        hsize_t shape[WS_MAX_DIMENSIONS];
        for (int d = 0; d < p->dimensions; d++)
            shape[d] = (hsize_t)p->shape[d];
        char *path = ws_format("%s/%s", group, p->name);
        WS_CHECK(path, MEMORY, "no memory for a path");
        ws_err error = ws_h5_write_dataset(file, path, real_type(), values + p->offset, p->dimensions, shape);
        free(path);
        WS_TRY(error);
    }
    return WS_OK;
}

static void describe_shape(ws_text *out, int dimensions, const hsize_t *shape)
{
    ws_text_append(out, "[");
    for (int d = 0; d < dimensions; d++)
        ws_text_appendf(out, "%s%llu", d ? "," : "", (unsigned long long)shape[d]);
    ws_text_append(out, "]");
}

/* Adds to `differences` where the file's dataset is missing or has another shape. */
static ws_err compare_parameter(hid_t file, const char *path, const ws_parameter *p, ws_text *differences)
{
    hsize_t found[4], expected[WS_MAX_DIMENSIONS];
    int dimensions;
    if (!ws_h5_exists(file, path)) {
        ws_text_appendf(differences, "; missing %s", path);
        return WS_OK;
    }
    WS_TRY(ws_h5_dataset_shape(file, path, &dimensions, found));
    bool same = dimensions == p->dimensions;
    for (int d = 0; d < p->dimensions; d++) {
        expected[d] = (hsize_t)p->shape[d];
        same = same && found[d] == expected[d];
    }
    if (!same) {
        ws_text_appendf(differences, "; %s is ", path);
        describe_shape(differences, dimensions, found);
        ws_text_append(differences, ", not ");
        describe_shape(differences, p->dimensions, expected);
    }
    return WS_OK;
}

typedef struct surplus {
    const ws_parameter *table;
    size_t count;
    const char *group;
    ws_text *differences;
} surplus;

static herr_t note_surplus(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    const surplus *s = context;
    (void)group, (void)info;
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->table[i].name, name) == 0)
            return 0;
    ws_text_appendf(s->differences, "; unexpected %s/%s", s->group, name);
    return 0;
}

ws_err ws_parameters_check(hid_t file, const char *group, const ws_plan *plan, const char *path)
{
    ws_text differences = {0};
    surplus s = {.group = group, .differences = &differences};
    ws_err error = WS_OK;
    s.count = ws_plan_parameters(plan, &s.table);
    for (size_t i = 0; i < s.count && error == WS_OK; i++) {
        char *name = ws_format("%s/%s", group, s.table[i].name);
        error =
            name ? compare_parameter(file, name, &s.table[i], &differences) : WS_ERROR(MEMORY, "no memory for a path");
        free(name);
    }
    if (error == WS_OK && ws_h5_exists(file, group) &&
        H5Literate_by_name(file, group, H5_INDEX_NAME, H5_ITER_INC, NULL, note_surplus, &s, H5P_DEFAULT) < 0)
        error = ws_h5_raise("H5Literate_by_name", __FILE__, __LINE__, __func__);
    if (error == WS_OK && differences.length > 0) {
        error = WS_ERROR(FORMAT, "%s: the parameters are not those of this model: %s", path,
                         ws_text_string(&differences) + 2);
        WS_HINT("the model options must be those it was trained with");
    }
    ws_text_destroy(&differences);
    return error;
}

ws_err ws_parameters_read(hid_t file, const char *group, const ws_plan *plan, ws_real *values)
{
    const ws_parameter *table;
    size_t count = ws_plan_parameters(plan, &table);
    for (size_t i = 0; i < count; i++) {
        char *path = ws_format("%s/%s", group, table[i].name);
        WS_CHECK(path, MEMORY, "no memory for a path");
        ws_err error = ws_h5_read_dataset(file, path, real_type(), values + table[i].offset, table[i].count);
        free(path);
        WS_TRY(error);
    }
    return WS_OK;
}

/* ---- writing ---- */

static const char *const groups[] = {"/param", "/ema", "/adam/m", "/adam/v"};

static ws_real *group_values(const ws_network_state *s, size_t group)
{
    return (ws_real *[]){s->parameters, s->average, s->first_moment, s->second_moment}[group];
}

static ws_err write_content(hid_t file, const ws_network_state *s, const char *config_text)
{
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
        WS_TRY(ws_parameters_write(file, groups[g], s->plan, group_values(s, g)));
    WS_TRY(ws_h5_write_attribute_i64(file, ".", "format", FORMAT));
    WS_TRY(ws_h5_write_attribute_text(file, ".", "version", ws_version()));
    WS_TRY(ws_h5_write_attribute_text(file, ".", "model", s->model->name));
    WS_TRY(ws_h5_write_attribute_text(file, ".", "config", config_text));
    WS_TRY(ws_h5_write_attribute_i64(file, ".", "seed", (int64_t)s->context->seed));
    WS_TRY(ws_h5_write_attribute_i64(file, ".", "shards", s->context->shards));
    WS_TRY(ws_h5_write_attribute_i64(file, ".", "step", (int64_t)s->step));
    WS_TRY(ws_h5_write_attribute_i64(file, ".", "skipped", (int64_t)s->skipped));
    WS_TRY(ws_h5_write_attribute_double(file, ".", "loss", s->loss));
    WS_TRY(ws_h5_write_attribute_double(file, ".", "best_loss", s->best_loss));
    WS_TRY(ws_h5_write_attribute_i64(file, ".", "best_step", (int64_t)s->best_step));
    WS_TRY(ws_h5_write_attribute_double(file, ".", "seconds", s->seconds));
    return WS_OK;
}

ws_err ws_checkpoint_write(const char *path, const ws_network_state *state, const char *config_text)
{
    hid_t file = -1;
    char *partial = ws_format("%s.partial", path);
    WS_CHECK(partial, MEMORY, "no memory for a path");
    ws_err error = ws_h5_create(partial, &file);
    if (error == WS_OK) {
        error = write_content(file, state, config_text);
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

/* ---- reading ---- */

static ws_err read_content(hid_t file, const char *path, ws_network_state *s)
{
    int64_t step, skipped, best_step;
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
        WS_TRY(ws_parameters_check(file, groups[g], s->plan, path));
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
        WS_TRY(ws_parameters_read(file, groups[g], s->plan, group_values(s, g)));
    WS_TRY(ws_h5_read_attribute_i64(file, ".", "step", &step));
    WS_TRY(ws_h5_read_attribute_i64(file, ".", "skipped", &skipped));
    WS_TRY(ws_h5_read_attribute_i64(file, ".", "best_step", &best_step));
    WS_TRY(ws_h5_read_attribute_double(file, ".", "loss", &s->loss));
    WS_TRY(ws_h5_read_attribute_double(file, ".", "best_loss", &s->best_loss));
    WS_TRY(ws_h5_read_attribute_double(file, ".", "seconds", &s->seconds));
    s->step = (uint64_t)step;
    s->skipped = (uint64_t)skipped;
    s->best_step = (uint64_t)best_step;
    return WS_OK;
}

static ws_err check_config(hid_t file, const char *path, const char *config_text)
{
    char *stored;
    WS_TRY(ws_h5_read_attribute_text(file, ".", "config", &stored));
    bool same = strcmp(stored, config_text) == 0;
    free(stored);
    if (same)
        return WS_OK;
    ws_err error = WS_ERROR(CONFIG, "%s: was trained with another configuration or other rows", path);
    WS_HINT("choose another run folder with -o; `wiresweep inspect %s` shows the stored configuration", path);
    return error;
}

ws_err ws_checkpoint_read(const char *path, ws_network_state *state, const char *config_text)
{
    hid_t file = -1;
    WS_TRY(ws_h5_open(path, &file));
    ws_err error = check_config(file, path, config_text);
    if (error == WS_OK)
        error = read_content(file, path, state);
    ws_err closing = ws_h5_close(&file);
    WS_TRY(error);
    WS_TRY(closing);
    return WS_OK;
}

/* ---- the folder ---- */

typedef struct step_list {
    uint64_t *steps; /* ascending */
    size_t count, capacity;
} step_list;

static int compare_steps(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static ws_err list_steps(const char *directory, step_list *out)
{
    ws_err error = WS_OK;
    DIR *open = opendir(directory);
    *out = (step_list){0};
    if (open == NULL)
        return WS_OK; /* nothing saved yet */
    for (const struct dirent *entry; error == WS_OK && (entry = readdir(open)) != NULL;) {
        unsigned long long step;
        int end = 0;
        if (sscanf(entry->d_name, "step_%llu.h5%n", &step, &end) != 1 || end == 0 || entry->d_name[end] != 0)
            continue;
        error = WS_GROW(out->steps, out->capacity, out->count + 1);
        if (error == WS_OK)
            out->steps[out->count++] = step;
    }
    closedir(open);
    if (error == WS_OK && out->count > 0)
        qsort(out->steps, out->count, sizeof *out->steps, compare_steps);
    return error;
}

static char *step_path(const char *directory, uint64_t step)
{
    return ws_format("%s/%s/step_%08llu.h5", directory, folder, (unsigned long long)step);
}

char *ws_checkpoint_best_path(const char *directory)
{
    return ws_format("%s/%s/best.h5", directory, folder);
}

ws_err ws_checkpoint_save(const char *directory, const ws_network_state *state, const char *config_text, int64_t keep)
{
    step_list list = {0};
    char *path = step_path(directory, state->step), *within = ws_format("%s/%s", directory, folder);
    ws_err error =
        path && within ? ws_checkpoint_write(path, state, config_text) : WS_ERROR(MEMORY, "no memory for a path");
    if (error == WS_OK)
        error = list_steps(within, &list);
    for (size_t i = 0; error == WS_OK && i + (size_t)keep < list.count; i++) {
        char *old = step_path(directory, list.steps[i]);
        if (old)
            (void)unlink(old);
        free(old);
    }
    free(list.steps);
    free(within);
    free(path);
    WS_TRY(error);
    return WS_OK;
}

ws_err ws_checkpoint_resume(const char *directory, ws_network_state *state, const char *config_text, bool *found)
{
    step_list list;
    char *within = ws_format("%s/%s", directory, folder);
    WS_CHECK(within, MEMORY, "no memory for a path");
    ws_err error = list_steps(within, &list);
    free(within);
    *found = false;
    for (size_t i = list.count; error == WS_OK && i-- > 0 && !*found;) {
        char *path = step_path(directory, list.steps[i]);
        error = path ? ws_checkpoint_read(path, state, config_text) : WS_ERROR(MEMORY, "no memory for a path");
        if (error == WS_OK) {
            *found = true;
        } else if (error == WS_E_HDF5 || error == WS_E_IO || (error == WS_E_FORMAT && i > 0)) {
            ws_warn("%s: passed over: %s", path, ws_error_message());
            ws_network_state_begin(state); /* a part of it may have been read */
            error = WS_OK;
        }
        free(path);
    }
    free(list.steps);
    return error;
}
