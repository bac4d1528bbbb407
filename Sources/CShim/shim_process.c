// What the shim knows of other processes, and its smaller program `drop`, which becomes another user.
#define _GNU_SOURCE
#include "shim_private.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

enum { HOLDER_MILLISECONDS = 10000 };

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

// Whether the shim still lives, once bubblewrap's process 1 dies with it: a shim killed before that would leave us behind.
// `holder` is a pipe that only the shim can write to. Process 1 asks for that signal just before its filter.
static int is_held(int holder) {
    char text[4096];
    for (int wait = 0; wait < HOLDER_MILLISECONDS; wait++) {
        int status = open("/proc/1/status", O_RDONLY | O_CLOEXEC);
        ssize_t length = status >= 0 ? read(status, text, sizeof text - 1) : 0;
        if (status >= 0) close(status);
        text[length > 0 ? length : 0] = 0;
        if (strstr(text, "\nSeccomp:\t2")) break;
        poll(NULL, 0, 1);
    }
    struct pollfd end = {holder, POLLIN, 0};
    return poll(&end, 1, 0) >= 0 && !(end.revents & POLLHUP);
}

// drop [<who>…] [folder=<working directory>] [environment=<descriptor>] [holder=<descriptor>] -- argv: the last step
// inside a sandbox.
int shim_drop(int argc, char **argv) {
    struct identity identity = {0};
    const char *folder = NULL;
    int block = -1, holder = -1, next = 0;
    for (; next < argc && strcmp(argv[next], "--"); next++) {
        if (!strncmp(argv[next], "folder=", 7)) folder = argv[next] + 7;
        else if (!strncmp(argv[next], "environment=", 12)) block = atoi(argv[next] + 12);
        else if (!strncmp(argv[next], "holder=", 7)) holder = atoi(argv[next] + 7);
        else if (!identity_option(&identity, argv[next])) return 64;
    }
    if (next + 1 >= argc) return 64;
    if (holder >= 0 && !is_held(holder)) return 126;
    if (holder >= 0) close(holder);
    char **environment = block >= 0 ? read_environment(block) : environ;
    if (block >= 0) close(block);
    if (!environment) {
        dprintf(2, "cannot read the environment: %s\n", strerror(errno));
        return 126;
    }
    if (identity_enter(&identity, &environment) != 0) return 126;
    // A terminal belongs to one session, and the sandbox has begun another; without it there is no ^C.
    if (isatty(0) && setsid() > 0) ioctl(0, TIOCSCTTY, 0);
    if (folder && chdir(folder) != 0) {
        dprintf(2, "cannot enter the working directory %s: %s\n", folder, strerror(errno));
        return 126;
    }
    return run_program(argv + next + 1, environment);
}
