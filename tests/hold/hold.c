/* Loaded into a program by the tests that interrupt it (LD_PRELOAD): holds it at a moment that the test chose, however fast the
 * machine is, until the test lets it go on, kills it or has a signal delivered to it. tests/hold/hold.sh is the other side.
 *
 * The program is held in a call that changes a file: the WIRESWEEP_HOLD_CALLS-th (from 0) that begins once a path matches the
 * pattern WIRESWEEP_HOLD_AFTER (from the start where there is none), at the latest in the rename to a name that ends in
 * WIRESWEEP_HOLD_LAST. It then makes the file $WIRESWEEP_HOLD.reached and waits for $WIRESWEEP_HOLD.go, or, where
 * WIRESWEEP_HOLD_SIGNAL is set, for a signal that asks it to stop. Of several ranks the first one is held, and the others wherever
 * they need it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { POLL_NANOSECONDS = 1000000, LONGEST_POLLS = 300000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* taken while held, so that other threads wait too */
static char reached_path[4096], go_path[4096], after[4096], last[256];
static long calls_left;
static bool wanted, began, by_signal;
static volatile sig_atomic_t signalled;

static const int signals[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2};
enum { SIGNALS = sizeof signals / sizeof *signals };
static struct sigaction before[SIGNALS];

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    return value != NULL ? value : "";
}

__attribute__((constructor)) static void read_settings(void)
{
    const char *base = setting("WIRESWEEP_HOLD"), *rank = setting("OMPI_COMM_WORLD_RANK");
    wanted = base[0] != '\0' && (rank[0] == '\0' || strcmp(rank, "0") == 0);
    snprintf(reached_path, sizeof reached_path, "%s.reached", base);
    snprintf(go_path, sizeof go_path, "%s.go", base);
    snprintf(after, sizeof after, "%s", setting("WIRESWEEP_HOLD_AFTER"));
    snprintf(last, sizeof last, "%s", setting("WIRESWEEP_HOLD_LAST"));
    calls_left = atol(setting("WIRESWEEP_HOLD_CALLS"));
    began = after[0] == '\0';
    by_signal = setting("WIRESWEEP_HOLD_SIGNAL")[0] != '\0';
}

/* ---------------------------------------------------------------- holding */
static void pass_on(int number)
{
    for (int i = 0; i < SIGNALS; i++)
        if (signals[i] == number && before[i].sa_handler != SIG_IGN && before[i].sa_handler != SIG_DFL)
            before[i].sa_handler(number);
    signalled = 1;
}

/* A signal that has come is one that its handler has seen. */
static void hold(void)
{
    struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (int i = 0; by_signal && i < SIGNALS; i++)
        sigaction(signals[i], &action, &before[i]);
    int file = open(reached_path, O_WRONLY | O_CREAT, 0666);
    if (file >= 0)
        close(file);
    for (int polls = 0; !signalled && access(go_path, F_OK) != 0; polls++) {
        if (polls == LONGEST_POLLS)
            _exit(86);
        nanosleep(&(struct timespec){.tv_nsec = POLL_NANOSECONDS}, NULL);
    }
    for (int i = 0; by_signal && i < SIGNALS; i++)
        sigaction(signals[i], &before[i], NULL);
}

static bool is_there(const char *pattern)
{
    glob_t found;
    const bool any = glob(pattern, GLOB_NOSORT, NULL, &found) == 0;
    globfree(&found);
    return any;
}

static void at_call(bool latest)
{
    const int reason = errno;
    pthread_mutex_lock(&lock);
    if (wanted && !began)
        began = is_there(after);
    if (wanted && (latest || (began && calls_left-- <= 0))) {
        hold();
        wanted = false;
    }
    pthread_mutex_unlock(&lock);
    errno = reason;
}

/* Calls on pipes and sockets, whose number nobody can tell, do not count. */
static void at_write(int descriptor)
{
    struct stat about;
    if (wanted && fstat(descriptor, &about) == 0 && S_ISREG(about.st_mode))
        at_call(false);
}

/* ---------------------------------------------------------------- the calls */
/* NEXT(result, arguments): the function of this name that would have been called. */
#define NEXT(result, ...)                                                                                              \
    static result (*next)(__VA_ARGS__);                                                                                \
    if (next == NULL)                                                                                                  \
    *(void **)&next = dlsym(RTLD_NEXT, __func__)

ssize_t write(int descriptor, const void *data, size_t bytes)
{
    NEXT(ssize_t, int, const void *, size_t);
    at_write(descriptor);
    return next(descriptor, data, bytes);
}

ssize_t pwrite(int descriptor, const void *data, size_t bytes, off_t offset)
{
    NEXT(ssize_t, int, const void *, size_t, off_t);
    at_write(descriptor);
    return next(descriptor, data, bytes, offset);
}

ssize_t pwrite64(int descriptor, const void *data, size_t bytes, off_t offset)
{
    NEXT(ssize_t, int, const void *, size_t, off_t);
    at_write(descriptor);
    return next(descriptor, data, bytes, offset);
}

ssize_t writev(int descriptor, const struct iovec *pieces, int count)
{
    NEXT(ssize_t, int, const struct iovec *, int);
    at_write(descriptor);
    return next(descriptor, pieces, count);
}

ssize_t pwritev(int descriptor, const struct iovec *pieces, int count, off_t offset)
{
    NEXT(ssize_t, int, const struct iovec *, int, off_t);
    at_write(descriptor);
    return next(descriptor, pieces, count, offset);
}

int ftruncate(int descriptor, off_t bytes)
{
    NEXT(int, int, off_t);
    at_write(descriptor);
    return next(descriptor, bytes);
}

int fsync(int descriptor)
{
    NEXT(int, int);
    at_write(descriptor);
    return next(descriptor);
}

int fflush(FILE *stream)
{
    NEXT(int, FILE *);
    if (stream != NULL)
        at_write(fileno(stream));
    return next(stream);
}

int unlink(const char *path)
{
    NEXT(int, const char *);
    at_call(false);
    return next(path);
}

int unlinkat(int folder, const char *path, int flags)
{
    NEXT(int, int, const char *, int);
    at_call(false);
    return next(folder, path, flags);
}

int rename(const char *from, const char *to)
{
    NEXT(int, const char *, const char *);
    const size_t length = strlen(to), end = strlen(last);
    at_call(end > 0 && length >= end && strcmp(to + length - end, last) == 0);
    return next(from, to);
}
