/* Writes capture files: classic pcap in both byte orders and both resolutions, and pcapng. */
#include <byteswap.h>
#include <errno.h>
#include "synthetic.h"

static const uint32_t link_numbers[LINK_COUNT] = {1, 101, 0, 108, 113, 276};

static uint32_t order32(const capture_file *file, uint32_t value)
{
    return file->options->swapped ? bswap_32(value) : value;
}

static uint16_t order16(const capture_file *file, uint16_t value)
{
    return file->options->swapped ? bswap_16(value) : value;
}

static ws_err put(capture_file *file, const void *bytes, size_t count)
{
    WS_CHECK(fwrite(bytes, 1, count, file->stream) == count, IO, "cannot write %s: %s", file->options->output,
             strerror(errno));
    return WS_OK;
}

static ws_err put_words(capture_file *file, const uint32_t *words, int count)
{
    for (int k = 0; k < count; k++) {
        uint32_t word = order32(file, words[k]);
        WS_TRY(put(file, &word, 4));
    }
    return WS_OK;
}

static ws_err put_halves(capture_file *file, uint16_t first, uint16_t second)
{
    const uint16_t halves[2] = {order16(file, first), order16(file, second)};
    return put(file, halves, 4);
}

/* Section header block and one interface description with its resolution. */
static ws_err begin_pcapng(capture_file *file)
{
    const synthetic_options *o = file->options;
    WS_TRY(put_words(file, (const uint32_t[]){0x0a0d0d0a, 28, 0x1a2b3c4d}, 3));
    WS_TRY(put_halves(file, 1, 0));
    WS_TRY(put_words(file, (const uint32_t[]){0xffffffff, 0xffffffff, 28}, 3));
    WS_TRY(put_words(file, (const uint32_t[]){1, 32}, 2));
    WS_TRY(put_halves(file, (uint16_t)link_numbers[o->link], 0));
    WS_TRY(put_words(file, (const uint32_t[]){(uint32_t)o->snap_length}, 1));
    WS_TRY(put_halves(file, 9, 1)); /* if_tsresol */
    WS_TRY(put(file, (const uint8_t[]){o->nanoseconds ? 9 : 6, 0, 0, 0}, 4));
    WS_TRY(put_halves(file, 0, 0)); /* end of options */
    return put_words(file, (const uint32_t[]){32}, 1);
}

ws_err capture_file_begin(capture_file *file)
{
    const synthetic_options *o = file->options;
    if (o->format == 1)
        return begin_pcapng(file);
    WS_TRY(put_words(file, (const uint32_t[]){o->nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4}, 1));
    WS_TRY(put_halves(file, 2, 4));
    return put_words(file, (const uint32_t[]){0, 0, (uint32_t)o->snap_length, link_numbers[o->link]}, 4);
}

/* An option of a packet, and the end of its options. */
static ws_err put_comment(capture_file *file, const char *comment, uint32_t length)
{
    WS_TRY(put_halves(file, 1, (uint16_t)length));
    WS_TRY(put(file, comment, length));
    WS_TRY(put(file, (const uint8_t[4]){0}, -length & 3));
    return put_halves(file, 0, 0);
}

ws_err capture_file_record(capture_file *file, int64_t time_ns, const uint8_t *frame, uint32_t length)
{
    const synthetic_options *o = file->options;
    uint32_t captured = length < (uint64_t)o->snap_length ? length : (uint32_t)o->snap_length;
    file->records++;
    if (o->format == 0) {
        uint32_t fraction = (uint32_t)(time_ns % 1000000000 / (o->nanoseconds ? 1 : 1000));
        WS_TRY(put_words(file, (const uint32_t[]){(uint32_t)(time_ns / 1000000000), fraction, captured, length}, 4));
        return put(file, frame, captured);
    }
    uint64_t time = (uint64_t)time_ns / (o->nanoseconds ? 1 : 1000);
    uint32_t padding = -captured & 3, total = 32 + captured + padding, noted = 0;
    char comment[64];
    if (o->comments) {
        const unsigned long long sample = (file->records - 1) / 16;
        noted = (uint32_t)snprintf(comment, sizeof comment, "%llu,%s", sample, sample % 3 == 0 ? "odd" : "common");
        total += 8 + noted + (-noted & 3);
    }
    WS_TRY(
        put_words(file, (const uint32_t[]){6, total, 0, (uint32_t)(time >> 32), (uint32_t)time, captured, length}, 7));
    WS_TRY(put(file, frame, captured));
    WS_TRY(put(file, (const uint8_t[4]){0}, padding));
    if (o->comments)
        WS_TRY(put_comment(file, comment, noted));
    return put_words(file, &total, 1);
}
