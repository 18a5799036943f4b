/* Matrix products by cuBLASLt. A queue asks once for the algorithm of a product's shape and keeps the answer, so that no step
 * searches and every step takes the same one. Split sums go through the workspace and are added in a fixed order.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "queue.h"

enum {
    WORKSPACE_BYTES = 32 << 20,
    MOST_ALIGNMENT = 256
}; /* what NVIDIA advises for Hopper; what cuBLASLt asks about at most */

/* What an algorithm is chosen for. */
typedef struct product_key {
    int64_t count, M, N, K;
    uint32_t left, right, out; /* bytes that the matrices are aligned to */
    bool transpose_left, transpose_right, bf16, accumulate, bias;
} product_key;

typedef struct chosen_product {
    product_key key;
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t left, right, out;
    cublasLtMatmulAlgo_t algorithm;
    size_t workspace;
} chosen_product;

struct ws_cuda_products {
    cublasLtHandle_t handle;
    void *workspace;
    chosen_product *chosen;
    size_t count, room;
};

/* ---- cuBLASLt, loaded once ---- */

#define WS_BLAS_CALLS(CALL)                                                                                            \
    CALL(cublasLtCreate)                                                                                               \
    CALL(cublasLtDestroy)                                                                                              \
    CALL(cublasLtGetStatusString)                                                                                      \
    CALL(cublasLtMatmul)                                                                                               \
    CALL(cublasLtMatmulAlgoGetHeuristic)                                                                               \
    CALL(cublasLtMatmulDescCreate)                                                                                     \
    CALL(cublasLtMatmulDescDestroy)                                                                                    \
    CALL(cublasLtMatmulDescSetAttribute)                                                                               \
    CALL(cublasLtMatmulPreferenceCreate)                                                                               \
    CALL(cublasLtMatmulPreferenceDestroy)                                                                              \
    CALL(cublasLtMatmulPreferenceSetAttribute)                                                                         \
    CALL(cublasLtMatrixLayoutCreate)                                                                                   \
    CALL(cublasLtMatrixLayoutDestroy)                                                                                  \
    CALL(cublasLtMatrixLayoutSetAttribute)

static struct {
#define POINTER(name) decltype(&name) name##_;
    WS_BLAS_CALLS(POINTER)
#undef POINTER
} blas;

#ifndef WS_CUBLASLT_FILE
#define WS_TEXT(number) #number
#define WS_TEXT_OF(number) WS_TEXT(number)
#define WS_CUBLASLT_FILE "libcublasLt.so." WS_TEXT_OF(CUBLAS_VER_MAJOR)
#endif

static pthread_once_t blas_once = PTHREAD_ONCE_INIT;
static char blas_missing[256]; /* why it could not be loaded; "" when it was */

/* Not linked: linking it costs every start of the program about 90 ms, and without it the program would not start at all. */
static void load_blas(void)
{
    void *library = dlopen(WS_CUBLASLT_FILE, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        snprintf(blas_missing, sizeof blas_missing, "%s", dlerror());
        return;
    }
#define LOAD(call)                                                                                                     \
    blas.call##_ = (decltype(&call))dlsym(library, #call);                                                             \
    if (blas.call##_ == NULL && blas_missing[0] == '\0')                                                               \
        snprintf(blas_missing, sizeof blas_missing, "it has no " #call);
    WS_BLAS_CALLS(LOAD)
#undef LOAD
}

/* false, with the fault kept in the queue, where the call failed */
static bool went_well(ws_cuda_queue *queue, cublasStatus_t status, const char *what)
{
    if (status != CUBLAS_STATUS_SUCCESS && queue->fault[0] == '\0')
        snprintf(queue->fault, sizeof queue->fault, "%s: %s", what, blas.cublasLtGetStatusString_(status));
    return status == CUBLAS_STATUS_SUCCESS;
}

ws_err ws_cuda_products_open(ws_cuda_queue *queue)
{
    pthread_once(&blas_once, load_blas);
    if (blas_missing[0] != '\0') {
        ws_err error = WS_ERROR(CUDA, "cuBLASLt cannot be loaded: %s", blas_missing);
        WS_HINT("install libcublas from NVIDIA's package repository, or set LD_LIBRARY_PATH to where it is");
        return error;
    }
    queue->products = (ws_cuda_products *)calloc(1, sizeof *queue->products);
    WS_CHECK(queue->products != NULL, MEMORY, "no memory for the products of a CUDA queue");
    ws_cuda_note(queue, cudaMalloc(&queue->products->workspace, WORKSPACE_BYTES), "cudaMalloc");
    (void)went_well(queue, blas.cublasLtCreate_(&queue->products->handle), "cublasLtCreate");
    return WS_OK;
}

static void forget(chosen_product *chosen)
{
    if (chosen->operation != NULL)
        blas.cublasLtMatmulDescDestroy_(chosen->operation);
    cublasLtMatrixLayout_t layouts[] = {chosen->left, chosen->right, chosen->out};
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
        if (layouts[i] != NULL)
            blas.cublasLtMatrixLayoutDestroy_(layouts[i]);
}

void ws_cuda_products_close(ws_cuda_queue *queue)
{
    ws_cuda_products *products = queue->products;
    if (products == NULL)
        return;
    for (size_t i = 0; i < products->count; i++)
        forget(&products->chosen[i]);
    if (products->handle != NULL)
        blas.cublasLtDestroy_(products->handle);
    cudaFree(products->workspace);
    free(products->chosen);
    free(products);
    queue->products = NULL;
}

/* ---- choosing ---- */

static bool make_layout(ws_cuda_queue *queue, cublasLtMatrixLayout_t *layout, cudaDataType type, int64_t rows,
                        int64_t columns, int64_t count)
{
    const int32_t matrices = (int32_t)count;
    const int64_t stride = rows * columns;
    return went_well(queue, blas.cublasLtMatrixLayoutCreate_(layout, type, (uint64_t)rows, (uint64_t)columns, rows),
                     "cublasLtMatrixLayoutCreate") &&
           went_well(queue,
                     blas.cublasLtMatrixLayoutSetAttribute_(*layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &matrices,
                                                            sizeof matrices),
                     "number of matrices") &&
           went_well(queue,
                     blas.cublasLtMatrixLayoutSetAttribute_(*layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                                            &stride, sizeof stride),
                     "distance of matrices");
}

static bool set_operation(ws_cuda_queue *queue, cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t which,
                          const void *value, size_t bytes)
{
    return went_well(queue, blas.cublasLtMatmulDescSetAttribute_(operation, which, value, bytes),
                     "cublasLtMatmulDescSetAttribute");
}

/* cuBLASLt reads matrices by column: a row-major [M,N] is its [N,M], so out = left right is asked for as its transpose,
 * right^T left^T. */
static bool describe(ws_cuda_queue *queue, const product_key *key, const float *bias, chosen_product *chosen)
{
    const cudaDataType factor = key->bf16 ? CUDA_R_16BF : CUDA_R_32F;
    const int32_t first = key->transpose_right ? CUBLAS_OP_T : CUBLAS_OP_N,
                  second = key->transpose_left ? CUBLAS_OP_T : CUBLAS_OP_N;
    const uint32_t epilogue = key->bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    return went_well(queue, blas.cublasLtMatmulDescCreate_(&chosen->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                     "cublasLtMatmulDescCreate") &&
           set_operation(queue, chosen->operation, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first) &&
           set_operation(queue, chosen->operation, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second) &&
           set_operation(queue, chosen->operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue) &&
           (!key->bias ||
            set_operation(queue, chosen->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias)) &&
           make_layout(queue, &chosen->right, factor, key->transpose_right ? key->K : key->N,
                       key->transpose_right ? key->N : key->K, key->count) &&
           make_layout(queue, &chosen->left, factor, key->transpose_left ? key->M : key->K,
                       key->transpose_left ? key->K : key->M, key->count) &&
           make_layout(queue, &chosen->out, CUDA_R_32F, key->N, key->M, key->count);
}

static bool prefer(ws_cuda_queue *queue, cublasLtMatmulPreference_t preference, const product_key *key)
{
    const uint64_t workspace = WORKSPACE_BYTES;
    const uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE; /* apart from none, which is always allowed */
    const struct {
        cublasLtMatmulPreferenceAttributes_t which;
        const void *value;
        size_t bytes;
    } wishes[] = {{CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace},
                  {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction, sizeof reduction},
                  {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &key->right, sizeof key->right},
                  {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &key->left, sizeof key->left},
                  {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &key->out, sizeof key->out},
                  {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &key->out, sizeof key->out}};
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++)
        if (!went_well(queue,
                       blas.cublasLtMatmulPreferenceSetAttribute_(preference, wishes[i].which, wishes[i].value,
                                                                  wishes[i].bytes),
                       "cublasLtMatmulPreferenceSetAttribute"))
            return false;
    return true;
}

static bool choose(ws_cuda_queue *queue, const product_key *key, chosen_product *chosen)
{
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t best = {};
    int found = 0;
    bool well = went_well(queue, blas.cublasLtMatmulPreferenceCreate_(&preference), "cublasLtMatmulPreferenceCreate") &&
                prefer(queue, preference, key) &&
                went_well(queue,
                          blas.cublasLtMatmulAlgoGetHeuristic_(queue->products->handle, chosen->operation,
                                                               chosen->right, chosen->left, chosen->out, chosen->out,
                                                               preference, 1, &best, &found),
                          "cublasLtMatmulAlgoGetHeuristic");
    if (preference != NULL)
        blas.cublasLtMatmulPreferenceDestroy_(preference);
    if (well && found == 0 && queue->fault[0] == '\0')
        snprintf(queue->fault, sizeof queue->fault, "cuBLASLt has no algorithm for %lld x %lld x %lld",
                 (long long)key->M, (long long)key->N, (long long)key->K);
    chosen->algorithm = best.algo;
    chosen->workspace = best.workspaceSize;
    return well && found > 0;
}

/* NULL, with the fault kept in the queue, where there is none. */
static const chosen_product *find_product(ws_cuda_queue *queue, const product_key *key, const float *bias)
{
    ws_cuda_products *products = queue->products;
    for (size_t i = 0; i < products->count; i++)
        if (memcmp(&products->chosen[i].key, key, sizeof *key) == 0)
            return &products->chosen[i];
    if (products->count == products->room) {
        const size_t room = products->room > 0 ? 2 * products->room : 64;
        void *more = realloc(products->chosen, room * sizeof *products->chosen);
        if (more == NULL) {
            snprintf(queue->fault, sizeof queue->fault, "no memory for %zu matrix products", room);
            return NULL;
        }
        products->chosen = (chosen_product *)more;
        products->room = room;
    }
    chosen_product *chosen = &products->chosen[products->count];
    memset(chosen, 0, sizeof *chosen);
    chosen->key = *key;
    if (!describe(queue, key, bias, chosen) || !choose(queue, key, chosen)) {
        forget(chosen);
        return NULL;
    }
    products->count++;
    return chosen;
}

/* ---- multiplying ---- */

static uint32_t alignment(const void *memory)
{
    const uintptr_t lowest = (uintptr_t)memory & -(uintptr_t)memory;
    return lowest > MOST_ALIGNMENT ? (uint32_t)MOST_ALIGNMENT : (uint32_t)lowest;
}

void ws_cuda_multiply(ws_cuda_queue *queue, const ws_cuda_product *product, const void *left, const void *right,
                      float *out)
{
    product_key key;
    memset(&key, 0, sizeof key); /* keys are compared as bytes */
    key.count = product->count > 0 ? product->count : 1;
    key.M = product->M;
    key.N = product->N;
    key.K = product->K;
    key.left = alignment(left);
    key.right = alignment(right);
    key.out = alignment(out);
    key.transpose_left = product->transpose_left;
    key.transpose_right = product->transpose_right;
    key.bf16 = product->bf16;
    key.accumulate = product->accumulate;
    key.bias = product->bias != NULL;
    const chosen_product *chosen = find_product(queue, &key, product->bias);
    if (chosen == NULL)
        return;
    const float one = 1, beta = product->accumulate ? 1 : 0;
    if (key.bias && !set_operation(queue, chosen->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &product->bias,
                                   sizeof product->bias))
        return;
    (void)went_well(queue,
                    blas.cublasLtMatmul_(queue->products->handle, chosen->operation, &one, right, chosen->right, left,
                                         chosen->left, &beta, out, chosen->out, out, chosen->out, &chosen->algorithm,
                                         queue->products->workspace, chosen->workspace, queue->stream),
                    "cublasLtMatmul");
}

const void *ws_cuda_factor(ws_cuda_queue *queue, bool bf16, const float *factor, int64_t count, float **next)
{
    if (!bf16)
        return factor;
    uint16_t *rounded = (uint16_t *)*next;
    const ws_round_arguments a = {(size_t)count, factor, rounded};
    ws_round_cuda(&a, queue);
    *next += ws_bf16_room(count);
    return rounded;
}
