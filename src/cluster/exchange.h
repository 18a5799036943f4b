/* Messages of any size on their way, for exchange.c and parcels.c. */
#ifndef WS_CLUSTER_EXCHANGE_H
#define WS_CLUSTER_EXCHANGE_H

#include "cluster/cluster.h"

typedef struct ws_exchange {
    MPI_Request *requests;
    size_t count, capacity;
    size_t pushed; /* requests before this one are done */
} ws_exchange;

size_t ws_exchange_messages(size_t bytes); /* that so many bytes go in */
/* There is room for so many messages more. Posting needs it, and cannot run out of memory then. */
WS_MUST ws_err ws_exchange_reserve(ws_exchange *exchange, size_t messages);
/* To or from a rank; both sides cut the same amount into the same messages, and messages of a pair arrive in order. */
WS_MUST ws_err ws_exchange_post(ws_exchange *exchange, const ws_comm *comm, void *bytes, size_t count, int rank,
                                bool sends);
void ws_exchange_push(ws_exchange *exchange); /* from time to time: MPI moves messages only while it is called */
WS_MUST ws_err ws_exchange_end(ws_exchange *exchange); /* all has come and gone */
void ws_exchange_close(ws_exchange *exchange);         /* waits for what is on its way, whatever came of it */

#endif
