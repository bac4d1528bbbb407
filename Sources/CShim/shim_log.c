// The container's log, in the form kubelets write: `2026-01-01T00:00:00.000000000Z stdout F line`. F ends a line; P is
// a piece of one longer than 16 KiB. Above its limit a file is put aside as <path>.1, replacing the one before.
#define _GNU_SOURCE
#include "shim_private.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

int log_open(struct log *log) {
    log->descriptor = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log->descriptor < 0) return -1;
    struct stat info;
    log->bytes = fstat(log->descriptor, &info) == 0 ? info.st_size : 0;
    return 0;
}

static void put_aside(struct log *log) {
    char aside[PATH_MAX];
    if (snprintf(aside, sizeof aside, "%s.1", log->path) >= (int)sizeof aside) return;
    // Not there: it was put aside before, and a fresh one could not be opened.
    if (rename(log->path, aside) != 0 && errno != ENOENT) return;
    int before = log->descriptor;
    if (log_open(log) == 0) close(before);
    else log->descriptor = before;
}

static void append(struct log *log, const char *name, char tag, const char *text, size_t length) {
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    char head[64];
    size_t size = strftime(head, sizeof head, "%Y-%m-%dT%H:%M:%S", &parts);
    size += (size_t)snprintf(head + size, sizeof head - size, ".%09ldZ %s %c ", now.tv_nsec, name, tag);
    struct iovec pieces[3] = {{head, size}, {(void *)text, length}, {"\n", 1}};
    if (log->limit > 0 && log->bytes > log->limit) put_aside(log);
    // A full disk costs log lines, never the container: what cannot be written is dropped.
    ssize_t written = writev(log->descriptor, pieces, 3);
    if (written > 0) log->bytes += written;
}

void stream_flush(struct stream *stream, struct log *log) {
    if (stream->length > 0) append(log, stream->name, 'F', stream->line, stream->length);
    stream->length = 0;
}

static void copy(struct stream *stream, const char *bytes, size_t count) {
    for (int i = 0; i < MAX_CLIENTS; i++) {
        if (stream->copies[i] < 0 || write(stream->copies[i], bytes, count) >= 0 || errno == EAGAIN) continue;
        close(stream->copies[i]);
        stream->copies[i] = -1;
    }
}

int stream_pump(struct stream *stream, struct log *log) {
    size_t room = sizeof stream->line - stream->length;
    ssize_t count = read(stream->descriptor, stream->line + stream->length, room);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return 1;
    // A terminal that nobody has open any more answers with an error.
    if (count <= 0) {
        stream_flush(stream, log);
        close(stream->descriptor);
        stream->descriptor = -1;
        for (int i = 0; i < MAX_CLIENTS; i++) {
            close(stream->copies[i]);
            stream->copies[i] = -1;
        }
        return 0;
    }
    copy(stream, stream->line + stream->length, (size_t)count);
    size_t end = stream->length + (size_t)count, start = 0, scanned = stream->length;
    char *found;
    while ((found = memchr(stream->line + scanned, '\n', end - scanned))) {
        size_t stop = (size_t)(found - stream->line);
        append(log, stream->name, 'F', stream->line + start, stop - start);
        start = scanned = stop + 1;
    }
    if (start == 0 && end == sizeof stream->line) {
        append(log, stream->name, 'P', stream->line, end);
        start = end;
    }
    memmove(stream->line, stream->line + start, end - start);
    stream->length = end - start;
    return 1;
}
