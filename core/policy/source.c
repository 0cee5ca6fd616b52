/* source.c: contents are numbered by one counter; a reader passes over those that are newer than its turn. */
#include "policy/source.h"

#include "base/bytes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct content {
    uint64_t serial;
    void *at;
    struct content *older; /* not looked at by readers that see this one */
};

/* struct identity: what tells one state of a file from another; all zero if there is no file. */
struct identity {
    uint64_t device, inode, size;
    int64_t changed_s, changed_ns;
};

struct source {
    const struct source_kind *kind;
    char *path;
    struct identity tried, seen; /* tried: when it was last read, well or not; seen: at the last look */
    _Atomic(struct content *) content;
    struct source *next;
};

struct sources {
    pthread_mutex_t lock; /* of the lists */
    struct source *all;
    struct source_reader *readers;
    _Atomic uint64_t serial; /* of the newest content */
};

struct sources *sources_new(void)
{
    struct sources *sources = calloc(1, sizeof *sources);
    if (!sources || pthread_mutex_init(&sources->lock, NULL)) {
        free(sources);
        return NULL;
    }
    return sources;
}

static void free_contents(const struct source_kind *kind, struct content *content)
{
    for (struct content *older; content; content = older) {
        older = content->older;
        kind->free(content->at);
        free(content);
    }
}

static void source_free(struct source *source)
{
    free_contents(source->kind, atomic_load_explicit(&source->content, memory_order_relaxed));
    free(source->path);
    free(source);
}

void sources_free(struct sources *sources)
{
    if (!sources)
        return;
    for (struct source *source = sources->all, *next; source; source = next) {
        next = source->next;
        source_free(source);
    }
    pthread_mutex_destroy(&sources->lock);
    free(sources);
}

static struct identity identify(const char *path)
{
    struct stat stat_of;
    if (stat(path, &stat_of))
        return (struct identity){0};
    return (struct identity){stat_of.st_dev, stat_of.st_ino, (uint64_t)stat_of.st_size, stat_of.st_mtim.tv_sec, stat_of.st_mtim.tv_nsec};
}

static bool is_same(const struct identity *a, const struct identity *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* read_content: what is in the file now; NULL with a reason. */
static struct content *read_content(struct source *source, char *error, size_t error_cap)
{
    struct content *content = calloc(1, sizeof *content);
    view_copy(view_text("not enough memory"), error, error_cap);
    source->seen = source->tried = identify(source->path); /* before it is read: who writes meanwhile is noticed at the next look */
    if (content)
        content->at = source->kind->read(source->path, error, error_cap);
    if (content && content->at)
        return content;
    free(content);
    return NULL;
}

static struct source *make_source(const struct source_kind *kind, const char *path, char *error, size_t error_cap)
{
    struct source *source = calloc(1, sizeof *source);
    view_copy(view_text("not enough memory"), error, error_cap);
    if (!source)
        return NULL;
    source->kind = kind;
    source->path = strdup(path);
    struct content *content = source->path ? read_content(source, error, error_cap) : NULL;
    atomic_init(&source->content, content);
    if (content)
        return source;
    source_free(source);
    return NULL;
}

struct source *source_open(struct sources *sources, const struct source_kind *kind, const char *path, char *error, size_t error_cap)
{
    pthread_mutex_lock(&sources->lock);
    struct source *source = sources->all;
    while (source && (source->kind != kind || strcmp(source->path, path) != 0))
        source = source->next;
    if (!source) {
        source = make_source(kind, path, error, error_cap);
        if (source) {
            source->next = sources->all;
            sources->all = source;
        }
    }
    pthread_mutex_unlock(&sources->lock);
    return source;
}

void source_turn(struct sources *sources, struct source_reader *reader)
{
    atomic_store_explicit(&reader->serial, atomic_load_explicit(&sources->serial, memory_order_acquire), memory_order_release);
}

void source_join(struct sources *sources, struct source_reader *reader)
{
    pthread_mutex_lock(&sources->lock);
    source_turn(sources, reader);
    reader->next = sources->readers;
    sources->readers = reader;
    pthread_mutex_unlock(&sources->lock);
}

void source_leave(struct sources *sources, struct source_reader *reader)
{
    pthread_mutex_lock(&sources->lock);
    struct source_reader **at = &sources->readers;
    while (*at && *at != reader)
        at = &(*at)->next;
    if (*at)
        *at = reader->next;
    pthread_mutex_unlock(&sources->lock);
}

const void *source_content(const struct source *source, const struct source_reader *reader, uint64_t *serial)
{
    const uint64_t newest = atomic_load_explicit(&reader->serial, memory_order_relaxed);
    const struct content *content = atomic_load_explicit(&source->content, memory_order_acquire);
    while (content->serial > newest)
        content = content->older;
    if (serial)
        *serial = content->serial;
    return content->at;
}

/* swap: `content` becomes what readers see from their next turn on. */
static void swap(struct sources *sources, struct source *source, struct content *content)
{
    content->older = atomic_load_explicit(&source->content, memory_order_relaxed);
    content->serial = atomic_load_explicit(&sources->serial, memory_order_relaxed) + 1;
    atomic_store_explicit(&source->content, content, memory_order_release);
    atomic_store_explicit(&sources->serial, content->serial, memory_order_release);
}

static void look_at(struct sources *sources, struct source *source, struct log *log)
{
    char error[256], path[512], why[256];
    const struct identity now = identify(source->path);
    const bool settled = is_same(&now, &source->seen);
    source->seen = now;
    if (!settled || is_same(&now, &source->tried))
        return;
    struct content *content = read_content(source, error, sizeof error);
    if (content) {
        swap(sources, source, content);
        log_say(log, LOG_INFO, "policy_file", "file=%s", log_quote(view_text(source->path), path, sizeof path));
    } else {
        log_say(log, LOG_ERROR, "policy_file_refused", "file=%s reason=%s kept=yes", log_quote(view_text(source->path), path, sizeof path),
                log_quote(view_text(error), why, sizeof why));
    }
}

/* oldest_seen: the serial number that every reader has come to. Under the lock. */
static uint64_t oldest_seen(const struct sources *sources)
{
    uint64_t oldest = atomic_load_explicit(&sources->serial, memory_order_relaxed);
    for (const struct source_reader *reader = sources->readers; reader; reader = reader->next) {
        const uint64_t serial = atomic_load_explicit(&reader->serial, memory_order_acquire);
        oldest = serial < oldest ? serial : oldest;
    }
    return oldest;
}

/* free_unseen: what lies behind the newest content that every reader has come to. */
static void free_unseen(struct source *source, uint64_t oldest)
{
    struct content *content = atomic_load_explicit(&source->content, memory_order_relaxed);
    while (content->serial > oldest)
        content = content->older;
    free_contents(source->kind, content->older);
    content->older = NULL;
}

void sources_look(struct sources *sources, struct log *log)
{
    pthread_mutex_lock(&sources->lock);
    struct source *all = sources->all;
    const uint64_t oldest = oldest_seen(sources);
    pthread_mutex_unlock(&sources->lock);
    for (struct source *source = all; source; source = source->next) {
        free_unseen(source, oldest);
        look_at(sources, source, log);
    }
}
