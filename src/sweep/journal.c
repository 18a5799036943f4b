/* Journal: one append-only file a worker, one line an event. The supervisor flushes lines to the disk (fdatasync) before it waits
 * for the next event: a killed supervisor loses none, a power failure at most those of the events it was just writing down. For
 * people and for later questions; what is true of a trial is its record, of which src/sweep/sweep.h tells what protects it. */
#include "sweep/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/storage.h"

/* A killed writer may have left half a line: it is ended, so that the next event stands on a line of its own. */
static ws_err end_torn_line(int file, const char *path)
{
    struct stat info;
    char last = '\n';
    WS_CHECK(fstat(file, &info) == 0, IO, "%s: %s", path, strerror(errno));
    if (info.st_size > 0 && pread(file, &last, 1, info.st_size - 1) == 1 && last != '\n')
        WS_CHECK(write(file, "\n", 1) == 1, IO, "%s: cannot be written: %s", path, strerror(errno));
    return WS_OK;
}

ws_err ws_journal_open(ws_journal *out, const char *directory, int worker)
{
    char *path = ws_format("%s/journal/%s.%d.jsonl", directory, ws_node_name(), worker);
    WS_CHECK(path, MEMORY, "no memory for a path");
    out->unflushed = false;
    out->file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    ws_err error = out->file >= 0 ? end_torn_line(out->file, path)
                                  : WS_ERROR(IO, "%s: cannot be opened: %s", path, strerror(errno));
    free(path);
    return error;
}

void ws_journal_close(ws_journal *journal)
{
    if (journal->file >= 0) {
        fdatasync(journal->file);
        close(journal->file);
    }
    *journal = (ws_journal){.file = -1};
}

ws_err ws_journal_write(ws_journal *journal, const char *event, const char *id, cJSON *details)
{
    cJSON *line = details ? details : cJSON_CreateObject();
    ws_text text = {0};
    char now[32];
    ws_time_text(now);
    bool made = line && cJSON_AddStringToObject(line, "event", event) && cJSON_AddStringToObject(line, "id", id) &&
                cJSON_AddStringToObject(line, "time", now);
    ws_err error = made ? ws_json_canonical(line, &text) : WS_ERROR(MEMORY, "no memory for a line of the journal");
    cJSON_Delete(line);
    ws_text_append(&text, "\n");
    if (error == WS_OK)
        error = ws_text_check(&text);
    if (error == WS_OK && write(journal->file, text.data, text.length) != (ssize_t)text.length)
        error = WS_ERROR(IO, "the sweep's journal cannot be written: %s", strerror(errno));
    journal->unflushed = true;
    ws_text_destroy(&text);
    return error;
}

ws_err ws_journal_flush(ws_journal *journal)
{
    WS_CHECK(!journal->unflushed || fdatasync(journal->file) == 0, IO, "the sweep's journal cannot be written: %s",
             strerror(errno));
    journal->unflushed = false;
    return WS_OK;
}
