/* One trial as a child process: its own process group, default signals, no core file, no trace of this program's MPI in
 * its environment, output into its log, a time limit. What its end means is failure.c's and supervise.c's matter. */
#include "sweep/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { ARGUMENTS = 24 };
static const double kill_after_seconds = 5; /* between the limit's SIGTERM and SIGKILL */

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Variables by which an MPI launcher tells a process which rank of which job it is; a child that saw them would take
 * itself for this process. What a person sets (which transport, running as root) stays. */
static bool tells_of_mpi(const char *variable)
{
    if (begins(variable, "PMIX_") || begins(variable, "PMI_"))
        return true;
    if (begins(variable, "OMPI_MCA_"))
        return begins(variable, "OMPI_MCA_ess") || begins(variable, "OMPI_MCA_orte") ||
               begins(variable, "OMPI_MCA_pmix") || begins(variable, "OMPI_MCA_initial");
    return begins(variable, "OMPI_") && !begins(variable, "OMPI_ALLOW_RUN_AS_ROOT");
}

static ws_err make_environment(char ***out)
{
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    WS_TRY(ws_alloc(out, count + 1, sizeof **out));
    for (size_t i = 0; i < count; i++)
        if (!tells_of_mpi(environ[i]))
            (*out)[kept++] = environ[i];
    return WS_OK;
}

/* argv of the trial; texts borrowed, `ranks` and `config` belong to the caller. */
static void make_arguments(const ws_sweep_options *options, const char *ranks, const char *config,
                           const char *trial_directory, bool resume, const char *arguments[ARGUMENTS])
{
    size_t n = 0;
    if (options->ranks_per_trial > 1) {
        /* several trials share the machine: bound ranks of two trials would sit on the same cores */
        const char *const launcher[] = {"mpirun", "--bind-to", "none", "--oversubscribe", "-n", ranks};
        for (size_t i = 0; i < sizeof launcher / sizeof launcher[0]; i++)
            arguments[n++] = launcher[i];
    }
    arguments[n++] = options->program;
    arguments[n++] = "train";
    arguments[n++] = config;
    arguments[n++] = "-o";
    arguments[n++] = trial_directory;
    if (resume)
        arguments[n++] = "--resume";
    arguments[n] = NULL;
}

static void keep_open(int file)
{
    fcntl(file, F_SETFD, fcntl(file, F_GETFD) & ~FD_CLOEXEC);
}

/* What asks a trial for a checkpoint. mpirun takes SIGTERM as a wish to kill its ranks, and passes SIGUSR2 on to them. */
static int stop_signal(const ws_sweep_options *options)
{
    return options->ranks_per_trial > 1 ? SIGUSR2 : SIGTERM;
}

/* Between fork and exec: plain system calls only. */
_Noreturn static void become_trial(const char *const *arguments, char **environment, int log, int lock, int alive,
                                   pid_t supervisor, int when_orphaned)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, when_orphaned); /* a supervisor that is killed leaves no trial running for nobody */
    if (getppid() != supervisor)
        _exit(75);
    for (int number = 1; number < 32; number++)
        if (number != SIGKILL && number != SIGSTOP)
            signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    keep_open(lock);
    keep_open(alive);
    execvpe(arguments[0], (char *const *)arguments, environment);
    static const char message[] = "error: the program of the trial cannot be executed\n";
    ssize_t written = write(STDERR_FILENO, message, sizeof message - 1);
    (void)written;
    _exit(127);
}

ws_err ws_process_start(ws_process *out, const ws_sweep_options *options, const char *trial_directory, bool resume,
                        int lock)
{
    *out = (ws_process){.ended = -1, .started = ws_clock_seconds()};
    char **environment = NULL, *ranks = ws_format("%d", options->ranks_per_trial),
         *config = ws_path_join(trial_directory, "config.json"), *log_path = ws_path_join(trial_directory, "log.txt");
    const char *arguments[ARGUMENTS];
    int log = -1, alive[2] = {-1, -1};
    ws_err error = WS_OK;
    WS_CHECK_GOTO(done, ranks && config && log_path, MEMORY, "no memory to start a trial");
    WS_TRY_GOTO(done, make_environment(&environment));
    make_arguments(options, ranks, config, trial_directory, resume, arguments);
    log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    WS_CHECK_GOTO(done, log >= 0, IO, "%s: cannot be opened: %s", log_path, strerror(errno));
    WS_CHECK_GOTO(done, pipe2(alive, O_CLOEXEC) == 0, IO, "no pipe for a trial: %s", strerror(errno));
    pid_t supervisor = getpid();
    pid_t child = fork();
    if (child == 0)
        become_trial(arguments, environment, log, lock, alive[1], supervisor, stop_signal(options));
    WS_CHECK_GOTO(done, child > 0, IO, "a trial cannot be started: %s", strerror(errno));
    setpgid(child, child); /* whoever comes first, child or we */
    out->pid = child;
    out->ended = alive[0];
    alive[0] = -1;
done:
    if (log >= 0)
        close(log);
    for (int end = 0; end < 2; end++)
        if (alive[end] >= 0)
            close(alive[end]);
    free(environment);
    free(ranks);
    free(config);
    free(log_path);
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
    while (waitpid(process->pid, status, 0) < 0 && errno == EINTR)
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
