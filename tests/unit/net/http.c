/* What may be asked over HTTP that is on no list: public hosts, and no way into a private network. */
#include "net/http.h"
#include "base/err.h"
#include "test.h"

static void check_all(struct http *http, const char *const *urls, int want)
{
    for (; *urls; urls++)
        if (http_check(http, *urls) != want)
            test_failed(__FILE__, __LINE__, "%s: %d, not %d", *urls, http_check(http, *urls), want);
}

TEST(a_public_host_may_be_asked_over_https_and_no_other)
{
    static const char *const fine[] = {"https://example.com/hook?x=1", "https://8.8.8.8:8443/", "https://[2a00:1450:4001::1]/", NULL};
    static const char *const denied[] = {"http://example.com/",
                                         "https://10.1.2.3/",
                                         "https://192.168.0.1/",
                                         "https://127.0.0.1/",
                                         "https://127.1/",
                                         "https://2130706433/",
                                         "https://0x7f000001/",
                                         "https://[::1]/",
                                         "https://[::ffff:10.0.0.1]/",
                                         "https://[fe80::1]/",
                                         "https://[64:ff9b::a00:1]/",
                                         "https://169.254.169.254/",
                                         "https://localhost/",
                                         "https://0.0.0.0/",
                                         "https://100.64.0.1/",
                                         "https://224.0.0.1/",
                                         "https://[2002:a00:1::]/",
                                         NULL};
    static const char *const bad[] = {
        "ftp://example.com/", "https://me:pw@example.com/", "example.com", "https://", "", "file:///etc/passwd", NULL};
    struct loop *loop = loop_new();
    struct http *http = http_new(loop, NULL, 0);
    check_all(http, fine, ERR_DENIED);
    CHECK_INT(http_let_public(http), 0);
    check_all(http, fine, 0);
    check_all(http, denied, ERR_DENIED);
    check_all(http, bad, ERR_BAD);
    http_free(http);
    loop_free(loop);
}

TEST(what_is_on_the_list_may_be_private_and_plain)
{
    static const char *const rules[] = {"10.0.0.5:8080", "http://hooks.test/in"};
    static const char *const fine[] = {"http://10.0.0.5:8080/x", "https://10.0.0.5:8080/", "http://hooks.test/in/a", NULL};
    static const char *const denied[] = {"http://10.0.0.5/", "http://10.0.0.6:8080/", "http://hooks.test/out", NULL};
    struct loop *loop = loop_new();
    struct http *http = http_new(loop, rules, 2);
    check_all(http, fine, 0);
    check_all(http, denied, ERR_DENIED);
    CHECK_INT(http_let_public(http), 0);
    check_all(http, fine, 0);
    check_all(http, denied, ERR_DENIED);
    http_free(http);
    loop_free(loop);
}

struct ear {
    struct loop *loop;
    char error[32];
};

static void on_answer(void *owner, const struct http_response *response)
{
    struct ear *ear = owner;
    snprintf(ear->error, sizeof ear->error, "%s", response->error ? response->error : "none");
    loop_stop(ear->loop);
}

/* localhost.localdomain and the like pass as names: the address that they lead to does not. */
TEST(a_name_that_leads_to_a_private_address_gets_no_socket)
{
    struct ear ear = {.loop = loop_new()};
    struct http *http = http_new(ear.loop, NULL, 0);
    struct http_exchange *exchange;
    CHECK_INT(http_let_public(http), 0);
    CHECK_INT(http_start(http, &(struct http_request){.method = "GET", .url = "https://ip6-localhost:9/", .timeout_ms = 3000},
                         &(struct http_ending){on_answer, &ear}, &exchange),
              0);
    loop_run(ear.loop);
    CHECK(strcmp(ear.error, "private") == 0 || strcmp(ear.error, "resolve") == 0);
    http_free(http);
    loop_free(ear.loop);
}

TEST_LIST(RUN(a_public_host_may_be_asked_over_https_and_no_other) RUN(what_is_on_the_list_may_be_private_and_plain)
              RUN(a_name_that_leads_to_a_private_address_gets_no_socket))
