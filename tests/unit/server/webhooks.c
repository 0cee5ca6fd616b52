/* webhooks: the signature, and which events they may have */
#include "server/webhooks.h"

#include "test.h"

/* The example of the documentation of Standard Webhooks. */
TEST(a_signature_is_as_standard_webhooks_has_it)
{
    uint8_t secret[32];
    size_t len;
    char out[HOOK_SIGNATURE_MAX];
    struct crypto *crypto = crypto_new();
    CHECK_INT(crypto_base64_decode(view_text("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), secret, sizeof secret, &len), 0);
    const struct hook_letter letter = {"msg_p5jXN8AQM9LWM0D4loKWxJek", "{\"test\": 2432232314}", 1614265330};
    CHECK_INT(webhooks_sign(crypto, view_of(secret, len), &letter, out), 0);
    CHECK_TEXT(out, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    crypto_free(crypto);
}

TEST(a_secret_is_shown_with_its_prefix)
{
    const uint8_t secret[WEBHOOK_SECRET_LEN] = {[31] = 1};
    char out[HOOK_SECRET_TEXT_MAX];
    CHECK_TEXT(webhooks_secret(secret, out), "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=");
}

TEST(the_words_of_a_body_are_the_kinds_that_webhooks_may_have)
{
    char word[FIELD_NAME_MAX + 1], words[512] = "";
    for (unsigned i = 0; i < NEWS_KINDS; i++) {
        const struct news_row *row = news_row((enum news_kind)i);
        if (row->to_hooks)
            snprintf(words + strlen(words), sizeof words - strlen(words), "%s%s", *words ? "|" : "", row->name);
    }
    CHECK_TEXT(words, NEWS_HOOK_TYPES);
    CHECK(field_word(NEWS_HOOK_TYPES, word) != NULL);
}

TEST_LIST(RUN(a_signature_is_as_standard_webhooks_has_it) RUN(a_secret_is_shown_with_its_prefix)
              RUN(the_words_of_a_body_are_the_kinds_that_webhooks_may_have))
