/* The stop flag and the signals that set it. */
#include "stop.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t requested;

static void on_signal(int signal_number)
{
    (void)signal_number;
    requested = 1;
}

void ws_stop_install(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    static const int signals[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
}

bool ws_stop_requested(void)
{
    return requested != 0;
}

void ws_stop_request(void)
{
    requested = 1;
}
