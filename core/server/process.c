/* process.c: limits, pid file, privileges. */
#include "server/process.h"

#include "base/err.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static int refuse_name(struct refusal *refusal, const struct config *config, const char *option, const char *what)
{
    return refuse(refusal, config, option, "%s: %s", what, errno ? strerror(errno) : "no such name");
}

void process_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

uint32_t process_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > UINT32_MAX)
        return UINT32_MAX;
    return (uint32_t)limit.rlim_cur;
}

/* Written beside its place and moved there: who finds it finds a whole number. */
int process_pidfile(const struct config *config, struct refusal *refusal)
{
    char beside[PATH_MAX];
    if (!config->pidfile)
        return 0;
    snprintf(beside, sizeof beside, "%s.new", config->pidfile);
    FILE *file = fopen(beside, "w");
    if (!file)
        return refuse_name(refusal, config, "pidfile", config->pidfile);
    const bool written = fprintf(file, "%ld\n", (long)getpid()) > 0;
    if (fclose(file) == 0 && written && rename(beside, config->pidfile) == 0)
        return 0;
    const int failed = refuse_name(refusal, config, "pidfile", config->pidfile);
    unlink(beside);
    return failed;
}

void process_pidfile_remove(const struct config *config)
{
    long pid = 0;
    FILE *file = config->pidfile ? fopen(config->pidfile, "r") : NULL;
    if (!file)
        return;
    const bool ours = fscanf(file, "%ld", &pid) == 1 && pid == (long)getpid();
    fclose(file);
    if (ours)
        unlink(config->pidfile);
}

static int drop_group(const struct config *config, gid_t group, struct refusal *refusal)
{
    const char *option = config->proc_group ? "proc-group" : "proc-user";
    if (geteuid() == 0 && setgroups(0, NULL) != 0)
        return refuse_name(refusal, config, option, "cannot leave the supplementary groups");
    if (setresgid(group, group, group) != 0)
        return refuse_name(refusal, config, option, "cannot become that group");
    return 0;
}

int process_drop(const struct config *config, struct refusal *refusal)
{
    errno = 0;
    const struct passwd *user = config->proc_user ? getpwnam(config->proc_user) : NULL;
    if (config->proc_user && !user)
        return refuse_name(refusal, config, "proc-user", config->proc_user);
    const uid_t uid = user ? user->pw_uid : geteuid();
    gid_t gid = user ? user->pw_gid : getegid();
    errno = 0;
    const struct group *group = config->proc_group ? getgrnam(config->proc_group) : NULL;
    if (config->proc_group && !group)
        return refuse_name(refusal, config, "proc-group", config->proc_group);
    if (group)
        gid = group->gr_gid;
    if ((user || group) && drop_group(config, gid, refusal) != 0)
        return ERR_SYSTEM;
    if (user && setresuid(uid, uid, uid) != 0)
        return refuse_name(refusal, config, "proc-user", "cannot become that user");
    if (user && uid != 0 && setuid(0) == 0)
        return refuse_name(refusal, config, "proc-user", "the privileges could be taken back");
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return 0;
}
