/* summary_sql.c: statements that are put together of what stands here: nothing that somebody says is a part of one. */
#include "store/summary_sql.h"

#include <stdio.h>
#include <string.h>

const char *const summary_key_names[SUMMARY_KEYS] = {
#define X(name) #name,
    SUMMARY_KEY_ROWS(X)
#undef X
};

const char *const summary_number_names[SUMMARY_NUMBERS] = {
#define X(name) #name,
    SUMMARY_NUMBER_ROWS(X)
#undef X
};

static const char *const key_sql[SUMMARY_KEYS] = {
    [SUMMARY_BY_tenant] = "u.tenant",
    [SUMMARY_BY_month] = "unixepoch(u.minute * 60, 'unixepoch', 'start of month') / 60",
    [SUMMARY_BY_day] = "u.minute / 1440 * 1440",
    [SUMMARY_BY_hour] = "u.minute / 60 * 60",
    [SUMMARY_BY_minute] = "u.minute",
    [SUMMARY_BY_room] = "u.room",
    [SUMMARY_BY_tag] = "u.tag",
    [SUMMARY_BY_user] = "u.user",
    [SUMMARY_BY_transport] = "u.transport",
    [SUMMARY_BY_reason] = "u.reason",
};

/* struct table: where rows come from, and what its numbers are; NULL: 0. */
struct source {
    const char *table;
    const char *numbers[SUMMARY_NUMBERS];
};

static const struct source of_usage = {"usage",
                                       {[SUMMARY_bytes_in] = "u.bytes_in",
                                        [SUMMARY_bytes_out] = "u.bytes_out",
                                        [SUMMARY_packets_in] = "u.packets_in",
                                        [SUMMARY_packets_out] = "u.packets_out",
                                        [SUMMARY_lived_ms] = "u.lived_ms",
                                        [SUMMARY_opened] = "u.opened",
                                        [SUMMARY_closed] = "u.closed",
                                        [SUMMARY_active_minutes] = "u.active_minutes"}};
static const struct source of_refusals = {"refusals", {[SUMMARY_refused] = "u.count"}};
static const struct source of_peaks = {"peaks", {[SUMMARY_peak_held] = "u.held", [SUMMARY_peak_active] = "u.active"}};

#define USAGE_NUMBERS (SUMMARY_BIT(SUMMARY_active_minutes + 1) - 1)
#define PEAKS (SUMMARY_BIT(SUMMARY_peak_held) | SUMMARY_BIT(SUMMARY_peak_active))

/* Keys and filters that only usage has. */
#define NAMES (1u << SUMMARY_BY_room | 1u << SUMMARY_BY_tag | 1u << SUMMARY_BY_user | 1u << SUMMARY_BY_transport)

static unsigned keys_of(const struct summary_question *question)
{
    unsigned keys = 0;
    for (size_t i = 0; i < question->key_count; i++)
        keys |= 1u << question->keys[i];
    return keys;
}

static bool has_names(const struct summary_question *question)
{
    return keys_of(question) & NAMES || question->room || question->tag || question->user || question->transport;
}

bool summary_is_time(enum summary_key key)
{
    return key >= SUMMARY_BY_month && key <= SUMMARY_BY_minute;
}

bool summary_is_peak(enum summary_number number)
{
    return PEAKS & SUMMARY_BIT(number);
}

const char *summary_fault(const struct summary_question *question)
{
    if (keys_of(question) & 1u << SUMMARY_BY_reason && has_names(question))
        return "a refusal has a reason and no room, tag, user or transport";
    return NULL;
}

unsigned summary_numbers(const struct summary_question *question)
{
    const unsigned keys = keys_of(question);
    if (keys & 1u << SUMMARY_BY_reason)
        return SUMMARY_BIT(SUMMARY_refused);
    if (has_names(question))
        return USAGE_NUMBERS;
    return USAGE_NUMBERS | SUMMARY_BIT(SUMMARY_refused) | (question->tenant || keys & 1u << SUMMARY_BY_tenant ? PEAKS : 0);
}

static void end(struct slab *sql)
{
    slab_put_u8(sql, 0);
}

/* Tenants are the first part of every key: of all of them, one after the other is looked up. */
static void put_source(struct slab *sql, const struct summary_question *question, const struct source *source, bool has_filter)
{
    char text[1024];
    slab_put_text(sql, "SELECT ");
    for (size_t i = 0; i < question->key_count; i++) {
        slab_put_text(sql, key_sql[question->keys[i]]);
        slab_put_text(sql, ", ");
    }
    for (size_t i = 0; i < SUMMARY_NUMBERS; i++) {
        slab_put_text(sql, source->numbers[i] ? source->numbers[i] : "0");
        slab_put_text(sql, ", ");
    }
    snprintf(text, sizeof text,
             "u.span FROM (WITH RECURSIVE t (name) AS (SELECT coalesce(?1, (SELECT min(tenant) FROM %s)) UNION ALL"
             " SELECT (SELECT min(tenant) FROM %s WHERE tenant > t.name) FROM t WHERE ?1 IS NULL AND t.name IS NOT NULL)"
             " SELECT name FROM t WHERE name IS NOT NULL) AS n CROSS JOIN %s AS u"
             " WHERE u.tenant = n.name AND u.span IN (1, 60, 1440) AND u.minute >= ?2 AND u.minute < ?3%s",
             source->table, source->table, source->table,
             has_filter ? " AND (?4 IS NULL OR u.room = ?4) AND (?5 IS NULL OR u.tag = ?5) AND (?6 IS NULL OR u.user = ?6)"
                          " AND (?7 IS NULL OR u.transport = ?7)"
                        : "");
    slab_put_text(sql, text);
}

void summary_sql_source(const struct summary_question *question, char out[SUMMARY_SQL_MAX])
{
    struct slab sql = slab_over(out, SUMMARY_SQL_MAX);
    const unsigned numbers = summary_numbers(question);
    if (numbers & SUMMARY_BIT(SUMMARY_bytes_in))
        put_source(&sql, question, &of_usage, has_names(question));
    if (numbers & SUMMARY_BIT(SUMMARY_refused)) {
        slab_put_text(&sql, sql.len ? " UNION ALL " : "");
        put_source(&sql, question, &of_refusals, false);
    }
    if (numbers & PEAKS) {
        slab_put_text(&sql, " UNION ALL ");
        put_source(&sql, question, &of_peaks, false);
    }
    end(&sql);
}

/* put_numbered: "k0, k1, ", as many as there are. */
static void put_numbered(struct slab *sql, const char *name, const char *behind, size_t count)
{
    char text[32];
    for (size_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%s%zu%s", name, i, behind);
        slab_put_text(sql, text);
    }
}

/* put_index: the order that is asked for grows with the table: no piece has to sort all of it. */
static void put_index(struct slab *sql, const struct summary_question *question)
{
    char text[64];
    snprintf(text, sizeof text, "; CREATE INDEX temp.by_number ON sums (n%d DESC, ", (int)question->sort);
    slab_put_text(sql, text);
    put_numbered(sql, "k", ", ", question->key_count);
    snprintf(text, sizeof text, "k%d)", (int)question->key_count);
    slab_put_text(sql, text);
}

void summary_sql_table(const struct summary_question *question, char out[SUMMARY_SQL_MAX])
{
    struct slab sql = slab_over(out, SUMMARY_SQL_MAX);
    slab_put_text(&sql, "CREATE TEMP TABLE sums (");
    put_numbered(&sql, "k", ", ", question->key_count + 1); /* the last is 0: so that there is one */
    put_numbered(&sql, "n", " INTEGER, ", SUMMARY_NUMBERS);
    slab_put_text(&sql, "PRIMARY KEY (");
    put_numbered(&sql, "k", ", ", question->key_count);
    char last[32];
    snprintf(last, sizeof last, "k%d)) WITHOUT ROWID", (int)question->key_count);
    slab_put_text(&sql, last);
    if (question->is_sorted)
        put_index(&sql, question);
    end(&sql);
}

void summary_sql_add(const struct summary_question *question, char out[SUMMARY_SQL_MAX])
{
    struct slab sql = slab_over(out, SUMMARY_SQL_MAX);
    slab_put_text(&sql, "INSERT INTO temp.sums VALUES (");
    for (size_t i = 0; i < question->key_count; i++)
        slab_put_text(&sql, "?, ");
    slab_put_text(&sql, "0");
    for (size_t i = 0; i < SUMMARY_NUMBERS; i++)
        slab_put_text(&sql, ", ?");
    slab_put_text(&sql, ") ON CONFLICT DO UPDATE SET ");
    for (int i = 0; i < SUMMARY_NUMBERS; i++) {
        char text[96];
        if (summary_is_peak(i))
            snprintf(text, sizeof text, "%sn%d = max(n%d, excluded.n%d)", i ? ", " : "", i, i, i);
        else
            snprintf(text, sizeof text, "%sn%d = min(n%d + excluded.n%d, 9223372036854775807)", i ? ", " : "", i, i, i);
        slab_put_text(&sql, text);
    }
    end(&sql);
}

void summary_sql_rows(const struct summary_question *question, char out[SUMMARY_SQL_MAX])
{
    struct slab sql = slab_over(out, SUMMARY_SQL_MAX);
    char text[64];
    slab_put_text(&sql, "SELECT * FROM temp.sums ORDER BY ");
    snprintf(text, sizeof text, "n%d DESC, ", (int)question->sort);
    if (question->is_sorted)
        slab_put_text(&sql, text);
    put_numbered(&sql, "k", ", ", question->key_count);
    snprintf(text, sizeof text, "k%d LIMIT ?1", (int)question->key_count);
    slab_put_text(&sql, text);
    end(&sql);
}
