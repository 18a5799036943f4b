/* ctest: timeout=60
 * Rows that cannot be used are refused by name before anything is trained, in whichever part they are.
 */
#include <math.h>
#include <unistd.h>
#include "dataset/flows.h"
#include "models/samples.h"
#include "train/internal.h"

enum { ROWS = 300 };
static const char path[] = "test_rows.h5";
static ws_arena *arena;

static int setup(void **state)
{
    (void)state;
    char hash[65];
    ws_comm self = ws_comm_self();
    const made_store to_make = {.path = path,
                                .endpoints = "drop",
                                .options_json = "{\"packets\":4}",
                                .seed = 5,
                                .count = ROWS,
                                .batch = ROWS,
                                .max_packets = 4};
    ws_h5_setup();
    OK(ws_arena_create(&arena, 1 << 16));
    OK(write_store(&self, &to_make, hash));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ws_arena_destroy(&arena);
    return unlink(path);
}

static void read_config(const char *columns, ws_train_config *out)
{
    ws_json *document;
    ws_problems problems = {0};
    char *json = ws_format("{\"store\": \"%s\", \"task\": \"classify\", \"label\": \"colour\", \"columns\": [%s], "
                           "\"minimum_rows\": 1, \"model\": {\"kind\": \"logistic\"}}",
                           path, columns);
    OK(ws_json_read_text(&document, json, "test_rows"));
    OK(ws_train_config_read(document, arena, out, &problems));
    assert_int_equal(problems.count, 0);
    ws_json_destroy(&document);
    free(json);
}

static void set_value(uint64_t row, int column, float value)
{
    const hsize_t at[2] = {row, (hsize_t)column}, one[2] = {1, 1};
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), table = H5Dopen(file, "/features/flow20", H5P_DEFAULT);
    hid_t space = H5Dget_space(table), memory = H5Screate_simple(2, one, NULL);
    assert_true(H5Sselect_hyperslab(space, H5S_SELECT_SET, at, NULL, one, NULL) >= 0);
    assert_true(H5Dwrite(table, H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, &value) >= 0);
    H5Sclose(memory);
    H5Sclose(space);
    H5Dclose(table);
    H5Fclose(file);
}

static void what_is_no_number_is_named(void **state)
{
    (void)state;
    ws_train_config config, without;
    ws_rows rows;
    ws_store store;
    ws_string_list names;
    int columns, refused = 0;
    int32_t label[ROWS];
    char *left_out;
    OK(ws_store_open(&store, path));
    OK(ws_store_features_info(&store, "flow20", arena, &columns, &names));
    OK(ws_store_read(&store, "/labels/colour", H5T_NATIVE_INT32, 0, ROWS, label));
    ws_store_close(&store);
    left_out = ws_format("\"!%s\"", names.items[3]);
    read_config("", &config);
    read_config(left_out, &without);
    OK(ws_rows_load(&config, NULL, &rows));
    ws_rows_destroy(&rows);
    for (uint64_t row = 0; row < ROWS; row += 23) { /* rows of all parts */
        char *named = ws_format("row %llu of table \"flow20\" has %s in column \"%s\"", (unsigned long long)row,
                                row % 2 ? "nan" : "inf", names.items[3]);
        set_value(row, 3, row % 2 ? NAN : INFINITY);
        if (label[row] < 0) { /* takes no part */
            OK(ws_rows_load(&config, NULL, &rows));
            ws_rows_destroy(&rows);
        } else {
            assert_int_equal(ws_rows_load(&config, NULL, &rows), WS_E_NUMERIC);
            assert_non_null(strstr(ws_error_message(), path));
            if (!strstr(ws_error_message(), named))
                fail_msg("\"%s\" is not in: %s", named, ws_error_message());
            assert_non_null(strstr(ws_error_hint(), left_out));
            refused++;
        }
        OK(ws_rows_load(&without, NULL, &rows)); /* which the model does not see */
        ws_rows_destroy(&rows);
        set_value(row, 3, 0);
        free(named);
    }
    assert_true(refused > 5);
    free(left_out);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(what_is_no_number_is_named, setup, teardown),
};

WS_MPI_TEST_MAIN(tests)
