/* What the simulated devices are for: a kernel without a barrier that it needs gives wrong numbers in one launch or another, and one
 * with its barriers never does. */
#include <cstdio>
#include "cuda/queue.h"

enum { THREADS = 96, LAUNCHES = 20 };

static __global__ void shift(const int *from, bool waits, int *to)
{
    __shared__ int values[THREADS];
    values[threadIdx.x] = from[threadIdx.x];
    if (waits)
        __syncthreads();
    to[threadIdx.x] = values[threadIdx.x == 0 ? 0 : threadIdx.x - 1]; /* there already, if threads ran in their order */
}

static int wrong_launches(ws_cuda_queue *queue, bool waits)
{
    static int from[THREADS], to[THREADS];
    int wrong = 0;
    for (int launch = 0; launch < LAUNCHES; launch++) {
        for (int i = 0; i < THREADS; i++)
            from[i] = launch * THREADS + i;
        WS_START(queue, shift, 1, THREADS, from, waits, to);
        cudaStreamSynchronize(queue->stream);
        bool right = true;
        for (int i = 0; i < THREADS; i++)
            right = right && to[i] == from[i == 0 ? 0 : i - 1];
        wrong += !right;
    }
    return wrong;
}

int main()
{
    ws_cuda_queue queue = {};
    cudaStreamCreateWithFlags(&queue.stream, cudaStreamNonBlocking);
    const int with = wrong_launches(&queue, true), without = wrong_launches(&queue, false);
    cudaStreamDestroy(queue.stream);
    printf("wrong launches of %d: %d with the barrier, %d without it\n", (int)LAUNCHES, with, without);
    return with == 0 && without > 0 ? 0 : 1;
}
