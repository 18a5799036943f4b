/* Counters of energy: RAPL through files, NVML through its library where there is one. Nothing is shared out among programs here. */
#include "core/energy.h"

#include <dirent.h>
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "core/memory.h"
#include "core/text.h"

enum { MOST_DOMAINS = 64, LOOK_SECONDS = 30 };

typedef struct domain { /* a counter of microjoules */
    char *path;         /* energy_uj; owned */
    double range;       /* where it begins anew */
    double last, used;
} domain;

/* Of libnvidia-ml.so.1, whose header need not be there. */
typedef struct nvml {
    void *library;
    int (*init)(void);
    int (*shutdown)(void);
    int (*count)(unsigned *count);
    int (*by_index)(unsigned index, void **device);
    int (*by_uuid)(const char *uuid, void **device);
    int (*energy)(void *device, unsigned long long *millijoules);
} nvml;

struct ws_energy_meter {
    domain domains[MOST_DOMAINS];
    int domain_count;
    bool lost; /* a counter could not be read again */
    nvml nvml;
    void *gpu; /* NULL: none */
    double gpu_start;
    pthread_t thread;
    bool running, stopping;
    pthread_mutex_t mutex;
    pthread_cond_t stop;
};

/* ---------------------------------------------------------------- processors */

static double read_number(const char *path)
{
    FILE *file = fopen(path, "re");
    double value = NAN;
    if (file && fscanf(file, "%lf", &value) != 1)
        value = NAN;
    if (file)
        fclose(file);
    return value;
}

/* Packages, and the memory beside them. "core" and "uncore" are parts of their package; "psys" is all of the machine once more. */
static bool is_counted(const char *folder)
{
    char *path = ws_format("%s/name", folder), name[32] = "";
    FILE *file = path ? fopen(path, "re") : NULL;
    const bool named = file && fscanf(file, "%31s", name) == 1;
    if (file)
        fclose(file);
    free(path);
    return named && (strncmp(name, "package", 7) == 0 || strcmp(name, "dram") == 0);
}

static void add_domain(ws_energy_meter *meter, const char *folder)
{
    char *range = ws_format("%s/max_energy_range_uj", folder), *path = ws_format("%s/energy_uj", folder);
    domain found = {.path = path, .range = range ? read_number(range) : NAN, .last = path ? read_number(path) : NAN};
    free(range);
    if (isnan(found.last) || isnan(found.range) || meter->domain_count == MOST_DOMAINS) {
        meter->lost = meter->lost || is_counted(folder); /* one processor of two would be half the truth */
        free(path);
        return;
    }
    meter->domains[meter->domain_count++] = found;
}

static ws_err find_domains(ws_energy_meter *meter)
{
    const char *given = getenv("WIRESWEEP_POWERCAP"), *root = given && given[0] ? given : "/sys/class/powercap";
    DIR *list = opendir(root);
    ws_err error = WS_OK;
    for (struct dirent *entry; list && error == WS_OK && (entry = readdir(list));) {
        /* intel-rapl:0, intel-rapl:0:1, of AMD too; intel-rapl-mmio counts the same once more */
        if (strncmp(entry->d_name, "intel-rapl:", 11) != 0)
            continue;
        char *folder = ws_format("%s/%s", root, entry->d_name);
        error = folder ? WS_OK : WS_ERROR(MEMORY, "no memory for a path");
        if (folder && is_counted(folder))
            add_domain(meter, folder);
        free(folder);
    }
    if (list)
        closedir(list);
    return error;
}

static void look(ws_energy_meter *meter)
{
    for (int i = 0; i < meter->domain_count; i++) {
        domain *d = &meter->domains[i];
        const double now = read_number(d->path);
        if (isnan(now)) {
            meter->lost = true;
            continue;
        }
        d->used += now >= d->last ? now - d->last : now + d->range - d->last;
        d->last = now;
    }
}

static void *keep_looking(void *argument)
{
    ws_energy_meter *meter = argument;
    struct timespec until;
    pthread_mutex_lock(&meter->mutex);
    while (!meter->stopping) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += LOOK_SECONDS;
        pthread_cond_timedwait(&meter->stop, &meter->mutex, &until);
        look(meter);
    }
    pthread_mutex_unlock(&meter->mutex);
    return NULL;
}

/* ---------------------------------------------------------------- GPUs */

static bool load_nvml(nvml *n)
{
    n->library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!n->library)
        return false;
    *(void **)&n->init = dlsym(n->library, "nvmlInit_v2");
    *(void **)&n->shutdown = dlsym(n->library, "nvmlShutdown");
    *(void **)&n->count = dlsym(n->library, "nvmlDeviceGetCount_v2");
    *(void **)&n->by_index = dlsym(n->library, "nvmlDeviceGetHandleByIndex_v2");
    *(void **)&n->by_uuid = dlsym(n->library, "nvmlDeviceGetHandleByUUID");
    *(void **)&n->energy = dlsym(n->library, "nvmlDeviceGetTotalEnergyConsumption");
    if (n->init && n->shutdown && n->count && n->by_index && n->by_uuid && n->energy && n->init() == 0)
        return true;
    dlclose(n->library);
    n->library = NULL;
    return false;
}

/* The device that a word of CUDA_VISIBLE_DEVICES names: its number, or GPU-...; NULL: none. */
static void *named_gpu(const nvml *n, const char *word)
{
    void *device = NULL;
    char *end;
    const unsigned long index = strtoul(word, &end, 10);
    const int status = end != word && *end == '\0' ? n->by_index((unsigned)index, &device) : n->by_uuid(word, &device);
    return status == 0 ? device : NULL;
}

static double gpu_joules(const nvml *n, void *device)
{
    unsigned long long millijoules;
    return device && n->energy(device, &millijoules) == 0 ? (double)millijoules * 1e-3 : NAN;
}

/* Like ws_device_choose_all, begins anew where there are fewer. */
static ws_err find_gpu(ws_energy_meter *meter, int place)
{
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    unsigned count = 0;
    char number[16], *rest = NULL;
    if (!load_nvml(&meter->nvml) || meter->nvml.count(&count) != 0)
        return WS_OK;
    char *words = visible ? strdup(visible) : NULL;
    WS_CHECK(words || !visible, MEMORY, "no memory for the names of GPUs");
    if (words) {
        count = words[0] != '\0';
        for (const char *c = words; *c; c++)
            count += *c == ',';
    }
    if (count > 0) {
        const unsigned index = (unsigned)place % count;
        char *word = words ? strtok_r(words, ",", &rest) : number;
        for (unsigned i = 0; words && word && i < index; i++)
            word = strtok_r(NULL, ",", &rest);
        snprintf(number, sizeof number, "%u", index);
        meter->gpu = word ? named_gpu(&meter->nvml, word) : NULL;
    }
    meter->gpu_start = gpu_joules(&meter->nvml, meter->gpu);
    free(words);
    return WS_OK;
}

/* ---------------------------------------------------------------- the meter */

static ws_err start_thread(ws_energy_meter *meter)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&meter->mutex, NULL);
    pthread_cond_init(&meter->stop, &attributes);
    pthread_condattr_destroy(&attributes);
    meter->running = meter->domain_count > 0 && pthread_create(&meter->thread, NULL, keep_looking, meter) == 0;
    WS_CHECK(meter->running || meter->domain_count == 0, MEMORY, "no thread that reads counters of energy");
    return WS_OK;
}

ws_err ws_energy_start(ws_energy_meter **out, bool processors, int gpu)
{
    ws_energy_meter *meter = NULL;
    *out = NULL;
    WS_TRY(WS_NEW(meter));
    ws_err error = processors ? find_domains(meter) : WS_OK;
    if (error == WS_OK && gpu >= 0)
        error = find_gpu(meter, gpu);
    ws_err started = start_thread(meter);
    error = error == WS_OK ? started : error;
    if (error != WS_OK)
        ws_energy_stop(&meter);
    *out = meter;
    return error;
}

void ws_energy_read(ws_energy_meter *meter, double *processors, double *gpu)
{
    double sum = 0;
    pthread_mutex_lock(&meter->mutex);
    look(meter);
    for (int i = 0; i < meter->domain_count; i++)
        sum += meter->domains[i].used;
    *processors = meter->domain_count && !meter->lost ? sum * 1e-6 : NAN;
    pthread_mutex_unlock(&meter->mutex);
    *gpu = gpu_joules(&meter->nvml, meter->gpu) - meter->gpu_start;
}

void ws_energy_stop(ws_energy_meter **meter)
{
    ws_energy_meter *m = *meter;
    *meter = NULL;
    if (!m)
        return;
    if (m->running) {
        pthread_mutex_lock(&m->mutex);
        m->stopping = true;
        pthread_cond_signal(&m->stop);
        pthread_mutex_unlock(&m->mutex);
        pthread_join(m->thread, NULL);
    }
    pthread_mutex_destroy(&m->mutex);
    pthread_cond_destroy(&m->stop);
    for (int i = 0; i < m->domain_count; i++)
        free(m->domains[i].path);
    if (m->nvml.library) {
        m->nvml.shutdown();
        dlclose(m->nvml.library);
    }
    free(m);
}

double ws_machine_busy_seconds(void)
{
    FILE *file = fopen("/proc/stat", "re");
    double user, nice, system, idle, waiting, interrupt, soft;
    const bool read = file && fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle, &waiting,
                                     &interrupt, &soft) == 7;
    if (file)
        fclose(file);
    return read ? (user + nice + system + interrupt + soft) / (double)sysconf(_SC_CLK_TCK) : NAN;
}
