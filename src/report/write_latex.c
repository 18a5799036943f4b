/* A document as LaTeX: a part to be \input into a paper that loads booktabs (and, for wide tables, graphicx); no preamble. */
#include "report/document.h"

#include <string.h>

static const struct {
    const char *text, *latex;
} symbols[] = {{"\\", "\\textbackslash{}"},
               {"_", "\\_"},
               {"%", "\\%"},
               {"&", "\\&"},
               {"#", "\\#"},
               {"$", "\\$"},
               {"{", "\\{"},
               {"}", "\\}"},
               {"~", "\\textasciitilde{}"},
               {"^", "\\textasciicircum{}"},
               {"<", "$<$"},
               {">", "$>$"},
               {"|", "$|$"},
               {"±", "$\\pm$"},
               {"↑", "$\\uparrow$"},
               {"↓", "$\\downarrow$"},
               {"—", "---"},
               {"†", "\\dag{}"},
               {"‡", "\\ddag{}"},
               {"×", "$\\times$"},
               {"≥", "$\\geq$"},
               {"\n", " "}};

static void write_text(ws_text *out, const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t i = 0, count = sizeof symbols / sizeof symbols[0];
        while (i < count && strncmp(text + at, symbols[i].text, strlen(symbols[i].text)) != 0)
            i++;
        if (i < count)
            ws_text_append(out, symbols[i].latex);
        else
            ws_text_append_bytes(out, text + at, 1);
        at += i < count ? strlen(symbols[i].text) : 1;
    }
}

static void write_piece(ws_text *out, ws_style style, const char *piece, size_t length)
{
    static const char *const open[] = {"", "\\textbf{", "\\textit{", "\\texttt{"};
    if (length == 0)
        return;
    ws_text_append(out, open[style]);
    write_text(out, piece, length);
    ws_text_append(out, style == WS_STYLE_PLAIN ? "" : "}");
}

static void write_cell(ws_text *out, const ws_table_cell *cell)
{
    write_piece(out,
                cell->bold      ? WS_STYLE_BOLD
                : cell->slanted ? WS_STYLE_SLANTED
                                : WS_STYLE_PLAIN,
                cell->text, strlen(cell->text));
    if (cell->rest)
        write_text(out, cell->rest, strlen(cell->rest));
}

static void write_table(ws_text *out, const ws_table *table)
{
    size_t columns = table->column_count;
    ws_text_append(out, "\\begin{table}\n\\centering\n");
    if (table->caption) {
        ws_text_append(out, "\\caption{");
        ws_markdown_pieces(table->caption, strlen(table->caption), write_piece, out);
        ws_text_append(out, "}\n");
    }
    ws_text_append(out, "\\begin{tabular}{");
    for (size_t c = 0; c < columns; c++)
        ws_text_append(out, table->columns[c].numeric ? "r" : "l");
    ws_text_append(out, "}\n\\toprule\n");
    for (size_t c = 0; c < columns; c++) {
        ws_text_append(out, c ? " & " : "");
        write_text(out, table->columns[c].name, strlen(table->columns[c].name));
    }
    ws_text_append(out, " \\\\\n\\midrule\n");
    for (size_t i = 0; i < table->cell_count; i++) {
        ws_text_append(out, i % columns ? " & " : "");
        write_cell(out, &table->cells[i]);
        ws_text_append(out, (i + 1) % columns ? "" : " \\\\\n");
    }
    ws_text_append(out, "\\bottomrule\n\\end{tabular}\n\\end{table}\n\n");
}

/* Lines that begin with "- " are a list, "---" a line across the page, others paragraphs. */
static void write_lines(ws_text *out, const char *text)
{
    bool listed = false;
    for (const char *end; *text; text = *end ? end + 1 : end) {
        end = text + strcspn(text, "\n");
        size_t length = (size_t)(end - text);
        bool item = length > 2 && strncmp(text, "- ", 2) == 0;
        if (item != listed)
            ws_text_append(out, item ? "\\begin{itemize}\n" : "\\end{itemize}\n");
        listed = item;
        if (length == 3 && strncmp(text, "---", 3) == 0) {
            ws_text_append(out, "\\medskip\\hrule\\medskip");
        } else {
            ws_text_append(out, item ? "\\item " : "");
            ws_markdown_pieces(text + (item ? 2 : 0), length - (item ? 2 : 0), write_piece, out);
        }
        ws_text_append(out, "\n");
    }
    ws_text_append(out, listed ? "\\end{itemize}\n\n" : "\n");
}

ws_err ws_document_latex(const ws_document *document, ws_text *out)
{
    static const char *const levels[] = {"section", "section", "subsection", "subsubsection"};
    WS_TRY(ws_document_check(document));
    ws_text_append(out, "% Needs \\usepackage{booktabs}.\n");
    for (size_t i = 0; i < document->count; i++) {
        const ws_block *block = &document->blocks[i];
        const char *text = ws_text_string(&block->text);
        if (block->kind == WS_BLOCK_HEADING) {
            ws_text_appendf(out, "\\%s{", levels[block->level < 3 ? block->level : 3]);
            write_text(out, text, strlen(text));
            ws_text_append(out, "}\n\n");
        } else if (block->kind == WS_BLOCK_TEXT) {
            write_lines(out, text);
        } else if (block->kind == WS_BLOCK_TABLE) {
            write_table(out, &block->table);
        }
    }
    return ws_text_check(out);
}
