/* A file without a name, reached by its owner's number and descriptor: the file itself, or nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "core/core.h"

static void is_opened_by_what_was_told(void **state)
{
    (void)state;
    char byte = 0;
    int own = memfd_create("one", MFD_CLOEXEC);
    assert_true(own >= 0);
    assert_int_equal(pwrite(own, "x", 1, 0), 1);
    ws_shared_file told = ws_shared_file_of(own);
    int here = ws_shared_file_open(&told, O_RDWR);
    assert_true(here >= 0);
    assert_int_equal(pread(here, &byte, 1, 0), 1);
    assert_int_equal(byte, 'x');
    close(here);
    close(own);
}

/* As in a container, where a process of the same number may have another file under the same descriptor. */
static void another_file_under_the_same_number_is_not_taken_for_it(void **state)
{
    (void)state;
    int own = memfd_create("one", MFD_CLOEXEC), other = memfd_create("other", MFD_CLOEXEC);
    assert_true(own >= 0 && other >= 0);
    ws_shared_file told = ws_shared_file_of(own);
    assert_int_equal(dup2(other, own), own);
    assert_int_equal(ws_shared_file_open(&told, O_RDWR), -1);
    close(own);
    assert_int_equal(ws_shared_file_open(&told, O_RDWR), -1);
    close(other);
}

static void none_is_none(void **state)
{
    (void)state;
    ws_shared_file told = ws_shared_file_of(-1);
    assert_int_equal(told.descriptor, -1);
    assert_int_equal(ws_shared_file_open(&told, O_RDONLY), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_opened_by_what_was_told),
        cmocka_unit_test(another_file_under_the_same_number_is_not_taken_for_it),
        cmocka_unit_test(none_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
