/* report, inside the room: tables for people as a document of headings, texts and tables, which writers put into Markdown, LaTeX
 * and HTML. Adding never fails visibly: when memory runs out the document is marked, and ws_document_check reports it. */
#ifndef WS_REPORT_DOCUMENT_H
#define WS_REPORT_DOCUMENT_H

#include "core/core.h"

typedef struct ws_table_cell {
    char *text, *rest; /* plain UTF-8; rest: what follows without the styles; owned, may be NULL */
    char *detail;      /* values behind it, a line each: shown on hover; owned, may be NULL */
    bool bold, slanted;
} ws_table_cell;

typedef struct ws_table_column {
    char *name; /* owned */
    bool numeric;
} ws_table_column;

typedef struct ws_table {
    char *caption; /* owned; NULL: none */
    ws_table_column *columns;
    ws_table_cell *cells; /* rows of `column_count` */
    size_t column_count, column_capacity, cell_count, cell_capacity;
    bool out_of_memory;
} ws_table;

typedef enum ws_block_kind { WS_BLOCK_HEADING, WS_BLOCK_TEXT, WS_BLOCK_TABLE, WS_BLOCK_FIGURE } ws_block_kind;

typedef struct ws_block {
    ws_block_kind kind;
    int level; /* of a heading: 1 is the page's */
    ws_text
        text; /* of a text: lines of Markdown (lists, **bold**, _slanted_, `code`); of a heading plain; of a figure SVG */
    ws_table table;
} ws_block;

typedef struct ws_document {
    ws_block *blocks;
    size_t count, capacity;
    bool out_of_memory;
} ws_document; /* zero-initialise */

void ws_document_heading(ws_document *document, int level, const char *text);
/* The text at the document's end, to append to; a new one where the end is something else. */
ws_text *ws_document_text(ws_document *document);
/* A new table at the end; valid until the next block is added. caption may be NULL. */
ws_table *ws_document_table(ws_document *document, const char *caption);
void ws_document_figure(ws_document *document, const char *svg);
void ws_table_add_column(ws_table *table, const char *name, bool numeric);
/* The next cell, line by line; valid until the next one is added. */
ws_table_cell *ws_table_add(ws_table *table, const char *text);
ws_table_cell *ws_table_addf(ws_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
WS_MUST ws_err ws_document_check(const ws_document *document);
void ws_document_destroy(ws_document *document);

/* Writers: write_markdown.c, write_latex.c, write_html.c. */
WS_MUST ws_err ws_document_markdown(const ws_document *document, ws_text *out);
WS_MUST ws_err ws_document_latex(const ws_document *document, ws_text *out);
WS_MUST ws_err ws_document_html(const ws_document *document, ws_text *out);

/* What a line of a text is made of, for writers that do not speak Markdown: calls `emit` for each piece of one style. */
typedef enum ws_style { WS_STYLE_PLAIN, WS_STYLE_BOLD, WS_STYLE_SLANTED, WS_STYLE_CODE } ws_style;
void ws_markdown_pieces(const char *line, size_t length,
                        void (*emit)(ws_text *out, ws_style style, const char *piece, size_t length), ws_text *out);

#endif
