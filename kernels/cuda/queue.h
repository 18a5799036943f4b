/* The CUDA back end's queue, and what its kernels share: launching, and sums in a fixed order.
 *
 * Sums never use atomics: every partial sum belongs to one thread, and partial sums are added in an order that depends
 * on the shape only, so two runs give the same bits on one kind of device.
 */
#ifndef WS_KERNELS_CUDA_QUEUE_H
#define WS_KERNELS_CUDA_QUEUE_H

#include <cublasLt.h>
#include <cuda_runtime.h>

extern "C" {
#include "arguments.h"
#include "device.h"
}
#include "scalar.h"

typedef struct ws_cuda_products ws_cuda_products; /* gemm.cu */

typedef struct ws_cuda_queue {
    int device;
    cudaStream_t stream;
    ws_cuda_products
        *products; /* with a workspace of their own, so that no choice of algorithm depends on other queues */
    /* the first fault since the last wait */
    char fault[256];
    bool faulty; /* there was one when capturing began */
} ws_cuda_queue;

/* The queue of a kernel call; makes its device the thread's current one. */
ws_cuda_queue *ws_cuda_enter(void *queue);
void ws_cuda_note(ws_cuda_queue *queue, cudaError_t status, const char *what);
ws_err ws_cuda_take_fault(ws_cuda_queue *queue); /* the first one, which is forgotten */

/* order.cu, in the order of ws_device */
ws_err ws_cuda_open_beside(void **queue, void *of);
void ws_cuda_copy(void *queue, void *to, const void *from, size_t bytes);
void ws_cuda_memory(void *queue, size_t *unused, size_t *whole);
ws_err ws_cuda_mark_create(void *queue, void **mark);
void ws_cuda_mark_destroy(void *queue, void *mark);
void ws_cuda_mark_set(void *queue, void *mark);
void ws_cuda_follow(void *queue, void *mark);
void ws_cuda_wait_mark(void *queue, void *mark);
bool ws_cuda_reached(void *queue, void *mark);
bool ws_cuda_capture(void *queue);
void *ws_cuda_captured(void *queue);
void ws_cuda_replay(void *queue, void *graph);
void ws_cuda_forget(void *queue, void *graph);
#define WS_CUDA_ORDER                                                                                                  \
    ws_cuda_open_beside, ws_cuda_copy, ws_cuda_memory, ws_cuda_mark_create, ws_cuda_mark_destroy, ws_cuda_mark_set,    \
        ws_cuda_follow, ws_cuda_wait_mark, ws_cuda_reached, ws_cuda_capture, ws_cuda_captured, ws_cuda_replay,         \
        ws_cuda_forget

/* out[M,N] (+)= left x right, row-major; left is [M,K], or [K,M] read transposed; right is [K,N], or [N,K] transposed. */
typedef struct ws_cuda_product {
    bool transpose_left, transpose_right;
    int64_t M, N, K;
    int64_t count;     /* of matrices that lie one behind the other; 0: one */
    bool bf16;         /* the factors are of ws_cuda_factor's kind; sums are float */
    bool accumulate;   /* add to out */
    const float *bias; /* [N], added to every row; or NULL */
} ws_cuda_product;
void ws_cuda_multiply(ws_cuda_queue *queue, const ws_cuda_product *product, const void *left, const void *right,
                      float *out);
/* One product of factors as they are. */
static inline void ws_cuda_gemm(ws_cuda_queue *queue, bool transpose_left, bool transpose_right, int64_t M, int64_t N,
                                int64_t K, const float *left, const float *right, bool accumulate, float *out)
{
    const ws_cuda_product product = {transpose_left, transpose_right, M, N, K, 1, false, accumulate, NULL};
    ws_cuda_multiply(queue, &product, left, right, out);
}
/* The factor of a product: as it is, or with bf16 its copy of 16-bit numbers at *next, which then points behind it. */
const void *ws_cuda_factor(ws_cuda_queue *queue, bool bf16, const float *factor, int64_t count, float **next);
extern "C" {
WS_DECLARE_PLAIN_KERNEL(round, cuda)
}
ws_err ws_cuda_products_open(ws_cuda_queue *queue);
void ws_cuda_products_close(ws_cuda_queue *queue);

/* Without nvcc, the tests compile these sources for the host against an emulation of the launch model. */
#ifdef __CUDACC__
#define WS_START(queue, kernel, blocks, threads, ...) kernel<<<(blocks), (threads), 0, (queue)->stream>>>(__VA_ARGS__)
#else
#define WS_START(queue, kernel, blocks, threads, ...)                                                                  \
    ws_emulate((queue)->stream, (blocks), (threads), kernel, __VA_ARGS__)
#endif
#define WS_LAUNCH(queue, kernel, blocks, threads, ...)                                                                 \
    do {                                                                                                               \
        WS_START(queue, kernel, blocks, threads, __VA_ARGS__);                                                         \
        ws_cuda_note((queue), cudaGetLastError(), #kernel);                                                            \
    } while (0)

/* Before a loop whose arrays are to lie in registers. */
#ifdef __CUDACC__
#define WS_UNROLL _Pragma("unroll")
#else
#define WS_UNROLL
#endif

enum { WS_BLOCK = 256, WS_WARP = 32, WS_ROWS_A_BLOCK = WS_BLOCK / WS_WARP, WS_MOST_BLOCKS = 1 << 16 };

/* Blocks for `count` threads' worth of work; kernels stride over what is beyond. */
static inline unsigned ws_blocks(int64_t count, int64_t a_block)
{
    const int64_t blocks = (count + a_block - 1) / a_block, most = WS_MOST_BLOCKS;
    return (unsigned)(blocks < 1 ? 1 : blocks > most ? most : blocks);
}

/* for (int64_t i = ...) over all elements, one a thread and round */
#define WS_EACH(i, count)                                                                                              \
    int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;                                                        \
    i < (count);                                                                                                       \
    i += (int64_t)gridDim.x * blockDim.x

/* Every lane gets the sum over the warp (butterfly). */
template <typename T> static __device__ __forceinline__ T ws_warp_sum(T value)
{
    for (int distance = WS_WARP / 2; distance > 0; distance /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, distance);
    return value;
}
__device__ __forceinline__ float ws_warp_max(float value)
{
    for (int distance = WS_WARP / 2; distance > 0; distance /= 2)
        value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, distance));
    return value;
}

/* Every thread of a block of WS_BLOCK gets the block's sum. */
template <typename T> static __device__ __forceinline__ T ws_block_sum(T value)
{
    __shared__ T of_warp[WS_ROWS_A_BLOCK];
    value = ws_warp_sum(value);
    __syncthreads(); /* an earlier sum may still be read */
    if (threadIdx.x % WS_WARP == 0)
        of_warp[threadIdx.x / WS_WARP] = value;
    __syncthreads();
    T sum = of_warp[0];
    for (int warp = 1; warp < WS_ROWS_A_BLOCK; warp++)
        sum += of_warp[warp];
    return sum;
}

/* Rows [begin, end) of part `part` of `parts`, for column sums. */
__device__ __forceinline__ void ws_part_rows(int64_t rows, int64_t parts, int64_t part, int64_t *begin, int64_t *end)
{
    *begin = rows * part / parts;
    *end = rows * (part + 1) / parts;
}
static inline int64_t ws_column_parts(int64_t rows)
{
    const int64_t most = WS_COLUMN_PARTS;
    return rows < most ? rows : most;
}
/* total[n] = sum over parts of partial[part, n], in order of the parts */
void ws_cuda_sum_parts(ws_cuda_queue *queue, int64_t parts, int64_t N, const float *partial, float *total);

#endif
