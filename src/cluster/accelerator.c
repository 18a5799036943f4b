/* Looks at the CUDA driver, devices and libraries without keeping any of them. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include "cluster/cluster.h"

#ifdef WS_HAVE_CUDA
#include <cuda_runtime_api.h>
#ifdef WS_HAVE_NCCL
#include <nccl.h>
#endif
#ifndef WS_NCCL_FILE
#define WS_NCCL_FILE "libnccl.so.2"
#endif

/* 13000 -> "13.0" */
static void format_cuda_version(int version, char out[32])
{
    snprintf(out, 32, "%d.%d", version / 1000, version % 1000 / 10);
}

static void look_at_devices(ws_accelerators *out)
{
    int runtime = 0, driver = 0;
    if (cudaRuntimeGetVersion(&runtime) == cudaSuccess)
        format_cuda_version(runtime, out->toolkit);
    if (cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0)
        format_cuda_version(driver, out->driver);
    int count = 0;
    cudaError_t status = cudaGetDeviceCount(&count);
    if (driver == 0) {
        snprintf(out->reason, sizeof out->reason, "no NVIDIA driver (libcuda.so.1) on this machine");
        return;
    }
    if (status != cudaSuccess) {
        snprintf(out->reason, sizeof out->reason, "%s", cudaGetErrorString(status));
        return;
    }
    out->count = count;
    if (count == 0)
        snprintf(out->reason, sizeof out->reason, "the driver shows no device");
    for (int i = 0; i < count && i < WS_ACCELERATORS_SHOWN; i++) {
        struct cudaDeviceProp properties;
        if (cudaGetDeviceProperties(&properties, i) != cudaSuccess)
            continue;
        snprintf(out->devices[i].name, sizeof out->devices[i].name, "%.127s", properties.name);
        snprintf(out->devices[i].capability, sizeof out->devices[i].capability, "%d.%d", properties.major,
                 properties.minor);
        out->devices[i].memory_bytes = properties.totalGlobalMem;
        memcpy(out->devices[i].uuid, properties.uuid.bytes, sizeof out->devices[i].uuid);
        for (int other = 0; other < count && other < WS_ACCELERATORS_SHOWN; other++) {
            int can = 0;
            out->reaches[i][other] = other != i && cudaDeviceCanAccessPeer(&can, i, other) == cudaSuccess && can != 0;
        }
    }
}

static void look_at_cublas(char out[32])
{
    char name[32];
    snprintf(name, sizeof name, "libcublasLt.so.%d", CUDART_VERSION / 1000);
    void *library = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
    if (library == NULL)
        return;
    int (*property)(int, int *) = NULL; /* cublasLtGetProperty: 0 major, 1 minor, 2 patch */
    *(void **)&property = dlsym(library, "cublasLtGetProperty");
    int part[3] = {0};
    if (property != NULL && property(0, &part[0]) == 0 && property(1, &part[1]) == 0 && property(2, &part[2]) == 0)
        snprintf(out, 32, "%d.%d.%d", part[0], part[1], part[2]);
    dlclose(library);
}

static void look_at_nccl(char out[32])
{
    void *library = dlopen(WS_NCCL_FILE, RTLD_LAZY | RTLD_LOCAL);
    if (library == NULL)
        return;
    int (*get_version)(int *) = NULL;
    *(void **)&get_version = dlsym(library, "ncclGetVersion");
    int version = 0;
    if (get_version != NULL && get_version(&version) == 0)
        snprintf(out, 32, "%d.%d.%d", version / 10000, version % 10000 / 100, version % 100);
    dlclose(library);
}
#endif

void ws_accelerators_look(ws_accelerators *out)
{
    *out = (ws_accelerators){.count = 0};
#ifdef WS_HAVE_NCCL
    out->built_nccl = true;
#endif
#ifdef WS_HAVE_CUDA
    out->built = true;
    look_at_devices(out);
    look_at_cublas(out->cublas);
    look_at_nccl(out->nccl);
#else
    snprintf(out->reason, sizeof out->reason, "this program was built without CUDA");
#endif
}

ws_err ws_accelerators_need(const ws_accelerators *gpu)
{
    if (gpu->count > 0)
        return WS_OK;
    const char *chosen = gpu->built ? getenv("CUDA_VISIBLE_DEVICES") : NULL;
    ws_err error =
        chosen ? WS_ERROR(CUDA, "%s: no GPU: %s; CUDA_VISIBLE_DEVICES=\"%s\"", ws_host_name(), gpu->reason, chosen)
               : WS_ERROR(CUDA, "%s: no GPU: %s", ws_host_name(), gpu->reason);
    WS_HINT("wiresweep doctor says what is missing and how to get it; without --device cuda training runs on the CPU");
    return error;
}
