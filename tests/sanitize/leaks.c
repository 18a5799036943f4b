/* Linked into every program of a build under the address sanitizer, so that it reports what this project leaks and not what
 * libraries keep until exit: what MPI takes while it starts and opens a file is not looked at (by way of its profiling
 * interface), and for the rest there are names. No module of ours has one of them, nor do we call vasprintf; libraries have no
 * frame pointers, so where one of them asks for memory, the names end at the first of its functions.
 */
#include <dlfcn.h>
#include <mpi.h>
#include <pthread.h>
#include <sanitizer/lsan_interface.h>
#include <stdlib.h>
#include <string.h>

extern const char *__asan_default_options(void);
extern const char *__lsan_default_options(void);
extern int __lsan_is_turned_off(void);
extern const char *__lsan_default_suppressions(void);

/* Where the thread-local memory of a library that was loaded later lies is guessed from what is in front of it, sometimes wrongly, and
 * then the search for leaks ends the program. */
const char *__asan_default_options(void)
{
    return "intercept_tls_get_addr=0";
}

const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}

const char *__lsan_default_suppressions(void)
{
    return "leak:libmpi.so\n"
           "leak:libopen-pal.so\n"
           "leak:libopen-rte.so\n"
           "leak:libhwloc.so\n"
           "leak:libpmix.so\n"
           "leak:libevent\n"
           "leak:mca_\n" /* Open MPI's components */
           "leak:vasprintf\n";
}

/* The first of several ranks looks; it takes 0.2 s, and the others run the same code. */
int __lsan_is_turned_off(void)
{
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    return rank != NULL && strcmp(rank, "0") != 0;
}

/* Components that are unloaded at the end of Open MPI have no names any more. */
int dlclose(void *handle)
{
    (void)handle;
    return 0;
}

/* Threads of MPI's, which it starts while it starts itself. */
static int mpi_starts;

typedef struct thread_start {
    void *(*run)(void *);
    void *argument;
} thread_start;

static void *run_aside(void *context)
{
    const thread_start start = *(thread_start *)context;
    free(context);
    __lsan_disable();
    return start.run(start.argument);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
    int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    *(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
    thread_start *start = mpi_starts ? malloc(sizeof *start) : NULL;
    if (start == NULL)
        return next(thread, attributes, run, argument);
    *start = (thread_start){run, argument};
    return next(thread, attributes, run_aside, start);
}

/* Names cost 0.2 s at the end of a program; without leaks none are looked up. */
int MPI_Init_thread(int *argc, char ***argv, int required, int *provided)
{
    __lsan_disable();
    mpi_starts = 1;
    const int status = PMPI_Init_thread(argc, argv, required, provided);
    mpi_starts = 0;
    __lsan_enable();
    return status;
}

int MPI_File_open(MPI_Comm comm, const char *name, int mode, MPI_Info info, MPI_File *file)
{
    __lsan_disable();
    const int status = PMPI_File_open(comm, name, mode, info, file);
    __lsan_enable();
    return status;
}
