/* Starting and stopping MPI, communicators, and MPI errors as ours. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cluster/cluster.h"

ws_err ws_mpi_raise(int status, const char *call, const char *file, int line, const char *function)
{
    char text[MPI_MAX_ERROR_STRING + 1] = "unknown error";
    int length = 0;
    if (MPI_Error_string(status, text, &length) != MPI_SUCCESS)
        snprintf(text, sizeof text, "error number %d", status);
    for (char *c = text; *c != '\0'; c++)
        if (*c == '\n')
            *c = ' ';
    int name_length = (int)strcspn(call, "(");
    return ws_error_raise(WS_E_MPI, file, line, function, "%.*s on %s: %s", name_length, call, ws_host_name(), text);
}

static int world_rank = -1; /* known after the start */

/* What Open MPI and PMI tell their processes, and last what Slurm tells those that it starts with or without MPI. */
static const char *const rank_names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};
enum { LAUNCHERS = sizeof rank_names / sizeof rank_names[0], MPI_LAUNCHERS = LAUNCHERS - 1 };

/* As the first `count` of them say; -1: none does. */
static int launcher_rank(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t rank = 0;
        const char *text = getenv(rank_names[i]);
        if (text != NULL && ws_parse_int64(text, &rank))
            return (int)rank;
    }
    return -1;
}

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool ws_variable_is_of_launcher(const char *variable)
{
    static const char *const of_step[] = {
        "PMIX_", "PMI_", "SLURM_STEP", "SLURM_PROCID=", "SLURM_LOCALID=", "SLURM_GTIDS=", "SLURM_TASK_PID="};
    for (size_t i = 0; i < sizeof of_step / sizeof of_step[0]; i++)
        if (begins(variable, of_step[i]))
            return true;
    if (begins(variable, "OMPI_MCA_"))
        return begins(variable, "OMPI_MCA_ess") || begins(variable, "OMPI_MCA_orte") ||
               begins(variable, "OMPI_MCA_pmix") || begins(variable, "OMPI_MCA_initial");
    return begins(variable, "OMPI_") && !begins(variable, "OMPI_ALLOW_RUN_AS_ROOT");
}

/* A process without a launcher is alone: Open MPI needs neither a daemon of its own nor a look at every network, which
 * would take most of a short subcommand's time. Settings of the user stay; ours go again, so that no child has them. */
static int initialise(int *argc, char ***argv, int *provided)
{
    static const char *const alone[][2] = {
        {"OMPI_MCA_ess_singleton_isolated", "1"},
        {"OMPI_MCA_orte_create_session_dirs", "0"}, /* such processes would share one */
        {"OMPI_MCA_pml", "ob1"},
        {"OMPI_MCA_btl", "self"}};
    enum { COUNT = sizeof alone / sizeof alone[0] };
    bool ours[COUNT] = {false};
    char *step = NULL;
    if (launcher_rank(MPI_LAUNCHERS) < 0) {
        for (size_t i = 0; i < COUNT; i++) {
            ours[i] = getenv(alone[i][0]) == NULL;
            setenv(alone[i][0], alone[i][1], 0);
        }
        /* In a step that srun started without MPI, Open MPI would insist on being told its ranks. */
        step = getenv("SLURM_STEP_ID") != NULL ? strdup(getenv("SLURM_STEP_ID")) : NULL;
        unsetenv("SLURM_STEP_ID");
    }
    int status = MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, provided);
    if (step != NULL)
        setenv("SLURM_STEP_ID", step, 1);
    free(step);
    for (size_t i = 0; i < COUNT; i++)
        if (ours[i])
            unsetenv(alone[i][0]);
    return status;
}

ws_err ws_cluster_start(int *argc, char ***argv, bool quiet, ws_comm *world)
{
    *world = ws_comm_self();
    ws_log_setup(quiet, 0, 1);
    int provided = 0;
    /* hwloc, which Open MPI asks about the machine, looks for X displays on ten ports of localhost; where that name is
     * not known, as in a bare chroot, every program would start ten seconds late. */
    setenv("HWLOC_COMPONENTS", "-gl", 0);
    WS_MPI(initialise(argc, argv, &provided));
    /* From here on every call reports; before it MPI ends the process by itself. */
    WS_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
    WS_MPI(MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN));
    WS_CHECK(provided >= MPI_THREAD_FUNNELED, MPI, "%s was built without thread support", ws_mpi_library());
    world->mpi = MPI_COMM_WORLD;
    WS_MPI(MPI_Comm_rank(MPI_COMM_WORLD, &world->rank));
    WS_MPI(MPI_Comm_size(MPI_COMM_WORLD, &world->size));
    world_rank = world->rank;
    ws_log_setup(quiet, world->rank, world->size);
    return WS_OK;
}

void ws_cluster_stop(void)
{
    int started = 0, finished = 0;
    MPI_Initialized(&started);
    MPI_Finalized(&finished);
    if (started && !finished)
        MPI_Finalize();
}

bool ws_is_first_rank(void)
{
    return (world_rank >= 0 ? world_rank : launcher_rank(LAUNCHERS)) <= 0;
}

ws_comm ws_comm_self(void)
{
    return (ws_comm){.mpi = MPI_COMM_SELF, .rank = 0, .size = 1};
}

static ws_err describe(MPI_Comm mpi, ws_comm *out)
{
    ws_comm part = {.mpi = mpi, .rank = 0, .size = 1};
    WS_MPI(MPI_Comm_set_errhandler(part.mpi, MPI_ERRORS_RETURN));
    WS_MPI(MPI_Comm_rank(part.mpi, &part.rank));
    WS_MPI(MPI_Comm_size(part.mpi, &part.size));
    *out = part;
    return WS_OK;
}

ws_err ws_comm_split_all(const ws_comm *comm, int color, ws_comm *out)
{
    MPI_Comm part = MPI_COMM_NULL;
    *out = ws_comm_self();
    if (comm->size == 1)
        return WS_OK;
    WS_MPI(MPI_Comm_split(comm->mpi, color, comm->rank, &part));
    return describe(part, out);
}

ws_err ws_comm_machine_all(const ws_comm *comm, ws_comm *out)
{
    MPI_Comm machine = MPI_COMM_NULL;
    *out = ws_comm_self();
    if (comm->size == 1)
        return WS_OK;
    WS_MPI(MPI_Comm_split_type(comm->mpi, MPI_COMM_TYPE_SHARED, comm->rank, MPI_INFO_NULL, &machine));
    return describe(machine, out);
}

ws_err ws_local_rank_all(const ws_comm *comm, int *local_rank, int *local_size)
{
    ws_comm machine;
    WS_TRY(ws_comm_machine_all(comm, &machine));
    *local_rank = machine.rank;
    *local_size = machine.size;
    ws_comm_destroy(&machine);
    return WS_OK;
}

void ws_comm_destroy(ws_comm *comm)
{
    if (comm == NULL)
        return;
    if (comm->mpi != MPI_COMM_NULL && comm->mpi != MPI_COMM_WORLD && comm->mpi != MPI_COMM_SELF)
        MPI_Comm_free(&comm->mpi);
    *comm = ws_comm_self();
}

const char *ws_host_name(void)
{
    static char name[256];
    if (name[0] == '\0' && (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0'))
        snprintf(name, sizeof name, "unknown-host");
    return name;
}

const char *ws_mpi_library(void)
{
    static char name[MPI_MAX_LIBRARY_VERSION_STRING + 1];
    int length = 0;
    if (name[0] == '\0' && MPI_Get_library_version(name, &length) != MPI_SUCCESS)
        snprintf(name, sizeof name, "unknown MPI");
    /* Open MPI: "Open MPI v4.1.4, package: ..., ident: ..."; MPICH: lines of "MPICH Version: ...". The first item says
     * it. */
    name[strcspn(name, ",\n")] = '\0';
    return name;
}
