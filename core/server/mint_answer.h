/* mint_answer.h: a credential as JSON, in the forms that clients know. */
#ifndef RELAY_SERVER_MINT_ANSWER_H
#define RELAY_SERVER_MINT_ANSWER_H

#include "server/mint.h"

#include <jansson.h>

/* X(name): what `format` may be:
 *   ice     {"iceServers": [{"urls", "username", "credential"}], "credentialId", "expiresAt"}: the first is for RTCPeerConnection as it is
 *   uberti  {"username", "password", "ttl", "uris"}: draft-uberti-behave-turn-rest
 *   twilio  a Token of Twilio's Network Traversal Service: "ice_servers" with "url" and "urls", "ttl" as text, "date_created" and "date_updated" */
#define MINT_FORMATS(X) X(ice) X(uberti) X(twilio)

enum mint_format {
#define X(name) MINT_FORMAT_##name,
    MINT_FORMATS(X)
#undef X
        MINT_FORMAT_COUNT
};

/* mint_format: by its name; NULL: ice; MINT_FORMAT_COUNT: there is none of that name. */
enum mint_format mint_format(const char *name);

/* mint_answer: NULL without memory. */
json_t *mint_answer(const struct config *, const struct mint_order *, const struct mint_credential *, enum mint_format);

/* mint_transports: those that clients may come by, MINT_UDP | ....  mint_transport: one by its name; 0: there is none.  mint_urls: where the server is
 * reached over those of the order: as public-host says, or else external-ip, or an address that it has. */
unsigned mint_transports(const struct config *);
unsigned mint_transport(const char *name);
json_t *mint_urls(const struct config *, unsigned transports);

/* mint_door: where the admin door is reached from outside, https://relay.example.org:8443, into `out`; "" if it has no address but that of a unix socket. */
#define MINT_DOOR_MAX 320
const char *mint_door(const struct config *, char out[MINT_DOOR_MAX]);

#endif
