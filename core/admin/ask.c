/* ask.c: libcurl over a unix socket. */
#include "admin/ask.h"

#include "base/err.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text {
    char *at;
    size_t len;
};

void ask_put_part(struct slab *path, const char *part)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"; /* RFC 3986 section 2.3 */
    char hex[4];
    for (; *part; part++) {
        snprintf(hex, sizeof hex, strchr(plain, *part) ? "%c" : "%%%02X", (unsigned char)*part);
        slab_put_text(path, hex);
    }
}

void ask_put(struct slab *path, const char *name, const char *value)
{
    if (!value)
        return;
    slab_put_u8(path, memchr(path->at, '?', path->len) ? '&' : '?');
    slab_put_text(path, name);
    slab_put_u8(path, '=');
    ask_put_part(path, value);
}

static size_t take(char *data, size_t one, size_t len, void *ctx)
{
    struct text *text = ctx;
    (void)one; /* always 1 */
    char *more = len <= ASK_ANSWER_MAX - text->len ? realloc(text->at, text->len + len) : NULL;
    if (!more)
        return 0;
    memcpy(more + text->len, data, len);
    text->at = more;
    text->len += len;
    return len;
}

static CURLcode transfer(CURL *curl, const char *socket, const char *method, const char *path, struct text *text)
{
    char url[ASK_PATH_MAX + 16];
    snprintf(url, sizeof url, "http://relay%s", path);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ASK_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, text);
    return curl_easy_perform(curl);
}

static int ask(const char *socket, const char *method, const char *path, long *status, struct text *text, char *error, size_t error_cap)
{
    CURL *curl = curl_easy_init();
    snprintf(error, error_cap, "out of memory");
    if (!curl)
        return ERR_MEMORY;
    const CURLcode code = transfer(curl, socket, method, path, text);
    long why = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &why);
    curl_easy_cleanup(curl);
    if (code == CURLE_OK)
        return 0;
    snprintf(error, error_cap, "%s: %s", socket, why ? strerrordesc_np((int)why) : curl_easy_strerror(code));
    free(text->at);
    return ERR_SYSTEM;
}

int ask_door_text(const char *socket, const char *method, const char *path, long *status, char **text, char *error, size_t error_cap)
{
    struct text got = {0};
    const int err = ask(socket, method, path, status, &got, error, error_cap);
    if (err)
        return err;
    *text = realloc(got.at, got.len + 1);
    if (!*text) {
        free(got.at);
        return ERR_MEMORY;
    }
    (*text)[got.len] = 0;
    return 0;
}

int ask_door(const char *socket, const char *method, const char *path, long *status, json_t **body, char *error, size_t error_cap)
{
    char *text;
    const int err = ask_door_text(socket, method, path, status, &text, error, error_cap);
    if (err)
        return err;
    *body = json_loads(text, 0, NULL);
    free(text);
    if (json_is_object(*body))
        return 0;
    json_decref(*body);
    snprintf(error, error_cap, "what answered is no relay");
    return ERR_BAD;
}
