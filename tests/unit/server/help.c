/* help.c: the summary, the manual page, the example file and the README say what the tables say. */
#include "loaded.h"

#include "server/command.h"
#include "server/help.h"
#include "server/ignored.h"
#include "server/option.h"

static char *printed(void (*print)(FILE *))
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    print(out);
    fclose(out);
    return text;
}

static int count_of(const char *text, const char *what)
{
    int count = 0;
    for (; (text = strstr(text, what)) != NULL; text++)
        count++;
    return count;
}

/* escaped: as roff writes it. */
static const char *escaped(const char *name, char out[128])
{
    size_t len = 0;
    for (; *name; name++) {
        if (*name == '-')
            out[len++] = '\\';
        out[len++] = *name;
    }
    out[len] = 0;
    return out;
}

TEST(the_summary_has_each_option_once_with_letter_value_and_default)
{
    char *text = printed(help_print), line[160];
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &options[i];
        snprintf(line, sizeof line, "  %c%c%c --%s%s%s%s%s", option->letter ? '-' : ' ', option->letter ? option->letter : ' ', option->letter ? ',' : ' ',
                 option->name, option->value ? option->bare ? "[=" : "=" : "", option->value ? option->value : "", option->bare ? "]" : "",
                 option->value ? "" : strlen(option->name) < 26 ? " " : "\n");
        if (count_of(text, line) != 1)
            test_failed(__FILE__, __LINE__, "\"%s\" is there %d times", line, count_of(text, line));
    }
    CHECK(strstr(text, "(default 49152)") && strstr(text, "(default 3600)"));
    free(text);
}

TEST(no_line_of_the_summary_is_longer_than_a_terminal)
{
    char *text = printed(help_print), *rest = text, *line;
    while ((line = strsep(&rest, "\n")) != NULL)
        if (strncmp(line, "  relay ", 8) != 0 && strlen(line) > 110)
            test_failed(__FILE__, __LINE__, "%zu columns: %s", strlen(line), line);
    free(text);
}

TEST(the_manual_page_has_each_option_and_each_of_coturns)
{
    char *text = printed(help_manual), line[200], name[128];
    for (size_t i = 0; i < option_count; i++) {
        snprintf(line, sizeof line, "\\fB\\-\\-%s\\fR", escaped(options[i].name, name));
        if (count_of(text, line) != 1)
            test_failed(__FILE__, __LINE__, "%s is there %d times", line, count_of(text, line));
    }
    for (size_t i = 0; i < ignored_count; i++) {
        snprintf(line, sizeof line, ".TP\n\\fB%s\\fR", escaped(ignored[i].name, name));
        if (count_of(text, line) != 1)
            test_failed(__FILE__, __LINE__, "%s is there %d times", line, count_of(text, line));
    }
    free(text);
}

TEST(summary_and_manual_page_have_each_command)
{
    char *summary = printed(help_print), *manual = printed(help_manual), line[400], text[128];
    size_t count;
    const struct command *all = commands(&count);
    CHECK(count > 0);
    for (size_t i = 0; i < count; i++) {
        snprintf(line, sizeof line, "  relay %s %s\n", all[i].name, all[i].synopsis);
        CHECK_INT(count_of(summary, line), 1);
        snprintf(line, sizeof line, ".TP\n\\fBrelay %s\\fR ", escaped(all[i].name, text));
        CHECK_INT(count_of(manual, line), 1);
    }
    free(summary);
    free(manual);
}

/* A line of roff that begins with a dot or a quote is a request: only those that we mean. */
TEST(the_manual_page_has_no_request_but_ours)
{
    static const char *const requests[] = {".TH ", ".SH ", ".SS ", ".TP", ".br", ".nf", ".fi"};
    char *text = printed(help_manual), *rest = text, *line;
    while ((line = strsep(&rest, "\n")) != NULL) {
        bool ours = line[0] != '.' && line[0] != '\'';
        for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
            ours |= strncmp(line, requests[i], strlen(requests[i])) == 0;
        if (!ours)
            test_failed(__FILE__, __LINE__, "%s", line);
    }
    free(text);
}

TEST(a_sentence_of_help_has_no_full_stop_and_begins_in_upper_case)
{
    for (size_t i = 0; i < option_count; i++) {
        const char *help = options[i].help;
        CHECK(help[0] && help[strlen(help) - 1] != '.' && !(help[0] >= 'a' && help[0] <= 'z'));
    }
    for (size_t i = 0; i < ignored_count; i++)
        CHECK(ignored[i].instead[strlen(ignored[i].instead) - 1] != '.');
}

TEST(the_example_file_is_what_the_program_prints)
{
    char *text = printed(help_example), *file = test_file("examples/relay.conf");
    if (!file || strcmp(text, file) != 0)
        test_failed(__FILE__, __LINE__, "print it anew: relay --example-config > examples/relay.conf");
    free(text);
    free(file);
}

TEST(the_example_file_loads_and_names_every_option_of_a_file)
{
    char *text = printed(help_example), line[128];
    struct loaded loaded = LOAD(text);
    CHECK_LOADED(loaded);
    for (size_t i = 0; i < option_count; i++) {
        const char *value = options[i].fallback ? options[i].fallback : options[i].value;
        snprintf(line, sizeof line, "\n#%s%s%s\n", options[i].name, value ? "=" : "", value ? value : "");
        CHECK_INT(count_of(text, line), !(options[i].traits & OPTION_COMMAND_LINE));
    }
    unload(&loaded);
    free(text);
}

/* In a command that starts the relay, what begins with dashes is an option. The other commands have their own. */
TEST(the_readme_names_options_that_exist)
{
    char *text = test_file("README.md"), *rest = text, *line;
    int count = 0;
    if (!text)
        test_skip("there is no README.md");
    while ((line = strsep(&rest, "\n")) != NULL) {
        const bool starts = strstr(line, "relay -") != NULL;
        for (const char *at = line; starts && (at = strstr(at, " --")) != NULL; at++) {
            char name[64];
            const size_t len = strcspn(at + 3, "= \t`)],.");
            snprintf(name, sizeof name, "%.*s", (int)len, at + 3);
            if (!option_find(name))
                test_failed(__FILE__, __LINE__, "README.md: there is no --%s", name);
            count++;
        }
    }
    free(text);
    CHECK(count > 0);
}

TEST_LIST(RUN(the_summary_has_each_option_once_with_letter_value_and_default) RUN(no_line_of_the_summary_is_longer_than_a_terminal)
              RUN(the_manual_page_has_each_option_and_each_of_coturns) RUN(summary_and_manual_page_have_each_command) RUN(the_manual_page_has_no_request_but_ours)
                  RUN(a_sentence_of_help_has_no_full_stop_and_begins_in_upper_case) RUN(the_example_file_is_what_the_program_prints)
                      RUN(the_example_file_loads_and_names_every_option_of_a_file) RUN(the_readme_names_options_that_exist))
