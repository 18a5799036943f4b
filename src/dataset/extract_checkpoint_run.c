/* What a checkpoint keeps of the run: what is the same on all ranks, and sums over them that the first rank goes on with. */
#include "dataset/extract_checkpoint.h"
#include "dataset/store_layout.h"
#include "dataset/table.h"

#include <stdlib.h>

typedef struct run_head {
    uint64_t ranks; /* that wrote */
    uint64_t input_count, group_count, round_begin, first_input, first_base;
    ws_dense_ids_mark sessions, hosts;
    uint64_t rows; /* in segments */
    uint64_t label_words, damage_count;
} run_head;

static extract_run_sums own_sums(const extraction *x)
{
    const ws_flow_counters *table = ws_flow_table_counters(x->table);
    const bool first = x->comm->rank == 0 || x->tables != NULL; /* repairs of captures are known to all ranks alike */
    extract_run_sums sums = {.rows_written = x->rows_written,
                             .labelled = x->labelled,
                             .spilled_bytes = x->spilled_bytes,
                             .boundary_repairs = first ? x->boundary_repairs : 0,
                             .negative_gaps = table->negative_gaps + x->earlier.negative_gaps};
    for (int e = 0; e < 5; e++)
        sums.ended[e] = table->ended[e] + x->earlier.ended[e];
    return sums;
}

void extract_run_destroy(extract_run *state)
{
    free(state->inputs);
    free(state->label_words);
    free(state->damage);
}

/* The counters of all inputs, summed. */
static ws_err sum_counts_all(const extraction *x, extract_counts **out)
{
    WS_AGREE(x->comm, WS_NEW_ARRAY(*out, x->input_count));
    for (size_t i = 0; i < x->input_count; i++)
        (*out)[i] = x->inputs[i].counts;
    WS_TRY(ws_sum_u64_all(x->comm, (uint64_t *)*out, x->input_count * EXTRACT_COUNTS));
    return WS_OK;
}

static ws_err collect_inputs_all(const extraction *x, extract_run *state)
{
    extract_counts *counts = NULL;
    WS_AGREE(x->comm, WS_NEW_ARRAY(state->inputs, x->input_count));
    ws_err error = sum_counts_all(x, &counts);
    for (size_t i = 0; error == WS_OK && i < x->input_count; i++) {
        const extract_input *input = &x->inputs[i];
        state->inputs[i] = (extract_input_state){.next_offset = input->next_offset,
                                                 .next_position = input->next_position,
                                                 .records = input->records,
                                                 .block_count = input->block_count,
                                                 .counts = counts[i]};
    }
    free(counts);
    return error;
}

ws_err extract_run_collect_all(const extraction *x, extract_run *state)
{
    state->sums = own_sums(x);
    WS_TRY(ws_sum_u64_all(x->comm, (uint64_t *)&state->sums, sizeof state->sums / sizeof(uint64_t)));
    WS_TRY(collect_inputs_all(x, state));
    if (x->labels != NULL)
        WS_AGREE(x->comm, ws_labels_counters_get(x->labels, &state->label_words, &state->label_count));
    WS_TRY(ws_sum_u64_all(x->comm, state->label_words, state->label_count));
    WS_TRY(ws_gather_all(x->comm, x->damage, x->damage_count * sizeof *x->damage, (void **)&state->damage,
                         &state->damage_bytes, NULL));
    return WS_OK;
}

static ws_err write_run(const extraction *x, const extract_run *state, const ws_text *tables, extract_state_file *file)
{
    const ws_store_writer_state writer = ws_store_writer_remember(x->writer);
    const run_head head = {.ranks = (uint64_t)x->comm->size,
                           .input_count = x->input_count,
                           .group_count = x->group_count,
                           .round_begin = x->round_begin,
                           .first_input = x->first_input,
                           .first_base = x->first_base,
                           .sessions = ws_dense_ids_where(writer.sessions),
                           .hosts = ws_dense_ids_where(writer.hosts),
                           .rows = *writer.rows,
                           .label_words = state->label_count,
                           .damage_count = state->damage_bytes / sizeof(ws_damage)};
    WS_TRY(extract_state_write(file, &head, sizeof head));
    WS_TRY(extract_state_write(file, &state->sums, sizeof state->sums));
    WS_TRY(extract_state_write(file, x->groups, x->group_count * sizeof *x->groups));
    for (size_t i = 0; i < x->input_count; i++) {
        WS_TRY(extract_state_write(file, &state->inputs[i], sizeof state->inputs[i]));
        WS_TRY(extract_state_write(file, x->inputs[i].blocks, x->inputs[i].block_count * sizeof *x->inputs[i].blocks));
    }
    WS_TRY(extract_state_write(file, state->label_words, state->label_count * sizeof *state->label_words));
    WS_TRY(extract_state_write(file, state->damage, state->damage_bytes));
    WS_TRY(extract_state_write(file, tables->data, tables->length));
    return WS_OK;
}

ws_err extract_run_write(const extraction *x, const extract_run *state, extract_state_file *file)
{
    ws_text tables = {0};
    ws_err error = x->table_run != NULL ? ws_table_state_write(x->table_run, &tables) : WS_OK;
    if (error == WS_OK)
        error = ws_text_check(&tables);
    if (error == WS_OK)
        error = write_run(x, state, &tables, file);
    ws_text_destroy(&tables);
    return error;
}

/* ---------------------------------------------------------------- going on */
typedef struct cursor {
    const uint8_t *at, *end;
} cursor;

static ws_err take(cursor *from, void *out, size_t bytes)
{
    WS_CHECK((size_t)(from->end - from->at) >= bytes, FORMAT, "the state of a run ends early");
    if (bytes > 0)
        memcpy(out, from->at, bytes);
    from->at += bytes;
    return WS_OK;
}

static ws_err take_input(extraction *x, cursor *from, extract_input *input)
{
    extract_input_state state;
    WS_TRY(take(from, &state, sizeof state));
    input->next_offset = state.next_offset;
    input->next_position = state.next_position;
    input->records = state.records;
    if (x->comm->rank == 0)
        input->counts = state.counts;
    WS_CHECK(state.block_count <= (size_t)(from->end - from->at) / sizeof *input->blocks, FORMAT,
             "the state of a run ends early");
    WS_TRY(WS_GROW(input->blocks, input->block_capacity, state.block_count));
    WS_TRY(take(from, input->blocks, state.block_count * sizeof *input->blocks));
    input->block_count = state.block_count;
    return WS_OK;
}

static void take_sums(extraction *x, const extract_run_sums *sums)
{
    if (x->comm->rank == 0 || x->tables == NULL)
        x->boundary_repairs = sums->boundary_repairs;
    if (x->comm->rank != 0)
        return;
    x->rows_written = sums->rows_written;
    x->labelled = sums->labelled;
    x->spilled_bytes = sums->spilled_bytes;
    x->earlier.negative_gaps = sums->negative_gaps;
    memcpy(x->earlier.ended, sums->ended, sizeof sums->ended);
}

static ws_err take_labels(extraction *x, cursor *from, uint64_t count)
{
    uint64_t *words;
    WS_CHECK(count <= (size_t)(from->end - from->at) / sizeof *words, FORMAT, "the state of a run ends early");
    WS_TRY(WS_NEW_ARRAY(words, count));
    ws_err error = take(from, words, count * sizeof *words);
    if (error == WS_OK && x->labels != NULL && x->comm->rank == 0)
        error = ws_labels_counters_set(x->labels, words, count);
    free(words);
    return error;
}

static ws_err take_damage(extraction *x, cursor *from, uint64_t count)
{
    WS_CHECK(count <= (size_t)(from->end - from->at) / sizeof *x->damage, FORMAT, "the state of a run ends early");
    WS_TRY(WS_GROW(x->damage, x->damage_capacity, count + 1));
    WS_TRY(take(from, x->damage, count * sizeof *x->damage));
    x->damage_count = x->comm->rank == 0 ? count : 0;
    return WS_OK;
}

ws_err extract_run_take(extraction *x, const void *bytes, size_t count, uint64_t *ranks)
{
    cursor own = {bytes, (const uint8_t *)bytes + count}, *const from = &own;
    run_head head;
    extract_run_sums sums;
    WS_TRY(take(from, &head, sizeof head));
    WS_CHECK(head.input_count == x->input_count && head.group_count == x->group_count &&
                 head.round_begin <= x->total_bytes && head.ranks > 0,
             FORMAT, "%s: the state of another run", x->checkpoint->folder);
    *ranks = head.ranks;
    x->round_begin = x->checkpoint->last_begin = head.round_begin;
    x->first_input = head.first_input;
    x->first_base = head.first_base;
    const ws_store_writer_state writer = ws_store_writer_remember(x->writer);
    WS_TRY(ws_dense_ids_continue(writer.sessions, head.sessions));
    WS_TRY(ws_dense_ids_continue(writer.hosts, head.hosts));
    *writer.rows = head.rows;
    WS_TRY(take(from, &sums, sizeof sums));
    take_sums(x, &sums);
    WS_TRY(take(from, x->groups, x->group_count * sizeof *x->groups));
    for (size_t i = 0; i < x->input_count; i++)
        WS_TRY(take_input(x, from, &x->inputs[i]));
    WS_TRY(take_labels(x, from, head.label_words));
    WS_TRY(take_damage(x, from, head.damage_count));
    if (x->table_run != NULL)
        WS_TRY(ws_table_state_read(x->table_run, from->at, (size_t)(from->end - from->at)));
    return WS_OK;
}
