// `exec` runs a command beside a container's process: in its namespaces and control groups, with its environment, as
// its user, with its filter of system calls.
//
//     exec <mode> <pid or -> <start time> [<who>…] [folder=<working directory>] [cgroup=<folder>…]
//         [filter=<capabilities>] -- argv
//
// `-` for the pid joins nobody and takes our own environment. The modes: `wait` is a probe's, its exit code the
// command's. `attend` has the caller at descriptor 3: it hears `exit <code>`, and when it goes, the command is killed.
// `terminal` is the same on a terminal of the container's own, whose other end the caller is sent first.
//
// A process in the container is seen there before it has become the container's user, and its program can be opened
// through /proc/<pid>/exe by whoever has the rights it has by then. So that is never a file of the machine that can be
// written: `exec` first becomes the same program on a read-only mount, which nobody can write through, not even root.
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
#include <sys/syscall.h>

enum { EXIT_USAGE = 64, EXIT_GONE = 125, EXIT_SYSTEM = 126, CALLER = 3 };

struct command {
    const char *mode, *folder, *filter;
    struct identity identity;
    int groups[MAX_CGROUPS];  // their `cgroup.procs`
    int group_count;
    char **arguments, **environment;
};

// Becomes this same program on a read-only mount of its own, as `exec-apart`. Returns where that cannot be.
static void step_apart(char **argv) {
    enum { CLONE_TREE = 1, ONLY_READ = 1 };
    struct { uint64_t set, clear, propagation, users; } flags = {ONLY_READ, 0, 0, 0};
    int program = (int)syscall(SYS_open_tree, AT_FDCWD, "/proc/self/exe", CLONE_TREE | O_CLOEXEC);
    if (program < 0 || syscall(SYS_mount_setattr, program, "", AT_EMPTY_PATH, &flags, sizeof flags) != 0) return;
    argv[1] = "exec-apart";
    fexecve(program, argv, environ);
}

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
    if (command->group_count > 0) spaces |= CLONE_NEWCGROUP;
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
    for (int i = 0; i < command->group_count; i++) {
        if (cgroup_enter(command->groups[i]) == 0) continue;
        dprintf(2, "cannot enter the container's control groups: %s\n", strerror(errno));
        _exit(EXIT_SYSTEM);
    }
    // Nobody in there looks into us while we still are who we were; exec ends that.
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (identity_enter(&command->identity, &command->environment) != 0) _exit(EXIT_SYSTEM);
    // The change of user clears the signal.
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (command->filter && seccomp_enter(strtoull(command->filter, NULL, 16)) != 0) {
        dprintf(2, "cannot filter system calls: %s\n", strerror(errno));
        _exit(EXIT_SYSTEM);
    }
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
    if (command->folder && chdir(command->folder) != 0) {
        dprintf(2, "cannot enter the working directory %s: %s\n", command->folder, strerror(errno));
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
    limit_resources();
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
    struct command command = {.environment = environ};
    if (argc > 3 && !strcmp(argv[1], "exec") && strcmp(argv[3], "-")) step_apart(argv);
    int next = 5;
    for (; next < argc && strcmp(argv[next], "--"); next++) {
        if (!strncmp(argv[next], "folder=", 7)) command.folder = argv[next] + 7;
        else if (!strncmp(argv[next], "filter=", 7)) command.filter = argv[next] + 7;
        else if (!strncmp(argv[next], "cgroup=", 7) && command.group_count < MAX_CGROUPS)
            command.groups[command.group_count++] = cgroup_open(argv[next] + 7);
        else if (!identity_option(&command.identity, argv[next])) return EXIT_USAGE;
    }
    if (next + 1 >= argc) return EXIT_USAGE;
    command.mode = argv[2];
    command.arguments = argv + next + 1;
    int isWatched = !is_mode(&command, "wait");
    if (isWatched) fcntl(CALLER, F_SETFD, FD_CLOEXEC);
    int code = run_beside(&command, argv[3], argv[4]);
    if (isWatched) dprintf(CALLER, "exit %d\n", code);
    return code;
}
