/* libFuzzer: any file, compressed ones above all (seeds are whole files of every kind). */
#include "fuzz/fuzz_capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    fuzz_open_and_walk(fuzz_file("", 0, data, bytes));
    return 0;
}
