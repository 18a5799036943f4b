/* split: which rows take part, and which part each belongs to. The protocols (protocols.def) assign, this file chooses
 * the rows, checks what came out and hashes it. Parts are disjoint by construction: a row has one part.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "dataset/split_order.h"

const char *const ws_part_names[WS_PART_COUNT] = {"none", "train", "validation", "test"};

#define PROTOCOL(x) extern const ws_protocol ws_protocol_##x;
#include "dataset/protocols.def"
#undef PROTOCOL

const ws_protocol *const ws_protocols[] = {
#define PROTOCOL(x) &ws_protocol_##x,
#include "dataset/protocols.def"
#undef PROTOCOL
    NULL};

const ws_protocol *ws_protocol_find(const char *name)
{
    for (size_t i = 0; ws_protocols[i] != NULL; i++)
        if (strcmp(ws_protocols[i]->name, name) == 0)
            return ws_protocols[i];
    return NULL;
}

/* ---------------------------------------------------------------- shared by the protocols */
ws_err ws_split_column(const ws_store *store, const char *path, const uint64_t *chosen, uint64_t count, uint64_t **out)
{
    uint64_t *all, *values;
    WS_TRY(WS_NEW_ARRAY(values, count));
    ws_err error = WS_NEW_ARRAY(all, WS_HASH_BLOCK_ROWS);
    uint64_t i = 0;
    while (i < count && error == WS_OK) {
        uint64_t begin = chosen[i];
        uint64_t end = begin + WS_HASH_BLOCK_ROWS < store->rows ? begin + WS_HASH_BLOCK_ROWS : store->rows;
        /* Signed columns are read as such: HDF5 would clip negative values. */
        hid_t type = strcmp(path, "/flows/first_ns") == 0 ? H5T_NATIVE_INT64 : H5T_NATIVE_UINT64;
        error = ws_store_read(store, path, type, begin, end - begin, all);
        for (; error == WS_OK && i < count && chosen[i] < end; i++)
            values[i] = all[chosen[i] - begin];
    }
    free(all);
    if (error != WS_OK)
        free(values);
    WS_TRY(error);
    *out = values;
    return WS_OK;
}

static int compare_ordered(const void *left, const void *right)
{
    const ws_ordered_row *a = left, *b = right;
    if (a->class != b->class)
        return a->class < b->class ? -1 : 1;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    if (a->row_hash != b->row_hash)
        return a->row_hash < b->row_hash ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

void ws_split_ends(uint64_t count, const ws_split_options *options, uint64_t *train_end, uint64_t *validation_end)
{
    double n = (double)count;
    *train_end = (uint64_t)floor(n * options->train_fraction + 0.5);
    *validation_end = (uint64_t)floor(n * (options->train_fraction + options->validation_fraction) + 0.5);
    if (*validation_end > count)
        *validation_end = count;
    if (*train_end > *validation_end)
        *train_end = *validation_end;
}

void ws_split_cut(ws_ordered_row *rows, uint64_t count, const ws_split_options *options, uint8_t *part)
{
    if (count > 0)
        qsort(rows, count, sizeof *rows, compare_ordered);
    for (uint64_t begin = 0, end; begin < count; begin = end) {
        uint64_t train_end, validation_end;
        for (end = begin; end < count && rows[end].class == rows[begin].class;)
            end++;
        ws_split_ends(end - begin, options, &train_end, &validation_end);
        for (uint64_t i = begin; i < end; i++)
            part[rows[i].row] = i - begin < train_end        ? WS_PART_TRAIN
                                : i - begin < validation_end ? WS_PART_VALIDATION
                                                             : WS_PART_TEST;
    }
}

static bool is_normal(const ws_split_options *options, const char *class)
{
    for (size_t k = 0; k < options->normal.count; k++)
        if (strcmp(class, options->normal.items[k]) == 0)
            return true;
    return false;
}

ws_err ws_split_normal(const ws_store *store, const ws_split_options *options, const int32_t *label, uint64_t count,
                       bool **out)
{
    const ws_label_level *level = options->label == NULL ? NULL : ws_store_level(store, options->label);
    const bool told = level != NULL && options->normal.count > 0;
    WS_TRY(WS_NEW_ARRAY(*out, count));
    for (uint64_t i = 0; i < count; i++)
        (*out)[i] = !told || is_normal(options, level->names[label[i]]);
    return WS_OK;
}

/* ---------------------------------------------------------------- rows that take part */
/* All row hashes; the store's own order. */
static ws_err read_row_hashes(const ws_store *store, uint64_t **out)
{
    WS_TRY(WS_NEW_ARRAY(*out, store->rows));
    ws_err error = ws_store_read(store, "/flows/row_hash", H5T_NATIVE_UINT64, 0, store->rows, *out);
    if (error != WS_OK)
        free(*out);
    WS_TRY(error);
    return WS_OK;
}

typedef struct chosen_rows {
    uint64_t *rows;
    int32_t *labels;
    uint64_t count;
    uint64_t *class_rows; /* [classes] of the level; NULL without one */
} chosen_rows;

static ws_err no_level(const ws_store *store, const char *label)
{
    ws_err error = WS_ERROR(CONFIG, "%s: no label level \"%s\"", store->path, label);
    ws_text names = {0};
    for (size_t l = 0; l < store->level_count; l++)
        ws_text_appendf(&names, "%s%s", l == 0 ? "" : ", ", store->levels[l].name);
    if (store->level_count == 0)
        WS_HINT("the store has no labels; extract it with --labels");
    else
        WS_HINT("it has: %s", ws_text_string(&names));
    ws_text_destroy(&names);
    return error;
}

static bool is_large(const ws_split_options *options, const char *class, uint64_t count)
{
    return options->maximum_rows > 0 && count > (uint64_t)options->maximum_rows && !is_normal(options, class);
}

/* Of the classes with more than maximum_rows as many, drawn from the seed; the others lose their label. Normal classes are
 * left whole: they are what there is to learn from. */
static ws_err thin(const ws_store *store, const ws_split_options *options, const ws_label_level *level,
                   const uint64_t *counts, int32_t *labels, ws_split *split)
{
    const uint64_t most = (uint64_t)options->maximum_rows;
    uint64_t *hashes, large = 0;
    ws_ordered_row *rows;
    for (size_t c = 0; c < level->classes; c++)
        if (is_large(options, level->names[c], counts[c]))
            large += counts[c];
    if (large == 0)
        return WS_OK;
    WS_TRY(read_row_hashes(store, &hashes));
    ws_err error = WS_NEW_ARRAY(rows, large);
    for (uint64_t i = 0, k = 0; error == WS_OK && i < store->rows; i++)
        if (labels[i] >= 0 && is_large(options, level->names[labels[i]], counts[labels[i]]))
            rows[k++] = (ws_ordered_row){ws_random_u64((uint64_t)options->protocol_seed, WS_RANDOM_SPLIT, 4, hashes[i]),
                                         hashes[i], i, labels[i]};
    free(hashes);
    WS_TRY(error);
    qsort(rows, large, sizeof *rows, compare_ordered);
    for (uint64_t k = 0, begin = 0; k < large; k++) {
        if (rows[k].class != rows[begin].class)
            begin = k;
        if (k - begin < most)
            continue;
        labels[rows[k].row] = -1;
        split->rows_thinned++;
    }
    free(rows);
    return WS_OK;
}

/* Rows of each class; those without one are counted. */
static ws_err count_classes(const ws_store *store, const ws_label_level *level, const int32_t *labels, uint64_t *counts,
                            ws_split *split)
{
    for (uint64_t i = 0; i < store->rows; i++) {
        WS_CHECK(labels[i] < (int64_t)level->classes, FORMAT,
                 "%s: label %d of row %llu in level %s, which has %zu classes", store->path, labels[i],
                 (unsigned long long)i, level->name, level->classes);
        if (labels[i] >= 0)
            counts[labels[i]]++;
        else
            split->rows_unlabelled++;
    }
    return WS_OK;
}

static ws_err choose_labelled(const ws_store *store, const ws_split_options *options, const ws_label_level *level,
                              chosen_rows *chosen, ws_split *split)
{
    char *path = ws_format("/labels/%s", options->label);
    WS_CHECK(path != NULL, MEMORY, "no memory for the label level %s", options->label);
    ws_err error = ws_store_read(store, path, H5T_NATIVE_INT32, 0, store->rows, chosen->labels);
    free(path);
    WS_TRY(error);
    uint64_t *counts;
    WS_TRY(WS_NEW_ARRAY(counts, level->classes + 1));
    error = count_classes(store, level, chosen->labels, counts, split);
    if (error == WS_OK)
        error = thin(store, options, level, counts, chosen->labels, split);
    uint64_t minimum = options->minimum_rows > 0 ? (uint64_t)options->minimum_rows : 0;
    for (size_t c = 0; c < level->classes; c++)
        if (counts[c] > 0 && counts[c] < minimum) {
            split->classes_left_out++;
            split->rows_left_out += counts[c];
        }
    for (uint64_t i = 0; i < store->rows && error == WS_OK; i++) {
        int32_t class = chosen->labels[i];
        if (class < 0 || counts[class] < minimum)
            continue;
        chosen->labels[chosen->count] = class; /* never before position i */
        chosen->rows[chosen->count++] = i;
    }
    chosen->class_rows = counts;
    WS_TRY(error);
    return WS_OK;
}

static ws_err choose_rows(const ws_store *store, const ws_split_options *options, chosen_rows *chosen, ws_split *split)
{
    WS_TRY(WS_NEW_ARRAY(chosen->rows, store->rows));
    WS_TRY(WS_NEW_ARRAY(chosen->labels, store->rows));
    if (options->label != NULL) {
        const ws_label_level *level = ws_store_level(store, options->label);
        if (level == NULL)
            return no_level(store, options->label);
        WS_TRY(choose_labelled(store, options, level, chosen, split));
    } else {
        for (uint64_t i = 0; i < store->rows; i++)
            chosen->rows[i] = i;
        chosen->count = store->rows;
    }
    WS_CHECK(chosen->count > 0, CONFIG, "%s: no row takes part in the split (level %s, classes of at least %lld rows)",
             store->path, options->label == NULL ? "none" : options->label, (long long)options->minimum_rows);
    return WS_OK;
}

/* ---------------------------------------------------------------- classes that a split is not fair to */
enum { NAMED_CLASSES = 20 };

/* The classes that are marked, with all their rows, as "A (3), B (7)"; *out NULL where there are none. */
static ws_err name_classes(const ws_label_level *level, const uint64_t *rows, const bool *marked, char **out)
{
    ws_text text = {0};
    size_t count = 0;
    for (size_t c = 0; c < level->classes; c++)
        if (marked[c] && count++ < NAMED_CLASSES)
            ws_text_appendf(&text, "%s%s (%llu)", count > 1 ? ", " : "", level->names[c], (unsigned long long)rows[c]);
    if (count > NAMED_CLASSES)
        ws_text_appendf(&text, " and %zu more", count - NAMED_CLASSES);
    ws_err error = ws_text_check(&text);
    if (error == WS_OK && count > 0) {
        *out = strdup(ws_text_string(&text));
        if (*out == NULL)
            error = WS_ERROR(MEMORY, "no memory for the names of %zu classes", count);
    }
    ws_text_destroy(&text);
    return error;
}

static ws_err tell_classes(ws_split *split, const ws_store *store, const ws_split_options *options,
                           const chosen_rows *chosen)
{
    const ws_label_level *level = options->label == NULL ? NULL : ws_store_level(store, options->label);
    const uint64_t minimum = options->minimum_rows > 0 ? (uint64_t)options->minimum_rows : 0;
    bool *small = NULL, *untrained = NULL, *untested = NULL;
    ws_err error = WS_OK;
    if (level == NULL || chosen->class_rows == NULL)
        return WS_OK;
    WS_TRY_GOTO(done, WS_NEW_ARRAY(small, level->classes + 1));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(untrained, level->classes + 1));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(untested, level->classes + 1));
    for (size_t c = 0; c < level->classes; c++) {
        small[c] = chosen->class_rows[c] > 0 && chosen->class_rows[c] < minimum;
        untrained[c] = untested[c] = chosen->class_rows[c] > 0 && !small[c];
    }
    for (uint64_t i = 0; i < chosen->count; i++) {
        const uint8_t part = split->part[chosen->rows[i]];
        if (part == WS_PART_TRAIN)
            untrained[chosen->labels[i]] = false;
        if (part == WS_PART_TEST)
            untested[chosen->labels[i]] = false;
    }
    WS_TRY_GOTO(done, name_classes(level, chosen->class_rows, small, &split->small_classes));
    WS_TRY_GOTO(done, name_classes(level, chosen->class_rows, untrained, &split->untrained_classes));
    WS_TRY_GOTO(done, name_classes(level, chosen->class_rows, untested, &split->untested_classes));
done:
    free(small);
    free(untrained);
    free(untested);
    return error;
}

/* ---------------------------------------------------------------- checks and hash */
static ws_err check_options(const ws_split_options *options)
{
    WS_CHECK(options->train_fraction > 0 && options->train_fraction <= 1 && options->validation_fraction >= 0 &&
                 options->train_fraction + options->validation_fraction <= 1 + 1e-9,
             CONFIG, "train_fraction %g and validation_fraction %g do not leave a split: train > 0, sum at most 1",
             options->train_fraction, options->validation_fraction);
    if (ws_protocol_find(options->protocol) == NULL) {
        const char *names[64];
        size_t count = 0;
        while (ws_protocols[count] != NULL && count < 64) {
            names[count] = ws_protocols[count]->name;
            count++;
        }
        const char *close = ws_closest_name(options->protocol, names, count);
        ws_err error = WS_ERROR(CONFIG, "unknown protocol \"%s\"", options->protocol);
        if (close != NULL)
            WS_HINT("did you mean \"%s\"? `wiresweep list protocols` shows all", close);
        else
            WS_HINT("`wiresweep list protocols` shows all");
        return error;
    }
    return WS_OK;
}

static ws_err check_parts(const ws_split *split, const ws_store *store, const ws_split_options *options)
{
    if (ws_protocol_find(options->protocol)->own_parts) /* these say themselves what they need */
        return WS_OK;
    double test_fraction = 1 - options->train_fraction - options->validation_fraction;
    /* who chooses by validation rows says so where there are none */
    const double fractions[WS_PART_COUNT] = {0, options->train_fraction, 0, test_fraction > 1e-9 ? test_fraction : 0};
    for (int p = WS_PART_TRAIN; p < WS_PART_COUNT; p++)
        if (fractions[p] > 0 && split->counts[p] == 0) {
            ws_err error =
                WS_ERROR(CONFIG, "%s: protocol %s gives no %s rows", store->path, options->protocol, ws_part_names[p]);
            WS_HINT("there are too few rows or groups for these fractions; take another protocol or other fractions");
            return error;
        }
    return WS_OK;
}

/* The text that is hashed: options, then of each part its name, its number of rows and their hashes, a line each. */
static ws_err hash_split(ws_split *split, const ws_store *store, const ws_split_options *options)
{
    uint64_t *hashes;
    ws_sha256 *hash;
    char line[256], train[32], validation[32];
    WS_TRY(read_row_hashes(store, &hashes));
    ws_err error = ws_sha256_create(&hash);
    if (error == WS_OK) {
        ws_format_double(options->train_fraction, train);
        ws_format_double(options->validation_fraction, validation);
        snprintf(line, sizeof line, "wiresweep split\n%.64s\n%lld\n%s %s\n", options->protocol,
                 (long long)options->protocol_seed, train, validation);
        ws_sha256_update(hash, line, strlen(line));
        for (int p = WS_PART_TRAIN; p < WS_PART_COUNT; p++) {
            snprintf(line, sizeof line, "%s %llu\n", ws_part_names[p], (unsigned long long)split->counts[p]);
            ws_sha256_update(hash, line, strlen(line));
            for (uint64_t i = 0; i < split->rows; i++)
                if (split->part[i] == p) {
                    snprintf(line, sizeof line, "%016llx\n", (unsigned long long)hashes[i]);
                    ws_sha256_update(hash, line, 17);
                }
        }
        ws_digest digest = ws_sha256_finish(hash);
        ws_digest_hex(&digest, split->hash);
        ws_sha256_destroy(&hash);
    }
    free(hashes);
    WS_TRY(error);
    return WS_OK;
}

static ws_err create(ws_split *split, const ws_store *store, const ws_split_options *options, chosen_rows *chosen)
{
    WS_TRY(check_options(options));
    split->rows = store->rows;
    WS_TRY(WS_NEW_ARRAY(split->part, store->rows));
    WS_TRY(choose_rows(store, options, chosen, split));
    WS_TRY(ws_protocol_find(options->protocol)
               ->assign(store, options, chosen->rows, chosen->labels, chosen->count, split->part));
    for (uint64_t i = 0; i < split->rows; i++)
        split->counts[split->part[i]]++;
    WS_TRY(check_parts(split, store, options));
    WS_TRY(tell_classes(split, store, options, chosen));
    WS_TRY(hash_split(split, store, options));
    return WS_OK;
}

ws_err ws_split_create(ws_split *out, const ws_store *store, const ws_split_options *options)
{
    chosen_rows chosen = {0};
    memset(out, 0, sizeof *out);
    ws_err error = create(out, store, options, &chosen);
    free(chosen.rows);
    free(chosen.labels);
    free(chosen.class_rows);
    if (error != WS_OK)
        ws_split_destroy(out);
    WS_TRY(error);
    return WS_OK;
}

void ws_split_destroy(ws_split *split)
{
    free(split->part);
    free(split->small_classes);
    free(split->untrained_classes);
    free(split->untested_classes);
    memset(split, 0, sizeof *split);
}
