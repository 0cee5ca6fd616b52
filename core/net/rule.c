/* rule.c: URLs in their parts, and rules that they are compared with. */
#include "net/rule.h"

#include "base/err.h"
#include "net/http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

void place_close(struct place *place)
{
    curl_free(place->scheme);
    curl_free(place->host);
    curl_free(place->port);
    curl_free(place->path);
}

/* place_of: false for what is no URL of HTTP, or hides a name and a password. */
static bool place_of(CURLU *url, struct place *out)
{
    char *user = NULL;
    *out = (struct place){0};
    const bool is_plain = curl_url_get(url, CURLUPART_USER, &user, 0) != CURLUE_OK;
    curl_free(user);
    return is_plain && curl_url_get(url, CURLUPART_SCHEME, &out->scheme, 0) == CURLUE_OK &&
           (strcasecmp(out->scheme, "http") == 0 || strcasecmp(out->scheme, "https") == 0) &&
           curl_url_get(url, CURLUPART_HOST, &out->host, 0) == CURLUE_OK &&
           curl_url_get(url, CURLUPART_PORT, &out->port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
           curl_url_get(url, CURLUPART_PATH, &out->path, 0) == CURLUE_OK;
}

CURLU *place_parse(const char *text, struct place *out)
{
    CURLU *url = curl_url();
    *out = (struct place){0};
    if (url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK && place_of(url, out))
        return url;
    place_close(out);
    *out = (struct place){0};
    curl_url_cleanup(url);
    return NULL;
}

static bool is_url(const char *rule)
{
    return strstr(rule, "://") != NULL;
}

/* is_below: `path` is `prefix` or below it; what a server may read as another path is not. */
static bool is_below(const char *path, const char *prefix)
{
    const size_t len = strlen(prefix);
    if (strcmp(prefix, "/") == 0)
        return true;
    if (strstr(path, "..") || strchr(path, '\\') || strcasestr(path, "%2e") || strcasestr(path, "%2f") || strcasestr(path, "%5c"))
        return false;
    return strncmp(path, prefix, len) == 0 && (prefix[len - 1] == '/' || path[len] == 0 || path[len] == '/');
}

/* rule_text: HOST[:PORT] as a URL of the scheme that it is compared with. */
static const char *rule_text(const char *rule, const char *scheme, char *out, size_t cap)
{
    if (is_url(rule))
        return rule;
    snprintf(out, cap, "%s://%s/", scheme, rule);
    return out;
}

static bool rule_has(const char *rule, const struct place *place)
{
    char text[512];
    struct place allowed;
    CURLU *url = place_parse(rule_text(rule, place->scheme, text, sizeof text), &allowed);
    const bool has = url && strcasecmp(allowed.scheme, place->scheme) == 0 && strcasecmp(allowed.host, place->host) == 0 &&
                     strcmp(allowed.port, place->port) == 0 && is_below(place->path, allowed.path);
    place_close(&allowed);
    curl_url_cleanup(url);
    return has;
}

const char *http_rule_check(const char *rule)
{
    char text[512];
    struct place place;
    if (strlen(rule) > 255)
        return "longer than 255 bytes";
    if (!is_url(rule) && strpbrk(rule, "/?#@"))
        return "is neither HOST[:PORT] nor http://... nor https://...";
    CURLU *url = place_parse(rule_text(rule, "https", text, sizeof text), &place);
    const bool is_plain = url && !strpbrk(rule, "?#");
    place_close(&place);
    curl_url_cleanup(url);
    return is_plain ? NULL : "is neither HOST[:PORT] nor http://... nor https://...";
}

int rules_judge(const char *const *rules, size_t rule_count, const struct place *place)
{
    for (size_t i = 0; i < rule_count; i++)
        if (rule_has(rules[i], place))
            return 0;
    return ERR_DENIED;
}

int http_judge(const char *const *rules, size_t rule_count, const char *url)
{
    struct place place;
    CURLU *parsed = place_parse(url, &place);
    const int err = parsed ? rules_judge(rules, rule_count, &place) : ERR_BAD;
    place_close(&place);
    curl_url_cleanup(parsed);
    return err;
}
