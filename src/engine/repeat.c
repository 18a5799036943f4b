/* Work that is captured and replayed: the models are small, and giving a device its kernels one by one costs more time than they
 * take. */
#include "device.h"
#include "engine/engine.h"

void ws_repeat_run(ws_repeat *r, const ws_place *place, ws_work work, void *context)
{
    const ws_device *device = place->device;
    if (r->graph) {
        device->replay(place->queue, r->graph);
        return;
    }
    if (!r->warm || r->refused || !device->capture) {
        work(context);
        r->warm = true;
        return;
    }
    const bool kept = device->capture(place->queue);
    work(context); /* done here and now where it is not kept; a second time would add to earlier sums again */
    r->graph = kept ? device->captured(place->queue) : NULL;
    r->refused = !r->graph;
    if (r->graph)
        device->replay(place->queue, r->graph);
    else if (kept)
        work(context);
}

void ws_repeat_forget(ws_repeat *r, const ws_place *place)
{
    if (r->graph)
        place->device->forget(place->queue, r->graph);
    *r = (ws_repeat){.warm = false};
}
