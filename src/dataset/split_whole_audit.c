/* split_whole_audit: all that is looked at when a split is shown: what its parts share, when they were, and what gives labels
 * away. Made once, shown as JSON by split_manifest.c and as text by split_report.c.
 */
#include "dataset/split_audit.h"

#include <stdlib.h>

static ws_err read_times(const ws_split *split, const ws_store *store, int64_t *first, int64_t *last)
{
    WS_TRY(ws_store_read(store, "/flows/first_ns", H5T_NATIVE_INT64, 0, split->rows, first));
    WS_TRY(ws_store_read(store, "/flows/last_ns", H5T_NATIVE_INT64, 0, split->rows, last));
    return WS_OK;
}

static void measure_times(const ws_split *split, const int64_t *first, const int64_t *last, ws_audit_times *out)
{
    for (int p = 0; p < WS_PART_COUNT; p++) {
        out->first_ns[p] = INT64_MAX;
        out->last_ns[p] = INT64_MIN;
    }
    for (uint64_t i = 0; i < split->rows; i++) {
        const int part = split->part[i];
        out->first_ns[part] = first[i] < out->first_ns[part] ? first[i] : out->first_ns[part];
        out->last_ns[part] = first[i] > out->last_ns[part] ? first[i] : out->last_ns[part];
    }
    out->known = split->counts[WS_PART_TRAIN] > 0 && split->counts[WS_PART_TEST] > 0 &&
                 (out->last_ns[WS_PART_TRAIN] != 0 || out->last_ns[WS_PART_TEST] != 0);
    for (uint64_t i = 0; i < split->rows && out->known; i++) {
        out->early_test += split->part[i] == WS_PART_TEST && first[i] < out->last_ns[WS_PART_TRAIN];
        out->late_training += split->part[i] == WS_PART_TRAIN && last[i] > out->first_ns[WS_PART_TEST];
    }
}

static ws_err audit_times(const ws_split *split, const ws_store *store, ws_audit_times *out)
{
    int64_t *first = NULL, *last = NULL;
    ws_err error = WS_NEW_ARRAY(first, split->rows);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(last, split->rows);
    if (error == WS_OK)
        error = read_times(split, store, first, last);
    if (error == WS_OK)
        measure_times(split, first, last, out);
    free(first);
    free(last);
    WS_TRY(error);
    return WS_OK;
}

/* Rows are compared with features and packets: these must have been made alike. */
static ws_err check_extraction(const ws_store *store, const ws_store *trained, bool accepts)
{
    char *text, *differences;
    WS_TRY(ws_store_extraction(trained, &text));
    ws_err error = ws_store_check_extraction(store, text, WS_READS_ALL, accepts, &differences);
    free(text);
    free(differences);
    return error;
}

/* All rows of the training store count as training rows. */
static ws_err audit_across(ws_whole_audit *out, const ws_split *split, const ws_store *store,
                           const ws_split_options *options)
{
    ws_store trained;
    ws_split all = {0};
    WS_TRY(ws_store_open(&trained, options->training_store));
    all.rows = trained.rows;
    ws_err error = check_extraction(store, &trained, options->other_extraction);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(all.part, all.rows);
    if (error == WS_OK) {
        memset(all.part, WS_PART_TRAIN, all.rows);
        error = ws_split_audit_across(&out->overlaps, split, store, &all, &trained);
    }
    memcpy(out->training_hash, trained.content_hash,
           strlen(trained.content_hash) < sizeof out->training_hash ? strlen(trained.content_hash) + 1 : 0);
    free(all.part);
    ws_store_close(&trained);
    WS_TRY(error);
    return WS_OK;
}

ws_err ws_whole_audit_create(ws_whole_audit *out, const ws_split *split, const ws_store *store,
                             const ws_split_options *options)
{
    memset(out, 0, sizeof *out);
    out->test_rows = split->counts[WS_PART_TEST];
    out->by_time = strncmp(options->protocol, "temporal", 8) == 0;
    if (options->training_store != NULL)
        WS_TRY(audit_across(out, split, store, options));
    else
        WS_TRY(ws_split_audit_make(&out->overlaps, split, store));
    WS_TRY(audit_times(split, store, &out->times));
    WS_TRY(ws_identifiers_audit(&out->labels, split, store, options->label));
    WS_TRY(ws_separability_create(&out->separability, split, store, options));
    return WS_OK;
}

void ws_whole_audit_destroy(ws_whole_audit *audit)
{
    ws_separability_destroy(&audit->separability);
}

/* ---------------------------------------------------------------- findings */
double ws_overlap_share(const ws_audit_overlap *overlap)
{
    return overlap->of == 0 ? 0 : (double)overlap->rows / (double)overlap->of;
}

static void find_overlaps(const ws_whole_audit *audit, ws_text *lines)
{
    static const char *const says[WS_AUDIT_COLUMNS] = {
        "have the same features and packets as a training row", "belong to a 5-tuple that training rows have too",
        "come from a host that training rows come from too",    "have nearly the features of a training row",
        "begin with the same packets as a training row",        "come from a capture that the training store has too"};
    for (int c = 0; c < WS_AUDIT_COLUMNS; c++) {
        const ws_audit_overlap *overlap = &audit->overlaps.overlap[c][WS_AUDIT_TEST_IN_TRAIN];
        /* near ones hold the exact ones, which have their own line */
        bool more = c != WS_AUDIT_NEAR_DUPLICATES ||
                    overlap->rows > audit->overlaps.overlap[WS_AUDIT_DUPLICATES][WS_AUDIT_TEST_IN_TRAIN].rows;
        /* within a store captures are on both sides of most splits, and matter where they tell the class, see below */
        if (c == WS_AUDIT_CAPTURES)
            more = audit->training_hash[0] != '\0';
        if (overlap->rows > 0 && more)
            ws_text_appendf(lines, "%.2f %% of the test rows (%llu) %s\n", 100 * ws_overlap_share(overlap),
                            (unsigned long long)overlap->rows, says[c]);
    }
}

/* From where on one column, or one identifier, counts as telling the class. */
static const double tells = 0.95;
enum { LEAST_SEEN = 30 };

static void find_telling_columns(const ws_separability *separability, uint64_t test_rows, ws_text *lines)
{
    for (size_t k = 0; separability->level != NULL && k < separability->level->classes; k++) {
        const ws_separable_class *class = &separability->classes[k];
        if (class->column >= 0 && class->balanced_accuracy >= tells)
            ws_text_appendf(lines, "class %s follows from %s alone (%s %g: balanced accuracy %.4f on test rows)\n",
                            separability->level->names[k], separability->columns.items[class->column],
                            class->above ? "above" : "up to", (double)class->threshold, class->balanced_accuracy);
    }
    if (separability->decided_rows > 0)
        ws_text_appendf(lines,
                        "%.2f %% of the test rows (%llu) have a value that only training rows of their class have\n",
                        100 * (double)separability->decided_rows / (double)test_rows,
                        (unsigned long long)separability->decided_rows);
}

static void find_telling_identifiers(const ws_label_audit *labels, uint64_t test_rows, ws_text *lines)
{
    for (int k = 0; k < WS_IDENTIFIERS; k++) {
        const ws_audit_identifier *id = &labels->identifiers[k];
        if (id->seen < LEAST_SEEN || (double)id->right < tells * (double)id->seen ||
            (double)id->majority_right >= tells * (double)id->seen)
            continue;
        ws_text_appendf(lines,
                        "the %s alone tells the class: %.2f %% of the %llu test rows whose %s trained have its class "
                        "there (the commonest class: %.2f %%)\n",
                        ws_identifier_names[k], 100 * (double)id->right / (double)id->seen,
                        (unsigned long long)id->seen, ws_identifier_names[k],
                        100 * (double)id->majority_right / (double)id->seen);
    }
    if (labels->contradicted > 0)
        ws_text_appendf(lines, "%.2f %% of the test rows (%llu) equal training rows of other classes only\n",
                        100 * (double)labels->contradicted / (double)test_rows,
                        (unsigned long long)labels->contradicted);
}

void ws_audit_findings(const ws_whole_audit *audit, ws_text *lines)
{
    find_overlaps(audit, lines);
    find_telling_columns(&audit->separability, audit->test_rows, lines);
    find_telling_identifiers(&audit->labels, audit->test_rows, lines);
    if (audit->by_time && audit->times.early_test > 0)
        ws_text_appendf(lines, "%llu test rows begin before the last training row begins\n",
                        (unsigned long long)audit->times.early_test);
}
