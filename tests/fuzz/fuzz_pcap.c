/* libFuzzer: classic pcap, from the byte behind the magic on; the first byte chooses the variant and the byte order. Records
 * found from the middle of the file are records of the whole walk or nothing.
 */
#include "fuzz/fuzz_capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const uint32_t magics[] = {0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34, 0x1c0001ac};
    if (bytes < 3)
        return 0;
    uint32_t magic = magics[data[0] & 3];
    magic = data[0] & 4 ? __builtin_bswap32(magic) : magic;
    const char *path = fuzz_file(&magic, sizeof magic, data + 3, bytes - 3);
    ws_capture capture;
    if (ws_capture_open(&capture, path) != WS_OK)
        return 0;
    fuzz_walk(&capture);
    uint64_t found;
    const uint64_t from = ((uint64_t)data[1] << 8 | data[2]) * (capture.bytes + 9) >> 16;
    FUZZ_CHECK(ws_capture_resync(&capture, from, &found) == WS_OK);
    FUZZ_CHECK(found <= capture.bytes);
    ws_capture_close(&capture);
    return 0;
}
