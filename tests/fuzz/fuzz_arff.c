/* libFuzzer: a table of declarations behind a relation's name, as one of the two families that have such; the first byte
 * chooses which, and whether a spreadsheet has numbered the lines.
 */
#include "fuzz/fuzz_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 1)
        return 0;
    const char *head = data[0] & 2 ? "id,\n0,@RELATION <x>,,\n" : "@RELATION <x>\n";
    const char *path = fuzz_file(head, strlen(head), data + 1, bytes - 1);
    fuzz_table(path, strlen(head) + bytes - 1, data[0] & 1 ? &ws_table_iscxvpn2016 : &ws_table_iscxtor2016, false);
    return 0;
}
