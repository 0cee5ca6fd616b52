/* password.c: see password.h. */
#include "turn/password.h"

#include "base/opaque.h"
#include "wire/integrity.h"

/* struct forms: of one password, each once. */
struct forms {
    struct view at[PASSWORD_KEYS_MAX];
    size_t count;
    char prepared[OPAQUE_MAX_LEN + 1], older[OPAQUE_MAX_LEN + 1];
};

static void forms_add(struct forms *forms, struct view form)
{
    for (size_t i = 0; i < forms->count; i++)
        if (view_equal(forms->at[i], form))
            return;
    forms->at[forms->count++] = form;
}

static void forms_of(struct forms *forms, struct view password)
{
    const struct view prepared = opaque_prepared(password, forms->prepared);
    forms->count = 0;
    if (prepared.len) {
        forms_add(forms, prepared);
        forms_add(forms, opaque_saslprep(prepared, forms->older));
    }
    forms_add(forms, password);
}

static int key_of(struct crypto *crypto, const struct login *login, struct view form, struct long_term_key *key)
{
    *key = (struct long_term_key){.len = login->sha256 ? INTEGRITY_KEY_SHA256_LEN : INTEGRITY_KEY_LEN};
    return (login->sha256 ? integrity_key_sha256 : integrity_key)(crypto, login->username, login->realm, form, key->bytes);
}

int password_keys(struct crypto *crypto, const struct login *login, struct view password, struct long_term_key keys[PASSWORD_KEYS_MAX])
{
    struct forms forms;
    int err = 0;
    if (opaque_is_plain(password)) {
        err = key_of(crypto, login, password, &keys[0]);
        return err ? err : 1;
    }
    forms_of(&forms, password);
    for (size_t i = 0; i < forms.count && !err; i++)
        err = key_of(crypto, login, forms.at[i], &keys[i]);
    const int count = (int)forms.count;
    crypto_wipe(&forms, sizeof forms);
    return err ? err : count;
}

struct login password_login(const struct request *request, const char *user)
{
    const bool is_named = request->username.len > 0 || request->userhash.len == 0;
    return (struct login){
        .username = is_named ? request->username : view_text(user),
        .realm = view_text(request->realm),
        .sha256 = request->wants_sha256,
    };
}

int password_offer(struct crypto *crypto, const struct login *login, struct view password, struct verdict *verdict)
{
    struct long_term_key keys[PASSWORD_KEYS_MAX];
    const int count = password_keys(crypto, login, password, keys);
    for (int i = 0; i < count && verdict->key_count < VERDICT_KEYS_MAX; i++)
        verdict->keys[verdict->key_count++] = keys[i];
    crypto_wipe(keys, sizeof keys);
    return count < 0 ? count : 0;
}
