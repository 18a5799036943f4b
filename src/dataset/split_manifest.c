/* split_manifest: a split as JSON text: options, counts by part and class, checksums, row hashes, and the leakage
 * audit. The checksum of a part is the SHA-256 of its row hashes as lines, so `jq -r '.parts.test.row_hashes[]' |
 * sha256sum` checks it.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "dataset/split_audit.h"

static void append_string(ws_text *out, const char *text)
{
    cJSON *string = cJSON_CreateString(text);
    char *quoted = string == NULL ? NULL : cJSON_PrintUnformatted(string);
    if (quoted == NULL)
        out->out_of_memory = true;
    else
        ws_text_append(out, quoted);
    cJSON_free(quoted);
    cJSON_Delete(string);
}

static void append_double(ws_text *out, double value)
{
    char number[32];
    ws_format_double(value, number);
    ws_text_append(out, number);
}

/* ---------------------------------------------------------------- audit */
static void append_overlaps(const ws_split_audit *audit, ws_text *out)
{
    for (int c = 0; c < WS_AUDIT_COLUMNS; c++) {
        ws_text_appendf(out, "%s\n    \"%s\": {", c == 0 ? "" : ",", ws_audit_column_names[c]);
        for (int k = 0; k < WS_AUDIT_PAIRS; k++) {
            const ws_audit_overlap *overlap = &audit->overlap[c][k];
            ws_text_appendf(
                out, "%s\n      \"%s\": {\"shared_values\": %llu, \"rows\": %llu, \"share\": ", k == 0 ? "" : ",",
                ws_audit_pair_names[k], (unsigned long long)overlap->values, (unsigned long long)overlap->rows);
            if (overlap->of > 0)
                append_double(out, ws_overlap_share(overlap));
            else
                ws_text_append(out, "null");
            ws_text_append(out, "}");
        }
        ws_text_append(out, "\n    }");
    }
}

static void append_single_features(const ws_separability *audit, ws_text *out)
{
    const char *comma = "";
    ws_text_append(out, ",\n    \"single_feature\": {\"table\": ");
    append_string(out, audit->table);
    ws_text_appendf(out, ", \"decided_test_rows\": %llu, \"classes\": {", (unsigned long long)audit->decided_rows);
    for (size_t k = 0; k < audit->level->classes; k++) {
        const ws_separable_class *class = &audit->classes[k];
        if (class->column < 0)
            continue;
        ws_text_appendf(out, "%s\n      ", comma);
        append_string(out, audit->level->names[k]);
        ws_text_append(out, ": {\"column\": ");
        append_string(out, audit->columns.items[class->column]);
        ws_text_appendf(out, ", \"above\": %s, \"threshold\": ", class->above ? "true" : "false");
        append_double(out, isfinite(class->threshold) ? (double)class->threshold : -FLT_MAX);
        ws_text_append(out, ", \"train_balanced_accuracy\": ");
        append_double(out, class->train_balanced);
        ws_text_append(out, ", \"balanced_accuracy\": ");
        append_double(out, class->balanced_accuracy);
        ws_text_append(out, ", \"auroc\": ");
        append_double(out, class->auroc);
        ws_text_append(out, "}");
        comma = ",";
    }
    ws_text_append(out, "\n    }}");
}

static void append_identifiers(const ws_label_audit *labels, ws_text *out)
{
    ws_text_appendf(out, ",\n    \"contradicted_test_rows\": %llu,\n    \"identifiers\": {",
                    (unsigned long long)labels->contradicted);
    for (int k = 0; k < WS_IDENTIFIERS; k++) {
        const ws_audit_identifier *id = &labels->identifiers[k];
        ws_text_appendf(out,
                        "%s\n      \"%s\": {\"known_rows\": %llu, \"right_rows\": %llu, \"majority_right_rows\": %llu, "
                        "\"balanced_accuracy\": ",
                        k == 0 ? "" : ",", ws_identifier_names[k], (unsigned long long)id->seen,
                        (unsigned long long)id->right, (unsigned long long)id->majority_right);
        append_double(out, id->balanced_accuracy);
        ws_text_append(out, "}");
    }
    ws_text_append(out, "\n    }");
}

static void append_times(const ws_audit_times *times, ws_text *out)
{
    ws_text_appendf(
        out,
        ",\n    \"time\": {\"test_rows_before_training_ends\": %llu, \"training_rows_into_test\": %llu, "
        "\"train_first_ns\": %lld, \"train_last_ns\": %lld, \"test_first_ns\": %lld, \"test_last_ns\": %lld}",
        (unsigned long long)times->early_test, (unsigned long long)times->late_training,
        (long long)times->first_ns[WS_PART_TRAIN], (long long)times->last_ns[WS_PART_TRAIN],
        (long long)times->first_ns[WS_PART_TEST], (long long)times->last_ns[WS_PART_TEST]);
}

static void append_findings(const ws_whole_audit *audit, ws_text *out)
{
    ws_text findings = {0};
    const char *comma = "";
    char *save = NULL;
    ws_audit_findings(audit, &findings);
    ws_text_append(out, ",\n    \"findings\": [");
    for (char *line = findings.data == NULL ? NULL : strtok_r(findings.data, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        ws_text_appendf(out, "%s\n      ", comma);
        append_string(out, line);
        comma = ",";
    }
    ws_text_append(out, "]");
    ws_text_destroy(&findings);
}

static ws_err append_audit(const ws_split *split, const ws_store *store, const ws_split_options *options, ws_text *out)
{
    ws_whole_audit audit;
    ws_err error = ws_whole_audit_create(&audit, split, store, options);
    if (error == WS_OK) {
        ws_text_append(out, "{");
        append_overlaps(&audit.overlaps, out);
        if (audit.training_hash[0] != '\0')
            ws_text_appendf(out, ",\n    \"training_store\": \"%s\"", audit.training_hash);
        if (audit.times.known)
            append_times(&audit.times, out);
        if (audit.separability.level != NULL)
            append_single_features(&audit.separability, out);
        if (audit.labels.level != NULL)
            append_identifiers(&audit.labels, out);
        append_findings(&audit, out);
        ws_text_append(out, "\n  }");
    }
    ws_whole_audit_destroy(&audit);
    WS_TRY(error);
    return WS_OK;
}

/* ---------------------------------------------------------------- parts */
typedef struct manifest_rows {
    uint64_t *hashes;
    int32_t *labels; /* NULL without level */
    const ws_label_level *level;
} manifest_rows;

static void append_classes(const ws_split *split, const manifest_rows *rows, int part, ws_text *out, uint64_t *counts)
{
    memset(counts, 0, rows->level->classes * sizeof *counts);
    for (uint64_t i = 0; i < split->rows; i++)
        if (split->part[i] == part)
            counts[rows->labels[i]]++;
    ws_text_append(out, ", \"classes\": {");
    const char *comma = "";
    for (size_t c = 0; c < rows->level->classes; c++) {
        if (counts[c] == 0)
            continue;
        ws_text_append(out, comma);
        append_string(out, rows->level->names[c]);
        ws_text_appendf(out, ": %llu", (unsigned long long)counts[c]);
        comma = ", ";
    }
    ws_text_append(out, "}");
}

static ws_err append_part(const ws_split *split, const manifest_rows *rows, int part, ws_sha256 *hash, ws_text *out)
{
    char line[32], hex[65];
    for (uint64_t i = 0; i < split->rows; i++)
        if (split->part[i] == part) {
            snprintf(line, sizeof line, "%016llx\n", (unsigned long long)rows->hashes[i]);
            ws_sha256_update(hash, line, 17);
        }
    ws_digest digest = ws_sha256_finish(hash);
    ws_digest_hex(&digest, hex);
    ws_text_appendf(out, "\n    \"%s\": {\"rows\": %llu, \"sha256\": \"%s\"", ws_part_names[part],
                    (unsigned long long)split->counts[part], hex);
    if (rows->level != NULL) {
        uint64_t *counts;
        WS_TRY(WS_NEW_ARRAY(counts, rows->level->classes));
        append_classes(split, rows, part, out, counts);
        free(counts);
    }
    ws_text_append(out, ", \"row_hashes\": [");
    const char *comma = "";
    for (uint64_t i = 0; i < split->rows; i++)
        if (split->part[i] == part) {
            ws_text_appendf(out, "%s\"%016llx\"", comma, (unsigned long long)rows->hashes[i]);
            comma = ",";
        }
    ws_text_append(out, "]}");
    return WS_OK;
}

static ws_err read_rows(const ws_split *split, const ws_store *store, const ws_split_options *options,
                        manifest_rows *rows)
{
    WS_TRY(WS_NEW_ARRAY(rows->hashes, split->rows));
    WS_TRY(ws_store_read(store, "/flows/row_hash", H5T_NATIVE_UINT64, 0, split->rows, rows->hashes));
    if (options->label == NULL)
        return WS_OK;
    rows->level = ws_store_level(store, options->label);
    WS_CHECK(rows->level != NULL, INTERNAL, "split by level %s, which the store does not have", options->label);
    WS_TRY(WS_NEW_ARRAY(rows->labels, split->rows));
    char *path = ws_format("/labels/%s", options->label);
    WS_CHECK(path != NULL, MEMORY, "no memory for the label level %s", options->label);
    ws_err error = ws_store_read(store, path, H5T_NATIVE_INT32, 0, split->rows, rows->labels);
    free(path);
    WS_TRY(error);
    return WS_OK;
}

static void append_named(ws_text *out, const char *key, const char *classes)
{
    ws_text_appendf(out, "  \"%s\": ", key);
    append_string(out, classes == NULL ? "" : classes);
    ws_text_append(out, ",\n");
}

static void append_head(const ws_split *split, const ws_store *store, const ws_split_options *options, ws_text *out)
{
    ws_text_append(out, "{\n  \"protocol\": ");
    append_string(out, options->protocol);
    ws_text_appendf(out, ",\n  \"protocol_seed\": %lld,\n  \"train_fraction\": ", (long long)options->protocol_seed);
    append_double(out, options->train_fraction);
    ws_text_append(out, ",\n  \"validation_fraction\": ");
    append_double(out, options->validation_fraction);
    ws_text_append(out, ",\n  \"label\": ");
    if (options->label == NULL)
        ws_text_append(out, "null");
    else
        append_string(out, options->label);
    ws_text_appendf(out, ",\n  \"minimum_rows\": %lld,\n  \"maximum_rows\": %lld,\n  \"store\": {\"dataset\": ",
                    (long long)options->minimum_rows, (long long)options->maximum_rows);
    append_string(out, store->dataset);
    ws_text_appendf(out, ", \"content_hash\": \"%s\", \"rows\": %llu},\n  \"split_hash\": \"%s\",\n",
                    store->content_hash, (unsigned long long)store->rows, split->hash);
    ws_text_appendf(out,
                    "  \"rows_without_part\": %llu,\n  \"classes_left_out\": %zu,\n  \"rows_left_out\": %llu,\n"
                    "  \"rows_thinned\": %llu,\n  \"rows_unlabelled\": %llu,\n",
                    (unsigned long long)split->counts[WS_PART_NONE], split->classes_left_out,
                    (unsigned long long)split->rows_left_out, (unsigned long long)split->rows_thinned,
                    (unsigned long long)split->rows_unlabelled);
    append_named(out, "small_classes", split->small_classes);
    append_named(out, "untrained_classes", split->untrained_classes);
    append_named(out, "untested_classes", split->untested_classes);
}

ws_err ws_split_manifest(const ws_split *split, const ws_store *store, const ws_split_options *options, ws_text *out)
{
    manifest_rows rows = {0};
    ws_sha256 *hash = NULL;
    ws_err error = WS_OK;
    WS_TRY_GOTO(out, read_rows(split, store, options, &rows));
    WS_TRY_GOTO(out, ws_sha256_create(&hash));
    append_head(split, store, options, out);
    ws_text_append(out, "  \"audit\": ");
    WS_TRY_GOTO(out, append_audit(split, store, options, out));
    ws_text_append(out, ",\n  \"parts\": {");
    for (int part = WS_PART_TRAIN; part < WS_PART_COUNT; part++) {
        if (part > WS_PART_TRAIN)
            ws_text_append(out, ",");
        WS_TRY_GOTO(out, append_part(split, &rows, part, hash, out));
    }
    ws_text_append(out, "\n  }\n}\n");
    WS_TRY_GOTO(out, ws_text_check(out));
out:
    ws_sha256_destroy(&hash);
    free(rows.hashes);
    free(rows.labels);
    return error;
}
