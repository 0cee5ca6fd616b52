/* A DNS client beside a name server of the test's own, on one loop. */
#include "net/dns.h"

#include "base/err.h"
#include "name_server.h"
#include "test.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* struct street: the name server, and who asks. */
struct street {
    struct loop *loop;
    struct dns *dns;
    struct watch served;
    int fd, asked, answers;
    char error[32], first[64];
    size_t count;
};

/* name_of: the first label of the question. */
static void name_of(const uint8_t *message, char out[64])
{
    view_copy(view_of(message + 13, message[12] & 63), out, 64);
}

/* reply: by the name: mute ones have none. */
static void reply(struct slab *out, const uint8_t *message, size_t len)
{
    char name[64];
    name_of(message, name);
    const bool is_none = strcmp(name, "none") == 0;
    const uint32_t ttl = strcmp(name, "brief") == 0 ? 0 : 60;
    if (strcmp(name, "mute") == 0)
        return;
    reply_begin(out, get_u16(message), is_none ? 3 : strcmp(name, "broken") == 0 ? 2 : 0, is_none ? 0 : 1);
    slab_put(out, view_of(message + 12, len - 12));
    if (!is_none)
        put_record(out, DNS_A, ttl, view_of("\300\0\2\1", 4));
}

static void on_question(void *owner)
{
    struct street *street = owner;
    uint8_t message[512], answer[512];
    struct sockaddr_storage from;
    socklen_t from_len = sizeof from;
    const ssize_t len = recvfrom(street->fd, message, sizeof message, 0, (struct sockaddr *)&from, &from_len);
    struct slab out = slab_over(answer, sizeof answer);
    CHECK(len > 16);
    street->asked++;
    reply(&out, message, (size_t)len);
    if (out.len)
        sendto(street->fd, answer, out.len, 0, (struct sockaddr *)&from, from_len);
}

static void on_answer(void *owner, const struct dns_answer *answer)
{
    struct street *street = owner;
    street->answers++;
    street->count = answer->count;
    snprintf(street->error, sizeof street->error, "%s", answer->error ? answer->error : "");
    *street->first = 0;
    if (answer->count)
        view_copy(answer->records[0].text, street->first, sizeof street->first);
}

static struct addr serve(struct street *street)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof here;
    street->fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(street->fd >= 0 && bind(street->fd, (struct sockaddr *)&here, len) == 0 && getsockname(street->fd, (struct sockaddr *)&here, &len) == 0);
    watch_read(&street->served, street->loop, street->fd, on_question, street);
    return addr_v4((const uint8_t[]){127, 0, 0, 1}, ntohs(here.sin_port));
}

static void open_street(struct street *street)
{
    *street = (struct street){.loop = loop_new()};
    const struct addr server = serve(street);
    street->dns = dns_new(street->loop, &server, 1);
    CHECK(street->dns);
}

static void close_street(struct street *street)
{
    dns_free(street->dns);
    watch_stop(&street->served);
    close(street->fd);
    loop_free(street->loop);
}

static int start(struct street *street, const char *name, struct dns_lookup **out)
{
    const struct dns_question question = {name, DNS_A};
    const struct dns_ending ending = {on_answer, street};
    return dns_start(street->dns, &question, &ending, out);
}

static void look_up(struct street *street, const char *name)
{
    struct dns_lookup *lookup;
    const int before = street->answers;
    CHECK_INT(start(street, name, &lookup), 0);
    CHECK_INT(street->answers, before); /* never from within */
    while (street->answers == before)
        loop_turn(street->loop);
}

static const struct dns_answer *recall(struct street *street, const char *name)
{
    return dns_recall(street->dns, &(struct dns_question){name, DNS_A});
}

TEST(a_name_is_looked_up_once_for_as_long_as_it_holds)
{
    struct street street;
    open_street(&street);
    CHECK(!recall(&street, "a.example"));
    look_up(&street, "A.Example");
    CHECK_TEXT(street.error, "");
    CHECK_TEXT(street.first, "192.0.2.1");
    const struct dns_answer *known = recall(&street, "a.EXAMPLE");
    CHECK(known && known->count == 1 && view_equal(known->records[0].text, view_text("192.0.2.1")));
    CHECK(!dns_recall(street.dns, &(struct dns_question){"a.example", DNS_TXT}));
    look_up(&street, "brief.example");
    CHECK_TEXT(street.first, "192.0.2.1");
    CHECK(!recall(&street, "brief.example"));
    close_street(&street);
}

TEST(that_there_is_none_is_kept_too_and_a_failure_is_not)
{
    struct street street;
    open_street(&street);
    look_up(&street, "none.example");
    CHECK_TEXT(street.error, "not found");
    const struct dns_answer *known = recall(&street, "none.example");
    CHECK(known && strcmp(known->error, "not found") == 0);
    look_up(&street, "broken.example");
    CHECK_TEXT(street.error, "failed");
    CHECK(!recall(&street, "broken.example"));
    close_street(&street);
}

TEST(who_goes_away_is_not_told)
{
    struct street street;
    struct dns_lookup *lookup;
    open_street(&street);
    CHECK_INT(start(&street, "a.example", &lookup), 0);
    dns_cancel(lookup);
    while (!recall(&street, "a.example"))
        loop_turn(street.loop);
    CHECK_INT(street.answers, 0);
    close_street(&street);
}

TEST(what_is_no_name_is_refused)
{
    static const char *const names[] = {"", ".", "a..b", ".a", "a\\b", "0123456789012345678901234567890123456789012345678901234567890123.example"};
    struct street street;
    struct dns_lookup *lookup;
    open_street(&street);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CHECK_INT(start(&street, names[i], &lookup), ERR_BAD);
    CHECK_INT(start(&street, "a.example.", &lookup), 0);
    close_street(&street); /* one is under way */
    CHECK_INT(street.answers, 0);
}

TEST(so_many_are_under_way_and_no_more)
{
    struct street street;
    struct dns_lookup *lookup;
    char name[32];
    open_street(&street);
    for (int i = 0; i < DNS_LOOKUPS_MAX; i++) {
        snprintf(name, sizeof name, "mute.n%d.example", i);
        CHECK_INT(start(&street, name, &lookup), 0);
        dns_cancel(lookup); /* the server is asked all the same */
    }
    CHECK_INT(start(&street, "a.example", &lookup), ERR_BUSY);
    close_street(&street);
}

TEST(a_server_that_is_not_there_is_a_failure)
{
    struct street street;
    open_street(&street);
    watch_stop(&street.served);
    close(street.fd);
    look_up(&street, "a.example");
    CHECK_TEXT(street.error, "failed");
    street.fd = dup(0);
    close_street(&street);
}

TEST_LIST(RUN(a_name_is_looked_up_once_for_as_long_as_it_holds) RUN(that_there_is_none_is_kept_too_and_a_failure_is_not) RUN(who_goes_away_is_not_told)
              RUN(what_is_no_name_is_refused) RUN(so_many_are_under_way_and_no_more) RUN(a_server_that_is_not_there_is_a_failure))
