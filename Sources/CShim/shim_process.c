// What the shim knows of other processes, and its smaller program `drop`, which becomes another user.
#define _GNU_SOURCE
#include "shim_private.h"
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

long long wall_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (long long)now.tv_sec * 1000000000LL + now.tv_nsec;
}

int write_file(const char *directory, const char *name, const char *text) {
    char path[PATH_MAX], fresh[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path) return -1;
    if (snprintf(fresh, sizeof fresh, "%s/%s.new", directory, name) >= (int)sizeof fresh) return -1;
    int descriptor = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (descriptor < 0) return -1;
    size_t length = strlen(text);
    int failed = write(descriptor, text, length) != (ssize_t)length;
    close(descriptor);
    return failed ? -1 : rename(fresh, path);
}

static int read_children(pid_t pid, pid_t *children, int capacity) {
    char path[64], text[65536];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return 0;
    ssize_t length = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    int count = 0;
    if (length <= 0) return 0;
    text[length] = 0;
    for (char *cursor = text, *end; count < capacity; cursor = end) {
        long child = strtol(cursor, &end, 10);
        if (end == cursor) break;
        children[count++] = (pid_t)child;
    }
    return count;
}

pid_t first_child(pid_t pid) {
    pid_t child = 0;
    return read_children(pid, &child, 1) == 1 ? child : 0;
}

int each_descendant(pid_t pid, void (*visit)(pid_t)) {
    static pid_t children[4096];
    pid_t mine[256];
    int count = read_children(pid, children, 4096), total = count;
    if (count > 256) count = 256;
    memcpy(mine, children, (size_t)count * sizeof *mine);
    for (int i = 0; i < count; i++) visit(mine[i]);
    for (int i = 0; i < count; i++) total += each_descendant(mine[i], visit);
    return total;
}

int become(long uid, long gid) {
    if (uid < 0) return 0;
    // Counted over all of a user's processes and threads; a pod has a user of its own.
    const struct rlimit processes = {MAX_PROCESSES, MAX_PROCESSES};
    if (uid > 0 && setrlimit(RLIMIT_NPROC, &processes) != 0) return -1;
    if (setgroups(0, NULL) != 0 && errno != EPERM) return -1;
    if (setresgid((gid_t)gid, (gid_t)gid, (gid_t)gid) != 0) return -1;
    if (setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid) != 0) return -1;
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct nothing[2] = {{0, 0, 0}, {0, 0, 0}};
    if (uid != 0 && syscall(SYS_capset, &header, nothing) != 0) return -1;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

char **read_environment(int descriptor) {
    char *text = malloc(MAX_SPECIFICATION + 1);
    size_t length = 0, entries = 0;
    ssize_t count = text ? 1 : -1;
    while (count > 0 && length < MAX_SPECIFICATION) {
        count = pread(descriptor, text + length, MAX_SPECIFICATION - length, (off_t)length);
        if (count > 0) length += (size_t)count;
    }
    if (count < 0) return NULL;
    text[length] = 0;
    for (size_t i = 0; i <= length; i++) entries += text[i] == 0;
    char **environment = calloc(entries + 1, sizeof *environment);
    if (!environment) return NULL;
    char **next = environment;
    for (char *entry = text; entry < text + length; entry += strlen(entry) + 1)
        if (*entry) *next++ = entry;
    return environment;
}

int run_program(char **argv, char **environment) {
    environ = environment;
    execvp(argv[0], argv);
    int reason = errno;
    dprintf(2, "cannot run %s: %s\n", argv[0], strerror(reason));
    return reason == ENOENT ? 127 : 126;
}

// drop <uid> <gid> <working directory or -> <descriptor of the environment or -> -- argv: the last step inside a sandbox.
int shim_drop(int argc, char **argv) {
    if (argc < 6 || strcmp(argv[4], "--")) return 64;
    char **environment = environ;
    if (strcmp(argv[3], "-")) {
        environment = read_environment(atoi(argv[3]));
        close(atoi(argv[3]));
    }
    if (!environment) {
        dprintf(2, "cannot read the environment: %s\n", strerror(errno));
        return 126;
    }
    if (become(atol(argv[0]), atol(argv[1])) != 0) {
        dprintf(2, "cannot become user %s: %s\n", argv[0], strerror(errno));
        return 126;
    }
    // A terminal belongs to one session, and the sandbox has begun another; without it there is no ^C.
    if (isatty(0) && setsid() > 0) ioctl(0, TIOCSCTTY, 0);
    if (strcmp(argv[2], "-") && chdir(argv[2]) != 0) {
        dprintf(2, "cannot enter the working directory %s: %s\n", argv[2], strerror(errno));
        return 126;
    }
    return run_program(argv + 5, environment);
}
