/* store_ids: dense numbers for sessions and hosts, in the order of the first row that shows them, over ranks and calls.
 *
 * An identity is owned by one rank (by its bits). Each call: the holders of rows ask the owners; an owner answers with
 * the number it remembers, or with the first row of this call that shows the identity. Those first rows are gathered
 * and numbered in row order, by every rank alike; no rank holds more than its own identities and the new ones of one
 * call.
 */
#include "dataset/store_layout.h"

#include <stdlib.h>

typedef struct id_slot {
    ws_identity identity;
    uint64_t value; /* number + 1; 0 empty; while a call runs NEW | first row for the identities it brought */
} id_slot;

struct ws_dense_ids {
    id_slot *slots;
    size_t slot_count, used;
    uint64_t next; /* number of the next new identity; the same on every rank */
};

typedef struct id_question {
    ws_identity identity;
    uint64_t row;
} id_question;

#define NEW (UINT64_C(1) << 63)

ws_err ws_dense_ids_create(ws_dense_ids **out)
{
    WS_TRY(WS_NEW(*out));
    (*out)->slot_count = 1024;
    return WS_NEW_ARRAY((*out)->slots, (*out)->slot_count);
}

void ws_dense_ids_destroy(ws_dense_ids **ids)
{
    if (*ids == NULL)
        return;
    free((*ids)->slots);
    free(*ids);
    *ids = NULL;
}

static id_slot *find_slot(id_slot *slots, size_t slot_count, const ws_identity *identity)
{
    size_t at = identity->low & (slot_count - 1);
    while (slots[at].value != 0 &&
           (slots[at].identity.low != identity->low || slots[at].identity.high != identity->high))
        at = (at + 1) & (slot_count - 1);
    return &slots[at];
}

/* Room for `more` further identities. */
static ws_err reserve(ws_dense_ids *ids, size_t more)
{
    size_t slot_count = ids->slot_count;
    while ((ids->used + more) * 2 > slot_count)
        slot_count *= 2;
    if (slot_count == ids->slot_count)
        return WS_OK;
    id_slot *slots;
    WS_TRY(WS_NEW_ARRAY(slots, slot_count));
    for (size_t i = 0; i < ids->slot_count; i++)
        if (ids->slots[i].value != 0)
            *find_slot(slots, slot_count, &ids->slots[i].identity) = ids->slots[i];
    free(ids->slots);
    ids->slots = slots;
    ids->slot_count = slot_count;
    return WS_OK;
}

static int owner_of(const ws_identity *identity, int size)
{
    return (int)(identity->high % (uint64_t)size);
}

/* What one call needs; freed together. */
typedef struct id_call {
    id_question *questions, *received;
    uint64_t *place; /* question i speaks of local row place[i] */
    uint64_t *answers, *returned;
    uint64_t *first_rows, *all_first_rows;
    size_t *send_counts, *receive_counts, *answer_counts, received_count, first_count, all_first_count;
} id_call;

static void call_destroy(id_call *call)
{
    free(call->questions);
    free(call->received);
    free(call->place);
    free(call->answers);
    free(call->returned);
    free(call->first_rows);
    free(call->all_first_rows);
    free(call->send_counts);
    free(call->receive_counts);
    free(call->answer_counts);
}

/* Questions of the local rows, sorted by owner (a counting sort, so rows stay in order within an owner). */
static ws_err call_prepare(id_call *call, int size, const ws_identity *identities, uint64_t first_row, uint64_t count)
{
    WS_TRY(WS_NEW_ARRAY(call->questions, count));
    WS_TRY(WS_NEW_ARRAY(call->place, count));
    WS_TRY(WS_NEW_ARRAY(call->first_rows, count));
    WS_TRY(WS_NEW_ARRAY(call->send_counts, (size_t)size));
    WS_TRY(WS_NEW_ARRAY(call->receive_counts, (size_t)size));
    WS_TRY(WS_NEW_ARRAY(call->answer_counts, (size_t)size));
    size_t *next;
    WS_TRY(WS_NEW_ARRAY(next, (size_t)size + 1));
    for (uint64_t i = 0; i < count; i++)
        call->send_counts[owner_of(&identities[i], size)]++;
    for (int r = 0; r < size; r++)
        next[r + 1] = next[r] + call->send_counts[r];
    for (uint64_t i = 0; i < count; i++) {
        size_t at = next[owner_of(&identities[i], size)]++;
        call->questions[at] = (id_question){identities[i], first_row + i};
        call->place[at] = i;
    }
    free(next);
    return WS_OK;
}

/* Questions come in rank order and ranks hold adjacent rows, so the first that asks is the first row. */
static ws_err answer_questions(ws_dense_ids *ids, id_call *call, int size)
{
    call->received_count = 0;
    for (int r = 0; r < size; r++)
        call->received_count += call->receive_counts[r];
    WS_TRY(reserve(ids, call->received_count));
    WS_TRY(WS_NEW_ARRAY(call->answers, call->received_count));
    for (size_t i = 0; i < call->received_count; i++) {
        id_slot *slot = find_slot(ids->slots, ids->slot_count, &call->received[i].identity);
        if (slot->value == 0) {
            *slot = (id_slot){call->received[i].identity, NEW | call->received[i].row};
            ids->used++;
        }
        call->answers[i] = slot->value;
    }
    return WS_OK;
}

/* The first rows this rank holds, ascending: local rows are, but questions are sorted by owner. */
static void mark_first_rows(id_call *call, uint64_t first_row, uint64_t count, uint32_t *out)
{
    for (uint64_t i = 0; i < count; i++)
        out[call->place[i]] = call->returned[i] == (NEW | (first_row + call->place[i]));
    for (uint64_t i = 0; i < count; i++)
        if (out[i])
            call->first_rows[call->first_count++] = first_row + i;
}

static uint64_t number_of(const ws_dense_ids *ids, const id_call *call, uint64_t value)
{
    if ((value & NEW) == 0)
        return value - 1;
    uint64_t row = value & ~NEW;
    size_t low = 0, high = call->all_first_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (call->all_first_rows[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return ids->next + low;
}

static ws_err assign(const ws_comm *comm, ws_dense_ids *ids, const ws_identity *identities, uint64_t first_row,
                     uint64_t count, uint32_t *out, id_call *call)
{
    WS_AGREE(comm, call_prepare(call, comm->size, identities, first_row, count));
    WS_TRY(ws_exchange_all(comm, call->questions, call->send_counts, sizeof *call->questions, (void **)&call->received,
                           call->receive_counts));
    WS_AGREE(comm, answer_questions(ids, call, comm->size));
    WS_TRY(ws_exchange_all(comm, call->answers, call->receive_counts, sizeof *call->answers, (void **)&call->returned,
                           call->answer_counts));
    mark_first_rows(call, first_row, count, out);
    size_t bytes;
    WS_TRY(ws_gather_all(comm, call->first_rows, call->first_count * sizeof(uint64_t), (void **)&call->all_first_rows,
                         &bytes, NULL));
    call->all_first_count = bytes / sizeof(uint64_t);
    WS_CHECK(ids->next + call->all_first_count <= UINT32_MAX, UNSUPPORTED,
             "more than 2^32 sessions or hosts in one store");
    for (uint64_t i = 0; i < count; i++)
        out[call->place[i]] = (uint32_t)number_of(ids, call, call->returned[i]);
    for (size_t i = 0; i < call->received_count; i++) {
        id_slot *slot = find_slot(ids->slots, ids->slot_count, &call->received[i].identity);
        slot->value = number_of(ids, call, slot->value) + 1;
    }
    ids->next += call->all_first_count;
    return WS_OK;
}

/* Alone, a rank asks no one: rows come in order, so a new identity's number is the next one. */
static ws_err assign_alone(ws_dense_ids *ids, const ws_identity *identities, uint64_t count, uint32_t *out)
{
    enum { AHEAD = 8 };
    WS_TRY(reserve(ids, count));
    for (uint64_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            __builtin_prefetch(&ids->slots[identities[i + AHEAD].low & (ids->slot_count - 1)], 1);
        id_slot *slot = find_slot(ids->slots, ids->slot_count, &identities[i]);
        if (slot->value == 0) {
            *slot = (id_slot){identities[i], ++ids->next};
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
        return assign_alone(ids, identities, count, out);
    id_call call = {0};
    ws_err error = assign(comm, ids, identities, first_row, count, out, &call);
    call_destroy(&call);
    WS_TRY(error);
    return WS_OK;
}
