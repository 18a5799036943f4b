/* One trial as a child process: its own process group, default signals, no core file, no trace of this program's MPI in
 * its environment, output into its log, limits of time and memory, cores and devices of its own. What its end means is
 * failure.c's and outcome.c's matter. */
#include "sweep/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cluster/cluster.h"

extern char **environ;

enum { ARGUMENTS = 32 };
static const double kill_after_seconds = 5; /* between the limit's SIGTERM and SIGKILL */

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The devices of a slot as CUDA_VISIBLE_DEVICES: the next ones of those this process may use, several trials on each where asked. */
static void name_devices(const ws_sweep_options *options, int slot, ws_text *out)
{
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    char *copy = visible ? strdup(visible) : NULL, *rest = NULL, *names[64];
    int count = 0;
    for (char *name = copy ? strtok_r(copy, ",", &rest) : NULL; name && count < 64; name = strtok_r(NULL, ",", &rest))
        names[count++] = name;
    const int first = slot / options->trials_per_device * options->devices_per_trial;
    ws_text_append(out, "CUDA_VISIBLE_DEVICES=");
    for (int k = 0; k < options->devices_per_trial; k++) {
        ws_text_append(out, k ? "," : "");
        if (count)
            ws_text_append(out, names[(first + k) % count]);
        else
            ws_text_appendf(out, "%d", first + k);
    }
    free(copy);
}

static bool starts_by_srun(const ws_sweep_options *options);

/* By which srun would give each trial all GPUs of the job, one trial after the other. */
static bool takes_all_devices(const ws_sweep_options *options, const char *variable)
{
    return options->devices_per_trial && starts_by_srun(options) && begins(variable, "SLURM_GPUS_PER_NODE=");
}

/* *device: the variable that names the slot's devices, or empty; the caller destroys it after the start. */
static ws_err make_environment(const ws_sweep_options *options, int slot, ws_text *device, char ***out)
{
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    WS_TRY(ws_alloc(out, count + 2, sizeof **out));
    for (size_t i = 0; i < count; i++)
        if (!takes_all_devices(options, environ[i]) && !ws_variable_is_of_launcher(environ[i]) &&
            !(options->devices_per_trial && begins(environ[i], "CUDA_VISIBLE_DEVICES=")))
            (*out)[kept++] = environ[i];
    if (options->devices_per_trial == 0)
        return WS_OK;
    name_devices(options, slot, device);
    (*out)[kept] = device->data;
    return ws_text_check(device);
}

double ws_sweep_devices(const ws_sweep_options *options)
{
    return options->devices_per_trial ? (double)options->devices_per_trial / options->trials_per_device : 0;
}

/* ---------------------------------------------------------------- cores */

/* Cores [slot * n, (slot + 1) * n) of those this process may use, around their end. *bound false: all of them. */
static void choose_cores(const ws_sweep_options *options, int slot, cpu_set_t *out, bool *bound)
{
    cpu_set_t allowed;
    *bound = options->cores_per_trial > 0 && sched_getaffinity(0, sizeof allowed, &allowed) == 0;
    if (!*bound)
        return;
    int cores[CPU_SETSIZE], count = 0;
    for (int core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, &allowed))
            cores[count++] = core;
    CPU_ZERO(out);
    for (int k = 0; k < options->cores_per_trial; k++)
        CPU_SET(cores[(slot * options->cores_per_trial + k) % count], out);
}

/* Trials at once that the GPUs of CUDA_VISIBLE_DEVICES have room for; 0: nothing is said about them. */
static int device_slots(const ws_sweep_options *options)
{
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    if (!options->devices_per_trial || !visible || !visible[0])
        return 0;
    int count = 1;
    for (const char *c = visible; *c; c++)
        count += *c == ',';
    count = count / options->devices_per_trial * options->trials_per_device;
    return count > 1 ? count : 1;
}

int ws_sweep_slots(const ws_sweep_options *options)
{
    cpu_set_t allowed;
    int count = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1,
        each = options->cores_per_trial > 0 ? options->cores_per_trial : options->ranks_per_trial,
        devices = device_slots(options);
    count = count / each > 1 ? count / each : 1;
    return devices && devices < count ? devices : count;
}

/* ---------------------------------------------------------------- starting */

/* In an allocation of Slurm a trial of several ranks is a step of its own, wherever in the allocation there is room. */
static bool starts_by_srun(const ws_sweep_options *options)
{
    return options->ranks_per_trial > 1 && options->launcher != WS_LAUNCH_MPIRUN &&
           (options->launcher == WS_LAUNCH_SRUN || getenv("SLURM_JOB_ID"));
}

/* argv of the trial; texts borrowed, numbers and config belong to the caller. */
static void make_arguments(const ws_sweep_options *options, const char *ranks, const char *cores, const char *devices,
                           const char *config, const ws_process_place *place, const char *arguments[ARGUMENTS])
{
    /* several trials share the machine: bound ranks of two trials would sit on the same cores */
    const char *const mpirun[] = {"mpirun", "--bind-to", "none", "--oversubscribe", "-n", ranks, NULL};
    /* a rank that dies before MPI_Init would leave the others waiting */
    const char *const srun[] = {"srun", "--exact", "--kill-on-bad-exit=1", "--mpi=pmix", "-n", ranks, "-c",
                                cores,  NULL};
    const char *const *launcher = starts_by_srun(options) ? srun : mpirun;
    size_t n = 0;
    for (size_t i = 0; options->ranks_per_trial > 1 && launcher[i]; i++)
        arguments[n++] = launcher[i];
    if (options->devices_per_trial && starts_by_srun(options))
        arguments[n++] = devices;
    arguments[n++] = options->program;
    arguments[n++] = "train";
    arguments[n++] = config;
    arguments[n++] = "-o";
    arguments[n++] = place->run;
    if (place->resume)
        arguments[n++] = "--resume";
    arguments[n] = NULL;
}

static void keep_open(int file)
{
    fcntl(file, F_SETFD, fcntl(file, F_GETFD) & ~FD_CLOEXEC); /* of the child alone: it has its own descriptors */
}

/* What asks a trial for a checkpoint. mpirun and srun take SIGTERM as a wish to kill the ranks, and pass SIGUSR2 on to them. */
static int stop_signal(const ws_sweep_options *options)
{
    return options->ranks_per_trial > 1 ? SIGUSR2 : SIGTERM;
}

typedef struct trial_start {
    const char *arguments[ARGUMENTS];
    char **environment;
    int log, alive; /* alive: the pipe's end that only the trial keeps */
    pid_t supervisor;
    int when_orphaned;
    rlim_t memory; /* 0: no limit */
    cpu_set_t cores;
    bool bound;
} trial_start;

/* Between vfork and exec, in the supervisor's memory: plain system calls only. */
_Noreturn static void become_trial(const trial_start *start)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, start->when_orphaned); /* a supervisor that is killed leaves no trial running for nobody */
    if (getppid() != start->supervisor)
        _exit(75);
    for (int number = 1; number < 32; number++)
        if (number != SIGKILL && number != SIGSTOP)
            signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    if (start->memory)
        setrlimit(RLIMIT_DATA, &(struct rlimit){start->memory, start->memory});
    if (start->bound)
        sched_setaffinity(0, sizeof start->cores, &start->cores);
    dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
    dup2(start->log, STDOUT_FILENO);
    dup2(start->log, STDERR_FILENO);
    keep_open(start->alive);
    execvpe(start->arguments[0], (char *const *)start->arguments, start->environment);
    static const char message[] = "error: the program of the trial cannot be executed\n";
    ssize_t written = write(STDERR_FILENO, message, sizeof message - 1);
    (void)written;
    _exit(127);
}

/* vfork: a sweep of 100,000 trials has much memory, whose page tables fork would copy for each of them. Signals wait, so that no
 * handler of ours runs in the child. */
static pid_t start_child(const trial_start *start)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t child = vfork();
    if (child == 0)
        become_trial(start);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return child;
}

ws_err ws_process_start(ws_process *out, const ws_sweep_options *options, const ws_process_place *place)
{
    *out = (ws_process){.ended = -1, .started = ws_clock_seconds()};
    trial_start start = {.log = place->log,
                         .supervisor = getpid(),
                         .when_orphaned = stop_signal(options),
                         .memory = (rlim_t)options->memory_limit};
    char *ranks = ws_format("%d", options->ranks_per_trial), *config = ws_path_join(place->run, "config.json"),
         *cores = ws_format("%d", options->cores_per_trial > options->ranks_per_trial
                                      ? options->cores_per_trial / options->ranks_per_trial
                                      : 1),
         *devices = options->devices_per_trial % options->ranks_per_trial
                        ? ws_format("--gpus=%d", options->devices_per_trial)
                        : ws_format("--gpus-per-task=%d", options->devices_per_trial / options->ranks_per_trial);
    ws_text device = {0};
    int alive[2] = {-1, -1};
    ws_err error = WS_OK;
    WS_CHECK_GOTO(done, ranks && config && cores && devices, MEMORY, "no memory to start a trial");
    WS_TRY_GOTO(done, make_environment(options, place->slot, &device, &start.environment));
    make_arguments(options, ranks, cores, devices, config, place, start.arguments);
    if (!starts_by_srun(options)) /* which may start it on another machine */
        choose_cores(options, place->slot, &start.cores, &start.bound);
    WS_CHECK_GOTO(done, pipe2(alive, O_CLOEXEC) == 0, IO, "no pipe for a trial: %s", strerror(errno));
    start.alive = alive[1];
    pid_t child = start_child(&start);
    WS_CHECK_GOTO(done, child > 0, IO, "a trial cannot be started: %s", strerror(errno));
    out->pid = child;
    out->ended = alive[0];
    alive[0] = -1;
done:
    for (int end = 0; end < 2; end++)
        if (alive[end] >= 0)
            close(alive[end]);
    ws_text_destroy(&device);
    free(start.environment);
    free(ranks);
    free(config);
    free(cores);
    free(devices);
    return error;
}

static void signal_group(const ws_process *process, int signal_number)
{
    if (process->pid > 0)
        kill(-process->pid, signal_number);
}

void ws_process_stop(const ws_process *process, const ws_sweep_options *options)
{
    signal_group(process, stop_signal(options));
}

bool ws_process_poll(ws_process *process, int *status)
{
    siginfo_t info = {.si_pid = 0};
    if (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
        return false;
    signal_group(process, SIGKILL); /* before it is reaped: its group's number is still its own */
    while (wait4(process->pid, status, 0, &process->usage) < 0 && errno == EINTR)
        ;
    close(process->ended);
    process->ended = -1;
    process->pid = 0;
    return true;
}

void ws_process_limit(ws_process *process, double limit)
{
    double now = ws_clock_seconds();
    if (process->over_limit) {
        if (now - process->killed > kill_after_seconds)
            signal_group(process, SIGKILL);
    } else if (limit > 0 && now - process->started > limit) {
        process->over_limit = true;
        process->killed = now;
        signal_group(process, SIGTERM);
    }
}
