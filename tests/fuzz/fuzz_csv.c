/* libFuzzer: a flow table; the first byte chooses the family and what becomes of rows that are not finite. */
#include "fuzz/fuzz_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 1)
        return 0;
    fuzz_table(fuzz_file("", 0, data + 1, bytes - 1), bytes - 1, fuzz_family(data[0] & 127), data[0] & 128);
    return 0;
}
