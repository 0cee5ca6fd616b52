/* strangers.c: what a source may cost is counted by its address, whatever its port. */
#include "ledger/strangers.h"
#include "test.h"

#include <stdio.h>

static struct addr at(const char *text)
{
    struct addr addr;
    CHECK_INT(addr_parse(view_text(text), &addr), 0);
    return addr;
}

static int answers(struct strangers *strangers, const char *from, unsigned cost, int tried, msec_t now)
{
    struct addr addr = at(from);
    int given = 0;
    for (int i = 0; i < tried; i++) {
        addr.port = (uint16_t)(1000 + i);
        given += strangers_answer(strangers, &addr, cost, now);
    }
    return given;
}

TEST(a_source_has_its_answers_of_a_second_over_all_its_ports)
{
    struct strangers *strangers = strangers_new((struct strangers_limits){.answers = 10});
    CHECK_INT(answers(strangers, "20.0.0.1", STRANGERS_ANSWER, 5000, 1000), 10);
    CHECK_INT(answers(strangers, "20.0.0.2", STRANGERS_ANSWER, 5000, 1000), 10);
    CHECK_INT(answers(strangers, "20.0.0.1", STRANGERS_ANSWER, 5000, 1500), 5);
    CHECK_INT(answers(strangers, "20.0.0.3", STRANGERS_BINDING, 5000, 1000), 100);
    CHECK_INT(answers(strangers, "2a00:1::1", STRANGERS_ANSWER, 6, 1000), 6);
    CHECK_INT(answers(strangers, "2a00:1::ff:0:0:1", STRANGERS_ANSWER, 6, 1000), 4); /* the same /56 */
    CHECK_INT(answers(strangers, "2a00:1:0:100::1", STRANGERS_ANSWER, 6, 1000), 6);
    strangers_free(strangers);
}

TEST(many_sources_get_no_more_than_each_may_and_take_no_memory)
{
    struct strangers *strangers = strangers_new((struct strangers_limits){.answers = 2});
    int given = 0;
    test_fail_malloc_after(0);
    for (int i = 0; i < 200000; i++) {
        const struct addr from = addr_v4((const uint8_t[]){20, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}, 1);
        for (int k = 0; k < 5; k++)
            given += strangers_answer(strangers, &from, STRANGERS_ANSWER, 1000);
    }
    CHECK_INT(test_mallocs(), 0);
    test_fail_malloc_after(-1);
    CHECK(given <= 2 * 65536 && given > 100000); /* those that share a place share what it may */
    strangers_free(strangers);
}

TEST(wrong_logins_of_a_minute_are_told_of_once)
{
    struct strangers *strangers = strangers_new((struct strangers_limits){.failures = 3});
    const struct addr from = at("20.0.0.1:7"), other = at("20.0.0.9:7");
    for (int i = 0; i < 3; i++)
        CHECK_INT(strangers_fail(strangers, &from, 1000), STRANGERS_LOGIN_FEW);
    CHECK_INT(strangers_fail(strangers, &from, 1000), STRANGERS_LOGIN_FIRST);
    for (int i = 0; i < 100; i++)
        CHECK_INT(strangers_fail(strangers, &from, 20999), STRANGERS_LOGIN_MANY);
    CHECK_INT(strangers_fail(strangers, &other, 20999), STRANGERS_LOGIN_FEW);
    CHECK_INT(strangers_fail(strangers, &from, 21001), STRANGERS_LOGIN_FEW); /* a third of a minute */
    CHECK_INT(strangers_fail(strangers, &from, 21001), STRANGERS_LOGIN_MANY);
    for (int i = 0; i < 3; i++)
        CHECK_INT(strangers_fail(strangers, &from, 100000), STRANGERS_LOGIN_FEW);
    CHECK_INT(strangers_fail(strangers, &from, 100000), STRANGERS_LOGIN_FIRST);
    strangers_free(strangers);
}

TEST(without_limits_everybody_is_answered)
{
    struct strangers *strangers = strangers_new((struct strangers_limits){0});
    const struct addr from = at("20.0.0.1:7");
    CHECK_INT(answers(strangers, "20.0.0.1", STRANGERS_ANSWER, 5000, 1000), 5000);
    for (int i = 0; i < 5000; i++)
        CHECK_INT(strangers_fail(strangers, &from, 1000), STRANGERS_LOGIN_FEW);
    strangers_free(strangers);
}

TEST_LIST(RUN(a_source_has_its_answers_of_a_second_over_all_its_ports) RUN(many_sources_get_no_more_than_each_may_and_take_no_memory)
              RUN(wrong_logins_of_a_minute_are_told_of_once) RUN(without_limits_everybody_is_answered))
