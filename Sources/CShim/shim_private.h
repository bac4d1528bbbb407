#ifndef ESPALIER_SHIM_PRIVATE_H
#define ESPALIER_SHIM_PRIVATE_H
#include "CShim.h"

// What the agent asks of one shim: tokens on descriptor 3, each `key value` and NUL, the last `end`.
enum { MAX_SPECIFICATION = 4 << 20, MAX_WORDS = 16384 };

// Processes and threads of one pod.
enum { MAX_PROCESSES = 4096 };

// Those who look on at one container at once.
enum { MAX_CLIENTS = 16 };

struct specification {
    char *buffer;             // owns every string below
    size_t length;
    const char *log;          // path of the log file
    const char *netns;        // path of a network namespace, or NULL
    const char *working;      // working directory, or NULL
    long long log_bytes;      // a log file is put aside above this
    long uid, gid;            // -1: stay who we are
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

// Becomes another user for good: no groups, no capabilities, no more than so many processes, no way back. 0 or -1 with errno.
int become(long uid, long gid);
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
