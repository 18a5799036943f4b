/* table_state: what a table run knows between two rounds, as bytes: counters, classes and their numbers, the next record.
 * The same on all ranks. Names that a rank has met are met again; texts of compressed files are read again up to the record.
 */
#include "dataset/table.h"

typedef struct table_head {
    uint64_t carry, inputs, classes;
} table_head;

ws_err ws_table_state_write(const ws_table_run *run, ws_text *out)
{
    const table_head head = {run->carry, run->x->input_count, run->class_count};
    ws_text_append_bytes(out, &head, sizeof head);
    ws_text_append_bytes(out, run->counts, run->x->input_count * sizeof *run->counts);
    for (size_t c = 0; c < run->class_count; c++) {
        const uint64_t level = run->classes[c].level;
        ws_text_append_bytes(out, &level, sizeof level);
        ws_text_append_bytes(out, run->classes[c].name, strlen(run->classes[c].name) + 1);
    }
    return ws_text_check(out);
}

/* Classes in the order they came, so that each has the number that rows were written with. */
static ws_err read_classes(ws_table_run *run, const char *at, const char *end, uint64_t count)
{
    for (uint64_t c = 0; c < count; c++) {
        uint64_t level;
        WS_CHECK((size_t)(end - at) > sizeof level, FORMAT, "the state of a table run ends early");
        memcpy(&level, at, sizeof level);
        at += sizeof level;
        const size_t length = strnlen(at, (size_t)(end - at));
        WS_CHECK(at + length < end && level < run->level_count, FORMAT, "the state of a table run has no such class");
        int32_t number;
        WS_TRY(ws_table_add_class(run, level, at, &number));
        at += length + 1;
    }
    return WS_OK;
}

ws_err ws_table_state_read(ws_table_run *run, const void *bytes, size_t count)
{
    table_head head;
    const char *at = bytes, *end = at + count;
    const size_t counters = run->x->input_count * sizeof *run->counts;
    WS_CHECK(count >= sizeof head + counters, FORMAT, "the state of a table run ends early");
    memcpy(&head, at, sizeof head);
    WS_CHECK(head.inputs == run->x->input_count, FORMAT, "the state of another table run");
    run->carry = head.carry;
    memcpy(run->counts, at + sizeof head, counters);
    return read_classes(run, at + sizeof head + counters, end, head.classes);
}
