/* libFuzzer: pcapng behind a sound section header, in either byte order by the first byte. */
#include "fuzz/fuzz_capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint32_t section[7] = {0x0A0D0D0A, 28, 0x1A2B3C4D, 1, UINT32_MAX, UINT32_MAX, 28};
    if (bytes < 1)
        return 0;
    if (data[0] & 1) {
        for (int i = 0; i < 7; i++)
            section[i] = __builtin_bswap32(section[i]);
        section[3] = __builtin_bswap32(1u << 16);
    }
    fuzz_open_and_walk(fuzz_file(section, sizeof section, data + 1, bytes - 1));
    return 0;
}
