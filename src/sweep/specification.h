/* Inside the room: a specification while it is read. specification.c reads the file, specification_expand.c makes points of it,
 * specification_trial.c makes trials of points. */
#ifndef WS_SWEEP_SPECIFICATION_H
#define WS_SWEEP_SPECIFICATION_H

#include "sweep/internal.h"

typedef struct ws_specification_complaint {
    char *line, *trial;
    size_t trials;
} ws_specification_complaint;

typedef struct ws_set64 { /* open addressing; 0 marks an empty place */
    uint64_t *items;
    size_t count, capacity;
} ws_set64;

typedef struct ws_specification_reader {
    ws_json *document;  /* the specification */
    ws_json *base_file; /* NULL where base is inline */
    const cJSON *base;  /* borrowed from one of the two */
    char *directory;    /* of the specification */
    ws_sweep *sweep;
    ws_trial_identify identify;
    void *context;
    ws_problems problems; /* of the specification itself */
    ws_specification_complaint *complaints;
    size_t complaint_count, complaint_capacity;
    ws_text identity; /* of the trial that was resolved last */
    ws_set64 texts, ids;
    cJSON *resolved_base;
    cJSON *drawn, *seeds; /* { KEY: [VALUE, ...], ... } of "random" and "seeds" */
    const cJSON *exclude; /* borrowed */
    size_t *excluded;     /* by exclusion: combinations left out */
} ws_specification_reader;

/* ---- specification_trial.c ---- */
WS_MUST ws_err ws_specification_set_insert(ws_set64 *set, uint64_t item, bool *fresh);
uint64_t ws_specification_text_identity(const ws_text *text);
/* Sets a dotted key; paths are made absolute against `directory`. */
WS_MUST ws_err ws_specification_set_value(cJSON *config, const char *key, const cJSON *value, const char *directory);
/* The base with absolute paths. */
WS_MUST ws_err ws_specification_make_base(const ws_specification_reader *r, cJSON **out);
/* Appends "model.kind=flow_cfm model.sigma=0.1". */
WS_MUST ws_err ws_specification_describe(const char *key, const cJSON *value, ws_text *out);
/* Resolves a configuration, and keeps it as a trial where it is a new one. */
WS_MUST ws_err ws_specification_add_trial(ws_specification_reader *r, cJSON *config, const char *description,
                                          bool baseline);
/* Takes the trial over, where no other has its id. */
WS_MUST ws_err ws_specification_keep_trial(ws_specification_reader *r, ws_trial *trial);

/* ---- specification_expand.c ---- */
WS_MUST ws_err ws_specification_expand(ws_specification_reader *r, const cJSON *root);
WS_MUST ws_err ws_specification_expand_baselines(ws_specification_reader *r);

#endif
