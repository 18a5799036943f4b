/* device_bench: what `wiresweep bench gpu` does, in a minimal build. Ends with 77 where there is no device. */
#include <stdio.h>

#include "models/models.h"

int main(void)
{
    ws_text out = {0};
    ws_err error = ws_bench_gpu(&out, false, 1);
    if (error == WS_OK)
        fputs(ws_text_string(&out), stdout);
    else
        fprintf(stderr, "%s\n", ws_error_message());
    ws_text_destroy(&out);
    return error == WS_OK ? 0 : error == WS_E_CUDA || error == WS_E_UNSUPPORTED ? 77 : 1;
}
