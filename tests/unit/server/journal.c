/* journal.c: which decisions are in the decision log, and what becomes of lines that find no room. */
#include "server/journal.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct diary {
    char path[64];
    struct config config;
    struct journal *journal;
    struct journal_page *page;
    struct flow flow;
    struct request request;
    struct question question;
};

static void begin(struct diary *diary, const char *path, unsigned sample)
{
    struct refusal refusal;
    memset(diary, 0, sizeof *diary);
    snprintf(diary->path, sizeof diary->path, "%s", path ? path : "/tmp/journal-test-XXXXXX");
    if (!path) {
        const int fd = mkstemp(diary->path);
        CHECK(fd >= 0);
        close(fd);
    }
    diary->config.decision_log = diary->path;
    diary->config.decision_log_sample = sample;
    CHECK_INT(journal_open(&diary->config, &diary->journal, &refusal), 0);
    diary->page = journal_page_new(diary->journal, 1, NULL);
    diary->flow = (struct flow){.client = addr_v4((const uint8_t[]){198, 51, 100, 7}, 5000),
                                .server = addr_v4((const uint8_t[]){203, 0, 113, 1}, 3478),
                                .sni = "",
                                .alpn = ""};
    diary->request = (struct request){.flow = &diary->flow, .username = view_text("ann"), .tenant = "", .realm = "r", .user = "ann"};
    diary->question = (struct question){.hook = HOOK_authorize, .request = &diary->request, .unix_ms = 1764106073007, .now = 1000};
}

static void end(struct diary *diary)
{
    journal_page_free(diary->page);
    journal_close(diary->journal);
    if (strncmp(diary->path, "/tmp/", 5) == 0)
        unlink(diary->path);
}

static void note(struct diary *diary, enum hook hook, uint64_t decision, enum verdict_kind kind)
{
    const struct verdict silent = {.kind = VERDICT_SILENT}, final = {.kind = kind, .code = kind == VERDICT_DENY ? 403 : 0};
    diary->question.hook = hook;
    diary->question.decision = diary->request.id = decision;
    journal_note(diary->page, &(struct finding){NULL, &diary->question, &silent, &final, NULL});
    journal_write(diary->page);
}

static size_t count(const struct diary *diary, const char *part)
{
    char *text = test_file(diary->path);
    size_t n = 0;
    const char *stop = text + strlen(text);
    for (const char *at = text; (at = memmem(at, (size_t)(stop - at), part, strlen(part))) != NULL; at++)
        n++;
    free(text);
    return n;
}

TEST(a_line_has_what_was_asked_and_what_was_answered)
{
    struct diary diary;
    begin(&diary, NULL, 100);
    note(&diary, HOOK_authorize, UINT64_C(9007199254740993), VERDICT_DENY);
    char *text = test_file(diary.path);
    CHECK_TEXT(text, "{\"decision_id\":\"9007199254740993\",\"policy_rev\":\"-\",\"time\":1764106073.007,\"worker\":1,\"phase\":"
                     "\"authorize\",\"by\":\"core\","
                     "\"input\":{\"id\":9007199254740993,\"now\":1764106073,\"transport\":\"udp\",\"src\":\"198.51.100.7:5000\",\"dst\":"
                     "\"203.0.113.1:3478\",\"username\":\"ann\",\"realm\":\"r\","
                     "\"user\":\"ann\",\"even_port\":false,\"reservation\":false,\"minted\":false},\"result\":{\"decision\":\"deny\",\"code\":403},\"ns\":0,"
                     "\"instructions\":0}\n");
    free(text);
    end(&diary);
}

TEST(a_sample_is_of_whole_requests_and_has_the_share_that_was_asked_for)
{
    enum { REQUESTS = 5000 };
    static const unsigned percents[] = {0, 1, 25, 50, 99, 100};
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        struct diary diary;
        begin(&diary, NULL, percents[i]);
        for (uint64_t id = 1; id <= REQUESTS; id++) {
            note(&diary, HOOK_authenticate, id << 21, VERDICT_KEY);
            note(&diary, HOOK_authorize, id << 21, VERDICT_ALLOW);
        }
        const size_t first = count(&diary, "\"phase\":\"authenticate\""), second = count(&diary, "\"phase\":\"authorize\"");
        const size_t share = REQUESTS / 100 * percents[i];
        CHECK_INT(first, second);
        CHECK(percents[i] % 100 || first == share);
        CHECK(first + REQUESTS / 25 > share && first < share + REQUESTS / 25); /* 4 % is more than five deviations */
        CHECK(percents[i] != 1 || first > 0);
        end(&diary);
    }
}

TEST(refusals_are_kept_whatever_the_sample)
{
    struct diary diary;
    begin(&diary, NULL, 0);
    static const enum verdict_kind kinds[] = {VERDICT_DENY, VERDICT_FAIL, VERDICT_REAUTH, VERDICT_CLOSE};
    for (size_t i = 0; i < 4; i++)
        note(&diary, HOOK_authorize, i + 1, kinds[i]);
    note(&diary, HOOK_authorize, 5, VERDICT_SILENT);
    note(&diary, HOOK_authorize, 6, VERDICT_REDIRECT);
    CHECK_INT(count(&diary, "\n"), 4);
    end(&diary);
}

TEST(strangers_fill_no_disk)
{
    struct diary diary;
    begin(&diary, NULL, 0);
    for (uint64_t id = 1; id <= 10 * JOURNAL_STRANGERS; id++)
        note(&diary, id % 2 ? HOOK_route : HOOK_authenticate, id, VERDICT_DENY);
    CHECK_INT(count(&diary, "\n"), JOURNAL_STRANGERS);
    CHECK_INT(journal_lost(diary.page), 9 * JOURNAL_STRANGERS);
    CHECK_INT(journal_lost(diary.page), 0);
    note(&diary, HOOK_authorize, 1, VERDICT_DENY); /* who has shown a password is not one of them */
    diary.question.now += 1000;
    note(&diary, HOOK_authenticate, 2, VERDICT_DENY);
    CHECK_INT(count(&diary, "\n"), JOURNAL_STRANGERS + 2);
    end(&diary);
}

TEST(where_a_shadow_differs_is_kept_whatever_the_sample)
{
    struct diary diary;
    const struct verdict said = {.kind = VERDICT_ALLOW, .by = "a.lua:1"}, undecided = {.kind = VERDICT_LATER};
    const struct verdict other = {.kind = VERDICT_DENY, .code = 403, .reason = "no", .by = "b.lua:2"};
    const struct verdict *const shadows[] = {NULL, &undecided, &other};
    begin(&diary, NULL, 0);
    for (size_t i = 0; i < 3; i++)
        journal_note(diary.page, &(struct finding){NULL, &diary.question, &said, &said, shadows[i]});
    journal_write(diary.page);
    CHECK_INT(count(&diary, "\n"), 1);
    CHECK_INT(count(&diary, ",\"shadow\":{\"by\":\"b.lua:2\",\"result\":{\"decision\":\"deny\",\"code\":403,"), 1);
    end(&diary);
    begin(&diary, NULL, 100);
    journal_note(diary.page, &(struct finding){NULL, &diary.question, &said, &said, &undecided});
    journal_write(diary.page);
    CHECK_INT(count(&diary, ",\"shadow\":{\"by\":\"nobody\",\"result\":{\"decision\":\"undecided\"}}"), 1);
    end(&diary);
}

TEST(what_finds_no_room_is_counted)
{
    struct diary diary;
    const struct verdict silent = {.kind = VERDICT_SILENT};
    uint64_t noted = 0;
    begin(&diary, NULL, 100);
    diary.question.decision = 1;
    for (; noted < 20000; noted++)
        journal_note(diary.page, &(struct finding){NULL, &diary.question, &silent, &silent, NULL});
    journal_write(diary.page);
    const uint64_t lost = journal_lost(diary.page);
    CHECK(lost > 0);
    CHECK_INT(count(&diary, "}\n") + lost, noted);
    end(&diary);
    begin(&diary, "/dev/full", 100);
    note(&diary, HOOK_authorize, 1, VERDICT_ALLOW);
    note(&diary, HOOK_authorize, 2, VERDICT_ALLOW);
    CHECK_INT(journal_lost(diary.page), 2);
    end(&diary);
}

TEST(a_refusal_of_the_core_is_kept_once)
{
    struct diary diary;
    begin(&diary, NULL, 100);
    const struct event event = {.type = EVENT_AUTH_FAILED,
                                .decision = 7,
                                .code = 401,
                                .reason = "unknown_user",
                                .by = "core",
                                .flow = &diary.flow,
                                .tenant = "",
                                .realm = "r",
                                .user = "",
                                .username = view_text("eve"),
                                .unix_ms = 1764106073007};
    note(&diary, HOOK_authenticate, 7, VERDICT_DENY);
    journal_tell(diary.page, &event, "0123456789ab"); /* the answer to the question is there */
    note(&diary, HOOK_authenticate, 8, VERDICT_KEY);
    struct event wrong = event;
    wrong.decision = 8;
    wrong.reason = "bad_integrity";
    journal_tell(diary.page, &wrong, "0123456789ab");
    wrong.type = EVENT_ALLOCATED;
    wrong.decision = 9;
    journal_tell(diary.page, &wrong, "0123456789ab");
    journal_write(diary.page);
    CHECK_INT(count(&diary, "\n"), 3);
    CHECK_INT(count(&diary, "\"phase\":\"core\""), 1);
    CHECK_INT(count(&diary, "\"result\":{\"decision\":\"deny\",\"code\":401,\"reason\":\"bad_integrity\",\"by\":\"core\"}"), 1);
    end(&diary);
}

TEST(the_file_is_exchanged_under_its_name)
{
    struct diary diary;
    char moved[80];
    begin(&diary, NULL, 100);
    note(&diary, HOOK_authorize, 1, VERDICT_ALLOW);
    snprintf(moved, sizeof moved, "%s.1", diary.path);
    CHECK_INT(rename(diary.path, moved), 0);
    note(&diary, HOOK_authorize, 2, VERDICT_ALLOW);
    CHECK(journal_reopen(diary.journal));
    note(&diary, HOOK_authorize, 3, VERDICT_ALLOW);
    CHECK_INT(count(&diary, "\n"), 1);
    CHECK_INT(count(&diary, "\"decision_id\":\"3\""), 1);
    CHECK(journal_reopen(NULL));
    unlink(moved);
    end(&diary);
}

TEST_LIST(RUN(a_line_has_what_was_asked_and_what_was_answered) RUN(a_sample_is_of_whole_requests_and_has_the_share_that_was_asked_for)
              RUN(refusals_are_kept_whatever_the_sample) RUN(where_a_shadow_differs_is_kept_whatever_the_sample) RUN(strangers_fill_no_disk)
                  RUN(what_finds_no_room_is_counted) RUN(a_refusal_of_the_core_is_kept_once) RUN(the_file_is_exchanged_under_its_name))
