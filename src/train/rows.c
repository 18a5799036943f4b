/* The rows of a store as a model sees them: split into parts, classes numbered densely, columns normalised by the
 * training rows. Every machine holds all rows, since any rank may draw any of them and pairing needs whole batches. */
#include <math.h>
#include <stdlib.h>
#include "train/internal.h"

enum { BLOCK_ROWS = 65536 };

void ws_split_options_of(const ws_train_config *config, ws_split_options *out)
{
    const ws_train_keys *keys = &config->keys;
    *out = (ws_split_options){.protocol = keys->protocol,
                              .protocol_seed = keys->protocol_seed,
                              .train_fraction = keys->train_fraction,
                              .validation_fraction = keys->validation_fraction,
                              .label = keys->label,
                              .minimum_rows = keys->minimum_rows,
                              .maximum_rows = keys->maximum_rows,
                              .normal = keys->normal};
}

ws_err ws_store_is_synthetic(const ws_store *store, bool *out)
{
    static const char mark[] = "synthetic"; /* the data set family, and how generated captures are named */
    char **inputs = NULL;
    size_t count = 0;
    *out = strcmp(store->dataset, mark) == 0;
    if (*out)
        return WS_OK;
    WS_TRY(ws_h5_read_texts(store->file, "/provenance/inputs", &inputs, &count));
    *out = count > 0;
    for (size_t i = 0; i < count; i++)
        *out = *out && strncmp(ws_path_base(inputs[i]), mark, sizeof mark - 1) == 0;
    ws_texts_destroy(&inputs, count);
    return WS_OK;
}

uint64_t ws_scores_wanted(const ws_train_config *config)
{
    uint64_t wanted = 0;
    if (config->keys.task != WS_TASK_ANOMALY)
        return 0;
    for (size_t i = 0; i < config->evaluate.scores.count; i++)
        for (int k = 0; config->model->scores[k]; k++)
            if (strcmp(config->model->scores[k], config->evaluate.scores.items[i]) == 0)
                wanted |= UINT64_C(1) << k;
    return wanted;
}

ws_model_context ws_train_context(const ws_train_config *config, const ws_rows *rows)
{
    ws_model_context context = {.wanted = ws_scores_wanted(config),
                                .task = (ws_task)config->keys.task,
                                .options = config->model_options,
                                .columns = rows->columns,
                                .column_names = rows->column_names,
                                .classes = rows->classes,
                                .class_names = rows->class_names,
                                .seed = (uint64_t)config->train.seed,
                                .precision = (ws_precision)config->train.precision,
                                .batch = config->train.batch,
                                .shards = (int)config->train.gradient_shards,
                                .threads = (int)config->train.threads};
    memcpy(context.sequence, rows->sequence, sizeof context.sequence);
    return context;
}

typedef struct loading {
    const ws_train_config *config;
    const ws_frozen *frozen;
    const ws_store *store;
    const ws_label_level *level;
    ws_split split;
    int32_t *label;              /* [rows of the store] of the level */
    int32_t *dense;              /* [classes of the level] class of this run, or -1 */
    int stored_columns, *chosen; /* of the feature table; [columns] those of them that the model sees */
    ws_rows *out;
} loading;

/* ---- classes ---- */

static bool is_normal(const ws_train_config *config, const char *name)
{
    for (size_t i = 0; i < config->keys.normal.count; i++)
        if (strcmp(config->keys.normal.items[i], name) == 0)
            return true;
    return false;
}

static int32_t frozen_class(const ws_frozen *frozen, const char *name)
{
    for (int k = 0; k < frozen->classes; k++)
        if (strcmp(frozen->class_names[k], name) == 0)
            return k;
    return -1;
}

/* Numbers the classes that have a row in some part, in the order of the level (bytewise by name). A trained classifier
 * brings its own numbers. */
static ws_err number_classes(loading *l)
{
    ws_rows *out = l->out;
    size_t classes = l->level->classes;
    const char **names;
    uint8_t *normal;
    bool keeps_classes = l->frozen && l->config->keys.task == WS_TASK_CLASSIFY;
    size_t most = keeps_classes ? (size_t)l->frozen->classes : classes;
    WS_TRY(ws_arena_alloc(out->arena, &l->dense, classes, sizeof *l->dense));
    WS_TRY(ws_arena_alloc(out->arena, &names, most, sizeof *names));
    WS_TRY(ws_arena_alloc(out->arena, &normal, most, sizeof *normal));
    for (size_t k = 0; k < classes; k++)
        l->dense[k] = -1;
    for (uint64_t i = 0; i < l->split.rows; i++)
        if (l->split.part[i] != WS_PART_NONE && l->label[i] >= 0)
            l->dense[l->label[i]] = 0;
    for (size_t k = 0; k < classes; k++) {
        if (l->dense[k] < 0)
            continue;
        l->dense[k] = keeps_classes ? frozen_class(l->frozen, l->level->names[k]) : out->classes++;
        if (l->dense[k] >= 0) {
            names[l->dense[k]] = ws_arena_strdup(out->arena, l->level->names[k]);
            normal[l->dense[k]] = is_normal(l->config, l->level->names[k]);
        }
    }
    if (keeps_classes) {
        out->classes = l->frozen->classes;
        for (int k = 0; k < out->classes; k++)
            names[k] = ws_arena_strdup(out->arena, l->frozen->class_names[k]);
    }
    out->class_names = names;
    out->class_normal = normal;
    return WS_OK;
}

/* ---- parts ---- */

/* The part a row goes to; training rows of anomalous classes go nowhere, as do classes that a trained model lacks. */
static ws_part part_of(const loading *l, uint64_t row)
{
    ws_part part = (ws_part)l->split.part[row];
    if (part == WS_PART_NONE || l->label[row] < 0 || l->dense[l->label[row]] < 0)
        return WS_PART_NONE;
    if (part == WS_PART_TRAIN &&
        (l->frozen || (l->config->keys.task == WS_TASK_ANOMALY && !l->out->class_normal[l->dense[l->label[row]]])))
        return WS_PART_NONE;
    return part;
}

typedef struct part_arrays {
    float *values;
    int32_t *label;
    uint8_t *anomalous;
    uint64_t *row_hash;
    uint64_t filled;
} part_arrays;

static ws_err make_parts(loading *l, part_arrays parts[WS_PART_COUNT])
{
    ws_rows *out = l->out;
    uint64_t counts[WS_PART_COUNT] = {0};
    out->rows_left_out = l->split.rows_left_out;
    out->rows_thinned = l->split.rows_thinned;
    out->rows_unlabelled = l->split.rows_unlabelled;
    for (uint64_t i = 0; i < l->split.rows; i++) {
        counts[part_of(l, i)]++;
        out->rows_left_out += l->split.part[i] != WS_PART_NONE && l->dense[l->label[i]] < 0;
    }
    for (int p = WS_PART_TRAIN; p < WS_PART_COUNT; p++) {
        size_t n = counts[p];
        part_arrays *a = &parts[p];
        WS_TRY(ws_arena_alloc(out->arena, &a->values, n * (size_t)out->columns, sizeof *a->values));
        WS_TRY(ws_arena_alloc(out->arena, &a->label, n, sizeof *a->label));
        WS_TRY(ws_arena_alloc(out->arena, &a->anomalous, n, sizeof *a->anomalous));
        WS_TRY(ws_arena_alloc(out->arena, &a->row_hash, n, sizeof *a->row_hash));
        bool anomaly = l->config->keys.task == WS_TASK_ANOMALY;
        out->part[p] = (ws_samples){.rows = n,
                                    .columns = out->columns,
                                    .values = a->values,
                                    .label = a->label,
                                    .anomalous = anomaly ? a->anomalous : NULL};
        out->row_hash[p] = a->row_hash;
    }
    return WS_OK;
}

/* NaN would pass through every score and none of the metrics; infinity has no place beside other values. */
static ws_err check_finite(const loading *l, const float *values, uint64_t row)
{
    for (int c = 0; c < l->out->columns; c++) {
        double value = (double)values[l->chosen[c]];
        if (isfinite(value))
            continue;
        ws_err error = WS_ERROR(NUMERIC, "%s: row %llu of table \"%s\" has %g in column \"%s\"", l->store->path,
                                (unsigned long long)row, l->config->keys.features, value, l->out->column_names[c]);
        WS_HINT("leave the column out with \"columns\": [\"!%s\"], or make the store anew", l->out->column_names[c]);
        return error;
    }
    return WS_OK;
}

static ws_err fill_parts(loading *l, part_arrays parts[WS_PART_COUNT])
{
    size_t columns = (size_t)l->out->columns, stored = (size_t)l->stored_columns;
    float *block;
    uint64_t *hash;
    WS_TRY(ws_arena_alloc(l->out->arena, &block, BLOCK_ROWS * stored, sizeof *block));
    WS_TRY(ws_arena_alloc(l->out->arena, &hash, BLOCK_ROWS, sizeof *hash));
    for (uint64_t begin = 0; begin < l->split.rows; begin += BLOCK_ROWS) {
        uint64_t count = l->split.rows - begin < BLOCK_ROWS ? l->split.rows - begin : BLOCK_ROWS;
        WS_TRY(ws_store_read_features(l->store, l->config->keys.features, begin, count, block));
        WS_TRY(ws_store_read(l->store, "/flows/row_hash", H5T_NATIVE_UINT64, begin, count, hash));
        for (uint64_t i = 0; i < count; i++) {
            ws_part part = part_of(l, begin + i);
            if (part == WS_PART_NONE)
                continue;
            part_arrays *a = &parts[part];
            WS_TRY(check_finite(l, block + i * stored, begin + i));
            for (size_t c = 0; c < columns; c++)
                a->values[a->filled * columns + c] = block[i * stored + (size_t)l->chosen[c]];
            a->label[a->filled] = l->dense[l->label[begin + i]];
            a->anomalous[a->filled] = !l->out->class_normal[a->label[a->filled]];
            a->row_hash[a->filled++] = hash[i];
        }
    }
    return WS_OK;
}

/* ---- normalisation ---- */

ws_err ws_frozen_normalisation(const double *mean, const double *deviation, int columns, double clip,
                               ws_normalisation *out)
{
    size_t count = (size_t)columns;
    *out = (ws_normalisation){.columns = columns, .clip = clip};
    WS_TRY(WS_NEW_ARRAY(out->mean, count));
    WS_TRY(WS_NEW_ARRAY(out->deviation, count));
    memcpy(out->mean, mean, count * sizeof *out->mean);
    memcpy(out->deviation, deviation, count * sizeof *out->deviation);
    return WS_OK;
}

static ws_err normalise(loading *l, part_arrays parts[WS_PART_COUNT])
{
    ws_rows *out = l->out;
    WS_TRY(ws_rows_normalise_packets(l->frozen, out));
    if (l->frozen) {
        WS_TRY(ws_frozen_normalisation(l->frozen->mean, l->frozen->deviation, l->frozen->columns, l->frozen->clip,
                                       &out->normalisation));
    } else {
        uint64_t n = out->part[WS_PART_TRAIN].rows, *all;
        WS_TRY(ws_arena_alloc(out->arena, &all, n, sizeof *all));
        for (uint64_t i = 0; i < n; i++)
            all[i] = i;
        WS_TRY((l->config->model->fills_box ? ws_normalisation_fit_box : ws_normalisation_fit)(
            &out->normalisation, parts[WS_PART_TRAIN].values, all, n, out->columns));
    }
    if (l->config->model->raw)
        return WS_OK;
    for (int p = WS_PART_TRAIN; p < WS_PART_COUNT; p++)
        ws_normalise(&out->normalisation, parts[p].values, parts[p].values, out->part[p].rows);
    return WS_OK;
}

/* Validation losses and thresholds are taken on rows like the training rows. */
static ws_err gather_normal_validation(loading *l)
{
    ws_rows *out = l->out;
    const ws_samples *all = &out->part[WS_PART_VALIDATION];
    size_t columns = (size_t)out->columns, count = 0;
    float *values;
    int32_t *label;
    out->validation_normal = *all;
    if (l->config->keys.task != WS_TASK_ANOMALY)
        return WS_OK;
    for (uint64_t i = 0; i < all->rows; i++)
        count += !all->anomalous[i];
    WS_TRY(ws_arena_alloc(out->arena, &values, count * columns, sizeof *values));
    WS_TRY(ws_arena_alloc(out->arena, &label, count, sizeof *label));
    count = 0;
    for (uint64_t i = 0; i < all->rows; i++)
        if (!all->anomalous[i]) {
            memcpy(values + count * columns, all->values + i * columns, columns * sizeof *values);
            label[count++] = all->label[i];
        }
    out->validation_normal = (ws_samples){.rows = count, .columns = out->columns, .values = values, .label = label};
    return ws_samples_copy_sequences(out->arena, all, all->anomalous, &out->validation_normal);
}

/* Under another protocol of the same store, rows that the model was trained or chosen on are no test rows, and rows it was
 * trained on give no thresholds. */
static ws_err forget_seen_rows(loading *l)
{
    ws_split_options options;
    ws_split seen;
    if (!l->frozen || strcmp(l->frozen->store_hash, l->store->content_hash) != 0 ||
        strcmp(l->frozen->protocol, l->config->keys.protocol) == 0)
        return WS_OK;
    ws_split_options_of(l->config, &options);
    options.protocol = l->frozen->protocol;
    options.label = l->frozen->label;
    options.normal = l->frozen->normal;
    WS_TRY(ws_split_create(&seen, l->store, &options));
    for (uint64_t i = 0; i < l->split.rows; i++) {
        bool trained = seen.part[i] == WS_PART_TRAIN, chosen = seen.part[i] == WS_PART_VALIDATION;
        if ((l->split.part[i] == WS_PART_TEST && (trained || chosen)) ||
            (l->split.part[i] == WS_PART_VALIDATION && trained)) {
            l->split.part[i] = WS_PART_NONE;
            l->split.rows_left_out++;
        }
    }
    ws_split_destroy(&seen);
    return WS_OK;
}

/* What the rows that are used share across the parts (the split's own audit would count training rows of other classes), and
 * their packets. */
static ws_err use_parts(const loading *l, part_arrays parts[WS_PART_COUNT])
{
    ws_split used = {.rows = l->split.rows};
    ws_needs needs = ws_model_needs(l->config->model, l->config->model_options);
    ws_packet_features features = {.columns = l->out->columns, .chosen = l->chosen};
    WS_TRY(ws_arena_alloc(l->out->arena, &used.part, used.rows, sizeof *used.part));
    for (uint64_t i = 0; i < used.rows; i++)
        used.part[i] = (uint8_t)part_of(l, i);
    for (int p = 0; p < WS_PART_COUNT; p++)
        features.values[p] = parts[p].values;
    WS_TRY(ws_rows_read_packets(l->store, used.part, &needs, &features, l->out));
    return ws_split_audit_make(&l->out->audit, &used, l->store);
}

/* ---- all together ---- */

static ws_err check_columns(const loading *l)
{
    const ws_rows *out = l->out;
    if (!l->frozen)
        return WS_OK;
    bool same = out->columns == l->frozen->columns;
    for (int c = 0; c < out->columns && same; c++)
        same = strcmp(out->column_names[c], l->frozen->column_names[c]) == 0;
    WS_CHECK(same, CONFIG, "%s: table \"%s\" has other columns than the model was trained on", l->store->path,
             l->config->keys.features);
    return WS_OK;
}

static ws_err choose_columns(loading *l)
{
    ws_rows *out = l->out;
    ws_string_list names;
    ws_text complaint = {0};
    const char **chosen_names;
    WS_TRY(ws_store_features_info(l->store, l->config->keys.features, out->arena, &l->stored_columns, &names));
    ws_err error =
        ws_columns_choose(&l->config->keys.columns, &names, out->arena, &out->columns, &l->chosen, &complaint);
    if (error == WS_OK && complaint.length > 0)
        error = WS_ERROR(CONFIG, "%s: columns: %s", l->store->path, ws_text_string(&complaint));
    ws_text_destroy(&complaint);
    WS_TRY(error);
    WS_TRY(ws_arena_alloc(out->arena, &chosen_names, (size_t)out->columns, sizeof *chosen_names));
    for (int c = 0; c < out->columns; c++)
        chosen_names[c] = names.items[l->chosen[c]];
    out->column_names = chosen_names;
    return WS_OK;
}

/* What is learned of classes that are never tested, and tested of such as were never learned, is no result. */
static bool has_common_class(const ws_rows *rows)
{
    const ws_samples *train = &rows->part[WS_PART_TRAIN], *test = &rows->part[WS_PART_TEST];
    for (int k = 0; k < rows->classes; k++) {
        uint64_t learned = 0, tested = 0;
        for (; learned < train->rows && train->label[learned] != k; learned++)
            ;
        for (; tested < test->rows && test->label[tested] != k; tested++)
            ;
        if (learned < train->rows && tested < test->rows)
            return true;
    }
    return false;
}

static ws_err check_classes(const loading *l)
{
    if (l->config->keys.task != WS_TASK_CLASSIFY || l->frozen || has_common_class(l->out))
        return WS_OK;
    ws_err error =
        WS_ERROR(CONFIG, "%s: protocol %s tests no class that it trains", l->store->path, l->config->keys.protocol);
    WS_HINT("take another protocol (wiresweep list protocols), or a label level whose classes are in more groups");
    return error;
}

static ws_err check_parts(const loading *l)
{
    const ws_rows *out = l->out;
    const char *store = l->store->path, *protocol = l->config->keys.protocol;
    WS_CHECK(out->part[WS_PART_TEST].rows > 0, CONFIG, "%s: protocol %s leaves no test rows", store, protocol);
    if (!l->frozen && out->part[WS_PART_TRAIN].rows == 0) {
        ws_err error = WS_ERROR(CONFIG, "%s: protocol %s leaves no training rows", store, protocol);
        if (strcmp(protocol, "cross_store") == 0)
            WS_HINT("train on one store under another protocol, then: wiresweep evaluate RUN_DIR --store %s --protocol "
                    "cross_store",
                    store);
        return error;
    }
    WS_CHECK(l->config->keys.task != WS_TASK_CLASSIFY || out->classes > 1, CONFIG,
             "%s: level \"%s\" has %d class with at least minimum_rows = %lld rows; classification needs two", store,
             l->config->keys.label, out->classes, (long long)l->config->keys.minimum_rows);
    return WS_OK;
}

/* Classes that cannot be learned, or not be judged, are named. */
static ws_err tell_classes(loading *l)
{
    const ws_split *split = &l->split;
    if (split->small_classes != NULL) {
        l->out->small_classes = ws_arena_strdup(l->out->arena, split->small_classes);
        WS_CHECK(l->out->small_classes, MEMORY, "no memory for the names of classes");
    }
    if (!ws_is_first_rank())
        return WS_OK;
    if (split->small_classes != NULL)
        ws_warn("left out, with fewer than minimum_rows = %lld rows: %s", (long long)l->config->keys.minimum_rows,
                split->small_classes);
    if (l->config->keys.task != WS_TASK_CLASSIFY)
        return WS_OK;
    if (split->untrained_classes != NULL && !l->frozen)
        ws_warn("protocol %s gives no training rows of: %s", l->config->keys.protocol, split->untrained_classes);
    if (split->untested_classes != NULL)
        ws_warn("protocol %s gives no test rows of: %s", l->config->keys.protocol, split->untested_classes);
    return WS_OK;
}

static ws_err note_extraction(const ws_store *store, ws_rows *out)
{
    char *text;
    WS_TRY(ws_store_extraction(store, &text));
    out->extraction = ws_arena_strdup(out->arena, text);
    free(text);
    WS_CHECK(out->extraction, MEMORY, "no memory for the options of an extraction");
    return WS_OK;
}

static ws_err load(loading *l)
{
    ws_rows *out = l->out;
    ws_split_options options;
    part_arrays parts[WS_PART_COUNT] = {{0}};
    l->level = ws_store_level(l->store, l->config->keys.label);
    WS_CHECK(l->level, CONFIG, "label: %s has no level \"%s\"", l->store->path, l->config->keys.label);
    ws_split_options_of(l->config, &options);
    WS_TRY(ws_split_create(&l->split, l->store, &options));
    WS_TRY(forget_seen_rows(l));
    WS_TRY(choose_columns(l));
    WS_TRY(check_columns(l));
    memcpy(out->store_hash, l->store->content_hash, sizeof out->store_hash - 1);
    memcpy(out->split_hash, l->split.hash, sizeof out->split_hash);
    out->dataset = ws_arena_strdup(out->arena, l->store->dataset);
    WS_TRY(ws_store_is_synthetic(l->store, &out->synthetic));
    WS_TRY(note_extraction(l->store, out));
    WS_TRY(ws_arena_alloc(out->arena, &l->label, l->split.rows, sizeof *l->label));
    char *path = ws_format("/labels/%s", l->config->keys.label);
    WS_CHECK(path && out->dataset, MEMORY, "no memory for names");
    ws_err error = ws_store_read(l->store, path, H5T_NATIVE_INT32, 0, l->split.rows, l->label);
    free(path);
    WS_TRY(error);
    WS_TRY(number_classes(l));
    WS_TRY(tell_classes(l));
    WS_TRY(make_parts(l, parts));
    WS_TRY(check_parts(l));
    WS_TRY(fill_parts(l, parts));
    WS_TRY(check_classes(l));
    WS_TRY(use_parts(l, parts));
    WS_TRY(normalise(l, parts));
    WS_TRY(gather_normal_validation(l));
    return WS_OK;
}

ws_err ws_rows_load_into(ws_arena *arena, const ws_train_config *config, const ws_frozen *frozen, ws_rows *out)
{
    ws_store store;
    loading l = {.config = config, .frozen = frozen, .store = &store, .out = out};
    *out = (ws_rows){.arena = arena};
    ws_err error = ws_store_open(&store, config->keys.store);
    if (error == WS_OK) {
        error = load(&l);
        ws_split_destroy(&l.split);
        ws_store_close(&store);
    }
    if (error != WS_OK)
        ws_rows_destroy(out);
    WS_TRY(error);
    return WS_OK;
}

ws_err ws_rows_load(const ws_train_config *config, const ws_frozen *frozen, ws_rows *out)
{
    ws_arena *arena;
    WS_TRY(ws_arena_create(&arena, WS_ROWS_BLOCK));
    return ws_rows_load_into(arena, config, frozen, out);
}

void ws_rows_destroy(ws_rows *rows)
{
    ws_arena_view_destroy(&rows->view);
    ws_normalisation_destroy(&rows->normalisation);
    ws_normalisation_destroy(&rows->packet_normalisation);
    ws_arena_destroy(&rows->arena);
}
