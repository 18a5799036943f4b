/* Messages to stderr. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
    bool quiet, line_shown;
    int rank, size;
} state = {.size = 1};

void ws_log_setup(bool quiet, int rank, int size)
{
    state.quiet = quiet;
    state.rank = rank;
    state.size = size;
}

bool ws_log_is_quiet(void)
{
    return state.quiet;
}

void ws_log_status_line(const char *text)
{
    if (!isatty(STDERR_FILENO) || (!text && !state.line_shown))
        return;
    fprintf(stderr, "\r\033[K%s", text ? text : "");
    fflush(stderr);
    state.line_shown = text != NULL;
}

/* One write a message, so that lines of several ranks do not mix. */
static void message(const char *kind, const char *format, va_list arguments)
{
    char line[4096];
    size_t used = 0;
    if (state.rank > 0)
        used = (size_t)snprintf(line, sizeof line, "[rank %d] ", state.rank);
    used += (size_t)snprintf(line + used, sizeof line - used, "%s", kind);
    int more = vsnprintf(line + used, sizeof line - used - 1, format, arguments);
    used += more < 0 ? 0 : (size_t)more;
    if (used > sizeof line - 2)
        used = sizeof line - 2;
    line[used] = '\n';
    line[used + 1] = '\0';
    ws_log_status_line(NULL);
    fputs(line, stderr);
}

void ws_info(const char *format, ...)
{
    if (state.quiet || state.rank > 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    message("", format, arguments);
    va_end(arguments);
}

void ws_warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    message("warning: ", format, arguments);
    va_end(arguments);
}
