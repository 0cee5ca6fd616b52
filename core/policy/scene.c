/* scene.c: what a hook is shown, made up. */
#include "policy/scene.h"

#include "policy/answer.h"
#include "policy/said.h"

#include "base/err.h"
#include "wire/build.h"

#include <jansson.h>
#include <string.h>

#define PEER "203.0.113.5:7000"

static struct addr address(const char *text)
{
    struct addr addr = {0};
    addr_parse(view_text(text), &addr);
    return addr;
}

static void set(struct scene *scene, enum hook hook, msec_t now)
{
    const bool is_known = hook != HOOK_route && hook != HOOK_authenticate;
    scene->flow = (struct flow){.client = address("198.51.100.7:5000"), .server = address("192.0.2.1:3478"), .sni = "", .alpn = ""};
    scene->method = hook == HOOK_refresh ? METHOD_REFRESH : METHOD_ALLOCATE;
    scene->request = (struct request){.id = 1,
                                      .username = hook == HOOK_route ? (struct view){0} : view_text("ann"),
                                      .tenant = "",
                                      .realm = "example.org",
                                      .user = is_known ? "ann" : "",
                                      .family = ADDR_IPV4,
                                      .protocol = PROTOCOL_UDP,
                                      .server_name = ""};
    scene->allocation = (struct allocation){.id = hook == HOOK_log ? 0 : 1,
                                            .relayed_shown = address("192.0.2.1:50000"),
                                            .protocol = PROTOCOL_UDP,
                                            .created = now,
                                            .expires = now + 600000,
                                            .permissions = 1,
                                            .tenant = "",
                                            .user = "ann",
                                            .realm = "example.org",
                                            .username = "ann",
                                            .tags = scene->labels.tags,
                                            .group_name = ""};
    scene->peer = hook == HOOK_log ? (struct addr){0} : address(PEER);
    scene->event = (struct event){.reason = "",
                                  .by = "core",
                                  .tenant = "",
                                  .realm = "example.org",
                                  .user = "ann",
                                  .username = view_text("ann"),
                                  .method = METHOD_ALLOCATE};
    scene->question.channel = 0x4000;
}

static int make_message(struct scene *scene)
{
    static const uint8_t tid[STUN_TID_LEN] = "scene";
    struct build build;
    build_begin(&build, slab_over(scene->message_bytes, sizeof scene->message_bytes), scene->method, STUN_REQUEST, tid);
    if (scene->origin)
        build_attr_text(&build, ATTR_ORIGIN, scene->origin);
    if (scene->software)
        build_attr_text(&build, ATTR_SOFTWARE, scene->software);
    return message_open(&scene->message, build_end(&build));
}

/* take_times: of unix seconds what the hooks are shown in. */
static void take_times(struct scene *scene, msec_t now, int64_t unix_ms)
{
    struct allocation *allocation = &scene->allocation;
    const bool is_other = scene->now_s && scene->now_s != unix_ms / 1000;
    const int64_t now_ms = is_other ? scene->now_s * 1000 : unix_ms;
    scene->question.now = scene->event.now = now;
    allocation->created = now - scene->seconds * 1000;
    scene->question.unix_ms = scene->event.unix_ms = now_ms;
    allocation->created_unix_ms = scene->created_s ? scene->created_s * 1000 : now_ms;
    if (scene->expires_s)
        allocation->expires = scene->question.now + scene->expires_s * 1000 - now_ms;
}

/* show_event: what is not said of it follows from its type. */
static void show_event(struct scene *scene)
{
    const enum event_type type = scene->event.type;
    if (type == EVENT_PERMISSION && !scene->peer.family)
        scene->peer = address(PEER);
    if (type != EVENT_DENIED && type != EVENT_AUTH_FAILED && !scene->allocation.id)
        scene->allocation.id = 1;
    scene->event.peer = scene->peer.family ? &scene->peer : NULL;
    scene->event.allocation = scene->allocation.id ? &scene->allocation : NULL;
}

/* show: the question has what hooks of these letters are shown. */
static void show(struct scene *scene, enum hook hook)
{
    const char *letters = hook_rules[hook].arguments;
    static const uint8_t no_hash[SCENE_HASH_LEN];
    scene->request.flow = scene->event.flow = &scene->flow;
    scene->request.message = &scene->message;
    if (memcmp(scene->hash, no_hash, sizeof no_hash) != 0)
        scene->request.userhash = view_of(scene->hash, sizeof scene->hash);
    scene->allocation.flow = scene->flow;
    scene->question.hook = hook;
    scene->question.request = strchr(letters, 'r') ? &scene->request : NULL;
    scene->question.allocation = strchr(letters, 'a') ? &scene->allocation : NULL;
    scene->question.peer = strchr(letters, 'p') ? &scene->peer : NULL;
    scene->question.delta = strchr(letters, 'u') ? &scene->delta : NULL;
    if (!scene->question.method)
        scene->question.method = METHOD_CREATE_PERMISSION;
    if (hook == HOOK_log)
        show_event(scene);
}

/* forget_examples: nothing is known but what is said. */
static void forget_examples(struct scene *scene)
{
    scene->request = (struct request){.id = 1, .tenant = "", .realm = "", .user = "", .server_name = ""};
    scene->allocation.user = scene->allocation.realm = scene->allocation.username = "";
    scene->allocation.permissions = 0;
    scene->event.user = scene->event.realm = "";
    scene->event.username = (struct view){0};
    scene->event.method = scene->method = 0;
}

int scene_open(struct scene *scene, const struct scene_plan *plan, struct json_t *json, char *error, size_t error_cap)
{
    const char *letters = hook_rules[plan->hook].arguments;
    memset(scene, 0, sizeof *scene);
    set(scene, plan->hook, plan->now);
    if (plan->bare)
        forget_examples(scene);
    if (!*letters || *letters == 'c')
        return ERR_NOT_FOUND;
    const int err = json ? said_read(scene, letters, json, error, error_cap) : 0;
    if (err)
        return err;
    if (make_message(scene) != 0) {
        snprintf(error, error_cap, "origin and software are too long");
        return ERR_BAD;
    }
    take_times(scene, plan->now, plan->unix_ms);
    show(scene, plan->hook);
    return 0;
}

int scene_open_text(struct scene *scene, const struct scene_plan *plan, const char *text, char *error, size_t error_cap)
{
    struct json_t *json;
    int err = said_parse(text, strlen(text), &json, error, error_cap);
    if (!err)
        err = scene_open(scene, plan, json, error, error_cap);
    else
        scene->json = NULL;
    if (json)
        scene->json = json;
    return err;
}

void scene_close(struct scene *scene)
{
    json_decref(scene->json);
}
