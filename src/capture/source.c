/* A compressed file from its first member to its last: see source.h. Members and frames that follow each other are one
 * content; zeros between and behind them are padding.
 *
 * A member that is damaged, cut off or has no head gives what can be decoded of it, and what is missing is a break. Behind a
 * break the content goes on at the next head from which a member can be decoded to its end, with a head, padding or the
 * file's end behind it, or from which a good part can be (a file that was stored in the damaged member must not be taken for
 * a member). So what is read is a pure function of the file. A damaged gzip member is decoded by zlib, whatever library is
 * quicker, and its place in the file is that of its head.
 */
#include "capture/source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SOURCE_INPUT = 256 << 10,
    TRIAL_BYTES = 1 << 20, /* of content: proof enough that a member begins */
    TRIAL_STEP = 64 << 10,
};

struct ws_source {
    ws_compression kind;
    const char *path;
    int file;
    uint64_t stored_bytes, fetched; /* fetched: read from the file */
    uint8_t *input;
    size_t input_at, input_bytes;
    ws_decoder *decoder;
    bool in_member, ended;
    uint64_t member_begin, member_made; /* where the member lies in the file, what it gave */
    uint64_t repeated;                  /* of the member's content, given already: not to be given again */
    bool careful;                       /* the member is decoded by the library that has the last word */
    ws_ahead *ahead;                    /* NULL without threads */
    const ws_ahead_piece *piece;        /* being given */
    size_t piece_at;
};

ws_err ws_source_create(ws_source **out, ws_compression kind, const char *path, int file, uint64_t stored_bytes,
                        int threads)
{
    ws_source *s;
    WS_TRY(WS_NEW(s));
    *out = s;
    s->kind = kind;
    s->path = path;
    s->file = file;
    s->stored_bytes = stored_bytes;
    WS_TRY(WS_NEW_ARRAY(s->input, SOURCE_INPUT));
    WS_TRY(ws_decoder_create(&s->decoder, kind));
    if (threads > 0)
        WS_TRY(ws_ahead_create(&s->ahead, kind, path, file, stored_bytes, threads));
    return WS_OK;
}

void ws_source_destroy(ws_source **source)
{
    if (*source == NULL)
        return;
    ws_ahead_destroy(&(*source)->ahead);
    ws_decoder_destroy(&(*source)->decoder);
    free((*source)->input);
    free(*source);
    *source = NULL;
}

uint64_t ws_source_position(const ws_source *s)
{
    return s->fetched - (s->input_bytes - s->input_at);
}

/* ---------------------------------------------------------------- input */
ws_err ws_source_fetch(const char *path, int file, uint64_t at, void *out, size_t bytes, uint64_t stored_bytes)
{
    uint8_t *to = out;
    while (bytes > 0) {
        ssize_t got = pread(file, to, bytes, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        WS_CHECK(got >= 0, IO, "%s: cannot read at byte %" PRIu64 ": %s", path, at, strerror(errno));
        WS_CHECK(got > 0, IO, "%s: ends at byte %" PRIu64 ", but had %" PRIu64 " bytes when it was opened", path, at,
                 stored_bytes);
        to += got;
        at += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return WS_OK;
}

/* More compressed bytes behind those that are there. */
static ws_err fetch(ws_source *s)
{
    memmove(s->input, s->input + s->input_at, s->input_bytes - s->input_at);
    s->input_bytes -= s->input_at;
    s->input_at = 0;
    const uint64_t left = s->stored_bytes - s->fetched;
    const size_t room = SOURCE_INPUT - s->input_bytes, wanted = room < left ? room : (size_t)left;
    WS_TRY(ws_source_fetch(s->path, s->file, s->fetched, s->input + s->input_bytes, wanted, s->stored_bytes));
    s->input_bytes += wanted;
    s->fetched += wanted;
    return WS_OK;
}

static ws_err want_input(ws_source *s, size_t bytes)
{
    return s->input_bytes - s->input_at < bytes && s->fetched < s->stored_bytes ? fetch(s) : WS_OK;
}

static void go_to(ws_source *s, uint64_t offset)
{
    const uint64_t begin = s->fetched - s->input_bytes;
    if (offset >= begin && offset <= s->fetched) {
        s->input_at = (size_t)(offset - begin);
        return;
    }
    s->fetched = offset;
    s->input_at = s->input_bytes = 0;
}

/* Behind zeros; *end: the file ends with them. */
static ws_err skip_padding(ws_source *s, bool *end)
{
    for (;;) {
        WS_TRY(want_input(s, WS_MEMBER_HEAD));
        *end = s->input_at == s->input_bytes;
        if (*end || s->input[s->input_at] != 0)
            return WS_OK;
        s->input_at++;
    }
}

static bool at_head(const ws_source *s)
{
    return ws_member_may_begin(s->kind, s->input + s->input_at, s->input_bytes - s->input_at);
}

/* ---------------------------------------------------------------- behind damage */
/* Decodes from `offset` on for nothing but to see whether a member begins there. */
static ws_err try_member(ws_source *s, ws_decoder *decoder, uint8_t *scratch, uint64_t offset, bool *is_member)
{
    uint64_t made = 0;
    ws_decoded did = {0};
    *is_member = false;
    go_to(s, offset);
    WS_TRY(ws_decoder_begin(decoder, true));
    while (!did.member_ended && made < TRIAL_BYTES) {
        WS_TRY(want_input(s, 1));
        did = ws_decoder_run(decoder, s->input + s->input_at, s->input_bytes - s->input_at, scratch, TRIAL_STEP);
        s->input_at += did.taken;
        made += did.made;
        if (did.fault != NULL)
            return WS_OK;
        if (did.taken + did.made == 0 && !did.member_ended) {
            *is_member = s->input_at == s->input_bytes && s->fetched == s->stored_bytes; /* cut off by the file's end */
            return WS_OK;
        }
    }
    bool end = false;
    if (did.member_ended)
        WS_TRY(skip_padding(s, &end));
    *is_member = !did.member_ended || end || at_head(s);
    return WS_OK;
}

/* The first member that begins at or behind `offset`; stored_bytes: none. The source is there then. */
static ws_err find_member(ws_source *s, ws_decoder *decoder, uint8_t *scratch, uint64_t offset, uint64_t *found)
{
    for (;;) {
        go_to(s, offset);
        WS_TRY(want_input(s, SOURCE_INPUT));
        const size_t left = s->input_bytes - s->input_at;
        const size_t at = ws_member_find(s->kind, s->input + s->input_at, left, 0);
        bool is_member = false;
        if (at == SIZE_MAX && s->fetched == s->stored_bytes) {
            *found = s->stored_bytes;
            go_to(s, *found);
            return WS_OK;
        }
        offset += at == SIZE_MAX ? left - (WS_MEMBER_HEAD - 1) : at;
        if (at == SIZE_MAX)
            continue;
        WS_TRY(try_member(s, decoder, scratch, offset, &is_member));
        if (is_member) {
            *found = offset;
            go_to(s, offset);
            return WS_OK;
        }
        offset++;
    }
}

/* The content is missing from the compressed byte `begin` on; where it goes on. */
static ws_err break_off(ws_source *s, uint64_t begin, const char *reason, ws_source_step *step)
{
    uint8_t *scratch = NULL;
    ws_decoder *decoder = NULL;
    uint64_t found = s->stored_bytes;
    ws_err error = WS_NEW_ARRAY(scratch, TRIAL_STEP);
    if (error == WS_OK)
        error = ws_decoder_create(&decoder, s->kind);
    if (error == WS_OK)
        error = find_member(s, decoder, scratch, begin + 1, &found);
    ws_decoder_destroy(&decoder);
    free(scratch);
    WS_TRY(error);
    step->broken = reason;
    step->lost_begin = begin;
    step->lost_end = found;
    s->in_member = false;
    s->ended = found == s->stored_bytes;
    return WS_OK;
}

/* ---------------------------------------------------------------- members */
static ws_err begin_member(ws_source *s, bool careful)
{
    WS_TRY(ws_decoder_begin(s->decoder, careful));
    s->in_member = true;
    s->careful = careful;
    s->member_made = 0;
    return WS_OK;
}

/* Between members: the next one, padding of zeros, or the end. */
static ws_err next_member(ws_source *s, ws_source_step *step)
{
    WS_TRY(skip_padding(s, &s->ended));
    if (s->ended)
        return WS_OK;
    const uint64_t offset = ws_source_position(s);
    if (!at_head(s)) {
        WS_TRY(break_off(s, offset, "bytes of no meaning follow the compressed data", step));
        return WS_OK;
    }
    if (s->ahead != NULL)
        WS_TRY(ws_ahead_take(s->ahead, offset, &s->piece));
    if (s->piece != NULL) {
        s->piece_at = 0;
        return WS_OK;
    }
    s->member_begin = offset;
    s->repeated = 0;
    WS_TRY(begin_member(s, false));
    return WS_OK;
}

static size_t give_piece(ws_source *s, uint8_t *out, size_t room)
{
    const size_t left = s->piece->bytes - s->piece_at, bytes = left < room ? left : room;
    if (bytes > 0)
        memcpy(out, s->piece->content + s->piece_at, bytes);
    s->piece_at += bytes;
    if (s->piece_at == s->piece->bytes) {
        go_to(s, s->piece->end);
        s->piece = NULL;
    }
    return bytes;
}

/* The member cannot be decoded further. */
static ws_err member_fails(ws_source *s, const char *reason, ws_source_step *step)
{
    if (!s->careful && s->kind == WS_COMPRESSION_gzip) { /* once more from its head */
        s->repeated = s->member_made;
        go_to(s, s->member_begin);
        WS_TRY(begin_member(s, true));
        return WS_OK;
    }
    WS_TRY(break_off(s, s->member_begin, reason, step));
    return WS_OK;
}

static ws_err decode(ws_source *s, uint8_t *out, size_t room, ws_source_step *step)
{
    WS_TRY(want_input(s, 1));
    const ws_decoded did = ws_decoder_run(s->decoder, s->input + s->input_at, s->input_bytes - s->input_at, out, room);
    s->input_at += did.taken;
    const uint64_t old = s->repeated > s->member_made ? s->repeated - s->member_made : 0;
    const size_t skipped = old < did.made ? (size_t)old : did.made;
    if (skipped > 0)
        memmove(out, out + skipped, did.made - skipped);
    s->member_made += did.made;
    step->made += did.made - skipped;
    if (did.fault != NULL)
        WS_TRY(member_fails(s, did.fault, step));
    else if (did.member_ended)
        s->in_member = false;
    else if (did.made == 0 && did.taken == 0)
        WS_TRY(member_fails(
            s, s->input_at == s->input_bytes ? "the compressed data is cut off" : "the compressed data leads nowhere",
            step));
    return WS_OK;
}

ws_err ws_source_read(ws_source *s, uint8_t *out, size_t room, ws_source_step *step)
{
    *step = (ws_source_step){0};
    while (step->made < room && step->broken == NULL && !s->ended) {
        if (s->piece != NULL)
            step->made += give_piece(s, out + step->made, room - step->made);
        else if (s->in_member)
            WS_TRY(decode(s, out + step->made, room - step->made, step));
        else
            WS_TRY(next_member(s, step));
    }
    step->ended = s->ended;
    return WS_OK;
}
