/* Wish to stop: SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 set a flag that long jobs look at at their safe points (F3). */
#ifndef WS_CORE_STOP_H
#define WS_CORE_STOP_H

#include <stdbool.h>

void ws_stop_install(void); /* call once, before MPI_Init takes its own signals */
bool ws_stop_requested(void);
void ws_stop_request(void); /* as if a signal had come (tests) */

#endif
