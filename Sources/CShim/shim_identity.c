// Who a container's process is: its user and groups, looked up in the container's own files, and its capabilities.
//
// As words of `drop` and `exec`: `user=<user>[:<group>]`, names or numbers; `groups=<policy>:<number>,…`, where the
// policy `merge` adds the groups of /etc/group that name the user and `strict` does not; `capabilities=<hexadecimal>`;
// `processes=<most>`. Without `user` everything stays as it is.
#define _GNU_SOURCE
#include "shim_private.h"
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { MAX_ACCOUNTS = 4 << 20, MAX_GROUPS = 1024, MAX_NAME = 256 };
static const long MAX_NUMBER = 0x7fffffff;

// What is found out about somebody.
struct account {
    char name[MAX_NAME], home[PATH_MAX];
    long uid, gid;
    gid_t groups[MAX_GROUPS];
    int group_count;
};

int identity_option(struct identity *identity, const char *word) {
    if (!strncmp(word, "user=", 5)) identity->user = word + 5;
    else if (!strncmp(word, "groups=", 7)) identity->groups = word + 7;
    else if (!strncmp(word, "capabilities=", 13)) identity->capabilities = strtoull(word + 13, NULL, 16);
    else if (!strncmp(word, "processes=", 10)) identity->processes = atol(word + 10);
    else return 0;
    return 1;
}

// A number in decimal digits and nothing else, or -1.
static long number(const char *text) {
    if (!isdigit((unsigned char)*text)) return -1;
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    return *end || errno ? -1 : value;
}

// The whole of a regular file, NUL-ended; empty where there is none. What lies there may be a pipe or have no end.
static char *read_accounts(const char *path) {
    char *text = calloc(1, MAX_ACCOUNTS + 1);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat info;
    if (text && descriptor >= 0 && fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode)) {
        size_t length = 0;
        for (ssize_t count; length < MAX_ACCOUNTS; length += (size_t)count)
            if ((count = read(descriptor, text + length, MAX_ACCOUNTS - length)) <= 0) break;
    }
    if (descriptor >= 0) close(descriptor);
    return text;
}

// Cuts the next line off `rest` and at its colons. How many fields it has; -1 at the end.
static int next_entry(char **rest, char *fields[], int capacity) {
    if (!*rest || !**rest) return -1;
    char *line = strsep(rest, "\n");
    int count = 0;
    while (line && count < capacity) fields[count++] = strsep(&line, ":");
    return count;
}

static void find_user(struct account *account, const char *wanted) {
    long uid = number(wanted);
    char *text = read_accounts("/etc/passwd"), *rest = text, *fields[7];
    for (int count; (count = next_entry(&rest, fields, 7)) >= 0;) {
        long own = count >= 4 ? number(fields[2]) : -1, group = count >= 4 ? number(fields[3]) : -1;
        if (own < 0 || group < 0 || own > MAX_NUMBER || group > MAX_NUMBER) continue;
        if (uid >= 0 ? own != uid : strcmp(fields[0], wanted)) continue;
        account->uid = own;
        account->gid = group;
        snprintf(account->name, sizeof account->name, "%s", fields[0]);
        if (count >= 6) snprintf(account->home, sizeof account->home, "%s", fields[5]);
        break;
    }
    free(text);
}

static void join_group(struct account *account, long gid) {
    for (int i = 0; i < account->group_count; i++)
        if (account->groups[i] == (gid_t)gid) return;
    if (account->group_count < MAX_GROUPS) account->groups[account->group_count++] = (gid_t)gid;
}

static int names(char *members, const char *name) {
    for (char *member; (member = strsep(&members, ","));)
        if (!strcmp(member, name)) return 1;
    return 0;
}

// The number of the group that is wanted, or -1; joins those that name the user.
static long find_groups(struct account *account, const char *wanted, int merges) {
    long gid = wanted ? number(wanted) : -1, found = -1;
    char *text = read_accounts("/etc/group"), *rest = text, *fields[4];
    for (int count; (count = next_entry(&rest, fields, 4)) >= 0;) {
        long own = count >= 3 ? number(fields[2]) : -1;
        if (own < 0 || own > MAX_NUMBER) continue;
        if (wanted && found < 0 && gid < 0 && !strcmp(fields[0], wanted)) found = own;
        if (merges && count == 4 && *account->name && names(fields[3], account->name)) join_group(account, own);
    }
    free(text);
    return gid >= 0 ? gid : found;
}

static int complain(const char *format, const char *what) {
    dprintf(2, format, what);
    return -1;
}

// 0, or -1, having said why.
static int look_up(const struct identity *identity, struct account *account) {
    char wanted[2 * MAX_NAME];
    if (snprintf(wanted, sizeof wanted, "%s", identity->user) >= (int)sizeof wanted)
        return complain("the name of the user is too long: %s\n", identity->user);
    char *group = strchr(wanted, ':');
    if (group) *group++ = 0;
    if (group && !*group) group = NULL;
    const char *user = *wanted ? wanted : "0";
    account->uid = account->gid = -1;
    find_user(account, user);
    if (account->uid < 0) {
        account->uid = number(user);
        account->gid = 0;
    }
    if (account->uid < 0) return complain("unable to find user %s: no matching entries in passwd file\n", user);
    const char *policy = identity->groups ? identity->groups : "strict:";
    long gid = find_groups(account, group, !strncmp(policy, "merge:", 6));
    if (group && gid < 0) return complain("unable to find group %s: no matching entries in group file\n", group);
    if (group) account->gid = gid;
    if (account->uid > MAX_NUMBER || account->gid > MAX_NUMBER)
        return complain("uids and gids must be in range 0-2147483647: %s\n", identity->user);
    const char *list = strchr(policy, ':');
    while (list && list[1]) {
        char *end;
        long extra = strtol(list + 1, &end, 10);
        if (end == list + 1 || (*end && *end != ',') || extra < 0 || extra > MAX_NUMBER)
            return complain("expected numbers of groups, found %s\n", policy);
        join_group(account, extra);
        list = *end ? end : NULL;
    }
    return 0;
}

// 0 or -1 with errno.
static int become(const struct identity *identity, const struct account *account) {
    const struct rlimit most = {(rlim_t)identity->processes, (rlim_t)identity->processes};
    // Counted over all of a user's processes and threads: for users that are one pod's own.
    if (identity->processes > 0 && account->uid > 0 && setrlimit(RLIMIT_NPROC, &most) != 0) return -1;
    for (int capability = 0; capability < 64 && prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
        if (!(identity->capabilities >> capability & 1) && prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1
            && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
            return -1;
    if (setgroups((size_t)account->group_count, account->groups) != 0 && errno != EPERM) return -1;
    gid_t gid = (gid_t)account->gid;
    uid_t uid = (uid_t)account->uid;
    if (setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) return -1;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    uint64_t kept = uid == 0 ? identity->capabilities : 0;
    struct __user_cap_data_struct sets[2] = {
        {(uint32_t)kept, (uint32_t)kept, 0}, {(uint32_t)(kept >> 32), (uint32_t)(kept >> 32), 0}};
    if (syscall(SYS_capset, &header, sets) != 0) return -1;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int identity_enter(const struct identity *identity, char ***environment) {
    if (!identity->user) return 0;
    struct account *account = calloc(1, sizeof *account);
    if (!account || look_up(identity, account) != 0) return -1;
    if (become(identity, account) != 0) {
        dprintf(2, "cannot become user %s: %s\n", identity->user, strerror(errno));
        return -1;
    }
    int has_home = 0, count = 0;
    for (; (*environment)[count]; count++) has_home |= !strncmp((*environment)[count], "HOME=", 5);
    char **longer = has_home ? NULL : calloc((size_t)count + 2, sizeof *longer);
    if (longer) {
        memcpy(longer, *environment, (size_t)count * sizeof *longer);
        if (asprintf(&longer[count], "HOME=%s", *account->home ? account->home : "/") < 0) longer[count] = NULL;
        *environment = longer;
    }
    free(account);
    return 0;
}
