/* batch, inside the room: texts that are built in, and other programs' answers. */
#ifndef WS_BATCH_INTERNAL_H
#define WS_BATCH_INTERNAL_H

#include <sys/types.h>
#include "batch/batch.h"
#include "batch/batch_texts.h"

/* ---- call.c: other programs ---- */
typedef struct ws_answer {
    ws_text output, errors;
    int status;    /* as waitpid gives it */
    bool found;    /* the program is there */
    bool too_late; /* it was ended for taking too long */
} ws_answer;
/* Runs the words (NULL-terminated) without input and without what an MPI launcher told this process; seconds: 0 for no limit.
 * Only what has nothing to do with the program is an error. Destroy *out in any case. */
WS_MUST ws_err ws_call(const char *const words[], double seconds, ws_answer *out);
void ws_answer_destroy(ws_answer *answer);
bool ws_answer_is_good(const ws_answer *answer); /* ended with status 0 */
/* posix_spawnp in an environment without what an MPI launcher told this process; actions may be NULL. 0, or what is wrong. */
int ws_spawn(const char *const words[], const void *actions, pid_t *process);

#endif
