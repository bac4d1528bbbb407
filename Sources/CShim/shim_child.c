// What the shim's child does between fork and exec: it goes where the container is to be, and becomes bubblewrap, or
// the container itself where there is no sandbox.
#define _GNU_SOURCE
#include "shim_private.h"
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

// In bubblewrap its status pipe and its filter of system calls, and for `drop` the environment and the end of a pipe
// that ends with the shim.
enum { STATUS = 3, ENVIRONMENT = 4, FILTER = 5, HOLDER = 6, MAX_DESCRIPTORS = 1 << 20 };

void limit_resources(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        rlim_t most = files.rlim_max < MAX_DESCRIPTORS ? files.rlim_max : MAX_DESCRIPTORS;
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){most, most});
    }
    // One byte and not none: see shim_seccomp.c.
    if (getrlimit(RLIMIT_CORE, &files) == 0) {
        rlim_t most = files.rlim_max < 1 ? files.rlim_max : 1;
        setrlimit(RLIMIT_CORE, &(struct rlimit){most, most});
    }
    // When memory runs out, what belongs to pods goes before the server, its gateway and the shims.
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0 && write(score, "1000", 4) < 0) errno = 0;
    close(score);
}

int cgroup_open(const char *folder) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/cgroup.procs", folder) >= (int)sizeof path) return errno = ENAMETOOLONG, -1;
    return open(path, O_WRONLY | O_CLOEXEC);
}

int cgroup_enter(int group) {
    if (group < 0 || write(group, "0", 1) != 1) return -1;
    close(group);
    return 0;
}

// The container's environment in a file in memory, for `drop` to take over inside. Bubblewrap itself never gets it: it
// runs outside, as who we are, and a loader does whatever LD_PRELOAD says. The descriptor, or -1 with errno.
static int put_down_environment(char *const *environment) {
    int descriptor = memfd_create("environment", MFD_CLOEXEC);
    for (; descriptor >= 0 && *environment; environment++) {
        size_t length = strlen(*environment) + 1;
        if (write(descriptor, *environment, length) == (ssize_t)length) continue;
        close(descriptor);
        return -1;
    }
    return descriptor;
}

// Gives a descriptor its place in the program we become. 0 or -1.
static int hand_over(int descriptor, int place) {
    // Landing on its place by itself it must lose close-on-exec there.
    return descriptor < 0 || dup2(descriptor, place) < 0 || fcntl(place, F_SETFD, 0) < 0 ? -1 : 0;
}

static int enter_network(const char *path) {
    if (!path) return 0;
    int space = open(path, O_RDONLY | O_CLOEXEC);
    if (space < 0 || setns(space, CLONE_NEWNET) != 0) return -1;
    // The namespace is the pod's own: any of its users may have any of its ports.
    int ports = open("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_WRONLY | O_CLOEXEC);
    if (ports >= 0 && write(ports, "0", 1) < 0) errno = 0;
    close(ports);
    close(space);
    return 0;
}

int fail(struct failure *failure, const char *format, ...) {
    int number = errno;
    va_list arguments;
    va_start(arguments, format);
    if (!*failure->text) vsnprintf(failure->text, sizeof failure->text, format, arguments);
    va_end(arguments);
    errno = number;
    return -1;
}

// Everything before exec. 0, or -1 with errno and perhaps words.
static int prepare(struct specification *wanted, const int ends[4], int status, struct failure *failure) {
    int failed = 0;
    for (int i = 0; i < wanted->cgroup_count && !failed; i++)
        if (cgroup_enter(cgroup_open(wanted->cgroups[i].folder)) != 0)
            failed = fail(failure, "cannot enter the control group %s", wanted->cgroups[i].folder);
    if (!failed && enter_network(wanted->netns) != 0)
        failed = fail(failure, "cannot enter the network namespace %s", wanted->netns);
    int number = errno, holder = fcntl(ends[3], F_DUPFD_CLOEXEC, 10);
    limit_resources();
    errno = number;
    failed = failed || dup2(ends[1], 1) < 0 || dup2(ends[2], 2) < 0 || (ends[0] >= 0 && dup2(ends[0], 0) < 0);
    // A terminal belongs to one session: in a sandbox to the one that `drop` begins.
    if (!failed && wanted->is_terminal && !wanted->sandbox) failed = ioctl(0, TIOCSCTTY, 0) != 0;
    if (!failed && wanted->root.layer_count > 0) failed = root_make(wanted, failure) != 0;
    if (status >= 0) failed = failed || dup2(status, STATUS) < 0;
    if (!failed && wanted->sandbox) failed = hand_over(put_down_environment(wanted->environment), ENVIRONMENT) != 0;
    if (!failed && wanted->filter)
        failed = hand_over(seccomp_file(strtoull(wanted->filter, NULL, 16)), FILTER) != 0;
    if (!failed && wanted->sandbox) failed = hand_over(holder, HOLDER) != 0;
    if (!failed && wanted->working) failed = chdir(wanted->working) != 0;
    return failed || identity_enter(&wanted->identity, &wanted->environment) != 0 ? -1 : 0;
}

void start_child(struct specification *wanted, const int ends[4], int status, int report, pid_t shim) {
    struct failure failure = {0};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid();
    // The container never outlives its shim.
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != shim) _exit(126);
    // Moving both up keeps them clear of what the program we become is given.
    int high = fcntl(report, F_DUPFD_CLOEXEC, 10), high_status = status >= 0 ? fcntl(status, F_DUPFD_CLOEXEC, 11) : -1;
    if (prepare(wanted, ends, high_status, &failure) == 0) {
        // A change of user clears it.
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        execvpe(wanted->arguments[0], wanted->arguments, wanted->sandbox ? environ : wanted->environment);
    }
    failure.number = errno;
    if (write(high, &failure, sizeof failure) < 0) _exit(126);
    _exit(failure.number == ENOENT ? 127 : 126);
}
