/* store_ids: dense numbers for sessions and hosts, in the order of the first row that shows them, over ranks and calls.
 *
 * An identity is owned by one rank (by its bits). Each call: the holders of rows ask the owners; an owner answers with
 * the number it remembers, or with the first row of this call that shows the identity. A bit a row tells all ranks which rows
 * those are, and so their numbers, which are in row order; no rank holds more than its own identities and a few bits a row
 * of one call. Where its own are more than memory may hold, all ranks stop taking up new ones at the same call: identities that
 * are known go on getting their numbers, and the owners note the others with their rows, for store_ids_late.
 */
#include "dataset/store_ids.h"

#include <stdlib.h>

typedef struct id_question {
    ws_identity identity;
    uint64_t row;
} id_question;

#define NEW (UINT64_C(1) << 63)
#define LATE UINT64_MAX /* an answer: not known, and there is no room */

ws_err ws_dense_ids_create(ws_dense_ids **out, const char *store, uint64_t bytes)
{
    WS_TRY(WS_NEW(*out));
    (*out)->store = store;
    (*out)->bytes = bytes;
    (*out)->slot_count = 1024;
    return WS_NEW_ARRAY((*out)->slots, (*out)->slot_count);
}

void ws_dense_ids_destroy(ws_dense_ids **ids)
{
    if (*ids == NULL)
        return;
    ws_sorter_destroy(&(*ids)->late);
    free((*ids)->slots);
    free(*ids);
    *ids = NULL;
}

bool ws_dense_ids_late(const ws_dense_ids *ids)
{
    return ids->is_late;
}

static ws_id_slot *find_slot(ws_id_slot *slots, size_t slot_count, const ws_identity *identity)
{
    size_t at = identity->low & (slot_count - 1);
    while (slots[at].value != 0 &&
           (slots[at].identity.low != identity->low || slots[at].identity.high != identity->high))
        at = (at + 1) & (slot_count - 1);
    return &slots[at];
}

static size_t slots_for(const ws_dense_ids *ids, size_t more)
{
    size_t slot_count = ids->slot_count;
    while ((ids->used + more) * 4 > slot_count * 3)
        slot_count *= 2;
    return slot_count;
}

/* Whether `more` further identities are too many; growing takes the new slots beside the old ones. */
static bool is_full(const ws_dense_ids *ids, size_t more)
{
    const size_t slot_count = slots_for(ids, more);
    return ids->bytes > 0 && slot_count > ids->slot_count &&
           (slot_count + ids->slot_count) * sizeof *ids->slots > ids->bytes;
}

/* From row `first_row` on, no new identity is taken up. */
static ws_err stop_growing(ws_dense_ids *ids, uint64_t first_row)
{
    ids->is_late = true;
    ids->first_late = first_row;
    return ws_sorter_create(&ids->late, ids->store, ids->bytes);
}

static ws_err note_late(ws_dense_ids *ids, const ws_identity *identity, uint64_t row)
{
    return ws_sorter_add(ids->late, (ws_triple){{identity->high, identity->low, row}});
}

/* Room for `more` further identities. */
static ws_err reserve(ws_dense_ids *ids, size_t more)
{
    const size_t slot_count = slots_for(ids, more);
    if (slot_count == ids->slot_count)
        return WS_OK;
    ws_id_slot *slots;
    WS_TRY(WS_NEW_ARRAY(slots, slot_count));
    for (size_t i = 0; i < ids->slot_count; i++)
        if (ids->slots[i].value != 0)
            *find_slot(slots, slot_count, &ids->slots[i].identity) = ids->slots[i];
    free(ids->slots);
    ids->slots = slots;
    ids->slot_count = slot_count;
    return WS_OK;
}

int ws_dense_ids_owner(const ws_identity *identity, int size)
{
    return (int)(identity->high % (uint64_t)size);
}

ws_err ws_dense_ids_copy(const ws_dense_ids *ids, ws_dense_ids_sink sink, void *context)
{
    for (size_t i = 0; i < ids->slot_count; i++)
        if (ids->slots[i].value != 0)
            WS_TRY(sink(context, &ids->slots[i].identity, ids->slots[i].value - 1));
    return WS_OK;
}

ws_err ws_dense_ids_restore(ws_dense_ids *ids, const ws_identity *identity, uint64_t number)
{
    WS_TRY(reserve(ids, 1));
    *find_slot(ids->slots, ids->slot_count, identity) = (ws_id_slot){*identity, number + 1};
    ids->used++;
    return WS_OK;
}

typedef struct late_sink {
    ws_dense_ids_sink sink;
    void *context;
} late_sink;

static ws_err pass_late(void *context, const ws_triple *triple)
{
    const late_sink *to = context;
    return to->sink(to->context, &(ws_identity){.high = triple->of[0], .low = triple->of[1]}, triple->of[2]);
}

ws_err ws_dense_ids_copy_late(const ws_dense_ids *ids, ws_dense_ids_sink sink, void *context)
{
    late_sink to = {sink, context};
    return ids->is_late ? ws_sorter_copy(ids->late, pass_late, &to) : WS_OK;
}

ws_err ws_dense_ids_restore_late(ws_dense_ids *ids, const ws_identity *identity, uint64_t row)
{
    WS_CHECK(ids->is_late && row >= ids->first_late, FORMAT, "a row without a number that cannot be");
    return note_late(ids, identity, row);
}

ws_dense_ids_mark ws_dense_ids_where(const ws_dense_ids *ids)
{
    return (ws_dense_ids_mark){ids->next, ids->is_late ? ids->first_late : UINT64_MAX};
}

ws_err ws_dense_ids_continue(ws_dense_ids *ids, ws_dense_ids_mark mark)
{
    ids->next = mark.next;
    return mark.first_late != UINT64_MAX ? stop_growing(ids, mark.first_late) : WS_OK;
}

/* What one call needs; freed together. Some of it is for rows of all ranks: [first_row, first_row + rows). */
typedef struct id_call {
    id_question *questions, *received;
    uint64_t *place; /* question i speaks of local row place[i] */
    uint64_t *answers, *returned;
    size_t *send_counts, *receive_counts, *answer_counts, received_count;
    uint64_t first_row, rows;
    uint64_t *first;  /* a bit a row: it is the first to show its identity */
    uint64_t *before; /* such rows before each word of `first` */
    uint64_t first_count;
} id_call;

static void call_destroy(id_call *call)
{
    free(call->questions);
    free(call->received);
    free(call->place);
    free(call->answers);
    free(call->returned);
    free(call->send_counts);
    free(call->receive_counts);
    free(call->answer_counts);
    free(call->first);
    free(call->before);
}

/* Questions of the local rows, sorted by owner (a counting sort, so rows stay in order within an owner). */
static ws_err call_prepare(id_call *call, int size, const ws_identity *identities, uint64_t first_row, uint64_t count)
{
    const size_t words = (size_t)(call->rows / 64 + 1);
    WS_TRY(WS_NEW_ARRAY(call->questions, count));
    WS_TRY(WS_NEW_ARRAY(call->place, count));
    WS_TRY(WS_NEW_ARRAY(call->first, words));
    WS_TRY(WS_NEW_ARRAY(call->before, words));
    WS_TRY(WS_NEW_ARRAY(call->send_counts, (size_t)size));
    WS_TRY(WS_NEW_ARRAY(call->receive_counts, (size_t)size));
    WS_TRY(WS_NEW_ARRAY(call->answer_counts, (size_t)size));
    size_t *next;
    WS_TRY(WS_NEW_ARRAY(next, (size_t)size + 1));
    for (uint64_t i = 0; i < count; i++)
        call->send_counts[ws_dense_ids_owner(&identities[i], size)]++;
    for (int r = 0; r < size; r++)
        next[r + 1] = next[r] + call->send_counts[r];
    for (uint64_t i = 0; i < count; i++) {
        size_t at = next[ws_dense_ids_owner(&identities[i], size)]++;
        call->questions[at] = (id_question){identities[i], first_row + i};
        call->place[at] = i;
    }
    free(next);
    return WS_OK;
}

/* Questions come in rank order and ranks hold adjacent rows, so the first that asks is the first row. */
static ws_err answer_questions(ws_dense_ids *ids, id_call *call)
{
    enum { AHEAD = 8 };
    if (!ids->is_late)
        WS_TRY(reserve(ids, call->received_count));
    WS_TRY(WS_NEW_ARRAY(call->answers, call->received_count));
    for (size_t i = 0; i < call->received_count; i++) {
        if (i + AHEAD < call->received_count)
            __builtin_prefetch(&ids->slots[call->received[i + AHEAD].identity.low & (ids->slot_count - 1)], 1);
        ws_id_slot *slot = find_slot(ids->slots, ids->slot_count, &call->received[i].identity);
        if (slot->value == 0 && ids->is_late) {
            WS_TRY(note_late(ids, &call->received[i].identity, call->received[i].row));
            call->answers[i] = LATE;
            continue;
        }
        if (slot->value == 0) {
            *slot = (ws_id_slot){call->received[i].identity, NEW | call->received[i].row};
            ids->used++;
        }
        call->answers[i] = slot->value;
    }
    return WS_OK;
}

/* The bits of this rank's rows; then those of all ranks, each bit being set by one. */
static ws_err mark_first_rows_all(const ws_comm *comm, id_call *call, uint64_t first_row, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t row = first_row + call->place[i];
        if (call->returned[i] == (NEW | row))
            call->first[(row - call->first_row) / 64] |= UINT64_C(1) << (row - call->first_row) % 64;
    }
    const size_t words = (size_t)(call->rows / 64 + 1);
    WS_TRY(ws_sum_u64_all(comm, call->first, words));
    for (size_t w = 0; w < words; w++) {
        call->before[w] = call->first_count;
        call->first_count += (uint64_t)__builtin_popcountll(call->first[w]);
    }
    return WS_OK;
}

static uint64_t number_of(const ws_dense_ids *ids, const id_call *call, uint64_t value)
{
    if (value == LATE)
        return 0;
    if ((value & NEW) == 0)
        return value - 1;
    const uint64_t row = (value & ~NEW) - call->first_row,
                   below = call->first[row / 64] & ((UINT64_C(1) << row % 64) - 1);
    return ids->next + call->before[row / 64] + (uint64_t)__builtin_popcountll(below);
}

/* All ranks stop at the same call, or new identities would not be numbered in row order. */
static ws_err stop_growing_all(const ws_comm *comm, ws_dense_ids *ids, const id_call *call)
{
    bool full;
    if (ids->bytes == 0 || ids->is_late)
        return WS_OK;
    WS_TRY(ws_any_all(comm, is_full(ids, call->received_count), &full));
    WS_AGREE(comm, full ? stop_growing(ids, call->first_row) : WS_OK);
    return WS_OK;
}

static ws_err assign(const ws_comm *comm, ws_dense_ids *ids, const ws_identity *identities, uint64_t first_row,
                     uint64_t count, uint32_t *out, id_call *call)
{
    enum { AHEAD = 8 };
    /* A rank without rows does not know where those of the others begin. */
    int64_t lowest = count > 0 ? (int64_t)first_row : INT64_MAX, highest = count > 0 ? (int64_t)(first_row + count) : 0;
    WS_TRY(ws_min_i64_all(comm, &lowest, 1));
    WS_TRY(ws_max_i64_all(comm, &highest, 1));
    if (highest == 0)
        return WS_OK;
    call->first_row = (uint64_t)lowest;
    call->rows = (uint64_t)(highest - lowest);
    WS_AGREE(comm, call_prepare(call, comm->size, identities, first_row, count));
    WS_TRY(ws_exchange_all(comm, call->questions, call->send_counts, sizeof *call->questions, (void **)&call->received,
                           call->receive_counts));
    for (int r = 0; r < comm->size; r++)
        call->received_count += call->receive_counts[r];
    WS_TRY(stop_growing_all(comm, ids, call));
    WS_AGREE(comm, answer_questions(ids, call));
    WS_TRY(ws_exchange_all(comm, call->answers, call->receive_counts, sizeof *call->answers, (void **)&call->returned,
                           call->answer_counts));
    WS_TRY(mark_first_rows_all(comm, call, first_row, count));
    WS_CHECK(ids->next + call->first_count <= UINT32_MAX, UNSUPPORTED, "more than 2^32 sessions or hosts in one store");
    for (uint64_t i = 0; i < count; i++)
        out[call->place[i]] = (uint32_t)number_of(ids, call, call->returned[i]);
    for (size_t i = 0; i < call->received_count; i++) {
        if (i + AHEAD < call->received_count)
            __builtin_prefetch(&ids->slots[call->received[i + AHEAD].identity.low & (ids->slot_count - 1)], 1);
        if ((call->answers[i] & NEW) == 0 || call->answers[i] != (NEW | call->received[i].row))
            continue; /* it has its number, or gets it with the first row that shows it */
        ws_id_slot *slot = find_slot(ids->slots, ids->slot_count, &call->received[i].identity);
        slot->value = number_of(ids, call, slot->value) + 1;
    }
    ids->next += call->first_count;
    return WS_OK;
}

/* Alone, a rank asks no one: rows come in order, so a new identity's number is the next one. */
static ws_err assign_alone(ws_dense_ids *ids, const ws_identity *identities, uint64_t first_row, uint64_t count,
                           uint32_t *out)
{
    enum { AHEAD = 8 };
    if (!ids->is_late && is_full(ids, count))
        WS_TRY(stop_growing(ids, first_row));
    if (!ids->is_late)
        WS_TRY(reserve(ids, count));
    for (uint64_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            __builtin_prefetch(&ids->slots[identities[i + AHEAD].low & (ids->slot_count - 1)], 1);
        ws_id_slot *slot = find_slot(ids->slots, ids->slot_count, &identities[i]);
        if (slot->value == 0 && ids->is_late) {
            WS_TRY(note_late(ids, &identities[i], first_row + i));
            out[i] = 0;
            continue;
        }
        if (slot->value == 0) {
            *slot = (ws_id_slot){identities[i], ++ids->next};
            ids->used++;
        }
        out[i] = (uint32_t)(slot->value - 1);
    }
    WS_CHECK(ids->next <= UINT32_MAX, UNSUPPORTED, "more than 2^32 sessions or hosts in one store");
    return WS_OK;
}

ws_err ws_dense_ids_assign_all(const ws_comm *comm, ws_dense_ids *ids, const ws_identity *identities,
                               uint64_t first_row, uint64_t count, uint32_t *out)
{
    if (comm->size == 1)
        return assign_alone(ids, identities, first_row, count, out);
    id_call call = {0};
    ws_err error = assign(comm, ids, identities, first_row, count, out, &call);
    call_destroy(&call);
    WS_TRY(error);
    return WS_OK;
}
