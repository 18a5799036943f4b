/* ctest: devices labels=gpu ranks=1,2,4 timeout=120
 * Sums of device buffers over ranks: the fixed tree gives the host's bits, the fast sum agrees to rounding.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "mpi_main.h"
#include "cluster/nccl.h"
#include "engine/place.h"

static ws_place cuda;
static ws_nccl *nccl;

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        if ((call) != WS_OK)                                                                                           \
            fail_msg("%s: %s", #call, ws_error_message());                                                             \
    } while (0)

static void *stream_of(const ws_place *place)
{
#ifdef WS_HAVE_CUDA
    return ws_cuda_stream(place->queue);
#else
    return place->queue;
#endif
}

static void add_on_device(void *place, float *sum, const float *value, size_t count)
{
    ws_accumulate_at(place, sum, value, count);
}

static void fill(float *out, size_t count, int shard)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (float)((double)(ws_mix64((uint64_t)shard * 7919 + i) >> 40) / 16777216.0 - 0.5) *
                 (i % 3 == 0 ? 1e4f : 1e-3f);
}

static void sum_on_both(int shards, size_t count)
{
    uint64_t begin, end;
    ws_even_split((uint64_t)shards, world.size, world.rank, &begin, &end);
    float **host = calloc((size_t)shards, sizeof *host), **device = calloc((size_t)shards, sizeof *device);
    float *expected = calloc(count, sizeof *expected), *got = calloc(count, sizeof *got), *result = NULL;
    for (uint64_t k = 0; k < end - begin; k++) {
        host[k] = malloc(count * sizeof **host);
        fill(host[k], count, (int)(begin + k));
        OK(ws_place_allocate(&cuda, &device[k], count));
        ws_place_upload(&cuda, device[k], host[k], count);
    }
    OK(ws_place_allocate(&cuda, &result, count));
    OK(ws_tree_sum_float_all(&world, shards, host, expected, count));
    OK(ws_nccl_tree_sum_all(nccl, shards, device, result, count, add_on_device, &cuda, stream_of(&cuda)));
    OK(ws_place_download(&cuda, got, result, count));
    assert_memory_equal(got, expected, count * sizeof *got);
    for (uint64_t k = 0; k < end - begin; k++) {
        free(host[k]);
        ws_place_release(&cuda, &device[k]);
    }
    ws_place_release(&cuda, &result);
    free(host);
    free(device);
    free(expected);
    free(got);
}

static void fixed_sums_have_the_bits_of_the_host(void **state)
{
    (void)state;
    static const int shards[] = {1, 3, 8, 13};
    static const size_t counts[] = {1, 1000003};
    for (size_t s = 0; s < sizeof shards / sizeof shards[0]; s++)
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
            sum_on_both(shards[s], counts[c]);
}

static void fast_sums_agree_to_rounding(void **state)
{
    (void)state;
    enum { COUNT = 5001 };
    float values[COUNT], *memory = NULL;
    for (int i = 0; i < COUNT; i++)
        values[i] = (float)(world.rank + 1) * (float)i;
    OK(ws_place_allocate(&cuda, &memory, COUNT));
    ws_place_upload(&cuda, memory, values, COUNT);
    OK(ws_nccl_sum_all(nccl, memory, COUNT, stream_of(&cuda)));
    OK(ws_place_download(&cuda, values, memory, COUNT));
    float ranks = (float)(world.size * (world.size + 1)) / 2;
    for (int i = 0; i < COUNT; i++)
        assert_true(fabsf(values[i] - ranks * (float)i) <= 1e-6f * ranks * (float)i);
    ws_place_release(&cuda, &memory);
}

/* Every rank needs a device of its own. 77: skipped. */
static int open_devices(void)
{
    ws_accelerators gpu;
    int local_rank = 0, local_size = 1;
    ws_accelerators_look(&gpu);
    if (ws_local_rank_all(&world, &local_rank, &local_size) != WS_OK)
        return 1;
    if (gpu.count < local_size || gpu.nccl[0] == '\0') {
        if (world.rank == 0)
            printf("skipped: %d GPUs for %d ranks%s%s%s\n", gpu.count, local_size, gpu.reason[0] ? ": " : "",
                   gpu.reason, gpu.nccl[0] == '\0' ? "; no NCCL" : "");
        return 77;
    }
    ws_err error = ws_place_open(&cuda, WS_CUDA, local_rank);
    if (error == WS_OK)
        error = ws_nccl_create_all(&nccl, &world, local_rank);
    if (error != WS_OK)
        ws_error_print(error, true);
    return error != WS_OK;
}

int main(int argc, char **argv)
{
    if (ws_cluster_start(&argc, &argv, true, &world) != WS_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_sums_have_the_bits_of_the_host),
        cmocka_unit_test(fast_sums_agree_to_rounding),
    };
    int status = open_devices();
    if (status == 0 && cmocka_run_group_tests(tests, NULL, NULL) > 0)
        MPI_Abort(MPI_COMM_WORLD, 1);
    ws_nccl_destroy(&nccl);
    if (status == 0)
        ws_place_close(&cuda);
    ws_cluster_stop();
    return status;
}
