/* The load generator of `hack/bench store`: one thread, one connection for each writer or watcher, speaking either the
   protocol of Tests/StoreServer or gRPC to etcd, so that both peers see the same requests from the same code. Prints one
   line of JSON. Keys are spread over the documents, values are pseudo-random text that no peer can compress away.

   store_load PEER PORT put   CONNECTIONS SECONDS DOCUMENTS BYTES   every writer puts as soon as its last put is answered
   store_load PEER PORT fill  CONNECTIONS 0       DOCUMENTS BYTES   each document once
   store_load PEER PORT watch WATCHERS    SECONDS DOCUMENTS BYTES   one writer; the time from its answer to each watcher
   PEER is espalier or etcd. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEADERS = 1, RESET = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, WINDOW = 8, END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

typedef struct {
    int fd, watches, answered, failed;
    uint32_t stream, unacknowledged;
    double began;
    uint8_t *in;
    size_t have, room;
} Connection;

static int is_etcd;
static size_t value_bytes;
static char *text;              /* where values are cut from */
enum { TEXT = 1 << 20 };
static uint64_t seed = 88172645463325252ull;

typedef struct {
    float *values;
    size_t count, room;
} Samples;

static Samples answers;         /* from request to answer; of watches: from the writer's answer to each receipt */
static Samples receipts;        /* of watches: from the writer's request to each receipt */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static uint64_t random64(void) {
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed;
}

static void fail(const char *what) {
    fprintf(stderr, "store_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void sample(Samples *s, double seconds) {
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 1 << 16;
        s->values = realloc(s->values, s->room * sizeof *s->values);
        if (!s->values) fail("memory");
    }
    s->values[s->count++] = (float)(seconds * 1e6);
}

static void send_all(Connection *c, const uint8_t *bytes, size_t count) {
    while (count) {
        ssize_t n = send(c->fd, bytes, count, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (n <= 0) fail("send");
        bytes += n, count -= n;
    }
}

static uint8_t *little(uint8_t *p, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) *p++ = value >> (8 * i);
    return p;
}

static size_t key(char *out, unsigned long long number) {
    int n = is_etcd ? sprintf(out, "/registry/documents/default/k%08llu", number)
                    : sprintf(out, "%cdocuments%cdefault%ck%08llu", 0, 0, 0, number);
    return n;
}

static size_t prefix(char *out) { return key(out, 0) - 9; }

/* Just enough of HTTP/2: literal headers, one message a frame, windows so large that they need few updates. */

static uint8_t *frame(uint8_t *p, size_t length, int type, int flags, uint32_t stream) {
    *p++ = length >> 16, *p++ = length >> 8, *p++ = length, *p++ = type, *p++ = flags;
    *p++ = stream >> 24, *p++ = stream >> 16, *p++ = stream >> 8, *p++ = stream;
    return p;
}

static uint8_t *string(uint8_t *p, const char *s) {
    size_t n = strlen(s);
    *p++ = n;
    memcpy(p, s, n);
    return p + n;
}

static uint8_t *varint(uint8_t *p, uint64_t value) {
    for (; value > 127; value >>= 7) *p++ = value | 128;
    *p++ = value;
    return p;
}

static uint8_t *field(uint8_t *p, int number, const void *bytes, size_t count) {
    *p++ = number << 3 | 2;
    p = varint(p, count);
    memcpy(p, bytes, count);
    return p + count;
}

static uint8_t *headers(uint8_t *p, const char *path, uint32_t stream) {
    uint8_t block[256], *b = block;
    *b++ = 0x83, *b++ = 0x86;                                           /* POST, http */
    *b++ = 0x04, b = string(b, path);                                   /* :path */
    *b++ = 0x01, b = string(b, "localhost");                            /* :authority */
    *b++ = 0x0f, *b++ = 0x10, b = string(b, "application/grpc");        /* content-type */
    *b++ = 0x00, b = string(b, "te"), b = string(b, "trailers");
    p = frame(p, b - block, HEADERS, END_HEADERS, stream);
    memcpy(p, block, b - block);
    return p + (b - block);
}

/* A message as one DATA frame: frame header, gRPC prefix, message. */
static uint8_t *message(uint8_t *p, const uint8_t *bytes, size_t count, int flags, uint32_t stream) {
    p = frame(p, count + 5, 0, flags, stream);
    *p++ = 0, *p++ = count >> 24, *p++ = count >> 16, *p++ = count >> 8, *p++ = count;
    memcpy(p, bytes, count);
    return p + count;
}

static void send_put(Connection *c, uint64_t number) {
    static uint8_t buffer[1 << 17], body[1 << 16];
    char k[128];
    size_t n = key(k, number);
    const char *value = text + random64() % (TEXT - value_bytes);
    uint8_t *p = buffer;
    if (is_etcd) {
        c->stream += 2;
        p = headers(p, "/etcdserverpb.KV/Put", c->stream);
        uint8_t *b = field(body, 1, k, n);
        b = field(b, 2, value, value_bytes);
        p = message(p, body, b - body, END_STREAM, c->stream);
    } else {
        p = little(p, 1 + 4 + 8 + 2 + n + value_bytes, 4);
        *p++ = 1;
        p = little(little(little(p, 1, 4), UINT64_MAX, 8), n, 2);
        memcpy(p, k, n), p += n;
        memcpy(p, value, value_bytes), p += value_bytes;
    }
    c->answered = 0;
    c->began = now();
    send_all(c, buffer, p - buffer);
}

static uint64_t revision;       /* from which watches start at Espalier */

static void send_watch(Connection *c) {
    uint8_t buffer[1024], body[256], inner[256], *p = buffer;
    char k[128];
    size_t n = prefix(k);
    c->watches = 1;
    if (is_etcd) {
        c->stream = 1;
        p = headers(p, "/etcdserverpb.Watch/Watch", 1);
        uint8_t *b = field(inner, 1, k, n);
        k[n - 1]++;
        b = field(b, 2, k, n);
        uint8_t *e = field(body, 1, inner, b - inner);
        p = message(p, body, e - body, 0, 1);
    } else {
        p = little(p, 1 + 4 + 8 + 2 + n, 4);
        *p++ = 5;
        p = little(little(little(p, 1, 4), revision, 8), n, 2);
        memcpy(p, k, n), p += n;
    }
    send_all(c, buffer, p - buffer);
}

static void open_connection(Connection *c, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    memset(c, 0, sizeof *c);
    c->stream = (uint32_t)-1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (is_etcd) {
        uint8_t buffer[128], *p = buffer;
        memcpy(p, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24), p += 24;
        p = frame(p, 12, SETTINGS, 0, 0);
        memcpy(p, "\0\2\0\0\0\0\0\4\x3f\xff\xff\xff", 12), p += 12;      /* no push, stream windows of 1 GiB */
        p = frame(p, 4, WINDOW, 0, 0);
        memcpy(p, "\x3f\xff\0\0", 4), p += 4;
        send_all(c, buffer, p - buffer);
    }
}

/* Whether a watch response holds an event: field 11. */
static int has_event(const uint8_t *p, const uint8_t *end) {
    while (p < end) {
        uint64_t tag = 0, length = 0;
        int shift = 0;
        do tag |= (uint64_t)(*p & 127) << shift, shift += 7; while (*p++ & 128 && p < end);
        if (tag >> 3 == 11) return 1;
        for (shift = 0; p < end;) {
            length |= (uint64_t)(*p & 127) << shift, shift += 7;
            if (!(*p++ & 128)) break;
        }
        if ((tag & 7) == 2) p += length;
    }
    return 0;
}

/* What came in on a connection; answers how many answers or events that was. */
static int take_etcd(Connection *c, uint8_t *p, uint8_t *end, size_t *used) {
    int count = 0;
    uint8_t *start = p, reply[32];
    while (end - p >= 9) {
        size_t length = p[0] << 16 | p[1] << 8 | p[2];
        int type = p[3], flags = p[4];
        uint8_t *body = p + 9;
        if ((size_t)(end - body) < length) break;
        if (type == 0) {
            c->unacknowledged += length;
            if (c->watches) count += length > 5 && has_event(body + 5, body + length);
            else c->answered = 1;
        } else if (type == HEADERS && flags & END_STREAM) {
            if (c->watches || !c->answered) c->failed++;
            count++;
        } else if (type == RESET || type == GOAWAY) {
            c->failed++, count++;
        } else if (type == SETTINGS && !(flags & ACK)) {
            send_all(c, reply, frame(reply, 0, SETTINGS, ACK, 0) - reply);
        } else if (type == PING && !(flags & ACK)) {
            uint8_t *r = frame(reply, 8, PING, ACK, 0);
            memcpy(r, body, 8);
            send_all(c, reply, r + 8 - reply);
        }
        p = body + length;
    }
    if (c->unacknowledged > 1 << 20) {
        uint8_t *r = frame(reply, 4, WINDOW, 0, 0);
        *r++ = c->unacknowledged >> 24, *r++ = c->unacknowledged >> 16, *r++ = c->unacknowledged >> 8, *r++ = c->unacknowledged;
        send_all(c, reply, r - reply);
        c->unacknowledged = 0;
    }
    *used = p - start;
    return count;
}

static int take_espalier(Connection *c, uint8_t *p, uint8_t *end, size_t *used) {
    int count = 0;
    uint8_t *start = p;
    while (end - p >= 4) {
        uint32_t length = p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
        if ((size_t)(end - p - 4) < length) break;
        int status = p[4];
        if (c->watches && status == 5) {
            count += p[17] | p[18] << 8;                                /* behind status, id and revision */
        } else {
            c->failed += status != 0;
            if (status == 0 && length >= 13) memcpy(&revision, p + 9, 8);
            count++;
        }
        p += 4 + length;
    }
    *used = p - start;
    return count;
}

static int receive(Connection *c) {
    if (c->room - c->have < 1 << 15) {
        c->room = c->room ? c->room * 2 : 1 << 16;
        c->in = realloc(c->in, c->room);
        if (!c->in) fail("memory");
    }
    ssize_t n = recv(c->fd, c->in + c->have, c->room - c->have, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (n <= 0) fail("the peer closed a connection");
    c->have += n;
    size_t used = 0;
    int count = is_etcd ? take_etcd(c, c->in, c->in + c->have, &used) : take_espalier(c, c->in, c->in + c->have, &used);
    memmove(c->in, c->in + used, c->have - used);
    c->have -= used;
    return count;
}

static int compare(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static double percentile(Samples *s, double share) {
    qsort(s->values, s->count, sizeof *s->values, compare);
    return s->count ? s->values[(size_t)((s->count - 1) * share)] : 0;
}

static Connection *all;
static int connections, poll_fd;

static void watch_sockets(void) {
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, all[i].fd, &event)) fail("epoll");
    }
}

static uint64_t run_puts(double seconds, uint64_t documents) {
    uint64_t puts = 0, next = 0;
    double end = now() + seconds;
    int busy = connections;
    watch_sockets();
    for (int i = 0; i < connections; i++) send_put(&all[i], seconds ? random64() % documents : next++);
    while (busy) {
        struct epoll_event events[256];
        int ready = epoll_wait(poll_fd, events, 256, 30000);
        if (ready <= 0) fail("no answer for 30 s");
        for (int i = 0; i < ready; i++) {
            Connection *c = &all[events[i].data.u32];
            if (!receive(c)) continue;
            sample(&answers, now() - c->began);
            puts++;
            if (seconds ? now() < end : next < documents) send_put(c, seconds ? random64() % documents : next++);
            else busy--;
        }
    }
    return puts;
}

/* Connection 0 writes; after each put all others must have its event before the next. */
static uint64_t run_watches(double seconds, uint64_t documents) {
    uint64_t puts = 0;
    double *received = calloc(connections, sizeof *received);
    send_put(&all[0], 0);
    while (!receive(&all[0])) usleep(100);
    for (int i = 1; i < connections; i++) send_watch(&all[i]);
    watch_sockets();
    for (double until = now() + 2; now() < until;) {                    /* until every watch is in place */
        struct epoll_event events[256];
        int ready = epoll_wait(poll_fd, events, 256, 100);
        for (int i = 0; i < ready; i++) receive(&all[events[i].data.u32]);
    }
    for (double end = now() + seconds; now() < end; puts++) {
        double acknowledged = 0;
        int missing = connections - 1;
        send_put(&all[0], random64() % documents);
        while (missing || !acknowledged) {
            struct epoll_event events[256];
            int ready = epoll_wait(poll_fd, events, 256, 30000);
            if (ready <= 0) fail("an event did not come within 30 s");
            for (int i = 0; i < ready; i++) {
                uint32_t number = events[i].data.u32;
                int count = receive(&all[number]);
                if (!count) continue;
                if (number) received[number] = now(), missing -= count;
                else acknowledged = now();
            }
        }
        for (int i = 1; i < connections; i++) {
            sample(&answers, received[i] > acknowledged ? received[i] - acknowledged : 0);
            sample(&receipts, received[i] - all[0].began);
        }
    }
    return puts;
}

int main(int count, char **words) {
    if (count != 8) {
        fprintf(stderr, "usage: store_load espalier|etcd PORT put|fill|watch CONNECTIONS SECONDS DOCUMENTS BYTES\n");
        return 2;
    }
    is_etcd = !strcmp(words[1], "etcd");
    int watches = !strcmp(words[3], "watch");
    connections = atoi(words[4]) + watches;
    double seconds = strcmp(words[3], "fill") ? atof(words[5]) : 0;
    uint64_t documents = strtoull(words[6], 0, 10);
    value_bytes = strtoull(words[7], 0, 10);
    if (value_bytes > 1 << 15 || documents < (uint64_t)connections) return fprintf(stderr, "store_load: values up to 32 KiB, a document for each connection\n"), 2;
    text = malloc(TEXT);
    for (int i = 0; i < TEXT; i++) text[i] = 33 + random64() % 90;
    seed ^= (uint64_t)(now() * 1e9);
    all = calloc(connections, sizeof *all);
    for (int i = 0; i < connections; i++) open_connection(&all[i], atoi(words[2]));
    double began = now();
    uint64_t puts = watches ? run_watches(seconds, documents) : run_puts(seconds, documents);
    double took = now() - began;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    int failed = 0;
    for (int i = 0; i < connections; i++) failed += all[i].failed;
    printf("{\"puts\": %llu, \"seconds\": %.3f, \"p50_us\": %.0f, \"p99_us\": %.0f, \"receipt_p50_us\": %.0f, \"receipt_p99_us\": %.0f, \"samples\": %zu, \"failed\": %d, \"generator_cpu\": %.3f}\n",
        (unsigned long long)puts, took, percentile(&answers, .5), percentile(&answers, .99), percentile(&receipts, .5),
        percentile(&receipts, .99), answers.count, failed, cpu);
    return failed != 0;
}
