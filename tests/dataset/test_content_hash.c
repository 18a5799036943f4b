/* The content hash changes with every value of a store and with nothing else; files that are no store are refused.
 * ctest: timeout=60 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>
#include "flows.h"

static ws_comm world;
static char folder[64], path[128], other[128], original[65];

static void ok(ws_err error)
{
    if (error != WS_OK)
        fail_msg("%s (%s)\n%s", ws_error_message(), ws_error_hint(), ws_error_trace());
}

static const made_store small = {
    .path = path, .seed = 5, .count = 60, .batch = 60, .max_packets = 6, .endpoints = "plain"};

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/wiresweep_hash_XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/store.h5", folder);
    snprintf(other, sizeof other, "%s/other.h5", folder);
    ok(write_store(&world, &small, original));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ok(ws_directory_remove(folder));
    return 0;
}

typedef struct dataset_list {
    char names[64][64];
    size_t count;
} dataset_list;

static herr_t add_dataset(hid_t root, const char *name, const H5O_info_t *info, void *context)
{
    (void)root;
    dataset_list *list = context;
    if (info->type == H5O_TYPE_DATASET && strncmp(name, "provenance", 10) != 0)
        snprintf(list->names[list->count++], sizeof list->names[0], "/%s", name);
    return 0;
}

/* A dataset whole, in the file's own type. */
static unsigned char *read_raw(hid_t dataset, size_t *bytes)
{
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    *bytes = H5Tget_size(type) * (size_t)H5Sget_simple_extent_npoints(space);
    unsigned char *data = malloc(*bytes + 1);
    assert_true(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Tclose(type);
    H5Sclose(space);
    return data;
}

static void write_raw(hid_t dataset, const unsigned char *data)
{
    hid_t type = H5Dget_type(dataset);
    assert_true(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Tclose(type);
}

/* Flips one bit of one value of the dataset in the file. */
static void flip(const char *name, size_t position)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), dataset = H5Dopen2(file, name, H5P_DEFAULT);
    size_t bytes;
    unsigned char *data = read_raw(dataset, &bytes);
    data[position % bytes] ^= 1;
    write_raw(dataset, data);
    free(data);
    H5Dclose(dataset);
    H5Fclose(file);
}

static void test_every_value_counts(void **state)
{
    (void)state;
    dataset_list list = {.count = 0};
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(H5Ovisit(file, H5_INDEX_NAME, H5_ITER_INC, add_dataset, &list) >= 0);
    H5Fclose(file);
    assert_int_equal(list.count, 18 + 2 + 8 + 1 + 2); /* flows, endpoints, packets, features, labels */
    char hash[65];
    for (size_t i = 0; i < list.count; i++) {
        /* the third byte: in texts of endpoints it is not behind their end */
        flip(list.names[i], 2);
        ok(ws_store_compute_hash_all(&world, path, hash));
        if (strcmp(hash, original) == 0)
            fail_msg("a changed value of %s does not show in the hash", list.names[i]);
        flip(list.names[i], 2);
    }
    ok(ws_store_compute_hash_all(&world, path, hash));
    assert_string_equal(hash, original);
}

static void test_names_count_and_provenance_does_not(void **state)
{
    (void)state;
    char hash[65];
    made_store store = small;
    store.path = other;
    store.options_json = "{\"packets\":64,\"round_bytes\":1}";
    ok(write_store(&world, &store, hash));
    assert_string_equal(hash, original);
    char *colours[] = {"blue", "green", "violet"};
    const ws_label_level levels[] = {{"colour", colours, 3}, made_levels[1]};
    store.levels = levels;
    ok(write_store(&world, &store, hash));
    assert_string_not_equal(hash, original);
    store.levels = NULL;
    store.endpoints = "drop";
    ok(write_store(&world, &store, hash));
    assert_string_not_equal(hash, original);
}

static void copy_attributes(hid_t from, hid_t to, const char *name)
{
    static const char *const attributes[] = {"names", "columns", "units"};
    for (int a = 0; a < 3; a++) {
        char **texts;
        size_t count;
        if (H5Aexists_by_name(from, name, attributes[a], H5P_DEFAULT) <= 0)
            continue;
        ok(ws_h5_read_attribute_texts(from, name, attributes[a], &texts, &count));
        ok(ws_h5_write_attribute_texts(to, name, attributes[a], (const char *const *)texts, count));
        ws_texts_destroy(&texts, count);
    }
}

/* The same values compressed, in other chunks and big endian. */
static void test_layout_does_not_count(void **state)
{
    (void)state;
    dataset_list list = {.count = 0};
    hid_t from = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t to = H5Fcreate(other, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Ovisit(from, H5_INDEX_NAME, H5_ITER_INC, add_dataset, &list) >= 0);
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    for (size_t i = list.count; i-- > 0;) { /* in the reverse order, too */
        hid_t dataset = H5Dopen2(from, list.names[i], H5P_DEFAULT), space = H5Dget_space(dataset);
        hid_t type = H5Dget_type(dataset), big = H5Tcopy(type), properties = H5Pcreate(H5P_DATASET_CREATE);
        hsize_t shape[2], chunk[2] = {7, 3};
        int dimensions = H5Sget_simple_extent_dims(space, shape, NULL);
        H5Pset_chunk(properties, dimensions, chunk);
        H5Pset_deflate(properties, 6);
        if (H5Tget_class(type) != H5T_STRING)
            H5Tset_order(big, H5T_ORDER_BE);
        size_t bytes;
        unsigned char *data = read_raw(dataset, &bytes);
        hid_t copy = H5Dcreate2(to, list.names[i], big, space, links, properties, H5P_DEFAULT);
        assert_true(H5Dwrite(copy, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
        free(data);
        copy_attributes(from, to, list.names[i]);
        H5Dclose(copy);
        H5Dclose(dataset);
        H5Sclose(space);
        H5Tclose(type);
        H5Tclose(big);
        H5Pclose(properties);
    }
    H5Pclose(links);
    H5Fclose(to);
    H5Fclose(from);
    char hash[65];
    ok(ws_store_compute_hash_all(&world, other, hash));
    assert_string_equal(hash, original);
}

/* ---------------------------------------------------------------- refusals */
static void refused(const char *name, const char *message, const char *hint)
{
    ws_store store;
    assert_int_not_equal(ws_store_open(&store, name), WS_OK);
    if (strstr(ws_error_message(), message) == NULL || strstr(ws_error_hint(), hint) == NULL)
        fail_msg("told \"%s\" and hinted \"%s\"", ws_error_message(), ws_error_hint());
    assert_null(strchr(ws_error_message(), '\n'));
    assert_non_null(strstr(ws_error_message(), name));
}

static void test_other_files_are_refused(void **state)
{
    (void)state;
    char *data;
    size_t bytes;
    hid_t file;
    refused("/nowhere/store.h5", "No such file", "");
    ok(ws_file_write(other, "just text, no HDF5 at all", 25));
    refused(other, "not an HDF5 file", "inspect");
    ok(ws_file_read(path, &data, &bytes));
    ok(ws_file_write(other, data, bytes / 2));
    refused(other, "incomplete", "again");
    ok(ws_file_write(other, data, 0));
    refused(other, "", "");
    ok(ws_h5_create(other, &file));
    ok(ws_h5_close(&file));
    refused(other, "not a store", "wiresweep extract");
    ok(ws_file_write(other, data, bytes));
    free(data);
    file = H5Fopen(other, H5F_ACC_RDWR, H5P_DEFAULT);
    ok(ws_h5_write_attribute_i64(file, ".", "schema", 99));
    ok(ws_h5_close(&file));
    refused(other, "schema 99", "wiresweep extract");
    file = H5Fopen(other, H5F_ACC_RDWR, H5P_DEFAULT);
    ok(ws_h5_write_attribute_i64(file, ".", "schema", WS_STORE_SCHEMA));
    ok(ws_h5_write_attribute_i64(file, ".", "rows", 61));
    ok(ws_h5_close(&file));
    refused(other, "61 rows", "");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_value_counts),
        cmocka_unit_test(test_names_count_and_provenance_does_not),
        cmocka_unit_test(test_layout_does_not_count),
        cmocka_unit_test(test_other_files_are_refused),
    };
    if (ws_cluster_start(&argc, &argv, true, &world) != WS_OK)
        return 1;
    ws_h5_setup();
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    ws_cluster_stop();
    return failed != 0;
}
