/* main() of a test program that runs under mpirun: every rank runs all tests, any rank's failure ends them all. */
#ifndef WS_TESTS_CLUSTER_MPI_MAIN_H
#define WS_TESTS_CLUSTER_MPI_MAIN_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "cluster/cluster.h"

static ws_comm world;

#define WS_MPI_TEST_MAIN(tests)                                                                                        \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        if (ws_cluster_start(&argc, &argv, true, &world) != WS_OK) {                                                   \
            ws_error_print(WS_E_MPI, true);                                                                            \
            return 1;                                                                                                  \
        }                                                                                                              \
        int failed = cmocka_run_group_tests(tests, NULL, NULL);                                                        \
        if (failed > 0)                                                                                                \
            MPI_Abort(MPI_COMM_WORLD, 1); /* the others may wait for this rank in the test it left */                  \
        ws_cluster_stop();                                                                                             \
        return 0;                                                                                                      \
    }

#endif
