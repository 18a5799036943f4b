/* split_capture: cuts a classic pcap of this machine's byte order into files of so many records each, as `tcpdump -C` and `-G`
 * rotate them: FOLDER/NAME-000.pcap and so on. For tests of captures that are joined again; uses nothing of the program.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_HEADER = 24, RECORD_HEADER = 16, RECORD_MOST = 1 << 20 };

static FILE *open_part(const char *folder, const char *name, unsigned number, const uint8_t *header)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s-%03u.pcap", folder, name, number);
    FILE *part = fopen(path, "wb");
    if (part != NULL)
        fwrite(header, FILE_HEADER, 1, part);
    return part;
}

static int split(FILE *from, const char *folder, const char *name, unsigned long records)
{
    static uint8_t record[RECORD_HEADER + RECORD_MOST];
    uint8_t header[FILE_HEADER];
    FILE *part = NULL;
    unsigned number = 0;
    int status = fread(header, sizeof header, 1, from) == 1 ? 0 : 1;
    for (unsigned long done = 0; status == 0 && fread(record, RECORD_HEADER, 1, from) == 1; done++) {
        uint32_t captured;
        memcpy(&captured, record + 8, sizeof captured);
        if (captured > RECORD_MOST || fread(record + RECORD_HEADER, captured, 1, from) != 1)
            return 1;
        if (done % records == 0) {
            if (part != NULL && fclose(part) != 0)
                return 1;
            part = open_part(folder, name, number++, header);
        }
        if (part == NULL || fwrite(record, RECORD_HEADER + captured, 1, part) != 1)
            return 1;
    }
    return part == NULL || fclose(part) != 0 ? 1 : status;
}

int main(int count, char **arguments)
{
    const unsigned long records = count == 5 ? strtoul(arguments[4], NULL, 10) : 0;
    FILE *from = records > 0 ? fopen(arguments[1], "rb") : NULL;
    if (from == NULL) {
        fprintf(stderr, "usage: %s FILE.pcap FOLDER NAME RECORDS\n", arguments[0]);
        return 2;
    }
    const int status = split(from, arguments[2], arguments[3], records);
    fclose(from);
    if (status != 0)
        fprintf(stderr, "%s: %s cannot be cut\n", arguments[0], arguments[1]);
    return status;
}
