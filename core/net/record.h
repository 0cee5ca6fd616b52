/* record.h: the records of a TLS connection or a DTLS session whose handshake is over, with the keys that it ended in.
 *
 * OpenSSL shakes hands; what it needs to go on is some 14 KiB for each, of which the keys, their sequence numbers and what they are derived from are
 * 300 bytes. They are here, and its session is let go. A record is made where it is sent from. Each frame has its own, as long as it is no longer than
 * RECORD_WHOLE_MAX: there are clients (turnutils_uclient) who take what a record holds for one message.
 *
 *      0      1        3        5                  13                          RFC 8446 section 5.2; RFC 5246 section 6.2.3.3, RFC 5288, RFC 7905
 *     +------+--------+--------+------------------+---------------+---------+
 *     | type | 03, 03 | length | nonce of 1.2,GCM | sealed        | tag(16) |  `type` of 1.3 is 23; its own is the last byte of what is sealed
 *     +------+--------+--------+------------------+---------------+---------+
 *      0      1        3        5        11       13                 21        RFC 6347 section 4.1
 *     +------+--------+--------+--------+--------+------------------+--------+---------+
 *     | type | fe, fd | epoch  | number | length | the same two, GCM| sealed | tag(16) |  the number that goes into nonce and tag has the epoch in front
 *     +------+--------+--------+--------+--------+------------------+--------+---------+
 *
 * TLS 1.3: KeyUpdate is answered. TLS 1.2: no renegotiation. Neither: anything else of a handshake. Who sends records without data, too many in a row, is broken.
 * Private to the room. Plain data, of no thread in particular, but for what `record_way` names.
 */
#ifndef RELAY_NET_RECORD_H
#define RELAY_NET_RECORD_H

#include "base/crypto.h"
#include "net/outbox.h"
#include "net/tls_pipe.h"

#define RECORD_PLAIN_MAX 16384
#define RECORD_WHOLE_MAX 4000
#define RECORD_WIRE_MAX (5 + RECORD_PLAIN_MAX + 256) /* of 1.3; those of 1.2 with AEAD are shorter */

enum record_end {
    RECORDS_MORE,   /* what is left is no whole record */
    RECORDS_CLOSED, /* close_notify */
    RECORDS_BROKEN  /* the connection is over; records_answer tells why, if it is the client who does not know yet */
};

struct record_keys {
    uint64_t sequence;
    uint8_t key[CRYPTO_AEAD_KEY_MAX], iv[CRYPTO_AEAD_NONCE_LEN];
    uint8_t secret[TLS_SECRET_MAX]; /* of 1.3: they and their successors are derived from it */
};

struct records {
    struct record_keys in, out;
    uint8_t aead, hash; /* enum crypto_aead, crypto_hash */
    bool is_1_3;
    uint8_t nonce_len; /* in a record */
    uint8_t idle;      /* records without data, in a row */
    uint8_t alert;     /* to be told; 0: none (close_notify has its own way) */
    bool update_due, refusal_due;
    bool closed; /* by close_notify */
    uint16_t limit; /* bytes of data in a record that is sent, RFC 6066 section 4 */
    uint64_t seen;  /* of datagrams: which of the 64 numbers up to in.sequence have come */
};

/* struct record_way: what a call works with: the worker's crypto, and where what is sent goes. */
struct record_way {
    struct crypto *crypto;
    struct outbox *out;
    struct chunks *spare;
};

/* records_new: NULL without memory.  records_begin: goes on where the handshake ended; false if that left bytes of a stream over. */
struct records *records_new(void);
bool records_begin(struct records *, struct crypto *, const struct handshake *);
void records_free(struct records *); /* wipes the keys */

/* records_read: opens the whole records at the front of *in, which is moved on; their data is appended to `data`, which has room for all of *in.
 * Nothing is read behind close_notify. */
enum record_end records_read(struct records *, struct crypto *, struct view *in, struct slab *data);

/* records_put: data to send.  records_answer: what the records that were read ask for.
 * records_goodbye: close_notify. False without memory: the connection is of no use any more. */
bool records_put(struct records *, const struct record_way *, struct view data);
bool records_answer(struct records *, const struct record_way *);
bool records_goodbye(struct records *, const struct record_way *);

/* ---- of DTLS, record_datagram.c ---- */

enum record_found { RECORD_NONE, RECORD_DATA, RECORD_CLOSED };

/* records_next: the data of the next record of a datagram that is good, new and not empty, appended to `data`, or the end of the session; *in is moved on. All else is
 * passed over, as RFC 6347 section 4.1.2.7 wants it. */
enum record_found records_next(struct records *, struct crypto *, struct view *in, struct slab *data);

#define RECORD_DATAGRAM_MAX (13 + 8 + RECORD_PLAIN_MAX + CRYPTO_AEAD_TAG_LEN)

/* records_datagram: data as one record; its length, 0: it cannot be sent.  records_datagram_goodbye: close_notify. */
size_t records_datagram(struct records *, struct crypto *, struct view data, uint8_t out[RECORD_DATAGRAM_MAX]);
size_t records_datagram_goodbye(struct records *, struct crypto *, uint8_t out[RECORD_DATAGRAM_MAX]);

/* ---- of both ---- */

enum record_content { CONTENT_ALERT = 21, CONTENT_HANDSHAKE = 22, CONTENT_DATA = 23 };
enum { ALERT_CLOSE_NOTIFY, ALERT_WARNING = 1, ALERT_FATAL };

#define RECORD_BOUND_LEN 13

/* record_nonce: for the record with that number. `explicit`: the nonce in the record, where there is one.  record_bound: what a tag of 1.2 covers: the number, what
 * begins the header (type and version), and the length of what is sealed. */
void record_nonce(const struct records *, const struct record_keys *, uint64_t number, const uint8_t *explicit, uint8_t out[CRYPTO_AEAD_NONCE_LEN]);
struct view record_bound(uint64_t number, const uint8_t header[3], size_t len, uint8_t out[RECORD_BOUND_LEN]);

/* record_keys_next: the keys that follow in TLS 1.3 (record_keys.c). */
bool record_keys_next(const struct records *, struct crypto *, struct record_keys *);

#endif
