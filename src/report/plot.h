/* report, inside the room: one figure as a gnuplot script with its data, drawn as SVG and PNG. */
#ifndef WS_REPORT_PLOT_H
#define WS_REPORT_PLOT_H

#include "core/core.h"

typedef struct ws_plot {
    ws_text data;      /* named blocks: $a << EOD ... EOD */
    ws_text settings;  /* "set ..." lines */
    ws_text curves;    /* what stands behind `plot` */
    int width, height; /* of the SVG; the PNG has twice as many pixels */
    size_t lines;      /* curves so far */
} ws_plot;             /* zero-initialise */

/* A text as gnuplot reads it, in quotes. */
void ws_plot_quote(ws_text *out, const char *text);
/* Adds a curve; the format is what follows "plot", its title apart (NULL: none in the key). */
void ws_plot_curve(ws_plot *plot, const char *title, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Writes FOLDER/NAME.gnuplot, runs it, and reads NAME.svg back (malloc'ed). */
WS_MUST ws_err ws_plot_draw(const ws_plot *plot, const char *folder, const char *name, char **svg);
void ws_plot_destroy(ws_plot *plot);

#endif
