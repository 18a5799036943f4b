/* Core: errors, memory, text, hashes, random numbers, logarithms. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"

static ws_err inner(bool fail)
{
    WS_CHECK(!fail, FORMAT, "%s: byte %d is wrong", "file.pcap", 7);
    return WS_OK;
}

static ws_err outer(bool fail)
{
    WS_TRY(inner(fail));
    return WS_OK;
}

static void errors_carry_message_hint_and_trace(void **state)
{
    (void)state;
    assert_int_equal(outer(false), WS_OK);
    ws_err error = outer(true);
    assert_int_equal(error, WS_E_FORMAT);
    assert_string_equal(ws_error_message(), "file.pcap: byte 7 is wrong");
    assert_string_equal(ws_error_hint(), "");
    WS_HINT("cut it at %d", 7);
    assert_string_equal(ws_error_hint(), "cut it at 7");
    const char *first = strstr(ws_error_trace(), " inner\n"), *second = strstr(ws_error_trace(), " outer\n");
    assert_true(first && second && first < second);
    assert_int_equal(ws_error_exit_status(error), 1);
    assert_int_equal(ws_error_exit_status(WS_E_CONFIG), 2);
    assert_int_equal(ws_error_exit_status(WS_E_PARTIAL), 3);
    assert_int_equal(ws_error_exit_status(WS_E_INTERRUPTED), 75);
    error = WS_ERROR(IO, "again: %s", ws_error_message()); /* an argument may be the old message */
    assert_string_equal(ws_error_message(), "again: file.pcap: byte 7 is wrong");
    assert_string_equal(ws_error_hint(), "");
    assert_int_equal(error, WS_E_IO);
}

static void kept_errors_are_told_later(void **state)
{
    (void)state;
    ws_kept_error kept = {0};
    ws_error_keep(&kept, WS_OK);
    assert_int_equal(ws_error_tell(&kept), WS_OK);
    ws_err error = outer(true);
    WS_HINT("cut it at %d", 7);
    ws_error_keep(&kept, error);
    ws_error_keep(&kept, WS_ERROR(IO, "what came of it"));
    ws_error_keep(&kept, WS_OK);
    ws_error_clear();
    assert_int_equal(ws_error_tell(&kept), WS_E_FORMAT);
    assert_string_equal(ws_error_message(), "file.pcap: byte 7 is wrong");
    assert_string_equal(ws_error_hint(), "cut it at 7");
    assert_non_null(strstr(ws_error_trace(), " outer\n"));
    ws_error_clear();
    assert_int_equal(ws_error_tell(&kept), WS_OK);
    assert_string_equal(ws_error_message(), "");
    ws_error_keep(&kept, WS_ERROR(IO, "nobody asks"));
    ws_error_forget(&kept);
    assert_int_equal(ws_error_tell(&kept), WS_OK);
}

static void allocation_refuses_overflow(void **state)
{
    (void)state;
    void *memory;
    assert_int_equal(ws_alloc(&memory, SIZE_MAX / 2, 4), WS_E_MEMORY);
    assert_null(memory);
    assert_int_equal(ws_alloc(&memory, SIZE_MAX - 1, 1), WS_E_MEMORY);
    int *array = NULL;
    size_t capacity = 0;
    assert_int_equal(WS_GROW(array, capacity, SIZE_MAX / 2), WS_E_MEMORY);
    for (size_t i = 0; i < 10000; i++) {
        assert_int_equal(WS_GROW(array, capacity, i + 1), WS_OK);
        array[i] = (int)i;
    }
    for (int i = 0; i < 10000; i++)
        assert_int_equal(array[i], i);
    free(array);
}

static void arenas_give_separate_zeroed_memory(void **state)
{
    (void)state;
    ws_arena *arena;
    assert_int_equal(ws_arena_create(&arena, 5000), WS_OK);
    for (int round = 0; round < 3; round++) {
        unsigned char *parts[200];
        for (int i = 0; i < 200; i++) {
            const size_t size = (size_t)(i * 37 % 9000) + 1;
            assert_int_equal(ws_arena_alloc(arena, &parts[i], size, 1), WS_OK);
            assert_int_equal((uintptr_t)parts[i] % 64, 0);
            for (size_t k = 0; k < size; k++)
                assert_int_equal(parts[i][k], 0);
            memset(parts[i], i + 1, size);
        }
        for (int i = 0; i < 200; i++)
            assert_int_equal(parts[i][i * 37 % 9000], i + 1);
        ws_arena_reset(arena);
    }
    assert_string_equal(ws_arena_strdup(arena, "name"), "name");
    ws_arena_destroy(&arena);
    assert_null(arena);
    ws_arena_destroy(&arena);
}

static void large_arenas_give_zeroed_memory_again(void **state)
{
    (void)state;
    const size_t sizes[][2] = {{9 << 20, 100}, {5 << 20, 6 << 20}, {100, 12 << 20}, {8 << 20, 4 << 20}};
    ws_arena *arena;
    assert_int_equal(ws_arena_create(&arena, 8 << 20), WS_OK);
    for (int round = 0; round < 4; round++) {
        unsigned char *parts[2];
        for (int i = 0; i < 2; i++) {
            const size_t size = sizes[round][i];
            assert_int_equal(ws_arena_alloc(arena, &parts[i], size, 1), WS_OK);
            assert_int_equal((uintptr_t)parts[i] % 64, 0);
            assert_int_equal(parts[i][0], 0);
            assert_memory_equal(parts[i], parts[i] + 1, size - 1);
            memset(parts[i], i + 1, size);
        }
        assert_int_equal(parts[0][sizes[round][0] - 1], 1);
        ws_arena_reset(arena);
    }
    ws_arena_destroy(&arena);
}

static void numbers_read_back_as_written(void **state)
{
    (void)state;
    static const double values[] = {
        0.1, 1e-6, 20000, 1.0 / 3, 5e-324, 1.7976931348623157e308, -0.25, 1e15, 123456789012345.0};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[32];
        double back;
        ws_format_double(values[i], text);
        assert_true(ws_parse_double(text, &back) && back == values[i]);
    }
    char text[32];
    ws_format_double(0.1, text);
    assert_string_equal(text, "0.1");
    ws_format_double(20000, text);
    assert_string_equal(text, "20000");
    ws_format_double(-0.0, text);
    assert_string_equal(text, "0");
    int64_t integer;
    double real;
    assert_true(ws_parse_int64("-9223372036854775808", &integer) && integer == INT64_MIN);
    static const char *const bad[] = {"", " 1", "1 ", "1x", "9223372036854775808", "0x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ws_parse_int64(bad[i], &integer));
    assert_false(ws_parse_double("1e400", &real));
    assert_false(ws_parse_double("nan", &real));
    assert_false(ws_parse_double("inf", &real));
}

static void paths_and_names(void **state)
{
    (void)state;
    static const char *const cases[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"a", "/b", "/b"}};
    for (size_t i = 0; i < 4; i++) {
        char *joined = ws_path_join(cases[i][0], cases[i][1]);
        assert_string_equal(joined, cases[i][2]);
        free(joined);
    }
    static const char *const directories[][2] = {{"a/b/c", "a/b"}, {"c", "."}, {"/c", "/"}};
    for (size_t i = 0; i < 3; i++) {
        char *directory = ws_path_directory(directories[i][0]);
        assert_string_equal(directory, directories[i][1]);
        free(directory);
    }
    static const char *const names[] = {"gradient_shards", "learning_rate", "steps"};
    assert_string_equal(ws_closest_name("lerning_rate", names, 3), "learning_rate");
    assert_string_equal(ws_closest_name("setps", names, 3), "steps");
    assert_null(ws_closest_name("banana", names, 3));
}

static void sha256_matches_the_standard(void **state)
{
    (void)state;
    /* FIPS 180-4 examples */
    char hex[65];
    ws_digest digest = ws_sha256_of("abc", 3);
    ws_digest_hex(&digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ws_sha256 *hash;
    assert_int_equal(ws_sha256_create(&hash), WS_OK);
    for (int round = 0; round < 2; round++) {
        ws_sha256_update(hash, "abcdbcdecdefdefgefghfghighij", 28);
        ws_sha256_update(hash, "hijkijkljklmklmnlmnomnopnopq", 28);
        digest = ws_sha256_finish(hash);
        ws_digest_hex(&digest, hex);
        assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    }
    assert_true(ws_digest_u64(&digest) == 0x248d6a61d20638b8u);
    ws_sha256_destroy(&hash);
    assert_int_equal(ws_sha256_file("no/such/file", &digest), WS_E_IO);
    assert_non_null(strstr(ws_error_message(), "no/such/file"));
}

static void sha256_of_many_texts_is_that_of_each(void **state)
{
    (void)state;
    enum { TEXTS = 300, LONG = 5000 };
    static uint8_t bytes[TEXTS + LONG];
    static ws_digest digests[TEXTS];
    static ws_hash_text texts[TEXTS];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(ws_mix64(i) >> 8);
    for (size_t i = 0; i < TEXTS;
         i++) /* every length around the blocks, some long ones among the short, any alignment */
        texts[i] = (ws_hash_text){bytes + i, i % 7 == 3 ? LONG - i : i};
    for (size_t count = 0; count <= TEXTS; count += count < 5 ? 1 : 59) {
        memset(digests, 0, sizeof digests);
        ws_sha256_many(texts, count, digests);
        for (size_t i = 0; i < count; i++) {
            ws_digest one = ws_sha256_of(texts[i].bytes, texts[i].count);
            assert_memory_equal(digests[i].bytes, one.bytes, sizeof one.bytes);
        }
        if (count < TEXTS)
            assert_int_equal(ws_digest_u64(&digests[count]), 0);
    }
}

static void philox_matches_the_published_vectors(void **state)
{
    (void)state;
    /* Random123, kat_vectors, philox4x32 10 rounds */
    static const uint32_t cases[][10] = {{0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
                                         {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff,
                                          0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
                                         {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0,
                                          0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
    for (size_t i = 0; i < 3; i++) {
        uint32_t out[4];
        ws_philox4x32(out, cases[i], cases[i] + 4);
        for (int k = 0; k < 4; k++)
            assert_int_equal(out[k], cases[i][6 + k]);
    }
}

static void random_numbers_have_their_distribution(void **state)
{
    (void)state;
    enum { N = 1 << 16 };
    static float x[N];
    ws_random_normal(7, WS_RANDOM_TEST, 3, 5, x, N);
    double sum[5] = {0}, inside = 0;
    for (int i = 0; i < N; i++) {
        double power = 1;
        for (int k = 1; k <= 4; k++)
            sum[k] += power *= x[i];
        inside += fabsf(x[i]) < 1.0f;
    }
    /* five standard errors of each moment */
    assert_true(fabs(sum[1] / N) < 5 * sqrt(1.0 / N));
    assert_true(fabs(sum[2] / N - 1) < 5 * sqrt(2.0 / N));
    assert_true(fabs(sum[3] / N) < 5 * sqrt(15.0 / N));
    assert_true(fabs(sum[4] / N - 3) < 5 * sqrt(96.0 / N));
    assert_true(fabs(inside / N - 0.682689492) < 5 * sqrt(0.2166 / N));
    float again[3];
    ws_random_normal(7, WS_RANDOM_TEST, 3, 5, again, 3);
    assert_memory_equal(again, x, sizeof again); /* a prefix does not depend on the count */
    ws_random_normal(8, WS_RANDOM_TEST, 3, 5, again, 3);
    assert_true(memcmp(again, x, sizeof again) != 0);
    ws_random_uniform(7, WS_RANDOM_TEST, 3, 5, x, N);
    double mean = 0;
    for (int i = 0; i < N; i++) {
        assert_true(x[i] > 0 && x[i] < 1);
        mean += x[i] / N;
    }
    assert_true(fabs(mean - 0.5) < 5 * sqrt(1.0 / 12 / N));
    ws_random_uniform(7, WS_RANDOM_TEST, 3, 2284251, x, 2); /* the second is made of the largest 24 bits there are */
    assert_true(x[1] < 1 && x[1] > 0.9999999f);
    uint64_t counts[7] = {0};
    for (uint64_t i = 0; i < 70000; i++)
        counts[ws_random_below(1, WS_RANDOM_TEST, 0, i, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_true(llabs((long long)counts[i] - 10000) < 5 * 93);
}

static void permutations_are_permutations(void **state)
{
    (void)state;
    uint64_t order[1000], seen[1000] = {0}, fixed = 0;
    ws_random_permutation(3, WS_RANDOM_SHUFFLE, 9, order, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_true(order[i] < 1000);
        seen[order[i]]++;
        fixed += order[i] == (uint64_t)i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(seen[i], 1);
    assert_true(fixed < 10);
}

static void fixed_logarithm_is_within_two_ulp(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 200000; i++) {
        const uint64_t word = ws_random_u64(11, WS_RANDOM_TEST, 0, i);
        const double x = ldexp(1.0 + (double)(word >> 12) * 0x1p-52, (int)(word % 130) - 65);
        const double expected = log(x), expected1p = log1p(x);
        assert_true(fabs(ws_fixed_log(x) - expected) <= 2 * fabs(nextafter(expected, INFINITY) - expected));
        assert_true(fabs(ws_fixed_log1p(x) - expected1p) <= 2 * fabs(nextafter(expected1p, INFINITY) - expected1p));
    }
    assert_true(ws_fixed_log(1) == 0 && ws_fixed_log1p(0) == 0);
    assert_true(isinf(ws_fixed_log(0)) && isnan(ws_fixed_log(-1)) && isinf(ws_fixed_log1p(INFINITY)));
    assert_true(fabs(ws_fixed_log(5e-324) - log(5e-324)) < 1e-12);
}

static void two_hashes_side_by_side_are_those_of_each(void **state)
{
    (void)state;
    enum { MOST = 700 };
    static uint8_t bytes[2 * MOST];
    ws_sha256 *one, *two, *alone[2];
    assert_int_equal(ws_sha256_create(&one), WS_OK);
    assert_int_equal(ws_sha256_create(&two), WS_OK);
    assert_int_equal(ws_sha256_create(&alone[0]), WS_OK);
    assert_int_equal(ws_sha256_create(&alone[1]), WS_OK);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(ws_mix64(i) >> 9);
    for (uint64_t round = 0; round < 200; round++) {
        const uint64_t updates = 1 + ws_mix64(round) % 9;
        for (uint64_t u = 0; u < updates; u++) { /* lengths on, before and behind the blocks' edges */
            const uint64_t dice = ws_mix64(round * 100 + u);
            const size_t first = dice % MOST, second = dice % 3 == 0 ? first / 64 * 64 : (dice >> 20) % MOST;
            const uint8_t *from = bytes + (dice >> 40) % MOST;
            ws_sha256_update_two(one, from, first, two, bytes, second);
            ws_sha256_update(alone[0], from, first);
            ws_sha256_update(alone[1], bytes, second);
        }
        ws_digest digest = ws_sha256_finish(one), expected = ws_sha256_finish(alone[0]);
        assert_memory_equal(digest.bytes, expected.bytes, sizeof digest.bytes);
        digest = ws_sha256_finish(two), expected = ws_sha256_finish(alone[1]);
        assert_memory_equal(digest.bytes, expected.bytes, sizeof digest.bytes);
    }
    ws_sha256_destroy(&one);
    ws_sha256_destroy(&two);
    ws_sha256_destroy(&alone[0]);
    ws_sha256_destroy(&alone[1]);
}

static void parts_of_hashes_are_those_of_each(void **state)
{
    (void)state;
    enum { MOST = 700, HASHES = 80, ROUNDS = 60 }; /* more than are taken side by side, and at once */
    static uint8_t bytes[2 * MOST], states[HASHES][WS_SHA256_STATE_BYTES];
    ws_sha256 *alone[HASHES], *hash;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(ws_mix64(i) >> 9);
    assert_int_equal(ws_sha256_create(&hash), WS_OK);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        for (size_t h = 0; h < HASHES; h++) {
            assert_int_equal(ws_sha256_create(&alone[h]), WS_OK);
            ws_sha256_save(hash, states[h]);
        }
        for (uint64_t u = 0; u < 5; u++) { /* none, one, or up to all of them go on; some by nothing */
            ws_hash_part parts[HASHES];
            const size_t most = round % 2 == 0 ? 7 : HASHES, count = ws_mix64(round * 10 + u) % (most + 1);
            for (size_t h = 0; h < count; h++) {
                const uint64_t dice = ws_mix64((round * 10 + u) * 100 + h);
                const uint8_t *from = bytes + (dice >> 40) % MOST;
                const size_t length = dice % 5 == 0 ? 0 : dice % 3 == 0 ? dice % MOST / 64 * 64 : dice % MOST;
                parts[h] = (ws_hash_part){states[h], from, length};
                ws_sha256_update(alone[h], from, length);
            }
            ws_sha256_parts(parts, count);
        }
        for (size_t h = 0; h < HASHES; h++) {
            ws_sha256_restore(hash, states[h]);
            const ws_digest digest = ws_sha256_finish(hash), expected = ws_sha256_finish(alone[h]);
            assert_memory_equal(digest.bytes, expected.bytes, sizeof digest.bytes);
            ws_sha256_destroy(&alone[h]);
        }
    }
    ws_sha256_destroy(&hash);
}

static void many_logarithms_are_those_of_each(void **state)
{
    (void)state;
    enum { COUNT = 1003 };
    static double x[COUNT], out[COUNT];
    for (uint64_t round = 0; round < 200; round++) {
        for (uint64_t i = 0; i < COUNT; i++) {
            const uint64_t dice = ws_mix64(round * COUNT + i);
            x[i] = ldexp((double)(dice >> 11), (int)(dice % 120) - 100); /* 2^-47 to 2^73 */
            if (dice % 16 == 0)
                x[i] = (double)(dice >> 54); /* small whole numbers, 0 among them */
        }
        x[0] = 0;
        x[1] = 1e300;
        x[2] = 0.41;
        x[3] = nextafter(0.41, 0);
        x[4] = 0x1p53 - 1;
        x[5] = 0x1p-1074;
        ws_fixed_log1p_many(x, out, COUNT - round);
        for (size_t i = 0; i < COUNT - round; i++) {
            const double one = ws_fixed_log1p(x[i]);
            assert_memory_equal(&out[i], &one, sizeof one);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_carry_message_hint_and_trace),
        cmocka_unit_test(kept_errors_are_told_later),
        cmocka_unit_test(allocation_refuses_overflow),
        cmocka_unit_test(arenas_give_separate_zeroed_memory),
        cmocka_unit_test(large_arenas_give_zeroed_memory_again),
        cmocka_unit_test(numbers_read_back_as_written),
        cmocka_unit_test(paths_and_names),
        cmocka_unit_test(sha256_matches_the_standard),
        cmocka_unit_test(sha256_of_many_texts_is_that_of_each),
        cmocka_unit_test(philox_matches_the_published_vectors),
        cmocka_unit_test(random_numbers_have_their_distribution),
        cmocka_unit_test(permutations_are_permutations),
        cmocka_unit_test(two_hashes_side_by_side_are_those_of_each),
        cmocka_unit_test(parts_of_hashes_are_those_of_each),
        cmocka_unit_test(many_logarithms_are_those_of_each),
        cmocka_unit_test(fixed_logarithm_is_within_two_ulp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
