/* Crypto-PAn gives the pseudonyms of the authors' sample trace (IPv4) and of other implementations (IPv6), and keeps prefixes.
 * ctest: timeout=60 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include "dataset/crypto_pan.h"

/* The key of the sample program that the authors published. */
static const uint8_t key[WS_CRYPTO_PAN_KEY] = {21,  34,  23,  141, 51,  164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
                                               216, 152, 143, 131, 121, 121, 101, 39,  98, 87, 76, 45, 42, 132, 34,  2};
static ws_crypto_pan *pan;

static int set_up(void **state)
{
    (void)state;
    return ws_crypto_pan_create(&pan, key) == WS_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    ws_crypto_pan_destroy(&pan);
    return 0;
}

static void test_published(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"128.11.68.132", "135.242.180.132"},
                                           {"129.118.74.4", "134.136.186.123"},
                                           {"130.132.252.244", "133.68.164.234"},
                                           {"141.223.7.43", "141.167.8.160"},
                                           {"141.233.145.108", "141.129.237.235"},
                                           {"152.163.225.39", "151.140.114.167"},
                                           {"192.102.249.13", "252.138.62.131"},
                                           {"24.0.250.221", "100.15.198.226"},
                                           {"64.39.15.238", "0.219.7.41"},
                                           {"::1", "78ff:f001:9fc0:20df:8380:b1f1:704:ed"},
                                           {"::2", "78ff:f001:9fc0:20df:8380:b1f1:704:ef"},
                                           {"2001:db8::1", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        int family = strchr(pairs[i][0], ':') ? AF_INET6 : AF_INET;
        uint8_t address[16], pseudonym[16];
        char text[INET6_ADDRSTRLEN];
        assert_int_equal(inet_pton(family, pairs[i][0], address), 1);
        assert_true(ws_crypto_pan_address(pan, address, family == AF_INET ? 4 : 16, pseudonym));
        inet_ntop(family, pseudonym, text, sizeof text);
        assert_string_equal(text, pairs[i][1]);
    }
}

static size_t common_bits(const uint8_t *a, const uint8_t *b, size_t bytes)
{
    size_t i = 0;
    while (i < 8 * bytes && ((a[i / 8] ^ b[i / 8]) >> (7 - i % 8) & 1) == 0)
        i++;
    return i;
}

static void test_prefixes_stay(void **state)
{
    (void)state;
    for (uint64_t n = 0; n < 2000; n++) {
        size_t bytes = n % 2 ? 4 : 16;
        uint8_t a[16], b[16], pa[16], pb[16];
        for (size_t i = 0; i < bytes; i++)
            a[i] = b[i] = (uint8_t)ws_random_u64(1, WS_RANDOM_TEST, i, n);
        size_t bit = ws_random_u64(1, WS_RANDOM_TEST, 99, n) % (8 * bytes);
        b[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
        for (size_t i = bit / 8 + 1; i < bytes; i++)
            b[i] = (uint8_t)ws_random_u64(2, WS_RANDOM_TEST, i, n);
        assert_true(ws_crypto_pan_address(pan, a, bytes, pa));
        assert_true(ws_crypto_pan_address(pan, b, bytes, pb));
        assert_int_equal(common_bits(pa, pb, bytes), bit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_published), cmocka_unit_test(test_prefixes_stay)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
