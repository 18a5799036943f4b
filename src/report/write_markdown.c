/* A document as Markdown. */
#include "report/internal.h"

/* A text inside a table: no bars, no line ends. */
void ws_report_markdown_text(ws_text *out, const char *text)
{
    for (; *text; text++)
        ws_text_appendf(out, *text == '|' ? "\\%c" : "%c", *text == '\n' || *text == '\r' ? ' ' : *text);
}

static void write_cell(ws_text *out, const ws_table_cell *cell)
{
    const char *mark = cell->bold ? "**" : cell->slanted ? "_" : "";
    ws_text_append(out, mark);
    ws_report_markdown_text(out, cell->text);
    ws_text_append(out, mark);
    if (cell->rest)
        ws_report_markdown_text(out, cell->rest);
}

static void write_table(ws_text *out, const ws_table *table)
{
    size_t columns = table->column_count;
    if (table->caption)
        ws_text_appendf(out, "\n%s:\n\n", table->caption);
    for (size_t c = 0; c < columns; c++) {
        ws_text_append(out, c ? " | " : "| ");
        ws_report_markdown_text(out, table->columns[c].name);
    }
    ws_text_append(out, " |\n");
    for (size_t c = 0; c < columns; c++)
        ws_text_appendf(out, "%s%s", c ? " | " : "| ", table->columns[c].numeric ? "---:" : "---");
    ws_text_append(out, " |\n");
    for (size_t i = 0; i < table->cell_count; i++) {
        ws_text_append(out, i % columns ? " | " : "| ");
        write_cell(out, &table->cells[i]);
        ws_text_append(out, (i + 1) % columns ? "" : " |\n");
    }
}

ws_err ws_document_markdown(const ws_document *document, ws_text *out)
{
    WS_TRY(ws_document_check(document));
    for (size_t i = 0; i < document->count; i++) {
        const ws_block *block = &document->blocks[i];
        if (block->kind == WS_BLOCK_HEADING) {
            ws_text_append(out, i ? "\n" : "");
            for (int level = 0; level < block->level; level++)
                ws_text_append(out, "#");
            ws_text_append(out, " ");
            ws_report_markdown_text(out, ws_text_string(&block->text));
            ws_text_append(out, "\n\n");
        } else if (block->kind == WS_BLOCK_TEXT) {
            ws_text_append(out, ws_text_string(&block->text));
        } else if (block->kind == WS_BLOCK_TABLE) {
            write_table(out, &block->table);
        }
    }
    return ws_text_check(out);
}
