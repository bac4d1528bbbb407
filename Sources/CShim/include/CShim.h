#ifndef ESPALIER_SHIM_H
#define ESPALIER_SHIM_H
// Processes below Swift: the shim that holds one container, and the few system calls Swift's Glibc does not offer.
// See Sources/Node/index.md for the files the shim writes and the signals it obeys.

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

/// The shim's whole program: `espalier-shim run <directory>`, `drop <uid> <gid> -- argv`, `exec <mode> <pid> … -- argv`.
/// Returns the exit code. The executable `espalier-shim` calls it; the espalier binary does so itself when it is
/// started under that name, so that one copied file is a complete installation.
int espalier_shim_main(int argc, char **argv);

/// Starts a process in a session of its own, with `descriptors[i]` as its descriptor `i` (-1: /dev/null) and no other
/// descriptor. `argv` and `envp` end with NULL. Returns the pid, or -errno.
pid_t espalier_spawn(const char *path, char *const argv[], char *const envp[], const int *descriptors, int count);

/// pidfd_open and pidfd_send_signal: the descriptor or 0, or -errno.
int espalier_pidfd_open(pid_t pid);
int espalier_pidfd_signal(int pidfd, int signal);

/// Field 22 of /proc/<pid>/stat, clock ticks since boot; 0 when there is no such process (or it is a zombie).
uint64_t espalier_start_time(pid_t pid);

/// Takes an exclusive lock without waiting: 1 taken, 0 another holds it, or -errno. The lock goes with the descriptor.
int espalier_try_lock(int descriptor);

/// Hands a descriptor through a Unix socket, and takes one: 0 and the descriptor, or -errno (EAGAIN: nothing yet; ENODATA:
/// something else came, or the end).
int espalier_send_descriptor(int socket, int descriptor);
int espalier_receive_descriptor(int socket);

/// A stream connection to the Unix socket at `path`, however long that is, without waiting: the descriptor or -errno.
int espalier_connect_local(const char *path);

/// The end of a terminal that its programs have, given the other one: the descriptor or -errno.
int espalier_terminal_peer(int terminal);

/// Tells a terminal's programs how large its window is. 0 or -errno.
int espalier_set_window(int terminal, int columns, int rows);

/// A TCP socket in the network namespace at `path` (NULL: our own) that connects to a port there, without waiting: the
/// descriptor or -errno. The calling thread is back in its own namespace when this returns.
int espalier_connect_in(const char *path, const char *address, int port);

/// Whether a connecting socket has connected: 1, 0 not yet, or -errno.
int espalier_has_connected(int descriptor);

/// Whether `path` lies in memory (tmpfs or ramfs): 1 or 0.
int espalier_is_memory_file_system(const char *path);

#endif
