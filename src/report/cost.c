/* What trials cost: a line for each cell, of the finished trials. The only table that another run of the same sweep does not give
 * again byte for byte, so it is apart from the others. */
#include "report/internal.h"

#include <math.h>

typedef struct sums {
    double seconds, core_seconds, memory, joules[2]; /* of processors, of GPUs */
    size_t trials, measured[2];                      /* trials with such joules */
} sums;

static const char *const energy_keys[2] = {"run.energy_joules.processors", "run.energy_joules.gpus"};
static const char *const energy_heads[2] = {"energy of processors, kJ", "energy of GPUs, kJ"};

static double number_of(const cJSON *record, const char *key, double otherwise)
{
    double value = cJSON_GetNumberValue(ws_json_find(record, key));
    return isnan(value) ? otherwise : value;
}

static void add_trial(sums *s, const cJSON *record)
{
    double seconds = number_of(record, "run.seconds.total", 0);
    double memory = number_of(record, "run.peak_memory_bytes", 0);
    s->trials++;
    s->seconds += seconds;
    s->core_seconds += seconds * number_of(record, "run.ranks", 1) * number_of(record, "run.threads", 1);
    s->memory = memory > s->memory ? memory : s->memory;
    for (int k = 0; k < 2; k++) {
        const double joules = number_of(record, energy_keys[k], NAN);
        s->joules[k] += isnan(joules) ? 0 : joules;
        s->measured[k] += !isnan(joules);
    }
}

static void add_line(const ws_report_cell *cell, const sums *s, const bool energy[2], ws_table *table)
{
    ws_report_line line = {cell, cell->dataset};
    char seconds[32], memory[32];
    ws_report_add_head(table, &line);
    ws_table_addf(table, "%zu/%zu", s->trials, cell->count);
    ws_format_seconds(s->trials ? s->seconds / (double)s->trials : 0, seconds);
    ws_format_bytes(s->memory, memory);
    ws_table_add(table, s->trials ? seconds : "—");
    ws_table_addf(table, "%.3f", s->seconds / 3600);
    ws_table_addf(table, "%.3f", s->core_seconds / 3600);
    ws_table_add(table, s->trials ? memory : "—");
    for (int k = 0; k < 2; k++)
        if (energy[k] && s->measured[k])
            ws_table_addf(table, "%.3f%s", s->joules[k] / 1000, s->measured[k] < s->trials ? " (some trials)" : "");
        else if (energy[k])
            ws_table_add(table, "n/a");
}

ws_err ws_report_cost_table(const ws_report *report, ws_document *out)
{
    static const char *const heads[] = {"model", "data set",   "n",          "one more seed",
                                        "hours", "core hours", "peak memory"};
    bool energy[2] = {false, false};
    ws_document_heading(out, 2, "Cost");
    ws_table *table = ws_document_table(out, NULL);
    for (size_t c = 0; c < report->count; c++)
        for (size_t t = 0; t < report->cells[c].count; t++)
            for (int k = 0; k < 2; k++)
                energy[k] = energy[k] || ws_json_find(report->cells[c].trials[t].record, energy_keys[k]);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        ws_table_add_column(table, heads[i], i > 1);
    for (int k = 0; k < 2; k++)
        if (energy[k])
            ws_table_add_column(table, energy_heads[k], true);
    for (size_t c = 0; c < report->count; c++) {
        const ws_report_cell *cell = &report->cells[c];
        sums s = {0};
        for (size_t t = 0; t < cell->count; t++)
            if (cell->trials[t].state == WS_REPORT_DONE)
                add_trial(&s, cell->trials[t].record);
        if (!cell->chosen && !cell->external)
            add_line(cell, &s, energy, table);
    }
    return WS_OK;
}
