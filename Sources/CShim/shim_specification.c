// Reads what the agent asks of a shim. A specification without its `end` was cut short and is refused whole.
#define _GNU_SOURCE
#include "shim_private.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// The path of a mount follows its source.
static int take_bind(struct specification *result, const char *key, char *value) {
    if (!strncmp(key, "bind", 4)) {
        if (result->bind_count == MAX_BINDS) return -1;
        result->binds[result->bind_count++] = (struct bind){.source = value, .is_read_only = !strcmp(key, "bind-ro")};
        return 0;
    }
    if (result->bind_count == 0) return -1;
    struct bind *bind = &result->binds[result->bind_count - 1];
    if (!strcmp(key, "part")) bind->part = value;
    else bind->path = value;
    return 0;
}

static int take(struct specification *result, char *key, char *value) {
    struct root *root = &result->root;
    if (!strcmp(key, "log")) result->log = value;
    else if (!strcmp(key, "log-bytes")) result->log_bytes = atoll(value);
    else if (!strcmp(key, "netns")) result->netns = value;
    else if (!strcmp(key, "working")) result->working = value;
    else if (!strcmp(key, "identity")) return identity_option(&result->identity, value) ? 0 : -1;
    else if (!strcmp(key, "sandbox")) result->sandbox = 1;
    else if (!strcmp(key, "stdin")) result->has_input = 1;
    else if (!strcmp(key, "stdin-once")) result->is_input_once = 1;
    else if (!strcmp(key, "tty")) result->is_terminal = 1;
    else if (!strcmp(key, "tty-owner")) result->terminal_owner = atol(value);
    else if (!strcmp(key, "filter")) result->filter = value;
    else if (!strcmp(key, "layer") && root->layer_count < MAX_LAYERS) root->layers[root->layer_count++] = value;
    else if (!strcmp(key, "upper")) root->upper = value;
    else if (!strcmp(key, "work")) root->work = value;
    else if (!strcmp(key, "folder")) root->folder = value;
    else if (!strcmp(key, "shim")) root->shim = value;
    else if (!strcmp(key, "bind") || !strcmp(key, "bind-ro") || !strcmp(key, "part") || !strcmp(key, "at"))
        return take_bind(result, key, value);
    else if (!strcmp(key, "cgroup") && result->cgroup_count < MAX_CGROUPS)
        result->cgroups[result->cgroup_count++] = (struct cgroup){value, ""};
    else if (!strcmp(key, "cgroup-name") && result->cgroup_count > 0)
        result->cgroups[result->cgroup_count - 1].name = value;
    else if (!strcmp(key, "arg") && result->argument_count < MAX_WORDS)
        result->arguments[result->argument_count++] = value;
    else if (!strcmp(key, "env") && result->environment_count < MAX_WORDS)
        result->environment[result->environment_count++] = value;
    else return -1;
    return 0;
}

// Whether a root, where there is one, and every mount has all of its parts.
static int is_complete(const struct specification *result) {
    const struct root *root = &result->root;
    if (root->layer_count > 0 && (!root->upper || !root->work || !root->shim)) return 0;
    for (int i = 0; i < result->bind_count; i++)
        if (!result->binds[i].path || root->layer_count == 0) return 0;
    return result->log && result->argument_count > 0;
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
    result->terminal_owner = -1;
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
    return is_complete(result) ? 0 : -1;
}

void specification_forget(struct specification *specification) {
    explicit_bzero(specification->buffer, specification->length);
    free(specification->buffer);
    free(specification->arguments);
    free(specification->environment);
    specification->buffer = NULL;
    specification->log = specification->netns = specification->working = specification->filter = NULL;
    memset(&specification->root, 0, sizeof specification->root);
    specification->bind_count = specification->cgroup_count = 0;
    memset(&specification->identity, 0, sizeof specification->identity);
    specification->arguments = specification->environment = NULL;
}
