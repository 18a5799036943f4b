/* Errors: a status code that must be looked at, and one thread-local context with the message, a hint and a trace.
 *
 * A fallible function returns ws_err (0 is success). The function that finds the fault calls WS_FAIL or WS_CHECK, which
 * fill the context; every level above adds one trace line with WS_TRY; a hint says the likely cause and the command
 * that mends it. Only jobs/ prints the context (ws_error_print); nothing in src/ exits or prints errors itself.
 *
 * What the user sees: one line `error: WHAT: WHERE`, one line `hint: ...` where there is one, and with --trace the
 * levels.
 */
#ifndef WS_CORE_ERROR_H
#define WS_CORE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#define WS_ERROR_LIST(E)                                                                                               \
    E(ARGUMENT, "wrong usage", 2)                                                                                      \
    E(CONFIG, "wrong configuration", 2)                                                                                \
    E(IO, "file error", 1)                                                                                             \
    E(FORMAT, "bad file content", 1)                                                                                   \
    E(MEMORY, "out of memory", 1)                                                                                      \
    E(MPI, "MPI error", 1)                                                                                             \
    E(HDF5, "HDF5 error", 1)                                                                                           \
    E(CUDA, "CUDA error", 1)                                                                                           \
    E(NCCL, "NCCL error", 1)                                                                                           \
    E(NUMERIC, "not a finite number", 1)                                                                               \
    E(PEER, "another rank failed", 1)                                                                                  \
    E(UNSUPPORTED, "not supported by this build", 1)                                                                   \
    E(PARTIAL, "finished, but some parts failed", 3)                                                                   \
    E(INTERRUPTED, "interrupted, resumable", 75)                                                                       \
    E(INTERNAL, "internal error", 1)

/* WS_OK, WS_E_ARGUMENT, WS_E_CONFIG, ... */
typedef enum ws_err {
    WS_OK = 0,
#define WS_ERROR_ENUM(name, text, status) WS_E_##name,
    WS_ERROR_LIST(WS_ERROR_ENUM)
#undef WS_ERROR_ENUM
        WS_ERROR_COUNT
} ws_err;

#define WS_MUST __attribute__((warn_unused_result))

/* The context of the calling thread's last error. Strings stay valid until the thread's next error. */
const char *ws_error_message(void);
const char *ws_error_hint(void);  /* "" where there is none */
const char *ws_error_trace(void); /* lines "file:line function", innermost first */
const char *ws_error_kind(ws_err error);
int ws_error_exit_status(ws_err error); /* DESIGN "Exit status": 0 1 2 3 75 */

/* Replaces the context, e.g. with what another rank or thread reported. Returns `error`. */
ws_err ws_error_set(ws_err error, const char *message, const char *hint, const char *trace);
void ws_error_clear(void);
/* An error that is told later than it was met, with its context; zeroed: there is none. */
typedef struct ws_kept_error {
    ws_err error;
    char *message, *hint, *trace;
} ws_kept_error;
void ws_error_keep(ws_kept_error *kept, ws_err error); /* WS_OK, or what was met after another: ignored */
ws_err ws_error_tell(ws_kept_error *kept);             /* as if it were met now; nothing is kept any more */
void ws_error_forget(ws_kept_error *kept);
/* Prints the context to stderr: the error line, the hint, and the trace when `with_trace`. */
void ws_error_print(ws_err error, bool with_trace);

/* Used by the macros below. */
ws_err ws_error_raise(ws_err error, const char *file, int line, const char *function, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
ws_err ws_error_pass(ws_err error, const char *file, int line, const char *function);
void ws_error_add_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* WS_ERROR raises and evaluates to the error; WS_FAIL returns it; WS_CHECK returns it unless the condition holds. */
#define WS_ERROR(kind, ...) ws_error_raise(WS_E_##kind, __FILE__, __LINE__, __func__, __VA_ARGS__)
#define WS_FAIL(kind, ...) return WS_ERROR(kind, __VA_ARGS__)
#define WS_CHECK(condition, kind, ...)                                                                                 \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            return WS_ERROR(kind, __VA_ARGS__);                                                                        \
    } while (0)
/* Adds a hint to the error just raised: error = WS_ERROR(IO, ...); WS_HINT("make it with ..."); return error; */
#define WS_HINT(...) ws_error_add_hint(__VA_ARGS__)
#define WS_TRY(expression)                                                                                             \
    do {                                                                                                               \
        ws_err ws_try_error_ = (expression);                                                                           \
        if (ws_try_error_ != WS_OK)                                                                                    \
            return ws_error_pass(ws_try_error_, __FILE__, __LINE__, __func__);                                         \
    } while (0)
/* Where something must be released first: needs a local `ws_err error` and a label. */
#define WS_TRY_GOTO(label, expression)                                                                                 \
    do {                                                                                                               \
        error = (expression);                                                                                          \
        if (error != WS_OK) {                                                                                          \
            ws_error_pass(error, __FILE__, __LINE__, __func__);                                                        \
            goto label;                                                                                                \
        }                                                                                                              \
    } while (0)
#define WS_CHECK_GOTO(label, condition, kind, ...)                                                                     \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            error = WS_ERROR(kind, __VA_ARGS__);                                                                       \
            goto label;                                                                                                \
        }                                                                                                              \
    } while (0)

#endif
