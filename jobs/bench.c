/* wiresweep bench: micro and macro benchmarks, each as a ratio to a ceiling measured in the same run. */
#include <stdio.h>
#include <string.h>

#include "engine/engine.h"
#include "dataset/dataset.h"
#include "jobs/job.h"
#include "models/models.h"
#include "sweep/sweep.h"

typedef struct options {
    ws_job_common common;
} options;
static const ws_option fields[] = {WS_JOB_COMMON_OPTIONS(options), WS_OPTION_END};
static const ws_option_table table = {"", sizeof(options), fields, ""};

static ws_err bench_engine_all(const ws_comm *world, const char *file, ws_text *out, bool json)
{
    (void)file;
    WS_CHECK(world->size == 1, ARGUMENT, "bench engine measures one core; run it without mpirun");
    return ws_bench_engine(out, json);
}

static ws_err bench_models_all(const ws_comm *world, const char *file, ws_text *out, bool json)
{
    (void)file;
    return ws_bench_models_all(world, out, json);
}

static ws_err bench_trees_all(const ws_comm *world, const char *file, ws_text *out, bool json)
{
    (void)file;
    WS_CHECK(world->size == 1, ARGUMENT, "bench trees measures threads of one process; run it without mpirun");
    return ws_bench_trees(out, json);
}

static ws_err bench_gpu_all(const ws_comm *world, const char *file, ws_text *out, bool json)
{
    (void)file;
    WS_CHECK(world->size == 1, ARGUMENT, "bench gpu measures one device; run it without mpirun");
    return ws_bench_gpu(out, json, 1);
}

static ws_err bench_reduce_all(const ws_comm *world, const char *file, ws_text *out, bool json)
{
    (void)file;
    return ws_bench_reduce_all(world, out, json);
}

static ws_err bench_features_all(const ws_comm *world, const char *file, ws_text *out, bool json)
{
    (void)file;
    WS_CHECK(world->size == 1, ARGUMENT, "bench features measures one core; run it without mpirun");
    return ws_bench_features(out, json);
}

static ws_err bench_sweep_all(const ws_comm *world, const char *file, ws_text *out, bool json)
{
    (void)file;
    WS_CHECK(world->size == 1, ARGUMENT, "bench sweep runs as one process, not under mpirun");
    return ws_bench_sweep(out, json);
}

static const struct {
    const char *name, *help;
    bool takes_file;
    ws_err (*run_all)(const ws_comm *world, const char *file, ws_text *out, bool json);
} benchmarks[] = {
    {"engine", "operators on one core, against multiply-add peak and memory", false, bench_engine_all},
    {"models",
     "a training step of every network on one core, against multiply-add peak and its products alone; under mpirun, "
     "steps "
     "of all ranks against one rank's",
     false, bench_models_all},
    {"trees", "forests grown and scored on made-up rows, two threads against twice one", false, bench_trees_all},
    {"sweep", "1,000 trials of 10 ms, against the same programs in a bare loop", false, bench_sweep_all},
    {"gpu",
     "operators and a training step of every network on the first CUDA device, against copies of its memory and large "
     "matrix products",
     false, bench_gpu_all},
    {"features", "the time to make a flow's row of each feature table, on one core", false, bench_features_all},
    {"reduce", "the fixed-tree sum over ranks (mpirun), against local sums and MPI_Allreduce", false, bench_reduce_all},
    {"extract", "captures to a store, by phase, against a bare program that parses and hashes [CAPTURE]", true,
     ws_bench_extract_all},
};
enum { BENCHMARKS = sizeof benchmarks / sizeof benchmarks[0] };

static ws_err more_help(ws_text *out)
{
    ws_text_append(out, "\nbenchmarks:\n");
    for (size_t i = 0; i < BENCHMARKS; i++)
        ws_text_appendf(out, "  %-10s %s\n", benchmarks[i].name, benchmarks[i].help);
    return ws_text_check(out);
}

static ws_err run(const ws_comm *world, const void *values, const ws_string_list *positional, ws_arena *arena)
{
    (void)arena;
    const options *given = values;
    const char *wanted = positional->count >= 1 ? positional->items[0] : "";
    const char *file = positional->count == 2 ? positional->items[1] : NULL;
    for (size_t i = 0; i < BENCHMARKS; i++) {
        if (strcmp(benchmarks[i].name, wanted) != 0 || positional->count > (benchmarks[i].takes_file ? 2u : 1u))
            continue;
        ws_text out = {0};
        ws_err error = benchmarks[i].run_all(world, file, &out, given->common.json);
        if (error == WS_OK && world->rank == 0)
            fputs(ws_text_string(&out), stdout);
        ws_text_destroy(&out);
        return error;
    }
    ws_err error =
        positional->count == 1
            ? WS_ERROR(ARGUMENT, "there is no benchmark %s", wanted)
            : WS_ERROR(ARGUMENT, "bench takes one name, and for extract a capture, but was given %zu arguments",
                       positional->count);
    WS_HINT("wiresweep bench engine|models|features|trees|gpu|sweep|reduce|extract");
    return error;
}

const ws_job ws_job_bench = {
    .name = "bench",
    .usage = "bench engine|models|features|trees|gpu|sweep|reduce|extract [CAPTURE] [--json]",
    .help = "benchmarks, each as a ratio to a ceiling measured in the same run",
    .example = "  wiresweep bench extract\n  mpirun -n 2 wiresweep bench reduce --json",
    .options = &table,
    .more_help = more_help,
    .collective = true,
    .run = run,
};
