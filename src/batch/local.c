/* The script of a job without a scheduler: bash runs it here, and is waited for. */
#include "batch/internal.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

ws_err ws_batch_run_here(const char *script, int *status)
{
    const char *const words[] = {"bash", script, NULL};
    pid_t process = 0;
    const int refused = ws_spawn(words, NULL, &process);
    WS_CHECK(refused == 0, IO, "bash cannot be started for %s: %s", script, strerror(refused));
    int ended = 0;
    bool told = false;
    for (;;) {
        const pid_t got = waitpid(process, &ended, WNOHANG);
        WS_CHECK(got >= 0 || errno == EINTR, IO, "%s cannot be waited for: %s", script, strerror(errno));
        if (got == process)
            break;
        if (ws_stop_requested() && !told)
            told = kill(process, SIGTERM) == 0; /* the script asks for checkpoints */
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    *status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
    return WS_OK;
}
