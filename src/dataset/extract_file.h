/* extract_file: files for what does not fit the memory that an extraction may take: packets, saved flows, rows, identities. They
 * lie beside the store and have no name, so that nothing is left of them however the run ends.
 */
#ifndef WS_DATASET_EXTRACT_FILE_H
#define WS_DATASET_EXTRACT_FILE_H

#include <stdio.h>
#include "dataset/dataset.h"

/* Written to its end, then read by readers of parts of it. */
typedef struct extract_file {
    FILE *stream;      /* NULL while not open */
    const char *store; /* for messages */
    uint64_t bytes;    /* written */
} extract_file;
typedef struct extract_reader {
    const extract_file *file;
    uint64_t at, end;
    uint8_t *buffer;
    size_t held, used;
} extract_reader;

WS_MUST ws_err extract_file_open(extract_file *file, const char *store); /* an open one stays as it is */
WS_MUST ws_err extract_file_write(extract_file *file, const void *data, size_t bytes);
WS_MUST ws_err extract_file_write_row(extract_file *file, const ws_flow *flow);
void extract_file_close(extract_file *file);
/* Bytes [begin, end) of a file that is no longer written. */
WS_MUST ws_err extract_reader_open(extract_reader *reader, extract_file *file, uint64_t begin, uint64_t end);
bool extract_reader_more(const extract_reader *reader);
WS_MUST ws_err extract_reader_read(extract_reader *reader, void *out, size_t bytes);
/* packets: room for extract_row_room() (extract.h); the flow borrows it. */
WS_MUST ws_err extract_reader_read_row(extract_reader *reader, ws_flow *flow, ws_flow_packet *packets);
void extract_reader_close(extract_reader *reader);

#endif
