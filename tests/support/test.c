/* test.c: the runner behind test.h. */
#include "test.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

jmp_buf test_exit;
static const char *skipped;
static long fail_after = -1, mallocs;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *at, size_t size);

static bool malloc_fails(void)
{
    const long now = __atomic_fetch_add(&mallocs, 1, __ATOMIC_RELAXED);
    const long limit = __atomic_load_n(&fail_after, __ATOMIC_RELAXED);
    return limit >= 0 && now >= limit;
}

void *__wrap_malloc(size_t size)
{
    return malloc_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return malloc_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *at, size_t size)
{
    return malloc_fails() ? NULL : __real_realloc(at, size);
}

void test_fail_malloc_after(long n)
{
    __atomic_store_n(&mallocs, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&fail_after, n, __ATOMIC_RELAXED);
}

long test_mallocs(void)
{
    return __atomic_load_n(&mallocs, __ATOMIC_RELAXED);
}

void test_failed(const char *file, int line, const char *format, ...)
{
    va_list args;
    test_fail_malloc_after(-1);
    printf("# %s:%d: ", file, line);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    longjmp(test_exit, 1);
}

void test_skip(const char *why)
{
    skipped = why;
    longjmp(test_exit, 2);
}

void test_bytes(const char *file, int line, const char *what, const void *got, const void *want, size_t len)
{
    const uint8_t *a = got, *b = want;
    for (size_t i = 0; i < len; i++)
        if (a[i] != b[i])
            test_failed(file, line, "%s: byte %zu of %zu is %02x, not %02x", what, i, len, a[i], b[i]);
}

static int test_run(const struct test *test, size_t number)
{
    const int outcome = setjmp(test_exit);
    if (outcome == 0)
        test->run();
    test_fail_malloc_after(-1);
    if (outcome == 1)
        printf("not ok %zu - %s\n", number, test->name);
    else if (outcome == 2)
        printf("ok %zu - %s # SKIP %s\n", number, test->name, skipped);
    else
        printf("ok %zu - %s\n", number, test->name);
    fflush(stdout);
    return outcome == 1;
}

int test_main(const struct test *tests, size_t count, int argc, char **argv)
{
    size_t number = 0;
    int failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < count; i++)
        if (argc < 2 || strstr(tests[i].name, argv[1]))
            failed += test_run(&tests[i], ++number);
    printf("1..%zu\n", number);
    return failed ? 1 : 0;
}

static size_t guard_span(size_t len)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (len + page - 1) / page * page + page;
}

uint8_t *test_guarded(const void *bytes, size_t len)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), span = guard_span(len);
    uint8_t *at = mmap(NULL, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || mprotect(at + span - page, page, PROT_NONE) != 0)
        abort();
    at += span - page - len;
    if (len)
        memcpy(at, bytes, len);
    return at;
}

void test_unguard(uint8_t *guarded, size_t len)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), span = guard_span(len);
    munmap(guarded + len + page - span, span);
}

size_t test_hex(const char *text, uint8_t *out, size_t cap)
{
    size_t len = 0;
    int high = -1;
    for (; *text; text++) {
        if (*text == '#')
            text += strcspn(text, "\n");
        if (!isxdigit((unsigned char)*text)) {
            if (!*text)
                break;
            continue;
        }
        const int digit = isdigit((unsigned char)*text) ? *text - '0' : tolower((unsigned char)*text) - 'a' + 10;
        if (high < 0) {
            high = digit;
            continue;
        }
        if (len < cap)
            out[len++] = (uint8_t)(high << 4 | digit);
        high = -1;
    }
    return len;
}

char *test_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    char *text = NULL;
    size_t len = 0, got;
    do {
        text = realloc(text, len + 65536 + 1);
        if (!text)
            abort();
        got = fread(text + len, 1, 65536, file);
        len += got;
    } while (got);
    fclose(file);
    text[len] = 0;
    return text;
}
