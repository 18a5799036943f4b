/* ctest: timeout=120
 * Several supervisors on several machines: what is lost is taken over, what is finished twice is compared, what fails is tried
 * elsewhere, and a machine that fails what others finish is left out. Machines are played by processes with node names of their
 * own. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include "sweep_fixture.h"
#include "sweep/internal.h"
#include "cluster/cluster.h"

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

static size_t count_events(const char *folder, const char *event)
{
    char pattern[600];
    snprintf(pattern, sizeof pattern, "%s/journal/*", folder);
    glob_t found;
    size_t count = 0;
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *text = read_text(found.gl_pathv[i]), wanted[64];
        snprintf(wanted, sizeof wanted, "\"event\":\"%s\"", event);
        for (const char *at = text; (at = strstr(at, wanted)); at++)
            count++;
        free(text);
    }
    globfree(&found);
    return count;
}

static void crashes_are_tried_again_and_certain_failures_are_not(void **state)
{
    (void)state;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", in(&f, "again"));
    const char *path = specification_of(&f, "again.json", "fail_first,segfault,fail", 2);
    ws_sweep_options options = options_of(&f, folder, 2);
    options.retries = 2;
    ws_sweep_counts counts;
    assert_int_equal(run_with(&options, path, &counts), WS_E_PARTIAL);
    assert_int_equal(counts.done, 2);
    assert_int_equal(counts.failed, 4);
    /* fail_first once each, segfault three times each, a number that is not finite once each */
    assert_int_equal(count_events(folder, "failed"), 2 + 6 + 2);
    ws_sweep *sweep = read_sweep(path);
    for (size_t i = 0; i < sweep->count; i++) {
        char file[700];
        ws_json *record = NULL;
        snprintf(file, sizeof file, "%s/trials/%s/record.json", folder, sweep->trials[i].facts.id);
        assert_int_equal(ws_json_read_file(&record, file), WS_OK);
        int tries = cJSON_GetArraySize(ws_json_find(ws_json_root(record), "failure.tries"));
        assert_int_equal(tries, strstr(sweep->trials[i].description, "segfault") ? 3 : 0);
        ws_json_destroy(&record);
    }
    ws_sweep_destroy(&sweep);
}

/* A supervisor that gives no sign of life, as when its machine cannot be reached, and comes back when another one has finished
 * its trial. */
static void what_is_lost_is_taken_over_and_finished_once(void **state)
{
    (void)state;
    static const struct {
        const char *behaviour, *name;
        ws_err late;
        size_t confirmed, contradicted;
    } cases[] = {{"wait", "lost", WS_OK, 1, 0}, {"wait_unsteady", "unsteady", WS_E_PARTIAL, 0, 1}};
    for (size_t k = 0; k < 2; k++) {
        char folder[512], path[512], go[600];
        snprintf(folder, sizeof folder, "%s", in(&f, cases[k].name));
        snprintf(go, sizeof go, "%s/go", folder);
        snprintf(path, sizeof path, "%s", specification_of(&f, "lost.json", cases[k].behaviour, 1));
        ws_sweep *sweep = read_sweep(path);
        ws_sweep_options options = options_of(&f, folder, 1);
        options.lease = 1;
        pid_t lost = start_with(&options, path, "far");
        while (count_files(folder, sweep, "ready") < 1)
            pause_ms(5);
        kill(lost, SIGSTOP);
        pid_t other = start_with(&options, path, "near");
        while (count_files(folder, sweep, "ready") < 2)
            pause_ms(5);
        write_text(go, "");
        assert_int_equal(wait_for(other), WS_OK);
        kill(lost, SIGCONT);
        assert_int_equal(wait_for(lost), cases[k].late);
        assert_int_equal(count_events(folder, "finished"), 1);
        assert_int_equal(count_events(folder, "confirmed"), cases[k].confirmed);
        assert_int_equal(count_events(folder, "contradicted"), cases[k].contradicted);
        char note[700];
        snprintf(note, sizeof note, "%s/trials/%s.second-1/difference.txt", folder, sweep->trials[0].facts.id);
        assert_int_equal(ws_file_exists(note), cases[k].contradicted);
        if (cases[k].contradicted) {
            char *difference = read_text(note);
            assert_non_null(strstr(difference, "parameter_hash: \"p"));
            free(difference);
        }
        ws_sweep_destroy(&sweep);
    }
}

/* As after the loss of a machine: a checkpoint that is there is used further. */
static void what_is_lost_goes_on_from_its_checkpoint(void **state)
{
    (void)state;
    char folder[512], path[512];
    snprintf(folder, sizeof folder, "%s", in(&f, "checkpoint"));
    snprintf(path, sizeof path, "%s", specification_of(&f, "checkpoint.json", "train", 1));
    ws_sweep *sweep = read_sweep(path);
    ws_sweep_options options = options_of(&f, folder, 1);
    options.lease = 1;
    pid_t lost = start_with(&options, path, "far");
    while (count_files(folder, sweep, "checkpoints/step_1.h5") < 1)
        pause_ms(5);
    kill(lost, SIGSTOP);
    pid_t other = start_with(&options, path, "near");
    while (count_files(folder, sweep, "resumed") < 1)
        pause_ms(5);
    write_text(in(&f, "checkpoint/go"), "");
    assert_int_equal(wait_for(other), WS_OK);
    kill(lost, SIGKILL);
    wait_for(lost);
    ws_sweep_destroy(&sweep);
}

static void a_machine_that_fails_what_others_finish_is_quarantined(void **state)
{
    (void)state;
    char folder[512], path[512];
    snprintf(folder, sizeof folder, "%s", in(&f, "sick"));
    snprintf(path, sizeof path, "%s", specification_of(&f, "sick.json", "sick", 8));
    ws_sweep *sweep = read_sweep(path);
    ws_sweep_options options = options_of(&f, folder, 1);
    options.retries = 1;
    /* the healthy one is there, but does nothing until the sick one has failed */
    char hold[600];
    snprintf(hold, sizeof hold, "%s/hold", folder);
    assert_int_equal(ws_directory_create(folder), WS_OK);
    write_text(hold, "");
    pid_t well = start_with(&options, path, "well"), sick = start_with(&options, path, "sick");
    while (count_files(folder, sweep, "../failed-1") < 3)
        pause_ms(5);
    unlink(hold);
    assert_int_equal(wait_for(sick), WS_E_IO);
    assert_int_equal(wait_for(well), WS_OK);
    assert_true(ws_file_exists(in(&f, "sick/quarantine/sick")));
    ws_sweep_status status;
    assert_int_equal(ws_sweep_status_read(folder, &status), WS_OK);
    assert_int_equal(ws_json_find(status.nodes, "well.finished")->valueint, 8);
    assert_true(ws_json_find(status.nodes, "sick.failed")->valueint >= 2);
    assert_int_equal(ws_json_find(status.nodes, "sick.quarantined")->valueint, 1);
    assert_true(status.cpu_hours > 0 && status.wasted_hours > 0 && status.per_hour > 0);
    ws_sweep_status_destroy(&status);
    pid_t again = start_with(&options, path, "sick");
    assert_int_equal(wait_for(again), WS_E_IO);
    ws_sweep_destroy(&sweep);
}

static void a_trial_that_fails_on_different_machines_is_given_up(void **state)
{
    (void)state;
    char folder[512], path[512];
    snprintf(folder, sizeof folder, "%s", in(&f, "everywhere"));
    snprintf(path, sizeof path, "%s", specification_of(&f, "everywhere.json", "segfault,wait", 1));
    ws_sweep *sweep = read_sweep(path);
    ws_sweep_options options = options_of(&f, folder, 2);
    options.retries = 50;
    pid_t one = start_with(&options, path, "one"), two = start_with(&options, path, "two");
    while (count_files(folder, sweep, "record.json") < 1)
        pause_ms(5);
    write_text(in(&f, "everywhere/go"), "");
    assert_int_equal(wait_for(one), WS_E_PARTIAL);
    assert_int_equal(wait_for(two), WS_E_PARTIAL);
    assert_true(count_events(folder, "failed") < 10);
    ws_sweep_destroy(&sweep);
}

static void memory_cores_and_devices_are_limited(void **state)
{
    (void)state;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", in(&f, "limits"));
    const char *path = specification_of(&f, "limits.json", "greedy,cores", 2);
    ws_sweep *sweep = read_sweep(path);
    ws_sweep_options options = options_of(&f, folder, 2);
    options.memory_limit = 64 << 20;
    options.cores_per_trial = 1;
    options.devices_per_trial = 1;
    options.trials_per_device = 1;
    ws_sweep_counts counts;
    setenv("CUDA_VISIBLE_DEVICES", "5,7", 1);
    assert_int_equal(run_with(&options, path, &counts), WS_E_PARTIAL);
    unsetenv("CUDA_VISIBLE_DEVICES");
    assert_int_equal(counts.done, 2);
    assert_int_equal(counts.failed, 2);
    char *reason = failure_reason(folder, sweep, "greedy");
    assert_non_null(strstr(reason, "0.0625 GiB of memory, perhaps too little (--memory-limit)"));
    free(reason);
    for (size_t i = 0; i < sweep->count; i++) {
        char file[700];
        snprintf(file, sizeof file, "%s/trials/%s/cores", folder, sweep->trials[i].facts.id);
        if (!ws_file_exists(file))
            continue;
        char *cores = read_text(file);
        assert_null(strpbrk(cores, "-,")); /* one number */
        free(cores);
        snprintf(file, sizeof file, "%s/trials/%s/devices", folder, sweep->trials[i].facts.id);
        char *devices = read_text(file);
        assert_true(strcmp(devices, "5\n") == 0 || strcmp(devices, "7\n") == 0);
        free(devices);
    }
    ws_sweep_destroy(&sweep);
}

static void make_folders(const char *folder, const char *published)
{
    static const char *const names[] = {"work", "supervisors", "trials"};
    char path[700];
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_int_equal(ws_directory_create(path), WS_OK);
    }
    if (published) {
        snprintf(path, sizeof path, "%s/trials/%s", folder, published);
        assert_int_equal(ws_directory_create(path), WS_OK);
    }
}

/* A trial that is left to another machine is claimed and given back as long as that one is busy, which may be days. */
static void claims_that_are_given_back_do_not_pile_up(void **state)
{
    (void)state;
    const char *folder = in(&f, "given_back");
    ws_pulse pulse;
    struct stat info;
    make_folders(folder, NULL);
    assert_int_equal(ws_pulse_start(&pulse, folder, 60, 1), WS_OK);
    for (int k = 1; k <= 20; k++) {
        ws_claim claim;
        assert_int_equal(ws_claim_take(&claim, &pulse, folder, "one"), WS_OK);
        assert_int_equal(claim.result, WS_CLAIM_MINE);
        assert_int_equal(claim.generation, k); /* a number is never used twice */
        assert_int_equal(ws_claim_release(&claim, folder, "one"), WS_OK);
    }
    assert_int_equal(stat(pulse.path, &info), 0);
    assert_int_equal(info.st_nlink, 2); /* its own name, and that of the last claim */
    ws_pulse_stop(&pulse);
}

static int claim_and_clear(const char *folder)
{
    ws_pulse pulse;
    ws_err error = ws_pulse_start(&pulse, folder, 60, 1);
    for (int k = 0; k < 3000 && error == WS_OK; k++) {
        ws_claim claim;
        error = ws_claim_take(&claim, &pulse, folder, "one");
        if (error == WS_OK && claim.result == WS_CLAIM_MINE)
            error = ws_claim_clear(&claim, folder, "one");
    }
    if (error != WS_OK)
        ws_error_print(error, true);
    ws_pulse_stop(&pulse);
    return (int)error;
}

/* Supervisors that claim a trial in the moment in which another one, which has published it, clears up after it. */
static void claims_meet_clearing(void **state)
{
    (void)state;
    const char *folder = in(&f, "clearing");
    pid_t others[3];
    make_folders(folder, "one");
    for (size_t i = 0; i < 3; i++) {
        others[i] = fork();
        assert_true(others[i] >= 0);
        if (others[i] == 0)
            _exit(claim_and_clear(folder));
    }
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(wait_for(others[i]), WS_OK);
}

/* A supervisor that stands still for longer than a lease between claiming a trial and making its folder. */
static void a_claim_that_was_taken_over_is_none(void **state)
{
    (void)state;
    ws_pulse slow, quick;
    ws_claim first, late, next;
    char folder[512], work[600];
    snprintf(folder, sizeof folder, "%s", in(&f, "slow"));
    snprintf(work, sizeof work, "%s/work", folder);
    assert_int_equal(ws_directory_create(work), WS_OK);
    snprintf(work, sizeof work, "%s/supervisors", folder);
    assert_int_equal(ws_directory_create(work), WS_OK);
    assert_int_equal(ws_pulse_start(&slow, folder, 60, 1), WS_OK);
    assert_int_equal(ws_claim_take(&first, &slow, folder, "t"), WS_OK);
    assert_int_equal(ws_claim_folder(&first, folder, "t"), WS_OK);
    assert_int_equal(ws_claim_release(&first, folder, "t"), WS_OK); /* leaves its folder to the next one */
    assert_int_equal(ws_claim_take(&late, &slow, folder, "t"), WS_OK);
    assert_int_equal(late.result, WS_CLAIM_MINE);
    /* its machine is gone, as far as others can tell */
    snprintf(work, sizeof work, "%s/work/t/lease-%d", folder, late.generation);
    assert_int_equal(utimensat(AT_FDCWD, work, (struct timespec[2]){{1, 0}, {1, 0}}, 0), 0);
    assert_int_equal(ws_pulse_start(&quick, folder, 60, 1), WS_OK);
    snprintf(quick.boot, sizeof quick.boot, "of another machine");
    assert_int_equal(ws_claim_take(&next, &quick, folder, "t"), WS_OK);
    assert_int_equal(next.result, WS_CLAIM_MINE);
    assert_int_equal(ws_claim_folder(&next, folder, "t"), WS_OK);
    assert_int_equal(ws_claim_folder(&late, folder, "t"), WS_OK);
    assert_int_equal(late.result, WS_CLAIM_BUSY);
    assert_null(late.run);
    assert_true(ws_directory_exists(next.run));
    ws_claim_forget(&next);
    ws_pulse_stop(&slow);
    ws_pulse_stop(&quick);
}

static void write_supervisor(const char *path, const char *host, time_t when)
{
    char *text = ws_format("{\"host\":\"%s\",\"boot\":\"an earlier one\"}\n", host);
    write_text(path, text);
    free(text);
    assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[2]){{when, 0}, {when, 0}}, 0), 0);
}

/* Of a machine that was started again, no process of before can still run. */
static void what_ran_before_the_machine_was_started_is_gone(void **state)
{
    (void)state;
    ws_pulse self;
    char path[512];
    snprintf(path, sizeof path, "%s", in(&f, "supervisor"));
    ws_pulse_observe(&self, 60);
    write_supervisor(path, ws_host_name(), 1000);
    assert_int_equal(ws_pulse_look(&self, path), WS_HOLDER_GONE);
    write_supervisor(path, "elsewhere", 1000);
    assert_int_equal(ws_pulse_look(&self, path), WS_HOLDER_LOST);
    write_supervisor(path, ws_host_name(), time(NULL)); /* another machine of the same name */
    assert_int_equal(ws_pulse_look(&self, path), WS_HOLDER_ALIVE);
}

/* What tables test against must not be chosen after results have been seen. */
static void trials_are_added_but_the_comparison_stays(void **state)
{
    (void)state;
    static const char base[] = "{\"base\":{\"task\":\"anomaly\",\"protocol\":\"random\",\"model\":{\"kind\":\"cfm\"}},"
                               "\"comparison\":{\"metric\":\"%s\"},\"seeds\":%d}";
    static const struct {
        const char *metric;
        int seeds;
        ws_err expected;
    } starts[] = {{"auroc", 1, WS_OK}, {"auprc", 1, WS_E_CONFIG}, {"auprc", 2, WS_E_CONFIG}, {"auroc", 2, WS_OK}};
    char folder[512], path[512];
    snprintf(folder, sizeof folder, "%s", in(&f, "frozen"));
    snprintf(path, sizeof path, "%s", in(&f, "frozen.json"));
    for (size_t i = 0; i < 4; i++) {
        ws_sweep_options options = options_of(&f, folder, 1);
        ws_sweep_counts counts;
        char *text = ws_format(base, starts[i].metric, starts[i].seeds);
        write_text(path, text);
        free(text);
        assert_int_equal(run_with(&options, path, &counts), starts[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crashes_are_tried_again_and_certain_failures_are_not),
        cmocka_unit_test(what_is_lost_is_taken_over_and_finished_once),
        cmocka_unit_test(what_is_lost_goes_on_from_its_checkpoint),
        cmocka_unit_test(a_machine_that_fails_what_others_finish_is_quarantined),
        cmocka_unit_test(a_trial_that_fails_on_different_machines_is_given_up),
        cmocka_unit_test(memory_cores_and_devices_are_limited),
        cmocka_unit_test(claims_that_are_given_back_do_not_pile_up),
        cmocka_unit_test(claims_meet_clearing),
        cmocka_unit_test(a_claim_that_was_taken_over_is_none),
        cmocka_unit_test(what_ran_before_the_machine_was_started_is_gone),
        cmocka_unit_test(trials_are_added_but_the_comparison_stays),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
