/* Preloaded into the server by `hack/crash --syscalls`: the Nth pwrite of a process writes only a part of what it is given,
   as a full disk or a signal may make it. SHORT_WRITE_AT is N, SHORT_WRITE_LOG a file that is told when that happened, and
   with SHORT_WRITE_ERROR the write after it fails with that errno. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_int count;

static ssize_t shortened(const char *symbol, int fd, const void *bytes, size_t size, off64_t offset) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real) real = (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, symbol);
    const char *at = getenv("SHORT_WRITE_AT"), *log = getenv("SHORT_WRITE_LOG"), *error = getenv("SHORT_WRITE_ERROR");
    int number = atomic_fetch_add(&count, 1) + 1;
    if (at && number == atoi(at) && size > 1) {
        int out = log ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
        if (out >= 0 && write(out, "INJECTED\n", 9) == 9) close(out);
        return real(fd, bytes, size / 2, offset);
    }
    if (at && error && number == atoi(at) + 1) {
        errno = atoi(error);
        return -1;
    }
    return real(fd, bytes, size, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) { return shortened("pwrite64", fd, bytes, size, offset); }
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) { return shortened("pwrite", fd, bytes, size, offset); }
