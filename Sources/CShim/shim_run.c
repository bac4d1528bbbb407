// One container attempt: start it, hold its output, obey signals, leave nothing behind, write down how it ended.
//
// Single-threaded. Every signal is blocked and read from a descriptor, so no handler ever runs. The directory's lock is
// held as long as this process lives: it is what makes a second shim for the same attempt refuse, and what tells the
// agent after its own restart that the container is still there.
#define _GNU_SOURCE
#include "shim_private.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

enum { EXIT_USAGE = 64, EXIT_SPECIFICATION = 65, EXIT_SYSTEM = 71, EXIT_HELD = 75, EXIT_FINISHED = 76, CONTROL = 3 };

struct shim {
    const char *directory;
    struct specification specification;
    struct failure failure;
    char *memory;           // the file that counts what was killed for its memory limit, or NULL
    long kills;             // what that said before
    struct log log;
    struct stream streams[2];
    struct attachments attachments;
    int status_pipe;        // bwrap's --json-status-fd, -1 when closed
    int signals;
    pid_t child;            // bwrap, or the container itself without a sandbox
    pid_t inner;            // process 1 of the sandbox, 0 while unknown
    int ended, status;
    long long started, finished;
};

static void kill_one(pid_t pid) { kill(pid, SIGKILL); }

static void write_identity(struct shim *shim) {
    char text[512], boot[64] = "";
    int descriptor = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (descriptor >= 0) {
        ssize_t length = read(descriptor, boot, sizeof boot - 1);
        boot[length > 0 ? length - 1 : 0] = 0;
        close(descriptor);
    }
    snprintf(
        text, sizeof text, "pid %d\nstart %llu\nboot %s\nchild %d\ninner %d\nsandboxed %d\nstarted %lld\n", getpid(),
        (unsigned long long)espalier_start_time(getpid()), boot, shim->child, shim->inner, shim->specification.sandbox,
        shim->started);
    write_file(shim->directory, "shim.pid", text);
}

// The container's end of input and outputs in `ends`, ours in the shim. 0 or -1.
static int open_streams(struct shim *shim, int ends[4]) {
    struct specification *wanted = &shim->specification;
    int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    shim->attachments.is_input_once = wanted->is_input_once;
    if (wanted->is_terminal) {
        char name[64];
        int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (terminal < 0 || unlockpt(terminal) != 0 || ptsname_r(terminal, name, sizeof name) != 0) return -1;
        ends[0] = ends[1] = ends[2] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (ends[0] < 0) return -1;
        // So that the container's user can open it by its name.
        if (wanted->terminal_owner >= 0 && fchown(ends[0], (uid_t)wanted->terminal_owner, (gid_t)-1) != 0) errno = 0;
        fcntl(terminal, F_SETFL, O_NONBLOCK);
        shim->streams[0].descriptor = terminal;
        // The terminal takes window sizes too, so each client has it, whether or not there is input.
        shim->attachments.input = fcntl(terminal, F_DUPFD_CLOEXEC, 0);
        shim->attachments.is_input_once = 0;
        return 0;
    }
    for (int i = wanted->has_input ? 0 : 1; i < 3; i++)
        if (pipe2(pipes[i], O_CLOEXEC) != 0) return -1;
    ends[0] = pipes[0][0];
    ends[1] = pipes[1][1];
    ends[2] = pipes[2][1];
    shim->attachments.input = pipes[0][1];
    shim->streams[0].descriptor = pipes[1][0];
    shim->streams[1].descriptor = pipes[2][0];
    for (int i = 0; i < 2; i++) fcntl(shim->streams[i].descriptor, F_SETFL, O_NONBLOCK);
    return 0;
}

// Starts the container. 0, or the errno of what failed.
static int start(struct shim *shim) {
    int ends[4] = {-1, -1, -1, -1}, status[2] = {-1, -1}, report[2], holder[2];
    if (open_streams(shim, ends) || pipe2(report, O_CLOEXEC) || pipe2(holder, O_CLOEXEC)) return errno;
    // Its writing end stays open as long as we live.
    ends[3] = holder[0];
    pid_t own = getpid();
    if (shim->specification.sandbox && pipe2(status, O_CLOEXEC)) return errno;
    shim->started = wall_nanoseconds();
    shim->child = fork();
    if (shim->child < 0) return errno;
    if (shim->child == 0) start_child(&shim->specification, ends, status[1], report[1], own);
    for (int i = 0; i < 4; i++) close(ends[i]);
    close(report[1]);
    if (status[1] >= 0) close(status[1]);
    shim->status_pipe = status[0];
    ssize_t length = read(report[0], &shim->failure, sizeof shim->failure);
    close(report[0]);
    return length == sizeof shim->failure ? shim->failure.number : 0;
}

// bwrap writes `{ "child-pid": 123 }` and, at the end, the exit code.
static void read_status(struct shim *shim) {
    char text[512];
    ssize_t length = read(shim->status_pipe, text, sizeof text - 1);
    if (length <= 0) {
        close(shim->status_pipe);
        shim->status_pipe = -1;
        return;
    }
    text[length] = 0;
    char *found = strstr(text, "\"child-pid\":");
    if (!found || shim->inner) return;
    shim->inner = (pid_t)atol(found + strlen("\"child-pid\":"));
    write_identity(shim);
}

static void kill_all(struct shim *shim) {
    if (shim->inner > 0 && !shim->ended) kill(shim->inner, SIGKILL);
    // A fork can race with one pass: at the end go on, for ten seconds, until a pass finds nobody.
    for (int pass = 0; pass < 10000 && each_descendant(getpid(), kill_one) > 0 && shim->ended; pass++) {
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
        poll(NULL, 0, 1);
    }
}

// The container's own main process: the child of the sandbox's process 1, or the child itself.
static void forward(struct shim *shim, int signal) {
    if (shim->ended) return;
    if (!shim->specification.sandbox) {
        kill(shim->child, signal);
        return;
    }
    pid_t main = shim->inner > 0 ? first_child(shim->inner) : 0;
    // The sandbox is still being built: nobody is there yet who could stop in an orderly way.
    kill(main > 0 ? main : shim->child, main > 0 ? signal : SIGKILL);
}

static void reap(struct shim *shim) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != shim->child) continue;
        shim->ended = 1;
        shim->status = status;
        shim->finished = wall_nanoseconds();
    }
}

static void obey(struct shim *shim) {
    struct signalfd_siginfo info;
    while (read(shim->signals, &info, sizeof info) == sizeof info) {
        switch (info.ssi_signo) {
        case SIGCHLD: reap(shim); break;
        case SIGUSR1: kill_all(shim); break;
        case SIGTERM: case SIGINT: forward(shim, SIGTERM); break;
        case SIGHUP: case SIGUSR2: case SIGQUIT: forward(shim, (int)info.ssi_signo); break;
        default: break;
        }
    }
}

static void supervise(struct shim *shim) {
    while (!shim->ended) {
        struct pollfd set[5] = {
            {shim->signals, POLLIN, 0}, {shim->streams[0].descriptor, POLLIN, 0},
            {shim->streams[1].descriptor, POLLIN, 0}, {shim->status_pipe, POLLIN, 0},
            {shim->attachments.listener, POLLIN, 0}};
        if (poll(set, 5, -1) < 0 && errno != EINTR) break;
        if (set[3].revents) read_status(shim);
        if (set[4].revents) attachments_accept(&shim->attachments, shim->streams);
        for (int i = 0; i < 2; i++)
            if (set[i + 1].revents) stream_pump(&shim->streams[i], &shim->log);
        if (set[0].revents) obey(shim);
    }
}

static int take_directory(const char *directory) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/lock", directory) >= (int)sizeof path) return EXIT_USAGE;
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) return EXIT_SYSTEM;
    if (espalier_try_lock(descriptor) != 1) return EXIT_HELD;
    snprintf(path, sizeof path, "%s/exit", directory);
    if (access(path, F_OK) == 0) return EXIT_FINISHED;
    snprintf(path, sizeof path, "%s/shim.pid", directory);
    return access(path, F_OK) == 0 ? EXIT_FINISHED : 0;
}

// The control group in which what uses too much memory is killed, with the file that counts how often.
static const char *const oom_files[] = {"memory.oom_control", "memory.events"};

static void remember_memory(struct shim *shim) {
    const struct specification *wanted = &shim->specification;
    for (int i = 0; i < wanted->cgroup_count && !shim->memory; i++)
        for (int k = 0; k < 2 && !shim->memory; k++) {
            if (asprintf(&shim->memory, "%s/%s", wanted->cgroups[i].folder, oom_files[k]) < 0) shim->memory = NULL;
            if (!shim->memory || access(shim->memory, R_OK) == 0) continue;
            free(shim->memory);
            shim->memory = NULL;
        }
}

// How many processes the kernel has killed for the container's memory limit.
static long count_kills(const struct shim *shim) {
    char text[1024];
    int descriptor = shim->memory ? open(shim->memory, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t length = descriptor >= 0 ? read(descriptor, text, sizeof text - 1) : 0;
    if (descriptor >= 0) close(descriptor);
    text[length > 0 ? length : 0] = 0;
    char *found = strstr(text, "oom_kill ");
    return found ? atol(found + strlen("oom_kill ")) : 0;
}

static int is_readable(int descriptor) { return poll(&(struct pollfd){descriptor, POLLIN, 0}, 1, 0) > 0; }

static void finish(struct shim *shim) {
    kill_all(shim);
    for (int i = 0; i < 2; i++) {
        struct stream *stream = &shim->streams[i];
        for (int round = 0; stream->descriptor >= 0 && round < 64; round++)
            if (!stream_pump(stream, &shim->log) || !is_readable(stream->descriptor)) break;
        stream_flush(stream, &shim->log);
    }
    int signal = WIFSIGNALED(shim->status) ? WTERMSIG(shim->status) : 0;
    int code = signal ? 128 + signal : WEXITSTATUS(shim->status);
    char text[256];
    snprintf(
        text, sizeof text, "code %d\nsignal %d\nstarted %lld\nfinished %lld\noom-kills %ld\n", code, signal,
        shim->started, shim->finished, count_kills(shim) - shim->kills);
    write_file(shim->directory, "exit", text);
}

int shim_run(const char *directory) {
    static struct shim shim;
    shim.directory = directory;
    shim.status_pipe = shim.attachments.input = shim.attachments.listener = -1;
    shim.streams[0] = (struct stream){.descriptor = -1, .name = "stdout"};
    shim.streams[1] = (struct stream){.descriptor = -1, .name = "stderr"};
    for (int i = 0; i < MAX_CLIENTS; i++)
        shim.streams[0].copies[i] = shim.streams[1].copies[i] = shim.attachments.connections[i] = -1;
    prctl(PR_SET_NAME, "espalier-shim", 0, 0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    signal(SIGPIPE, SIG_IGN);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    shim.signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    fcntl(CONTROL, F_SETFD, FD_CLOEXEC);
    // Read before refusing: an answer beside unread words would be lost with the socket.
    int refused = specification_read(CONTROL, &shim.specification) == 0 ? 0 : EXIT_SPECIFICATION;
    if (!refused) refused = take_directory(directory);
    if (!refused) shim.log.path = strdup(shim.specification.log);
    shim.log.limit = shim.specification.log_bytes;
    if (!refused && log_open(&shim.log) != 0) refused = EXIT_SYSTEM;
    if (refused) {
        dprintf(CONTROL, "refused %d %d\n", refused, errno);
        return refused;
    }
    write_identity(&shim);
    // Without it nobody can look on; the container runs all the same.
    attachments_open(&shim.attachments, directory);
    remember_memory(&shim);
    shim.kills = count_kills(&shim);
    int reason = start(&shim);
    if (shim.child <= 0) {
        // No pipes or no process could be had: nobody will ever end.
        shim.ended = 1;
        shim.status = 127 << 8;
        shim.started = shim.finished = wall_nanoseconds();
    }
    write_identity(&shim);
    if (reason) dprintf(CONTROL, "failed %d %s\n", reason, shim.failure.text);
    else dprintf(CONTROL, "started %d\n", shim.child);
    close(CONTROL);
    specification_forget(&shim.specification);
    supervise(&shim);
    finish(&shim);
    return 0;
}

int espalier_shim_main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "run")) return shim_run(argv[2]);
    if (argc > 2 && !strcmp(argv[1], "drop")) return shim_drop(argc - 2, argv + 2);
    if (argc > 2 && !strncmp(argv[1], "exec", 4)) return shim_exec(argc, argv);
    dprintf(2, "espalier-shim holds one container of a pod; the node agent starts it: run <directory>\n");
    return EXIT_USAGE;
}
