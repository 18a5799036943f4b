/* Supervisors killed at random moments, several at a time in one folder: no trial is lost or done twice, and neither results nor
 * tables tell what happened. Shared by the short form of the test and the whole one. */
#ifndef CHAOS_H
#define CHAOS_H

#include "sweep_fixture.h"

static inline char *result_of(const char *folder, const char *id)
{
    char path[700];
    ws_json *record = NULL;
    ws_text text = {0};
    snprintf(path, sizeof path, "%s/trials/%s/record.json", folder, id);
    assert_int_equal(ws_json_read_file(&record, path), WS_OK);
    const cJSON *result = ws_json_find(ws_json_root(record), "result");
    assert_non_null(result);
    assert_int_equal(ws_json_canonical(result, &text), WS_OK);
    ws_json_destroy(&record);
    return text.data;
}

static inline void chaos(const fixture *f, int seeds, int kills)
{
    enum { SUPERVISORS = 3 };
    char folder[512], calm[512], path[512];
    pid_t running[SUPERVISORS];
    snprintf(folder, sizeof folder, "%s", in(f, "chaos"));
    snprintf(calm, sizeof calm, "%s", in(f, "calm"));
    snprintf(path, sizeof path, "%s", specification_of(f, "chaos.json", "slow,ok", seeds));
    for (int k = 0; k < SUPERVISORS; k++)
        running[k] = start_sweep(f, path, folder, 1 + k % 2);
    for (int kill_number = 0; kill_number < kills; kill_number++) {
        uint64_t drawn = ws_mix64((uint64_t)kill_number + 1);
        int k = (int)(drawn % SUPERVISORS);
        pause_ms((long)(drawn >> 8) % 300);
        kill(running[k], SIGKILL);
        wait_for(running[k]);
        running[k] = start_sweep(f, path, folder, 1 + k % 2);
    }
    for (int k = 0; k < SUPERVISORS; k++)
        assert_int_equal(wait_for(running[k]), WS_OK);
    ws_sweep_counts counts;
    assert_int_equal(run_sweep(f, path, calm, 2, 0, false, &counts), WS_OK);
    ws_sweep *sweep = read_sweep(path);
    assert_int_equal(sweep->count, 2 * seeds);
    for (size_t i = 0; i < sweep->count; i++) {
        const char *id = sweep->trials[i].facts.id;
        char *disturbed = result_of(folder, id), *undisturbed = result_of(calm, id);
        assert_string_equal(disturbed, undisturbed);
        assert_int_equal(times_recorded(folder, id), 1);
        free(disturbed);
        free(undisturbed);
    }
    assert_tables_equal(folder, calm);
    assert_int_equal(count_entries(in(f, "chaos/work")), 0);
    assert_int_equal(count_entries(in(f, "chaos/supervisors")), 0);
    assert_int_equal(count_entries(in(f, "chaos/trials")), 2 * seeds); /* nothing set aside, no second results */
    ws_sweep_destroy(&sweep);
}

#endif
