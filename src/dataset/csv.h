/* csv: reading RFC 4180 text record by record: quoted fields, doubled quotes, line breaks inside quotes, CRLF, a UTF-8
 * mark at the start. Streaming; a record may be at most 1 MiB long, so that a quote left open cannot swallow a file. */
#ifndef WS_DATASET_CSV_H
#define WS_DATASET_CSV_H

#include "core/core.h"

typedef struct ws_csv ws_csv;
WS_MUST ws_err ws_csv_open(ws_csv **out, const char *path);
void ws_csv_close(ws_csv **csv);
/* The next record's fields, borrowed until the next call; empty lines are passed over. *more false at the end. */
WS_MUST ws_err ws_csv_next(ws_csv *csv, const char *const **fields, size_t *count, bool *more);
uint64_t ws_csv_line(const ws_csv *csv); /* line on which the last record began, from 1 */

/* Appends a field, quoted where RFC 4180 wants it. */
void ws_csv_append(ws_text *out, const char *field);

#endif
