/* core: what every room uses. No MPI, no HDF5. */
#ifndef WS_CORE_H
#define WS_CORE_H

#include "bench.h"
#include "energy.h"
#include "error.h"
#include "fixed_math.h"
#include "hash.h"
#include "json.h"
#include "log.h"
#include "machine.h"
#include "memory.h"
#include "option.h"
#include "random.h"
#include "stop.h"
#include "text.h"

#endif
