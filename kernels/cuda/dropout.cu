/* dropout: a thread draws one block of random words and decides on its four elements. */
#include "queue.h"
#include "dropout.h"

static __global__ void drop(int64_t B, int64_t width, uint32_t threshold, float scale, ws_random_source random,
                            bool accumulate, const float *from, float *to)
{
    int64_t tiles = (width + WS_DROPOUT_TILE - 1) / WS_DROPOUT_TILE, blocks = tiles * WS_DROPOUT_LANES;
    for (WS_EACH(i, B * blocks)) {
        int64_t b = i / blocks, block = i % blocks;
        uint32_t word[4] = {0, 0, 0, 0};
        if (random.active)
            ws_random_block(random.seed, WS_RANDOM_DROPOUT, random.stream, WS_RANDOM_STEP(random),
                            WS_RANDOM_ROW(random) + (uint64_t)b, (uint32_t)block, word);
        int64_t element = block / WS_DROPOUT_LANES * WS_DROPOUT_TILE + block % WS_DROPOUT_LANES;
        for (int w = 0; w < 4 && element < width; w++, element += WS_DROPOUT_LANES) {
            float factor = !random.active ? 1.0f : word[w] < threshold ? 0.0f : scale;
            float value = from[b * width + element] * factor;
            to[b * width + element] = accumulate ? to[b * width + element] + value : value;
        }
    }
}

static void launch(const ws_dropout_arguments *a, void *queue_, bool accumulate, const float *from, float *to)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    int64_t tiles = (a->width + WS_DROPOUT_TILE - 1) / WS_DROPOUT_TILE;
    WS_LAUNCH(queue, drop, ws_blocks(a->B * tiles * WS_DROPOUT_LANES, WS_BLOCK), WS_BLOCK, a->B, a->width,
              ws_dropout_threshold(a->rate), ws_dropout_scale(a->rate), a->random, accumulate, from, to);
}

extern "C" void ws_dropout_forward_cuda(const ws_dropout_arguments *a, void *queue)
{
    launch(a, queue, false, a->x, a->y);
}

extern "C" void ws_dropout_backward_cuda(const ws_dropout_arguments *a, void *queue)
{
    if (a->dx != NULL)
        launch(a, queue, a->accumulate_dx, a->dy, a->dx);
}
