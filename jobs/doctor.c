/* wiresweep doctor: what this build and this machine can do, what is missing, and how to get it. */
#include <bzlib.h>
#include <cblas.h>
#include <hdf5.h>
#include <lzma.h>
#include <openssl/crypto.h>
#include <pcap/pcap.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "capture/capture.h"
#include "cluster/cluster.h"
#include "jobs/job.h"
#include "models/models.h"
#include "storage/storage.h"

typedef struct options {
    ws_job_common common;
} options;
static const ws_option fields[] = {WS_JOB_COMMON_OPTIONS(options), WS_OPTION_END};
static const ws_option_table table = {"", sizeof(options), fields, ""};

/* What was found, section by section, and what is missing with its remedy. */
typedef struct findings {
    cJSON *root, *section, *missing;
} findings;

static void section(findings *f, const char *name)
{
    f->section = cJSON_AddObjectToObject(f->root, name);
}

__attribute__((format(printf, 3, 4))) static void found(findings *f, const char *name, const char *format, ...)
{
    char value[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    cJSON_AddStringToObject(f->section, name, value);
}

static void missing(findings *f, const char *what, const char *remedy)
{
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddStringToObject(entry, "what", what);
    cJSON_AddStringToObject(entry, "remedy", remedy);
    cJSON_AddItemToArray(f->missing, entry);
}

static void look_at_build(findings *f)
{
    unsigned major = 0, minor = 0, release = 0;
    section(f, "build");
    found(f, "wiresweep", "%s", ws_version());
    found(f, "program hash", "%.16s", ws_program_hash());
    found(f, "MPI", "%s", ws_mpi_library());
    H5get_libversion(&major, &minor, &release);
#ifdef H5_HAVE_PARALLEL
    found(f, "HDF5", "%u.%u.%u, parallel", major, minor, release);
#else
    found(f, "HDF5", "%u.%u.%u, serial", major, minor, release);
    missing(f, "parallel HDF5", "apt-get install libhdf5-openmpi-dev, then build again");
#endif
    found(f, "libpcap", "%s", pcap_lib_version());
    found(f, "cJSON", "%s", cJSON_Version());
    found(f, "OpenBLAS", "%s, kernels for %s, %d thread%s", openblas_get_config(), openblas_get_corename(),
          openblas_get_num_threads(), openblas_get_num_threads() == 1 ? "" : "s");
    found(f, "zlib", "%s", zlibVersion());
    found(f, "inflates gzip", "%s", ws_stream_gzip_library());
    if (strcmp(ws_stream_gzip_library(), "zlib") == 0)
        missing(f, "ISA-L, which reads gzip files twice as fast as zlib",
                "apt-get install libisal-dev, then build again");
    found(f, "zstd", "%s", ZSTD_versionString());
    found(f, "liblzma", "%s", lzma_version_string());
    found(f, "libbz2", "%s", BZ2_bzlibVersion());
    found(f, "libcrypto", "%s", OpenSSL_version(OPENSSL_VERSION));
    if (strncmp(ws_model_find("rbf_svm")->help, "not built", 9) == 0)
        missing(f, "LIBSVM, for the model rbf_svm", "apt-get install libsvm-dev, then build again");
}

/* "key : value" of /proc/cpuinfo or "key: value kB" of /proc/meminfo */
static bool proc_value(const char *file, const char *key, char out[128])
{
    FILE *stream = fopen(file, "r");
    char line[256];
    bool got = false;
    while (stream != NULL && !got && fgets(line, sizeof line, stream) != NULL) {
        char *colon = strchr(line, ':');
        if (colon == NULL || strncmp(line, key, strlen(key)) != 0)
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(out, 128, "%s", colon);
        got = true;
    }
    if (stream != NULL)
        fclose(stream);
    return got;
}

static void look_at_cpu(findings *f)
{
    char name[128] = "unknown";
    proc_value("/proc/cpuinfo", "model name", name);
    cpu_set_t set;
    long usable = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
    found(f, "CPU", "%s", name);
    found(f, "cores", "%ld, %ld usable by this process", sysconf(_SC_NPROCESSORS_ONLN), usable);
#if defined(__x86_64__)
    ws_text features = {0};
#define FEATURE(name)                                                                                                  \
    ws_text_append(&features, __builtin_cpu_supports(name) ? features.length > 0 ? " " name : name : "")
    __builtin_cpu_init();
    FEATURE("sse4.2");
    FEATURE("avx");
    FEATURE("avx2");
    FEATURE("fma");
    FEATURE("bmi2");
    FEATURE("avx512f");
    FEATURE("avx512bw");
    FEATURE("avx512dq");
    FEATURE("avx512vl");
    FEATURE("avx512vnni");
#undef FEATURE
    found(f, "CPU features", "%s", ws_text_string(&features));
    ws_text_destroy(&features);
#endif
    found(f, "instruction set level", "%s in use, %s is the best this machine runs", ws_isa_names[ws_isa_active()],
          ws_isa_names[ws_isa_detect()]);
}

/* A control group's limit is what counts under Slurm and in containers. */
static uint64_t group_memory_limit(void)
{
    static const char *const files[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    uint64_t physical = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *text = NULL;
        size_t bytes = 0;
        int64_t limit = 0;
        if (ws_file_read(files[i], &text, &bytes) == WS_OK) {
            text[strcspn(text, "\n")] = '\0';
            if (!ws_parse_int64(text, &limit) || limit <= 0)
                limit = 0;
            free(text);
        }
        ws_error_clear();
        if (limit > 0 && (uint64_t)limit < physical)
            return (uint64_t)limit;
    }
    return 0;
}

static void look_at_memory(findings *f)
{
    char whole[32], available[32], limit[32], kilobytes[128];
    ws_format_bytes((double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE), whole);
    ws_format_bytes(proc_value("/proc/meminfo", "MemAvailable", kilobytes) ? strtod(kilobytes, NULL) * 1024 : 0,
                    available);
    uint64_t group = group_memory_limit();
    if (group > 0) {
        ws_format_bytes((double)group, limit);
        found(f, "memory", "%s, %s available; this session may use %s", whole, available, limit);
    } else {
        found(f, "memory", "%s, %s available", whole, available);
    }

    struct statvfs shared;
    if (statvfs("/dev/shm", &shared) == 0) {
        double bytes = (double)shared.f_blocks * (double)shared.f_frsize;
        ws_format_bytes(bytes, whole);
        found(f, "/dev/shm", "%s", whole);
        if (bytes < 128.0 * 1024 * 1024)
            missing(f, "room in /dev/shm: ranks of one machine talk through it",
                    "mount -o remount,size=1g /dev/shm; in a container, --shm-size=1g");
    } else {
        found(f, "/dev/shm", "absent");
        missing(f, "/dev/shm: ranks of one machine talk through it", "mount -t tmpfs tmpfs /dev/shm");
    }
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        found(f, "open files", "%llu at most, %llu after ulimit -n", (unsigned long long)files.rlim_cur,
              (unsigned long long)files.rlim_max);
        if (files.rlim_cur < 1024)
            missing(f, "open files: many ranks or captures need more than the limit", "ulimit -n 4096");
    }
}

static bool in_path(const char *program)
{
    const char *path = getenv("PATH");
    char *copy = ws_format("%s", path == NULL ? "" : path), *rest = copy;
    bool there = false;
    for (char *part = copy == NULL ? NULL : strsep(&rest, ":"); part != NULL && !there; part = strsep(&rest, ":")) {
        char *file = ws_path_join(part, program);
        there = file != NULL && access(file, X_OK) == 0;
        free(file);
    }
    free(copy);
    return there;
}

static void look_at_machine(findings *f)
{
    section(f, "machine");
    found(f, "host", "%s", ws_host_name());
    look_at_cpu(f);
    look_at_memory(f);
    found(f, "mpirun", "%s", in_path("mpirun") ? "found" : "not found");
    if (!in_path("mpirun"))
        missing(f, "mpirun: to run with several ranks", "apt-get install openmpi-bin");
    found(f, "Slurm", "%s", in_path("sbatch") ? "found" : "not found (only needed on a cluster)");
}

/* Every device, and whose memory it reaches without the host. */
static void show_devices(findings *f, const ws_accelerators *gpu)
{
    const int shown = gpu->count < WS_ACCELERATORS_SHOWN ? gpu->count : (int)WS_ACCELERATORS_SHOWN;
    for (int i = 0; i < shown; i++) {
        char name[32], memory[32], peers[4 * WS_ACCELERATORS_SHOWN] = "";
        snprintf(name, sizeof name, "device %d", i);
        ws_format_bytes((double)gpu->devices[i].memory_bytes, memory);
        found(f, name, "%s, capability %s, %s", gpu->devices[i].name, gpu->devices[i].capability, memory);
        for (int other = 0; other < shown; other++)
            if (gpu->reaches[i][other])
                snprintf(peers + strlen(peers), sizeof peers - strlen(peers), " %d", other);
        snprintf(name, sizeof name, "device %d reaches", i);
        if (shown > 1)
            found(f, name, "%s", peers[0] != '\0' ? peers + 1 : "no other: what they exchange goes through the host");
    }
}

/* What training with --device cuda would use, and what it lacks. */
static void show_use(findings *f, const ws_accelerators *gpu)
{
    const bool nccl = gpu->built_nccl && gpu->nccl[0] != '\0', ready = gpu->count > 0 && gpu->cublas[0] != '\0';
    if (gpu->count == 0)
        found(f, "devices", "no GPU: %s; everything runs on the CPU", gpu->reason);
    if (gpu->built && gpu->driver[0] == '\0')
        missing(f, "an NVIDIA driver, without which no GPU can be used",
                "where there is a GPU, install cuda-drivers from NVIDIA's package repository; in a container, start it "
                "with --gpus all");
    else if (gpu->built && gpu->count == 0)
        missing(f, "a GPU that this process may use",
                "nvidia-smi shows what the driver sees; CUDA_VISIBLE_DEVICES and Slurm's --gpus choose among them");
    if (gpu->count > 1 && !nccl)
        missing(f, "NCCL: only one of the GPUs can be used at a time",
                gpu->built_nccl ? "install libnccl2 from NVIDIA's package repository, or set LD_LIBRARY_PATH to it"
                                : "install libnccl-dev from NVIDIA's package repository, then build again");
    if (!ready)
        found(f, "used", "the CPU");
    else if (gpu->count > 1 && nccl)
        found(f, "used", "with --device cuda, one rank a GPU: mpirun -n %d uses all; else the CPU", gpu->count);
    else
        found(f, "used", "with --device cuda, one GPU and one rank; else the CPU");
}

static void look_at_gpu(findings *f)
{
    ws_accelerators gpu;
    ws_accelerators_look(&gpu);
    const char *chosen = getenv("CUDA_VISIBLE_DEVICES");
    section(f, "gpu");
    found(f, "CUDA Toolkit", "%s", gpu.built ? gpu.toolkit : "not in this build");
    if (!gpu.built)
        missing(f, "CUDA: this build runs on CPUs only",
                "where there is an NVIDIA GPU, install cuda-toolkit from NVIDIA's package repository and build again");
    if (gpu.built)
        found(f, "cuBLAS", "%s", gpu.cublas[0] != '\0' ? gpu.cublas : "cannot be loaded");
    if (gpu.built && gpu.cublas[0] == '\0')
        missing(f, "cuBLAS", "install libcublas from NVIDIA's package repository, or set LD_LIBRARY_PATH to it");
    found(f, "NCCL", "%s",
          gpu.nccl[0] != '\0' ? gpu.nccl
          : gpu.built_nccl    ? "cannot be loaded"
                              : "not in this build (only needed for several GPUs)");
    found(f, "driver", "%s%s", gpu.driver[0] != '\0' ? "CUDA " : "none", gpu.driver);
    found(f, "CUDA_VISIBLE_DEVICES", "%s", chosen != NULL ? chosen : "not set: all devices");
    show_devices(f, &gpu);
    show_use(f, &gpu);
}

static void print_for_people(const findings *f)
{
    for (const cJSON *part = f->root->child; part != NULL; part = part->next) {
        if (!cJSON_IsObject(part))
            continue;
        printf("%s\n", part->string);
        for (const cJSON *entry = part->child; entry != NULL; entry = entry->next)
            printf("  %-22s %s\n", entry->string, entry->valuestring);
    }
    printf("missing\n");
    for (const cJSON *entry = f->missing->child; entry != NULL; entry = entry->next)
        printf("  %s\n    %s\n", cJSON_GetObjectItem(entry, "what")->valuestring,
               cJSON_GetObjectItem(entry, "remedy")->valuestring);
    if (f->missing->child == NULL)
        printf("  nothing\n");
}

static ws_err run(const ws_comm *world, const void *values, const ws_string_list *positional, ws_arena *arena)
{
    (void)world;
    (void)arena;
    const options *given = values;
    WS_CHECK(positional->count == 0, ARGUMENT, "doctor takes no argument, and was given %s", positional->items[0]);
    findings f = {.root = cJSON_CreateObject(), .missing = cJSON_CreateArray()};
    look_at_build(&f);
    look_at_machine(&f);
    look_at_gpu(&f);
    cJSON_AddItemToObject(f.root, "missing", f.missing);
    ws_err error = WS_OK;
    if (given->common.json) {
        ws_text text = {0};
        error = ws_json_pretty(f.root, &text);
        if (error == WS_OK)
            fputs(ws_text_string(&text), stdout);
        ws_text_destroy(&text);
    } else {
        print_for_people(&f);
    }
    cJSON_Delete(f.root);
    return error;
}

const ws_job ws_job_doctor = {
    .name = "doctor",
    .usage = "doctor [--json]",
    .help = "what this build and this machine can do, what is missing, how to get it",
    .example = "  wiresweep doctor",
    .options = &table,
    .run = run,
};
