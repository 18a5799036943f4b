/* A document as it grows: blocks, tables line by line, and the few marks of Markdown that its texts use. */
#include "report/document.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static ws_block *add_block(ws_document *document, ws_block_kind kind)
{
    static ws_block lost; /* takes what no memory is left for; never read */
    if (document->out_of_memory || WS_GROW(document->blocks, document->capacity, document->count + 1) != WS_OK) {
        document->out_of_memory = true;
        lost = (ws_block){.text.out_of_memory = true, .table.out_of_memory = true};
        return &lost;
    }
    ws_block *block = &document->blocks[document->count++];
    *block = (ws_block){.kind = kind};
    return block;
}

void ws_document_heading(ws_document *document, int level, const char *text)
{
    ws_block *block = add_block(document, WS_BLOCK_HEADING);
    block->level = level;
    ws_text_append(&block->text, text);
}

ws_text *ws_document_text(ws_document *document)
{
    bool at_end = document->count > 0 && document->blocks[document->count - 1].kind == WS_BLOCK_TEXT;
    return at_end ? &document->blocks[document->count - 1].text : &add_block(document, WS_BLOCK_TEXT)->text;
}

void ws_document_figure(ws_document *document, const char *svg)
{
    ws_text_append(&add_block(document, WS_BLOCK_FIGURE)->text, svg);
}

ws_table *ws_document_table(ws_document *document, const char *caption)
{
    ws_table *table = &add_block(document, WS_BLOCK_TABLE)->table;
    table->caption = caption ? strdup(caption) : NULL;
    table->out_of_memory = table->out_of_memory || (caption && !table->caption);
    return table;
}

void ws_table_add_column(ws_table *table, const char *name, bool numeric)
{
    char *copy = strdup(name);
    if (!copy || table->out_of_memory ||
        WS_GROW(table->columns, table->column_capacity, table->column_count + 1) != WS_OK) {
        table->out_of_memory = true;
        free(copy);
        return;
    }
    table->columns[table->column_count++] = (ws_table_column){copy, numeric};
}

static ws_table_cell *add_cell(ws_table *table, char *text)
{
    static ws_table_cell lost;
    if (!text || table->out_of_memory || WS_GROW(table->cells, table->cell_capacity, table->cell_count + 1) != WS_OK) {
        table->out_of_memory = true;
        free(text);
        return &lost;
    }
    table->cells[table->cell_count] = (ws_table_cell){.text = text};
    return &table->cells[table->cell_count++];
}

ws_table_cell *ws_table_add(ws_table *table, const char *text)
{
    return add_cell(table, strdup(text));
}

ws_table_cell *ws_table_addf(ws_table *table, const char *format, ...)
{
    ws_text text = {0};
    va_list arguments;
    va_start(arguments, format);
    ws_text_vappendf(&text, format, arguments);
    va_end(arguments);
    ws_table_cell *cell = ws_table_add(table, ws_text_string(&text));
    table->out_of_memory = table->out_of_memory || text.out_of_memory;
    ws_text_destroy(&text);
    return cell;
}

ws_err ws_document_check(const ws_document *document)
{
    bool lost = document->out_of_memory;
    for (size_t i = 0; i < document->count; i++)
        lost = lost || document->blocks[i].text.out_of_memory || document->blocks[i].table.out_of_memory;
    WS_CHECK(!lost, MEMORY, "no memory for the tables");
    return WS_OK;
}

void ws_document_destroy(ws_document *document)
{
    for (size_t i = 0; i < document->count; i++) {
        ws_table *table = &document->blocks[i].table;
        for (size_t c = 0; c < table->column_count; c++)
            free(table->columns[c].name);
        for (size_t c = 0; c < table->cell_count; c++) {
            free(table->cells[c].text);
            free(table->cells[c].rest);
            free(table->cells[c].detail);
        }
        free(table->columns);
        free(table->cells);
        free(table->caption);
        ws_text_destroy(&document->blocks[i].text);
    }
    free(document->blocks);
    *document = (ws_document){0};
}

/* ---------------------------------------------------------------- pieces of a line */

/* Length of the mark that begins at `at`; 0 where none does. A slanted word's underscore stands at the edge of a word. */
static size_t mark_at(const char *line, size_t length, size_t at, ws_style *style)
{
    bool edge = at == 0 || !(line[at - 1] == '_' || isalnum((unsigned char)line[at - 1]));
    *style = line[at] == '`' ? WS_STYLE_CODE : line[at] == '*' ? WS_STYLE_BOLD : WS_STYLE_SLANTED;
    if (line[at] == '`' || (line[at] == '_' && edge))
        return 1;
    return at + 1 < length && line[at] == '*' && line[at + 1] == '*' ? 2 : 0;
}

/* Where the mark comes again; `length` where it does not. An underscore within a word is none. */
static size_t closing(const char *line, size_t length, size_t from, char mark, size_t width)
{
    for (size_t i = from + 1; i + width <= length; i++)
        if (line[i] == mark && (width == 1 || line[i + 1] == mark) &&
            (mark != '_' || i + 1 == length || !isalnum((unsigned char)line[i + 1])))
            return i;
    return length;
}

void ws_markdown_pieces(const char *line, size_t length,
                        void (*emit)(ws_text *out, ws_style style, const char *piece, size_t length), ws_text *out)
{
    size_t plain = 0;
    for (size_t i = 0; i < length;) {
        ws_style style;
        size_t width = mark_at(line, length, i, &style), end = length;
        if (width)
            end = closing(line, length, i + width, line[i], width);
        if (end < length) {
            emit(out, WS_STYLE_PLAIN, line + plain, i - plain);
            emit(out, style, line + i + width, end - i - width);
            plain = i = end + width;
            continue;
        }
        if (line[i] == '\\' && i + 1 < length && strchr("|_*`", line[i + 1])) {
            emit(out, WS_STYLE_PLAIN, line + plain, i - plain);
            plain = ++i;
        }
        i++;
    }
    emit(out, WS_STYLE_PLAIN, line + plain, length - plain);
}
