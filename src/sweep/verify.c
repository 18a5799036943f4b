/* Verifying: trials of a finished sweep are run again, in a sweep folder of their own, and their records compared with those that
 * tables are made of. Records are read here, never written. */
#include "sweep/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "storage/storage.h"

typedef struct verifier {
    const ws_verify *options;
    ws_verify_counts *counts;
    const cJSON *manifest;
    ws_sweep sweep;  /* the chosen trials */
    cJSON **records; /* by trial of sweep, as they are recorded */
    size_t capacity; /* of records */
    size_t missing;  /* planned trials that have not finished */
    cJSON *report;   /* one object for each trial looked at */
} verifier;

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(member(object, key));
    return text ? text : "";
}

static const cJSON *find_cell(const cJSON *manifest, const char *id)
{
    const cJSON *cell;
    cJSON_ArrayForEach(cell, member(manifest, "cells"))
    {
        if (strcmp(text_of(cell, "cell"), id) == 0)
            return cell;
    }
    return NULL;
}

/* The cell's configuration with the trial's seeds; owned by the caller. */
static cJSON *config_of(const cJSON *cell, const cJSON *trial)
{
    cJSON *config = cJSON_Duplicate(member(cell, "config"), true);
    const cJSON *seed = member(trial, "train_seed"), *protocol_seed = member(trial, "protocol_seed");
    if (config && cJSON_IsNumber(seed) && ws_json_set_in(config, "train.seed", cJSON_Duplicate(seed, false)) != WS_OK)
        ws_error_clear();
    if (config && cJSON_IsNumber(protocol_seed))
        cJSON_AddItemToObject(config, "protocol_seed", cJSON_Duplicate(protocol_seed, false));
    return config;
}

/* ---------------------------------------------------------------- which trials */

static bool value_is(const cJSON *value, const char *wanted)
{
    ws_text text = {0};
    bool equal = cJSON_IsString(value) && strcmp(value->valuestring, wanted) == 0;
    if (value && !equal && ws_json_canonical(value, &text) == WS_OK)
        equal = strcmp(ws_text_string(&text), wanted) == 0;
    ws_text_destroy(&text);
    return equal;
}

/* All of KEY=VALUE,... hold; keys are those of the configuration, or id, cell, dataset, label. */
static ws_err matches(const char *selection, const cJSON *cell, const cJSON *trial, const cJSON *config, bool *out)
{
    char *copy = strdup(selection), *rest = NULL;
    WS_CHECK(copy, MEMORY, "no memory for a selection of trials");
    ws_err error = WS_OK;
    *out = true;
    for (char *word = strtok_r(copy, ",", &rest); word && error == WS_OK; word = strtok_r(NULL, ",", &rest)) {
        char *value = strchr(word, '=');
        if (!value) {
            error = WS_ERROR(ARGUMENT, "--cell %s: expected KEY=VALUE,...", selection);
            break;
        }
        *value++ = '\0';
        const cJSON *found = ws_json_find(config, word);
        if (!found)
            found = member(trial, word) ? member(trial, word) : member(cell, word);
        *out = *out && value_is(found, value);
    }
    free(copy);
    return error;
}

/* One in `every`, by the trial's own name. */
static bool is_drawn(const ws_verify *options, const char *id)
{
    return options->every <= 1 || ws_mix64(strtoull(id, NULL, 16)) % (uint64_t)options->every == 0;
}

/* ---------------------------------------------------------------- what is wrong without running anything */

static bool same_seed(const cJSON *planned, const cJSON *recorded)
{
    return !cJSON_IsNumber(planned) || cJSON_Compare(planned, recorded, true);
}

/* Whether the record has all that was planned; options that the program has got since may stand beside it. */
static bool holds(const cJSON *planned, const cJSON *recorded)
{
    if (!cJSON_IsObject(planned))
        return recorded && cJSON_Compare(planned, recorded, true);
    for (const cJSON *child = planned->child; child; child = child->next)
        if (!holds(child, member(recorded, child->string)))
            return false;
    return cJSON_IsObject(recorded);
}

/* What of a record contradicts the manifest that was frozen before it was made: NULL, or the key. */
static const char *find_contradiction(const cJSON *record, const cJSON *cell, const cJSON *trial)
{
    const cJSON *result = member(record, "result"), *recorded = member(result, "config");
    if (strcmp(text_of(result, "store_hash"), text_of(cell, "store_hash")) != 0)
        return "store_hash";
    if (strcmp(text_of(result, "split_hash"), text_of(trial, "split_hash")) != 0)
        return "split_hash";
    if (!same_seed(member(trial, "train_seed"), ws_json_find(recorded, "train.seed")) ||
        !same_seed(member(trial, "protocol_seed"), member(recorded, "protocol_seed")))
        return "seed";
    cJSON *config = cJSON_Duplicate(recorded, true);
    cJSON_DeleteItemFromObjectCaseSensitive(config, "protocol_seed");
    cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(config, "train"), "seed");
    const bool same = holds(member(cell, "config"), config);
    cJSON_Delete(config);
    return same ? NULL : "config";
}

static ws_err report(verifier *v, const char *id, const char *description, const char *verdict, const char *detail)
{
    cJSON *item = cJSON_CreateObject();
    bool made = item && cJSON_AddItemToArray(v->report, item) && cJSON_AddStringToObject(item, "id", id) &&
                cJSON_AddStringToObject(item, "trial", description) &&
                cJSON_AddStringToObject(item, "verdict", verdict) && cJSON_AddStringToObject(item, "detail", detail);
    WS_CHECK(made, MEMORY, "no memory for a verdict");
    return WS_OK;
}

static ws_err report_wrong(verifier *v, const char *id, const char *description, const char *detail)
{
    v->counts->different++;
    return report(v, id, description, "different", detail);
}

/* ---------------------------------------------------------------- the trials as a sweep of their own */

/* The store that the sweep's base names, which may lie in the sweep's folder; NULL: it names none. */
static ws_err find_store(const verifier *v, char **out)
{
    const char *named = cJSON_GetStringValue(ws_json_find(v->manifest, "specification.base.store"));
    char *joined = named ? ws_path_join(v->options->directory, named) : NULL;
    *out = joined ? realpath(joined, NULL) : NULL;
    if (joined && !*out)
        *out = strdup(named); /* the trial says that it is not there */
    free(joined);
    WS_CHECK(*out || !named, MEMORY, "no memory for a path");
    return WS_OK;
}

/* What the trial was started with, or, where that is not kept, its configuration. */
static ws_err read_config(const verifier *v, const char *id, const cJSON *config, cJSON **out)
{
    char *path = ws_format("%s/trials/%s/config.json", v->options->directory, id);
    WS_CHECK(path, MEMORY, "no memory for a path");
    ws_json *document = NULL;
    ws_err error = ws_file_exists(path) ? ws_json_read_file(&document, path) : WS_OK;
    free(path);
    WS_TRY(error);
    *out = cJSON_Duplicate(document ? ws_json_root(document) : config, true);
    ws_json_destroy(&document);
    WS_CHECK(*out, MEMORY, "no memory for a configuration");
    return WS_OK;
}

/* The configuration to run again: with the store that is asked for, else the one it was started with, else the sweep's. */
static ws_err make_config(const verifier *v, const char *id, const cJSON *config, char **out)
{
    cJSON *root = NULL;
    char *kept = NULL;
    ws_text text = {0};
    WS_TRY(read_config(v, id, config, &root));
    const char *store = v->options->store, *began = cJSON_GetStringValue(member(root, "store"));
    ws_err error = WS_OK;
    if (!store && !(began && ws_file_exists(began))) {
        error = find_store(v, &kept);
        store = kept && (!began || ws_file_exists(kept)) ? kept : NULL;
    }
    if (error == WS_OK && store)
        error = ws_json_set_in(root, "store", cJSON_CreateString(store));
    if (error == WS_OK)
        error = ws_json_canonical(root, &text);
    cJSON_Delete(root);
    free(kept);
    if (error == WS_OK)
        error = ws_text_check(&text);
    *out = text.data;
    return error;
}

static ws_err keep(verifier *v, const cJSON *cell, const cJSON *trial, cJSON *config, const char *description,
                   cJSON *record)
{
    ws_sweep *sweep = &v->sweep;
    size_t room = sweep->capacity;
    WS_TRY(WS_GROW(sweep->trials, room, sweep->count + 1));
    WS_TRY(WS_GROW(v->records, v->capacity, sweep->count + 1));
    sweep->capacity = room;
    ws_trial *out = &sweep->trials[sweep->count];
    *out = (ws_trial){.description = strdup(description),
                      .baseline = cJSON_IsTrue(member(cell, "baseline")),
                      .facts = {.deterministic = cJSON_IsTrue(member(cell, "deterministic")),
                                .synthetic = cJSON_IsTrue(member(cell, "synthetic")),
                                .dataset = cJSON_GetStringValue(member(cell, "dataset")),
                                .label = cJSON_GetStringValue(member(cell, "label"))}};
    snprintf(out->facts.id, sizeof out->facts.id, "%s", text_of(trial, "id"));
    snprintf(out->cell, sizeof out->cell, "%s", text_of(cell, "cell"));
    snprintf(out->facts.store_hash, sizeof out->facts.store_hash, "%s", text_of(cell, "store_hash"));
    snprintf(out->facts.split_hash, sizeof out->facts.split_hash, "%s", text_of(trial, "split_hash"));
    v->records[sweep->count++] = record;
    out->facts.config = cJSON_Duplicate(config, true);
    WS_CHECK(out->description && out->facts.config, MEMORY, "no memory for a trial");
    return make_config(v, out->facts.id, config, &out->config);
}

static char *describe(const cJSON *cell, const cJSON *trial, const cJSON *config)
{
    const char *kind = cJSON_GetStringValue(ws_json_find(config, "model.kind"));
    const cJSON *seed = member(trial, "train_seed");
    char number[32] = "";
    if (cJSON_IsNumber(seed))
        snprintf(number, sizeof number, ", seed %.0f", seed->valuedouble);
    return ws_format("%s on %s, %s%s", kind ? kind : "a model", text_of(cell, "dataset"), text_of(config, "protocol"),
                     number);
}

/* A trial would be run on rows that its record is not of, and end as another one. */
static ws_err check_store(const verifier *v, const cJSON *cell, const char *description)
{
    const char *given = v->options->store_hash, *wanted = text_of(cell, "store_hash");
    if (!given || strcmp(given, wanted) == 0)
        return WS_OK;
    ws_err error = WS_ERROR(ARGUMENT, "--store %s: its content is %.16s, and %s was run on %.16s", v->options->store,
                            given, description, wanted);
    WS_HINT("give the store it was run on; of a sweep over several stores, trials of one: --cell store_hash=HASH");
    return error;
}

/* Takes a trial in where it is asked for, finished, and not wrong already. */
static ws_err consider(verifier *v, const cJSON *trial)
{
    const char *id = text_of(trial, "id");
    const cJSON *cell = find_cell(v->manifest, text_of(trial, "cell"));
    WS_CHECK(cell, FORMAT, "trial %s is of a cell that the manifest does not list", id);
    ws_trial_state state;
    cJSON *record = NULL, *config = config_of(cell, trial);
    char *description = config ? describe(cell, trial, config) : NULL;
    ws_text complaint = {0};
    bool wanted = is_drawn(v->options, id);
    ws_err error = WS_OK;
    WS_CHECK_GOTO(done, description, MEMORY, "no memory for a trial");
    if (wanted && v->options->cell)
        WS_TRY_GOTO(done, matches(v->options->cell, cell, trial, config, &wanted));
    if (!wanted)
        goto done;
    WS_TRY_GOTO(done, ws_trial_look(v->options->directory, id, &state, &record, &complaint));
    if (state == WS_TRIAL_BROKEN) {
        error = report_wrong(v, id, description, complaint.length ? ws_text_string(&complaint) : "its record is gone");
    } else if (state != WS_TRIAL_DONE && state != WS_TRIAL_CHANGED) { /* of a changed one, what is changed is told */
        const bool failed = state == WS_TRIAL_FAILED;
        v->missing += !failed;
        error = report(v, id, description, failed ? "failed" : "missing",
                       failed ? text_of(member(record, "failure"), "reason") : "it is planned and has not finished");
    } else {
        WS_TRY_GOTO(done, check_store(v, cell, description));
        const char *key = find_contradiction(record, cell, trial);
        if (key) {
            ws_text_appendf(&complaint, "its record.json has another %s than the sweep was frozen with", key);
            error = report_wrong(v, id, description, ws_text_string(&complaint));
        } else {
            cJSON *kept = record;
            record = NULL;
            error = keep(v, cell, trial, config, description, kept);
        }
    }
done:
    ws_text_destroy(&complaint);
    cJSON_Delete(record);
    cJSON_Delete(config);
    free(description);
    return error;
}

/* Keeps `random` of the trials, drawn by the seed. */
static void thin_out(verifier *v)
{
    size_t wanted = (size_t)v->options->random;
    for (size_t i = 0; wanted && i < v->sweep.count && i < wanted; i++) {
        size_t left = v->sweep.count - i, pick = i + (size_t)(ws_draw_bits(v->options->seed, "verify", i) % left);
        ws_trial trial = v->sweep.trials[i];
        cJSON *record = v->records[i];
        v->sweep.trials[i] = v->sweep.trials[pick];
        v->records[i] = v->records[pick];
        v->sweep.trials[pick] = trial;
        v->records[pick] = record;
    }
    while (wanted && v->sweep.count > wanted) {
        ws_trial_destroy(&v->sweep.trials[--v->sweep.count]);
        cJSON_Delete(v->records[v->sweep.count]);
    }
}

/* ---------------------------------------------------------------- afterwards */

/* A result that comes out again, under a hash of another one: the hash was changed. Or the result was, into one of another machine, of
 * which not all bits are asked for. */
static ws_err check_hash(const cJSON *record, ws_comparison *comparison)
{
    bool changed;
    WS_TRY(ws_record_is_changed(record, &changed));
    if (!changed)
        return WS_OK;
    ws_text_appendf(&comparison->difference, "its result_hash is not that of its result%s",
                    comparison->verdict == WS_SAME_BITS ? ", which is given again" : "");
    comparison->verdict = WS_DIFFERENT;
    return WS_OK;
}

static ws_err compare_trial(verifier *v, size_t index, const char *scratch)
{
    const ws_trial *trial = &v->sweep.trials[index];
    ws_trial_state state;
    cJSON *again = NULL;
    ws_comparison comparison = {0};
    ws_text detail = {0};
    WS_TRY(ws_trial_look(scratch, trial->facts.id, &state, &again, NULL));
    ws_err error = WS_OK;
    const char *verdict = "same bits";
    if (state == WS_TRIAL_DONE) {
        error = ws_records_compare(v->records[index], again, v->options->tolerance, &comparison);
        if (error == WS_OK && comparison.verdict != WS_DIFFERENT)
            error = check_hash(v->records[index], &comparison);
        ws_text_append(&detail, ws_text_string(&comparison.difference));
        v->counts->same += comparison.verdict == WS_SAME_BITS;
        v->counts->within += comparison.verdict == WS_WITHIN_TOLERANCE;
        v->counts->different += comparison.verdict == WS_DIFFERENT;
        if (comparison.verdict == WS_DIFFERENT)
            verdict = "different";
        if (comparison.verdict == WS_WITHIN_TOLERANCE) {
            verdict = "within tolerance";
            ws_text_appendf(&detail, "another instruction set or device; numbers differ by %.2g at most",
                            comparison.largest);
        }
    } else {
        const cJSON *failure = member(again, "failure");
        verdict = "not run";
        ws_text_append(&detail, state == WS_TRIAL_FAILED ? text_of(failure, "reason") : "interrupted");
        v->counts->not_run++;
    }
    if (error == WS_OK)
        error = report(v, trial->facts.id, trial->description, verdict, ws_text_string(&detail));
    ws_text_destroy(&comparison.difference);
    ws_text_destroy(&detail);
    cJSON_Delete(again);
    return error;
}

static ws_err run_again(verifier *v, const char *scratch)
{
    ws_sweep_options how = v->options->how;
    ws_sweep_counts counts;
    how.directory = scratch;
    ws_err error = ws_sweep_run(&v->sweep, &how, &counts);
    if (error == WS_E_PARTIAL) { /* told trial by trial */
        ws_error_clear();
        error = WS_OK;
    }
    for (size_t i = 0; i < v->sweep.count && error == WS_OK; i++)
        error = compare_trial(v, i, scratch);
    if (error == WS_OK && !v->options->scratch && v->counts->different + v->counts->not_run == 0)
        error = ws_directory_remove(scratch);
    return error;
}

static ws_err read_and_run(verifier *v, const ws_json *document)
{
    const char *temporary = getenv("TMPDIR"), *parent = v->options->directory;
    if (access(parent, W_OK) != 0) /* of somebody else, or of a medium that cannot be written */
        parent = temporary && temporary[0] ? temporary : "/tmp";
    char *scratch = v->options->scratch ? strdup(v->options->scratch)
                                        : ws_format("%s/verify.%s.%ld", parent, ws_node_name(), (long)getpid());
    const cJSON *trial;
    ws_err error = WS_OK;
    v->manifest = ws_json_root(document);
    v->sweep.specification = cJSON_Duplicate(member(v->manifest, "specification"), true);
    v->sweep.name = strdup(text_of(v->manifest, "name"));
    v->report = cJSON_CreateArray();
    WS_CHECK_GOTO(done, scratch && v->sweep.specification && v->sweep.name && v->report, MEMORY,
                  "no memory to verify a sweep");
    cJSON_ArrayForEach(trial, member(v->manifest, "trials")) WS_TRY_GOTO(done, consider(v, trial));
    thin_out(v);
    v->counts->trials = v->sweep.count + v->counts->different;
    if (v->counts->trials == 0 && !v->options->scratch) { /* of a spot check, none may be drawn */
        error = v->options->cell ? WS_ERROR(ARGUMENT, "--cell %s: no finished trial is like this", v->options->cell)
                                 : WS_ERROR(ARGUMENT, "%s: no trial is finished", v->options->directory);
        WS_HINT("wiresweep status %s says how far the sweep is; keys are those of a record's result.config",
                v->options->directory);
    }
    if (v->sweep.count)
        WS_TRY_GOTO(done, run_again(v, scratch));
done:
    free(scratch);
    return error;
}

/* ---------------------------------------------------------------- for people and machines */

static ws_err describe_verdicts(const verifier *v, bool json, ws_text *out)
{
    const cJSON *item;
    if (json) {
        WS_TRY(ws_json_pretty(v->report, out));
        ws_text_append(out, "\n");
        return ws_text_check(out);
    }
    cJSON_ArrayForEach(item, v->report)
    {
        const char *detail = text_of(item, "detail");
        ws_text_appendf(out, "%s %-9s (%s)%s%s\n", text_of(item, "id"), text_of(item, "verdict"),
                        text_of(item, "trial"), detail[0] ? ": " : "", detail);
    }
    return ws_text_check(out);
}

static ws_err judge_all(const verifier *v)
{
    const ws_verify_counts *counts = v->counts;
    if (counts->different == 0 && counts->not_run == 0 && v->missing && !v->options->random && v->options->every <= 1) {
        ws_err error =
            WS_ERROR(PARTIAL, "%zu planned trials are not finished, and nothing can be said of them", v->missing);
        WS_HINT("`wiresweep sweep` with the same folder goes on with them");
        return error;
    }
    if (counts->different == 0 && counts->not_run == 0)
        return WS_OK;
    if (counts->different == 0)
        return WS_ERROR(PARTIAL, "%zu of %zu trials could not be run again", counts->not_run, counts->trials);
    return WS_ERROR(FORMAT, "%zu of %zu trials do not give their records again", counts->different, counts->trials);
}

ws_err ws_sweep_verify(const ws_verify *options, bool json, ws_verify_counts *counts, ws_text *out)
{
    *counts = (ws_verify_counts){0};
    verifier v = {.options = options, .counts = counts};
    char *path = ws_path_join(options->directory, "sweep.json");
    WS_CHECK(path, MEMORY, "no memory for a path");
    ws_json *document = NULL;
    ws_err error = WS_OK;
    if (ws_file_exists(path)) {
        error = ws_json_read_file(&document, path);
        if (error == WS_OK)
            error = ws_manifest_check(document);
    } else {
        error = WS_ERROR(IO, "%s: no such file: this is no sweep folder", path);
        WS_HINT("a sweep folder is made by: wiresweep sweep SWEEP.json -o %s", options->directory);
    }
    free(path);
    if (error == WS_OK)
        error = read_and_run(&v, document);
    if (error == WS_OK)
        error = describe_verdicts(&v, json, out);
    if (error == WS_OK)
        error = judge_all(&v);
    for (size_t i = 0; i < v.sweep.count; i++) {
        cJSON_Delete(v.records[i]);
        ws_trial_destroy(&v.sweep.trials[i]);
    }
    free(v.records);
    free(v.sweep.trials);
    free(v.sweep.name);
    cJSON_Delete(v.sweep.specification);
    cJSON_Delete(v.report);
    ws_json_destroy(&document);
    return error;
}
