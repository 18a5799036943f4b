/* Real captures: each opens or is refused with one line, whole files have as many records as capinfos counts, and
 * broken ones do not crash. Skipped where the captures or capinfos are not at hand. ctest: timeout=240
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "captures.h"

#include <ftw.h>
#include <sys/stat.h>

typedef struct counted_file {
    char *path;
    uint64_t records, skipped, damage;
    bool opened;
} counted_file;

static counted_file *files;
static size_t file_count, file_capacity;

static int add_file(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)place;
    if (type == FTW_F) {
        if (file_count == file_capacity) {
            file_capacity = file_capacity * 2 + 64;
            files = realloc(files, file_capacity * sizeof *files);
        }
        files[file_count++] = (counted_file){.path = strdup(path)};
    }
    return 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const counted_file *)a)->path, ((const counted_file *)b)->path);
}

static bool find_files(const char *folder)
{
    char root[4096];
    const char *shared = getenv("WIRESWEEP_SHARED_DATA");
    for (size_t i = 0; i < file_count; i++)
        free(files[i].path);
    file_count = 0;
    snprintf(root, sizeof root, "%s/%s", shared ? shared : "", folder);
    if (!shared || nftw(root, add_file, 16, FTW_PHYS) != 0 || file_count == 0) {
        print_message("skipped: no captures in %s\n", root);
        return false;
    }
    qsort(files, file_count, sizeof *files, by_path);
    return true;
}

/* Opens, walks and decodes one file; resynchronises here and there. */
static void read_file(counted_file *file)
{
    ws_capture capture;
    ws_err error = ws_capture_open(&capture, file->path);
    if (error != WS_OK) {
        char place[4200];
        snprintf(place, sizeof place, "%s: byte ", file->path);
        assert_memory_equal(ws_error_message(), place, strlen(place));
        assert_null(strchr(ws_error_message(), '\n'));
        return;
    }
    file->opened = true;
    ws_walk *walk;
    assert_int_equal(ws_walk_create(&walk, &capture, 0), WS_OK);
    assert_int_equal(ws_walk_range(walk, capture.first_record, capture.bytes), WS_OK);
    for (;;) {
        ws_record record;
        ws_packet packet;
        bool more;
        assert_int_equal(ws_walk_next(walk, &record, &more), WS_OK);
        if (!more)
            break;
        file->records++;
        file->skipped += WS_SKIP_NONE != ws_packet_decode(record.frame, record.captured_length, record.wire_length,
                                                          record.link_type, record.time_ns, &packet);
    }
    size_t damage;
    ws_walk_damage(walk, &damage);
    file->damage = damage;
    for (int i = 0; capture.splittable && i < 8; i++) {
        uint64_t found;
        assert_int_equal(ws_capture_resync(&capture, capture.bytes * (unsigned)i / 8, &found), WS_OK);
        assert_true(found <= capture.bytes);
    }
    ws_walk_destroy(&walk);
    ws_capture_close(&capture);
}

static counted_file *find(const char *path)
{
    counted_file key = {.path = (char *)path};
    return bsearch(&key, files, file_count, sizeof *files, by_path);
}

/* capinfos names the files it could not read to the end in quotes on its error output. */
static void forget_unreadable(const char *errors)
{
    char *line = NULL;
    size_t capacity = 0;
    FILE *in = fopen(errors, "r");
    assert_non_null(in);
    while (getline(&line, &capacity, in) >= 0) {
        char *from = strchr(line, '"'), *to = from ? strchr(from + 1, '"') : NULL;
        if (!to)
            continue;
        *to = 0;
        counted_file *file = find(from + 1);
        if (file)
            file->opened = false;
    }
    free(line);
    fclose(in);
}

/* Lines of path, tab, count. */
static size_t compare_counts(const char *counts)
{
    char *line = NULL;
    size_t capacity = 0, compared = 0, wrong = 0;
    FILE *in = fopen(counts, "r");
    assert_non_null(in);
    while (getline(&line, &capacity, in) >= 0) {
        char *tab = strrchr(line, '\t');
        assert_non_null(tab);
        *tab = 0;
        counted_file *file = find(line);
        if (!file || !file->opened)
            continue;
        compared++;
        if (strtoull(tab + 1, NULL, 10) != file->records) {
            wrong++;
            print_error("%s: capinfos counts %s we %llu\n", line, tab + 1, (unsigned long long)file->records);
        }
    }
    free(line);
    fclose(in);
    assert_int_equal(wrong, 0);
    return compared;
}

static void records_agree_with_capinfos(void **state)
{
    (void)state;
    if (!find_files("labelled-pcap") || system("command -v capinfos >/dev/null") != 0) {
        print_message("skipped: needs captures and capinfos\n");
        skip();
    }
    char folder[] = "/tmp/captures_XXXXXX", list[64], counts[64], errors[64], command[512];
    assert_non_null(mkdtemp(folder));
    snprintf(list, sizeof list, "%s/list", folder);
    snprintf(counts, sizeof counts, "%s/counts", folder);
    snprintf(errors, sizeof errors, "%s/errors", folder);
    FILE *out = fopen(list, "w");
    assert_non_null(out);
    size_t opened = 0;
    for (size_t i = 0; i < file_count; i++) {
        read_file(&files[i]);
        if (files[i].opened) {
            opened++;
            fprintf(out, "%s%c", files[i].path, 0);
        }
    }
    fclose(out);
    /* Its status tells only that some file was damaged. */
    snprintf(command, sizeof command, "xargs -0 -a %s capinfos -T -M -c -r >%s 2>%s || true", list, counts, errors);
    assert_int_equal(system(command), 0);
    forget_unreadable(errors);
    size_t compared = compare_counts(counts);
    uint64_t records = 0;
    for (size_t i = 0; i < file_count; i++)
        records += files[i].records;
    print_message("%zu files, %zu opened, %zu compared with capinfos, %llu records\n", file_count, opened, compared,
                  (unsigned long long)records);
    assert_true(opened > 0 && compared * 10 >= opened * 9);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

static void broken_captures_do_not_crash(void **state)
{
    (void)state;
    static const char *const folders[] = {"broken", "formats"};
    for (int f = 0; f < 2; f++) {
        if (!find_files(folders[f]))
            skip();
        for (size_t i = 0; i < file_count; i++)
            read_file(&files[i]);
    }
}

int main(void)
{
    if (!find_files("labelled-pcap"))
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_agree_with_capinfos),
        cmocka_unit_test(broken_captures_do_not_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
