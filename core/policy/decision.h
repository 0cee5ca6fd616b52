/* decision.h: relay.deny, relay.allow, relay.key and their kin: what a hook may answer, checked when it is built and again by the hook that
 * returns it.
 *
 * A decision is a userdata that a script can only return. It is plain data; its texts follow the struct. `by` is the line that built it.
 */
#ifndef RELAY_POLICY_DECISION_H
#define RELAY_POLICY_DECISION_H

#include "policy/allowance.h"
#include "policy/state.h"

/* struct text: a C string of a decision; of no length if absent. */
struct text {
    uint16_t at, len;
};

struct decision {
    enum verdict_kind kind;
    int code;
    struct text by, reason, tenant, user, realm, domain;
    uint8_t password_count;
    bool has_ha1, has_ha1_sha256;
    enum on_expiry on_expiry;
    uint8_t limits_given; /* of enum limit */
    struct text passwords[VERDICT_KEYS_MAX];
    uint8_t ha1[16], ha1_sha256[32];
    uint8_t mac_key[32], mac_key_len; /* of an access token; 0: none */
    int64_t expires_unix_s;
    struct addr servers[2];
    uint16_t allowance_at; /* offset of the struct allowance of relay.allow, or 0 */
    uint16_t texts_at;
};

/* decision_open: the metatable. May raise. */
void decision_open(lua_State *L);

const char *decision_kind(const struct decision *); /* "deny" */
const char *decision_text(const struct decision *, struct text);
const struct allowance *decision_allowance(const struct decision *); /* NULL if it is no relay.allow */

#endif
