/* Which GPU is whose. Every rank needs one of its own; nothing is opened here. */
#include <stdio.h>
#include <stdlib.h>
#include "cluster/cluster.h"

typedef struct seen {
    char uuid[16], name[128];
    int32_t index, count;
} seen;

static ws_err look(const ws_comm *machine, seen *own)
{
    ws_accelerators gpu;
    ws_accelerators_look(&gpu);
    *own = (seen){.count = gpu.count};
    WS_TRY(ws_accelerators_need(&gpu));
    const int shown = gpu.count < WS_ACCELERATORS_SHOWN ? gpu.count : (int)WS_ACCELERATORS_SHOWN;
    own->index = machine->rank % shown;
    memcpy(own->uuid, gpu.devices[own->index].uuid, sizeof own->uuid);
    memcpy(own->name, gpu.devices[own->index].name, sizeof own->name);
    return WS_OK;
}

/* Two ranks with one device: there are too few, or all ranks are shown the same ones. */
static ws_err check(const ws_comm *machine, const seen *own, const seen *all)
{
    for (int rank = 0; rank < machine->rank; rank++) {
        if (memcmp(all[rank].uuid, own->uuid, sizeof own->uuid) != 0)
            continue;
        ws_err error = WS_ERROR(CUDA, "%s: %d ranks, but this one sees %d GPU%s and would share one with another rank",
                                ws_host_name(), machine->size, own->count, own->count == 1 ? "" : "s");
        WS_HINT("start one rank for each GPU; CUDA_VISIBLE_DEVICES and Slurm's --gpus-per-task decide which ones a "
                "rank sees");
        return error;
    }
    return WS_OK;
}

ws_err ws_device_choose_all(const ws_comm *comm, int *device, char name[128])
{
    ws_comm machine;
    seen own, *all = NULL;
    WS_TRY(ws_comm_machine_all(comm, &machine));
    ws_err error = ws_agree_all(comm, look(&machine, &own));
    if (error == WS_OK)
        error = ws_agree_all(comm, WS_NEW_ARRAY(all, (size_t)machine.size));
    if (error == WS_OK)
        error = ws_agree_all(comm, ws_gather_equal_all(&machine, &own, sizeof own, all));
    if (error == WS_OK)
        error = ws_agree_all(comm, check(&machine, &own, all));
    free(all);
    ws_comm_destroy(&machine);
    WS_TRY(error);
    *device = own.index;
    memcpy(name, own.name, sizeof own.name);
    return WS_OK;
}
