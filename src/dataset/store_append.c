/* store_append: what a writer must know of a store that it adds to, so that numbers go on: its rows, its sessions by their key
 * hashes, its hosts by the list that it keeps of them; and that list.
 *
 * A session of such a store is known by the 64 bits of its key hash. A host's hash would give its address away to whoever tries
 * all of them, so it is kept only where addresses are stored anyway, where a key goes into it, or where the store was made to
 * be added to.
 */
#include "dataset/store_writer.h"

#include <stdlib.h>

enum { ROWS_AT_ONCE = 1 << 20 };
#define HOSTS "/provenance/hosts"

ws_identity ws_session_of_key(uint64_t key_hash)
{
    return (ws_identity){key_hash, ws_mix64(key_hash)};
}

static bool is_mine(const ws_store_writer *writer, const ws_identity *identity)
{
    return ws_dense_ids_owner(identity, writer->comm.size) == writer->comm.rank;
}

/* Numbers are dense and in the order of first rows, so the row with the next number is the first of its session. */
static ws_err restore_sessions(ws_store_writer *writer, const ws_store *store)
{
    uint64_t *keys = NULL, next = 0;
    uint32_t *numbers = NULL;
    ws_err error = WS_OK;
    WS_TRY_GOTO(out, WS_NEW_ARRAY(keys, ROWS_AT_ONCE));
    WS_TRY_GOTO(out, WS_NEW_ARRAY(numbers, ROWS_AT_ONCE));
    for (uint64_t begin = 0; begin < store->rows; begin += ROWS_AT_ONCE) {
        const uint64_t count = store->rows - begin < ROWS_AT_ONCE ? store->rows - begin : ROWS_AT_ONCE;
        WS_TRY_GOTO(out, ws_store_read(store, "/flows/key_hash", H5T_NATIVE_UINT64, begin, count, keys));
        WS_TRY_GOTO(out, ws_store_read(store, "/flows/session_id", H5T_NATIVE_UINT32, begin, count, numbers));
        for (uint64_t i = 0; i < count; i++) {
            const ws_identity session = ws_session_of_key(keys[i]);
            if (numbers[i] != next)
                continue;
            if (is_mine(writer, &session))
                WS_TRY_GOTO(out, ws_dense_ids_restore(writer->sessions, &session, next));
            next++;
        }
    }
    error = ws_dense_ids_continue(writer->sessions, (ws_dense_ids_mark){next, UINT64_MAX});
out:
    free(keys);
    free(numbers);
    return error;
}

static ws_err restore_hosts(ws_store_writer *writer, const ws_store *store)
{
    int dimensions;
    hsize_t shape[4];
    ws_identity *hosts;
    WS_TRY(ws_h5_dataset_shape(store->file, HOSTS, &dimensions, shape));
    WS_CHECK(dimensions == 2 && shape[1] == 2, FORMAT, "%s: " HOSTS " is no list of hosts", store->path);
    WS_TRY(WS_NEW_ARRAY(hosts, shape[0]));
    ws_err error = ws_h5_read_dataset(store->file, HOSTS, H5T_NATIVE_UINT64, hosts, 2 * shape[0]);
    for (uint64_t h = 0; error == WS_OK && h < shape[0]; h++)
        if (is_mine(writer, &hosts[h]))
            error = ws_dense_ids_restore(writer->hosts, &hosts[h], h);
    if (error == WS_OK)
        error = ws_dense_ids_continue(writer->hosts, (ws_dense_ids_mark){shape[0], UINT64_MAX});
    free(hosts);
    return error;
}

/* Hosts that cannot be known again: those of the new rows get numbers of their own. */
static ws_err skip_hosts(ws_store_writer *writer, const ws_store *store)
{
    uint32_t *numbers;
    uint64_t next = 0;
    ws_err error = WS_NEW_ARRAY(numbers, ROWS_AT_ONCE);
    for (uint64_t begin = 0; error == WS_OK && begin < store->rows; begin += ROWS_AT_ONCE) {
        const uint64_t count = store->rows - begin < ROWS_AT_ONCE ? store->rows - begin : ROWS_AT_ONCE;
        error = ws_store_read(store, "/flows/host_id", H5T_NATIVE_UINT32, begin, count, numbers);
        for (uint64_t i = 0; error == WS_OK && i < count; i++)
            next = numbers[i] >= next ? (uint64_t)numbers[i] + 1 : next;
    }
    if (error == WS_OK)
        error = ws_dense_ids_continue(writer->hosts, (ws_dense_ids_mark){next, UINT64_MAX});
    free(numbers);
    return error;
}

/* Another key would give the same host and session other hashes. */
static ws_err check_key(const ws_store_writer *writer, const ws_store *store)
{
    char now[65], *then = NULL;
    ws_row_maker_key_check(&writer->maker, now);
    if (H5Aexists_by_name(store->file, "/provenance", WS_KEY_CHECK, H5P_DEFAULT) > 0)
        WS_TRY(ws_h5_read_attribute_text(store->file, "/provenance", WS_KEY_CHECK, &then));
    const bool same = strcmp(then != NULL ? then : "", now) == 0, keyed = then != NULL;
    free(then);
    if (same)
        return WS_OK;
    ws_err error = WS_ERROR(ARGUMENT, "--append: %s was made with %s", store->path,
                            keyed ? "another --key, or this run has none" : "no --key, and this run has one");
    WS_HINT("hashes of its flows and hosts come from the key; give the same one");
    return error;
}

static ws_err continue_store(ws_store_writer *writer, const ws_store *store, bool numbers)
{
    writer->knows_hosts = store->rows == 0 || ws_h5_exists(store->file, HOSTS);
    WS_TRY(check_key(writer, store));
    writer->apart_from = store->rows;
    if (!numbers)
        return WS_OK;
    writer->earlier_rows = store->rows;
    WS_TRY(restore_sessions(writer, store));
    if (!writer->knows_hosts)
        WS_TRY(skip_hosts(writer, store));
    else if (store->rows > 0)
        WS_TRY(restore_hosts(writer, store));
    return WS_OK;
}

ws_err ws_store_writer_follow(ws_store_writer *writer)
{
    ws_store store;
    WS_TRY(ws_store_open(&store, writer->options.append_to));
    ws_err error = continue_store(writer, &store, writer->segment == 0); /* else a checkpoint has the numbers */
    ws_store_close(&store);
    if (error == WS_OK && !writer->knows_hosts && writer->comm.rank == 0)
        ws_warn("%s keeps nothing by which its hosts could be known again (made with --append or --key it would): "
                "those of the new rows are numbered apart",
                writer->options.append_to);
    WS_TRY(error);
    return WS_OK;
}

/* ---------------------------------------------------------------- the list of hosts */
typedef struct numbered_host {
    ws_identity identity;
    uint64_t number;
} numbered_host;

typedef struct host_list {
    numbered_host *hosts;
    size_t count, capacity;
} host_list;

static bool hosts_apart(const ws_store_writer *writer)
{
    return writer->options.append_to != NULL && !writer->knows_hosts;
}

/* Not where memory was short: then not all of them are known at once. */
static bool keeps_hosts(const ws_store_writer *writer)
{
    return writer->options.keep_hosts && !hosts_apart(writer) && !ws_dense_ids_late(writer->hosts);
}

static ws_err add_host(void *context, const ws_identity *identity, uint64_t number)
{
    host_list *list = context;
    WS_TRY(WS_GROW(list->hosts, list->capacity, list->count + 1));
    list->hosts[list->count++] = (numbered_host){*identity, number};
    return WS_OK;
}

static ws_err write_marks(const ws_store_writer *writer, hid_t file, const numbered_host *all, size_t count)
{
    char key[65];
    const hsize_t shape[2] = {count, 2};
    ws_identity *hosts;
    ws_row_maker_key_check(&writer->maker, key);
    if (key[0] != '\0')
        WS_TRY(ws_h5_write_attribute_text(file, "/provenance", WS_KEY_CHECK, key));
    if (hosts_apart(writer) && H5Aexists_by_name(file, "/flows/host_id", WS_HOSTS_APART, H5P_DEFAULT) <= 0)
        WS_TRY(ws_h5_write_attribute_i64(file, "/flows/host_id", WS_HOSTS_APART, (int64_t)writer->apart_from));
    if (!keeps_hosts(writer))
        return WS_OK;
    WS_TRY(WS_NEW_ARRAY(hosts, count));
    for (size_t i = 0; i < count; i++)
        if (all[i].number < count)
            hosts[all[i].number] = all[i].identity;
    ws_err error = ws_h5_write_dataset(file, HOSTS, H5T_NATIVE_UINT64, hosts, 2, shape);
    free(hosts);
    return error;
}

static ws_err write_marks_to_file(const ws_store_writer *writer, const numbered_host *all, size_t count)
{
    hid_t file;
    WS_TRY(ws_store_open_writable(writer->partial, &file));
    ws_err error = write_marks(writer, file, all, count);
    ws_err close_error = ws_h5_close(&file);
    WS_TRY(error);
    WS_TRY(close_error);
    return WS_OK;
}

ws_err ws_store_write_marks_all(ws_store_writer *writer)
{
    const ws_comm *comm = &writer->comm;
    host_list own = {0};
    numbered_host *all = NULL;
    size_t bytes = 0;
    ws_err error = ws_agree_all(comm, keeps_hosts(writer) ? ws_dense_ids_copy(writer->hosts, add_host, &own) : WS_OK);
    if (error == WS_OK)
        error = ws_gather_all(comm, own.hosts, own.count * sizeof *own.hosts, (void **)&all, &bytes, NULL);
    if (error == WS_OK)
        error = ws_agree_all(comm, comm->rank == 0 ? write_marks_to_file(writer, all, bytes / sizeof *all) : WS_OK);
    free(own.hosts);
    free(all);
    return error;
}
