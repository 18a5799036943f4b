/* ctest: timeout=120
 * Trials that crash, hang, fail and lie; supervisors that are stopped, killed, and several at a time: no finished trial is
 * lost, none is done twice, and the tables do not show what happened on the way. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "sweep_fixture.h"

static fixture f;

static int setup(void **state)
{
    (void)state;
    fixture_setup(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_teardown(&f);
    return 0;
}

static const char *specification(const char *name, const char *behaviours, int seeds)
{
    return specification_of(&f, name, behaviours, seeds);
}

static void assert_reason(const char *folder, const ws_sweep *sweep, const char *behaviour, const char *expected)
{
    char *reason = failure_reason(folder, sweep, behaviour);
    assert_non_null(reason);
    if (!strstr(reason, expected))
        fail_msg("%s: \"%s\" is not in: %s", behaviour, expected, reason);
    free(reason);
}

static void every_kind_of_failure_is_recorded_and_the_rest_goes_on(void **state)
{
    (void)state;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", in(&f, "failures"));
    const char *path = specification("failures.json", "ok,segfault,fail,silent,foreign,requeue,crash_after_record", 1);
    ws_sweep_counts counts;
    assert_int_equal(run_sweep(&f, path, folder, 4, 0, false, &counts), WS_E_PARTIAL);
    assert_int_equal(ws_error_exit_status(WS_E_PARTIAL), 3);
    assert_int_equal(counts.done, 3); /* ok, requeue, and the one that died with its record already written */
    assert_int_equal(counts.failed, 4);
    assert_int_equal(counts.left, 0);
    ws_sweep *sweep = read_sweep(path);
    assert_reason(folder, sweep, "segfault", "signal 11");
    assert_reason(folder, sweep, "behaviour=fail", "not a finite number: loss at step 17");
    assert_reason(folder, sweep, "silent", "status 0, but left no record");
    assert_reason(folder, sweep, "foreign", "that of trial 0000000000000000");
    ws_sweep_status status;
    assert_int_equal(ws_sweep_status_read(folder, &status), WS_OK);
    assert_int_equal(status.running, 0); /* nothing of them is left */
    assert_int_equal(status.done, 3);
    assert_int_equal(status.failed, 4);
    assert_non_null(strstr(ws_text_string(&status.failures), "loss at step 17"));
    ws_sweep_status_destroy(&status);
    ws_sweep_destroy(&sweep);
}

/* Trials that do end are none of this sweep: how long they need depends on the machine. */
static void hanging_trials_are_ended_at_their_limit(void **state)
{
    (void)state;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", in(&f, "hanging"));
    const char *path = specification("hanging.json", "hang,hang_stubbornly", 1);
    ws_sweep_counts counts;
    assert_int_equal(run_sweep(&f, path, folder, 1, 0.5, false, &counts), WS_E_PARTIAL);
    assert_int_equal(counts.done, 0);
    assert_int_equal(counts.failed, 2);
    assert_int_equal(counts.left, 0);
    ws_sweep *sweep = read_sweep(path);
    assert_reason(folder, sweep, "behaviour=hang", "not finished within its limit");
    assert_reason(folder, sweep, "hang_stubbornly", "not finished within its limit");
    ws_sweep_status status;
    assert_int_equal(ws_sweep_status_read(folder, &status), WS_OK);
    assert_int_equal(status.running, 0);
    assert_int_equal(status.failed, 2);
    ws_sweep_status_destroy(&status);
    ws_sweep_destroy(&sweep);
}

static void failed_trials_run_again_only_when_asked(void **state)
{
    (void)state;
    char folder[512], path[512];
    snprintf(folder, sizeof folder, "%s", in(&f, "retry"));
    snprintf(path, sizeof path, "%s", specification("retry.json", "ok,fail_once", 2));
    ws_sweep_counts counts;
    assert_int_equal(run_sweep(&f, path, folder, 2, 0, false, &counts), WS_E_PARTIAL);
    assert_int_equal(counts.failed, 2);
    write_text(in(&f, "retry/mended"), "");
    assert_int_equal(run_sweep(&f, path, folder, 2, 0, false, &counts), WS_E_PARTIAL); /* still failed, nothing run */
    assert_int_equal(counts.failed, 2);
    assert_int_equal(run_sweep(&f, path, folder, 2, 0, true, &counts), WS_OK);
    assert_int_equal(counts.done, 4);
    ws_sweep *sweep = read_sweep(path);
    ws_estimate estimate;
    assert_int_equal(ws_sweep_estimate(sweep, folder, &estimate), WS_OK);
    assert_int_equal(estimate.finished, 4);
    assert_int_equal(estimate.left, 0);
    assert_true(estimate.seconds == 0);
    for (size_t i = 0; i < sweep->count; i++) {
        const char *id = sweep->trials[i].facts.id;
        assert_int_equal(times_recorded(folder, id), 1);
        char aside[600];
        snprintf(aside, sizeof aside, "%s/trials/%s.failed-1/record.json", folder, id);
        assert_int_equal(ws_file_exists(aside), strstr(sweep->trials[i].description, "fail_once") != NULL);
    }
    ws_sweep_destroy(&sweep);
}

static void another_sweep_in_the_folder_is_refused_and_additions_are_noted(void **state)
{
    (void)state;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", in(&f, "frozen"));
    ws_sweep_counts counts;
    assert_int_equal(run_sweep(&f, specification("a.json", "ok", 2), folder, 2, 0, false, &counts), WS_OK);
    assert_int_equal(run_sweep(&f, specification("b.json", "other", 2), folder, 2, 0, false, &counts), WS_E_CONFIG);
    assert_non_null(strstr(ws_error_message(), "2 of its trials are not in this one"));
    assert_non_null(strstr(ws_error_message(), "behaviour"));
    assert_int_equal(run_sweep(&f, specification("c.json", "ok", 3), folder, 2, 0, false, &counts), WS_OK);
    assert_int_equal(counts.done, 3);
    ws_json *manifest = NULL;
    assert_int_equal(ws_json_read_file(&manifest, in(&f, "frozen/sweep.json")), WS_OK);
    const cJSON *additions = cJSON_GetObjectItem(ws_json_root(manifest), "additions");
    assert_int_equal(cJSON_GetArraySize(additions), 1);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(additions->child, "trials")), 1);
    ws_json_destroy(&manifest);
}

static size_t running_in(const char *folder)
{
    ws_sweep_status status;
    assert_int_equal(ws_sweep_status_read(folder, &status), WS_OK);
    size_t running = status.running;
    ws_sweep_status_destroy(&status);
    return running;
}

static void supervisors_in_one_folder_share_the_work(void **state)
{
    (void)state;
    char folder[512], path[512];
    snprintf(folder, sizeof folder, "%s", in(&f, "shared"));
    snprintf(path, sizeof path, "%s", specification("shared.json", "wait,ok", 3));
    ws_sweep *sweep = read_sweep(path);
    pid_t first = start_sweep(&f, path, folder, 1), second = start_sweep(&f, path, folder, 1);
    while (count_files(folder, sweep, "ready") < 2)
        pause_ms(5);
    /* a short trial before may have had another one claimed ahead, which is given back */
    while (running_in(folder) != 2)
        pause_ms(5);
    write_text(in(&f, "shared/go"), "");
    ws_sweep_counts counts;
    assert_int_equal(run_sweep(&f, path, folder, 2, 0, false, &counts), WS_OK); /* a third one comes late */
    assert_int_equal(counts.done, 6);
    int ended[2];
    assert_int_equal(waitpid(first, &ended[0], 0), first);
    assert_int_equal(waitpid(second, &ended[1], 0), second);
    for (int k = 0; k < 2; k++)
        assert_int_equal(WEXITSTATUS(ended[k]), WS_OK);
    for (size_t i = 0; i < sweep->count; i++)
        assert_int_equal(times_recorded(folder, sweep->trials[i].facts.id), 1);
    assert_int_equal(running_in(folder), 0);
    assert_int_equal(count_entries(in(&f, "shared/work")) + count_entries(in(&f, "shared/supervisors")), 0);
    ws_sweep_destroy(&sweep);
}

static void a_stop_lets_trials_to_their_checkpoints(void **state)
{
    (void)state;
    char folder[512], path[512];
    snprintf(folder, sizeof folder, "%s", in(&f, "stopped"));
    snprintf(path, sizeof path, "%s", specification("stopped.json", "wait", 4));
    ws_sweep *sweep = read_sweep(path);
    pid_t supervisor = start_sweep(&f, path, folder, 2);
    while (count_files(folder, sweep, "ready") < 2)
        pause_ms(5);
    assert_int_equal(running_in(folder), 2);
    kill(supervisor, SIGTERM);
    int ended;
    assert_int_equal(waitpid(supervisor, &ended, 0), supervisor);
    assert_int_equal(WEXITSTATUS(ended), WS_E_INTERRUPTED);
    ws_sweep_status status;
    assert_int_equal(ws_sweep_status_read(folder, &status), WS_OK);
    assert_int_equal(status.failed + status.running + status.done, 0);
    assert_int_equal(status.left, 4);
    ws_sweep_status_destroy(&status);
    assert_int_equal(count_files(folder, sweep, "checkpoint"), 2);
    write_text(in(&f, "stopped/go"), "");
    ws_sweep_counts counts;
    assert_int_equal(run_sweep(&f, path, folder, 2, 0, false, &counts), WS_OK);
    assert_int_equal(counts.done, 4);
    assert_int_equal(count_files(folder, sweep, "resumed"), 2); /* these went on, the others began */
    for (size_t i = 0; i < sweep->count; i++)
        assert_int_equal(times_recorded(folder, sweep->trials[i].facts.id), 1);
    ws_sweep_destroy(&sweep);
}

/* kill -9 of the supervisor at many moments; what it left running ends by itself or is waited for. */
static void killed_supervisors_lose_and_double_nothing(void **state)
{
    (void)state;
    char folder[512], calm[512], path[512];
    snprintf(folder, sizeof folder, "%s", in(&f, "killed"));
    snprintf(calm, sizeof calm, "%s", in(&f, "calm"));
    snprintf(path, sizeof path, "%s", specification("killed.json", "slow,ok,segfault", 5));
    for (int round = 0; round < 8; round++) {
        pid_t supervisor = start_sweep(&f, path, folder, 3);
        pause_ms(30 + 45 * round);
        kill(supervisor, SIGKILL);
        assert_int_equal(waitpid(supervisor, NULL, 0), supervisor);
    }
    ws_sweep_counts counts;
    assert_int_equal(run_sweep(&f, path, folder, 3, 0, false, &counts), WS_E_PARTIAL);
    assert_int_equal(counts.done, 10);
    assert_int_equal(counts.failed, 5);
    ws_sweep *sweep = read_sweep(path);
    for (size_t i = 0; i < sweep->count; i++)
        assert_int_equal(times_recorded(folder, sweep->trials[i].facts.id),
                         strstr(sweep->trials[i].description, "segfault") == NULL);
    ws_sweep_destroy(&sweep);
    /* and the tables are those of an undisturbed run by one worker */
    assert_int_equal(run_sweep(&f, path, calm, 1, 0, false, &counts), WS_E_PARTIAL);
    assert_tables_equal(folder, calm);
}

static void tables_do_not_depend_on_the_number_of_workers(void **state)
{
    (void)state;
    char one[512], three[512], path[512];
    snprintf(one, sizeof one, "%s", in(&f, "one"));
    snprintf(three, sizeof three, "%s", in(&f, "three"));
    snprintf(path, sizeof path, "%s", specification("workers.json", "ok,fail,other", 6));
    ws_sweep_counts counts;
    assert_int_equal(run_sweep(&f, path, one, 1, 0, false, &counts), WS_E_PARTIAL);
    assert_int_equal(run_sweep(&f, path, three, 3, 0, false, &counts), WS_E_PARTIAL);
    assert_int_equal(counts.done, 12);
    assert_tables_equal(one, three);
}

static void torn_and_damaged_files_are_mended(void **state)
{
    (void)state;
    char folder[512], path[512], file[700];
    snprintf(folder, sizeof folder, "%s", in(&f, "torn"));
    snprintf(path, sizeof path, "%s", specification("torn.json", "ok", 2));
    ws_sweep_counts counts;
    assert_int_equal(run_sweep(&f, path, folder, 1, 0, false, &counts), WS_OK);
    ws_sweep *sweep = read_sweep(path);
    snprintf(file, sizeof file, "%s/trials/%s/record.json", folder, sweep->trials[1].facts.id);
    write_text(file, "{\"schema\":1,\"id\":");
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    char journal[1024];
    snprintf(journal, sizeof journal, "%s/journal/%s.0.jsonl", folder, host);
    FILE *torn = fopen(journal, "a");
    assert_non_null(torn);
    fputs("{\"event\":\"fini", torn);
    fclose(torn);
    assert_int_equal(run_sweep(&f, path, folder, 1, 0, false, &counts), WS_OK);
    assert_int_equal(counts.done, 2);
    assert_int_equal(times_recorded(folder, sweep->trials[0].facts.id), 1);
    char *text = read_text(journal);
    assert_non_null(strstr(text, "{\"event\":\"fini\n{"));
    free(text);
    ws_sweep_destroy(&sweep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_failure_is_recorded_and_the_rest_goes_on),
        cmocka_unit_test(hanging_trials_are_ended_at_their_limit),
        cmocka_unit_test(failed_trials_run_again_only_when_asked),
        cmocka_unit_test(another_sweep_in_the_folder_is_refused_and_additions_are_noted),
        cmocka_unit_test(supervisors_in_one_folder_share_the_work),
        cmocka_unit_test(a_stop_lets_trials_to_their_checkpoints),
        cmocka_unit_test(killed_supervisors_lose_and_double_nothing),
        cmocka_unit_test(tables_do_not_depend_on_the_number_of_workers),
        cmocka_unit_test(torn_and_damaged_files_are_mended),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
