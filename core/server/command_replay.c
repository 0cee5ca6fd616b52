/* command_replay.c: relay replay: what policies would have decided of what decision logs say. */
#include "policy/recorded.h"
#include "server/rehearsal.h"

#include "base/err.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPLAY_LINE_MAX (1 << 20)
#define WORDS_MAX 8192
#define SHOW_MS 200   /* between two looks at how far it is */
#define SHOW_LINES 64 /* or so many lines */
#define REASONS 8

enum fate { FATE_SAME, FATE_DIFFERS, FATE_UNSAID, FATES };

static const char *const fate_names[FATES] = {"same", "differs", "cannot be said"}, *const fate_keys[FATES] = {"same", "differs", "unsaid"};

/* struct reason: why something cannot be said, and how often. */
struct reason {
    const char *text;
    uint64_t count;
};

struct replay {
    const struct command_line *line;
    bool json, is_shown; /* is_shown: on a terminal, how far it is */
    struct rehearsal rehearsal;
    bool is_open;
    const char *path;
    uint64_t number; /* of the line */
    FILE *file;
    off_t size;
    msec_t shown;
    uint64_t counts[HOOK_COUNT][FATES], told, bad; /* told: of what the core refused by itself */
    struct reason reasons[REASONS];
    char text[REPLAY_LINE_MAX];
};

/* ---- how far it is ---- */

static void hide(const struct replay *replay)
{
    if (replay->shown)
        fputs("\r\033[K", stderr);
}

static uint64_t total(const struct replay *replay, enum fate fate)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < HOOK_COUNT; i++)
        sum += replay->counts[i][fate];
    return sum;
}

static void show(struct replay *replay)
{
    const msec_t now = clock_monotonic_ms();
    const off_t at = ftello(replay->file);
    if (now - replay->shown < SHOW_MS)
        return;
    replay->shown = now;
    fprintf(stderr, "\r\033[K%s: line %" PRIu64, replay->path, replay->number);
    if (replay->size > 0 && at >= 0)
        fprintf(stderr, ", %d %%", (int)(100 * at / replay->size));
    fprintf(stderr, ", %" PRIu64 " differ", total(replay, FATE_DIFFERS));
    fflush(stderr);
}

/* ---- one record ---- */

static void bad_line(struct replay *replay, const char *why)
{
    hide(replay);
    fprintf(stderr, "%s:%" PRIu64 ": %s\n", replay->path, replay->number, why);
    replay->bad++;
}

static void unsaid(struct replay *replay, const char *text)
{
    for (size_t i = 0; i < REASONS; i++) {
        struct reason *reason = &replay->reasons[i];
        if (reason->text && strcmp(reason->text, text) != 0)
            continue;
        reason->text = text;
        reason->count++;
        return;
    }
}

static void print_view(struct view text)
{
    fwrite(text.at, 1, text.len, stdout);
}

/* print_answer: as JSON, or in words. */
static void print_answer(bool json, const struct recorded *recorded, const struct verdict *verdict)
{
    char text[WORDS_MAX];
    struct slab out = slab_over(text, sizeof text);
    if (!json)
        recorded ? recorded_put_answer(&out, recorded) : recorded_put_verdict(&out, verdict);
    else if (recorded)
        recorded_put_json(&out, recorded);
    else
        recorded_put_verdict_json(&out, verdict);
    print_view(slab_view(&out));
}

static void print_difference(struct replay *replay, const struct recorded *recorded, const struct verdict *verdict)
{
    const char *by = *verdict->by ? verdict->by : "nobody";
    hide(replay);
    if (!replay->json) {
        printf("%s:%" PRIu64 ": %s %s: ", replay->path, replay->number, recorded->id, recorded->phase);
        print_answer(false, recorded, NULL);
        printf(" by %s -> ", recorded->by);
        print_answer(false, NULL, verdict);
        printf(" by %s\n", by);
        return;
    }
    printf("%s\n {\"decision_id\": ", total(replay, FATE_DIFFERS) > 1 ? "," : "");
    list_json_text(recorded->id);
    printf(", \"phase\": \"%s\", \"file\": ", recorded->phase);
    list_json_text(replay->path);
    printf(", \"line\": %" PRIu64 ", \"recorded\": ", replay->number);
    print_answer(true, recorded, NULL);
    fputs(", \"recorded_by\": ", stdout);
    list_json_text(recorded->by);
    fputs(", \"new\": ", stdout);
    print_answer(true, NULL, verdict);
    fputs(", \"new_by\": ", stdout);
    list_json_text(by);
    putchar('}');
}

static void judge(struct replay *replay, const struct recorded *recorded, const struct verdict *verdict)
{
    const char *missed = replay->rehearsal.missed;
    const bool same = recorded_is(recorded, verdict);
    if (!missed && !same)
        missed = recorded_lacks(recorded);
    const enum fate fate = missed ? FATE_UNSAID : same ? FATE_SAME : FATE_DIFFERS;
    replay->counts[recorded->hook][fate]++;
    if (missed)
        unsaid(replay, missed);
    else if (!same)
        print_difference(replay, recorded, verdict);
}

static void ask(struct replay *replay, const struct recorded *recorded)
{
    struct rehearsal *rehearsal = &replay->rehearsal;
    struct verdict verdict = {.kind = VERDICT_SILENT};
    rehearsal_pass(rehearsal, recorded->scene.question.now);
    rehearsal->missed = NULL;
    rehearsal_ask(rehearsal, &recorded->scene, &verdict);
    if (recorded->hook == HOOK_log)
        replay->told++;
    else
        judge(replay, recorded, &verdict);
    crypto_wipe(verdict.keys, sizeof verdict.keys);
}

/* open_policies: they begin with the first record. 0, or the exit code, told. */
static int open_policies(struct replay *replay, int64_t unix_ms)
{
    const struct command_values *files = &replay->line->policies;
    const struct rehearsal_plan plan = {.files = files->at, .file_count = files->count, .unix_ms = unix_ms};
    int code = replay->is_open ? 0 : rehearsal_open(&replay->rehearsal, replay->line, &plan);
    if (!replay->is_open && !code && !replay->rehearsal.policy)
        code = command_fail(replay->line, COMMAND_FAILED, "%s", replay->rehearsal.error);
    replay->is_open = true;
    return code;
}

static int replay_line(struct replay *replay, size_t len)
{
    char error[512];
    struct recorded recorded;
    int code = 0;
    const msec_t earliest = replay->is_open ? replay->rehearsal.now : 0;
    if (recorded_open(&recorded, replay->text, len, earliest, error, sizeof error) != 0)
        bad_line(replay, error);
    else if ((code = open_policies(replay, recorded.unix_ms)) == 0)
        ask(replay, &recorded);
    recorded_close(&recorded);
    return code;
}

/* ---- files ---- */

/* skip_line: what is too long is not kept. */
static void skip_line(struct replay *replay)
{
    int c;
    bad_line(replay, "longer than 1048575 bytes");
    while ((c = getc(replay->file)) != EOF && c != '\n')
        ;
}

static int replay_lines(struct replay *replay)
{
    int code = 0;
    for (replay->number = 1; !code && fgets(replay->text, sizeof replay->text, replay->file); replay->number++) {
        const size_t len = strcspn(replay->text, "\n");
        if (len == sizeof replay->text - 1)
            skip_line(replay);
        else if (len)
            code = replay_line(replay, len);
        if (replay->is_shown && replay->number % SHOW_LINES == 0)
            show(replay);
    }
    if (ferror(replay->file))
        bad_line(replay, strerrordesc_np(errno));
    return code;
}

static int replay_file(struct replay *replay, const char *path)
{
    struct stat about;
    replay->path = path;
    replay->file = fopen(path, "re");
    if (!replay->file)
        return command_fail(replay->line, COMMAND_FAILED, "%s: %s", path, strerrordesc_np(errno));
    replay->size = fstat(fileno(replay->file), &about) == 0 && S_ISREG(about.st_mode) ? about.st_size : 0;
    const int code = replay_lines(replay);
    fclose(replay->file);
    return code;
}

/* ---- the sum ---- */

static void print_sum(const struct replay *replay)
{
    for (size_t i = 0; i < HOOK_COUNT; i++)
        for (size_t fate = 0; fate < FATES; fate++)
            if (replay->counts[i][fate])
                printf("%-14s %-16s %" PRIu64 "\n", policy_hook_name((enum hook)i), fate_names[fate], replay->counts[i][fate]);
    for (size_t i = 0; i < REASONS && replay->reasons[i].text; i++)
        printf("%-31s %" PRIu64 "\n", replay->reasons[i].text, replay->reasons[i].count);
    if (replay->told)
        printf("%-31s %" PRIu64 "\n", "the core alone", replay->told);
    printf("%" PRIu64 " same, %" PRIu64 " differ, %" PRIu64 " cannot be said\n", total(replay, FATE_SAME), total(replay, FATE_DIFFERS),
           total(replay, FATE_UNSAID));
}

static void print_sum_json(const struct replay *replay)
{
    fputs("],\n \"phases\": {", stdout);
    for (size_t i = 0, begun = 0; i < HOOK_COUNT; i++) {
        const uint64_t *counts = replay->counts[i];
        if (counts[FATE_SAME] + counts[FATE_DIFFERS] + counts[FATE_UNSAID] == 0)
            continue;
        printf("%s\"%s\": {", begun++ ? ", " : "", policy_hook_name((enum hook)i));
        for (size_t fate = 0; fate < FATES; fate++)
            printf("\"%s\": %" PRIu64 "%s", fate_keys[fate], counts[fate], fate + 1 < FATES ? ", " : "}");
    }
    fputs("},\n \"reasons\": {", stdout);
    for (size_t i = 0; i < REASONS && replay->reasons[i].text; i++)
        printf("%s\"%s\": %" PRIu64, i ? ", " : "", replay->reasons[i].text, replay->reasons[i].count);
    printf("},\n \"same\": %" PRIu64 ", \"differs\": %" PRIu64 ", \"unsaid\": %" PRIu64 ", \"core\": %" PRIu64 ", \"bad_lines\": %" PRIu64
           "}\n",
           total(replay, FATE_SAME), total(replay, FATE_DIFFERS), total(replay, FATE_UNSAID), replay->told, replay->bad);
}

static int replay_all(struct replay *replay)
{
    const struct command_line *line = replay->line;
    int code = 0;
    if (replay->json)
        fputs("{\"differences\": [", stdout);
    for (size_t i = 0; i < line->word_count && !code; i++)
        code = replay_file(replay, line->words[i]);
    if (!code)
        code = open_policies(replay, 0); /* where nothing is recorded they have to load too */
    hide(replay);
    if (replay->json)
        print_sum_json(replay);
    else if (!code)
        print_sum(replay);
    if (fflush(stdout) != 0)
        code = command_fail(line, COMMAND_FAILED, "standard output: %s", strerrordesc_np(errno));
    return code || replay->bad ? COMMAND_MISUSED : total(replay, FATE_DIFFERS) ? COMMAND_FAILED : COMMAND_DONE;
}

int command_replay(const struct command_line *line)
{
    struct replay *replay = calloc(1, sizeof *replay);
    if (!replay)
        return command_fail(line, COMMAND_FAILED, "not enough memory");
    replay->line = line;
    replay->json = line->given & COMMAND_FLAG(JSON);
    replay->is_shown = isatty(STDERR_FILENO);
    const int code = replay_all(replay);
    if (replay->is_open)
        rehearsal_close(&replay->rehearsal);
    free(replay);
    return code;
}
