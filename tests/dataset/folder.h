/* A folder of a test's own under /tmp, shared by all ranks, and the world they are. Included behind cmocka.h. */
#ifndef WS_TESTS_DATASET_FOLDER_H
#define WS_TESTS_DATASET_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include "storage/storage.h"

static ws_comm world = {.size = 1}; /* set by the main of tests that start MPI */
static char folder[64];

static inline void ok(ws_err error)
{
    if (error != WS_OK)
        fail_msg("%s (%s)\n%s", ws_error_message(), ws_error_hint(), ws_error_trace());
}

/* The last eight results stay. */
static inline const char *in_folder(const char *name)
{
    static char out[8][128];
    static int next;
    next = (next + 1) % 8;
    snprintf(out[next], sizeof out[next], "%s/%s", folder, name);
    return out[next];
}

/* For set-up and tear-down of a group. */
static inline int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/wiresweep_test_XXXXXX");
    if (world.rank == 0 && mkdtemp(folder) == NULL)
        return -1;
    if (world.size > 1)
        ok(ws_broadcast_all(&world, folder, sizeof folder, 0));
    return 0;
}

static inline int remove_folder(void **state)
{
    (void)state;
    if (world.size > 1)
        ok(ws_barrier_all(&world));
    if (world.rank == 0)
        ok(ws_directory_remove(folder));
    return 0;
}

#endif
