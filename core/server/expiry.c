/* expiry.c: see expiry.h. */
#include "server/expiry.h"

#include "base/clock.h"

#define DAY_S 86400

void expiry_tell(struct news *news, const struct tls *tls, const struct tls_pair *pairs, size_t count)
{
    const int64_t now_s = clock_unix_ms() / 1000;
    for (size_t i = 0; tls && i < count; i++) {
        const int64_t expires_s = tls_expiry(tls, i), days = (expires_s - now_s) / DAY_S;
        if (days < EXPIRY_DAYS)
            news_tell(news, NEWS_CERTIFICATE_EXPIRING, NEWS_OPERATOR,
                      NEWS(NEWS_TEXT(pairs[i].cert), NEWS_NUMBER(expires_s), NEWS_NUMBER(days)));
    }
}
