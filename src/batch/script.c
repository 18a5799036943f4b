/* The script of a job: what to ask the cluster for as directives, what runs as bash arrays, then the part of slurm/sweep.sbatch that
 * is the same in every job. What is written can be read, changed, and submitted again by hand. */
#include "batch/internal.h"

#include <stdlib.h>
#include <unistd.h>

/* What of the template comes before this line is for those who use it as it is. */
static const char common_part[] = "# ---- the same in every job";

void ws_batch_quote(ws_text *out, const char *word)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=:,./@%^";
    if (word[0] != '\0' && strspn(word, plain) == strlen(word)) {
        ws_text_append(out, word);
        return;
    }
    ws_text_append(out, "'");
    for (const char *c = word; *c != '\0'; c++)
        if (*c == '\'')
            ws_text_append(out, "'\\''");
        else
            ws_text_append_bytes(out, c, 1);
    ws_text_append(out, "'");
}

static void directive(ws_text *out, const char *option, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    ws_text_appendf(out, "#SBATCH --%s=", option);
    ws_batch_quote(out, value);
    ws_text_append(out, "\n");
}

static void directive_number(ws_text *out, const char *option, int64_t value)
{
    ws_text_appendf(out, "#SBATCH --%s=%lld\n", option, (long long)value);
}

/* Where the job's words go; a % in the folder's name is no pattern of Slurm's. */
static void directive_output(ws_text *out, const ws_batch_job *job)
{
    ws_text path = {0};
    for (const char *c = job->folder; *c != '\0'; c++) {
        ws_text_append(&path, *c == '%' ? "%" : "");
        ws_text_append_bytes(&path, c, 1);
    }
    ws_text_appendf(&path, "/%s.%s.log", job->name, job->array ? "%A_%a" : "%j");
    directive(out, "output", ws_text_string(&path));
    out->out_of_memory = out->out_of_memory || path.out_of_memory;
    ws_text_destroy(&path);
}

static void directives_of_shape(ws_text *out, const ws_batch_profile *profile, const ws_batch_job *job)
{
    const bool alone = job->shape == WS_BATCH_ONE, supervised = job->shape == WS_BATCH_SUPERVISORS;
    const int64_t node_cpus = profile->tasks_per_node * profile->cpus_per_task;
    directive_number(out, "nodes", alone ? 1 : profile->nodes);
    directive_number(out, "ntasks-per-node", alone || supervised ? 1 : profile->tasks_per_node);
    directive_number(out, "cpus-per-task", supervised ? node_cpus : profile->cpus_per_task);
    if (profile->gpus_per_node > 0 && (!alone || job->gpus))
        ws_text_appendf(out, "#SBATCH --gpus-per-node=%s%s%lld\n", profile->gpu_type != NULL ? profile->gpu_type : "",
                        profile->gpu_type != NULL && profile->gpu_type[0] != '\0' ? ":" : "",
                        (long long)(alone ? 1 : profile->gpus_per_node));
    if (supervised && profile->nodes > 1)
        ws_text_append(out, "# the supervisors on the other nodes go on where one is lost\n#SBATCH --no-kill\n");
}

static void directives(ws_text *out, const ws_batch_profile *profile, const ws_batch_job *job)
{
    directive(out, "job-name", job->name);
    directive_output(out, job);
    ws_text_append(out, "#SBATCH --open-mode=append\n");
    directive(out, "partition", profile->partition);
    directive(out, "account", profile->account);
    directive(out, "qos", profile->qos);
    directive(out, "constraint", profile->constraint);
    directive(out, "time", profile->time);
    directive(out, "mem", profile->memory);
    directives_of_shape(out, profile, job);
    ws_text_appendf(out,
                    "# so many seconds before the time is up, Slurm tells this script, which asks for checkpoints\n"
                    "#SBATCH --signal=B:USR1@%lld\n",
                    (long long)profile->warning);
    ws_text_append(out, profile->restarts > 0 ? "#SBATCH --requeue\n" : "#SBATCH --no-requeue\n");
    for (size_t i = 0; i < profile->options.count; i++) {
        ws_text_append(out, "#SBATCH ");
        ws_batch_quote(out, profile->options.items[i]);
        ws_text_append(out, "\n");
    }
}

/* ---------------------------------------------------------------- what runs */

static void array(ws_text *out, const char *name, const char *const *words, size_t count)
{
    ws_text_appendf(out, "%s=(", name);
    for (size_t i = 0; i < count; i++) {
        ws_text_append(out, i > 0 ? " " : "");
        ws_batch_quote(out, words[i]);
    }
    ws_text_append(out, ")\n");
}

static void append_words(ws_text *out, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ws_text_append(out, " ");
        ws_batch_quote(out, words[i]);
    }
}

/* Defaults go before what was asked for, which then wins. */
static void arguments(ws_text *out, const ws_batch_profile *profile, const ws_batch_job *job)
{
    const int64_t tasks = profile->nodes * profile->tasks_per_node;
    ws_text_append(out, "arguments=(");
    ws_batch_quote(out, job->arguments.items[0]);
    if (job->shape == WS_BATCH_SUPERVISORS)
        ws_text_append(out, " --workers 0"); /* as many as the cores have room for */
    if (job->shape == WS_BATCH_STEPS)
        ws_text_appendf(out, " --workers %lld --cores-per-trial %lld", (long long)(tasks / job->ranks_per_trial),
                        (long long)(job->ranks_per_trial * profile->cpus_per_task));
    if (job->shape == WS_BATCH_SUPERVISORS || job->shape == WS_BATCH_STEPS)
        append_words(out, profile->sweep_options.items, profile->sweep_options.count);
    if (job->shape == WS_BATCH_STEPS && profile->gpus_per_node > 0)
        ws_text_appendf(out, " --devices-per-trial %lld", (long long)job->ranks_per_trial);
    if (job->resume)
        ws_text_append(out, " --resume"); /* where there is nothing to go on from, it begins */
    append_words(out, job->arguments.items + 1, job->arguments.count - 1);
    ws_text_append(out, ")\n");
}

static void launchers(ws_text *out, const ws_batch_profile *profile, const ws_batch_job *job)
{
    static const char *const supervisors[] = {"srun", "--mpi=none", "--kill-on-bad-exit=0", "--no-kill"};
    const int64_t tasks = profile->nodes * profile->tasks_per_node;
    if (job->shape == WS_BATCH_SUPERVISORS) {
        ws_text_append(out, "# no MPI between supervisors: one that dies, or a node that is lost, leaves the others at "
                            "work\n");
        array(out, "launcher", supervisors, sizeof supervisors / sizeof supervisors[0]);
    } else if (job->shape == WS_BATCH_RANKS) {
        array(out, "launcher", profile->launcher.items, profile->launcher.count);
    } else {
        ws_text_append(out, job->shape == WS_BATCH_STEPS
                                ? "# the supervisor takes no step: all of the job is for those of its trials\n"
                                : "");
        array(out, "launcher", NULL, 0);
    }
    if (job->shape == WS_BATCH_RANKS && tasks > 1)
        ws_text_appendf(out, "without_slurm=(mpirun -n %lld)\n", (long long)tasks);
    else
        array(out, "without_slurm", NULL, 0);
}

static ws_err settings(ws_text *out, const ws_batch_profile *profile, const ws_batch_job *job)
{
    char *here = getcwd(NULL, 0);
    WS_CHECK(here != NULL, IO, "the current folder has no name any more");
    ws_text_append(out, "cd ");
    ws_batch_quote(out, here);
    ws_text_append(out, " || exit 1\n");
    free(here);
    if (profile->modules.count > 0) {
        ws_text_append(out, "type module >/dev/null 2>&1 || . /etc/profile\nmodule load");
        append_words(out, profile->modules.items, profile->modules.count);
        ws_text_append(out, " || exit 1\n");
    }
    for (size_t i = 0; i < profile->setup.count; i++)
        ws_text_appendf(out, "%s\n", profile->setup.items[i]);
    launchers(out, profile, job);
    array(out, "container", profile->container.items, profile->container.count);
    ws_text_append(out, "program=");
    ws_batch_quote(out, profile->program != NULL ? profile->program : job->program);
    ws_text_append(out, "\n");
    arguments(out, profile, job);
    ws_text_appendf(out, "restarts=%lld\n", (long long)profile->restarts);
    ws_text_append(out, "folder=");
    ws_batch_quote(out, job->folder);
    ws_text_appendf(out,
                    "\npartial_counts=%s # whether status 3, of what is finished but for some parts, ends the job "
                    "as 0\n",
                    job->partial_counts ? "yes" : "no");
    return WS_OK;
}

/* A line break would end the comment. */
static void comment_words(ws_text *out, const char *words)
{
    for (const char *c = words; *c != '\0'; c++)
        ws_text_append_bytes(out, (unsigned char)*c < ' ' ? " " : c, 1);
}

static const char *find_common_part(void)
{
    for (const ws_batch_text *one = ws_batch_texts; one->name != NULL; one++)
        if (strcmp(one->name, "sweep") == 0)
            return strstr(one->text, common_part);
    return NULL;
}

ws_err ws_batch_script(const ws_batch_profile *profile, const ws_batch_job *job, ws_text *out)
{
    const char *rest = find_common_part();
    WS_CHECK(rest != NULL, INTERNAL, "slurm/sweep.sbatch has no line \"%s\"", common_part);
    WS_CHECK(strpbrk(job->folder, "\\\n") == NULL, ARGUMENT,
             "%s: Slurm takes no backslash or line break in the name of a log", job->folder);
    if (job->shape == WS_BATCH_STEPS) {
        const int64_t tasks = profile->nodes * profile->tasks_per_node;
        WS_CHECK(job->ranks_per_trial <= tasks, ARGUMENT,
                 "--ranks-per-trial %lld: the profile %s asks for %lld tasks (nodes times tasks_per_node)",
                 (long long)job->ranks_per_trial, profile->name, (long long)tasks);
    }
    ws_text_append(out, "#!/bin/bash\n# ");
    comment_words(out, job->title);
    ws_text_appendf(out, "\n# Written by wiresweep %s from the profile ", ws_version());
    comment_words(out, profile->name);
    ws_text_append(out, ". It may be changed, and submitted again with sbatch; bash runs it here.\n");
    directives(out, profile, job);
    ws_text_append(out, "\n");
    WS_TRY(settings(out, profile, job));
    ws_text_appendf(out, "\n%s", rest);
    return ws_text_check(out);
}
