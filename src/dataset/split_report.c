/* split_report: a split and its audit as text for people, and what of it should make one doubt. */
#include "dataset/split_audit.h"

#include <stdio.h>
#include <stdlib.h>

double ws_overlap_share(const ws_audit_overlap *overlap)
{
    return overlap->of == 0 ? 0 : (double)overlap->rows / (double)overlap->of;
}

static void find_overlaps(const ws_split_audit *audit, ws_text *lines)
{
    static const char *const says[WS_AUDIT_COLUMNS] = {
        "have the same features and packets as a training row", "belong to a 5-tuple that training rows have too",
        "come from a host that training rows come from too", "have nearly the features of a training row",
        "begin with the same packets as a training row"};
    for (int c = 0; c < WS_AUDIT_COLUMNS; c++) {
        const ws_audit_overlap *overlap = &audit->overlap[c][WS_AUDIT_TEST_IN_TRAIN];
        /* near ones hold the exact ones, which have their own line */
        bool more = c != WS_AUDIT_NEAR_DUPLICATES ||
                    overlap->rows > audit->overlap[WS_AUDIT_DUPLICATES][WS_AUDIT_TEST_IN_TRAIN].rows;
        if (overlap->rows > 0 && more)
            ws_text_appendf(lines, "%.2f %% of the test rows (%llu) %s\n", 100 * ws_overlap_share(overlap),
                            (unsigned long long)overlap->rows, says[c]);
    }
}

void ws_audit_findings(const ws_split_audit *audit, const ws_separability *separability, uint64_t test_rows,
                       ws_text *lines)
{
    const double tells = 0.95; /* balanced accuracy of one column from which it counts as telling the class */
    find_overlaps(audit, lines);
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

/* ---------------------------------------------------------------- text */
static void append_part(const ws_split *split, int part, ws_text *out)
{
    ws_text_appendf(out, "  %-12s %12llu rows\n", ws_part_names[part], (unsigned long long)split->counts[part]);
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

static void append_text(const ws_split *split, const ws_split_audit *audit, const ws_separability *separability,
                        ws_text *out)
{
    ws_text findings = {0};
    for (int part = WS_PART_TRAIN; part < WS_PART_COUNT; part++)
        append_part(split, part, out);
    append_part(split, WS_PART_NONE, out);
    append_overlaps(audit, out);
    if (separability->level != NULL)
        append_classes(separability, out);
    ws_audit_findings(audit, separability, split->counts[WS_PART_TEST], &findings);
    ws_text_append(out, findings.length == 0 ? "findings: none\n" : "findings\n");
    for (const char *line = ws_text_string(&findings), *end; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        ws_text_appendf(out, "  %.*s\n", (int)(end - line), line);
    }
    ws_text_destroy(&findings);
}

ws_err ws_split_report(const ws_split *split, const ws_store *store, const ws_split_options *options, ws_text *out)
{
    ws_split_audit audit;
    ws_separability separability;
    WS_TRY(ws_split_audit_make(&audit, split, store));
    WS_TRY(ws_separability_create(&separability, split, store, options->label));
    ws_text_appendf(out, "%s, protocol %s, seed %lld, split %.16s\n", store->path, options->protocol,
                    (long long)options->protocol_seed, split->hash);
    append_text(split, &audit, &separability, out);
    ws_separability_destroy(&separability);
    return ws_text_check(out);
}
