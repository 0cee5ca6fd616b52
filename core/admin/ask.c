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
    char url[512];
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

static int read_answer(const struct text *text, json_t **body, char *error, size_t error_cap)
{
    *body = json_loadb(text->at ? text->at : "", text->len, 0, NULL);
    if (json_is_object(*body))
        return 0;
    json_decref(*body);
    snprintf(error, error_cap, "what answered is no relay");
    return ERR_BAD;
}

int ask_door(const char *socket, const char *method, const char *path, long *status, json_t **body, char *error, size_t error_cap)
{
    struct text text = {0};
    CURL *curl = curl_easy_init();
    snprintf(error, error_cap, "out of memory");
    if (!curl)
        return ERR_MEMORY;
    const CURLcode code = transfer(curl, socket, method, path, &text);
    long why = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &why);
    curl_easy_cleanup(curl);
    int err = ERR_SYSTEM;
    if (code == CURLE_OK)
        err = read_answer(&text, body, error, error_cap);
    else
        snprintf(error, error_cap, "%s: %s", socket, why ? strerrordesc_np((int)why) : curl_easy_strerror(code));
    free(text.at);
    return err;
}
