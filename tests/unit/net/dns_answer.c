/* Answers of name servers, whole, broken and hostile. */
#include "net/dns_answer.h"

#include "base/err.h"
#include "name_server.h"
#include "test.h"

#include <stdlib.h>

static uint8_t bytes[4096];

static struct slab begin(uint16_t type, uint16_t answers)
{
    struct slab out = slab_over(bytes, sizeof bytes);
    reply_begin(&out, 7, 0, answers);
    put_question(&out, "game.example", type);
    return out;
}

static bool is_text(const struct dns_record *record, const char *text)
{
    return view_equal(record->text, view_text(text));
}

TEST(addresses_are_read)
{
    static const uint8_t four[] = {192, 0, 2, 1}, other[] = {192, 0, 2, 2}, six[16] = {0x20, 1, 0x0d, 0xb8, [15] = 1};
    struct dns_reading reading;
    struct slab out = begin(DNS_A, 3);
    put_record(&out, 5, 30, view_of("\3www\xc0\x0c", 6)); /* an alias: its TTL counts */
    put_record(&out, DNS_A, 60, view_of(four, 4));
    put_record(&out, DNS_A, 90, view_of(other, 4));
    CHECK_INT(dns_answer_read(slab_view(&out), DNS_A, &reading), 0);
    CHECK_INT(reading.count, 2);
    CHECK_INT(reading.ttl_s, 30);
    CHECK(is_text(&reading.records[0], "192.0.2.1") && is_text(&reading.records[1], "192.0.2.2"));
    CHECK_INT(dns_answer_read(slab_view(&out), DNS_TXT, &reading), ERR_NOT_FOUND);
    out = begin(DNS_AAAA, 1);
    put_record(&out, DNS_AAAA, 0x80000001, view_of(six, 16)); /* RFC 2181: no TTL */
    CHECK_INT(dns_answer_read(slab_view(&out), DNS_AAAA, &reading), 0);
    CHECK_INT(reading.ttl_s, 0);
    CHECK(is_text(&reading.records[0], "2001:db8::1"));
}

TEST(services_come_by_priority_with_their_targets)
{
    struct dns_reading reading;
    struct slab out = begin(DNS_SRV, 3);
    put_record(&out, DNS_SRV, 60, view_of("\0\x14\0\5\x0d\x97\2t2\xc0\x0c", 11));
    put_record(&out, DNS_SRV, 60, view_of("\0\x0a\0\1\x0d\x96\2t1\xc0\x0c", 11));
    put_record(&out, DNS_SRV, 60, view_of("\0\x14\0\0\x0d\x98\0", 7));
    CHECK_INT(dns_answer_read(slab_view(&out), DNS_SRV, &reading), 0);
    CHECK_INT(reading.count, 3);
    CHECK(is_text(&reading.records[0], "t1.game.example") && is_text(&reading.records[1], "t2.game.example") && is_text(&reading.records[2], ""));
    CHECK_INT(reading.records[0].priority, 10);
    CHECK_INT(reading.records[1].weight, 5);
    CHECK_INT(reading.records[1].port, 3479);
}

TEST(strings_of_a_text_are_one)
{
    struct dns_reading reading;
    struct slab out = begin(DNS_TXT, 2);
    put_record(&out, DNS_TXT, 60, view_of("\4v=ga\3me1", 9));
    put_record(&out, DNS_TXT, 60, view_of("\0", 1));
    CHECK_INT(dns_answer_read(slab_view(&out), DNS_TXT, &reading), 0);
    CHECK(is_text(&reading.records[0], "v=game1") && is_text(&reading.records[1], ""));
}

TEST(what_is_broken_is_refused)
{
    struct dns_reading reading;
    struct slab out = begin(DNS_A, 1);
    put_record(&out, DNS_A, 60, view_of("\1\2\3", 3));
    CHECK_INT(dns_answer_read(slab_view(&out), DNS_A, &reading), ERR_BAD);
    out = begin(DNS_TXT, 1);
    put_record(&out, DNS_TXT, 60, view_of("\5abc", 4));
    CHECK_INT(dns_answer_read(slab_view(&out), DNS_TXT, &reading), ERR_BAD);
    out = begin(DNS_SRV, 1);
    put_record(&out, DNS_SRV, 60, view_of("\0\1\0\1\0\1\3a.b\0", 11)); /* a dot within a label */
    CHECK_INT(dns_answer_read(slab_view(&out), DNS_SRV, &reading), ERR_BAD);
    out = begin(DNS_SRV, 1);
    put_record(&out, DNS_SRV, 60, view_of("\0\1\0\1\0\1\xc0\x30", 8)); /* a pointer to itself */
    CHECK_INT(get_u16(bytes + 0x30), 0xc030);
    CHECK_INT(dns_answer_read(slab_view(&out), DNS_SRV, &reading), ERR_BAD);
    out = begin(DNS_SRV, 1);
    put_record(&out, DNS_SRV, 60, view_of("\0\1\0\1\0\1\x40\1", 8)); /* a label of no kind */
    CHECK_INT(dns_answer_read(slab_view(&out), DNS_SRV, &reading), ERR_BAD);
    out = begin(DNS_A, 500); /* more than there are */
    CHECK_INT(dns_answer_read(slab_view(&out), DNS_A, &reading), ERR_BAD);
}

TEST(no_more_than_there_is_room_for)
{
    struct dns_reading reading;
    struct slab out = begin(DNS_A, 100);
    for (int i = 0; i < 100; i++)
        put_record(&out, DNS_A, 60, view_of("\1\2\3\4", 4));
    CHECK_INT(dns_answer_read(slab_view(&out), DNS_A, &reading), 0);
    CHECK_INT(reading.count, DNS_RECORDS_MAX);
}

TEST(every_prefix_and_every_changed_byte_is_read_within_its_bounds)
{
    struct dns_reading reading;
    struct slab out = begin(DNS_SRV, 3);
    put_record(&out, DNS_SRV, 60, view_of("\0\x14\0\5\x0d\x97\2t2\xc0\x0c", 11));
    put_record(&out, DNS_TXT, 60, view_of("\4v=ga\3me1", 9));
    put_record(&out, DNS_A, 60, view_of("\1\2\3\4", 4));
    static const enum dns_type types[] = {DNS_A, DNS_AAAA, DNS_SRV, DNS_TXT};
    for (size_t len = 0; len <= out.len; len++) {
        uint8_t *guarded = test_guarded(bytes, len);
        for (size_t type = 0; type < 4; type++)
            dns_answer_read(view_of(guarded, len), types[type], &reading);
        for (size_t at = 0; len == out.len && at < len; at++)
            for (unsigned value = 0; value < 256; value += 3) {
                const uint8_t was = guarded[at];
                guarded[at] = (uint8_t)value;
                for (size_t type = 0; type < 4; type++)
                    dns_answer_read(view_of(guarded, len), types[type], &reading);
                guarded[at] = was;
            }
        test_unguard(guarded, len);
    }
}

TEST_LIST(RUN(addresses_are_read) RUN(services_come_by_priority_with_their_targets) RUN(strings_of_a_text_are_one) RUN(what_is_broken_is_refused)
              RUN(no_more_than_there_is_room_for) RUN(every_prefix_and_every_changed_byte_is_read_within_its_bounds))
