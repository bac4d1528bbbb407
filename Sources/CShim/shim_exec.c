// `exec` runs a command beside a container's process: in its namespaces, with its environment, as its user.
//
//     exec <mode> <pid or -> <start time> <uid> <gid> <working directory or -> -- argv
//
// `-` for the pid joins nobody and takes our own environment. The modes: `wait` is a probe's, its exit code the command's.
// `attend` has the caller at descriptor 3: it hears `exit <code>`, and when it goes, the command is killed. `terminal` is
// the same on a terminal of the container's own, whose other end the caller is sent first.
#define _GNU_SOURCE
#include "shim_private.h"
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

enum { EXIT_USAGE = 64, EXIT_GONE = 125, EXIT_SYSTEM = 126, CALLER = 3 };

struct command {
    const char *mode, *working;
    long uid, gid;
    char **arguments, **environment;
};

static int is_mode(const struct command *command, const char *mode) { return !strcmp(command->mode, mode); }

// Enters the namespaces of the process and takes its environment. 0, or the exit code.
static int join(struct command *command, pid_t pid, unsigned long long start) {
    int target = espalier_pidfd_open(pid);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/environ", pid);
    int block = open(path, O_RDONLY | O_CLOEXEC);
    // The pidfd pins the process; only then is its start time proof that it is the one that was meant.
    if (target < 0 || espalier_start_time(pid) != start) {
        dprintf(2, "the container's process %d has ended\n", pid);
        return EXIT_GONE;
    }
    command->environment = read_environment(block);
    close(block);
    if (!command->environment) {
        dprintf(2, "cannot read the environment of process %d: %s\n", pid, strerror(errno));
        return EXIT_SYSTEM;
    }
    int spaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
    if (setns(target, spaces) != 0 && setns(target, spaces | CLONE_NEWUSER) != 0) {
        dprintf(2, "cannot enter the container of process %d: %s\n", pid, strerror(errno));
        return EXIT_SYSTEM;
    }
    close(target);
    return 0;
}

// A terminal from the container's own /dev/pts, owned by its user, as descriptors 0 to 2. Its other end goes to the caller.
static int open_terminal(void) {
    int caller_end = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    char name[64];
    if (caller_end < 0 || unlockpt(caller_end) != 0 || ptsname_r(caller_end, name, sizeof name) != 0) return -1;
    int own_end = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (own_end < 0 || espalier_send_descriptor(CALLER, caller_end) != 0) return -1;
    if (ioctl(own_end, TIOCSCTTY, 0) != 0) return -1;
    for (int i = 0; i < 3; i++)
        if (dup2(own_end, i) < 0) return -1;
    return 0;
}

// In the child. Never returns.
static void start(struct command *command) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    // The change of user clears the signal.
    if (become(command->uid, command->gid) != 0) _exit(EXIT_SYSTEM);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (is_mode(command, "terminal")) {
        if (open_terminal() != 0) {
            dprintf(2, "cannot open a terminal in the container: %s\n", strerror(errno));
            _exit(EXIT_SYSTEM);
        }
        int has_type = 0;
        for (char **entry = command->environment; *entry; entry++) has_type |= !strncmp(*entry, "TERM=", 5);
        environ = command->environment;
        if (!has_type) putenv("TERM=xterm");
        command->environment = environ;
    }
    if (!is_mode(command, "wait")) close(CALLER);
    if (strcmp(command->working, "-") && chdir(command->working) != 0) {
        dprintf(2, "cannot enter the working directory %s: %s\n", command->working, strerror(errno));
        _exit(EXIT_SYSTEM);
    }
    _exit(run_program(command->arguments, command->environment));
}

// Waits for the end of `child`, and kills it with its process group when the caller has gone.
static int attend(pid_t child, int signals) {
    struct pollfd set[2] = {{signals, POLLIN, 0}, {CALLER, POLLIN, 0}};
    int status;
    for (;;) {
        if (waitpid(child, &status, WNOHANG) == child) return status;
        if (poll(set, 2, -1) < 0 && errno != EINTR) return EXIT_SYSTEM << 8;
        struct signalfd_siginfo info;
        if (set[0].revents && read(signals, &info, sizeof info) < 0) errno = 0;
        char byte;
        if (set[1].revents && read(CALLER, &byte, 1) <= 0) {
            kill(-child, SIGKILL);
            kill(child, SIGKILL);
            set[1].fd = -1;
        }
    }
}

// Runs the command to its end. Its exit code, or one of our own.
static int run_beside(struct command *command, const char *pid, const char *start_time) {
    // When memory runs out, what belongs to pods goes before the server.
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0 && write(score, "1000", 4) < 0) errno = 0;
    close(score);
    if (strcmp(pid, "-")) {
        int failed = join(command, (pid_t)atol(pid), strtoull(start_time, NULL, 10));
        if (failed) return failed;
    }
    sigset_t ended;
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ended, NULL);
    signal(SIGPIPE, SIG_IGN);
    int signals = signalfd(-1, &ended, SFD_CLOEXEC | SFD_NONBLOCK), status = 0;
    pid_t child = fork();
    if (child < 0) return EXIT_SYSTEM;
    if (child == 0) start(command);
    if (is_mode(command, "wait")) {
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    } else {
        // What the command has is its own: nobody waits for our end of it.
        for (int i = 0; i < 3; i++) close(i);
        status = attend(child, signals);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int shim_exec(int argc, char **argv) {
    if (argc < 8 || strcmp(argv[6], "--")) return EXIT_USAGE;
    struct command command = {
        .mode = argv[0], .working = argv[5], .uid = atol(argv[3]), .gid = atol(argv[4]), .arguments = argv + 7,
        .environment = environ};
    int isWatched = !is_mode(&command, "wait");
    if (isWatched) fcntl(CALLER, F_SETFD, FD_CLOEXEC);
    int code = run_beside(&command, argv[1], argv[2]);
    if (isWatched) dprintf(CALLER, "exit %d\n", code);
    return code;
}
