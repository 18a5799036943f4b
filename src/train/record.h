/* Inside train: what enters record.json beside the configuration. */
#ifndef WS_TRAIN_RECORD_H
#define WS_TRAIN_RECORD_H

#include <time.h>
#include "train/internal.h"

typedef struct ws_trial_record {
    const ws_train_config *config;
    const ws_rows *rows;
    char id[17], parameter_hash[65], score_hash[65];
    char model_hash[65]; /* SHA-256 of model.h5 */
    int ranks;
    uint64_t steps, selected_step,
        skipped_steps; /* networks: steps made, the one whose parameters score, those left out */
    double train_seconds, score_seconds, total_seconds;
    uint64_t peak_memory_bytes;          /* of the largest rank */
    double processor_joules, gpu_joules; /* the trial's share of what the machines used; NaN: not known */
    time_t started;
} ws_trial_record;

bool ws_record_add_audit(cJSON *result, const ws_rows *rows); /* as "audit" */
/* Takes over scores, also on failure. */
WS_MUST ws_err ws_trial_record_write(const char *path, const ws_trial_record *record, cJSON *scores);

#endif
