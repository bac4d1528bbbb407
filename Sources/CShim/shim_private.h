#ifndef ESPALIER_SHIM_PRIVATE_H
#define ESPALIER_SHIM_PRIVATE_H
#include "CShim.h"

// What the agent asks of one shim: tokens on descriptor 3, each `key value` and NUL, the last `end`.
enum { MAX_SPECIFICATION = 4 << 20, MAX_WORDS = 16384 };

// Layers of an image (the kernel mounts no more), mounts, and control groups of a container.
enum { MAX_LAYERS = 500, MAX_BINDS = 256, MAX_CGROUPS = 8 };

// Those who look on at one container at once.
enum { MAX_CLIENTS = 16 };

// See shim_identity.c.
struct identity {
    const char *user, *groups;  // user NULL: stay who we are
    uint64_t capabilities;
    long processes;             // 0: as many as there can be
};

// A folder or file of the host's in the container.
struct bind {
    const char *source, *part;  // part: below the source, and not out of it whatever links are there; or NULL
    const char *path;
    int is_read_only;
};

// A folder whose `cgroup.procs` takes processes, and its name below the container's /sys/fs/cgroup ("": it is all of
// that).
struct cgroup {
    const char *folder, *name;
};

// A root made of an image's layers, topmost first. It is mounted over `upper`.
struct root {
    const char *layers[MAX_LAYERS], *upper, *work;
    const char *folder;       // to make where it is missing, or NULL
    const char *shim;         // the program that becomes the container's user
    int layer_count;          // 0: the container has the root it is given
};

// Why a container could not be started: words, where the errno does not say enough.
struct failure {
    int number;
    char text[248];
};

struct specification {
    char *buffer;             // owns every string below
    size_t length;
    const char *log;          // path of the log file
    const char *netns;        // path of a network namespace, or NULL
    const char *working;      // working directory, or NULL
    long long log_bytes;      // a log file is put aside above this
    struct identity identity; // whom a container without a sandbox is
    struct root root;
    struct bind binds[MAX_BINDS];
    struct cgroup cgroups[MAX_CGROUPS];
    int bind_count, cgroup_count;
    const char *filter;       // the capabilities for which system calls are allowed, hexadecimal, or NULL: all calls
    int sandbox;              // argv is bwrap and takes --json-status-fd 3
    int has_input;            // somebody may attach to standard input
    int is_input_once;        // … one client, and its end is the input's end
    int is_terminal;          // input and outputs are a terminal
    long terminal_owner;      // -1: who we are
    char **arguments, **environment;
    int argument_count, environment_count;
};

// One line-splitting writer per output stream.
struct stream {
    int descriptor;           // the pipe's reading end, -1 once closed
    const char *name;         // stdout or stderr
    size_t length;
    char line[16384];
    int copies[MAX_CLIENTS];  // pipes of those who look on, -1 where there is none
};

struct log {
    const char *path;
    int descriptor;
    long long bytes, limit;
};

struct attachments {
    int listener;                  // -1 where nobody can attach
    int input;                     // writes what the container reads, or its terminal; -1 where there is none
    int is_input_once;
    int connections[MAX_CLIENTS];  // -1 where there is none
};

// Listens at `directory/attach`. 0 or -1.
int attachments_open(struct attachments *attachments, const char *directory);
// Takes one client, and gives it its descriptors.
void attachments_accept(struct attachments *attachments, struct stream *streams);

int specification_read(int descriptor, struct specification *specification);
// Wipes and frees what may hold secrets. Only the numbers stay.
void specification_forget(struct specification *specification);
int log_open(struct log *log);
// Reads what is there and appends whole lines; returns 0 at the end of the stream, 1 otherwise.
int stream_pump(struct stream *stream, struct log *log);
void stream_flush(struct stream *stream, struct log *log);

int shim_run(const char *directory);
int shim_drop(int argc, char **argv);
int shim_exec(int argc, char **argv);

// Takes one of the words that say who a process is. Whether it was one.
int identity_option(struct identity *identity, const char *word);
// Becomes that user for good: no capabilities but those, no way back. Adds HOME to an environment without it. 0, or -1
// having said why on the standard error.
int identity_enter(const struct identity *identity, char ***environment);
// In the shim's child, with its ends of input and outputs and of the pipe that ends with the shim, bubblewrap's status
// pipe and where failures go. Never returns.
void start_child(struct specification *wanted, const int ends[4], int status, int report, pid_t shim);
// Fewer descriptors than would hurt the machine, and no core files.
void limit_resources(void);
// What takes processes into a control group, and our own process into it. -1 with errno.
int cgroup_open(const char *folder);
int cgroup_enter(int group);
// Keeps the words of the first failure, and errno. -1.
int fail(struct failure *failure, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Makes the container's root in a new mount namespace, and enters that. 0, or -1 with errno and words.
int root_make(const struct specification *specification, struct failure *failure);
// The filter of system calls for a container with these capabilities: in a file, for bubblewrap, or for ourselves.
// The descriptor or 0, or -1 with errno.
int seccomp_file(uint64_t capabilities);
int seccomp_enter(uint64_t capabilities);
// The `name=value` entries, each with its NUL, that stand in `descriptor`; ends with NULL. NULL with errno.
char **read_environment(int descriptor);
// Becomes the program, found through the environment's PATH. The exit code for what went wrong, which it has said.
int run_program(char **argv, char **environment);
// Calls `visit` for every descendant of `pid`, children before their own children. Returns how many.
int each_descendant(pid_t pid, void (*visit)(pid_t));
// The first child of `pid`, or 0.
pid_t first_child(pid_t pid);
// Writes `text` to `directory/name` so that a reader sees the old file or the whole new one. 0 or -1.
int write_file(const char *directory, const char *name, const char *text);
long long wall_nanoseconds(void);
#endif
