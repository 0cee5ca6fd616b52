/* events.c: the memory, and who reads it. */
#include "server/events.h"

#include "admin/feed.h"
#include "base/clock.h"
#include "server/pulse.h"
#include "server/routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_S 1
#define TYPES_MAX 511

/* struct stream: a reader. `line` is what he is being told, `gap` what he is told first. */
struct stream {
    struct events *events;
    struct feed *feed;
    char caller[NAME_MAX_LEN + 1], tenant[NAME_MAX_LEN + 1]; /* who asks; "": of all whom he may see */
    uint32_t kinds;
    uint64_t next;  /* his place: the event that comes next */
    uint64_t pulse; /* how many samples there were when he was told last */
    const char *gap;
    bool beats, is_late;
    char *line;
    size_t at, len;
    struct stream *following, **link;
};

struct events {
    const struct service *service;
    struct loop *loop;
    struct watch second;
    int64_t started_ms;
    struct news_kept *kept;
    uint64_t count; /* published */
    struct pulse pulse;
    unsigned seconds;
    struct stream *streams;
    struct events_counts counts;
};

_Static_assert(NEWS_KINDS <= 32, "a stream has a bit for each");

const struct field events_query[] = {
    {"tenant", FIELD_TEXT, .max = NAME_MAX_LEN, .help = "Of this tenant alone, and what concerns all"},
    {"type", FIELD_TEXT, .min = 1, .max = TYPES_MAX,
     .help = "Names of events, or what stands before their point, with commas between them; stats: numbers by tenant every second"},
    {0}};

/* ---- what a reader may have ---- */

static bool sees(const void *ctx, const char *tenant)
{
    const struct stream *stream = ctx;
    const bool is_his = strcmp(stream->caller, NEWS_ALL) == 0 || strcmp(stream->caller, tenant) == 0;
    return is_his && (!*stream->tenant || strcmp(stream->tenant, tenant) == 0);
}

static bool wants(const struct stream *stream, const struct news_item *item)
{
    return stream->kinds & (1u << item->kind) && (strcmp(item->tenant, NEWS_ALL) == 0 || sees(stream, item->tenant));
}

static uint64_t oldest(const struct events *events)
{
    return events->count > EVENTS_KEPT ? events->count - EVENTS_KEPT : 0;
}

/* ---- what he is told ---- */

static void set_line(struct stream *stream, char *line, int len)
{
    free(stream->line);
    stream->line = len < 0 ? NULL : line;
    stream->at = 0;
    stream->len = stream->line ? (size_t)len : 0;
}

/* say: an event, which is let go; with an `id` unless it is "". */
static bool say(struct stream *stream, const char *id, const char *name, json_t *json)
{
    char *line = NULL, *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    const int len = text ? asprintf(&line, "%s%s%sevent: %s\ndata: %s\n\n", *id ? "id: " : "", id, *id ? "\n" : "", name, text) : -1;
    set_line(stream, line, len);
    free(text);
    json_decref(json);
    stream->is_late |= len < 0; /* without memory he is cut off, and comes again */
    return len >= 0;
}

static bool say_gap(struct stream *stream)
{
    const struct news_item item = {.kind = NEWS_GAP, .unix_ms = clock_unix_ms(), .tenant = NEWS_ALL, .values = {NEWS_TEXT(stream->gap)}};
    stream->gap = NULL;
    return say(stream, "", news_row(NEWS_GAP)->name, news_json(&item));
}

static bool say_pulse(struct stream *stream)
{
    const struct events *events = stream->events;
    const struct news_item item = {.kind = NEWS_STATS, .unix_ms = clock_unix_ms(), .tenant = stream->caller};
    json_t *json = news_json(&item);
    stream->pulse = events->pulse.count;
    json_object_set_new(json, "data", pulse_json(&events->pulse, events->service, sees, stream));
    return say(stream, "", news_row(NEWS_STATS)->name, json);
}

static bool say_beat(struct stream *stream)
{
    stream->beats = false;
    set_line(stream, strdup(":\n\n"), 3);
    return stream->line != NULL;
}

/* say_event: the next of those that he wants; false: there is none. */
static bool say_event(struct stream *stream)
{
    const struct events *events = stream->events;
    char id[NEWS_ID_MAX];
    while (stream->next < events->count) {
        const struct news_item *item = &events->kept[stream->next++ % EVENTS_KEPT].item;
        if (!wants(stream, item))
            continue;
        snprintf(id, sizeof id, "%llx-%llu", (unsigned long long)events->started_ms, (unsigned long long)stream->next);
        return say(stream, id, news_row(item->kind)->name, news_json(item));
    }
    return false;
}

/* next_line: false: there is nothing for him now, or he is late. */
static bool next_line(struct stream *stream)
{
    if (stream->is_late || stream->next < oldest(stream->events)) {
        stream->is_late = true;
        return false;
    }
    if (stream->gap)
        return say_gap(stream);
    if (say_event(stream))
        return true;
    if (!stream->is_late && stream->kinds & (1u << NEWS_STATS) && stream->pulse != stream->events->pulse.count)
        return say_pulse(stream);
    return !stream->is_late && stream->beats && say_beat(stream);
}

static ssize_t read_stream(void *owner, char *out, size_t cap)
{
    struct stream *stream = owner;
    size_t len = 0;
    while (len < cap && (stream->at < stream->len || next_line(stream))) {
        const size_t left = stream->len - stream->at, room = cap - len, more = left < room ? left : room;
        memcpy(out + len, stream->line + stream->at, more);
        stream->at += more;
        len += more;
    }
    if (len)
        return (ssize_t)len;
    stream->events->counts.cut += stream->is_late;
    return stream->is_late ? FEED_CUT : FEED_LATER;
}

/* ---- who reads ---- */

static void on_second(void *owner)
{
    struct events *events = owner;
    const bool beats = ++events->seconds % EVENTS_BEAT_S == 0;
    pulse_take(&events->pulse, events->service, loop_now(events->loop));
    for (struct stream *stream = events->streams; stream; stream = stream->following) {
        stream->beats |= beats;
        if (beats || stream->kinds & (1u << NEWS_STATS))
            feed_wake(stream->feed);
    }
}

static void enter(struct events *events, struct stream *stream)
{
    if (!events->streams) {
        pulse_take(&events->pulse, events->service, loop_now(events->loop)); /* what is told is told since then */
        watch_every(&events->second, events->loop, SECOND_S, on_second, events);
    }
    stream->pulse = events->pulse.count;
    stream->link = &events->streams;
    stream->following = events->streams;
    if (stream->following)
        stream->following->link = &stream->following;
    events->streams = stream;
    events->counts.streams++;
}

static void close_stream(void *owner)
{
    struct stream *stream = owner;
    struct events *events = stream->events;
    *stream->link = stream->following;
    if (stream->following)
        stream->following->link = stream->link;
    events->counts.streams--;
    if (!events->streams) {
        watch_stop(&events->second);
        events->pulse.count = 0; /* what comes then is not told of a time in which nobody looked */
    }
    free(stream->line);
    free(stream);
}

void events_publish(struct events *events, const struct news_item *item)
{
    if (!events)
        return;
    news_keep(&events->kept[events->count++ % EVENTS_KEPT], item);
    for (struct stream *stream = events->streams; stream; stream = stream->following) {
        if (wants(stream, item))
            feed_wake(stream->feed);
        else if (stream->next + 1 == events->count)
            stream->next++; /* who has all is not late because of what is not for him */
    }
}

/* ---- what he asks for ---- */

/* kinds_of: of a name, or of what stands before the point in names; 0: there is none. */
static uint32_t kinds_of(struct view name)
{
    uint32_t kinds = 0;
    for (unsigned i = 0; i < NEWS_KINDS; i++) {
        const struct view whole = view_text(news_row((enum news_kind)i)->name);
        const bool is_family = whole.len > name.len && whole.at[name.len] == '.' && view_equal(view_cut(whole, name.len), name);
        kinds |= view_equal(whole, name) || is_family ? 1u << i : 0;
    }
    return kinds;
}

static uint32_t usual_kinds(void)
{
    uint32_t kinds = 0;
    for (unsigned i = 0; i < NEWS_KINDS; i++)
        kinds |= news_row((enum news_kind)i)->is_asked_for ? 0 : 1u << i;
    return kinds;
}

/* read_kinds: "allocation,key.revoked,stats"; false: one of them is none. Of a gap everybody is told. */
static bool read_kinds(const char *text, uint32_t *out)
{
    *out = text ? 1u << NEWS_GAP : usual_kinds();
    for (const char *at = text; at && *at; at += strcspn(at, ","), at += *at == ',') {
        const uint32_t kinds = kinds_of(view_of(at, strcspn(at, ",")));
        *out |= kinds;
        if (!kinds)
            return false;
    }
    return true;
}

/* read_place: where he was, by what he was told as `id`; false: that was none of ours. */
static bool read_place(const struct events *events, const char *text, struct stream *out)
{
    unsigned long long started, place;
    int len = 0;
    out->next = events->count;
    if (!text || !*text)
        return true;
    if (sscanf(text, "%16llx-%20llu%n", &started, &place, &len) != 2 || text[len])
        return false;
    const bool is_same = started == (unsigned long long)events->started_ms && place <= events->count;
    if (!is_same)
        out->gap = "restart";
    else if (place < oldest(events))
        out->gap = "late";
    out->next = out->gap ? oldest(events) : place;
    return true;
}

static bool has_room(const struct events *events, const char *tenant)
{
    unsigned each = 0;
    for (const struct stream *stream = events->streams; stream; stream = stream->following)
        each += strcmp(stream->caller, tenant) == 0;
    return events->counts.streams < EVENTS_STREAMS && (each < EVENTS_STREAMS_EACH || strcmp(tenant, NEWS_ALL) == 0);
}

/* read_wish: false: it was refused. */
static bool read_wish(const struct events *events, struct door_request *request, struct stream *out)
{
    const char *tenant;
    if (!routes_tenant(request, &tenant))
        return false;
    view_copy(view_text(door_caller(request)->tenant), out->caller, sizeof out->caller);
    view_copy(view_text(tenant ? tenant : ""), out->tenant, sizeof out->tenant);
    if (!read_kinds(door_query(request, "type"), &out->kinds))
        door_refuse_field(request, "type", "names of events expected, or what stands before their point: allocation,key.revoked,stats");
    else if (!read_place(events, door_header(request, "Last-Event-ID"), out))
        door_refuse_field(request, "Last-Event-ID", "what `id` said expected");
    else if (!has_room(events, out->caller))
        door_refuse(request, HTTP_UNAVAILABLE, "too many follow the events: try again");
    else
        return true;
    return false;
}

void events_stream(struct events *events, struct door_request *request)
{
    struct stream wish = {.events = events};
    if (!read_wish(events, request, &wish))
        return;
    struct stream *stream = malloc(sizeof *stream);
    if (!stream) {
        door_refuse(request, HTTP_INTERNAL, "out of memory");
        return;
    }
    *stream = wish;
    stream->feed = feed_open(request, HTTP_OK, "text/event-stream", &(struct feed_source){read_stream, close_stream, stream});
    if (stream->feed)
        enter(events, stream);
    else
        free(stream);
}

/* ---- its life ---- */

struct events *events_new(const struct service *service, struct loop *loop)
{
    struct events *events = calloc(1, sizeof *events);
    struct news_kept *kept = events ? calloc(EVENTS_KEPT, sizeof *kept) : NULL;
    if (!kept) {
        free(events);
        return NULL;
    }
    events->service = service;
    events->loop = loop;
    events->started_ms = clock_unix_ms();
    events->kept = kept;
    return events;
}

void events_free(struct events *events)
{
    if (!events)
        return;
    watch_stop(&events->second);
    free(events->kept);
    free(events);
}

struct events_counts events_counts(const struct events *events)
{
    return events ? events->counts : (struct events_counts){0};
}
