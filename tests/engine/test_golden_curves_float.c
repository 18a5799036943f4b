/* The curves of test_golden_curves.c in single precision, which the product trains in. */
#include "test_golden_curves.c"
