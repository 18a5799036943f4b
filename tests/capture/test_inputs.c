/* Input lists: directories, globs and list files give one sorted list, whatever the order on the command line. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "captures.h"

#include <sys/stat.h>

static char folder[64], old_folder[4096];
static ws_arena *arena;

static void make_file(const char *name, const char *content, size_t count)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, count, file), count);
    fclose(file);
}

/* A folder with captures by name and by magic, and with what is none. */
static int set_up(void **state)
{
    (void)state;
    assert_non_null(getcwd(old_folder, sizeof old_folder));
    snprintf(folder, sizeof folder, "/tmp/inputs_XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(mkdir("data", 0700) | mkdir("data/sub", 0700) | mkdir("data/empty", 0700), 0);
    make_file("data/b.pcap", "", 0);
    make_file("data/a.pcapng.gz", "", 0);
    make_file("data/a.pcapng0", "\x0a\x0d\x0d\x0a", 4);
    make_file("data/README", "text", 4);
    make_file("data/.hidden.pcap", "", 0);
    make_file("data/sub/rotated.0001", "\xd4\xc3\xb2\xa1", 4);
    make_file("data/sub/C.CAP", "", 0);
    assert_int_equal(symlink("..", "data/sub/loop"), 0);
    assert_int_equal(symlink("../b.pcap", "data/sub/z.pcap"), 0);
    return ws_arena_create(&arena, 4096) == WS_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    ws_arena_destroy(&arena);
    assert_int_equal(chdir(old_folder), 0);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void expect(const char *const *arguments, size_t count, const char *const *paths, size_t expected)
{
    ws_string_list list;
    assert_int_equal(ws_inputs_expand(&(ws_string_list){arguments, count}, arena, &list), WS_OK);
    for (size_t i = 0; i < list.count && i < expected; i++)
        assert_string_equal(list.items[i], paths[i]);
    assert_int_equal(list.count, expected);
}
#define COUNT(array) (sizeof(array) / sizeof *(array))

static void directory_is_searched(void **state)
{
    (void)state;
    /* "a.pcapng" (.gz) sorts before "a.pcapng0"; the link to b.pcap is the same file; README and hidden names are out.
     */
    static const char *const paths[] = {"data/a.pcapng.gz", "data/a.pcapng0", "data/b.pcap", "data/sub/C.CAP",
                                        "data/sub/rotated.0001"};
    static const char *const spellings[] = {"data", "data/", "./data", ".//data/.//"};
    for (size_t i = 0; i < COUNT(spellings); i++)
        expect(&spellings[i], 1, paths, COUNT(paths));
    const char *here = ".";
    expect(&here, 1, paths, COUNT(paths));
}

static void order_of_arguments_does_not_matter(void **state)
{
    (void)state;
    static const char *const one[] = {"data/sub", "data/b.pcap", "data/a.pcapng.gz"};
    static const char *const two[] = {"./data/a.pcapng.gz", "data/sub/z.pcap", "data/sub/C.CAP", "data//b.pcap",
                                      "data/sub"};
    static const char *const paths[] = {"data/a.pcapng.gz", "data/b.pcap", "data/sub/C.CAP", "data/sub/rotated.0001"};
    expect(one, COUNT(one), paths, COUNT(paths));
    expect(two, COUNT(two), paths, COUNT(paths));
}

static void globs_and_lists(void **state)
{
    (void)state;
    static const char *const glob[] = {"data/[ab].*"};
    static const char *const glob_paths[] = {"data/a.pcapng.gz", "data/a.pcapng0", "data/b.pcap"};
    expect(glob, 1, glob_paths, 3);

    const char *lines = "# what to read\r\n\nsub\r\nb.pcap\n@more.txt\n";
    make_file("data/list.txt", lines, strlen(lines));
    make_file("data/more.txt", "a.*gz", 5);
    static const char *const list[] = {"@data/list.txt"};
    static const char *const list_paths[] = {"data/a.pcapng.gz", "data/b.pcap", "data/sub/C.CAP",
                                             "data/sub/rotated.0001"};
    expect(list, 1, list_paths, 4);

    make_file("data/odd[name]*.pcap", "", 0); /* a name that is there is no pattern */
    static const char *const odd[] = {"data/odd[name]*.pcap"};
    expect(odd, 1, odd, 1);
    unlink("data/odd[name]*.pcap");
}

/* Data that were not fetched are links to nowhere; leaving them out would shorten the result without a word. */
static void links_to_nowhere_are_inputs(void **state)
{
    (void)state;
    assert_int_equal(mkdir("links", 0700) | symlink("../annex/x", "links/a.pcap.gz"), 0);
    assert_int_equal(symlink("../annex/y", "links/notes") | symlink("../data/b.pcap", "links/b.pcap"), 0);
    const char *folder_name = "links";
    static const char *const paths[] = {"links/a.pcap.gz", "links/b.pcap"};
    expect(&folder_name, 1, paths, COUNT(paths));
    ws_capture capture;
    assert_int_equal(ws_capture_open(&capture, paths[0]), WS_E_IO);
    assert_non_null(strstr(ws_error_message(), "links/a.pcap.gz: cannot open: No such file"));
    ws_error_clear();
}

static void named_files_need_not_look_like_captures(void **state)
{
    (void)state;
    static const char *const name[] = {"data/README"};
    expect(name, 1, name, 1);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    make_file("data/self.txt", "@self.txt\n", 10);
    static const struct {
        const char *argument, *message;
    } cases[] = {
        {"data/absent.pcap", "data/absent.pcap: No such file"},
        {"data/*.csv", "data/*.csv: no file matches"},
        {"data/empty", "data/empty: no captures"},
        {"@data/absent.txt", "@data/absent.txt: cannot open"},
        {"@data/self.txt", "list files name each other"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ws_string_list list;
        assert_int_equal(ws_inputs_expand(&(ws_string_list){&cases[i].argument, 1}, arena, &list), WS_E_ARGUMENT);
        assert_non_null(strstr(ws_error_message(), cases[i].message));
        assert_null(strchr(ws_error_message(), '\n'));
    }
    ws_string_list list;
    assert_int_equal(ws_inputs_expand(&(ws_string_list){NULL, 0}, arena, &list), WS_E_ARGUMENT);
}

/* For those who leave out what cannot be read: it is an input by its name, once each, with the reason. */
static void what_is_not_there_can_be_an_input(void **state)
{
    (void)state;
    static const char *const arguments[] = {"data/sub",   "data/absent.pcap", "data/*.csv",
                                            "data/empty", "@some.list",       "./data//absent.pcap"},
                             *const paths[][2] = {{"data/*.csv", "data/*.csv: no file matches"},
                                                  {"data/absent.pcap", "data/absent.pcap: No such file"},
                                                  {"data/b.pcap", ""},
                                                  {"data/empty", "data/empty: no captures"},
                                                  {"data/other.pcap", "data/other.pcap: No such file"},
                                                  {"data/sub/C.CAP", ""},
                                                  {"data/sub/rotated.0001", ""}};
    make_file("some.list", "data/other.pcap\ndata/b.pcap\n", 28);
    ws_string_list list, reasons;
    assert_int_equal(
        ws_inputs_expand_named(&(ws_string_list){arguments, COUNT(arguments)}, false, arena, &list, &reasons), WS_OK);
    assert_int_equal(list.count, COUNT(paths));
    assert_int_equal(reasons.count, COUNT(paths));
    for (size_t i = 0; i < COUNT(paths); i++) {
        assert_string_equal(list.items[i], paths[i][0]);
        assert_int_equal(strncmp(reasons.items[i], paths[i][1], strlen(paths[i][1])), 0);
        assert_int_equal(reasons.items[i][0] == '\0', paths[i][1][0] == '\0');
    }
    static const char *const list_name = "@absent.list"; /* what it would name cannot be known */
    assert_int_equal(ws_inputs_expand_named(&(ws_string_list){&list_name, 1}, false, arena, &list, &reasons),
                     WS_E_ARGUMENT);
}

/* A directory that may not be listed, and one that may be but not entered. */
static void directories_without_permission_are_told_of(void **state)
{
    (void)state;
    static const char *const names[] = {"data"};
    if (geteuid() == 0) {
        print_message("nothing is forbidden to root\n");
        skip();
    }
    for (mode_t mode = 0; mode <= 0400; mode += 0400) {
        ws_string_list list, reasons;
        assert_int_equal(chmod("data/sub", mode), 0);
        assert_int_equal(ws_inputs_expand(&(ws_string_list){names, 1}, arena, &list), WS_E_IO);
        assert_non_null(strstr(ws_error_message(), "data/sub"));
        assert_non_null(strstr(ws_error_message(), "Permission denied"));
        assert_int_equal(ws_inputs_expand_named(&(ws_string_list){names, 1}, false, arena, &list, &reasons), WS_OK);
        bool told = false;
        for (size_t i = 0; i < list.count; i++)
            told = told || (strncmp(list.items[i], "data/sub", 8) == 0 &&
                            strstr(reasons.items[i], "Permission denied") != NULL);
        assert_int_equal(chmod("data/sub", 0700), 0);
        assert_true(told);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directory_is_searched),
        cmocka_unit_test(order_of_arguments_does_not_matter),
        cmocka_unit_test(globs_and_lists),
        cmocka_unit_test(named_files_need_not_look_like_captures),
        cmocka_unit_test(what_is_not_there_can_be_an_input),
        cmocka_unit_test(directories_without_permission_are_told_of),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(links_to_nowhere_are_inputs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
