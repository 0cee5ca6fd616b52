/* room.h: a directory with a database for one test, and `relay ...` run in it. */
#ifndef RELAY_TESTS_ROOM_H
#define RELAY_TESTS_ROOM_H

#include "server/command.h"
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 24

/* struct ran: how one `relay ...` ended and what it printed. */
struct ran {
    int code;
    char out[4096], err[2048];
};

struct room {
    char dir[64], db[96];
};

static inline struct room room_make(void)
{
    struct room room = {.dir = "/tmp/relay-command-XXXXXX"};
    CHECK(mkdtemp(room.dir));
    snprintf(room.db, sizeof room.db, "%s/relay.db", room.dir);
    return room;
}

static const char *room_path(const struct room *room, const char *name, char out[128])
{
    snprintf(out, 128, "%s/%.60s", room->dir, name);
    return out;
}

static inline void room_remove(const struct room *room)
{
    DIR *directory = opendir(room->dir);
    CHECK(directory);
    for (const struct dirent *entry; (entry = readdir(directory));)
        if (*entry->d_name != '.')
            unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
    CHECK_INT(rmdir(room->dir), 0);
}

static inline void put_file(const struct room *room, const char *name, const char *text)
{
    char path[128];
    FILE *file = fopen(room_path(room, name, path), "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static inline void get_file(const struct room *room, const char *name, char *out, size_t cap)
{
    char path[128], *text = test_file(room_path(room, name, path));
    CHECK(text);
    snprintf(out, cap, "%s", text);
    free(text);
}

static inline void redirect(const struct room *room, const char *name, int flags, int to)
{
    char path[128];
    const int fd = open(room_path(room, name, path), flags, 0600);
    if (fd < 0 || dup2(fd, to) < 0)
        _exit(99);
    close(fd);
}

/* The child is what `relay` would be: "relay", then the words; DB stands for the database of the room. */
static inline struct ran run_words(const struct room *room, const char *input, const char *const *words)
{
    struct ran ran;
    char *argv[WORDS_MAX + 1] = {strdup("relay")};
    int argc = 1, status;
    put_file(room, "in", input);
    for (; words[argc - 1]; argc++)
        argv[argc] = strdup(strcmp(words[argc - 1], "DB") == 0 ? room->db : words[argc - 1]);
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        redirect(room, "in", O_RDONLY, STDIN_FILENO);
        redirect(room, "out", O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
        redirect(room, "err", O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
        const int code = command_run(argc, argv);
        fflush(stdout);
        _exit(code & 0xff);
    }
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    ran.code = WEXITSTATUS(status);
    get_file(room, "out", ran.out, sizeof ran.out);
    get_file(room, "err", ran.err, sizeof ran.err);
    return ran;
}

#define RUN_RELAY(room, input, ...) run_words(&(room), input, (const char *const[]){__VA_ARGS__, NULL})

static inline void check_ran(const struct ran *ran, int code, const char *out, const char *err)
{
    if (ran->code != code || (out && !strstr(ran->out, out)) || !strstr(ran->err, err) || (!*err && *ran->err))
        test_failed(__FILE__, __LINE__, "exit %d, not %d; out: %s err: %s", ran->code, code, ran->out, ran->err);
}

#endif
