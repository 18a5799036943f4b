/* Made-up rows for benchmarks of networks. For bench.c and bench_ranks.c. */
#ifndef WS_MODELS_BENCH_ROWS_H
#define WS_MODELS_BENCH_ROWS_H

#include "models/models.h"

enum { WS_BENCH_LARGEST_BATCH = 256 };
typedef struct ws_bench_rows {
    ws_arena *arena;
    ws_samples samples;
    ws_model_context context; /* default options */
    uint64_t rows[WS_BENCH_LARGEST_BATCH];
} ws_bench_rows;
/* Destroy it also after an error. */
WS_MUST ws_err ws_bench_rows_create(ws_bench_rows *rows, const ws_model *model, int batch, int shards);
void ws_bench_rows_destroy(ws_bench_rows *rows);
/* Plans batches and fills the inputs of their first shard, as often as 0.1 s allows; *seconds a batch. */
WS_MUST ws_err ws_bench_rows_fill(const ws_bench_rows *rows, const ws_network *network, ws_executor *executor,
                                  double *seconds);

/* `wiresweep bench models` on several ranks. */
WS_MUST ws_err ws_bench_ranks_all(const ws_comm *comm, ws_bench_report *report);

#endif
