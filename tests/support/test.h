/* test.h: a C test is a function named as a sentence; a file is a list of them; the output is TAP.
 *
 *     TEST(a_prefix_of_a_message_is_refused) { CHECK(message_open(&m, in) == ERR_PARTIAL); }
 *     TEST_LIST(RUN(a_prefix_of_a_message_is_refused))
 *
 * A failed CHECK prints where and what, and leaves the test. An argument on the command line runs only the tests whose name contains it.
 */
#ifndef RELAY_TESTS_TEST_H
#define RELAY_TESTS_TEST_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct test {
    const char *name;
    void (*run)(void);
};

extern jmp_buf test_exit;
void test_failed(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4), noreturn));
void test_skip(const char *why) __attribute__((noreturn));
int test_main(const struct test *tests, size_t count, int argc, char **argv);

#define TEST(name) static void name(void)
#define RUN(name) {#name, name},
#define TEST_LIST(...)                                                                                                                     \
    int main(int argc, char **argv)                                                                                                        \
    {                                                                                                                                      \
        static const struct test tests[] = {__VA_ARGS__};                                                                                  \
        return test_main(tests, sizeof tests / sizeof *tests, argc, argv);                                                                 \
    }

#define CHECK(condition)                                                                                                                   \
    do {                                                                                                                                   \
        if (!(condition))                                                                                                                  \
            test_failed(__FILE__, __LINE__, "%s", #condition);                                                                             \
    } while (0)

#define CHECK_INT(got, want)                                                                                                               \
    do {                                                                                                                                   \
        const intmax_t got_ = (intmax_t)(got), want_ = (intmax_t)(want);                                                                   \
        if (got_ != want_)                                                                                                                 \
            test_failed(__FILE__, __LINE__, "%s is %jd, not %jd (%s)", #got, got_, want_, #want);                                          \
    } while (0)

#define CHECK_TEXT(got, want)                                                                                                              \
    do {                                                                                                                                   \
        const char *got_ = (got), *want_ = (want);                                                                                         \
        if (!got_ || strcmp(got_, want_) != 0)                                                                                             \
            test_failed(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #got, got_ ? got_ : "NULL", want_);                                \
    } while (0)

#define CHECK_BYTES(got, want, len) test_bytes(__FILE__, __LINE__, #got, (got), (want), (len))
void test_bytes(const char *file, int line, const char *what, const void *got, const void *want, size_t len);

/* test_guarded: a copy of `len` bytes that ends flush against an unreadable page: one byte of over-read crashes. Freed by test_unguard. */
uint8_t *test_guarded(const void *bytes, size_t len);
void test_unguard(uint8_t *guarded, size_t len);

/* test_fail_malloc_after: the n-th next malloc/calloc/realloc (0: the next one) and all later ones return NULL; -1: none fails. Needs the test to be
 * linked by our Makefile (it wraps the allocator). test_mallocs: how many calls since the last test_fail_malloc_after. */
void test_fail_malloc_after(long n);
long test_mallocs(void);

/* test_hex: parse "00 01 # comment\n 21 12" into `out`; returns the length. test_file: a whole file, NUL-terminated, to be freed; NULL if it cannot be read. */
size_t test_hex(const char *text, uint8_t *out, size_t cap);
char *test_file(const char *path);

#endif
