/* Counts what a process does to the files whose path holds $FAULT_FILE, and lets the $FAULT_AT-th go wrong:
 * $FAULT_HOW is "kill" (before it), "torn" (half of it is done, then killed), "done" (done, then killed), or the number of an error;
 * $FAULT_MANY of them go wrong from there on. $FAULT_LOG: a file that is told of each, a letter for each. Loaded with LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name, type) ((type)dlsym(RTLD_NEXT, name))

typedef ssize_t (*pwrite_type)(int, const void *, size_t, off_t);
typedef ssize_t (*write_type)(int, const void *, size_t);
typedef int (*sync_type)(int);
typedef int (*truncate_type)(int, off_t);

enum fate { PASS, TORN, DONE, FAIL };

static atomic_long seen;

static void die(void) { kill(getpid(), SIGKILL); for (;;) pause(); }

static int meant(int fd) {
    const char *file = getenv("FAULT_FILE");
    char link[64], path[PATH_MAX];
    if (!file) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, file) != NULL && strstr(path, "-locks/") == NULL;
}

static enum fate fate_of(int fd, char letter) {
    if (!meant(fd)) return PASS;
    const char *log = getenv("FAULT_LOG"), *how = getenv("FAULT_HOW"), *many = getenv("FAULT_MANY"), *at = getenv("FAULT_AT");
    if (log) {
        int out = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        REAL("write", write_type)(out, &letter, 1);
        close(out);
    }
    if (!at || !how) return PASS;
    long first = atol(at), number = atomic_fetch_add(&seen, 1) + 1;
    if (number < first || number >= first + (many ? atol(many) : 1)) return PASS;
    if (!strcmp(how, "kill")) die();
    if (!strcmp(how, "torn")) return TORN;
    if (!strcmp(how, "done")) return DONE;
    errno = atoi(how);
    return FAIL;
}

static ssize_t pwrite_with(pwrite_type real, int fd, const void *bytes, size_t count, off_t place) {
    switch (fate_of(fd, 'w')) {
    case FAIL: return -1;
    case TORN: real(fd, bytes, count / 2, place); die();
    case DONE: real(fd, bytes, count, place); die();
    default: return real(fd, bytes, count, place);
    }
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t place) {
    return pwrite_with(REAL("pwrite", pwrite_type), fd, bytes, count, place);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t place) {
    return pwrite_with(REAL("pwrite64", pwrite_type), fd, bytes, count, place);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    write_type real = REAL("write", write_type);
    switch (fate_of(fd, 'w')) {
    case FAIL: return -1;
    case TORN: real(fd, bytes, count / 2); die();
    case DONE: real(fd, bytes, count); die();
    default: return real(fd, bytes, count);
    }
}

static int sync_with(sync_type real, int fd) {
    switch (fate_of(fd, 's')) {
    case FAIL: return -1;
    case TORN: die();
    case DONE: real(fd); die();
    default: return real(fd);
    }
}

int fsync(int fd) { return sync_with(REAL("fsync", sync_type), fd); }

int fdatasync(int fd) { return sync_with(REAL("fdatasync", sync_type), fd); }

static int truncate_with(truncate_type real, int fd, off_t length) {
    switch (fate_of(fd, 't')) {
    case FAIL: return -1;
    case TORN: die();
    case DONE: real(fd, length); die();
    default: return real(fd, length);
    }
}

int ftruncate(int fd, off_t length) { return truncate_with(REAL("ftruncate", truncate_type), fd, length); }

int ftruncate64(int fd, off_t length) { return truncate_with(REAL("ftruncate64", truncate_type), fd, length); }
