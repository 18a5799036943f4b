/* Profiles: what a cluster is asked for and what a job needs there, as JSON with every key in one option table. */
#include "batch/internal.h"

#include <stdio.h>
#include <stdlib.h>

#define P ws_batch_profile
static const ws_option fields[] = {
    WS_OPTION_LIST(P, about, NULL, "lines for people"),
    WS_OPTION_ENUM(P, scheduler, "slurm", "slurm|none", "none: the script runs here, at once, in the foreground"),
    WS_OPTION_STRING(P, partition, NULL, "queue of the cluster (sinfo lists them)"),
    WS_OPTION_STRING(P, account, NULL, "whose hours are used"),
    WS_OPTION_STRING(P, qos, NULL, "quality of service, where the site asks for one"),
    WS_OPTION_STRING(P, constraint, NULL, "features that nodes must have, e.g. avx512"),
    WS_OPTION_STRING(P, time, NULL, "limit of a job, as HH:MM:SS or D-HH:MM:SS; what takes longer is queued again"),
    WS_OPTION_STRING(P, memory, NULL, "of a node, e.g. 64G"),
    WS_OPTION_INT(P, nodes, 1, 1, 100000, "machines of a job (of each task of an array)"),
    WS_OPTION_INT(P, tasks_per_node, 1, 1, 100000,
                  "ranks on each: of extract, train, and trials of several ranks; a sweep has one supervisor on each"),
    WS_OPTION_INT(P, cpus_per_task, 1, 1, 100000, "cores of each; a supervisor has all of its node together"),
    WS_OPTION_INT(P, gpus_per_node, 0, 0, 1024, "GPUs of each node"),
    WS_OPTION_STRING(P, gpu_type, NULL, "which ones, as the site names them, e.g. a100"),
    WS_OPTION_LIST(P, options, NULL, "further options of sbatch, e.g. [\"--exclusive\", \"--mail-type=END\"]"),
    WS_OPTION_LIST(P, modules, NULL, "modules to load (module avail lists them)"),
    WS_OPTION_LIST(P, setup, NULL, "lines of bash before the program starts, e.g. exports"),
    WS_OPTION_LIST(P, container, NULL,
                   "words before the program, e.g. [\"apptainer\", \"exec\", \"--nv\", \"wiresweep.sif\"]"),
    WS_OPTION_STRING(P, program, NULL, "path of wiresweep on the nodes, or in the container; the one that submits"),
    WS_OPTION_LIST(P, launcher, "srun,--mpi=pmix,--kill-on-bad-exit=1",
                   "words that start ranks within a job; [\"mpirun\"] where srun has no PMIx (srun --mpi=list)"),
    WS_OPTION_LIST(P, sweep_options, NULL, "options of every sweep, e.g. [\"--devices-per-trial\", \"1\"]"),
    WS_OPTION_INT(P, warning, 120, 1, 65535, "seconds before the limit that checkpoints are asked for"),
    WS_OPTION_INT(P, restarts, 20, 0, 100000, "times that a job is queued again before it is given up"),
    WS_OPTION_END};
#undef P
const ws_option_table ws_batch_profile_table = {"", sizeof(ws_batch_profile), fields, "profile"};

static bool is_file(const char *name)
{
    const size_t length = strlen(name);
    return strchr(name, '/') != NULL || (length > 5 && strcmp(name + length - 5, ".json") == 0);
}

static ws_err unknown_profile(const char *name)
{
    const char *names[64];
    size_t count = 0;
    ws_text list = {0};
    for (const ws_batch_text *one = ws_batch_texts; one->name != NULL; one++) {
        if (strcmp(one->name, "sweep") == 0)
            continue;
        ws_text_appendf(&list, "%s%s", list.length > 0 ? ", " : "", one->name);
        if (count < 64)
            names[count++] = one->name;
    }
    const char *closest = ws_closest_name(name, names, count);
    ws_err error =
        WS_ERROR(ARGUMENT, "--profile %s: no profile of this name is built in (%s)", name, ws_text_string(&list));
    if (closest != NULL)
        WS_HINT("did you mean --profile %s? A file of your own is named by its path: --profile ./%s.json", closest,
                name);
    else
        WS_HINT("a file of your own is named by its path: --profile ./%s.json", name);
    ws_text_destroy(&list);
    return error;
}

static ws_err open_profile(const char *name, ws_json **out)
{
    if (is_file(name))
        return ws_json_read_file(out, name);
    for (const ws_batch_text *one = ws_batch_texts; one->name != NULL; one++)
        if (strcmp(one->name, name) == 0 && strcmp(name, "sweep") != 0)
            return ws_json_read_text(out, one->text, name);
    return unknown_profile(name);
}

static cJSON *split_at_commas(const char *text)
{
    cJSON *list = cJSON_CreateArray();
    char *copy = strdup(text), *rest = copy;
    for (char *item; list != NULL && copy != NULL && (item = strsep(&rest, ",")) != NULL;)
        if (item[0] != '\0')
            cJSON_AddItemToArray(list, cJSON_CreateString(item));
    free(copy);
    return list;
}

/* KEY=VALUE as on a command line: 04:00:00 and 1234 are texts where the key wants a text; lists are separated by commas. */
static ws_err change(ws_json *document, const char *assignment)
{
    const char *equals = strchr(assignment, '=');
    WS_CHECK(equals != NULL && equals != assignment, ARGUMENT, "--job %s: expected KEY=VALUE", assignment);
    char key[64];
    snprintf(key, sizeof key, "%.*s", (int)(equals - assignment), assignment);
    for (const ws_option *option = fields; option->key != NULL; option++) {
        if (strcmp(option->key, key) != 0)
            continue;
        if (option->type == WS_OPTION_TYPE_STRING)
            return ws_json_set_in(ws_json_root(document), key, cJSON_CreateString(equals + 1));
        if (option->type == WS_OPTION_TYPE_STRING_LIST && equals[1] != '[')
            return ws_json_set_in(ws_json_root(document), key, split_at_commas(equals + 1));
    }
    return ws_json_set(document, assignment);
}

/* A line break would begin a line of its own in the script. */
static bool is_one_line(const char *text)
{
    for (const char *c = text; c != NULL && *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return false;
    return true;
}

/* Seconds of M, M:S, H:M:S, D-H, D-H:M or D-H:M:S, as Slurm reads them; -1: no limit, or nothing that is known here. */
static double seconds_of(const char *time)
{
    double part[3] = {0}, days = 0;
    int count = 0, length = 0;
    const char *rest = strchr(time, '-');
    if (rest != NULL && (sscanf(time, "%lf-%n", &days, &length) != 1 || time + length != rest + 1))
        return -1;
    rest = rest != NULL ? rest + 1 : time;
    for (; count < 3; count++) {
        if (strspn(rest, "0123456789") == 0 || sscanf(rest, "%lf%n", &part[count], &length) != 1)
            return -1;
        rest += length;
        if (*rest != ':')
            break;
        rest++;
    }
    if (*rest != '\0')
        return -1;
    if (strchr(time, '-') != NULL)
        return ((days * 24 + part[0]) * 60 + part[1]) * 60 + part[2];
    return count == 2 ? (part[0] * 60 + part[1]) * 60 + part[2] : part[0] * 60 + part[1];
}

/* Warned when it has only just begun, a job would be queued again and again without any work done. A time of 0 is none to Slurm: no
 * limit. */
static ws_err check_time(const ws_batch_profile *profile)
{
    const double limit = profile->time != NULL ? seconds_of(profile->time) : -1;
    if (profile->scheduler == WS_BATCH_NONE || limit <= 0 || limit > (double)profile->warning)
        return WS_OK;
    ws_err error = WS_ERROR(CONFIG, "profile %s: \"time\" %s is not longer than \"warning\", %lld s before its end",
                            profile->name, profile->time, (long long)profile->warning);
    WS_HINT("--job time=HH:MM:SS for more time, or --job warning=SECONDS for less warning");
    return error;
}

static ws_err check_texts(const ws_batch_profile *profile)
{
    for (const ws_option *option = fields; option->key != NULL; option++) {
        const void *value = (const char *)profile + option->offset;
        bool sound = true;
        if (option->type == WS_OPTION_TYPE_STRING)
            sound = is_one_line(*(const char *const *)value);
        const ws_string_list *list = option->type == WS_OPTION_TYPE_STRING_LIST ? value : NULL;
        for (size_t i = 0; list != NULL && i < list->count; i++)
            sound = sound && is_one_line(list->items[i]);
        WS_CHECK(sound, CONFIG, "profile %s: \"%s\" has a line break or another control character in it", profile->name,
                 option->key);
    }
    for (size_t i = 0; i < profile->options.count; i++)
        WS_CHECK(profile->options.items[i][0] == '-', CONFIG,
                 "profile %s: \"options\": %s is no option of sbatch: they begin with --", profile->name,
                 profile->options.items[i]);
    WS_CHECK(profile->launcher.count > 0, CONFIG, "profile %s: \"launcher\" is empty: nothing would start the ranks",
             profile->name);
    return WS_OK;
}

ws_err ws_batch_profile_read(const char *name, const ws_string_list *changes, ws_arena *arena, ws_batch_profile *out)
{
    ws_json *document = NULL;
    ws_problems problems = {0};
    ws_err error = WS_OK;
    WS_TRY(open_profile(name, &document));
    for (size_t i = 0; i < changes->count; i++)
        WS_TRY_GOTO(done, change(document, changes->items[i]));
    WS_TRY_GOTO(done, ws_options_read(&ws_batch_profile_table, document, ws_json_root(document), "", NULL, arena, out,
                                      &problems));
    WS_TRY_GOTO(done, ws_problems_error(&problems));
    out->name = ws_arena_strdup(arena, name);
    WS_CHECK_GOTO(done, out->name != NULL, MEMORY, "no memory for the profile %s", name);
    WS_TRY_GOTO(done, check_texts(out));
    error = check_time(out);
done:
    ws_json_destroy(&document);
    return error;
}

ws_err ws_batch_profile_help(ws_text *out)
{
    ws_text_append(out, "\nprofiles that are built in (files of slurm/profiles in the source):\n");
    for (const ws_batch_text *one = ws_batch_texts; one->name != NULL; one++) {
        cJSON *root = strcmp(one->name, "sweep") != 0 ? cJSON_Parse(one->text) : NULL;
        const char *about =
            cJSON_GetStringValue(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(root, "about"), 0));
        if (root != NULL)
            ws_text_appendf(out, "  %-10s %s\n", one->name, about != NULL ? about : "");
        cJSON_Delete(root);
    }
    ws_text_append(out, "\nkeys of a profile (JSON, or --job KEY=VALUE):\n");
    return ws_options_help(&ws_batch_profile_table, true, out);
}
