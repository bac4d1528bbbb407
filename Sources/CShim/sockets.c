// Sockets as Swift's Glibc does not offer them: descriptors through them, terminals' windows, other network namespaces.
#define _GNU_SOURCE
#include "shim_private.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/un.h>

int espalier_send_descriptor(int socket, int descriptor) {
    char byte = 'd', control[CMSG_SPACE(sizeof descriptor)] = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

int espalier_receive_descriptor(int socket) {
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (count < 0) return -errno;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int descriptor = -1;
    if (count == 0 || !header || header->cmsg_type != SCM_RIGHTS) return -ENODATA;
    memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
    return descriptor;
}

int espalier_connect_local(const char *path) {
    // A path may be longer than a socket's; through its descriptor it never is.
    int entry = open(path, O_PATH | O_CLOEXEC);
    if (entry < 0) return -errno;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", entry);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), reason = 0;
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) reason = errno;
    close(entry);
    if (!reason) return descriptor;
    close(descriptor);
    return -reason;
}

int espalier_terminal_peer(int terminal) {
    int peer = ioctl(terminal, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return peer < 0 ? -errno : peer;
}

int espalier_set_window(int terminal, int columns, int rows) {
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    return ioctl(terminal, TIOCSWINSZ, &size) == 0 ? 0 : -errno;
}

// A socket stays in the namespace it was made in, so the thread visits it for one call.
static int socket_in(const char *path) {
    if (!path) return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), other = open(path, O_RDONLY | O_CLOEXEC);
    int descriptor = -1, reason = errno;
    if (own >= 0 && other >= 0 && setns(other, CLONE_NEWNET) == 0) {
        descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        reason = errno;
        // This thread serves others: it must never go on in a pod's network.
        if (setns(own, CLONE_NEWNET) != 0) abort();
    } else if (own >= 0 && other >= 0) {
        reason = errno;
    }
    close(own);
    close(other);
    errno = reason;
    return descriptor;
}

int espalier_connect_in(const char *path, const char *address, int port) {
    struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, address, &target.sin_addr) != 1) return -EINVAL;
    int descriptor = socket_in(path);
    if (descriptor < 0) return -errno;
    int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(descriptor, (struct sockaddr *)&target, sizeof target) == 0 || errno == EINPROGRESS) return descriptor;
    int reason = errno;
    close(descriptor);
    return -reason;
}

int espalier_has_connected(int descriptor) {
    struct pollfd set = {descriptor, POLLOUT, 0};
    if (poll(&set, 1, 0) <= 0) return 0;
    int reason = 0;
    socklen_t length = sizeof reason;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &reason, &length) != 0) return -errno;
    return reason ? -reason : 1;
}
