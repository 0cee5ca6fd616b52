/* shared.c: the list of named objects, and the sets of addresses. */
#include "policy/shared.h"

#include "base/err.h"
#include "base/json.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* struct acl: a set with an address that stays; a, b: what it is the intersection of, or NULL. */
struct acl {
    struct cidr_set set;
    const struct cidr_set *a, *b;
    struct acl *next;
};

struct policy_shared {
    const struct policy_config *config;
    pthread_mutex_t lock;
    struct shared_object *objects;
    struct acl *acls;
    struct sources *sources;
    uint64_t loading; /* counts policy_shared_begin */
    uint64_t kept;    /* the last that was not in vain; of the thread that begins and ends them */
};

struct policy_shared *policy_shared_new(const struct policy_config *config)
{
    struct policy_shared *shared = calloc(1, sizeof *shared);
    if (!shared || pthread_mutex_init(&shared->lock, NULL)) {
        free(shared);
        return NULL;
    }
    shared->config = config;
    shared->sources = sources_new();
    if (shared->sources)
        return shared;
    policy_shared_free(shared);
    return NULL;
}

static void free_object(struct shared_object *object)
{
    switch (object->kind) {
        case SHARED_DICTIONARY:
        case SHARED_METER:
        case SHARED_GATE:
            dictionary_free(object->as.dictionary);
            break;
        case SHARED_LIMITER:
            limiter_free(object->as.limiter);
            break;
        case SHARED_COUNTER:
            break;
    }
    free(object->name);
    free(object);
}

void policy_shared_free(struct policy_shared *shared)
{
    if (!shared)
        return;
    for (struct shared_object *object = shared->objects, *next; object; object = next) {
        next = object->next;
        free_object(object);
    }
    for (struct acl *acl = shared->acls, *next; acl; acl = next) {
        next = acl->next;
        cidr_close(&acl->set);
        free(acl);
    }
    sources_free(shared->sources);
    pthread_mutex_destroy(&shared->lock);
    free(shared);
}

void policy_shared_look(struct policy_shared *shared, struct log *log)
{
    sources_look(shared->sources, log);
}

const struct hash_key *shared_hash_key(const struct policy_shared *shared)
{
    return &shared->config->hash_key;
}

struct sources *shared_sources(const struct policy_shared *shared)
{
    return shared->sources;
}

static struct shared_object *make_object(struct policy_shared *shared, enum shared_kind kind, const char *name, shared_make_fn *make,
                                         void *ctx, char *error, size_t error_cap)
{
    struct shared_object *object = calloc(1, sizeof *object);
    char *copy = strdup(name);
    view_copy(view_text("not enough memory"), error, error_cap);
    if (!object || !copy || (make && make(shared, object, ctx, error, error_cap))) {
        free(object);
        free(copy);
        return NULL;
    }
    object->kind = kind;
    object->name = copy;
    object->made = shared->loading;
    object->next = shared->objects;
    shared->objects = object;
    return object;
}

/* Names of these kinds are one set: who says `x` means one thing. */
static const char *const declared[] = {
    [SHARED_DICTIONARY] = "relay.shared", [SHARED_LIMITER] = "relay.ratelimit", [SHARED_METER] = "relay.meter", [SHARED_GATE] = "relay.gate"};
#define DECLARED (sizeof declared / sizeof *declared)

static bool is_named(const struct shared_object *object, enum shared_kind kind, const char *name)
{
    return (object->kind == kind || (object->kind < DECLARED && kind < DECLARED)) && strcmp(object->name, name) == 0;
}

/* is_other: of another kind, or with other options: `error` says so. */
static bool is_other(const struct shared_object *object, enum shared_kind kind, const struct shared_options *options, char *error,
                     size_t error_cap)
{
    if (object->kind != kind)
        snprintf(error, error_cap, "'%s' is there already, as a %s", object->name, declared[object->kind]);
    else if (object->options.a != options->a || object->options.b != options->b)
        snprintf(error, error_cap, "'%s' is there already, with other options", object->name);
    else
        return false;
    return true;
}

struct shared_object *shared_object(struct policy_shared *shared, enum shared_kind kind, const char *name,
                                    const struct shared_options *options, shared_make_fn *make, void *ctx, char *error, size_t error_cap)
{
    pthread_mutex_lock(&shared->lock);
    struct shared_object *object = shared->objects;
    while (object && !is_named(object, kind, name))
        object = object->next;
    if (!object) {
        object = make_object(shared, kind, name, make, ctx, error, error_cap);
        if (object)
            object->options = *options;
    } else if (is_other(object, kind, options, error, error_cap)) {
        object = NULL;
    }
    if (object)
        object->asked = shared->loading;
    pthread_mutex_unlock(&shared->lock);
    return object;
}

void policy_shared_begin(struct policy_shared *shared)
{
    pthread_mutex_lock(&shared->lock);
    shared->loading++;
    pthread_mutex_unlock(&shared->lock);
}

/* drop: those of which `is_idle`. */
static void drop(struct policy_shared *shared, bool (*is_idle)(const struct policy_shared *, const struct shared_object *))
{
    pthread_mutex_lock(&shared->lock);
    for (struct shared_object **at = &shared->objects, *object; (object = *at);) {
        if (!is_idle(shared, object)) {
            at = &object->next;
            continue;
        }
        *at = object->next;
        free_object(object);
    }
    pthread_mutex_unlock(&shared->lock);
}

static bool is_new(const struct policy_shared *shared, const struct shared_object *object)
{
    return object->made == shared->loading;
}

void policy_shared_end(struct policy_shared *shared, bool kept)
{
    if (kept)
        shared->kept = shared->loading;
    else
        drop(shared, is_new);
}

/* What is counted for good stays: the next policy that asks for it goes on. */
static bool is_forgotten(const struct policy_shared *shared, const struct shared_object *object)
{
    return object->asked < shared->kept && object->kind != SHARED_METER && object->kind != SHARED_COUNTER;
}

void policy_shared_sweep(struct policy_shared *shared)
{
    drop(shared, is_forgotten);
}

void policy_metrics(struct policy_shared *shared, policy_metric_fn *each, void *ctx)
{
    pthread_mutex_lock(&shared->lock);
    for (struct shared_object *object = shared->objects; object; object = object->next)
        if (object->kind == SHARED_COUNTER)
            each(ctx, object->name, atomic_load_explicit(&object->as.counter, memory_order_relaxed));
    pthread_mutex_unlock(&shared->lock);
}

static bool is_table(const struct shared_object *object)
{
    return object->kind == SHARED_DICTIONARY || object->kind == SHARED_METER;
}

void policy_shared_list(struct policy_shared *shared, policy_shared_fn *each, void *ctx)
{
    pthread_mutex_lock(&shared->lock);
    for (const struct shared_object *object = shared->objects; object; object = object->next)
        if (object->kind < DECLARED)
            each(ctx, object->name, declared[object->kind], is_table(object) ? dictionary_count(object->as.dictionary) : 0);
    pthread_mutex_unlock(&shared->lock);
}

static void put_json(struct slab *json, const struct value *value)
{
    char number[64] = "null";
    if (value->type == VALUE_INTEGER)
        snprintf(number, sizeof number, "%lld", (long long)value->as.integer);
    else if (value->type == VALUE_NUMBER && isfinite(value->as.number))
        snprintf(number, sizeof number, "%.17g", value->as.number);
    else if (value->type == VALUE_BOOLEAN)
        snprintf(number, sizeof number, "%s", value->as.boolean ? "true" : "false");
    if (value->type == VALUE_TEXT)
        json_put_text(json, (const char *)value->as.text.at, value->as.text.len);
    else
        slab_put_text(json, number);
}

int policy_shared_peek(struct policy_shared *shared, const char *name, struct view key, msec_t now, struct slab *json)
{
    uint8_t text[VALUE_TEXT_MAX];
    pthread_mutex_lock(&shared->lock);
    const struct shared_object *object = shared->objects;
    while (object && !(is_table(object) && strcmp(object->name, name) == 0))
        object = object->next;
    const struct value value = object ? dictionary_peek(object->as.dictionary, key, now, text) : (struct value){0};
    pthread_mutex_unlock(&shared->lock);
    put_json(json, &value);
    return object ? 0 : ERR_NOT_FOUND;
}

void shared_each(struct policy_shared *shared, enum shared_kind kind, shared_each_fn *each, void *ctx)
{
    pthread_mutex_lock(&shared->lock);
    for (const struct shared_object *object = shared->objects; object; object = object->next)
        if (object->kind == kind)
            each(ctx, object);
    pthread_mutex_unlock(&shared->lock);
}

bool shared_has_room(struct policy_shared *shared, const char *full, size_t most)
{
    const size_t name = strcspn(full, "{");
    size_t count = 0;
    bool is_there = false;
    pthread_mutex_lock(&shared->lock);
    for (const struct shared_object *object = shared->objects; object && !is_there; object = object->next) {
        const bool same = object->kind == SHARED_COUNTER && strncmp(object->name, full, name) == 0 && strcspn(object->name, "{") == name;
        is_there = same && strcmp(object->name + name, full + name) == 0;
        count += same;
    }
    pthread_mutex_unlock(&shared->lock);
    return is_there || count < most;
}

/* keep: under the lock. Takes `set` over. */
static struct acl *keep(struct policy_shared *shared, struct cidr_set *set)
{
    for (struct acl *acl = shared->acls; acl; acl = acl->next)
        if (!acl->a && cidr_equal(&acl->set, set)) {
            cidr_close(set);
            return acl;
        }
    struct acl *acl = calloc(1, sizeof *acl);
    if (!acl) {
        cidr_close(set);
        return NULL;
    }
    acl->set = *set;
    acl->next = shared->acls;
    shared->acls = acl;
    return acl;
}

struct cidr_set *shared_acl(struct policy_shared *shared, struct cidr_set *set)
{
    cidr_seal(set);
    pthread_mutex_lock(&shared->lock);
    struct acl *acl = keep(shared, set);
    pthread_mutex_unlock(&shared->lock);
    return acl ? &acl->set : NULL;
}

/* intersect: two sealed sets are sorted lists of ranges that do not touch. */
static int intersect(const struct cidr_set *a, const struct cidr_set *b, struct cidr_set *out)
{
    cidr_init(out);
    for (size_t i = 0, k = 0; i < a->count && k < b->count;) {
        const struct cidr_range *x = &a->ranges[i], *y = &b->ranges[k];
        struct cidr_range both;
        memcpy(both.first, memcmp(x->first, y->first, 16) > 0 ? x->first : y->first, 16);
        memcpy(both.last, memcmp(x->last, y->last, 16) < 0 ? x->last : y->last, 16);
        if (memcmp(both.first, both.last, 16) <= 0 && cidr_add(out, &both))
            return ERR_MEMORY;
        if (memcmp(x->last, y->last, 16) < 0)
            i++;
        else
            k++;
    }
    cidr_seal(out);
    return 0;
}

static struct acl *make_both(struct policy_shared *shared, const struct cidr_set *a, const struct cidr_set *b)
{
    struct acl *acl = calloc(1, sizeof *acl);
    if (!acl || intersect(a, b, &acl->set)) {
        if (acl)
            cidr_close(&acl->set);
        free(acl);
        return NULL;
    }
    acl->a = a;
    acl->b = b;
    acl->next = shared->acls;
    shared->acls = acl;
    return acl;
}

/* shared_acl_both: kept: there are only so many pairs of the sets that policies made while they loaded. */
const struct cidr_set *shared_acl_both(struct policy_shared *shared, const struct cidr_set *a, const struct cidr_set *b)
{
    pthread_mutex_lock(&shared->lock);
    struct acl *acl = shared->acls;
    while (acl && (acl->a != a || acl->b != b))
        acl = acl->next;
    if (!acl)
        acl = make_both(shared, a, b);
    pthread_mutex_unlock(&shared->lock);
    return acl ? &acl->set : NULL;
}
