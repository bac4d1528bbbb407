// Those who look on at a container: each that connects to `attach` in the attempt's folder is given three descriptors,
// the container's input (or /dev/null), and a copy of each output from here on. What a client does not read in time it
// misses: a container never waits for somebody who looks on.
#define _GNU_SOURCE
#include "shim_private.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

enum { COPY_BYTES = 1 << 20 };

int attachments_open(struct attachments *attachments, const char *directory) {
    // A folder's path may be longer than a socket's; through its descriptor it never is.
    int folder = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/attach", folder);
    attachments->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int failed = folder < 0 || attachments->listener < 0
        || bind(attachments->listener, (struct sockaddr *)&address, sizeof address) != 0
        || listen(attachments->listener, MAX_CLIENTS) != 0;
    close(folder);
    if (!failed) return 0;
    close(attachments->listener);
    attachments->listener = -1;
    return -1;
}

static int free_place(const struct stream *streams) {
    for (int place = 0; place < MAX_CLIENTS; place++)
        if (streams[0].copies[place] < 0 && streams[1].copies[place] < 0) return place;
    return -1;
}

void attachments_accept(struct attachments *attachments, struct stream *streams) {
    int client = accept4(attachments->listener, NULL, NULL, SOCK_CLOEXEC);
    int place = free_place(streams), input = attachments->input, nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (client < 0 || place < 0) {
        close(client);
        close(nothing);
        return;
    }
    int failed = espalier_send_descriptor(client, input >= 0 ? input : nothing) != 0;
    for (int i = 0; i < 2 && !failed; i++) {
        int copy[2];
        failed = pipe2(copy, O_CLOEXEC) != 0;
        if (failed) break;
        fcntl(copy[1], F_SETPIPE_SZ, COPY_BYTES);
        fcntl(copy[1], F_SETFL, O_NONBLOCK);
        failed = espalier_send_descriptor(client, copy[0]) != 0;
        close(copy[0]);
        if (streams[i].descriptor >= 0) streams[i].copies[place] = copy[1];
        else close(copy[1]);
    }
    close(nothing);
    if (failed) {
        close(client);
        return;
    }
    // The end of this connection tells the client that the container has ended; it closes with us.
    if (attachments->connections[place] >= 0) close(attachments->connections[place]);
    attachments->connections[place] = client;
    // The one client that may write has the only end there is: when it goes, the container reads the end of its input.
    if (input >= 0 && attachments->is_input_once) {
        close(input);
        attachments->input = -1;
    }
}
