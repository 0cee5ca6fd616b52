/* command_completion.c: relay completion: scripts for shells, from the tables of verbs and options: what is new there is completed too. */
#include "server/command_line.h"
#include "server/option.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Behind `--` and all that is no verb stand the server's options. */
#define SERVER "-"

struct noun {
    const char *name;
    int len;
};

static struct noun noun_of(const struct command *command)
{
    return (struct noun){command->name, (int)strcspn(command->name, " ")};
}

/* is_first: no row above has the same noun. */
static bool is_first(const struct command *all, size_t at)
{
    const struct noun noun = noun_of(&all[at]);
    for (size_t i = 0; i < at; i++)
        if (noun_of(&all[i]).len == noun.len && strncmp(all[i].name, noun.name, (size_t)noun.len) == 0)
            return false;
    return true;
}

/* verbs: those of the noun, with blanks between them. */
static void print_verbs(struct noun noun)
{
    size_t count;
    const struct command *all = commands(&count);
    for (size_t i = 0; i < count; i++)
        if (noun_of(&all[i]).len == noun.len && strncmp(all[i].name, noun.name, (size_t)noun.len) == 0 && all[i].name[noun.len])
            printf("%s ", all[i].name + noun.len + 1);
}

static void print_nouns(void)
{
    size_t count;
    const struct command *all = commands(&count);
    for (size_t i = 0; i < count; i++)
        if (is_first(all, i))
            printf("%.*s ", noun_of(&all[i]).len, all[i].name);
}

/* print_cases: a line of a `case` for each noun that has verbs. */
static void print_cases(void)
{
    size_t count;
    const struct command *all = commands(&count);
    for (size_t i = 0; i < count; i++) {
        const struct noun noun = noun_of(&all[i]);
        if (!noun.name[noun.len] || !is_first(all, i))
            continue;
        printf("        %.*s) verbs='", noun.len, noun.name);
        print_verbs(noun);
        puts("' ;;");
    }
}

typedef bool wanted(const struct command_switch *);

static bool is_any(const struct command_switch *flag)
{
    return flag->name != NULL;
}

static bool takes_path(const struct command_switch *flag)
{
    return flag->is_path;
}

static bool takes_word(const struct command_switch *flag)
{
    return flag->has_value && !flag->is_path;
}

static void print_flags(const struct command *command, wanted *is_wanted)
{
    struct command_switch flag;
    for (size_t i = 0; command_switch(command, i, &flag); i++)
        if (is_wanted(&flag))
            printf("%s ", flag.name);
}

/* ---- the server's own options ---- */

static bool is_path_option(const struct option *option)
{
    return option->kind == OPTION_FILES || option->traits & OPTION_READABLE || (option->value && (strstr(option->value, "FILE") || strstr(option->value, "PATH") || strstr(option->value, "DIR")));
}

static void print_options(bool all, bool paths)
{
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &options[i];
        const bool has_value = option_takes_value(option) && !option->bare;
        if (all || (has_value && is_path_option(option) == paths))
            printf("--%s ", option->name);
    }
    if (paths && !all)
        fputs("-c ", stdout);
}

/* print_table: for each command its flags, those whose value is a path, and those whose value is a word. */
static void print_table(void)
{
    size_t count;
    const struct command *all = commands(&count);
    for (size_t i = 0; i < count; i++) {
        printf("        '%s') flags='", all[i].name);
        print_flags(&all[i], is_any);
        fputs("' paths='", stdout);
        print_flags(&all[i], takes_path);
        fputs("' words='", stdout);
        print_flags(&all[i], takes_word);
        puts("' ;;");
    }
    fputs("        " SERVER ") flags='", stdout);
    print_options(true, false);
    fputs("' paths='", stdout);
    print_options(false, true);
    fputs("' words='", stdout);
    print_options(false, false);
    puts("' ;;");
}

/* print_facts: what both shells ask: $nouns, and by $noun its $verbs, by $command its $flags, $paths and $words. */
static void print_facts(void)
{
    fputs("    local nouns='", stdout);
    print_nouns();
    puts("' verbs='' flags='' paths='' words=''");
    puts("    case \"$noun\" in");
    print_cases();
    puts("    esac\n    case \" $verbs\" in\n        *\" $verb \"*) [ -n \"$verb\" ] && command=\"$noun $verb\" ;;\n    esac\n"
         "    case \" $nouns\" in\n        *\" $noun \"*) ;;\n        *) command=" SERVER " ;;\n    esac\n    case \"$command\" in");
    print_table();
    puts("    esac");
}

static const char bash_begin[] = "# bash completion of relay, by `relay completion bash`\n"
                                 "_relay()\n{\n"
                                 "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} noun=${COMP_WORDS[1]} verb=${COMP_WORDS[2]}\n"
                                 "    local command=$noun\n";

static const char bash_end[] =
    "    COMPREPLY=()\n"
    "    if [ \"$COMP_CWORD\" = 1 ] && [[ $current != -* ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$nouns\" -- \"$current\"))\n"
    "    elif [ \"$COMP_CWORD\" = 2 ] && [ -n \"$verbs\" ] && [[ $current != -* ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$verbs\" -- \"$current\"))\n"
    "    elif [[ \" $words\" == *\" $before \"* ]]; then\n"
    "        return\n"
    "    elif [[ $current == -* && \" $paths\" != *\" $before \"* ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$flags\" -- \"$current\"))\n"
    "    else\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        local IFS=$'\\n'\n"
    "        COMPREPLY=($(compgen -f -- \"$current\"))\n"
    "    fi\n}\n"
    "complete -F _relay relay\n";

/* $words is zsh's own: what has been typed. */
static const char zsh_begin[] = "#compdef relay\n"
                                "# zsh completion of relay, by `relay completion zsh`\n"
                                "_relay()\n{\n"
                                "    local -a typed; typed=(\"${words[@]}\")\n"
                                "    local at=$CURRENT; local current=${typed[at]} before=${typed[at-1]} noun=${typed[2]} verb=${typed[3]}\n"
                                "    local command=$noun\n";

static const char zsh_end[] = "    if (( at == 2 )) && [[ $current != -* ]]; then\n"
                              "        compadd -- ${=nouns}\n"
                              "    elif (( at == 3 )) && [[ -n $verbs && $current != -* ]]; then\n"
                              "        compadd -- ${=verbs}\n"
                              "    elif [[ \" $words\" == *\" $before \"* ]]; then\n"
                              "        return 1\n"
                              "    elif [[ $current == -* && \" $paths\" != *\" $before \"* ]]; then\n"
                              "        compadd -- ${=flags}\n"
                              "    else\n"
                              "        _files\n"
                              "    fi\n}\n"
                              "if [[ $funcstack[1] == _relay ]]; then\n    _relay \"$@\"\nelse\n    compdef _relay relay\nfi\n";

int command_completion(const struct command_line *line)
{
    const bool is_bash = strcmp(line->words[0], "bash") == 0;
    if (!is_bash && strcmp(line->words[0], "zsh") != 0)
        return command_fail(line, COMMAND_MISUSED, "%s: bash or zsh", line->words[0]);
    fputs(is_bash ? bash_begin : zsh_begin, stdout);
    print_facts();
    fputs(is_bash ? bash_end : zsh_end, stdout);
    return fflush(stdout) == 0 ? COMMAND_DONE : command_fail(line, COMMAND_FAILED, "standard output: %s", strerrordesc_np(errno));
}
