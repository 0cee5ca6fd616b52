/* admission.c: see admission.h. */
#include "server/admission.h"

#include "base/err.h"

#include <string.h>

#define REASON_MAX_LEN 256
#define PATH_MAX_LEN 320

/* find: the file was opened by the store before; only one that cannot be read now is not open. */
static int find(void *ctx, struct view id, struct store_api_key *out)
{
    struct admission *admission = ctx;
    char reason[REASON_MAX_LEN];
    if (!admission->reader && store_reader_open(admission->service->config->userdb, &admission->reader, reason, sizeof reason) != 0)
        return ERR_SYSTEM;
    return store_reader_api_key(admission->reader, id, out);
}

int admission_open(struct admission *admission, const struct service *service)
{
    const struct config *config = service->config;
    *admission = (struct admission){.service = service};
    if (!config->userdb)
        return 0;
    admission->keys = keyring_new(
        &(struct keyring_config){.find = find, .ctx = admission, .rate = config->admin_rate, .hash_key = service->engine.hash_key});
    return admission->keys ? 0 : ERR_MEMORY;
}

void admission_close(struct admission *admission)
{
    keyring_free(admission->keys);
    store_reader_close(admission->reader);
    *admission = (struct admission){0};
}

void admission_admit(struct admission *admission, const struct door_request *request, const char *token, struct door_pass *out)
{
    const struct keyring_visit visit = {
        .token = token, .source = door_source(request), .now = clock_monotonic_ms(), .unix_ms = clock_unix_ms()};
    if (admission->keys)
        keyring_admit(admission->keys, &visit, out);
    else
        *out = (struct door_pass){.status = 401, .reason = "there are no keys without userdb"};
}

static bool is_refusal(unsigned status)
{
    return status == 401 || status == 403 || status == 429;
}

static bool is_change(const char *method)
{
    return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
}

/* The token is nowhere in it: it is in a header. */
void admission_told(const struct admission *admission, const struct door_request *request, unsigned status)
{
    char client[ADDR_TEXT_MAX], path[PATH_MAX_LEN], tenant[2 * DOOR_TENANT_MAX];
    const struct door_caller *caller = door_caller(request);
    const bool is_here = door_source(request)->family == ADDR_NONE;
    if (!admission->service || !(is_refusal(status) || is_change(door_method(request))))
        return;
    log_say(admission->service->log, is_refusal(status) ? LOG_WARNING : LOG_INFO, is_refusal(status) ? "admin_refused" : "admin_change",
            "client=%s who=%s tenant=%s method=%s path=%s status=%u", is_here ? "socket" : addr_format(door_source(request), client),
            *caller->key                     ? caller->key
            : is_here && !is_refusal(status) ? "socket"
                                             : "-",
            log_quote(view_text(caller->tenant), tenant, sizeof tenant), door_method(request),
            log_quote(view_text(door_path(request)), path, sizeof path), status);
}
