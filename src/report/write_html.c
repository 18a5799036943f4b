/* A document as one HTML page that needs nothing else: a click on a column's head sorts by it, the values behind a mean appear on
 * hover (and on focus of the cell, for those without a mouse), figures are in the page. */
#include "report/document.h"

#include <string.h>

static const char page_head[] =
    "<style>\n"
    ":root{color-scheme:light dark;--line:#8886;--soft:#8881;--mark:#0072b2}\n"
    "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:110rem;padding:0 1.5rem}\n"
    "h1,h2,h3{line-height:1.2;margin:1.6em 0 .5em}\n"
    ".table{overflow-x:auto;margin:.8em 0}\n"
    "table{border-collapse:collapse;border-top:2px solid;border-bottom:2px solid}\n"
    "caption{text-align:left;padding:.3em 0;font-style:italic}\n"
    "th,td{padding:.25em .7em;text-align:left;white-space:nowrap}\n"
    "thead th{border-bottom:1px solid;cursor:pointer;user-select:none}\n"
    "th.n,td.n{text-align:right;font-variant-numeric:tabular-nums}\n"
    "tbody tr:nth-child(even){background:var(--soft)}\n"
    "tbody tr:hover{background:var(--line)}\n"
    "td:first-child,th:first-child{position:sticky;left:0;background:Canvas}\n"
    "th[aria-sort=ascending]::after{content:' \\25B4'}th[aria-sort=descending]::after{content:' \\25BE'}\n"
    "td[title]{cursor:help;text-decoration:underline dotted var(--line)}\n"
    "td:focus,th:focus{outline:2px solid var(--mark)}\n"
    "code{background:var(--soft);padding:0 .25em}\n"
    "figure{margin:1em 0}figure img{max-width:100%;height:auto;background:#fff}\n"
    "#values{position:fixed;right:1rem;bottom:1rem;padding:.6em 1em;border:1px solid var(--line);background:Canvas;"
    "white-space:pre-line;display:none}\n"
    "</style>\n";

static const char page_script[] =
    "<div id=\"values\" role=\"status\"></div>\n"
    "<script>\n"
    "'use strict';\n"
    "function key(row, column) {\n"
    "  const text = row.cells[column].textContent.trim(), number = parseFloat(text.replace(/^[<>]/, ''));\n"
    "  return isNaN(number) ? text : number;\n"
    "}\n"
    "function compare(a, b) {\n"
    "  const numbers = (typeof a === 'number') - (typeof b === 'number');\n"
    "  return numbers ? numbers : typeof a === 'number' ? a - b : a < b ? -1 : a > b ? 1 : 0;\n"
    "}\n"
    "function sortBy(head) {\n"
    "  const table = head.closest('table'), body = table.tBodies[0], column = head.cellIndex;\n"
    "  const up = head.getAttribute('aria-sort') === 'descending';\n"
    "  for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');\n"
    "  head.setAttribute('aria-sort', up ? 'ascending' : 'descending');\n"
    "  const rows = Array.from(body.rows, (row, place) => ({ row, place, key: key(row, column) }));\n"
    "  rows.sort((a, b) => (up ? 1 : -1) * compare(a.key, b.key) || a.place - b.place);\n"
    "  for (const item of rows) body.appendChild(item.row);\n"
    "}\n"
    "for (const head of document.querySelectorAll('thead th')) {\n"
    "  head.addEventListener('click', () => sortBy(head));\n"
    "  head.addEventListener('keydown', event => { if (event.key === 'Enter') sortBy(head); });\n"
    "}\n"
    "const values = document.getElementById('values');\n"
    "for (const cell of document.querySelectorAll('td[title]')) {\n"
    "  cell.addEventListener('focus', () => { values.textContent = cell.title; values.style.display = 'block'; });\n"
    "  cell.addEventListener('blur', () => { values.style.display = 'none'; });\n"
    "}\n"
    "</script>\n";

static void write_text(ws_text *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        switch (text[i]) {
        case '&':
            ws_text_append(out, "&amp;");
            break;
        case '<':
            ws_text_append(out, "&lt;");
            break;
        case '>':
            ws_text_append(out, "&gt;");
            break;
        case '"':
            ws_text_append(out, "&quot;");
            break;
        default:
            ws_text_append_bytes(out, &text[i], 1);
        }
}

static void write_piece(ws_text *out, ws_style style, const char *piece, size_t length)
{
    static const char *const names[] = {"", "b", "i", "code"};
    if (style != WS_STYLE_PLAIN)
        ws_text_appendf(out, "<%s>", names[style]);
    write_text(out, piece, length);
    if (style != WS_STYLE_PLAIN)
        ws_text_appendf(out, "</%s>", names[style]);
}

static void write_cell(ws_text *out, const ws_table_cell *cell, bool numeric)
{
    ws_text_append(out, numeric ? "<td class=\"n\"" : "<td");
    if (cell->detail) {
        ws_text_append(out, " tabindex=\"0\" title=\"");
        write_text(out, cell->detail, strlen(cell->detail));
        ws_text_append(out, "\"");
    }
    ws_text_append(out, ">");
    write_piece(out,
                cell->bold      ? WS_STYLE_BOLD
                : cell->slanted ? WS_STYLE_SLANTED
                                : WS_STYLE_PLAIN,
                cell->text, strlen(cell->text));
    if (cell->rest)
        write_text(out, cell->rest, strlen(cell->rest));
    ws_text_append(out, "</td>");
}

static void write_table(ws_text *out, const ws_table *table)
{
    size_t columns = table->column_count;
    ws_text_append(out, "<div class=\"table\"><table>");
    if (table->caption) {
        ws_text_append(out, "<caption>");
        ws_markdown_pieces(table->caption, strlen(table->caption), write_piece, out);
        ws_text_append(out, "</caption>");
    }
    ws_text_append(out, "\n<thead><tr>");
    for (size_t c = 0; c < columns; c++) {
        ws_text_appendf(out, "<th scope=\"col\" tabindex=\"0\"%s>", table->columns[c].numeric ? " class=\"n\"" : "");
        write_text(out, table->columns[c].name, strlen(table->columns[c].name));
        ws_text_append(out, "</th>");
    }
    ws_text_append(out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < table->cell_count; i++) {
        ws_text_append(out, i % columns ? "" : "<tr>");
        write_cell(out, &table->cells[i], table->columns[i % columns].numeric);
        ws_text_append(out, (i + 1) % columns ? "" : "</tr>\n");
    }
    ws_text_append(out, "</tbody></table></div>\n");
}

/* Lines that begin with "- " are a list, "---" a line across the page, others paragraphs. */
static void write_lines(ws_text *out, const char *text)
{
    bool listed = false;
    for (const char *end; *text; text = *end ? end + 1 : end) {
        end = text + strcspn(text, "\n");
        size_t length = (size_t)(end - text);
        if (length == 0)
            continue;
        bool item = length > 2 && strncmp(text, "- ", 2) == 0, rule = length == 3 && strncmp(text, "---", 3) == 0;
        if (item != listed)
            ws_text_append(out, item ? "<ul>\n" : "</ul>\n");
        listed = item;
        ws_text_append(out, rule ? "<hr>" : item ? "<li>" : "<p>");
        if (!rule)
            ws_markdown_pieces(text + (item ? 2 : 0), length - (item ? 2 : 0), write_piece, out);
        ws_text_append(out, rule ? "\n" : item ? "</li>\n" : "</p>\n");
    }
    ws_text_append(out, listed ? "</ul>\n" : "");
}

/* As an image of its own, so that names within one figure do not meet those of another. */
static void write_figure(ws_text *out, const char *svg)
{
    ws_text_append(out, "<figure><img alt=\"\" src=\"data:image/svg+xml,");
    for (; *svg; svg++)
        if (strchr("%#\"<>&'\n\r", *svg))
            ws_text_appendf(out, "%%%02X", (unsigned char)*svg);
        else
            ws_text_append_bytes(out, svg, 1);
    ws_text_append(out, "\"></figure>\n");
}

ws_err ws_document_html(const ws_document *document, ws_text *out)
{
    const ws_block *first = document->count ? &document->blocks[0] : NULL;
    const char *title = first && first->kind == WS_BLOCK_HEADING ? ws_text_string(&first->text) : "Tables";
    WS_TRY(ws_document_check(document));
    ws_text_append(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                        "<meta name=\"viewport\" content=\"width=device-width\">\n"
                        "<link rel=\"icon\" href=\"data:,\">\n<title>");
    write_text(out, title, strlen(title));
    ws_text_appendf(out, "</title>\n%s</head>\n<body>\n", page_head);
    for (size_t i = 0; i < document->count; i++) {
        const ws_block *block = &document->blocks[i];
        const char *text = ws_text_string(&block->text);
        if (block->kind == WS_BLOCK_HEADING) {
            ws_text_appendf(out, "<h%d>", block->level);
            write_text(out, text, strlen(text));
            ws_text_appendf(out, "</h%d>\n", block->level);
        } else if (block->kind == WS_BLOCK_TEXT) {
            write_lines(out, text);
        } else if (block->kind == WS_BLOCK_TABLE) {
            write_table(out, &block->table);
        } else {
            write_figure(out, text);
        }
    }
    ws_text_appendf(out, "%s</body>\n</html>\n", page_script);
    return ws_text_check(out);
}
