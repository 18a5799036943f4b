/* cuBLASLt's products on the host. What a caller may get wrong is refused: sizes that do not fit, matrices that overlap their
 * neighbours, pointers less aligned than the algorithm was asked for, a workspace too small. */
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>
#include "cublasLt.h"
#include "streams.h"

enum { WORKSPACE_BYTES = 4096 };

struct ws_emulated_operation {
    int32_t of_a, of_b;
    uint32_t epilogue;
    const float *bias;
};

struct ws_emulated_layout {
    cudaDataType type;
    int64_t rows, columns, distance, stride;
    int32_t count;
};

struct ws_emulated_preference {
    uint64_t workspace;
    uint32_t reduction, alignment[4];
};

static cublasStatus_t store(void *to, size_t size, const void *value, size_t bytes)
{
    if (size != bytes)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}
#define STORE(field) store(&(field), sizeof(field), value, bytes)

/* A matrix after its operation. */
static int64_t rows_of(const ws_emulated_layout *layout, int32_t operation)
{
    return operation == CUBLAS_OP_N ? layout->rows : layout->columns;
}

static int64_t columns_of(const ws_emulated_layout *layout, int32_t operation)
{
    return operation == CUBLAS_OP_N ? layout->columns : layout->rows;
}

static float element(const void *matrix, const ws_emulated_layout &layout, int64_t at)
{
    if (layout.type == CUDA_R_32F)
        return ((const float *)matrix)[at];
    const uint32_t bits = (uint32_t)((const uint16_t *)matrix)[at] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A matrix after its operation, column by column. */
static void unpack(const void *matrix, const ws_emulated_layout &layout, int32_t operation, int64_t number, double *out)
{
    const int64_t rows = rows_of(&layout, operation), columns = columns_of(&layout, operation);
    const int64_t row_step = operation == CUBLAS_OP_N ? 1 : layout.distance,
                  column_step = operation == CUBLAS_OP_N ? layout.distance : 1;
    for (int64_t column = 0; column < columns; column++)
        for (int64_t row = 0; row < rows; row++)
            *out++ = element(matrix, layout, number * layout.stride + column * column_step + row * row_step);
}

static bool sound(const ws_emulated_layout *layout)
{
    return layout->distance >= layout->rows && layout->count > 0 &&
           (layout->count == 1 || layout->stride >= layout->distance * layout->columns);
}

static bool fits(const ws_emulated_operation *operation, const ws_emulated_layout *a, const ws_emulated_layout *b,
                 const ws_emulated_layout *c)
{
    return sound(a) && sound(b) && sound(c) && a->type == b->type && c->type == CUDA_R_32F && a->count == c->count &&
           b->count == c->count && rows_of(a, operation->of_a) == c->rows &&
           columns_of(b, operation->of_b) == c->columns &&
           columns_of(a, operation->of_a) == rows_of(b, operation->of_b);
}

/* D = op(A) op(B) + beta C + bias, by column; C is not read when beta is 0 */
static void multiply(const ws_emulated_operation &operation, const void *A, const ws_emulated_layout &of_a,
                     const void *B, const ws_emulated_layout &of_b, float beta, const float *C, float *D,
                     const ws_emulated_layout &of_d)
{
    const bool adds_bias = operation.epilogue == CUBLASLT_EPILOGUE_BIAS;
    const int64_t K = columns_of(&of_a, operation.of_a);
    std::vector<double> a((size_t)(of_d.rows * K)), b((size_t)(of_d.columns * K)), sums((size_t)of_d.rows);
    for (int64_t number = 0; number < of_d.count; number++) {
        unpack(A, of_a, operation.of_a, number, a.data());
        unpack(B, of_b, operation.of_b, number, b.data());
        for (int64_t column = 0; column < of_d.columns; column++) {
            std::fill(sums.begin(), sums.end(), 0.0);
            for (int64_t i = 0; i < K; i++) {
                const double factor = b[(size_t)(column * K + i)], *of_i = &a[(size_t)(i * of_d.rows)];
                for (int64_t row = 0; row < of_d.rows; row++)
                    sums[(size_t)row] += of_i[row] * factor;
            }
            for (int64_t row = 0; row < of_d.rows; row++) {
                const int64_t at = number * of_d.stride + column * of_d.distance + row;
                const float before = beta == 0 ? 0 : beta * C[at];
                D[at] = (float)sums[(size_t)row] + before + (adds_bias ? operation.bias[row] : 0);
            }
        }
    }
}

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    *handle = (cublasLtHandle_t)calloc(1, 1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
    free(handle);
    return CUBLAS_STATUS_SUCCESS;
}

const char *cublasLtGetStatusString(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_SUCCESS         ? "success"
           : status == CUBLAS_STATUS_NOT_SUPPORTED ? "not supported"
                                                   : "invalid value";
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t operation, const void *alpha, const void *A,
                              cublasLtMatrixLayout_t of_a, const void *B, cublasLtMatrixLayout_t of_b,
                              const void *beta_, const void *C, cublasLtMatrixLayout_t of_c, void *D,
                              cublasLtMatrixLayout_t of_d, const cublasLtMatmulAlgo_t *algorithm, void *, size_t bytes,
                              cudaStream_t stream)
{
    const float beta = *(const float *)beta_;
    const void *matrices[] = {A, B, C, D};
    for (int i = 0; i < 4; i++)
        if (algorithm->data[i] == 0 || (uintptr_t)matrices[i] % algorithm->data[i] != 0)
            return CUBLAS_STATUS_INVALID_VALUE;
    if (!fits(operation, of_a, of_b, of_d) || of_c != of_d || bytes < WORKSPACE_BYTES || *(const float *)alpha != 1)
        return CUBLAS_STATUS_INVALID_VALUE;
    const ws_emulated_operation what = *operation;
    const ws_emulated_layout a = *of_a, b = *of_b, d = *of_d;
    ws_emulate_do(stream, [=] { multiply(what, A, a, B, b, beta, (const float *)C, (float *)D, d); });
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t of_a, cublasLtMatrixLayout_t of_b,
                                              cublasLtMatrixLayout_t of_c, cublasLtMatrixLayout_t of_d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t *results, int *found)
{
    *found = 0;
    if (wanted < 1 || of_c != of_d || !fits(operation, of_a, of_b, of_d))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (preference->workspace < WORKSPACE_BYTES)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    memset(results, 0, sizeof *results);
    for (int i = 0; i < 4; i++)
        results->algo.data[i] = preference->alignment[i];
    results->workspaceSize = WORKSPACE_BYTES;
    *found = 1;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *operation, cublasComputeType_t, cudaDataType_t)
{
    *operation = (cublasLtMatmulDesc_t)calloc(1, sizeof **operation);
    (*operation)->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation)
{
    free(operation);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t which,
                                              const void *value, size_t bytes)
{
    switch (which) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        return STORE(operation->of_a);
    case CUBLASLT_MATMUL_DESC_TRANSB:
        return STORE(operation->of_b);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return STORE(operation->epilogue);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        return STORE(operation->bias);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference)
{
    *preference = (cublasLtMatmulPreference_t)calloc(1, sizeof **preference);
    for (uint32_t &alignment : (*preference)->alignment)
        alignment = 256;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
    free(preference);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t which, const void *value,
                                                    size_t bytes)
{
    if (which == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)
        return STORE(preference->workspace);
    if (which == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK)
        return STORE(preference->reduction);
    const int matrix = which - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES;
    return matrix < 0 || matrix > 3 ? CUBLAS_STATUS_INVALID_VALUE : STORE(preference->alignment[matrix]);
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t distance)
{
    *layout = (cublasLtMatrixLayout_t)calloc(1, sizeof **layout);
    **layout = {type, (int64_t)rows, (int64_t)columns, distance, 0, 1};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
    free(layout);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t which,
                                                const void *value, size_t bytes)
{
    if (which == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT)
        return STORE(layout->count);
    return which == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET ? STORE(layout->stride) : CUBLAS_STATUS_INVALID_VALUE;
}
}
