/* split_report: a split and its audit as text for people. */
#include "dataset/split_audit.h"

#include <stdio.h>
#include <stdlib.h>

static void append_part(const ws_split *split, int part, ws_text *out)
{
    ws_text_appendf(out, "  %-12s %12llu rows\n", ws_part_names[part], (unsigned long long)split->counts[part]);
}

/* Classes that a reader would otherwise look for in vain. */
static void append_unfair(const ws_split *split, ws_text *out)
{
    if (split->small_classes != NULL)
        ws_text_appendf(out, "classes left out, too small (rows): %s\n", split->small_classes);
    if (split->untrained_classes != NULL)
        ws_text_appendf(out, "classes without training rows: %s\n", split->untrained_classes);
    if (split->untested_classes != NULL)
        ws_text_appendf(out, "classes without test rows: %s\n", split->untested_classes);
}

static void append_overlaps(const ws_split_audit *audit, ws_text *out)
{
    ws_text_append(out, "shared between parts, in rows (and their share)\n");
    ws_text_appendf(out, "  %-16s", "");
    for (int k = 0; k < WS_AUDIT_PAIRS; k++)
        ws_text_appendf(out, " %24s", ws_audit_pair_names[k]);
    ws_text_append(out, "\n");
    for (int o = 0; o < WS_AUDIT_COLUMNS; o++) {
        ws_text_appendf(out, "  %-16s", ws_audit_column_names[o]);
        for (int k = 0; k < WS_AUDIT_PAIRS; k++)
            if (audit->overlap[o][k].of == 0)
                ws_text_appendf(out, " %24s", "-");
            else
                ws_text_appendf(out, " %13llu (%6.2f %%)", (unsigned long long)audit->overlap[o][k].rows,
                                100 * ws_overlap_share(&audit->overlap[o][k]));
        ws_text_append(out, "\n");
    }
}

static void append_classes(const ws_separability *audit, ws_text *out)
{
    ws_text_appendf(out, "the one column of %s that tells a class best, chosen on training rows\n", audit->table);
    ws_text_appendf(out, "  %-28s %9s %9s  %-28s %9s %9s\n", "class", "train", "test", "column", "bal. acc.", "AUROC");
    for (size_t k = 0; k < audit->level->classes; k++) {
        const ws_separable_class *class = &audit->classes[k];
        if (class->train_rows + class->test_rows == 0)
            continue;
        ws_text_appendf(out, "  %-28s %9llu %9llu", audit->level->names[k], (unsigned long long)class->train_rows,
                        (unsigned long long)class->test_rows);
        if (class->column < 0)
            ws_text_append(out, "  too few rows\n");
        else
            ws_text_appendf(out, "  %-28s %9.4f %9.4f\n", audit->columns.items[class->column], class->balanced_accuracy,
                            class->auroc);
    }
}

static void append_identifiers(const ws_label_audit *labels, ws_text *out)
{
    ws_text_append(out, "the class that most training rows of a row's capture, host or 5-tuple have, on test rows\n");
    ws_text_appendf(out, "  %-28s %9s %9s %9s %9s\n", "", "known", "right", "majority", "bal. acc.");
    for (int k = 0; k < WS_IDENTIFIERS; k++) {
        const ws_audit_identifier *id = &labels->identifiers[k];
        ws_text_appendf(out, "  %-28s %9llu %9llu %9llu %9.4f\n", ws_identifier_names[k], (unsigned long long)id->seen,
                        (unsigned long long)id->right, (unsigned long long)id->majority_right, id->balanced_accuracy);
    }
}

static void append_times(const ws_audit_times *times, uint64_t test_rows, ws_text *out)
{
    ws_text_appendf(out,
                    "time: %llu of %llu test rows begin before the last training row begins; %llu training rows last "
                    "into the time of the test rows\n",
                    (unsigned long long)times->early_test, (unsigned long long)test_rows,
                    (unsigned long long)times->late_training);
}

static void append_text(const ws_split *split, const ws_whole_audit *audit, ws_text *out)
{
    ws_text findings = {0};
    for (int part = WS_PART_TRAIN; part < WS_PART_COUNT; part++)
        append_part(split, part, out);
    append_part(split, WS_PART_NONE, out);
    append_unfair(split, out);
    if (audit->training_hash[0] != '\0')
        ws_text_appendf(out, "training rows are all rows of the store with content hash %.16s\n", audit->training_hash);
    append_overlaps(&audit->overlaps, out);
    if (audit->times.known)
        append_times(&audit->times, audit->test_rows, out);
    if (audit->separability.level != NULL)
        append_classes(&audit->separability, out);
    if (audit->labels.level != NULL)
        append_identifiers(&audit->labels, out);
    ws_audit_findings(audit, &findings);
    const bool compared = split->counts[WS_PART_TRAIN] > 0 || audit->training_hash[0] != '\0';
    ws_text_append(out, findings.length > 0 ? "findings\n"
                        : compared          ? "findings: none\n"
                                   : "no row trains, so nothing was compared: --training-store STORE.h5 names the "
                                     "store that trained\n");
    for (const char *line = ws_text_string(&findings), *end; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        ws_text_appendf(out, "  %.*s\n", (int)(end - line), line);
    }
    ws_text_destroy(&findings);
}

ws_err ws_split_report(const ws_split *split, const ws_store *store, const ws_split_options *options, ws_text *out)
{
    ws_whole_audit audit;
    ws_err error = ws_whole_audit_create(&audit, split, store, options);
    if (error == WS_OK) {
        ws_text_appendf(out, "%s, protocol %s, seed %lld, split %.16s\n", store->path, options->protocol,
                        (long long)options->protocol_seed, split->hash);
        append_text(split, &audit, out);
    }
    ws_whole_audit_destroy(&audit);
    WS_TRY(error);
    return ws_text_check(out);
}
