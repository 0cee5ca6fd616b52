/* dns.h: one DNS lookup as plain data: what is asked, and what came back. Who asks and who resolves do not know each other. */
#ifndef RELAY_BASE_DNS_H
#define RELAY_BASE_DNS_H

#include "base/bytes.h"

#define DNS_NAME_MAX 253   /* as text */
#define DNS_RECORDS_MAX 64 /* of an answer */

enum dns_type { DNS_A = 1, DNS_TXT = 16, DNS_AAAA = 28, DNS_SRV = 33 }; /* as on the wire: RFC 1035, 3596, 2782 */

struct dns_question {
    const char *name;
    enum dns_type type;
};

/* struct dns_record: its text: of A and AAAA the address, of TXT its strings joined, of SRV the target; the numbers are of SRV. */
struct dns_record {
    struct view text;
    uint16_t priority, weight, port;
};

/* struct dns_answer: borrowed. */
struct dns_answer {
    const char *error; /* NULL: there are records; else "not found", "timeout", or "failed" */
    const struct dns_record *records; /* of SRV by priority */
    size_t count;
};

#endif
