/* What the options of models say of a value in a configuration, in a build that reads none. */
#include <stdio.h>
#include "core/core.h"

void ws_json_position(const ws_json *document, const cJSON *value, char out[512])
{
    (void)document, (void)value;
    snprintf(out, 512, "the options");
}
