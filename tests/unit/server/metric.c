/* The rows of metrics: the page says what they say; reasons and tenants are bounded. */
#include "server/metric.h"
#include "test.h"

#include <stdlib.h>

static char *read_whole(const char *path)
{
    static char text[65536];
    FILE *file = fopen(path, "r");
    CHECK(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    return text;
}

TEST(the_page_is_what_the_rows_say)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    metric_describe(out);
    CHECK(fclose(out) == 0);
    if (strcmp(text, read_whole("core/METRICS.md")) != 0)
        test_failed(__FILE__, __LINE__, "core/METRICS.md is another: build/relay metrics --describe > core/METRICS.md");
    free(text);
}

static void check_rows(const struct metric *rows, bool by_workers)
{
    for (const struct metric *metric = rows; metric->name; metric++) {
        const size_t len = strlen(metric->name);
        const bool is_total = len > 6 && strcmp(metric->name + len - 6, "_total") == 0;
        CHECK_INT(is_total, metric->type == METRIC_COUNTER);
        CHECK(strncmp(metric->name, "relay_", 6) == 0 && metric->help[strlen(metric->help) - 1] == '.' && !strchr(metric->help, '\n') &&
              !strchr(metric->help, '\\'));
        CHECK((metric->of_worker != NULL) == by_workers && (metric->of_main != NULL) != by_workers);
        for (const struct metric *other = rows; other < metric; other++)
            CHECK(strcmp(other->name, metric->name) != 0);
    }
}

TEST(every_row_has_a_name_of_its_own_and_a_sentence)
{
    check_rows(metric_of_worker, true);
    check_rows(metric_of_main, false);
}

TEST(reasons_that_nobody_knows_are_counted_together)
{
    CHECK_INT(metric_ending("released"), 0);
    CHECK_INT(metric_ending("what a policy said"), metric_ending("what another said"));
    CHECK(metric_ending("kicked") != metric_ending("expired"));
    CHECK_INT(metric_refusal("total_quota", "core"), 0);
    CHECK_INT(metric_refusal("total_quota", "p.lua:7"), metric_refusal("anything", "q.lua:1"));
    CHECK_INT(metric_refusal("something", "core"), metric_refusal("else", "core"));
    CHECK(metric_refusal("something", "core") != metric_refusal("something", "p.lua:7"));
    CHECK(metric_refusal("something", "core") < METRIC_REASONS_MAX);
}

TEST_LIST(RUN(the_page_is_what_the_rows_say) RUN(every_row_has_a_name_of_its_own_and_a_sentence)
              RUN(reasons_that_nobody_knows_are_counted_together))
