/* A kernel that oversteps its shared memory, for test_oversteps.sh, which wants the address sanitizer to end it. Without an argument it
 * stays inside. */
#include <cstdio>
#include <cstring>
#include "cuda/queue.h"

enum { THREADS = 64 };

static __global__ void reverse(int *values, int further)
{
    __shared__ int held[THREADS];
    int *at = held + threadIdx.x; /* of which no array is known any more */
    at[further] = values[threadIdx.x];
    __syncthreads();
    values[threadIdx.x] = held[THREADS - 1 - threadIdx.x];
}

template <int COUNT> static __global__ void reverse_rows(int *values, int further)
{
    __shared__ int held[2][COUNT];
    int(*rows)[COUNT] = held;
    rows[0][threadIdx.x + further] = values[threadIdx.x]; /* into the other row */
    __syncthreads();
    values[threadIdx.x] = held[0][COUNT - 1 - threadIdx.x];
}

int main(int argc, char **argv)
{
    static int values[THREADS];
    const bool rows = argc > 1 && strcmp(argv[1], "rows") == 0;
    ws_cuda_queue queue = {};
    cudaStreamCreateWithFlags(&queue.stream, cudaStreamNonBlocking);
    for (int i = 0; i < THREADS; i++)
        values[i] = i;
    if (rows)
        WS_START(&queue, reverse_rows<THREADS>, 1, THREADS, values, 1);
    else
        WS_START(&queue, reverse, 1, THREADS, values, argc > 1 ? 1 : 0);
    cudaStreamSynchronize(queue.stream);
    cudaStreamDestroy(queue.stream);
    printf("first: %d\n", values[0]);
    return values[0] == THREADS - 1 ? 0 : 1;
}
