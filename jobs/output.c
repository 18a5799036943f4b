/* Where a subcommand's result goes: the file of -o, or standard output without it or with `-o -`. */
#include <errno.h>
#include <stdio.h>
#include "jobs/job.h"
#include "storage/storage.h"

const char *ws_job_output_file(const char *output)
{
    return output != NULL && strcmp(output, "-") != 0 ? output : NULL;
}

ws_err ws_job_check_output(const char *output)
{
    return ws_job_output_file(output) != NULL ? ws_output_check(output, WS_OUTPUT_TEXT) : WS_OK;
}

ws_err ws_job_write_output(const char *output, const ws_text *text)
{
    WS_TRY(ws_text_check(text));
    if (ws_job_output_file(output) != NULL)
        return ws_file_write(output, ws_text_string(text), text->length);
    const bool written = fwrite(ws_text_string(text), 1, text->length, stdout) == text->length && fflush(stdout) == 0;
    WS_CHECK(written, IO, "cannot write to standard output: %s", strerror(errno));
    return WS_OK;
}

ws_err ws_job_check_folder(const char *output, const char *what)
{
    if (output == NULL || strcmp(output, "-") != 0)
        return WS_OK;
    ws_err error = WS_ERROR(ARGUMENT, "-o -: %s is a folder and cannot go to standard output", what);
    WS_HINT("name a folder; one called - is ./-");
    return error;
}
