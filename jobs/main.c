/* The program: finds the subcommand, reads its options, starts the ranks, runs it, and turns its error into one line
 * and an exit status. No algorithm lives here. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jobs/job.h"
#include "storage/storage.h"

#define JOB(name) extern const ws_job ws_job_##name;
#include "jobs/jobs.def"
#undef JOB

const ws_job *const ws_jobs[] = {
#define JOB(name) &ws_job_##name,
#include "jobs/jobs.def"
#undef JOB
    NULL};

const char *ws_executable = "/proc/self/exe";

static void print_overview(FILE *out)
{
    if (!ws_is_first_rank())
        return;
    fprintf(out,
            "wiresweep %s: network captures to result tables that can be believed\n\n"
            "usage: wiresweep SUBCOMMAND [OPTIONS]        (also under mpirun or srun)\n\n",
            ws_version());
    for (const ws_job *const *job = ws_jobs; *job; job++)
        fprintf(out, "  %-10s %s\n", (*job)->name, (*job)->help);
    fprintf(out, "\nwiresweep SUBCOMMAND --help shows its options and an example; wiresweep --version the version.\n");
}

static ws_err print_help(const ws_job *job)
{
    ws_text text = {0};
    ws_text_appendf(&text, "usage: wiresweep %s\n\n%s\n\noptions:\n", job->usage, job->help);
    WS_TRY(ws_options_help(job->options, false, &text));
    if (job->more_help)
        WS_TRY(job->more_help(&text));
    ws_text_appendf(&text, "\nexample:\n%s\n", job->example);
    WS_TRY(ws_text_check(&text));
    if (ws_is_first_rank())
        fputs(ws_text_string(&text), stdout);
    ws_text_destroy(&text);
    return WS_OK;
}

static const ws_job *find_job(const char *name)
{
    const char *names[64];
    size_t count = 0;
    for (const ws_job *const *job = ws_jobs; *job; job++) {
        if (strcmp((*job)->name, name) == 0)
            return *job;
        names[count++] = (*job)->name;
    }
    const char *closest = ws_closest_name(name, names, count);
    if (!ws_is_first_rank())
        return NULL;
    fprintf(stderr, "error: wrong usage: %s is no subcommand\nhint: ", name);
    if (closest)
        fprintf(stderr, "did you mean wiresweep %s? ", closest);
    fprintf(stderr, "wiresweep --help lists them\n");
    return NULL;
}

/* A level pinned by the configuration ("train": {"isa": "avx2"}) or by --set is looked up before MPI and OpenBLAS are
 * used, since OpenBLAS chooses its kernels when it is loaded. Faults of the file are reported later, by the job that
 * reads it. */
static ws_isa wanted_isa(int argc, char **argv)
{
    char given[32] = "";
    for (int i = 1; i < argc; i++) {
        const size_t length = strlen(argv[i]);
        ws_json *document = NULL;
        if (length > 5 && strcmp(argv[i] + length - 5, ".json") == 0 && !given[0] &&
            ws_json_read_file(&document, argv[i]) == WS_OK) {
            const cJSON *isa = ws_json_find(ws_json_root(document), "train.isa");
            if (cJSON_IsString(isa))
                snprintf(given, sizeof given, "%s", isa->valuestring);
            ws_json_destroy(&document);
        }
    }
    for (int i = 1; i < argc; i++) {
        const char *assignment = strstr(argv[i], "train.isa=");
        if (assignment)
            snprintf(given, sizeof given, "%s", assignment + strlen("train.isa="));
    }
    ws_error_clear();
    const ws_isa best = ws_isa_detect();
    for (int level = 0; level < (int)best; level++)
        if (strcmp(given, ws_isa_names[level]) == 0)
            return (ws_isa)level;
    return best;
}

/* Runs the job on all ranks; all end with the same error. */
static ws_err run_job(const ws_job *job, int argc, char **argv, ws_arena *arena, bool *trace)
{
    void *values;
    ws_string_list positional;
    WS_TRY(ws_arena_alloc(arena, &values, 1, job->options->size));
    if (job->arrange)
        WS_TRY(job->arrange(&argc, &argv, arena));
    WS_TRY(ws_options_command_line(job->options, argc, argv, arena, values, &positional));
    const ws_job_common *common = values;
    *trace = common->trace;
    if (common->help)
        return print_help(job);
    int no_arguments = 0;
    char **no_strings = NULL;
    ws_comm world;
    WS_TRY(ws_cluster_start(&no_arguments, &no_strings, common->quiet, &world));
    ws_h5_setup();
    WS_CHECK(job->collective || world.size == 1, ARGUMENT, "wiresweep %s runs as one process, not under mpirun -n %d",
             job->name, world.size);
    const char *started = getenv("SLURM_STEP_NUM_TASKS");
    if (job->collective && world.size == 1 && started && strcmp(started, "1") != 0)
        ws_warn("srun started %s processes that do not know of each other; for one program of as many ranks: srun "
                "--mpi=pmix",
                started);
    return ws_agree_all(&world, job->run(&world, values, &positional, arena));
}

int main(int argc, char **argv)
{
    ws_isa isa = wanted_isa(argc, argv);
    ws_isa_reexec(isa, argv);
    if (ws_isa_pin(isa) != WS_OK)
        return EXIT_FAILURE;
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_overview(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        if (ws_is_first_rank())
            printf("wiresweep %s\n", ws_version());
        return 0;
    }
    const ws_job *job = find_job(argv[1]);
    if (!job)
        return 2;
    ws_stop_install();
    signal(SIGXFSZ, SIG_IGN); /* what grows over the limit of file sizes (ulimit -f) is an error like a full disk's */
    bool trace = false;
    ws_arena *arena = NULL;
    ws_err error = ws_arena_create(&arena, 1 << 16);
    if (error == WS_OK)
        error = run_job(job, argc - 2, argv + 2, arena, &trace);
    if (error == WS_OK && (fflush(stdout) != 0 || ferror(stdout)))
        error = WS_ERROR(IO, "standard output: cannot be written");
    if (error != WS_OK && ws_is_first_rank())
        ws_error_print(error, trace);
    ws_cluster_stop();
    ws_arena_destroy(&arena);
    return ws_error_exit_status(error);
}
