/* stage.h: a policy on a stage: real files in a directory of its own, a question of every kind, a world that remembers. */
#ifndef RELAY_TESTS_STAGE_H
#define RELAY_TESTS_STAGE_H

#include "base/err.h"
#include "policy/policy.h"
#include "test.h"
#include "turn/allocation.h"
#include "wire/build.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAGE_FILES 8

struct stage {
    char directory[64], paths[STAGE_FILES][160];
    size_t path_count;
    const char *files[STAGE_FILES];
    struct policy_config config;
    struct policy_shared *shared;
    struct policy_world world;
    struct policy *policy;
    char error[512];

    struct flow flow;
    struct request request;
    struct message message;
    uint8_t bytes[512];
    struct allocation allocation;
    struct addr peer;
    struct usage delta;
    struct verdict verdict;
    char audited[1024], audit_type[64];
    int audits;
};

static inline struct addr stage_addr(const char *text)
{
    struct addr addr;
    if (addr_parse(view_text(text), &addr))
        abort();
    return addr;
}

static inline uint32_t stage_count(void *ctx, const char *kind, const char *tenant, const char *user)
{
    (void)ctx;
    (void)tenant;
    return strcmp(kind, "user") == 0 ? (uint32_t)strlen(user) : strcmp(kind, "realm") == 0 ? 20 : 300;
}

static inline void stage_audit(void *ctx, const char *type, const char *detail)
{
    struct stage *stage = ctx;
    view_copy(view_text(type), stage->audit_type, sizeof stage->audit_type);
    view_copy(view_text(detail), stage->audited, sizeof stage->audited);
    stage->audits++;
}

/* stage_file: writes a file; those that end in .lua and are not modules are given to stage_play. */
static inline const char *stage_file(struct stage *stage, const char *name, const char *text)
{
    char *path = stage->paths[stage->path_count++];
    struct slab out = slab_over(path, sizeof stage->paths[0] - 1);
    slab_put_text(&out, stage->directory);
    slab_put_text(&out, "/");
    slab_put_text(&out, name);
    path[out.len] = 0;
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file))
        abort();
    return path;
}

static inline void stage_message(struct stage *stage)
{
    static const uint8_t tid[STUN_TID_LEN] = "123456789012";
    struct build build;
    build_begin(&build, slab_over(stage->bytes, sizeof stage->bytes), METHOD_ALLOCATE, STUN_REQUEST, tid);
    build_attr_text(&build, ATTR_USERNAME, "ann");
    build_attr_text(&build, ATTR_SOFTWARE, "tester 1.0");
    build_attr_text(&build, ATTR_ORIGIN, "https://game.example");
    build_attr_u32(&build, ATTR_LIFETIME, 700);
    if (message_open(&stage->message, build_end(&build)))
        abort();
}

/* stage_set: the defaults; then add files, params and secrets, and play. */
static inline void stage_set(struct stage *stage)
{
    *stage = (struct stage){.directory = "/tmp/relay-policy-XXXXXX"};
    if (!mkdtemp(stage->directory))
        abort();
    stage->config = (struct policy_config){.files = stage->files, .workers = 2, .hash_key = {.k0 = 1, .k1 = 2}};
    stage->world =
        (struct policy_world){.ctx = stage, .crypto = crypto_new(), .count = stage_count, .audit = stage_audit};
    stage->flow = (struct flow){.client = stage_addr("198.51.100.7:5000"),
                                .server = stage_addr("192.0.2.1:3478"),
                                .transport = TRANSPORT_TLS,
                                .sni = "turn.example",
                                .alpn = ""};
    stage_message(stage);
    stage->request = (struct request){.id = 77,
                                      .flow = &stage->flow,
                                      .message = &stage->message,
                                      .username = view_text("ann"),
                                      .tenant = "acme",
                                      .realm = "example.org",
                                      .user = "ann",
                                      .family = 4,
                                      .protocol = 17,
                                      .lifetime_s = 700};
    stage->allocation = (struct allocation){.id = 5,
                                            .flow = stage->flow,
                                            .relayed = stage_addr("10.0.0.1:50000"),
                                            .relayed_shown = stage_addr("203.0.113.9:50000"),
                                            .created = 1000,
                                            .expires = 601000,
                                            .created_unix_ms = 1700000000000,
                                            .usage = {1000, 2000, 10, 20},
                                            .permissions = 2,
                                            .channels = 1,
                                            .tenant = "acme",
                                            .user = "ann",
                                            .realm = "example.org",
                                            .username = "1700:ann",
                                            .tags = "cc=DE,room=7",
                                            .group_name = "match-42"};
    stage->peer = stage_addr("203.0.113.50:7000");
    stage->delta = (struct usage){100, 200, 1, 2};
}

static inline bool stage_load(struct stage *stage)
{
    if (!stage->shared)
        stage->shared = policy_shared_new(&stage->config);
    stage->policy = policy_new(&stage->config, stage->shared, &stage->world, 0, 2000, 1700000001000, stage->error, sizeof stage->error);
    return stage->policy != NULL;
}

/* stage_add: one more policy of the chain. */
static inline void stage_add(struct stage *stage, const char *name, const char *text)
{
    stage->files[stage->config.file_count++] = stage_file(stage, name, text);
}

/* stage_play: set, one policy p.lua, load: must be fine. */
static inline void stage_play(struct stage *stage, const char *text)
{
    stage_set(stage);
    stage_add(stage, "p.lua", text);
    if (!stage_load(stage))
        test_failed("p.lua", 0, "%s", stage->error);
}

static inline void stage_clear(struct stage *stage)
{
    policy_free(stage->policy);
    policy_shared_free(stage->shared);
    crypto_free(stage->world.crypto);
    for (size_t i = 0; i < stage->path_count; i++)
        unlink(stage->paths[i]);
    rmdir(stage->directory);
}

/* stage_refused: a policy whose load must fail; the reason is in stage->error; clears. */
static inline void stage_refused(struct stage *stage, const char *text)
{
    stage_set(stage);
    stage_add(stage, "p.lua", text);
    if (stage_load(stage))
        test_failed("p.lua", 0, "loaded: %s", text);
    stage_clear(stage);
}

static inline struct question stage_question(struct stage *stage, enum hook hook)
{
    struct question question = {.hook = hook, .now = 61000, .unix_ms = 1700000060000};
    switch (hook) {
        case HOOK_permission:
        case HOOK_channel:
            question.peer = &stage->peer;
            question.method = hook == HOOK_channel ? METHOD_CHANNEL_BIND : METHOD_CREATE_PERMISSION;
            question.channel = 0x4001;
            question.allocation = &stage->allocation;
            break;
        case HOOK_usage:
            question.delta = &stage->delta;
            question.allocation = &stage->allocation;
            break;
        case HOOK_refresh:
            question.allocation = &stage->allocation;
            question.request = &stage->request;
            break;
        default:
            question.request = &stage->request;
    }
    return question;
}

/* stage_ask: the kind of the verdict, which is in stage->verdict. */
static inline enum verdict_kind stage_ask(struct stage *stage, enum hook hook)
{
    const struct question question = stage_question(stage, hook);
    stage->verdict = (struct verdict){0};
    policy_ask(stage->policy, &question, &stage->verdict);
    return stage->verdict.kind;
}

static inline struct event stage_event(struct stage *stage, enum event_type type)
{
    return (struct event){.type = type,
                          .decision = 9,
                          .code = 0,
                          .method = METHOD_REFRESH,
                          .reason = "released",
                          .by = "core",
                          .flow = &stage->flow,
                          .tenant = "acme",
                          .realm = "example.org",
                          .user = "ann",
                          .username = view_text("1700:ann"),
                          .allocation = &stage->allocation,
                          .now = 61000,
                          .unix_ms = 1700000060000};
}

#define HAS(text, part)                                                                                                                    \
    do {                                                                                                                                   \
        if (!strstr((text), (part)))                                                                                                       \
            test_failed(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", (part), (text));                                                    \
    } while (0)

#endif
