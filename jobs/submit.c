/* wiresweep submit: other subcommands as jobs of a cluster, one after the other. What they need is in src/batch. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch/batch.h"
#include "jobs/job.h"
#include "storage/storage.h"

typedef struct options {
    ws_job_common common;
    const char *profile, *array;
    ws_string_list job;
    bool dry_run;
} options;

static const ws_option fields[] = {
    WS_JOB_COMMON_OPTIONS(options),
    WS_OPTION_STRING(options, profile, NULL,
                     "what the cluster is asked for: a name below or a JSON file; else WIRESWEEP_PROFILE, else cpu"),
    WS_OPTION_REPEATED(options, job, "KEY=VALUE: a key of the profile, changed; may be repeated"),
    WS_OPTION_STRING(options, array, NULL,
                     "sweep: instead of one job, an array of so many that share the work; N%M: at most M at once"),
    WS_OPTION_BOOL(options, dry_run, false, "print the scripts, write and submit nothing"),
    WS_OPTION_END};
static const ws_option_table table = {"", sizeof(options), fields, "submit"};

/* One command of the chain, from its words to its job. */
typedef struct planned {
    const ws_job *command;
    const void *values; /* of the command's own options */
    ws_string_list words, positional;
    options own; /* of submit, for this command */
    ws_batch_profile profile;
    ws_batch_job job;
    int64_t tasks, at_once; /* of an array; 0: none, no limit */
    char *path;             /* of the script; owned */
    ws_text ids;            /* "12", or "12:13" of an array in pieces */
} planned;

typedef struct chain {
    planned *items; /* [count], in the arena */
    size_t count;
    const char *folder;
    bool here; /* no scheduler */
} chain;

/* ---------------------------------------------------------------- words */

/* The option of submit that a word names; NULL: none. *alone: its value, if it takes one, is in the word. */
static const ws_option *own_option(const char *word, bool *alone)
{
    const size_t length = strcspn(word, "=");
    for (const ws_option *option = fields; option->key != NULL; option++) {
        char name[32];
        snprintf(name, sizeof name, "--%s", option->key);
        for (char *c = name; *c != '\0'; c++)
            *c = *c == '_' ? '-' : *c;
        *alone = option->type == WS_OPTION_TYPE_BOOL || word[length] == '=';
        if (strlen(name) == length && strncmp(name, word, length) == 0)
            return option;
    }
    return NULL;
}

/* What comes first is submit's, up to the first word that is no option. */
static ws_err arrange(int *argc, char ***argv, ws_arena *arena)
{
    static char end[] = "--";
    char **out;
    int own = 0, count = 0;
    bool alone;
    WS_TRY(ws_arena_alloc(arena, &out, (size_t)*argc + 2, sizeof *out));
    while (own < *argc && (*argv)[own][0] == '-' && strcmp((*argv)[own], "--") != 0)
        own += own_option((*argv)[own], &alone) != NULL && !alone ? 2 : 1;
    for (int i = 0; i < *argc; i++) {
        if (i == own)
            out[count++] = end;
        out[count++] = (*argv)[i];
    }
    *argc = count;
    *argv = out;
    return WS_OK;
}

/* Sets the options of submit apart wherever they stand, but for those that every subcommand has. */
static ws_err set_apart(const char *const *words, size_t count, ws_arena *arena, char ***own, int *own_count,
                        ws_string_list *rest)
{
    const char **others;
    size_t kept = 0;
    bool alone, ended = false;
    WS_TRY(ws_arena_alloc(arena, own, count + 1, sizeof **own));
    WS_TRY(ws_arena_alloc(arena, &others, count + 1, sizeof *others));
    for (size_t i = 0; i < count; i++) {
        const ws_option *option = ended ? NULL : own_option(words[i], &alone);
        ended = ended || strcmp(words[i], "--") == 0;
        if (option == NULL || option->offset < sizeof(ws_job_common)) {
            others[kept++] = words[i];
            continue;
        }
        for (size_t last = i + (alone ? 0 : 1); i <= last && i < count; i++)
            (*own)[(*own_count)++] = (char *)words[i];
        i--;
    }
    *rest = (ws_string_list){others, kept};
    return WS_OK;
}

static ws_err join_lists(const ws_string_list *a, const ws_string_list *b, ws_arena *arena, ws_string_list *out)
{
    const char **items;
    WS_TRY(ws_arena_alloc(arena, &items, a->count + b->count + 1, sizeof *items));
    for (size_t i = 0; i < a->count + b->count; i++)
        items[i] = i < a->count ? a->items[i] : b->items[i - a->count];
    *out = (ws_string_list){items, a->count + b->count};
    return WS_OK;
}

/* ---------------------------------------------------------------- one command */

/* What may be a job; what begins a chain, and what only makes sense behind something else. */
static ws_err find_command(const char *name, const ws_job **out)
{
    static const char *const names[] = {"extract", "train", "sweep", "table", "evaluate", "verify", "split", "export"};
    enum { COUNT = sizeof names / sizeof names[0] };
    for (size_t i = 0; i < COUNT; i++)
        for (const ws_job *const *job = ws_jobs; *job != NULL; job++)
            if (strcmp(names[i], name) == 0 && strcmp((*job)->name, name) == 0) {
                *out = *job;
                return WS_OK;
            }
    ws_err error = WS_ERROR(ARGUMENT, "%s is nothing that can be submitted", name);
    const char *closest = ws_closest_name(name, names, COUNT);
    if (closest != NULL)
        WS_HINT(
            "did you mean wiresweep submit %s? extract, train, sweep, table, evaluate, verify, split and export can",
            closest);
    else
        WS_HINT("extract, train, sweep, table, evaluate, verify, split and export can");
    return error;
}

/* The field of the command's options that has this key; NULL: it has none. */
static const void *value_of(const planned *item, const char *key)
{
    for (const ws_option *option = item->command->options->fields; option->key != NULL; option++)
        if (strcmp(option->key, key) == 0)
            return (const char *)item->values + option->offset;
    return NULL;
}

/* A job has no terminal: what it says goes to its log. */
static ws_err check_output(const planned *item, const char *output)
{
    if (output == NULL || strcmp(output, "-") != 0)
        return WS_OK;
    ws_err error =
        WS_ERROR(ARGUMENT, "wiresweep %s -o -: a job has no standard output but its log", item->command->name);
    WS_HINT("name a file or folder that it fills; one called - is ./-");
    return error;
}

/* The command's own words are read as it will read them, so that a slip shows now and not when the job's turn has come. */
static ws_err check_words(planned *item, ws_arena *arena)
{
    void *values;
    WS_TRY(ws_arena_alloc(arena, &values, 1, item->command->options->size));
    WS_TRY(ws_options_command_line(item->command->options, (int)item->words.count - 1, (char **)item->words.items + 1,
                                   arena, values, &item->positional));
    item->values = values;
    WS_CHECK(!((const ws_job_common *)values)->help, ARGUMENT, "its options are shown by: wiresweep %s --help",
             item->command->name);
    WS_CHECK(item->positional.count > 0, ARGUMENT, "wiresweep %s: %s", item->command->name, item->command->usage);
    const char *const *output = value_of(item, "output");
    const bool fills = strcmp(item->command->name, "sweep") == 0 || strcmp(item->command->name, "train") == 0;
    WS_CHECK(!fills || (*output != NULL && (*output)[0] != '\0'), ARGUMENT, "wiresweep %s needs a folder: -o FOLDER",
             item->command->name);
    if (output != NULL)
        WS_TRY(check_output(item, *output));
    ws_json *document = NULL;
    ws_err error = fills ? ws_json_read_file(&document, item->positional.items[0]) : WS_OK;
    if (error != WS_OK && !ws_file_exists(item->positional.items[0]))
        WS_HINT("what it holds: wiresweep %s --help", item->command->name);
    ws_json_destroy(&document);
    return error;
}

static ws_err read_array(planned *item)
{
    const char *text = item->own.array;
    if (text == NULL || strcmp(item->command->name, "sweep") != 0)
        return WS_OK;
    char tasks[24];
    snprintf(tasks, sizeof tasks, "%.*s", (int)strcspn(text, "%"), text);
    const char *limit = strchr(text, '%');
    const bool sound = ws_parse_int64(tasks, &item->tasks) && item->tasks >= 1 && item->tasks <= 1000000 &&
                       (limit == NULL || (ws_parse_int64(limit + 1, &item->at_once) && item->at_once >= 1));
    WS_CHECK(sound, ARGUMENT, "--array %s: expected a number of jobs, or N%%M for at most M at once", text);
    WS_CHECK(item->job.shape == WS_BATCH_SUPERVISORS, ARGUMENT,
             "--array: trials of several ranks are steps of one job; give it more nodes instead: --job nodes=N");
    item->job.array = true;
    return WS_OK;
}

static void choose_shape(planned *item)
{
    const int64_t *ranks = value_of(item, "ranks_per_trial");
    item->job.shape = item->command->collective ? WS_BATCH_RANKS : WS_BATCH_ONE;
    if (ranks != NULL)
        item->job.shape = *ranks > 1 ? WS_BATCH_STEPS : WS_BATCH_SUPERVISORS;
    item->job.ranks_per_trial = ranks != NULL ? *ranks : 1;
    item->job.resume = value_of(item, "resume") != NULL;
    item->job.partial_counts = strcmp(item->command->name, "extract") == 0;
    item->job.gpus = strcmp(item->command->name, "verify") == 0;
}

static ws_err plan_command(const options *given, const char *const *words, size_t count, ws_arena *arena, planned *out)
{
    char **own;
    int own_count = 0;
    ws_string_list none, changes;
    *out = (planned){.values = NULL};
    WS_TRY(set_apart(words, count, arena, &own, &own_count, &out->words));
    WS_TRY(ws_options_command_line(&table, own_count, own, arena, &out->own, &none));
    if (out->words.count == 0) {
        ws_err error = WS_ERROR(ARGUMENT, "what is to be submitted?");
        WS_HINT(
            "wiresweep submit sweep SWEEP.json -o SWEEP_DIR; several, one after the other, with --then between them");
        return error;
    }
    WS_TRY(find_command(out->words.items[0], &out->command));
    WS_TRY(check_words(out, arena));
    const char *profile = getenv("WIRESWEEP_PROFILE");
    profile = profile != NULL && profile[0] != '\0' ? profile : "cpu";
    profile = given->profile != NULL ? given->profile : profile;
    if (out->own.array == NULL)
        out->own.array = given->array;
    WS_TRY(join_lists(&given->job, &out->own.job, arena, &changes));
    WS_TRY(
        ws_batch_profile_read(out->own.profile != NULL ? out->own.profile : profile, &changes, arena, &out->profile));
    ws_text title = {0};
    ws_text_append(&title, "wiresweep");
    for (size_t i = 0; i < out->words.count; i++) {
        ws_text_append(&title, " ");
        ws_batch_quote(&title, out->words.items[i]);
    }
    out->job.title = ws_arena_strdup(arena, ws_text_string(&title));
    ws_text_destroy(&title);
    WS_CHECK(out->job.title != NULL, MEMORY, "no memory for a job");
    out->job.arguments = out->words;
    choose_shape(out);
    return read_array(out);
}

/* ---------------------------------------------------------------- the chain */

/* Where the jobs' files are: in the first sweep's folder, so that its status shows all of the chain; else beside the first output. */
static ws_err choose_folder(chain *c, ws_arena *arena)
{
    const planned *of = NULL;
    bool inside = false;
    for (size_t i = 0; i < c->count && !inside; i++) {
        const char *name = c->items[i].command->name;
        inside = strcmp(name, "sweep") == 0 || strcmp(name, "table") == 0 || strcmp(name, "verify") == 0;
        of = i == 0 || inside ? &c->items[i] : of;
    }
    const char *const *output = value_of(of, "output");
    const bool of_sweep = strcmp(of->command->name, "sweep") == 0, named = output != NULL && *output != NULL;
    const char *base = named && (of_sweep || !inside) ? *output : of->positional.items[0];
    size_t length = strlen(base);
    while (length > 1 && base[length - 1] == '/')
        length--;
    char *here = realpath(".", NULL), *relative = ws_format("%.*s%s", (int)length, base, inside ? "/jobs" : ".jobs"),
         *whole = here != NULL && relative != NULL ? ws_path_join(here, relative) : NULL;
    c->folder = whole != NULL ? ws_arena_strdup(arena, whole) : NULL;
    free(here);
    free(relative);
    free(whole);
    WS_CHECK(c->folder != NULL, MEMORY, "no memory for a path");
    return WS_OK;
}

/* An array that nothing of the chain is would be left out without a word. */
static ws_err check_array(const chain *c)
{
    const char *array = NULL;
    for (size_t i = 0; i < c->count; i++) {
        if (c->items[i].tasks > 0)
            return WS_OK;
        array = array != NULL ? array : c->items[i].own.array;
    }
    WS_CHECK(array == NULL, ARGUMENT, "--array %s: only a sweep can be an array, and none is submitted", array);
    return WS_OK;
}

static ws_err plan_chain(const options *given, const ws_string_list *words, ws_arena *arena, chain *c)
{
    size_t begin = 0;
    WS_TRY(ws_arena_alloc(arena, &c->items, words->count + 1, sizeof *c->items));
    for (size_t i = 0; i <= words->count; i++) {
        if (i < words->count && strcmp(words->items[i], "--then") != 0)
            continue;
        WS_TRY(plan_command(given, words->items + begin, i - begin, arena, &c->items[c->count++]));
        begin = i + 1;
    }
    WS_TRY(check_array(c));
    WS_TRY(choose_folder(c, arena));
    char *program = realpath(ws_executable, NULL);
    WS_CHECK(program != NULL, IO, "%s: the running program cannot be found again", ws_executable);
    const char *kept = ws_arena_strdup(arena, program);
    free(program);
    WS_CHECK(kept != NULL, MEMORY, "no memory for a path");
    c->here = c->items[0].profile.scheduler == WS_BATCH_NONE;
    for (size_t i = 0; i < c->count; i++) {
        c->items[i].job.program = kept;
        c->items[i].job.folder = c->folder;
        WS_CHECK((c->items[i].profile.scheduler == WS_BATCH_NONE) == c->here, ARGUMENT,
                 "the profiles %s and %s: a chain is either run here or submitted", c->items[0].profile.name,
                 c->items[i].profile.name);
    }
    return WS_OK;
}

/* The script under the first name that is free: SUBCOMMAND-K.sbatch. Written unless it is a dry run. */
static ws_err make_script(chain *c, size_t index, bool dry_run, ws_arena *arena, ws_text *script)
{
    planned *item = &c->items[index];
    int number = 1;
    for (size_t i = 0; i < index; i++)
        number += c->items[i].command == item->command;
    for (bool existed = true; existed; number++) {
        free(item->path);
        char *name = ws_format("%s-%d", item->command->name, number);
        item->path = ws_format("%s/%s-%d.sbatch", c->folder, item->command->name, number);
        item->job.name = name != NULL ? ws_arena_strdup(arena, name) : NULL;
        free(name);
        WS_CHECK(item->path != NULL && item->job.name != NULL, MEMORY, "no memory for a path");
        existed = ws_file_exists(item->path);
        if (existed)
            continue;
        ws_text_clear(script);
        WS_TRY(ws_batch_script(&item->profile, &item->job, script));
        if (!dry_run)
            WS_TRY(ws_file_write_new(item->path, script->data, script->length, &existed));
    }
    return WS_OK;
}

/* ---------------------------------------------------------------- submitting */

/* What follows a sweep does so however it has ended: with failed trials, or with tasks of its array lost, it has its table all the
 * same, which says what is missing. What follows anything else needs it to have gone well. */
static bool may_end_badly(const planned *item)
{
    return strcmp(item->command->name, "sweep") == 0;
}

/* What the job waits for: all before it. One that is queued again has not ended. */
static void dependency_of(const chain *c, size_t index, ws_text *out)
{
    for (size_t i = 0; i < index; i++)
        ws_text_appendf(out, "%s%s:%s",
                        i > 0 ? "," : "--dependency=", may_end_badly(&c->items[i]) ? "afterany" : "afterok",
                        c->items[i].ids.length > 0 ? ws_text_string(&c->items[i].ids) : "JOB");
}

static void show_words(const char *const words[])
{
    ws_text line = {0};
    for (size_t i = 0; words[i] != NULL; i++) {
        ws_text_append(&line, i > 0 ? " " : "");
        ws_batch_quote(&line, words[i]);
    }
    ws_info("would run: %s", ws_text_string(&line));
    ws_text_destroy(&line);
}

/* One job; array: "--array=0-9%2", or NULL. */
static ws_err submit_one(chain *c, size_t index, const char *array, bool dry_run)
{
    planned *item = &c->items[index];
    ws_text dependency = {0}, id = {0};
    dependency_of(c, index, &dependency);
    const char *words[8] = {"sbatch", "--parsable"};
    size_t n = 2;
    if (dependency.length > 0) {
        words[n++] = "--kill-on-invalid-dep=yes"; /* nobody waits for a store that will never be there */
        words[n++] = ws_text_string(&dependency);
    }
    if (array != NULL)
        words[n++] = array;
    words[n] = item->path;
    ws_err error = ws_text_check(&dependency);
    if (error == WS_OK && dry_run) {
        show_words(words);
    } else if (error == WS_OK) {
        error = ws_batch_submit(words, ws_text_string(&item->ids), &id);
        const ws_batch_entry entry = {ws_text_string(&id), item->job.name, item->job.title,
                                      array != NULL ? strchr(array, '=') + 1 : NULL, item->profile.name};
        if (error == WS_OK)
            ws_text_appendf(&item->ids, "%s%s", item->ids.length > 0 ? ":" : "", ws_text_string(&id));
        if (error == WS_OK)
            error = ws_batch_record(c->folder, &entry);
    }
    ws_text_destroy(&dependency);
    ws_text_destroy(&id);
    return error;
}

/* An array in as many pieces as the site's limit makes of it. */
static ws_err submit_command(chain *c, size_t index, bool dry_run)
{
    planned *item = &c->items[index];
    if (item->tasks == 0)
        return submit_one(c, index, NULL, dry_run);
    const int64_t limit = ws_batch_array_limit(), pieces = (item->tasks + limit - 1) / limit;
    for (int64_t done = 0; done < item->tasks; done += limit) {
        const int64_t count = item->tasks - done < limit ? item->tasks - done : limit;
        char array[80], at_once[32] = "";
        if (item->at_once > 0)
            snprintf(at_once, sizeof at_once, "%%%lld",
                     (long long)(item->at_once > pieces ? item->at_once / pieces : 1));
        snprintf(array, sizeof array, "--array=0-%lld%s", (long long)count - 1, at_once);
        WS_TRY(submit_one(c, index, array, dry_run));
    }
    return WS_OK;
}

/* Half a chain would be submitted a second time with the whole one: what is queued is taken back. Keeps the error. */
static ws_err take_back(chain *c, ws_err error)
{
    char *message = strdup(ws_error_message()), *hint = strdup(ws_error_hint());
    for (size_t i = 0; i < c->count; i++) {
        char *ids = c->items[i].ids.data, *rest = ids;
        for (char *id; rest != NULL && (id = strsep(&rest, ":")) != NULL;)
            if (id[0] != '\0' && ws_batch_cancel(id) == WS_OK)
                ws_warn("job %s (%s), submitted before, was taken back", id, c->items[i].job.name);
            else if (id[0] != '\0')
                ws_warn("job %s (%s), submitted before, could not be taken back: %s", id, c->items[i].job.name,
                        ws_error_message());
    }
    if (message != NULL && hint != NULL)
        error = ws_error_set(error, message, hint, "");
    free(message);
    free(hint);
    return error;
}

static void print_jobs(const chain *c, bool json)
{
    cJSON *list = json ? cJSON_CreateArray() : NULL;
    for (size_t i = 0; i < c->count; i++) {
        const planned *item = &c->items[i];
        if (!json) {
            printf("%s %s %s\n", ws_text_string(&item->ids), item->job.name, item->path);
            continue;
        }
        cJSON *job = cJSON_CreateObject();
        cJSON_AddStringToObject(job, "job", ws_text_string(&item->ids));
        cJSON_AddStringToObject(job, "name", item->job.name);
        cJSON_AddStringToObject(job, "script", item->path);
        cJSON_AddStringToObject(job, "command", item->job.title);
        cJSON_AddItemToArray(list, job);
    }
    ws_text text = {0};
    if (json && ws_json_pretty(list, &text) == WS_OK)
        printf("%s\n", ws_text_string(&text));
    ws_text_destroy(&text);
    cJSON_Delete(list);
}

static ws_err submit_chain(chain *c, const options *given, ws_arena *arena)
{
    ws_text script = {0};
    ws_err error = ws_directory_create(c->folder);
    for (size_t i = 0; i < c->count && error == WS_OK; i++) {
        error = make_script(c, i, false, arena, &script);
        if (error == WS_OK)
            error = submit_command(c, i, false);
    }
    ws_text_destroy(&script);
    if (error != WS_OK)
        return take_back(c, error);
    print_jobs(c, given->common.json);
    const char *base = strrchr(c->folder, '/');
    if (strcmp(base, "/jobs") == 0)
        ws_info("wiresweep status %.*s shows how far they are", (int)(base - c->folder), c->folder);
    return WS_OK;
}

/* ---------------------------------------------------------------- here */

static ws_err of_status(const planned *item, int status)
{
    switch (status) {
    case 0:
        return WS_OK;
    case 2:
        return WS_ERROR(CONFIG, "%s ended with status 2: its lines above say why", item->job.title);
    case 3:
        return WS_ERROR(PARTIAL, "%s: some parts failed: its lines above say which", item->job.title);
    case 75:
        return WS_ERROR(INTERRUPTED, "%s was asked to stop; the same command goes on from here", item->job.title);
    default:
        return WS_ERROR(IO, "%s ended with status %d: its lines above say why", item->job.title, status);
    }
}

/* The same scripts one after the other, with the same rules about what may follow. Who stops submit stops all of them. */
static ws_err run_here(chain *c, ws_arena *arena)
{
    ws_text script = {0};
    ws_err error = ws_directory_create(c->folder);
    const planned *bad = NULL; /* the first that others follow all the same */
    int bad_status = 0;
    for (size_t i = 0; i < c->count && error == WS_OK; i++) {
        int status = 0;
        if (c->items[i].tasks > 0)
            ws_info("--array: without Slurm, one process does the work");
        error = make_script(c, i, false, arena, &script);
        if (error == WS_OK)
            error = ws_batch_run_here(c->items[i].path, &status);
        const bool goes_on = may_end_badly(&c->items[i]) && i + 1 < c->count && !ws_stop_requested();
        if (error == WS_OK && status != 0 && goes_on && bad == NULL) {
            bad = &c->items[i];
            bad_status = status;
        } else if (error == WS_OK && status != 0 && !goes_on) {
            error = bad != NULL ? of_status(bad, bad_status) : of_status(&c->items[i], status);
        }
    }
    ws_text_destroy(&script);
    return error == WS_OK && bad != NULL ? of_status(bad, bad_status) : error;
}

static ws_err show_chain(chain *c, ws_arena *arena)
{
    ws_text script = {0};
    ws_err error = WS_OK;
    for (size_t i = 0; i < c->count && error == WS_OK; i++) {
        error = make_script(c, i, true, arena, &script);
        if (error == WS_OK)
            fputs(ws_text_string(&script), stdout);
        if (error == WS_OK && !c->here)
            error = submit_command(c, i, true);
    }
    ws_text_destroy(&script);
    return error;
}

static ws_err run(const ws_comm *world, const void *values, const ws_string_list *positional, ws_arena *arena)
{
    (void)world;
    const options *given = values;
    chain c = {.count = 0};
    ws_err error = plan_chain(given, positional, arena, &c);
    bool dry_run = given->dry_run;
    for (size_t i = 0; i < c.count; i++)
        dry_run = dry_run || c.items[i].own.dry_run;
    if (error == WS_OK && dry_run)
        error = show_chain(&c, arena);
    else if (error == WS_OK)
        error = c.here ? run_here(&c, arena) : submit_chain(&c, given, arena);
    for (size_t i = 0; i < c.count; i++) {
        free(c.items[i].path);
        ws_text_destroy(&c.items[i].ids);
    }
    return error;
}

const ws_job ws_job_submit = {
    .name = "submit",
    .usage = "submit [OPTIONS] SUBCOMMAND ... [--then SUBCOMMAND ...]",
    .help = "extract, train, sweep, table as jobs of a cluster (Slurm): writes the scripts and submits them",
    .example = "  wiresweep submit --dry-run sweep configs/sweeps/smoke.json -o build/smoke\n"
               "  wiresweep submit --profile ./mine.json --job nodes=4 sweep SWEEP.json -o SWEEP_DIR\n"
               "  wiresweep submit extract -o s.h5 captures/ --then sweep SWEEP.json -o DIR --then table DIR -o t.md\n"
               "  wiresweep submit --profile local sweep SWEEP.json -o SWEEP_DIR       (without Slurm, here)",
    .options = &table,
    .arrange = arrange,
    .more_help = ws_batch_profile_help,
    .run = run,
};
