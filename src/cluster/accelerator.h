/* accelerator: which GPUs this process can use, and why not where it cannot; for doctor and records. */
#ifndef WS_CLUSTER_ACCELERATOR_H
#define WS_CLUSTER_ACCELERATOR_H

#include "core/core.h"

enum { WS_ACCELERATORS_SHOWN = 16 };
typedef struct ws_accelerators {
    bool built;                   /* this program was built with the CUDA Toolkit */
    bool built_nccl;              /* and with NCCL */
    char toolkit[32], driver[32]; /* "13.0"; driver: newest CUDA it serves; "" where there is none */
    char cublas[32], nccl[32];    /* versions of the libraries found when looking; "" where they cannot be loaded */
    int count;                    /* devices that can be used; the first WS_ACCELERATORS_SHOWN are described */
    struct {
        char name[128];
        char capability[16]; /* "9.0" */
        uint64_t memory_bytes;
        char uuid[16];
    } devices[WS_ACCELERATORS_SHOWN];
    bool reaches[WS_ACCELERATORS_SHOWN]
                [WS_ACCELERATORS_SHOWN]; /* the memory of another directly, not through the host */
    char reason[256];                    /* why count is 0 */
} ws_accelerators;
void ws_accelerators_look(ws_accelerators *out);
/* WS_E_CUDA, with the reason, where there is none: what all that need one say. */
WS_MUST ws_err ws_accelerators_need(const ws_accelerators *gpu);

#endif
