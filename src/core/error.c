/* The thread-local error context behind error.h. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fixed buffers: reporting an error must work when memory has run out. Configuration problems list many lines. */
static _Thread_local struct {
    char message[8192];
    char hint[1024];
    char trace[2048];
} context;

static const struct {
    const char *text;
    int exit_status;
} kinds[WS_ERROR_COUNT] = {{"", 0},
#define WS_ERROR_KIND(name, text, status) {text, status},
                           WS_ERROR_LIST(WS_ERROR_KIND)
#undef WS_ERROR_KIND
};

const char *ws_error_message(void)
{
    return context.message;
}

const char *ws_error_hint(void)
{
    return context.hint;
}

const char *ws_error_trace(void)
{
    return context.trace;
}

const char *ws_error_kind(ws_err error)
{
    return (unsigned)error < WS_ERROR_COUNT ? kinds[error].text : "unknown error";
}

int ws_error_exit_status(ws_err error)
{
    return (unsigned)error < WS_ERROR_COUNT ? kinds[error].exit_status : 1;
}

ws_err ws_error_set(ws_err error, const char *message, const char *hint, const char *trace)
{
    /* The arguments may be the context's own strings. */
    if (message != context.message)
        snprintf(context.message, sizeof context.message, "%s", message ? message : "");
    if (hint != context.hint)
        snprintf(context.hint, sizeof context.hint, "%s", hint ? hint : "");
    if (trace != context.trace)
        snprintf(context.trace, sizeof context.trace, "%s", trace ? trace : "");
    return error;
}

void ws_error_clear(void)
{
    context.message[0] = context.hint[0] = context.trace[0] = '\0';
}

/* A text that finds no memory is missing. */
void ws_error_keep(ws_kept_error *kept, ws_err error)
{
    if (error != WS_OK && kept->error == WS_OK)
        *kept = (ws_kept_error){error, strdup(context.message), strdup(context.hint), strdup(context.trace)};
}

ws_err ws_error_tell(ws_kept_error *kept)
{
    const ws_err error = kept->error;
    if (error != WS_OK)
        ws_error_set(error, kept->message, kept->hint, kept->trace);
    ws_error_forget(kept);
    return error;
}

void ws_error_forget(ws_kept_error *kept)
{
    free(kept->message);
    free(kept->hint);
    free(kept->trace);
    memset(kept, 0, sizeof *kept);
}

/* Paths of the build machine say nothing to a user: "src/room/file.c" is enough. */
static const char *short_path(const char *file)
{
    static const char *const tops[] = {"/src/", "/jobs/", "/kernels/", "/tests/"};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof tops / sizeof *tops; i++) {
        for (const char *at = strstr(file, tops[i]); at; at = strstr(at + 1, tops[i]))
            if (!found || at > found)
                found = at;
    }
    return found ? found + 1 : file;
}

ws_err ws_error_pass(ws_err error, const char *file, int line, const char *function)
{
    size_t used = strlen(context.trace);
    snprintf(context.trace + used, sizeof context.trace - used, "%s:%d %s\n", short_path(file), line, function);
    return error;
}

ws_err ws_error_raise(ws_err error, const char *file, int line, const char *function, const char *format, ...)
{
    char message[sizeof context.message]; /* an argument may be the old message */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    memcpy(context.message, message, sizeof message);
    context.hint[0] = context.trace[0] = '\0';
    return ws_error_pass(error, file, line, function);
}

void ws_error_add_hint(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context.hint, sizeof context.hint, format, arguments);
    va_end(arguments);
}

void ws_error_print(ws_err error, bool with_trace)
{
    if (strchr(context.message, '\n')) /* a list of problems, each with its own place */
        fprintf(stderr, "%s\n", context.message);
    else if (context.message[0])
        fprintf(stderr, "error: %s: %s\n", ws_error_kind(error), context.message);
    else
        fprintf(stderr, "error: %s\n", ws_error_kind(error));
    if (context.hint[0])
        fprintf(stderr, "hint: %s\n", context.hint);
    if (with_trace && context.trace[0])
        fputs(context.trace, stderr);
}
