/* ctest: timeout=60
 * Files are there whole or not at all; journals keep whole lines; folders come and go with their content.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>
#include "storage/storage.h"

static char folder[] = "/tmp/wiresweep-file-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[4][256];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

static int entries_with(const char *part)
{
    int count = 0;
    DIR *directory = opendir(folder);
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
        count += strstr(entry->d_name, part) != NULL;
    closedir(directory);
    return count;
}

static void assert_content(const char *path, const char *expected)
{
    char *data = NULL;
    size_t bytes = 0;
    assert_int_equal(ws_file_read(path, &data, &bytes), WS_OK);
    assert_int_equal(bytes, strlen(expected));
    assert_string_equal(data, expected);
    free(data);
}

static void writing_replaces_and_leaves_nothing_partial(void **state)
{
    (void)state;
    const char *path = in_folder("record.json");
    assert_int_equal(ws_file_write(path, "first", 5), WS_OK);
    assert_int_equal(ws_file_write(path, "second one", 10), WS_OK);
    assert_content(path, "second one");
    assert_int_equal(entries_with(".partial"), 0);
}

/* A full disk, played by a file size limit. */
static void a_write_that_fails_keeps_the_old_content(void **state)
{
    (void)state;
    const char *path = in_folder("kept.bin");
    size_t bytes = 1 << 20;
    char *data = calloc(bytes, 1);
    assert_int_equal(ws_file_write(path, "old", 3), WS_OK);
    struct rlimit before, small = {65536, RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &before);
    small.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    ws_err error = ws_file_write(path, data, bytes);
    setrlimit(RLIMIT_FSIZE, &before);
    free(data);
    assert_int_equal(error, WS_E_IO);
    assert_non_null(strstr(ws_error_message(), "kept.bin"));
    assert_content(path, "old");
    assert_int_equal(entries_with(".partial"), 0);
    ws_error_clear();
}

static void write_new_never_replaces(void **state)
{
    (void)state;
    const char *path = in_folder("once.json");
    bool existed = true;
    assert_int_equal(ws_file_write_new(path, "mine", 4, &existed), WS_OK);
    assert_false(existed);
    assert_int_equal(ws_file_write_new(path, "theirs", 6, &existed), WS_OK);
    assert_true(existed);
    assert_content(path, "mine");
    assert_int_equal(entries_with(".partial"), 0);
}

static void errors_name_the_path(void **state)
{
    (void)state;
    char *data = NULL;
    size_t bytes = 0;
    assert_int_equal(ws_file_read(in_folder("absent.txt"), &data, &bytes), WS_E_IO);
    assert_non_null(strstr(ws_error_message(), "absent.txt"));
    assert_non_null(strstr(ws_error_message(), "No such file"));
    assert_int_equal(ws_file_read(folder, &data, &bytes), WS_E_IO);
    assert_non_null(strstr(ws_error_message(), "folder"));
    assert_int_equal(ws_file_write(in_folder("no/such/folder/x"), "x", 1), WS_E_IO);
    assert_non_null(strstr(ws_error_message(), "no/such/folder/x"));
    ws_error_clear();
}

static void journals_hold_whole_lines(void **state)
{
    (void)state;
    const char *path = in_folder("w.jsonl");
    assert_int_equal(ws_file_append_line(path, "{\"a\":1}"), WS_OK);
    assert_int_equal(ws_file_append_line(path, "{\"a\":2}"), WS_OK);
    /* a writer that died in the middle of a line */
    int descriptor = open(path, O_WRONLY | O_APPEND);
    assert_int_equal(write(descriptor, "{\"a\":", 5), 5);
    close(descriptor);
    assert_int_equal(ws_file_append_line(path, "{\"a\":3}"), WS_OK);
    assert_content(path, "{\"a\":1}\n{\"a\":2}\n{\"a\":\n{\"a\":3}\n");
    assert_int_equal(ws_file_append_line(path, "two\nlines"), WS_E_INTERNAL);
    ws_error_clear();
}

static void folders_come_and_go(void **state)
{
    (void)state;
    assert_int_equal(ws_directory_create(in_folder("a/b//c/")), WS_OK);
    assert_int_equal(ws_directory_create(in_folder("a/b/c")), WS_OK);
    assert_true(ws_directory_exists(in_folder("a/b/c")));
    assert_int_equal(ws_file_write(in_folder("a/b/file"), "x", 1), WS_OK);
    assert_true(ws_file_exists(in_folder("a/b/file")));
    assert_false(ws_file_exists(in_folder("a/b")));
    assert_int_equal(ws_directory_create(in_folder("a/b/file/d")), WS_E_IO);
    assert_non_null(strstr(ws_error_message(), "a/b/file"));
    /* a link out of the folder is removed, what it points to stays */
    assert_int_equal(ws_file_write(in_folder("outside"), "y", 1), WS_OK);
    assert_int_equal(ws_directory_create(in_folder("elsewhere")), WS_OK);
    assert_int_equal(ws_file_write(in_folder("elsewhere/file"), "z", 1), WS_OK);
    assert_int_equal(symlink(in_folder("outside"), in_folder("a/link")), 0);
    assert_int_equal(symlink(in_folder("elsewhere"), in_folder("a/folder-link")), 0);
    assert_int_equal(ws_directory_remove(in_folder("a")), WS_OK);
    assert_false(ws_directory_exists(in_folder("a")));
    assert_content(in_folder("outside"), "y");
    assert_content(in_folder("elsewhere/file"), "z");
    assert_int_equal(ws_directory_remove(in_folder("a")), WS_OK);
    ws_error_clear();
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    return ws_directory_remove(folder) != WS_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writing_replaces_and_leaves_nothing_partial),
        cmocka_unit_test(a_write_that_fails_keeps_the_old_content),
        cmocka_unit_test(write_new_never_replaces),
        cmocka_unit_test(errors_name_the_path),
        cmocka_unit_test(journals_hold_whole_lines),
        cmocka_unit_test(folders_come_and_go),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
