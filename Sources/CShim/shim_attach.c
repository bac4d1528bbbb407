// Those who look on at a container. Each that connects to `attach` in the attempt's folder says with a byte whether it
// wants to write (`w`) or to watch (`r`), and is given three descriptors: the container's input, or a pipe nobody reads,
// and a copy of each output from here on. What a client does not read in time it misses: a container never waits for
// somebody who looks on.
#define _GNU_SOURCE
#include "shim_private.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

enum { COPY_BYTES = 1 << 20, GREETING_MILLISECONDS = 1000 };

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

static void leave(struct attachments *attachments, struct stream *streams, int place) {
    for (int i = 0; i < 2; i++) {
        close(streams[i].copies[place]);
        streams[i].copies[place] = -1;
    }
    close(attachments->connections[place]);
    attachments->connections[place] = -1;
}

// A place for one more client: those that have gone make room. -1 where all are taken.
static int free_place(struct attachments *attachments, struct stream *streams) {
    int found = -1;
    char byte;
    for (int place = 0; place < MAX_CLIENTS; place++) {
        int connection = attachments->connections[place];
        if (connection >= 0 && recv(connection, &byte, 1, MSG_DONTWAIT) == 0) leave(attachments, streams, place);
        if (attachments->connections[place] < 0) found = place;
    }
    return found;
}

// The writing end of a pipe that nobody reads.
static int nowhere(void) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    close(ends[0]);
    return ends[1];
}

void attachments_accept(struct attachments *attachments, struct stream *streams) {
    int client = accept4(attachments->listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) {
        // Without descriptors left it stays readable: not at once again.
        poll(NULL, 0, 10);
        return;
    }
    int place = free_place(attachments, streams);
    char wish = 0;
    if (place < 0 || poll(&(struct pollfd){client, POLLIN, 0}, 1, GREETING_MILLISECONDS) != 1
        || recv(client, &wish, 1, MSG_DONTWAIT) != 1) {
        close(client);
        return;
    }
    // The end of this connection tells the client that the container has ended; it closes with us.
    attachments->connections[place] = client;
    int isWriting = wish == 'w' && attachments->input >= 0, nothing = isWriting ? -1 : nowhere();
    int failed = espalier_send_descriptor(client, isWriting ? attachments->input : nothing) != 0;
    close(nothing);
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
    if (failed) {
        leave(attachments, streams, place);
    } else if (isWriting && attachments->is_input_once) {
        // That client has the only end there is: when it goes, the container reads the end of its input.
        close(attachments->input);
        attachments->input = -1;
    }
}
