/* Rows on several ranks of one machine: the first of them reads, splits and normalises, in an arena that the others map. What is
 * there once per row, values, packets, labels, hashes, is then there once per machine.
 *
 * The description that goes round is the reader's own struct with its addresses; whoever receives it puts in its own.
 */
#include <stdlib.h>
#include "train/internal.h"

static ws_err read_rows(ws_arena *arena, const ws_train_config *config, const ws_frozen *frozen, ws_rows *out)
{
    WS_TRY(ws_rows_load_into(arena, config, frozen, out));
    ws_err error = frozen ? ws_rows_add_validation(config, frozen, out) : WS_OK;
    if (error != WS_OK)
        ws_rows_destroy(out);
    WS_TRY(error);
    return WS_OK;
}

static ws_err read_alone(const ws_train_config *config, const ws_frozen *frozen, ws_rows *out)
{
    ws_arena *arena;
    WS_TRY(ws_arena_create(&arena, WS_ROWS_BLOCK));
    return read_rows(arena, config, frozen, out);
}

/* In memory to be shared, or, where the system has none, in memory of its own. */
static ws_err read_to_share(const ws_train_config *config, const ws_frozen *frozen, ws_rows *out)
{
    ws_arena *arena;
    if (ws_arena_create_shared(&arena, WS_ROWS_BLOCK) != WS_OK)
        return read_alone(config, frozen, out);
    return read_rows(arena, config, frozen, out);
}

/* ---- what the reader tells ---- */

typedef struct description {
    ws_rows rows;
    ws_shared_file file;
    int64_t blocks; /* that follow; 0: nothing is shared */
} description;

static ws_err describe(const ws_rows *rows, description *out, ws_arena_block **blocks)
{
    size_t count;
    *out = (description){.rows = *rows};
    WS_TRY(ws_arena_blocks(rows->arena, blocks, &count, &out->file));
    out->blocks = out->file.descriptor >= 0 ? (int64_t)count : 0;
    return WS_OK;
}

static ws_err tell_all(const ws_comm *machine, const ws_rows *rows, description *told, ws_arena_block **blocks)
{
    WS_AGREE(machine, machine->rank == 0 ? describe(rows, told, blocks) : WS_OK);
    WS_TRY(ws_broadcast_all(machine, told, sizeof *told, 0));
    WS_AGREE(machine, machine->rank == 0 ? WS_OK : WS_NEW_ARRAY(*blocks, (size_t)told->blocks));
    return ws_broadcast_all(machine, *blocks, (size_t)told->blocks * sizeof **blocks, 0);
}

/* ---- what the others make of it ---- */

/* Puts this process's address in the place of the reader's; false where that is not in the arena. */
static bool move(const ws_arena_view *view, void *pointer)
{
    const void *theirs, *ours;
    memcpy(&theirs, pointer, sizeof theirs);
    ours = ws_arena_view_at(view, theirs);
    memcpy(pointer, &ours, sizeof ours);
    return (theirs == NULL) == (ours == NULL);
}

static bool move_samples(const ws_arena_view *view, ws_samples *samples)
{
    bool all = move(view, &samples->values) && move(view, &samples->label) && move(view, &samples->anomalous);
    for (int k = 0; k < WS_SEQUENCE_KINDS; k++)
        all = all && move(view, &samples->sequence[k].values) && move(view, &samples->sequence[k].length);
    return all;
}

static ws_err move_names(const ws_arena_view *view, ws_arena *arena, int count, const char *const **names, bool *all)
{
    const char **moved;
    *all = *all && move(view, names);
    if (!*all || *names == NULL)
        return WS_OK;
    WS_TRY(ws_arena_alloc(arena, &moved, (size_t)count, sizeof *moved));
    for (int i = 0; i < count; i++) {
        moved[i] = (*names)[i];
        *all = *all && move(view, &moved[i]);
    }
    *names = moved;
    return WS_OK;
}

static ws_err see_rows(const description *told, ws_rows *out)
{
    ws_arena_view *view = out->view;
    ws_arena *arena = out->arena;
    *out = told->rows;
    out->view = view;
    out->arena = arena;
    out->normalisation = out->packet_normalisation = (ws_normalisation){0};
    bool all =
        move(view, &out->dataset) && move(view, &out->class_normal) && move_samples(view, &out->validation_normal);
    for (int p = 0; p < WS_PART_COUNT; p++)
        all = all && move_samples(view, &out->part[p]) && move(view, &out->row_hash[p]);
    WS_TRY(move_names(view, arena, out->columns, &out->column_names, &all));
    WS_TRY(move_names(view, arena, out->classes, &out->class_names, &all));
    if (out->sequence[WS_SEQUENCE_PACKETS].tokens > 0)
        out->sequence[WS_SEQUENCE_PACKETS] = ws_packets_shape(out->sequence[WS_SEQUENCE_PACKETS].tokens);
    WS_CHECK(all, INTERNAL, "rows do not lie in their arena");
    return WS_OK;
}

static ws_err look(const description *told, const ws_arena_block *blocks, ws_rows *out)
{
    *out = (ws_rows){0};
    WS_TRY(ws_arena_view_create(&out->view, &told->file, blocks, (size_t)told->blocks));
    ws_err error = ws_arena_create(&out->arena, WS_ROWS_BLOCK);
    if (error == WS_OK)
        error = see_rows(told, out);
    if (error != WS_OK)
        ws_rows_destroy(out);
    WS_TRY(error);
    return WS_OK;
}

static ws_err share_all(const ws_comm *machine, const ws_train_config *config, const ws_frozen *frozen, ws_rows *out)
{
    description told = {.blocks = 0};
    ws_arena_block *blocks = NULL;
    if (machine->size == 1)
        return WS_OK;
    ws_err error = tell_all(machine, out, &told, &blocks);
    if (error == WS_OK && machine->rank > 0 && (told.blocks == 0 || look(&told, blocks, out) != WS_OK))
        error = read_alone(config, frozen, out);
    free(blocks);
    WS_TRY(error);
    return WS_OK;
}

ws_err ws_rows_load_all(const ws_comm *comm, const ws_train_config *config, const ws_frozen *frozen, ws_rows *out)
{
    ws_comm machine;
    ws_err error = WS_OK;
    *out = (ws_rows){0};
    WS_TRY(ws_comm_machine_all(comm, &machine));
    if (machine.rank == 0)
        error = machine.size > 1 ? read_to_share(config, frozen, out) : read_alone(config, frozen, out);
    error = ws_agree_all(comm, error);
    if (error == WS_OK)
        error = ws_agree_all(comm, share_all(&machine, config, frozen, out));
    ws_comm_destroy(&machine);
    if (error != WS_OK)
        ws_rows_destroy(out);
    WS_TRY(error);
    return WS_OK;
}
