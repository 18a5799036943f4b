/* Linked into every program of a build under the address sanitizer, so that it reports what this project leaks and not what
 * libraries keep until exit. No module of ours has the names below, nor do we call vasprintf; libraries have no frame
 * pointers, so where one of them asks for memory, the names end at the first of its functions.
 */
#include <dlfcn.h>

extern const char *__lsan_default_suppressions(void);
extern const char *__lsan_default_options(void);

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

/* Components that are unloaded at the end of Open MPI have no names any more. */
int dlclose(void *handle)
{
    (void)handle;
    return 0;
}
