// Reads what the agent asks of a shim. A specification without its `end` was cut short and is refused whole.
#define _GNU_SOURCE
#include "shim_private.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int take(struct specification *result, char *key, char *value) {
    if (!strcmp(key, "log")) result->log = value;
    else if (!strcmp(key, "log-bytes")) result->log_bytes = atoll(value);
    else if (!strcmp(key, "netns")) result->netns = value;
    else if (!strcmp(key, "working")) result->working = value;
    else if (!strcmp(key, "uid")) result->uid = atol(value);
    else if (!strcmp(key, "gid")) result->gid = atol(value);
    else if (!strcmp(key, "sandbox")) result->sandbox = 1;
    else if (!strcmp(key, "stdin")) result->has_input = 1;
    else if (!strcmp(key, "stdin-once")) result->is_input_once = 1;
    else if (!strcmp(key, "tty")) result->is_terminal = 1;
    else if (!strcmp(key, "tty-owner")) result->terminal_owner = atol(value);
    else if (!strcmp(key, "arg") && result->argument_count < MAX_WORDS)
        result->arguments[result->argument_count++] = value;
    else if (!strcmp(key, "env") && result->environment_count < MAX_WORDS)
        result->environment[result->environment_count++] = value;
    else return -1;
    return 0;
}

static ssize_t read_all(int descriptor, char *buffer, size_t capacity) {
    size_t length = 0;
    while (length < capacity) {
        ssize_t count = read(descriptor, buffer + length, capacity - length);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return count < 0 ? -1 : (ssize_t)length;
        length += (size_t)count;
        if (length >= 5 && !memcmp(buffer + length - 5, "\0end", 5)) return (ssize_t)length;
    }
    return -1;
}

int specification_read(int descriptor, struct specification *result) {
    memset(result, 0, sizeof *result);
    result->uid = result->gid = result->terminal_owner = -1;
    result->log_bytes = 10 << 20;
    result->buffer = calloc(1, MAX_SPECIFICATION);
    result->arguments = calloc(MAX_WORDS + 1, sizeof(char *));
    result->environment = calloc(MAX_WORDS + 1, sizeof(char *));
    if (!result->buffer || !result->arguments || !result->environment) return -1;
    ssize_t length = read_all(descriptor, result->buffer, MAX_SPECIFICATION);
    result->length = length > 0 ? (size_t)length : 0;
    if (length < 5 || memcmp(result->buffer + length - 5, "\0end", 5)) return -1;
    for (char *token = result->buffer; token < result->buffer + length - 4;) {
        char *next = token + strlen(token) + 1;
        char *space = strchr(token, ' ');
        if (!space) return -1;
        *space = 0;
        if (take(result, token, space + 1) != 0) return -1;
        token = next;
    }
    return result->log && result->argument_count > 0 ? 0 : -1;
}

void specification_forget(struct specification *specification) {
    explicit_bzero(specification->buffer, specification->length);
    free(specification->buffer);
    free(specification->arguments);
    free(specification->environment);
    specification->buffer = NULL;
    specification->log = specification->netns = specification->working = NULL;
    specification->arguments = specification->environment = NULL;
}
