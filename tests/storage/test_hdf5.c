/* ctest: ranks=1,3 timeout=60
 * HDF5: what is written is read back, and errors are one line that names the path.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
#include "../cluster/mpi_main.h"
#include "storage/storage.h"

static char folder[] = "/tmp/wiresweep-hdf5-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void attributes_round_trip(void **state)
{
    (void)state;
    hid_t file = -1;
    const char *names[] = {"benign", "", "Größe"};
    assert_int_equal(ws_h5_create_all(&world, in_folder("attributes.h5"), &file), WS_OK);
    assert_int_equal(ws_h5_write_attribute_text(file, ".", "dataset", "first"), WS_OK);
    assert_int_equal(ws_h5_write_attribute_text(file, ".", "dataset", "cicids2017"), WS_OK); /* replaces */
    assert_int_equal(ws_h5_write_attribute_texts(file, ".", "names", names, 3), WS_OK);
    assert_int_equal(ws_h5_write_attribute_texts(file, ".", "none", NULL, 0), WS_OK);
    assert_int_equal(ws_h5_write_attribute_i64(file, ".", "rows", INT64_MIN), WS_OK);
    assert_int_equal(ws_h5_write_attribute_double(file, ".", "loss", 0.1), WS_OK);
    assert_int_equal(ws_h5_close(&file), WS_OK);
    assert_int_equal(file, -1);
    assert_int_equal(ws_h5_close(&file), WS_OK);

    assert_int_equal(ws_h5_open_all(&world, in_folder("attributes.h5"), false, &file), WS_OK);
    char *text = NULL, **texts = NULL;
    size_t count = 0;
    int64_t rows = 0;
    double loss = 0;
    assert_int_equal(ws_h5_read_attribute_text(file, ".", "dataset", &text), WS_OK);
    assert_string_equal(text, "cicids2017");
    assert_int_equal(ws_h5_read_attribute_texts(file, ".", "names", &texts, &count), WS_OK);
    assert_int_equal(count, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(texts[i], names[i]);
    ws_texts_destroy(&texts, count);
    assert_int_equal(ws_h5_read_attribute_texts(file, ".", "none", &texts, &count), WS_OK);
    assert_int_equal(count, 0);
    ws_texts_destroy(&texts, count);
    assert_int_equal(ws_h5_read_attribute_i64(file, ".", "rows", &rows), WS_OK);
    assert_true(rows == INT64_MIN);
    assert_int_equal(ws_h5_read_attribute_double(file, ".", "loss", &loss), WS_OK);
    assert_true(loss == 0.1);
    free(text);
    assert_int_equal(ws_h5_read_attribute_text(file, ".", "absent", &text), WS_E_FORMAT);
    assert_non_null(strstr(ws_error_message(), "absent"));
    assert_int_equal(ws_h5_read_attribute_i64(file, ".", "dataset", &rows), WS_E_FORMAT);
    assert_int_equal(ws_h5_read_attribute_text(file, ".", "rows", &text), WS_E_FORMAT);
    assert_int_equal(ws_h5_close(&file), WS_OK);
    ws_error_clear();
}

static void fixed_length_texts_of_other_programs_are_read(void **state)
{
    (void)state;
    if (world.rank != 0)
        return;
    hid_t file = -1, type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    assert_int_equal(ws_h5_create(in_folder("fixed.h5"), &file), WS_OK);
    H5Tset_size(type, 8);
    hid_t attribute = H5Acreate2(file, "name", type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, type, "exactly8") >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    char *text = NULL;
    assert_int_equal(ws_h5_read_attribute_text(file, ".", "name", &text), WS_OK);
    assert_string_equal(text, "exactly8");
    free(text);
    assert_int_equal(ws_h5_close(&file), WS_OK);
}

static void datasets_round_trip(void **state)
{
    (void)state;
    if (world.rank != 0)
        return;
    hid_t file = -1;
    float matrix[2][3] = {{1, 2, 3}, {4, 5, 6}}, back[6] = {0};
    const char *inputs[] = {"monday.pcap", "tuesday.pcap"};
    hsize_t shape[4] = {2, 3};
    assert_int_equal(ws_h5_create(in_folder("datasets.h5"), &file), WS_OK);
    assert_int_equal(ws_h5_write_dataset(file, "/param/block.0/weight", H5T_NATIVE_FLOAT, matrix, 2, shape), WS_OK);
    assert_int_equal(ws_h5_write_texts(file, "/provenance/inputs", inputs, 2), WS_OK);
    assert_int_equal(ws_h5_write_dataset(file, "/empty", H5T_NATIVE_FLOAT, NULL, 1, (hsize_t[]){0}), WS_OK);
    assert_true(ws_h5_exists(file, "/param/block.0/weight"));
    assert_true(ws_h5_exists(file, "param"));
    assert_false(ws_h5_exists(file, "/nowhere/at/all"));
    int dimensions = 0;
    assert_int_equal(ws_h5_dataset_shape(file, "/param/block.0/weight", &dimensions, shape), WS_OK);
    assert_int_equal(dimensions, 2);
    assert_int_equal(shape[0] * 10 + shape[1], 23);
    assert_int_equal(ws_h5_read_dataset(file, "/param/block.0/weight", H5T_NATIVE_FLOAT, back, 6), WS_OK);
    assert_memory_equal(back, matrix, sizeof back);
    assert_int_equal(ws_h5_read_dataset(file, "/param/block.0/weight", H5T_NATIVE_FLOAT, back, 5), WS_E_FORMAT);
    assert_non_null(strstr(ws_error_message(), "/param/block.0/weight"));
    assert_int_equal(ws_h5_read_dataset(file, "/param/missing", H5T_NATIVE_FLOAT, back, 6), WS_E_FORMAT);
    assert_non_null(strstr(ws_error_message(), "/param/missing"));
    /* the same name again is refused, in one line */
    assert_int_equal(ws_h5_write_dataset(file, "/empty", H5T_NATIVE_FLOAT, matrix, 2, shape), WS_E_HDF5);
    assert_null(strchr(ws_error_message(), '\n'));
    assert_int_equal(ws_h5_close(&file), WS_OK);
    ws_error_clear();
}

static void unreadable_files_are_named(void **state)
{
    (void)state;
    hid_t file = -1;
    assert_int_equal(ws_h5_open_all(&world, in_folder("absent.h5"), false, &file), WS_E_IO);
    assert_non_null(strstr(ws_error_message(), "absent.h5"));
    assert_non_null(strstr(ws_error_message(), "No such file"));
    assert_int_equal(file, -1);

    if (world.rank == 0) {
        assert_int_equal(ws_file_write(in_folder("text.h5"), "not HDF5 at all", 15), WS_OK);
        assert_int_equal(ws_file_write(in_folder("empty.h5"), "", 0), WS_OK);
    }
    assert_int_equal(ws_barrier_all(&world), WS_OK);
    assert_int_equal(ws_h5_open_all(&world, in_folder("text.h5"), false, &file), WS_E_FORMAT);
    assert_non_null(strstr(ws_error_message(), "text.h5 is not an HDF5 file"));
    assert_int_equal(ws_h5_open_all(&world, in_folder("empty.h5"), false, &file), WS_E_FORMAT);
    assert_non_null(strstr(ws_error_message(), "empty.h5"));

    if (world.rank == 0) {
        float values[4096] = {0};
        hsize_t shape = 4096;
        assert_int_equal(ws_h5_create(in_folder("cut.h5"), &file), WS_OK);
        assert_int_equal(ws_h5_write_dataset(file, "/x", H5T_NATIVE_FLOAT, values, 1, &shape), WS_OK);
        assert_int_equal(ws_h5_close(&file), WS_OK);
        assert_int_equal(truncate(in_folder("cut.h5"), 5000), 0);
    }
    assert_int_equal(ws_barrier_all(&world), WS_OK);
    assert_int_equal(ws_h5_open_all(&world, in_folder("cut.h5"), false, &file), WS_E_FORMAT);
    assert_non_null(strstr(ws_error_message(), "cut.h5 is incomplete"));
    assert_null(strchr(ws_error_message(), '\n'));
    assert_int_equal(ws_h5_create_all(&world, in_folder("no/folder/x.h5"), &file), WS_E_IO);
    assert_non_null(strstr(ws_error_message(), "no/folder/x.h5"));
    ws_error_clear();
}

/* A folder that only some machines see. */
static void one_rank_without_the_file_fails_all(void **state)
{
    (void)state;
    hid_t file = -1;
    const char *name = world.rank == world.size - 1 ? "nowhere/shared.h5" : "shared.h5";
    ws_err error = ws_h5_create_all(&world, in_folder(name), &file);
    assert_int_equal(error, WS_E_IO);
    assert_non_null(strstr(ws_error_message(), "nowhere/shared.h5"));
    assert_int_equal(file, -1);
    assert_int_equal(ws_h5_create_all(&world, in_folder("shared.h5"), &file), WS_OK);
    assert_int_equal(ws_h5_close(&file), WS_OK);
    assert_int_equal(ws_h5_open_all(&world, in_folder(name), true, &file), WS_E_IO);
    assert_int_equal(ws_h5_open_all(&world, in_folder("shared.h5"), true, &file), WS_OK);
    assert_int_equal(ws_h5_close(&file), WS_OK);
    ws_error_clear();
}

static int make_folder(void **state)
{
    (void)state;
    ws_h5_setup();
    bool made = world.rank != 0 || mkdtemp(folder) != NULL;
    return !made || ws_broadcast_all(&world, folder, sizeof folder, 0) != WS_OK;
}

static int remove_folder(void **state)
{
    (void)state;
    bool done = ws_barrier_all(&world) == WS_OK && (world.rank != 0 || ws_directory_remove(folder) == WS_OK);
    return !done;
}

/* A full disk, played by a file size limit. */
static void a_write_that_fails_is_one_short_line(void **state)
{
    (void)state;
    if (world.rank != 0)
        return;
    enum { COUNT = 1 << 17 };
    double *values = calloc(COUNT, sizeof *values);
    const hsize_t shape[1] = {COUNT};
    hid_t file = -1;
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 65536;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(ws_h5_create(in_folder("full.h5"), &file), WS_OK);
    setrlimit(RLIMIT_FSIZE, &small);
    ws_err error = ws_h5_write_dataset(file, "/values", H5T_NATIVE_DOUBLE, values, 1, shape);
    if (error == WS_OK)
        error = ws_h5_close(&file);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(error, WS_E_HDF5);
    assert_non_null(strstr(ws_error_message(), "full.h5: File too large"));
    assert_null(strstr(ws_error_message(), "0x"));
    assert_null(strstr(ws_error_message(), "errno"));
    ws_error_clear();
    if (ws_h5_close(&file) != WS_OK) /* there is room again, or it says the same once more */
        ws_error_clear();
    free(values);
}

int main(int argc, char **argv)
{
    if (ws_cluster_start(&argc, &argv, true, &world) != WS_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_round_trip),
        cmocka_unit_test(fixed_length_texts_of_other_programs_are_read),
        cmocka_unit_test(datasets_round_trip),
        cmocka_unit_test(unreadable_files_are_named),
        cmocka_unit_test(a_write_that_fails_is_one_short_line),
        cmocka_unit_test(one_rank_without_the_file_fails_all),
    };
    if (cmocka_run_group_tests(tests, make_folder, remove_folder) > 0)
        MPI_Abort(MPI_COMM_WORLD, 1);
    ws_cluster_stop();
    return 0;
}
