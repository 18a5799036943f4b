/* What a checkpoint keeps of each rank: live flows, packets that wait for their order, the reservoir, the numbers of sessions
 * and hosts and the rows that have none yet, as records that say themselves which rank of another number of ranks they belong
 * to; and their way back to those ranks.
 */
#include "dataset/extract_checkpoint.h"
#include "dataset/store_layout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

typedef enum state_kind {
    STATE_FLOW,
    STATE_PACKET,
    STATE_KEPT,
    STATE_SESSION,
    STATE_HOST,
    STATE_LATE_SESSION,
    STATE_LATE_HOST,
} state_kind;
typedef struct state_record {
    uint32_t kind, bytes; /* bytes: that follow */
} state_record;
typedef struct state_number {
    ws_identity identity;
    uint64_t number; /* late: the row */
} state_number;
enum { RECORD_MOST = 1 << 30, EXCHANGE_BYTES = 4 << 20 };

static ws_err write_record(extract_state_file *file, state_kind kind, const void *first, size_t first_bytes,
                           const void *second, size_t second_bytes)
{
    const state_record record = {kind, (uint32_t)(first_bytes + second_bytes)};
    WS_TRY(extract_state_write(file, &record, sizeof record));
    WS_TRY(extract_state_write(file, first, first_bytes));
    WS_TRY(extract_state_write(file, second, second_bytes));
    return WS_OK;
}

static ws_err write_live(void *context, const ws_flow_key *key, const void *bytes, size_t count)
{
    WS_TRY(write_record(context, STATE_FLOW, key, sizeof *key, bytes, count));
    return WS_OK;
}

static ws_err write_waiting(void *context, const ws_packet *packet, const uint8_t *slot, size_t slot_bytes)
{
    WS_TRY(write_record(context, STATE_PACKET, packet, sizeof *packet, slot, slot_bytes));
    return WS_OK;
}

static ws_err write_kept(void *context, const ws_flow *flow)
{
    const size_t packets = flow->packet_count * sizeof *flow->stored;
    const state_record record = {STATE_KEPT, (uint32_t)(sizeof *flow + packets + flow->slot_bytes)};
    WS_TRY(extract_state_write(context, &record, sizeof record));
    WS_TRY(extract_state_write(context, flow, sizeof *flow));
    WS_TRY(extract_state_write(context, flow->stored, packets));
    WS_TRY(extract_state_write(context, flow->slots, flow->slot_bytes));
    return WS_OK;
}

typedef struct number_writer {
    extract_state_file *file;
    state_kind kind;
} number_writer;

static ws_err write_number(void *context, const ws_identity *identity, uint64_t number)
{
    const number_writer *to = context;
    const state_number one = {*identity, number};
    WS_TRY(write_record(to->file, to->kind, &one, sizeof one, NULL, 0));
    return WS_OK;
}

static ws_err write_numbers(const ws_dense_ids *ids, state_kind known, state_kind late, extract_state_file *file)
{
    number_writer to = {file, known};
    WS_TRY(ws_dense_ids_copy(ids, write_number, &to));
    to.kind = late;
    WS_TRY(ws_dense_ids_copy_late(ids, write_number, &to));
    return WS_OK;
}

ws_err extract_ranks_write(extraction *x, extract_state_file *file)
{
    const ws_store_writer_state writer = ws_store_writer_remember(x->writer);
    WS_TRY(extract_live_copy(x, write_live, write_waiting, file));
    if (x->reservoir != NULL)
        WS_TRY(extract_reservoir_copy(x->reservoir, write_kept, file));
    WS_TRY(write_numbers(writer.sessions, STATE_SESSION, STATE_LATE_SESSION, file));
    WS_TRY(write_numbers(writer.hosts, STATE_HOST, STATE_LATE_HOST, file));
    return WS_OK;
}

/* The rank that a record belongs to; `own` where any will do. */
static int owner_of(const ws_comm *comm, uint32_t kind, const uint8_t *bytes)
{
    ws_flow_key key;
    ws_packet packet;
    ws_identity identity;
    if (kind == STATE_KEPT)
        return comm->rank;
    if (kind == STATE_PACKET) {
        memcpy(&packet, bytes, sizeof packet);
        return extract_owner_of_packet(comm, &packet);
    }
    if (kind == STATE_FLOW) {
        memcpy(&key, bytes, sizeof key);
        return extract_owner_of_flow(comm, &key);
    }
    memcpy(&identity, bytes, sizeof identity);
    return ws_dense_ids_owner(&identity, comm->size);
}

static ws_err take_kept(extraction *x, const state_record *record, const uint8_t *bytes)
{
    ws_flow flow;
    uint8_t *behind; /* packets, then slots */
    memcpy(&flow, bytes, sizeof flow);
    const size_t packets = flow.packet_count * sizeof *flow.stored;
    WS_CHECK(record->bytes == sizeof flow + packets + flow.slot_bytes, INTERNAL, "a row of %u packets has %u bytes",
             flow.packet_count, record->bytes);
    WS_TRY(WS_NEW_ARRAY(behind, packets + flow.slot_bytes));
    memcpy(behind, bytes + sizeof flow, packets + flow.slot_bytes);
    flow.stored = (const ws_flow_packet *)behind;
    flow.slots = behind + packets;
    ws_err error = extract_reservoir_offer(x->reservoir, &flow);
    free(behind);
    return error;
}

static ws_err take_live(extraction *x, const state_record *record, const uint8_t *bytes)
{
    ws_flow_key key;
    memcpy(&key, bytes, sizeof key);
    return extract_live_restore(x, &key, bytes + sizeof key, record->bytes - sizeof key);
}

static ws_err take_waiting(extraction *x, const uint8_t *bytes)
{
    ws_packet packet;
    memcpy(&packet, bytes, sizeof packet);
    return extract_feed(x, &packet, x->slot_size > 0 ? bytes + sizeof packet : NULL, 1);
}

static ws_err take_number(extraction *x, state_kind kind, const uint8_t *bytes)
{
    const ws_store_writer_state writer = ws_store_writer_remember(x->writer);
    const bool session = kind == STATE_SESSION || kind == STATE_LATE_SESSION;
    ws_dense_ids *ids = session ? writer.sessions : writer.hosts;
    state_number one;
    memcpy(&one, bytes, sizeof one);
    if (kind == STATE_LATE_SESSION || kind == STATE_LATE_HOST)
        return ws_dense_ids_restore_late(ids, &one.identity, one.number);
    return ws_dense_ids_restore(ids, &one.identity, one.number);
}

static ws_err take_record(extraction *x, const state_record *record, const uint8_t *bytes)
{
    switch ((state_kind)record->kind) {
    case STATE_FLOW:
        return take_live(x, record, bytes);
    case STATE_PACKET:
        return take_waiting(x, bytes);
    case STATE_KEPT:
        return take_kept(x, record, bytes);
    default:
        return take_number(x, (state_kind)record->kind, bytes);
    }
}

/* Whether what a file says of its length can be true of a record of that kind in this run. */
static bool possible(const extraction *x, const state_record *record)
{
    switch (record->kind) {
    case STATE_FLOW:
        return record->bytes >= sizeof(ws_flow_key) && record->bytes <= RECORD_MOST;
    case STATE_PACKET:
        return record->bytes == sizeof(ws_packet) + x->slot_size && x->rules.by_time;
    case STATE_KEPT:
        return record->bytes >= sizeof(ws_flow) && record->bytes <= RECORD_MOST && x->reservoir != NULL;
    default:
        return record->bytes == sizeof(state_number) && record->kind <= STATE_LATE_HOST;
    }
}

/* ---------------------------------------------------------------- records to their ranks */
/* Reads records up to about EXCHANGE_BYTES, by the rank they belong to. */
static ws_err sort_records(const extraction *x, FILE *file, ws_text *outgoing, bool *more)
{
    size_t taken = 0, capacity = 0;
    uint8_t *bytes = NULL;
    state_record record;
    ws_err error = WS_OK;
    *more = true;
    while (error == WS_OK && taken < EXCHANGE_BYTES) {
        if (fread(&record, sizeof record, 1, file) != 1) {
            *more = false;
            break;
        }
        WS_CHECK_GOTO(done, possible(x, &record), FORMAT, "%s: a state that cannot be", x->checkpoint->folder);
        WS_TRY_GOTO(done, WS_GROW(bytes, capacity, record.bytes));
        WS_CHECK_GOTO(done, fread(bytes, record.bytes, 1, file) == 1, FORMAT, "%s: a state that ends early",
                      x->checkpoint->folder);
        ws_text *to = &outgoing[owner_of(x->comm, record.kind, bytes)];
        ws_text_append_bytes(to, &record, sizeof record);
        ws_text_append_bytes(to, bytes, record.bytes);
        taken += record.bytes;
        error = ws_text_check(to);
    }
done:
    free(bytes);
    return error;
}

static ws_err take_records(extraction *x, const uint8_t *received, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        state_record record;
        memcpy(&record, received + at, sizeof record);
        WS_TRY(take_record(x, &record, received + at + sizeof record));
        at += sizeof record + record.bytes;
    }
    return WS_OK;
}

static ws_err deliver_all(extraction *x, ws_text *outgoing)
{
    const size_t ranks = (size_t)x->comm->size;
    ws_text all = {0};
    size_t *counts = NULL, bytes = 0;
    uint8_t *received = NULL;
    ws_err local = WS_NEW_ARRAY(counts, 2 * ranks);
    for (size_t r = 0; local == WS_OK && r < ranks; r++) {
        ws_text_append_bytes(&all, outgoing[r].data, outgoing[r].length);
        counts[r] = outgoing[r].length;
        ws_text_clear(&outgoing[r]);
    }
    if (local == WS_OK)
        local = ws_text_check(&all);
    ws_err error = ws_agree_all(x->comm, local);
    if (error == WS_OK)
        error = ws_exchange_all(x->comm, all.data, counts, 1, (void **)&received, counts + ranks);
    for (size_t r = 0; error == WS_OK && r < ranks; r++)
        bytes += counts[ranks + r];
    if (error == WS_OK)
        error = ws_agree_all(x->comm, take_records(x, received, bytes));
    ws_text_destroy(&all);
    free(received);
    free(counts);
    return error;
}

static ws_err open_rank(const extraction *x, const char *checkpoint, uint64_t rank, uint64_t ranks, FILE **out)
{
    *out = NULL;
    if (rank >= ranks)
        return WS_OK;
    char *path = ws_format("%s/rank-%04" PRIu64, checkpoint, rank);
    WS_CHECK(path != NULL, MEMORY, "no memory for the path %s", checkpoint);
    *out = fopen(path, "rb");
    free(path);
    WS_CHECK(*out != NULL, IO, "%s: the state of rank %" PRIu64 " cannot be read: %s", x->checkpoint->folder, rank,
             strerror(errno));
    return WS_OK;
}

/* The files of all ranks that wrote, dealt out to those that are there now. */
ws_err extract_ranks_restore_all(extraction *x, const char *checkpoint, uint64_t ranks)
{
    ws_text *outgoing = NULL;
    const uint64_t size = (uint64_t)x->comm->size;
    FILE *file = NULL;
    ws_err error = ws_agree_all(x->comm, WS_NEW_ARRAY(outgoing, size));
    for (uint64_t first = 0; error == WS_OK && first < ranks; first += size) {
        error = ws_agree_all(x->comm, open_rank(x, checkpoint, first + (uint64_t)x->comm->rank, ranks, &file));
        for (bool any = true; any && error == WS_OK;) {
            bool more = false;
            ws_err local = file != NULL ? sort_records(x, file, outgoing, &more) : WS_OK;
            error = ws_agree_all(x->comm, local);
            if (error == WS_OK)
                error = deliver_all(x, outgoing);
            if (error == WS_OK)
                error = ws_any_all(x->comm, more, &any);
        }
        if (file != NULL)
            fclose(file);
        file = NULL;
    }
    for (uint64_t r = 0; outgoing != NULL && r < size; r++)
        ws_text_destroy(&outgoing[r]);
    free(outgoing);
    return error;
}
