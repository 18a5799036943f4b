/* Files without a name beside the store: unlinked as soon as they are open. See extract_file.h. */
#include "dataset/extract.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 16 };

static ws_err no_file(const char *store, const char *what)
{
    ws_err error = WS_ERROR(IO, "%s: %s a file for what does not fit --memory: %s", store, what, strerror(errno));
    WS_HINT("give more --memory, or make room beside the store (about 100 bytes a packet)");
    return error;
}

ws_err extract_file_open(extract_file *file, const char *store)
{
    if (file->stream != NULL)
        return WS_OK;
    char *name = ws_format("%s.partial.XXXXXX", store);
    WS_CHECK(name != NULL, MEMORY, "no memory for the name of a file");
    int descriptor = mkstemp(name);
    if (descriptor >= 0)
        unlink(name);
    free(name);
    if (descriptor >= 0)
        file->stream = fdopen(descriptor, "w+b");
    if (file->stream == NULL) {
        ws_err error = no_file(store, "cannot create");
        if (descriptor >= 0)
            close(descriptor);
        return error;
    }
    file->store = store;
    return WS_OK;
}

ws_err extract_file_write(extract_file *file, const void *data, size_t bytes)
{
    if (bytes > 0 && fwrite(data, bytes, 1, file->stream) != 1)
        return no_file(file->store, "cannot write");
    file->bytes += bytes;
    return WS_OK;
}

void extract_file_close(extract_file *file)
{
    if (file->stream != NULL)
        fclose(file->stream);
    memset(file, 0, sizeof *file);
}

ws_err extract_reader_open(extract_reader *reader, extract_file *file, uint64_t begin, uint64_t end)
{
    *reader = (extract_reader){.file = file, .at = begin, .end = end};
    if (begin < end && fflush(file->stream) != 0)
        return no_file(file->store, "cannot write");
    WS_TRY(WS_NEW_ARRAY(reader->buffer, READ_BYTES));
    return WS_OK;
}

void extract_reader_close(extract_reader *reader)
{
    free(reader->buffer);
    memset(reader, 0, sizeof *reader);
}

bool extract_reader_more(const extract_reader *reader)
{
    return reader->used < reader->held || reader->at < reader->end;
}

static ws_err refill(extract_reader *reader)
{
    uint64_t left = reader->end - reader->at;
    size_t wanted = left < READ_BYTES ? (size_t)left : READ_BYTES;
    ssize_t got = pread(fileno(reader->file->stream), reader->buffer, wanted, (off_t)reader->at);
    if (got <= 0)
        return no_file(reader->file->store, "cannot read");
    reader->at += (uint64_t)got;
    reader->held = (size_t)got;
    reader->used = 0;
    return WS_OK;
}

ws_err extract_reader_read(extract_reader *reader, void *out, size_t bytes)
{
    for (uint8_t *at = out; bytes > 0;) {
        if (reader->used == reader->held) {
            WS_CHECK(reader->at < reader->end, INTERNAL, "a file beside the store ends early");
            WS_TRY(refill(reader));
        }
        size_t here = reader->held - reader->used;
        here = here < bytes ? here : bytes;
        memcpy(at, reader->buffer + reader->used, here);
        reader->used += here;
        at += here;
        bytes -= here;
    }
    return WS_OK;
}

/* A row: the flow, then its packets, then their slots. */
ws_err extract_file_write_row(extract_file *file, const ws_flow *flow)
{
    WS_TRY(extract_file_write(file, flow, sizeof *flow));
    WS_TRY(extract_file_write(file, flow->stored, flow->packet_count * sizeof *flow->stored));
    WS_TRY(extract_file_write(file, flow->slots, flow->slot_bytes));
    return WS_OK;
}

ws_err extract_reader_read_row(extract_reader *reader, ws_flow *flow, ws_flow_packet *packets)
{
    WS_TRY(extract_reader_read(reader, flow, sizeof *flow));
    WS_TRY(extract_reader_read(reader, packets, flow->packet_count * sizeof *packets));
    flow->stored = packets;
    flow->slots = (const uint8_t *)(packets + flow->packet_count);
    WS_TRY(extract_reader_read(reader, packets + flow->packet_count, flow->slot_bytes));
    return WS_OK;
}

size_t extract_row_room(const extraction *x)
{
    return x->rules.max_packets + (x->rules.bytes.packets * x->slot_size) / sizeof(ws_flow_packet) + 1;
}
