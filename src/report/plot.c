/* Drawing by gnuplot, run as a process of its own in the folder of the figures. Colours are those of Okabe and Ito (2008), told apart
 * by all common forms of colour blindness; lines differ in their dashes as well, for print without colour. */
#include "report/plot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "storage/storage.h"

extern char **environ;

static const char style[] =
    "set linetype 1 lc rgb '#0072B2' lw 2 dt 1\nset linetype 2 lc rgb '#D55E00' lw 2 dt 2\n"
    "set linetype 3 lc rgb '#009E73' lw 2 dt 4\nset linetype 4 lc rgb '#CC79A7' lw 2 dt 5\n"
    "set linetype 5 lc rgb '#E69F00' lw 2 dt (8,2)\nset linetype 6 lc rgb '#56B4E9' lw 2 dt (2,2)\n"
    "set linetype 7 lc rgb '#000000' lw 2 dt (12,4,2,4)\nset linetype 8 lc rgb '#999999' lw 2 dt 3\n"
    "set linetype cycle 8\nset grid lc rgb '#dddddd' lw 1 dt 1\nset border 3\nset tics nomirror\n";

void ws_plot_quote(ws_text *out, const char *text)
{
    ws_text_append(out, "\"");
    for (; *text; text++) {
        if (strchr("\"\\$`", *text))
            ws_text_append(out, "\\");
        ws_text_append_bytes(out, *text == '\n' ? " " : text, 1);
    }
    ws_text_append(out, "\"");
}

void ws_plot_curve(ws_plot *plot, const char *title, const char *format, ...)
{
    va_list arguments;
    ws_text_append(&plot->curves, plot->curves.length ? ", \\\n     " : "plot ");
    va_start(arguments, format);
    ws_text_vappendf(&plot->curves, format, arguments);
    va_end(arguments);
    ws_text_append(&plot->curves, title ? " title " : " notitle");
    if (title)
        ws_plot_quote(&plot->curves, title);
}

static ws_err write_script(const ws_plot *plot, const char *path, const char *name)
{
    ws_text script = {0};
    ws_text_appendf(&script, "# gnuplot %s.gnuplot, in this folder, draws %s.svg.partial and %s.png.partial.\n", name,
                    name, name);
    ws_text_append(&script, ws_text_string(&plot->data));
    ws_text_appendf(
        &script,
        "set terminal svg noenhanced size %d,%d font 'DejaVu Sans,13' background '#ffffff'\n"
        "set output '%s.svg.partial'\n%s%s%s\n"
        "set terminal pngcairo noenhanced size %d,%d font 'DejaVu Sans,26' linewidth 2 background '#ffffff'\n"
        "set output '%s.png.partial'\nreplot\nset output\n",
        plot->width, plot->height, name, style, ws_text_string(&plot->settings), ws_text_string(&plot->curves),
        2 * plot->width, 2 * plot->height, name);
    ws_err error = plot->data.out_of_memory || plot->settings.out_of_memory || plot->curves.out_of_memory
                       ? WS_ERROR(MEMORY, "no memory for a figure")
                       : ws_text_check(&script);
    if (error == WS_OK)
        error = ws_file_write(path, script.data, script.length);
    ws_text_destroy(&script);
    return error;
}

/* Messages of gnuplot itself are not shown: whoever wants them runs the script. */
static ws_err run_gnuplot(const char *folder, const char *script)
{
    char *arguments[] = {"gnuplot", (char *)ws_path_base(script), NULL};
    posix_spawn_file_actions_t actions;
    pid_t child = -1;
    int status = 0, failed = posix_spawn_file_actions_init(&actions);
    WS_CHECK(failed == 0, MEMORY, "no memory to start gnuplot");
    failed = posix_spawn_file_actions_addchdir_np(&actions, folder);
    for (int descriptor = 0; descriptor < 3 && failed == 0; descriptor++)
        failed =
            posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", descriptor ? O_WRONLY : O_RDONLY, 0);
    if (failed == 0)
        failed = posix_spawnp(&child, "gnuplot", &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed == ENOENT) {
        ws_err error = WS_ERROR(UNSUPPORTED, "figures are drawn by gnuplot, which is not installed");
        WS_HINT("apt-get install gnuplot-nox; tables need none");
        return error;
    }
    WS_CHECK(failed == 0, IO, "gnuplot cannot be started: %s", strerror(failed));
    while (waitpid(child, &status, 0) < 0)
        WS_CHECK(errno == EINTR, IO, "gnuplot: %s", strerror(errno));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        ws_err error = WS_ERROR(IO, "gnuplot could not draw %s", script);
        WS_HINT("`gnuplot %s` in %s says why", ws_path_base(script), folder);
        return error;
    }
    return WS_OK;
}

static ws_err take(const char *folder, const char *name, const char *suffix, char **content)
{
    char *path = ws_format("%s/%s.%s", folder, name, suffix),
         *partial = ws_format("%s/%s.%s.partial", folder, name, suffix);
    size_t bytes;
    ws_err error = path && partial ? ws_file_rename(partial, path) : WS_ERROR(MEMORY, "no memory for a path");
    if (error == WS_OK && content)
        error = ws_file_read(path, content, &bytes);
    free(partial);
    free(path);
    return error;
}

ws_err ws_plot_draw(const ws_plot *plot, const char *folder, const char *name, char **svg)
{
    char *script = ws_format("%s/%s.gnuplot", folder, name);
    WS_CHECK(script, MEMORY, "no memory for a path");
    ws_err error = write_script(plot, script, name);
    if (error == WS_OK)
        error = run_gnuplot(folder, script);
    if (error == WS_OK)
        error = take(folder, name, "png", NULL);
    if (error == WS_OK)
        error = take(folder, name, "svg", svg);
    free(script);
    return error;
}

void ws_plot_destroy(ws_plot *plot)
{
    ws_text_destroy(&plot->data);
    ws_text_destroy(&plot->settings);
    ws_text_destroy(&plot->curves);
    *plot = (ws_plot){0};
}
