/* desk_secret.c: shared secrets of time-limited credentials. */
#include "store/desk_statement.h"

#include "base/clock.h"
#include "base/err.h"

/* Adding a secret again makes it the newest. The audit row names the realm alone. */
int desk_secret_add(struct desk *desk, const char *realm, const char *secret, const char *who)
{
    if (!*secret)
        return desk_refuse(desk, ERR_RANGE, "an empty secret");
    int err = desk_start(desk);
    if (err == 0)
        err = RUN(
            desk,
            "INSERT INTO secrets (realm, secret, created_ms) VALUES (?1, ?2, ?3) ON CONFLICT (realm, secret) DO UPDATE SET created_ms = ?3",
            TEXT(realm), TEXT(secret), NUMBER(clock_unix_ms()));
    if (err == 0)
        err = desk_audit(desk, who, "secret_add", (const char *const[]){"realm", realm, "change", "added"});
    return desk_finish(desk, err);
}
