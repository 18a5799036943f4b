/* Reading, checking and printing a training configuration. Nothing is trained here. */
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>
#include "train/internal.h"

const char *const ws_backend_names[2] = {"cpu", "cuda"};
const char *const ws_precision_names[WS_PRECISION_COUNT] = {"fp32", "bf16"};

static const ws_option key_fields[] = {
    WS_OPTION_REQUIRED_PATH(ws_train_keys, store, "the store to train on"),
    WS_OPTION_STRING(ws_train_keys, name, NULL, "for people; does not enter the identity"),
    WS_OPTION_(ws_train_keys, task, WS_OPTION_TYPE_ENUM, NULL, 0, 0, WS_TASKS, "what the model is asked", true),
    WS_OPTION_STRING(ws_train_keys, protocol, "random", "how rows are split; `wiresweep list protocols`"),
    WS_OPTION_INT(ws_train_keys, protocol_seed, 0, 0, 9007199254740991.0, "seed of the split, apart from train.seed"),
    WS_OPTION_STRING(ws_train_keys, label, NULL, "label level; by default the store's only one"),
    WS_OPTION_LIST(ws_train_keys, normal, NULL, "anomaly: names of the classes that are normal"),
    WS_OPTION_STRING(ws_train_keys, features, "flow20", "feature table of the store"),
    WS_OPTION_LIST(ws_train_keys, columns, NULL,
                   "columns of it, in this order, or !NAME for all but some; default all"),
    WS_OPTION_DOUBLE(ws_train_keys, train_fraction, 0.6, 0.01, 0.98, "share of the rows trained on"),
    WS_OPTION_DOUBLE(ws_train_keys, validation_fraction, 0.2, 0, 0.98, "share chosen on; the rest is test"),
    WS_OPTION_INT(ws_train_keys, minimum_rows, 10, 1, 1e12, "classes with fewer rows are left out and counted"),
    WS_OPTION_INT(ws_train_keys, maximum_rows, 0, 0, 1e12,
                  "of classes with more rows, normal ones apart, as many are drawn by protocol_seed; 0: all"),
    WS_OPTION_END};
static const ws_option_table key_table = {"", sizeof(ws_train_keys), key_fields, "top level"};

#define O(type, field, ...) WS_OPTION_##type(ws_train_options, field, __VA_ARGS__)
static const ws_option train_fields[] = {
    O(INT, steps, 20000, 1, 1e12, "optimiser steps"),
    O(INT, batch, 256, 1, 1e9, "rows of a step, over all ranks"),
    O(INT, gradient_shards, 8, 1, 4096, "fixed slices of the batch; ranks and threads share them"),
    O(ENUM, reduction, "fixed", "fixed|fast", "fixed: the same bits for any number of ranks"),
    O(ENUM, precision, "fp32", "fp32|bf16",
      "bf16: factors of dense layers' and bmm's products in training are rounded to bfloat16; all else stays single"),
    O(INT, seed, 0, 0, 9007199254740991.0, "of everything random in training"),
    O(ENUM, optimiser, "adamw", "adamw|sgd", "sgd: gradient descent, without momentum"),
    O(DOUBLE, learning_rate, 1e-3, 1e-12, 100, "at the end of the warm-up"),
    O(DOUBLE, minimum_learning_rate, 1e-6, 0, 100, "at the end of the cosine"),
    O(INT, warmup, 1000, 0, 1e12, "steps of linear warm-up, at most a tenth of all steps"),
    O(DOUBLE, weight_decay, 1e-4, 0, 10, "times the learning rate, on the weights of linear layers"),
    O(DOUBLE, beta1, 0.9, 0, 0.999999, "AdamW"),
    O(DOUBLE, beta2, 0.99, 0, 0.999999, "AdamW"),
    O(DOUBLE, epsilon, 1e-8, 1e-16, 1, "AdamW"),
    O(DOUBLE, clip, 1, 0, 1e9, "largest norm of the gradient; 0: no clipping"),
    O(DOUBLE, ema, 0.999, 0, 0.9999999, "average of the parameters that scores use; min(this, (1+step)/(10+step))"),
    O(INT, validate_every, 1000, 0, 1e12, "steps between validations; 0: none"),
    O(INT, patience, 0, 0, 1e6, "validations without a better loss after which training ends; 0: never before its end"),
    O(ENUM, select, "final", "final|best", "the parameters that scores use: the last, or the best on validation rows"),
    O(ENUM, on_nonfinite, "stop", "stop|skip", "what to do with a step whose loss or gradient is not finite"),
    O(ENUM, isa, "auto", "auto|portable|avx2|avx512|amx",
      "instruction set; pin it to compare machines bit for bit; amx is for bf16"),
    O(INT, threads, 1, 1, 1024, "of a rank, over its gradient shards"),
    WS_OPTION_BOOL(ws_train_options, prepare_ahead, true, "a thread of its own prepares the next batch"),
    O(INT, checkpoint_every, 1000, 1, 1e12, "steps between checkpoints"),
    O(INT, keep, 2, 1, 1000, "checkpoints kept, besides the best"),
    O(INT, log_every, 50, 1, 1e12, "steps between lines of metrics.jsonl"),
    O(ENUM, device, "cpu", "cpu|cuda", "what networks are trained on; cuda: one rank a GPU"),
    O(DOUBLE, reduction_timeout, 600, 0.001, 1e6,
      "cuda: seconds after which a step that is not done ends training, with a checkpoint of the one before"),
    O(INT, bucket_kib, 2048, 1, 1048576,
      "cuda: gradients are summed over GPUs in pieces of so many KiB, or larger ones"),
    WS_OPTION_END};
#undef O
static const ws_option_table train_table = {"train", sizeof(ws_train_options), train_fields, "training"};
/* Single precision gives the same at both. */
ws_isa ws_train_isa(const ws_train_config *config)
{
    ws_isa active = ws_isa_active();
    return active == WS_ISA_AMX && config->train.precision != WS_BF16 ? WS_ISA_AVX512 : active;
}

/* These cannot change what comes out. */
static const char *const run_only[] = {"threads",       "checkpoint_every",  "keep",      "log_every",
                                       "prepare_ahead", "reduction_timeout", "bucket_kib"};

static const ws_option evaluate_fields[] = {
    WS_OPTION_LIST(
        ws_evaluate_options, scores, NULL,
        "anomaly: scores computed, of those that `wiresweep list models` names; by default the model's first"),
    WS_OPTION_INT(ws_evaluate_options, bootstrap, 1000, 0, 1000000,
                  "anomaly: resamples of the test rows for 95 % intervals"),
    WS_OPTION_ENUM(ws_evaluate_options, criterion, "none", "none|shuffled",
                   "anomaly: what sigma may be chosen by: AUROC of shuffled normal validation rows against themselves"),
    WS_OPTION_END};
static const ws_option_table evaluate_table = {"evaluate", sizeof(ws_evaluate_options), evaluate_fields, "evaluation"};
static const double default_quantiles[] = {0.95, 0.99, 0.999};

typedef struct reader {
    const ws_json *document;
    const cJSON *root;
    ws_arena *arena;
    ws_problems *problems;
    ws_train_config *config;
    int columns; /* that the model sees, with their names; 0: not known */
    const char *const *column_names;
} reader;

static const cJSON *at(const reader *r, const char *object, const char *key)
{
    const cJSON *parent = object ? cJSON_GetObjectItemCaseSensitive(r->root, object) : r->root;
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(parent, key);
    return value ? value : parent;
}

/* ---- model ---- */

static void complain_of_kind(const reader *r, const cJSON *kind)
{
    const char *names[64], *closest;
    size_t count = 0;
    ws_text known = {0};
    for (; ws_models[count] && count < 64; count++)
        names[count] = ws_models[count]->name;
    ws_model_names(&known);
    closest = ws_closest_name(kind->valuestring, names, count);
    if (closest)
        ws_problems_add(r->problems, r->document, kind, "model.kind: there is no model \"%s\". Did you mean \"%s\"?",
                        kind->valuestring, closest);
    else
        ws_problems_add(r->problems, r->document, kind, "model.kind: there is no model \"%s\"; there are: %s",
                        kind->valuestring, ws_text_string(&known));
    ws_text_destroy(&known);
}

static ws_err read_model(reader *r)
{
    static const char *const extra[] = {"kind", NULL};
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(r->root, "model"), *kind = NULL;
    if (cJSON_IsObject(object))
        kind = cJSON_GetObjectItemCaseSensitive(object, "kind");
    if (!cJSON_IsString(kind)) {
        ws_text known = {0};
        ws_model_names(&known);
        ws_problems_add(r->problems, r->document,
                        kind     ? kind
                        : object ? object
                                 : r->root,
                        "model.kind is missing or no text: one of %s", ws_text_string(&known));
        ws_text_destroy(&known);
        return WS_OK;
    }
    const ws_model *model = r->config->model = ws_model_find(kind->valuestring);
    if (!model) {
        complain_of_kind(r, kind);
        return WS_OK;
    }
    void *options;
    WS_TRY(ws_arena_alloc(r->arena, &options, 1, model->options->size));
    WS_TRY(ws_options_read(model->options, r->document, object, "model", extra, r->arena, options, r->problems));
    r->config->model_options = options;
    if (!(model->tasks & (1u << r->config->keys.task)))
        ws_problems_add(r->problems, r->document, kind, "model.kind: %s is not for task \"%s\"", model->name,
                        ws_task_names[r->config->keys.task]);
    return WS_OK;
}

/* ---- evaluate ---- */

static void read_quantiles(reader *r)
{
    ws_evaluate_options *evaluate = &r->config->evaluate;
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(r->root, "evaluate");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "quantiles"), *item;
    evaluate->quantile_count = 0;
    if (!list) {
        evaluate->quantile_count = (int)(sizeof default_quantiles / sizeof *default_quantiles);
        memcpy(evaluate->quantiles, default_quantiles, sizeof default_quantiles);
        return;
    }
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > WS_MAX_QUANTILES) {
        ws_problems_add(r->problems, r->document, list, "evaluate.quantiles: expected a list of at most %d numbers",
                        WS_MAX_QUANTILES);
        return;
    }
    cJSON_ArrayForEach(item, list)
    {
        bool again = false;
        for (int k = 0; k < evaluate->quantile_count && cJSON_IsNumber(item); k++)
            again = again || evaluate->quantiles[k] == item->valuedouble;
        if (!cJSON_IsNumber(item) || item->valuedouble <= 0 || item->valuedouble >= 1)
            ws_problems_add(r->problems, r->document, item, "evaluate.quantiles: expected numbers between 0 and 1");
        else if (again)
            ws_problems_add(r->problems, r->document, item, "evaluate.quantiles: %g stands there twice",
                            item->valuedouble);
        else
            evaluate->quantiles[evaluate->quantile_count++] = item->valuedouble;
    }
}

static void complain_of_score(const reader *r, const ws_model *model, const char *name)
{
    ws_text known = {0};
    for (size_t i = 0; model->scores[i]; i++)
        ws_text_appendf(&known, "%s%s", i ? ", " : "", model->scores[i]);
    ws_problems_add(r->problems, r->document, at(r, "evaluate", "scores"),
                    "evaluate.scores: %s has no score \"%s\"; it has: %s", model->name, name, ws_text_string(&known));
    ws_text_destroy(&known);
}

static ws_err read_evaluate(reader *r)
{
    static const char *const extra[] = {"quantiles", NULL};
    ws_evaluate_options *evaluate = &r->config->evaluate;
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(r->root, "evaluate");
    WS_TRY(ws_options_read(&evaluate_table, r->document, object, "evaluate", extra, r->arena, evaluate, r->problems));
    read_quantiles(r);
    const ws_model *model = r->config->model;
    if (!model || r->config->keys.task != WS_TASK_ANOMALY || !model->scores) {
        if (r->config->keys.task == WS_TASK_CLASSIFY && evaluate->scores.count > 0)
            ws_problems_add(r->problems, r->document, at(r, "evaluate", "scores"),
                            "evaluate.scores: task \"classify\" has no scores to choose from");
        return WS_OK;
    }
    if (evaluate->scores.count == 0)
        evaluate->scores = (ws_string_list){model->scores, 1};
    for (size_t i = 0; i < evaluate->scores.count; i++) {
        size_t known = 0;
        while (model->scores[known] && strcmp(model->scores[known], evaluate->scores.items[i]) != 0)
            known++;
        if (!model->scores[known])
            complain_of_score(r, model, evaluate->scores.items[i]);
        for (size_t j = 0; j < i; j++)
            if (strcmp(evaluate->scores.items[i], evaluate->scores.items[j]) == 0)
                ws_problems_add(r->problems, r->document, at(r, "evaluate", "scores"),
                                "evaluate.scores: \"%s\" is named twice", evaluate->scores.items[i]);
    }
    return WS_OK;
}

/* ---- conditions between keys ---- */

static void check_train(const reader *r)
{
    const ws_train_options *train = &r->config->train;
    const ws_train_keys *keys = &r->config->keys;
    if (train->batch < train->gradient_shards) {
        ws_problems_add(r->problems, r->document, at(r, "train", "batch"),
                        "train.batch: %lld rows are fewer than train.gradient_shards = %lld", (long long)train->batch,
                        (long long)train->gradient_shards);
    } else if (train->batch % train->gradient_shards != 0) {
        int64_t below = train->batch / train->gradient_shards * train->gradient_shards;
        ws_problems_add(r->problems, r->document, at(r, "train", "batch"),
                        "train.batch: %lld is no multiple of train.gradient_shards = %lld (nearest: %lld, %lld)",
                        (long long)train->batch, (long long)train->gradient_shards, (long long)below,
                        (long long)(below + train->gradient_shards));
    }
    if (train->device != WS_CPU && r->config->model && !r->config->model->network)
        ws_problems_add(r->problems, r->document, at(r, "train", "device"),
                        "train.device: \"cuda\" is for networks, which %s is not", r->config->model->name);
    if (train->reduction != WS_REDUCTION_FIXED && train->device == WS_CPU)
        ws_problems_add(r->problems, r->document, at(r, "train", "reduction"),
                        "train.reduction: \"fast\" is for GPUs; on CPUs \"fixed\" costs nothing");
    if (train->precision == WS_BF16 && r->config->model && !r->config->model->network)
        ws_problems_add(r->problems, r->document, at(r, "train", "precision"),
                        "train.precision: \"bf16\" is for networks, which %s is not", r->config->model->name);
    if (train->optimiser == WS_OPTIMISER_SGD && (train->beta1 != 0.9 || train->beta2 != 0.99 || train->epsilon != 1e-8))
        ws_problems_add(r->problems, r->document, at(r, "train", "optimiser"),
                        "train.optimiser: \"sgd\" has no moments; beta1, beta2 and epsilon are for \"adamw\"");
    if (train->minimum_learning_rate > train->learning_rate)
        ws_problems_add(r->problems, r->document, at(r, "train", "minimum_learning_rate"),
                        "train.minimum_learning_rate: larger than train.learning_rate");
    if (train->select == WS_SELECT_BEST && (train->validate_every == 0 || keys->validation_fraction == 0))
        ws_problems_add(r->problems, r->document, at(r, "train", "select"),
                        "train.select: \"best\" needs validation rows and validate_every > 0");
    if (train->patience > 0 && (train->validate_every == 0 || keys->validation_fraction == 0))
        ws_problems_add(r->problems, r->document, at(r, "train", "patience"),
                        "train.patience: needs validation rows and validate_every > 0");
    if (train->isa != WS_TRAIN_ISA_AUTO && train->isa - 1 > (int)ws_isa_detect())
        ws_problems_add(r->problems, r->document, at(r, "train", "isa"),
                        "train.isa: this machine has no %s; the most it has is %s", ws_isa_names[train->isa - 1],
                        ws_isa_names[ws_isa_detect()]);
    if (train->isa == WS_ISA_AMX + 1 && train->precision != WS_BF16)
        ws_problems_add(r->problems, r->document, at(r, "train", "isa"),
                        "train.isa: amx is for train.precision = \"bf16\"; in single precision pin avx512");
    if (keys->train_fraction + keys->validation_fraction >= 1)
        ws_problems_add(r->problems, r->document, at(r, NULL, "validation_fraction"),
                        "train_fraction + validation_fraction leave no test rows");
    if (!ws_protocol_find(keys->protocol)) {
        const char *names[64], *closest;
        size_t count = 0;
        for (; ws_protocols[count] && count < 64; count++)
            names[count] = ws_protocols[count]->name;
        closest = ws_closest_name(keys->protocol, names, count);
        ws_problems_add(r->problems, r->document, at(r, NULL, "protocol"),
                        "protocol: there is no protocol \"%s\"%s%s%s", keys->protocol,
                        closest ? ". Did you mean \"" : "", closest ? closest : "",
                        closest ? "\"?" : "; `wiresweep list protocols` shows them");
    }
}

static void check_model(const reader *r)
{
    const ws_train_config *config = r->config;
    if (!config->model || !config->model_options || !config->model->check)
        return;
    ws_model_context context = {.task = (ws_task)config->keys.task,
                                .options = config->model_options,
                                .wanted = ws_scores_wanted(config),
                                .seed = (uint64_t)config->train.seed,
                                .columns = r->columns,
                                .column_names = r->column_names,
                                .batch = config->train.batch,
                                .shards = (int)config->train.gradient_shards,
                                .threads = (int)config->train.threads};
    config->model->check(&context, r->document, cJSON_GetObjectItemCaseSensitive(r->root, "model"), r->problems);
}

/* ---- the store ---- */

static void complain_of_name(const reader *r, const cJSON *value, const char *key, const char *given,
                             char *const *names, size_t count)
{
    const char *closest = ws_closest_name(given, (const char *const *)names, count);
    ws_text known = {0};
    for (size_t i = 0; i < count && i < 20; i++)
        ws_text_appendf(&known, "%s%s", i ? ", " : "", names[i]);
    if (closest)
        ws_problems_add(r->problems, r->document, value, "%s: the store has no \"%s\". Did you mean \"%s\"?", key,
                        given, closest);
    else
        ws_problems_add(r->problems, r->document, value, "%s: the store has no \"%s\"; it has: %s%s", key, given,
                        ws_text_string(&known),
                        count > 20   ? ", ..."
                        : count == 0 ? "none"
                                     : "");
    ws_text_destroy(&known);
}

static bool is_among(const char *name, char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static ws_err check_level(const reader *r, const ws_store *store)
{
    ws_train_keys *keys = &r->config->keys;
    char **names;
    WS_TRY(ws_arena_alloc(r->arena, &names, store->level_count, sizeof *names));
    for (size_t i = 0; i < store->level_count; i++)
        names[i] = store->levels[i].name;
    if (!keys->label && store->level_count == 1)
        keys->label = ws_arena_strdup(r->arena, names[0]);
    if (!keys->label) {
        ws_problems_add(r->problems, r->document, r->root,
                        store->level_count == 0 ? "label: the store %s has no labels; extract with --labels"
                                                : "label is missing: the store %s has several levels",
                        keys->store);
        return WS_OK;
    }
    const ws_label_level *level = ws_store_level(store, keys->label);
    if (!level) {
        complain_of_name(r, at(r, NULL, "label"), "label", keys->label, names, store->level_count);
        return WS_OK;
    }
    for (size_t i = 0; i < keys->normal.count; i++)
        if (!is_among(keys->normal.items[i], level->names, level->classes))
            complain_of_name(r, at(r, NULL, "normal"), "normal", keys->normal.items[i], level->names, level->classes);
    if (keys->task == WS_TASK_ANOMALY && keys->normal.count == 0)
        ws_problems_add(r->problems, r->document, at(r, NULL, "normal"),
                        "normal: name at least one class of level \"%s\" that is normal", keys->label);
    if (keys->task == WS_TASK_CLASSIFY && keys->normal.count > 0)
        ws_problems_add(r->problems, r->document, at(r, NULL, "normal"),
                        "normal: only task \"anomaly\" has normal classes");
    return WS_OK;
}

static ws_err check_columns(reader *r, const ws_string_list *names)
{
    int count, *chosen;
    const char **seen;
    ws_text complaint = {0};
    ws_err error = ws_columns_choose(&r->config->keys.columns, names, r->arena, &count, &chosen, &complaint);
    const bool sound = error == WS_OK && complaint.length == 0;
    if (error == WS_OK && !sound)
        ws_problems_add(r->problems, r->document, at(r, NULL, "columns"), "columns: %s", ws_text_string(&complaint));
    ws_text_destroy(&complaint);
    if (!sound)
        return error;
    WS_TRY(ws_arena_alloc(r->arena, &seen, (size_t)count, sizeof *seen));
    for (int i = 0; i < count; i++)
        seen[i] = names->items[chosen[i]];
    r->columns = count;
    r->column_names = seen;
    return WS_OK;
}

static ws_err check_features(reader *r, const ws_store *store)
{
    int columns;
    ws_string_list names;
    char *path = ws_format("/features/%s", r->config->keys.features);
    WS_CHECK(path, MEMORY, "no memory for a path");
    bool there = ws_h5_exists(store->file, path);
    free(path);
    if (!there)
        ws_problems_add(r->problems, r->document, at(r, NULL, "features"),
                        "features: the store has no table \"%s\"; `wiresweep inspect %s` shows what it has",
                        r->config->keys.features, r->config->keys.store);
    else
        WS_TRY(ws_store_features_info(store, r->config->keys.features, r->arena, &columns, &names));
    if (there)
        WS_TRY(check_columns(r, &names));
    return WS_OK;
}

/* What the model reads of packets must be in the store. */
static ws_err check_needs(const reader *r, const ws_store *store)
{
    const ws_train_config *config = r->config;
    const char *complaint;
    int64_t stored;
    if (!config->model || !config->model_options)
        return WS_OK;
    const ws_needs needs = ws_model_needs(config->model, config->model_options);
    WS_TRY(ws_store_check_needs(store, config->keys.features, &needs, &complaint, &stored));
    if (complaint)
        ws_problems_add(r->problems, r->document, at(r, "model", "packets"),
                        "model.packets: %s reads the first %lld packets of a flow (%s stores %lld): %s",
                        config->model->name, (long long)needs.tokens[WS_SEQUENCE_PACKETS], store->path,
                        (long long)stored, complaint);
    return WS_OK;
}

static ws_err check_store(reader *r)
{
    const char *path = r->config->keys.store;
    ws_store store;
    if (!path)
        return WS_OK;
    if (!ws_file_exists(path) && ws_directory_exists(path)) {
        ws_problems_add(r->problems, r->document, at(r, NULL, "store"),
                        "store: %s is a folder; name the file NAME.h5 that `wiresweep extract` wrote", path);
        return WS_OK;
    }
    if (access(path, F_OK) != 0) {
        ws_problems_add(r->problems, r->document, at(r, NULL, "store"),
                        "store: %s does not exist; make it with: wiresweep extract --dataset FAMILY -o %s INPUT...",
                        path, path);
        return WS_OK;
    }
    if (ws_store_open(&store, path) != WS_OK) {
        const char *hint = ws_error_hint();
        ws_problems_add(r->problems, r->document, at(r, NULL, "store"), "store: %s%s%s", ws_error_message(),
                        hint[0] ? "; " : "", hint);
        ws_error_clear();
        return WS_OK;
    }
    if (store.rows == 0) {
        ws_problems_add(r->problems, r->document, at(r, NULL, "store"),
                        "store: %s has no rows; `wiresweep inspect %s` says what it was made of", path, path);
        ws_store_close(&store);
        return WS_OK;
    }
    ws_err error = check_level(r, &store);
    if (error == WS_OK)
        error = check_features(r, &store);
    if (error == WS_OK)
        error = check_needs(r, &store);
    ws_store_close(&store);
    return error;
}

ws_err ws_train_config_read(const ws_json *document, ws_arena *arena, ws_train_config *out, ws_problems *problems)
{
    static const char *const extra[] = {"model", "train", "evaluate", NULL};
    reader r = {
        .document = document, .root = ws_json_root(document), .arena = arena, .problems = problems, .config = out};
    *out = (ws_train_config){0};
    WS_TRY(ws_options_read(&key_table, document, r.root, "", extra, arena, &out->keys, problems));
    if (!cJSON_IsObject(r.root))
        return WS_OK;
    WS_TRY(ws_options_read(&train_table, document, cJSON_GetObjectItemCaseSensitive(r.root, "train"), "train", NULL,
                           arena, &out->train, problems));
    WS_TRY(read_model(&r));
    WS_TRY(read_evaluate(&r));
    check_train(&r);
    WS_TRY(check_store(&r));
    check_model(&r);
    return WS_OK;
}

/* ---- files, command line, ranks ---- */

/* KEY=VALUE from the command line, where a relative path is relative to the current folder, not to the file. */
static ws_err assign(ws_json *document, const char *assignment)
{
    static const char key[] = "store=";
    if (strncmp(assignment, key, sizeof key - 1) != 0 || assignment[sizeof key - 1] == '/')
        return ws_json_set(document, assignment);
    char *here = realpath(".", NULL), *path = ws_path_join(here ? here : ".", assignment + sizeof key - 1);
    char *absolute = path ? ws_format("store=%s", path) : NULL;
    ws_err error = absolute ? ws_json_set(document, absolute) : WS_ERROR(MEMORY, "no memory for a path");
    free(here);
    free(path);
    free(absolute);
    return error;
}

static ws_err read_first(const char *path, const ws_string_list *assignments, int64_t seed, ws_arena *arena,
                         ws_train_config *out, char **text)
{
    ws_json *document;
    ws_problems problems = {0};
    ws_text printed = {0};
    char word[48];
    WS_TRY(ws_json_read_file(&document, path));
    ws_err error = WS_OK;
    for (size_t i = 0; i < assignments->count && error == WS_OK; i++)
        error = assign(document, assignments->items[i]);
    snprintf(word, sizeof word, "train.seed=%lld", (long long)seed);
    if (error == WS_OK && seed >= 0)
        error = ws_json_set(document, word);
    if (error == WS_OK)
        error = ws_train_config_read(document, arena, out, &problems);
    ws_err complaint = ws_problems_error(&problems);
    if (error == WS_OK)
        error = complaint;
    ws_json_destroy(&document);
    WS_TRY(error);
    cJSON *all = ws_train_config_print(out, false);
    WS_CHECK(all, MEMORY, "no memory for the configuration");
    error = ws_json_canonical(all, &printed);
    cJSON_Delete(all);
    if (error == WS_OK)
        error = ws_text_check(&printed);
    *text = printed.data;
    return error;
}

ws_err ws_train_config_read_all(const ws_comm *comm, const char *path, const ws_string_list *assignments, int64_t seed,
                                ws_arena *arena, ws_train_config *out)
{
    char *text = NULL;
    WS_AGREE(comm, comm->rank == 0 ? read_first(path, assignments, seed, arena, out, &text) : WS_OK);
    WS_TRY(ws_broadcast_text_all(comm, &text, 0));
    ws_err error = WS_OK;
    if (comm->rank != 0) {
        ws_json *document;
        ws_problems problems = {0};
        error = ws_json_read_text(&document, text, path);
        if (error == WS_OK) {
            error = ws_train_config_read(document, arena, out, &problems);
            ws_json_destroy(&document);
        }
        ws_err complaint = ws_problems_error(&problems);
        if (error == WS_OK)
            error = complaint;
    }
    free(text);
    WS_AGREE(comm, error);
    return WS_OK;
}

/* ---- printing ---- */

static cJSON *print_model(const ws_train_config *config)
{
    cJSON *object = ws_options_print(config->model->options, config->model_options);
    if (object && !cJSON_AddStringToObject(object, "kind", config->model->name)) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

static cJSON *print_evaluate(const ws_train_config *config)
{
    cJSON *object = ws_options_print(&evaluate_table, &config->evaluate);
    cJSON *list = cJSON_CreateDoubleArray(config->evaluate.quantiles, config->evaluate.quantile_count);
    if (!object || !cJSON_AddItemToObject(object, "quantiles", list)) {
        cJSON_Delete(list);
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

static bool add(cJSON *root, const char *key, cJSON *value)
{
    if (value && cJSON_AddItemToObject(root, key, value))
        return true;
    cJSON_Delete(value);
    return false;
}

cJSON *ws_train_config_print(const ws_train_config *config, bool for_result)
{
    ws_train_keys keys = config->keys;
    char *whole = for_result ? NULL : realpath(keys.store, NULL);
    if (whole)
        keys.store = whole;
    cJSON *root = ws_options_print(&key_table, &keys), *train = ws_options_print(&train_table, &config->train);
    free(whole);
    if (for_result) {
        cJSON_DeleteItemFromObjectCaseSensitive(root, "store");
        cJSON_DeleteItemFromObjectCaseSensitive(root, "name");
        for (size_t i = 0; i < sizeof run_only / sizeof *run_only; i++)
            cJSON_DeleteItemFromObjectCaseSensitive(train, run_only[i]);
        if (config->train.device == WS_CPU) /* as in the results of when there was nothing else */
            cJSON_DeleteItemFromObjectCaseSensitive(train, "device");
    }
    if (!add(root, "train", train) || !add(root, "model", print_model(config)) ||
        !add(root, "evaluate", print_evaluate(config))) {
        cJSON_Delete(root);
        return NULL;
    }
    return root;
}

void ws_train_config_condense(cJSON *config)
{
    cJSON *model = cJSON_GetObjectItemCaseSensitive(config, "model");
    const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(model, "kind"));
    const ws_model *known = kind ? ws_model_find(kind) : NULL;
    ws_options_drop_defaults(&key_table, "protocol_seed", config);
    ws_options_drop_defaults(&train_table, "seed", cJSON_GetObjectItemCaseSensitive(config, "train"));
    ws_options_drop_defaults(&evaluate_table, NULL, cJSON_GetObjectItemCaseSensitive(config, "evaluate"));
    if (known)
        ws_options_drop_defaults(known->options, NULL, model);
}

ws_err ws_train_config_help(ws_text *out)
{
    ws_text_append(out, "\nkeys of the configuration:\n");
    WS_TRY(ws_options_help(&key_table, true, out));
    WS_TRY(ws_options_help(&train_table, true, out));
    WS_TRY(ws_options_help(&evaluate_table, true, out));
    ws_text_append(out,
                   "  evaluate.quantiles           of normal validation scores, for thresholds [default 0.95, 0.99, "
                   "0.999]\n");
    for (size_t i = 0; ws_models[i]; i++) {
        ws_text_appendf(out, "model.kind \"%s\": %s\n", ws_models[i]->name, ws_models[i]->help);
        WS_TRY(ws_options_help(ws_models[i]->options, true, out));
    }
    return WS_OK;
}
