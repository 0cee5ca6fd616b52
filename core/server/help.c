/* help.c: the tables of options as a summary, an example file and a manual page. */
#include "server/help.h"

#include "server/command.h"
#include "server/ignored.h"
#include "server/option.h"

#include <string.h>

#define COLUMN 34
#define WIDTH 100
#define HELP_MAX 512

/* print_wrapped: words from column `column` on, broken at blanks; further lines begin with `prefix` and are padded to `indent` columns. */
static void print_wrapped(FILE *out, const char *text, int column, int indent, const char *prefix)
{
    bool first = true;
    while (*text) {
        const int word = (int)strcspn(text, " ");
        if (!first && column + 1 + word > WIDTH) {
            fprintf(out, "\n%-*s", indent, prefix);
            column = indent;
        } else if (!first) {
            column += fprintf(out, " ");
        }
        column += fprintf(out, "%.*s", word, text);
        text += word;
        text += strspn(text, " ");
        first = false;
    }
    fputc('\n', out);
}

/* describe: what the option does, its default, and whether it may be said again. */
static const char *describe(const struct option *option, char out[HELP_MAX])
{
    const bool has_default = option->fallback != NULL;
    snprintf(out, HELP_MAX, "%s%s%s%s%s", option->help, has_default ? " (default " : "", has_default ? option->fallback : "",
             has_default ? ")" : "", option_repeats(option) ? " (repeatable)" : "");
    return out;
}

static void print_option(FILE *out, const struct option *option)
{
    char help[HELP_MAX], letter[5] = "    ";
    if (option->letter)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    int column = fprintf(out, "  %s--%s", letter, option->name);
    if (option->value)
        column += fprintf(out, option->bare ? "[=%s]" : "=%s", option->value);
    if (column >= COLUMN) {
        fputc('\n', out);
        column = 0;
    }
    fprintf(out, "%*s", COLUMN - column, "");
    print_wrapped(out, describe(option, help), COLUMN, COLUMN, "");
}

static void print_commands(FILE *out)
{
    size_t count;
    const struct command *all = commands(&count);
    fprintf(out, "\nCommands\n");
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "  relay %s %s\n%*s", all[i].name, all[i].synopsis, COLUMN, "");
        print_wrapped(out, all[i].summary, COLUMN, COLUMN, "");
    }
}

void help_print(FILE *out)
{
    fputs("relay " RELAY_VERSION ": a STUN and TURN server whose policy is written in Lua\n\n"
          "Usage: relay [-c FILE] [OPTION]...\n"
          "       relay COMMAND [ARGUMENT]...\n",
          out);
    for (unsigned section = 0; section < OPTION_SECTIONS; section++) {
        fprintf(out, "\n%s\n", option_section_title(section));
        for (size_t i = 0; i < option_count; i++)
            if (options[i].section == section)
                print_option(out, &options[i]);
    }
    print_commands(out);
    fprintf(out, "\nA file has one option a line, as NAME=VALUE or NAME, with # before remarks; what the command line says wins.\n"
                 "No file is read unless -c names it. The manual page says more: relay --manual-page | man -l -\n");
}

static void print_example_option(FILE *out, const struct option *option)
{
    char help[HELP_MAX];
    const char *value = option->fallback ? option->fallback : option->value;
    fputs("\n# ", out);
    print_wrapped(out, describe(option, help), 2, 2, "#");
    fprintf(out, "#%s%s%s\n", option->name, value ? "=" : "", value ? value : "");
}

void help_example(FILE *out)
{
    fprintf(out, "# Every option that a file may have, as relay --example-config prints it. Take away the # before those you need;\n"
                 "# the value shown is the default, or says what belongs there.\n");
    for (unsigned section = SECTION_GENERAL + 1; section < OPTION_SECTIONS; section++) {
        fprintf(out, "\n\n# == %s ==\n", option_section_title(section));
        for (size_t i = 0; i < option_count; i++)
            if (options[i].section == section && !(options[i].traits & OPTION_COMMAND_LINE))
                print_example_option(out, &options[i]);
    }
}

/* roff: text with what man(7) would read as its own escaped. */
static void roff(FILE *out, const char *text)
{
    for (; *text; text++)
        if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\\')
            fputs("\\e", out);
        else
            fputc(*text, out);
}

static void roff_option(FILE *out, const struct option *option)
{
    char help[HELP_MAX];
    fputs(".TP\n", out);
    if (option->letter)
        fprintf(out, "\\fB\\-%c\\fR, ", option->letter);
    fputs("\\fB\\-\\-", out);
    roff(out, option->name);
    fprintf(out, "\\fR%s", option->bare ? "[=" : option->value ? "=" : "");
    if (option->value) {
        fputs("\\fI", out);
        roff(out, option->value);
        fprintf(out, "\\fR%s", option->bare ? "]" : "");
    }
    fputc('\n', out);
    roff(out, describe(option, help));
    fputs(".\n", out);
    if (option->also) {
        fputs("Also as \\fB\\-\\-", out);
        roff(out, option->also);
        fputs("\\fR.\n", out);
    }
}

static void roff_options(FILE *out)
{
    fputs(".SH OPTIONS\n", out);
    for (unsigned section = 0; section < OPTION_SECTIONS; section++) {
        fprintf(out, ".SS %s\n", option_section_title(section));
        for (size_t i = 0; i < option_count; i++)
            if (options[i].section == section)
                roff_option(out, &options[i]);
    }
}

/* roff_own: the switches that this command alone has. */
static void roff_own(FILE *out, const struct command *command)
{
    size_t count;
    const struct command_own *own = command_own(command, &count);
    for (size_t i = 0; i < count; i++) {
        fputs(".br\n\\fB", out);
        roff(out, own[i].name);
        fputs("\\fR ", out);
        roff(out, own[i].help);
        fputs(".\n", out);
    }
}

static void roff_commands(FILE *out)
{
    size_t count;
    const struct command *all = commands(&count);
    fputs(".SH COMMANDS\nThey work on the database file, or on policies, beside a running server or without one; reload and policy ask "
          "a\nrunning server.\n",
          out);
    for (size_t i = 0; i < count; i++) {
        fputs(".TP\n\\fBrelay ", out);
        roff(out, all[i].name);
        fputs("\\fR ", out);
        roff(out, all[i].synopsis);
        fputc('\n', out);
        roff(out, all[i].summary);
        fputs(".\n", out);
        roff_own(out, &all[i]);
    }
}

static void roff_ignored(FILE *out)
{
    fputs(".SH OPTIONS OF COTURN\n"
          "A turnserver.conf of coturn's runs as it is. An option without meaning here earns one warning that says what to use\n"
          "instead; those marked \\fIrefused\\fR ask for what the relay cannot keep, and end the start.\n",
          out);
    for (size_t i = 0; i < ignored_count; i++) {
        fputs(".TP\n\\fB", out);
        roff(out, ignored[i].name);
        fprintf(out, "\\fR%s\n", ignored_is_refused(&ignored[i]) ? " (\\fIrefused\\fR)" : "");
        roff(out, ignored[i].instead);
        fputs(".\n", out);
    }
}

static const char manual_head[] =
    ".TH RELAY 8 \"\" \"relay " RELAY_VERSION "\"\n"
    ".SH NAME\nrelay \\- a STUN and TURN server whose policy is written in Lua\n"
    ".SH SYNOPSIS\n"
    "\\fBrelay\\fR [\\fB\\-c\\fR \\fIFILE\\fR] [\\fIOPTION\\fR]...\n.br\n"
    "\\fBrelay\\fR \\fICOMMAND\\fR [\\fIARGUMENT\\fR]...\n"
    ".SH DESCRIPTION\n"
    "relay answers STUN Binding requests and relays UDP for TURN clients that reach it over UDP, TCP, TLS or DTLS,\n"
    "IPv4 or IPv6. Nobody relays without authentication: by users, by time\\-limited credentials under a shared secret,\n"
    "by the users of a database, or by a policy. Peers that the Internet cannot reach are refused unless\n"
    "\\fBallowed\\-peer\\-ip\\fR names them. It stays in the foreground; SIGTERM and SIGINT end it, SIGHUP opens the log\n"
    "file anew and reads the certificates and the policies anew; coturn\\(aqs SIGUSR2 does so but for the policies, and its SIGUSR1 drains, as SIGTERM does with drain\\-deadline. What is wrong with "
    "one\n"
    "leaves all as they were, and the log says what it is.\n";

static const char manual_tail[] =
    ".SH CONFIGURATION FILE\n"
    "The file is the one that \\fB\\-c\\fR names; no other place is looked in. It has one option a line, as\n"
    "\\fINAME\\fR=\\fIVALUE\\fR, \\fINAME VALUE\\fR or \\fINAME\\fR, without dashes. Blank lines, and lines that begin with\n"
    "#, do not count; a # further on belongs to the value. Double quotes around a value are taken off. A flag may have a\n"
    "value too: 1, yes, true, on or 0, no, false, off. A later value replaces an earlier one; repeatable options add up;\n"
    "the command line comes after the file. Every mistake is told as \\fIfile:line: option: reason\\fR and ends the\n"
    "start. Names are never resolved.\n"
    ".SH EXIT STATUS\n"
    "0 after a clean end, 1 when the start or the command failed, with nothing left running; 2 when a command was called\n"
    "wrongly.\n"
    ".SH EXAMPLES\n"
    ".nf\n"
    "relay \\-c /etc/relay.conf \\-\\-check\\-config\n"
    "relay \\-c /etc/turnserver.conf \\-\\-policy policies/quota.lua \\-\\-set quota.user=4\n"
    "relay \\-\\-example\\-config > relay.conf\n"
    ".fi\n";

void help_manual(FILE *out)
{
    fputs(manual_head, out);
    roff_options(out);
    roff_commands(out);
    fputs(manual_tail, out);
    roff_ignored(out);
}
