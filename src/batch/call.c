/* Other programs (sbatch, squeue, ...): started with a list of words, never through a shell; what they say is kept. */
#include "batch/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cluster/cluster.h"

extern char **environ;

int ws_spawn(const char *const words[], const void *actions, pid_t *process)
{
    size_t count = 0, kept = 0;
    char **environment = NULL;
    while (environ[count])
        count++;
    if (ws_alloc(&environment, count + 1, sizeof *environment) != WS_OK)
        return ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (!ws_variable_is_of_launcher(environ[i]))
            environment[kept++] = environ[i];
    const int status = posix_spawnp(process, words[0], actions, NULL, (char *const *)words, environment);
    free(environment);
    return status;
}

/* 0, or what is wrong. Each pipe's reading end is ours, its writing end the program's. */
static int start(const char *const words[], int output[2], int errors[2], pid_t *process)
{
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    int status = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (status == 0)
        status = posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
    if (status == 0)
        status = posix_spawn_file_actions_adddup2(&actions, errors[1], STDERR_FILENO);
    if (status == 0)
        status = ws_spawn(words, &actions, process);
    posix_spawn_file_actions_destroy(&actions);
    return status;
}

/* Reads until both ends are closed. False: that took longer than the program was given. */
static bool listen_to(int output, int errors, double seconds, ws_answer *out)
{
    struct pollfd ends[2] = {{.fd = output, .events = POLLIN}, {.fd = errors, .events = POLLIN}};
    ws_text *const texts[2] = {&out->output, &out->errors};
    const double begin = ws_clock_seconds();
    for (int open = 2; open > 0;) {
        const double left = seconds > 0 ? seconds - (ws_clock_seconds() - begin) : 1;
        if (left <= 0)
            return false;
        if (poll(ends, 2, (int)(left * 1000) + 1) < 0 && errno != EINTR)
            return false;
        for (int i = 0; i < 2; i++) {
            char bytes[4096];
            if (ends[i].fd < 0 || !(ends[i].revents & (POLLIN | POLLHUP | POLLERR)))
                continue;
            const ssize_t got = read(ends[i].fd, bytes, sizeof bytes);
            if (got > 0) {
                ws_text_append_bytes(texts[i], bytes, (size_t)got);
            } else if (got == 0 || errno != EINTR) {
                ends[i].fd = -1;
                open--;
            }
        }
    }
    return true;
}

ws_err ws_call(const char *const words[], double seconds, ws_answer *out)
{
    *out = (ws_answer){.found = true};
    int output[2] = {-1, -1}, errors[2] = {-1, -1};
    pid_t process = 0;
    ws_err error = WS_OK;
    WS_CHECK_GOTO(done, pipe2(output, O_CLOEXEC) == 0 && pipe2(errors, O_CLOEXEC) == 0, IO,
                  "%s cannot be started: no pipe: %s", words[0], strerror(errno));
    const int refused = start(words, output, errors, &process);
    if (refused == ENOENT) {
        out->found = false;
        goto done;
    }
    WS_CHECK_GOTO(done, refused == 0, IO, "%s cannot be started: %s", words[0], strerror(refused));
    close(output[1]);
    close(errors[1]);
    output[1] = errors[1] = -1;
    out->too_late = !listen_to(output[0], errors[0], seconds, out);
    if (out->too_late)
        kill(process, SIGKILL);
    while (waitpid(process, &out->status, 0) < 0 && errno == EINTR)
        ;
    error = ws_text_check(&out->output);
    if (error == WS_OK)
        error = ws_text_check(&out->errors);
done:
    for (int end = 0; end < 2; end++) {
        if (output[end] >= 0)
            close(output[end]);
        if (errors[end] >= 0)
            close(errors[end]);
    }
    return error;
}

void ws_answer_destroy(ws_answer *answer)
{
    ws_text_destroy(&answer->output);
    ws_text_destroy(&answer->errors);
}

bool ws_answer_is_good(const ws_answer *answer)
{
    return answer->found && !answer->too_late && WIFEXITED(answer->status) && WEXITSTATUS(answer->status) == 0;
}
