/* dns_answer.h: the answer of a name server, read: its records of the type that was asked for, and how long they hold.
 *
 *      +------------+----------+-----------------+------
 *      | header, 12 | question | resource records| ...      RFC 1035 section 4.1
 *      +------------+----------+-----------------+------
 *      record: NAME, TYPE (2), CLASS (2), TTL (4), RDLENGTH (2), RDATA
 *
 * Private to the room. Texts lie in the struct itself. The server is one that resolves (RFC 1034 section 5.3.1): records of the answer section are
 * taken whatever alias led to them.
 */
#ifndef RELAY_NET_DNS_ANSWER_H
#define RELAY_NET_DNS_ANSWER_H

#include "base/dns.h"

#define DNS_TEXTS_MAX ((size_t)16 << 10) /* of an answer, together */

struct dns_reading {
    struct dns_record records[DNS_RECORDS_MAX];
    size_t count; /* more are left out */
    uint32_t ttl_s;
    size_t text_len;
    char text[DNS_TEXTS_MAX];
};

/* dns_answer_read: 0; ERR_NOT_FOUND: there is no such record; ERR_BAD: it cannot be read. */
int dns_answer_read(struct view message, enum dns_type, struct dns_reading *out);

#endif
