/* What both back ends agree on about dropout: which random word belongs to which element of a row. Elements are taken in tiles of
 * 4 * WS_DROPOUT_LANES; word w of block tile * WS_DROPOUT_LANES + lane decides on element w * WS_DROPOUT_LANES + lane of
 * the tile, so that neighbours come from neighbouring blocks, which are made side by side. */
#ifndef WS_KERNELS_DROPOUT_H
#define WS_KERNELS_DROPOUT_H

#include "core/philox.h"
#include "core/random.h"
#include "scalar.h"

enum { WS_DROPOUT_LANES = 16, WS_DROPOUT_TILE = 4 * WS_DROPOUT_LANES };

/* Words below it drop their element. */
WS_HD uint32_t ws_dropout_threshold(double rate)
{
    return (uint32_t)(rate * 4294967296.0);
}

WS_HD ws_real ws_dropout_scale(double rate)
{
    return (ws_real)(1 / (1 - rate));
}

#endif
