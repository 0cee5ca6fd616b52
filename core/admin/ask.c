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

static void aim(CURL *curl, const char *socket, const char *path)
{
    char url[ASK_PATH_MAX + 16];
    snprintf(url, sizeof url, "http://relay%s", path);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
}

/* struct question: what is asked; body NULL: none. */
struct question {
    const char *method, *path, *body;
};

static CURLcode transfer(CURL *curl, const char *socket, const struct question *question, struct text *text)
{
    struct curl_slist *json = question->body ? curl_slist_append(NULL, "Content-Type: application/json") : NULL;
    aim(curl, socket, question->path);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, question->method);
    if (question->body)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, question->body); /* of NULL it would read standard input */
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, json);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ASK_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, text);
    const CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(json);
    return code;
}

/* report: what became of it. */
static int report(CURL *curl, CURLcode code, const char *socket, long *status, char *error, size_t error_cap)
{
    long why = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &why);
    if (code == CURLE_OK)
        return 0;
    snprintf(error, error_cap, "%s: %s", socket, why ? strerrordesc_np((int)why) : curl_easy_strerror(code));
    return ERR_SYSTEM;
}

static int ask(const char *socket, const struct question *question, long *status, struct text *text, char *error, size_t error_cap)
{
    CURL *curl = curl_easy_init();
    snprintf(error, error_cap, "out of memory");
    if (!curl)
        return ERR_MEMORY;
    const int err = report(curl, transfer(curl, socket, question, text), socket, status, error, error_cap);
    curl_easy_cleanup(curl);
    if (err)
        free(text->at);
    return err;
}

/* end_text: as a C string, from malloc. */
static int end_text(struct text *got, char **text)
{
    *text = realloc(got->at, got->len + 1);
    if (!*text) {
        free(got->at);
        return ERR_MEMORY;
    }
    (*text)[got->len] = 0;
    return 0;
}

static int ask_text(const char *socket, const struct question *question, long *status, char **text, char *error, size_t error_cap)
{
    struct text got = {0};
    const int err = ask(socket, question, status, &got, error, error_cap);
    return err ? err : end_text(&got, text);
}

int ask_door_text(const char *socket, const char *method, const char *path, long *status, char **text, char *error, size_t error_cap)
{
    return ask_text(socket, &(struct question){method, path, NULL}, status, text, error, error_cap);
}

/* struct following: `refusal`: what came with another status than 200. */
struct following {
    CURL *curl;
    const struct ask_follow *follow;
    struct text refusal;
};

static size_t take_piece(char *data, size_t one, size_t len, void *ctx)
{
    struct following *following = ctx;
    long status = 0;
    curl_easy_getinfo(following->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        return take(data, one, len, &following->refusal);
    return following->follow->each(following->follow->ctx, data, len) ? len : 0;
}

int ask_follow(const char *socket, const struct ask_follow *follow, long *status, char **text, char *error, size_t error_cap)
{
    struct following following = {.curl = curl_easy_init(), .follow = follow};
    struct curl_slist *headers = follow->header ? curl_slist_append(NULL, follow->header) : NULL;
    CURL *curl = following.curl;
    snprintf(error, error_cap, "out of memory");
    if (!curl || (follow->header && !headers)) {
        curl_easy_cleanup(curl);
        return ERR_MEMORY;
    }
    aim(curl, socket, follow->path);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)ASK_SILENCE_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_piece);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &following);
    const int err = report(curl, curl_easy_perform(curl), socket, status, error, error_cap);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    if (err)
        free(following.refusal.at);
    return err ? err : end_text(&following.refusal, text);
}

int ask_door_with(const char *socket, const char *method, const char *path, const char *body, long *status, json_t **answer, char *error, size_t error_cap)
{
    char *text;
    const int err = ask_text(socket, &(struct question){method, path, body}, status, &text, error, error_cap);
    if (err)
        return err;
    *answer = json_loads(text, 0, NULL);
    free(text);
    if (json_is_object(*answer))
        return 0;
    json_decref(*answer);
    snprintf(error, error_cap, "what answered is no relay");
    return ERR_BAD;
}

int ask_door(const char *socket, const char *method, const char *path, long *status, json_t **body, char *error, size_t error_cap)
{
    return ask_door_with(socket, method, path, NULL, status, body, error, error_cap);
}
