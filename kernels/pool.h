/* How many tokens of a row the pools see, for both back ends. */
#ifndef WS_KERNELS_POOL_H
#define WS_KERNELS_POOL_H

#include "scalar.h"

WS_HD int64_t ws_pool_tokens(const int32_t *length, int64_t b, int64_t T)
{
    if (!length)
        return T;
    return length[b] < 0 ? 0 : length[b] < T ? length[b] : T;
}

#endif
