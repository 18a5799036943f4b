/* libFuzzer: snoop behind a sound file header, of a link type by the first byte, or ERF, which has none. */
#include "fuzz/fuzz_capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const uint8_t link_types[] = {4, 0, 2, 8, 18, 99};
    uint8_t snoop[16] = {'s', 'n', 'o', 'o', 'p', 0, 0, 0, 0, 0, 0, 2};
    if (bytes < 1)
        return 0;
    snoop[15] = link_types[data[0] / 2 % sizeof link_types];
    fuzz_open_and_walk(fuzz_file(snoop, data[0] & 1 ? 0 : sizeof snoop, data + 1, bytes - 1));
    return 0;
}
