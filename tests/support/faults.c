// Preloaded into the server by faults.rs: what it does to files of databases fails from some moment on, and its clock is set.
// (The log and the audit log are written by other calls.)
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

// The file that the test writes to; see faults.rs.
struct control {
    _Atomic int64_t changes_left; // writes and syncs that succeed; -1: all
    _Atomic int64_t reads_left;   // the same for reads
    _Atomic int64_t fault;        // the errno of the others; -1: the process ends at once in place of the first
    _Atomic int64_t clock_step;   // seconds that the time of day is ahead
    _Atomic int64_t once;         // whether all goes well again after the first fault
};
static struct control *control;

__attribute__((constructor)) static void open_control(void) {
    int file = open(getenv("FAULTS_CONTROL"), O_RDWR | O_CLOEXEC);
    void *page = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (page == MAP_FAILED)
        abort();
    close(file);
    control = page;
}

// Whether this is one of those that fail.
static int fails(_Atomic int64_t *left) {
    int64_t seen = atomic_load(left);
    while (seen > 0 && !atomic_compare_exchange_weak(left, &seen, seen - 1))
        ;
    if (seen != 0)
        return 0;
    int64_t fault = atomic_load(&control->fault);
    if (fault < 0)
        _exit(137);
    if (atomic_load(&control->once))
        atomic_store(left, -1);
    errno = (int)fault;
    return 1;
}

#define REAL(name, ...) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))(__VA_ARGS__)

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    return fails(&control->changes_left) ? -1 : REAL(pwrite64, file, bytes, count, at);
}

int fdatasync(int file) { return fails(&control->changes_left) ? -1 : REAL(fdatasync, file); }

int fsync(int file) { return fails(&control->changes_left) ? -1 : REAL(fsync, file); }

int ftruncate64(int file, off64_t length) {
    return fails(&control->changes_left) ? -1 : REAL(ftruncate64, file, length);
}

ssize_t pread64(int file, void *bytes, size_t count, off64_t at) {
    return fails(&control->reads_left) ? -1 : REAL(pread64, file, bytes, count, at);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = REAL(clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME)
        now->tv_sec += atomic_load(&control->clock_step);
    return result;
}
