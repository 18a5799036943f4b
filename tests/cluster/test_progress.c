/* ctest: timeout=60
 * Progress: lines where stderr is a file, nothing when quiet, nothing from ranks other than 0.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cluster/cluster.h"

/* What a little job writes to stderr, with stderr sent to a file meanwhile. */
static void written_by_job(bool quiet, int rank, double before, double total, char *out, size_t size)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int saved = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    ws_log_setup(quiet, rank, 2);
    ws_comm comm = {.mpi = MPI_COMM_SELF, .rank = rank, .size = 2};
    ws_progress *progress = NULL;
    ws_err error = ws_progress_start(&progress, &comm, "walk", "packets", total);
    ws_progress_continue(progress, before);
    for (int i = 1; i <= 4; i++) {
        usleep(20000);
        ws_progress_update(progress, i * 1000000.0, i == 4 ? "monday.pcap" : NULL);
    }
    ws_progress_finish(&progress);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    ws_log_setup(false, 0, 1);
    assert_int_equal(error, WS_OK);
    assert_null(progress);
    rewind(file);
    out[fread(out, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void lines_where_there_is_no_terminal(void **state)
{
    (void)state;
    char text[4096];
    setenv("WIRESWEEP_PROGRESS_SECONDS", "0.01", 1);
    written_by_job(false, 0, 0, 4000000, text, sizeof text);
    assert_non_null(strstr(text, "walk"));
    assert_non_null(strstr(text, " 25 %"));
    assert_non_null(strstr(text, "100 %"));
    assert_non_null(strstr(text, "4.00 M packets"));
    assert_non_null(strstr(text, "monday.pcap"));
    assert_null(strchr(text, '\r'));
    assert_null(strchr(text, '\033'));
    written_by_job(false, 0, 0, 0, text, sizeof text); /* total unknown: no percentage */
    assert_non_null(strstr(text, "4.00 M packets"));
    assert_null(strchr(text, '%'));
}

static void what_was_done_before_is_no_speed(void **state)
{
    (void)state;
    char text[4096];
    setenv("WIRESWEEP_PROGRESS_SECONDS", "0.01", 1);
    written_by_job(false, 0, 4000000, 4000000, text, sizeof text);
    assert_non_null(strstr(text, "100 %  4.00 M of 4.00 M packets  0/s"));
}

static void the_usual_interval_keeps_short_jobs_silent(void **state)
{
    (void)state;
    char text[4096];
    unsetenv("WIRESWEEP_PROGRESS_SECONDS");
    written_by_job(false, 0, 0, 4000000, text, sizeof text);
    assert_string_equal(text, "");
}

static void quiet_and_other_ranks_say_nothing(void **state)
{
    (void)state;
    char text[4096];
    setenv("WIRESWEEP_PROGRESS_SECONDS", "0.01", 1);
    written_by_job(true, 0, 0, 4000000, text, sizeof text);
    assert_string_equal(text, "");
    written_by_job(false, 1, 0, 4000000, text, sizeof text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_where_there_is_no_terminal),
        cmocka_unit_test(what_was_done_before_is_no_speed),
        cmocka_unit_test(the_usual_interval_keeps_short_jobs_silent),
        cmocka_unit_test(quiet_and_other_ranks_say_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
