/* http.c: a curl multi handle whose sockets, in an epoll of their own, and timer are watches of the loop. */
#include "net/http.h"

#include "base/err.h"
#include "net/guard.h"
#include "net/rule.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_PER_HOST 2048 /* an exchange that has to wait for a connection may be late: of one tenant 512 may wait on a worker */
#define CONNECTIONS_KEPT 512
#define HEADERS_MAX 64
#define READY_MAX 8 /* sockets in a turn of the loop */

struct http_exchange {
    struct http *http;
    CURL *easy;
    CURLU *url; /* curl reads it as it goes */
    struct curl_slist *headers;
    struct http_ending ending;
    char *body;
    size_t body_len, body_room, headers_len, header_count;
    struct http_header answered[HEADERS_MAX];
    bool too_large, is_guarded, is_private;
    struct http_exchange *next, **link;
};

struct http {
    struct loop *loop;
    CURLM *multi;
    const char *const *rules;
    size_t rule_count;
    struct guard *guard; /* NULL: what no rule has is not asked */
    int sockets; /* an epoll of curl's sockets, itself one descriptor of the loop */
    struct watch ready, timer;
    struct http_exchange *exchanges;
    size_t count, bytes;
};

/* open_url: the parsed URL, which is what curl is given: nobody reads the text again. NULL: *err says why. */
static CURLU *open_url(const struct http *http, const char *text, bool *is_guarded, int *err)
{
    struct place place;
    CURLU *url = place_parse(text, &place);
    *err = url ? rules_judge(http->rules, http->rule_count, &place) : ERR_BAD;
    *is_guarded = *err == ERR_DENIED && http->guard && guard_lets(http->guard, &place);
    if (*is_guarded)
        *err = 0;
    place_close(&place);
    if (!*err)
        return url;
    curl_url_cleanup(url);
    return NULL;
}

int http_check(const struct http *http, const char *text)
{
    bool is_guarded;
    int err;
    curl_url_cleanup(open_url(http, text, &is_guarded, &err));
    return err;
}

/* ---- the end of an exchange ---- */

/* exchange_leave: curl and the list know it no more; twice is harmless. */
static void exchange_leave(struct http_exchange *exchange)
{
    if (!exchange->link)
        return;
    curl_multi_remove_handle(exchange->http->multi, exchange->easy);
    *exchange->link = exchange->next;
    if (exchange->next)
        exchange->next->link = exchange->link;
    exchange->link = NULL;
    exchange->http->count--;
}

static void exchange_free(struct http_exchange *exchange)
{
    struct http *http = exchange->http;
    exchange_leave(exchange);
    http->bytes -= exchange->body_room;
    curl_easy_cleanup(exchange->easy);
    curl_url_cleanup(exchange->url);
    curl_slist_free_all(exchange->headers);
    for (size_t i = 0; i < exchange->header_count; i++)
        free((void *)(uintptr_t)exchange->answered[i].name);
    free(exchange->body);
    free(exchange);
}

void http_cancel(struct http_exchange *exchange)
{
    exchange_free(exchange);
}

static const char *error_text(CURLcode code, const struct http_exchange *exchange)
{
    if (exchange->too_large)
        return "too large";
    if (exchange->is_private && code != CURLE_OK)
        return "private";
    switch (code) {
        case CURLE_OK:
            return NULL;
        case CURLE_OPERATION_TIMEDOUT:
            return "timeout";
        case CURLE_COULDNT_RESOLVE_HOST:
            return "resolve";
        case CURLE_COULDNT_CONNECT:
            return "connect";
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_PEER_FAILED_VERIFICATION:
            return "tls";
        default:
            return "failed";
    }
}

static void finish(struct http_exchange *exchange, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
    const struct http_ending ending = exchange->ending;
    const struct http_response response = {
        .error = error_text(code, exchange),
        .status = (int)status,
        .headers = exchange->answered,
        .header_count = exchange->header_count,
        .body = view_of(exchange->body ? exchange->body : "", exchange->body_len),
    };
    exchange_leave(exchange); /* first: who is told may begin others, or give them up */
    ending.done(ending.owner, &response);
    exchange_free(exchange);
}

static void finish_all(struct http *http)
{
    int left;
    for (const CURLMsg *message; (message = curl_multi_info_read(http->multi, &left));) {
        struct http_exchange *exchange = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        const CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)(void *)&exchange);
        finish(exchange, code);
    }
}

/* ---- curl on the loop ---- */

static void act(struct http *http, curl_socket_t fd, int events)
{
    int running;
    curl_multi_socket_action(http->multi, fd, events, &running);
    finish_all(http);
}

/* What is relayed is looked at between a few answers and the next few: a thousand that come at once are not one turn of the loop. */
static void on_ready(void *owner)
{
    struct http *http = owner;
    struct epoll_event events[READY_MAX];
    const int count = epoll_wait(http->sockets, events, READY_MAX, 0);
    for (int i = 0; i < count; i++) {
        const uint32_t what = events[i].events;
        act(http, events[i].data.fd,
            (what & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) | (what & EPOLLOUT ? CURL_CSELECT_OUT : 0) | (what & EPOLLERR ? CURL_CSELECT_ERR : 0));
    }
}

static void on_timer(void *owner)
{
    act(owner, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long ms, void *owner)
{
    struct http *http = owner;
    (void)multi;
    if (ms < 0)
        watch_stop(&http->timer);
    else
        watch_after(&http->timer, http->loop, ms, on_timer, http);
    return 0;
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *owner, void *known)
{
    struct http *http = owner;
    struct epoll_event event = {.events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) | (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0), .data.fd = fd};
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(http->sockets, EPOLL_CTL_DEL, fd, &event);
        return 0;
    }
    if (epoll_ctl(http->sockets, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0)
        return -1;
    curl_multi_assign(http->multi, fd, http);
    return 0;
}

/* ---- an answer comes ---- */

static size_t take_body(char *bytes, size_t size, size_t count, void *owner)
{
    struct http_exchange *exchange = owner;
    struct http *http = exchange->http;
    const size_t len = size * count, needed = exchange->body_len + len;
    if (needed > exchange->body_room) {
        const size_t room = needed < 1024 ? 1024 : needed > HTTP_BODY_MAX / 2 ? HTTP_BODY_MAX : 2 * needed;
        char *body =
            needed > HTTP_BODY_MAX || room - exchange->body_room > HTTP_ALL_MAX - http->bytes ? NULL : realloc(exchange->body, room);
        exchange->too_large = !body;
        if (!body)
            return 0;
        http->bytes += room - exchange->body_room;
        exchange->body = body;
        exchange->body_room = room;
    }
    memcpy(exchange->body + exchange->body_len, bytes, len);
    exchange->body_len = needed;
    return len;
}

/* put_header: "Name: value" of `len` bytes; no memory, no header. */
static void put_header(struct http_exchange *exchange, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    char *name = colon && exchange->header_count < HEADERS_MAX ? strndup(line, len) : NULL;
    if (!name)
        return;
    char *value = name + (colon - line);
    *value++ = 0;
    for (char *at = name; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    value += strspn(value, " \t");
    for (size_t end = strlen(value); end > 0 && strchr(" \t\r\n", value[end - 1]); end--)
        value[end - 1] = 0;
    exchange->answered[exchange->header_count++] = (struct http_header){name, value};
}

static size_t take_header(char *line, size_t size, size_t count, void *owner)
{
    struct http_exchange *exchange = owner;
    const size_t len = size * count;
    exchange->headers_len += len;
    exchange->too_large = exchange->headers_len > HTTP_HEADERS_MAX;
    put_header(exchange, line, len);
    return exchange->too_large ? 0 : len;
}

/* ---- an exchange begins ---- */

static bool add_headers(struct http_exchange *exchange, const struct http_request *request)
{
    char line[4400];
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (snprintf(line, sizeof line, *header->value ? "%s: %s" : "%s;", header->name, header->value) >= (int)sizeof line)
            return false;
        struct curl_slist *longer = curl_slist_append(exchange->headers, line);
        if (!longer)
            return false;
        exchange->headers = longer;
    }
    return true;
}

static bool add_body(struct http_exchange *exchange, const struct http_request *request)
{
    CURL *easy = exchange->easy;
    if (strcmp(request->method, "POST") != 0)
        return true;
    return curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body.at ? (const char *)request->body.at : "") == CURLE_OK;
}

/* open_socket: the address is known now, whatever the name was: one that is not public gets no socket. */
static curl_socket_t open_socket(void *owner, curlsocktype purpose, struct curl_sockaddr *at)
{
    struct http_exchange *exchange = owner;
    struct sockaddr_storage address = {0};
    (void)purpose;
    memcpy(&address, &at->addr, at->addrlen < sizeof address ? at->addrlen : sizeof address);
    if (guard_has(exchange->http->guard, &address))
        return socket(at->family, at->socktype | SOCK_CLOEXEC, at->protocol);
    exchange->is_private = true;
    return CURL_SOCKET_BAD;
}

/* A connection that another exchange left was not judged for this one. */
static bool set_guard(struct http_exchange *exchange)
{
    return !exchange->is_guarded || (curl_easy_setopt(exchange->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
                                     curl_easy_setopt(exchange->easy, CURLOPT_OPENSOCKETDATA, exchange) == CURLE_OK &&
                                     curl_easy_setopt(exchange->easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK);
}

static bool set_options(struct http_exchange *exchange, const struct http_request *request)
{
    CURL *easy = exchange->easy;
    bool fine = curl_easy_setopt(easy, CURLOPT_CURLU, exchange->url) == CURLE_OK && add_headers(exchange, request);
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {{CURLOPT_NOSIGNAL, 1},
                   {CURLOPT_FOLLOWLOCATION, 0},
                   {CURLOPT_SSL_VERIFYPEER, 1},
                   {CURLOPT_SSL_VERIFYHOST, 2},
                   {CURLOPT_TCP_NODELAY, 1},
                   {CURLOPT_TIMEOUT_MS, (long)request->timeout_ms},
                   {CURLOPT_CONNECTTIMEOUT_MS, (long)request->timeout_ms}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        fine = fine && curl_easy_setopt(easy, numbers[i].option, numbers[i].value) == CURLE_OK;
    return fine && curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK && curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange) == CURLE_OK && add_body(exchange, request) && set_guard(exchange);
}

/* exchange_new: takes over the URL. */
static struct http_exchange *exchange_new(struct http *http, CURLU *url, bool is_guarded, const struct http_request *request)
{
    struct http_exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange) {
        curl_url_cleanup(url);
        return NULL;
    }
    exchange->http = http;
    exchange->url = url;
    exchange->is_guarded = is_guarded;
    exchange->easy = curl_easy_init();
    if (exchange->easy && set_options(exchange, request) && curl_multi_add_handle(http->multi, exchange->easy) == CURLM_OK)
        return exchange;
    exchange_free(exchange);
    return NULL;
}

int http_start(struct http *http, const struct http_request *request, const struct http_ending *ending, struct http_exchange **out)
{
    bool is_guarded = false;
    int err = ERR_BUSY;
    CURLU *url = http->count < HTTP_EXCHANGES_MAX ? open_url(http, request->url, &is_guarded, &err) : NULL;
    if (!url)
        return err;
    struct http_exchange *exchange = exchange_new(http, url, is_guarded, request);
    if (!exchange)
        return ERR_MEMORY;
    exchange->ending = *ending;
    exchange->next = http->exchanges;
    exchange->link = &http->exchanges;
    if (exchange->next)
        exchange->next->link = &exchange->next;
    http->exchanges = exchange;
    http->count++;
    *out = exchange;
    return 0;
}

/* ---- the client ---- */

struct http *http_new(struct loop *loop, const char *const *rules, size_t rule_count)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(http);
        return NULL;
    }
    *http = (struct http){
        .loop = loop, .multi = curl_multi_init(), .rules = rules, .rule_count = rule_count, .sockets = epoll_create1(EPOLL_CLOEXEC)};
    if (!http->multi || http->sockets < 0) {
        http_free(http);
        return NULL;
    }
    watch_read(&http->ready, loop, http->sockets, on_ready, http);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)CONNECTIONS_PER_HOST);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
    return http;
}

int http_let_public(struct http *http)
{
    http->guard = guard_new();
    return http->guard ? 0 : ERR_MEMORY;
}

void http_free(struct http *http)
{
    if (!http)
        return;
    while (http->exchanges)
        exchange_free(http->exchanges);
    curl_multi_cleanup(http->multi);
    watch_stop(&http->timer);
    watch_stop(&http->ready);
    if (http->sockets >= 0)
        close(http->sockets);
    guard_free(http->guard);
    free(http);
    curl_global_cleanup();
}
