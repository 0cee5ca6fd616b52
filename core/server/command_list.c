/* command_list.c: rows for people and for programs, from one description of the columns. */
#include "server/command_line.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* sequence_len: of the well-formed UTF-8 sequence at `at` (RFC 3629), 0 if there is none; ends at the NUL at the latest. */
static size_t sequence_len(const uint8_t *at)
{
    const size_t len = at[0] < 0x80                    ? 1
                       : at[0] >= 0xc2 && at[0] < 0xe0 ? 2
                       : at[0] >= 0xe0 && at[0] < 0xf0 ? 3
                       : at[0] >= 0xf0 && at[0] < 0xf5 ? 4
                                                       : 0;
    for (size_t i = 1; i < len; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf0 && at[1] < 0x90) ||
        (at[0] == 0xf4 && at[1] > 0x8f))
        return 0; /* overlong, a surrogate, beyond U+10FFFF */
    return len;
}

void list_json_text(const char *text)
{
    putchar('"');
    for (const uint8_t *at = (const uint8_t *)text; *at;) {
        const size_t len = sequence_len(at);
        if (len == 0)
            fputs("\\ufffd", stdout);
        else if (*at == '"' || *at == '\\')
            printf("\\%c", *at);
        else if (*at < 0x20 || *at == 0x7f)
            printf("\\u%04x", *at);
        else
            fwrite(at, 1, len, stdout);
        at += len ? len : 1;
    }
    putchar('"');
}

void list_text(const char *text, int width)
{
    int columns = 0;
    for (const uint8_t *at = (const uint8_t *)text; *at;) {
        const size_t len = sequence_len(at);
        const bool plain = len > 0 && *at >= 0x20 && *at != 0x7f && *at != '\\' && !(*at == 0xc2 && at[1] < 0xa0);
        if (plain)
            fwrite(at, 1, len, stdout);
        else
            printf("\\x%02x", *at);
        columns += plain ? 1 : 4;
        at += plain ? len : 1;
    }
    printf("%*s", columns < width ? width - columns : 0, "");
}

static const char *format_time(int64_t ms, char out[32])
{
    const time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}

void list_begin(struct list *list, const struct column *columns, size_t count, bool json)
{
    *list = (struct list){.columns = columns, .count = count, .json = json};
    if (json) {
        putchar('[');
        return;
    }
    for (size_t i = 0; i < count; i++)
        printf(columns[i].kind == COLUMN_NUMBER ? "%s%*s" : "%s%-*s", i ? "  " : "", columns[i].width, columns[i].name);
    putchar('\n');
}

static void print_json_cell(const struct column *column, const struct cell *cell)
{
    char text[32];
    if (column->kind == COLUMN_TEXT)
        list_json_text(cell->text);
    else if (column->kind == COLUMN_JSON)
        fputs(cell->text ? cell->text : "null", stdout);
    else if (column->kind == COLUMN_NUMBER)
        printf("%jd", (intmax_t)cell->number);
    else if (cell->number)
        printf("\"%s\"", format_time(cell->number, text));
    else
        fputs("null", stdout);
}

static void print_cell(const struct column *column, const struct cell *cell)
{
    char text[32];
    if (column->kind == COLUMN_TEXT)
        list_text(cell->text, column->width);
    else if (column->kind == COLUMN_JSON)
        list_text(cell->text ? cell->text : "-", column->width);
    else if (column->kind == COLUMN_NUMBER)
        printf("%*jd", column->width, (intmax_t)cell->number);
    else
        printf("%-*s", column->width, cell->number ? format_time(cell->number, text) : "-");
}

static void print_json_row(const struct column *columns, size_t count, const struct cell *cells)
{
    for (size_t i = 0; i < count; i++) {
        printf("%s\"%s\": ", i ? ", " : "{", columns[i].name);
        print_json_cell(&columns[i], &cells[i]);
    }
    putchar('}');
}

void list_one(const struct column *columns, size_t count, const struct cell *cells, bool json)
{
    if (json) {
        print_json_row(columns, count, cells);
        putchar('\n');
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct column column = {columns[i].name, columns[i].kind, 0};
        printf("%-20s  ", column.name);
        print_cell(&column, &cells[i]);
        putchar('\n');
    }
}

void list_row(struct list *list, const struct cell *cells)
{
    if (list->json) {
        fputs(list->rows ? ",\n " : "\n ", stdout);
        print_json_row(list->columns, list->count, cells);
    }
    for (size_t i = 0; i < list->count && !list->json; i++) {
        fputs(i ? "  " : "", stdout);
        print_cell(&list->columns[i], &cells[i]);
    }
    fputs(list->json ? "" : "\n", stdout);
    list->rows++;
}

void list_end(struct list *list)
{
    if (list->json)
        fputs(list->rows ? "\n]\n" : "]\n", stdout);
}
