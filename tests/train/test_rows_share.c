/* ctest: ranks=1,2,3,4 timeout=60
 * Rows on several ranks: whoever did not read them sees what it would have read, in the memory of the one that did; and where a
 * system shares no memory, each rank reads for itself.
 */
#include "cluster/mpi_main.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "dataset/flows.h"
#include "models/samples.h"
#include "train/internal.h"

enum { ROWS = 400, STORED = 24 };
static const char path[] =
    "test_rows_share.h5"; /* behind it the number of ranks, which tests may run beside each other */
static char *store_path;
static ws_arena *arena;
static bool refuse;

/* In the place of the C library's. */
int memfd_create(const char *name, unsigned int flags)
{
    if (refuse) {
        errno = ENOSYS;
        return -1;
    }
    return (int)syscall(SYS_memfd_create, name, flags);
}

static void read_config(ws_train_config *out)
{
    ws_json *document;
    ws_problems problems = {0};
    char *json = ws_format("{\"store\": \"%s\", \"task\": \"anomaly\", \"label\": \"colour\", \"normal\": [\"blue\"], "
                           "\"model\": {\"kind\": \"unified_cfm\", \"packets\": 10}, \"train\": {\"batch\": 8}}",
                           store_path);
    OK(ws_json_read_text(&document, json, "test_rows_share"));
    OK(ws_train_config_read(document, arena, out, &problems));
    assert_int_equal(problems.count, 0);
    ws_text_destroy(&problems.lines);
    ws_json_destroy(&document);
    free(json);
}

static void make_store(void)
{
    char hash[65];
    ws_comm self = ws_comm_self();
    store_path = ws_format("%d_%s", world.size, path);
    const made_store to_make = {.path = store_path,
                                .endpoints = "drop",
                                .options_json = "{\"packets\":24}",
                                .seed = 5,
                                .count = ROWS,
                                .batch = ROWS,
                                .max_packets = STORED};
    ws_h5_setup();
    OK(ws_arena_create(&arena, 1 << 16));
    if (world.rank == 0)
        OK(write_store(&self, &to_make, hash));
    OK(ws_barrier_all(&world));
}

static void remove_store(void)
{
    OK(ws_barrier_all(&world));
    if (world.rank == 0)
        unlink(store_path);
    ws_arena_destroy(&arena);
    free(store_path);
}

static void expect_same_samples(const ws_samples *a, const ws_samples *b)
{
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->columns, b->columns);
    assert_memory_equal(a->values, b->values, a->rows * (size_t)a->columns * sizeof *a->values);
    assert_memory_equal(a->label, b->label, a->rows * sizeof *a->label);
    assert_int_equal(a->anomalous == NULL, b->anomalous == NULL);
    if (a->anomalous != NULL)
        assert_memory_equal(a->anomalous, b->anomalous, a->rows);
    for (int k = 0; k < WS_SEQUENCE_KINDS; k++) {
        const ws_sequence *x = &a->sequence[k], *y = &b->sequence[k];
        assert_int_equal(x->tokens, y->tokens);
        assert_int_equal(x->columns, y->columns);
        size_t cells = a->rows * (size_t)x->tokens * (size_t)x->columns;
        if (cells > 0) {
            assert_memory_equal(x->values, y->values, cells * sizeof *x->values);
            assert_memory_equal(x->length, y->length, a->rows * sizeof *x->length);
        }
    }
}

static void expect_same_names(int count, const char *const *a, const char *const *b)
{
    for (int i = 0; i < count; i++)
        assert_string_equal(a[i], b[i]);
}

static void expect_same_rows(const ws_rows *a, const ws_rows *b)
{
    assert_string_equal(a->store_hash, b->store_hash);
    assert_string_equal(a->split_hash, b->split_hash);
    assert_string_equal(a->dataset, b->dataset);
    assert_int_equal(a->columns, b->columns);
    expect_same_names(a->columns, a->column_names, b->column_names);
    assert_int_equal(a->classes, b->classes);
    expect_same_names(a->classes, a->class_names, b->class_names);
    assert_memory_equal(a->class_normal, b->class_normal, (size_t)a->classes);
    assert_true(a->part[WS_PART_TRAIN].rows > 20 && a->validation_normal.rows > 5);
    for (int p = WS_PART_TRAIN; p < WS_PART_COUNT; p++) {
        expect_same_samples(&a->part[p], &b->part[p]);
        assert_memory_equal(a->row_hash[p], b->row_hash[p], a->part[p].rows * sizeof *a->row_hash[p]);
    }
    expect_same_samples(&a->validation_normal, &b->validation_normal);
    assert_memory_equal(&a->audit, &b->audit, sizeof a->audit);
    assert_int_equal(a->sequence[WS_SEQUENCE_PACKETS].tokens, 10);
    for (int c = 0; c < a->sequence[WS_SEQUENCE_PACKETS].columns; c++)
        assert_int_equal(a->sequence[WS_SEQUENCE_PACKETS].two_valued[c],
                         b->sequence[WS_SEQUENCE_PACKETS].two_valued[c]);
}

/* What rank 0 writes into its rows is seen by all, or by none. */
static bool is_seen(const ws_rows *rows)
{
    const float *values = rows->part[WS_PART_TEST].values;
    OK(ws_barrier_all(&world));
    if (world.rank == 0)
        *(float *)values = 12345;
    OK(ws_barrier_all(&world));
    return values[0] == 12345;
}

static void compare_with_rows_read_alone(bool shared)
{
    ws_train_config config;
    ws_rows rows, alone;
    make_store();
    read_config(&config);
    refuse = !shared;
    OK(ws_rows_load_all(&world, &config, NULL, &rows));
    OK(ws_rows_load(&config, NULL, &alone));
    expect_same_rows(&rows, &alone);
    assert_int_equal(is_seen(&rows), shared || world.rank == 0);
    ws_rows_destroy(&rows);
    ws_rows_destroy(&alone);
    remove_store();
}

static void are_read_once_a_machine(void **state)
{
    (void)state;
    compare_with_rows_read_alone(true);
}

static void are_read_by_each_rank_where_memory_cannot_be_shared(void **state)
{
    (void)state;
    compare_with_rows_read_alone(false);
}

/* Of the reading rank; and no rank hangs. */
static void an_error_is_everybodys(void **state)
{
    (void)state;
    ws_train_config config;
    ws_rows rows;
    make_store();
    read_config(&config);
    config.keys.store = "no such store.h5";
    assert_true(ws_rows_load_all(&world, &config, NULL, &rows) != WS_OK);
    assert_non_null(strstr(ws_error_message(), "no such store.h5"));
    remove_store();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(are_read_once_a_machine),
    cmocka_unit_test(are_read_by_each_rank_where_memory_cannot_be_shared),
    cmocka_unit_test(an_error_is_everybodys),
};
WS_MPI_TEST_MAIN(tests)
