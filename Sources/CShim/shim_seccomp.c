// The system calls a container may make: what moby's default profile (profiles/seccomp/default.json) allows for the
// capabilities that are granted, made into a program for the kernel. Everything else fails with EPERM; calls newer than
// this table, and clone3, whose flags no filter can see, with ENOSYS, so that libraries fall back to older ones.
//
// Only the machine's own architecture is allowed: the calls of 32-bit programs fail with ENOSYS.
//
// One rule is ours: limits on core files are left as they are, though the call succeeds. A limit of one byte is the
// only one at which the kernel starts no handler of a core_pattern with a pipe, which runs as root outside.
#define _GNU_SOURCE
#include "shim_private.h"
#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "write down the system calls of this architecture"
#endif

// Newer than the headers of the systems this is built on; the same number on every architecture.
enum {
    NR_set_mempolicy_home_node = 450, NR_cachestat, NR_fchmodat2, NR_map_shadow_stack, NR_futex_wake, NR_futex_wait,
    NR_futex_requeue, NR_statmount, NR_listmount, NR_lsm_get_self_attr, NR_lsm_set_self_attr, NR_lsm_list_modules,
    NR_mseal, NR_setxattrat,
    NR_getxattrat, NR_listxattrat, NR_removexattrat, NR_newest = NR_removexattrat
};
enum { CALLS = 512, PROGRAM = 1024 };

static const short always[] = {
    SYS_accept, SYS_accept4, SYS_adjtimex, SYS_bind, SYS_brk, NR_cachestat, SYS_capget, SYS_capset, SYS_chdir,
    SYS_clock_adjtime, SYS_clock_getres, SYS_clock_gettime, SYS_clock_nanosleep, SYS_close, SYS_close_range,
    SYS_connect, SYS_copy_file_range, SYS_dup, SYS_dup3, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait,
    SYS_epoll_pwait2, SYS_eventfd2, SYS_execve, SYS_execveat, SYS_exit, SYS_exit_group, SYS_faccessat, SYS_faccessat2, SYS_fadvise64,
    SYS_fallocate, SYS_fanotify_mark, SYS_fchdir, SYS_fchmod, SYS_fchmodat, NR_fchmodat2, SYS_fchown, SYS_fchownat,
    SYS_fcntl, SYS_fdatasync, SYS_fgetxattr, SYS_flistxattr, SYS_flock, SYS_fremovexattr, SYS_fsetxattr, SYS_fstat,
    SYS_fstatfs, SYS_fsync, SYS_ftruncate, SYS_futex, NR_futex_requeue, NR_futex_wait, SYS_futex_waitv, NR_futex_wake,
    SYS_getcpu, SYS_getcwd, SYS_getdents64, SYS_getegid, SYS_geteuid, SYS_getgid, SYS_getgroups, SYS_getitimer,
    SYS_getpeername, SYS_getpgid, SYS_getpid, SYS_getppid, SYS_getpriority, SYS_getrandom, SYS_getresgid, SYS_getresuid,
    SYS_getrlimit, SYS_get_robust_list, SYS_getrusage, SYS_getsid, SYS_getsockname, SYS_getsockopt, SYS_gettid,
    SYS_gettimeofday, SYS_getuid, SYS_getxattr, NR_getxattrat, SYS_inotify_add_watch, SYS_inotify_init1,
    SYS_inotify_rm_watch, SYS_io_cancel, SYS_ioctl, SYS_io_destroy, SYS_io_getevents, SYS_io_pgetevents, SYS_ioprio_get,
    SYS_ioprio_set, SYS_io_setup, SYS_io_submit, SYS_kill, SYS_landlock_add_rule, SYS_landlock_create_ruleset,
    SYS_landlock_restrict_self, SYS_lgetxattr, SYS_linkat, SYS_listen, NR_listmount, SYS_listxattr, NR_listxattrat,
    SYS_llistxattr, SYS_lremovexattr, SYS_lseek, SYS_lsetxattr, SYS_madvise, NR_map_shadow_stack, SYS_membarrier,
    SYS_memfd_create, SYS_memfd_secret, SYS_mincore, SYS_mkdirat, SYS_mknodat, SYS_mlock, SYS_mlock2, SYS_mlockall,
    SYS_mmap, SYS_mprotect, SYS_mq_getsetattr, SYS_mq_notify, SYS_mq_open, SYS_mq_timedreceive, SYS_mq_timedsend,
    SYS_mq_unlink, SYS_mremap, NR_mseal, SYS_msgctl, SYS_msgget, SYS_msgrcv, SYS_msgsnd, SYS_msync, SYS_munlock,
    SYS_munlockall, SYS_munmap, SYS_name_to_handle_at, SYS_nanosleep, SYS_newfstatat, SYS_openat, SYS_openat2,
    SYS_pidfd_open, SYS_pidfd_send_signal, SYS_pipe2, SYS_pkey_alloc, SYS_pkey_free, SYS_pkey_mprotect, SYS_ppoll,
    SYS_prctl, SYS_pread64, SYS_preadv, SYS_preadv2, SYS_process_mrelease, SYS_process_vm_readv, SYS_process_vm_writev,
    SYS_pselect6, SYS_ptrace, SYS_pwrite64, SYS_pwritev, SYS_pwritev2, SYS_read, SYS_readahead, SYS_readlinkat,
    SYS_readv, SYS_recvfrom, SYS_recvmmsg, SYS_recvmsg, SYS_remap_file_pages, SYS_removexattr, NR_removexattrat,
    SYS_renameat, SYS_renameat2, SYS_restart_syscall, SYS_rseq, SYS_rt_sigaction, SYS_rt_sigpending, SYS_rt_sigprocmask,
    SYS_rt_sigqueueinfo, SYS_rt_sigreturn, SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_rt_tgsigqueueinfo,
    SYS_sched_getaffinity, SYS_sched_getattr, SYS_sched_getparam, SYS_sched_get_priority_max,
    SYS_sched_get_priority_min, SYS_sched_getscheduler, SYS_sched_rr_get_interval, SYS_sched_setaffinity,
    SYS_sched_setattr, SYS_sched_setparam, SYS_sched_setscheduler, SYS_sched_yield, SYS_seccomp, SYS_semctl, SYS_semget,
    SYS_semop, SYS_semtimedop, SYS_sendfile, SYS_sendmmsg, SYS_sendmsg, SYS_sendto, SYS_setfsgid, SYS_setfsuid,
    SYS_setgid, SYS_setgroups, SYS_setitimer, SYS_setpgid, SYS_setpriority, SYS_setregid, SYS_setresgid, SYS_setresuid,
    SYS_setreuid, SYS_set_robust_list, SYS_setsid, SYS_setsockopt, SYS_set_tid_address, SYS_setuid, SYS_setxattr,
    NR_setxattrat, SYS_shmat, SYS_shmctl, SYS_shmdt, SYS_shmget, SYS_shutdown, SYS_sigaltstack, SYS_signalfd4,
    SYS_socketpair, SYS_splice, SYS_statfs, NR_statmount, SYS_statx, SYS_symlinkat, SYS_sync, SYS_sync_file_range,
    SYS_syncfs, SYS_sysinfo, SYS_tee, SYS_tgkill, SYS_timer_create, SYS_timer_delete, SYS_timer_getoverrun,
    SYS_timer_gettime, SYS_timer_settime, SYS_timerfd_create, SYS_timerfd_gettime, SYS_timerfd_settime, SYS_times,
    SYS_tkill, SYS_truncate, SYS_umask, SYS_uname, SYS_unlinkat, SYS_utimensat, SYS_vmsplice, SYS_wait4, SYS_waitid,
    SYS_write, SYS_writev,
#ifdef __x86_64__
    SYS_access, SYS_alarm, SYS_arch_prctl, SYS_chmod, SYS_chown, SYS_creat, SYS_dup2, SYS_epoll_create,
    SYS_epoll_ctl_old, SYS_epoll_wait, SYS_epoll_wait_old, SYS_eventfd, SYS_fork, SYS_futimesat, SYS_getdents,
    SYS_getpgrp, SYS_get_thread_area, SYS_inotify_init, SYS_lchown, SYS_link, SYS_lstat, SYS_mkdir, SYS_mknod,
    SYS_modify_ldt, SYS_open, SYS_pause, SYS_pipe, SYS_poll, SYS_readlink, SYS_rename, SYS_rmdir, SYS_select,
    SYS_set_thread_area, SYS_signalfd, SYS_stat, SYS_symlink, SYS_time, SYS_unlink, SYS_utime, SYS_utimes, SYS_vfork,
#endif
};

// What a capability allows beyond that, of the capabilities a container can have.
static const struct { short capability, call; } granted[] = {
    {CAP_SYS_CHROOT, SYS_chroot},       {CAP_SYS_NICE, SYS_get_mempolicy}, {CAP_SYS_NICE, SYS_set_mempolicy},
    {CAP_SYS_NICE, SYS_mbind},          {CAP_SYS_NICE, NR_set_mempolicy_home_node},
    {CAP_SYS_TTY_CONFIG, SYS_vhangup},
};

// Socket families that need no filter of their own in any program, but have had holes: DECnet, econet, atmsvc, IrDA,
// WANPIPE, IUCV, CAIF, the kernel's cryptography, and the hypervisor's.
static const short refused_families[] = {12, 19, 20, 23, 25, 34, 37, 38, 40};
enum { FAMILIES = 46 };

struct program {
    struct sock_filter code[PROGRAM];
    unsigned short length;
};

static void add(struct program *program, unsigned short code, unsigned char yes, unsigned char no, uint32_t value) {
    program->code[program->length++] = (struct sock_filter){code, yes, no, value};
}

static void answer(struct program *program, uint32_t action) { add(program, BPF_RET | BPF_K, 0, 0, action); }
static void load(struct program *program, size_t offset) {
    add(program, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}
// The lower half of an argument: all that is looked at is an int.
static void load_argument(struct program *program, int index) {
    load(program, offsetof(struct seccomp_data, args) + (size_t)index * sizeof(uint64_t));
}
// What follows is for one call only: it ends with an answer, and `end` tells where the other calls go on.
static int begin(struct program *program, int number) {
    add(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, (uint32_t)number);
    return program->length;
}
static void end(struct program *program, int start) {
    program->code[start - 1].jf = (unsigned char)(program->length - start);
}
// `action` if what is loaded is `value`.
static void answer_to(struct program *program, uint32_t value, uint32_t action) {
    add(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, value);
    answer(program, action);
}

static const uint32_t refused = SECCOMP_RET_ERRNO | EPERM, unknown = SECCOMP_RET_ERRNO | ENOSYS;

// Calls whose arguments decide.
static void add_conditions(struct program *program) {
    const uint32_t spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID
        | CLONE_NEWNET;
    int start = begin(program, SYS_clone);
    load_argument(program, 0);
    add(program, BPF_JMP | BPF_JSET | BPF_K, 0, 1, spaces);
    answer(program, refused);
    answer(program, SECCOMP_RET_ALLOW);
    end(program, start);

    answer_to(program, SYS_clone3, unknown);

    start = begin(program, SYS_socket);
    load_argument(program, 0);
    for (size_t i = 0; i < sizeof refused_families / sizeof *refused_families; i++)
        answer_to(program, (uint32_t)refused_families[i], refused);
    add(program, BPF_JMP | BPF_JGE | BPF_K, 0, 1, FAMILIES);
    answer(program, refused);
    answer(program, SECCOMP_RET_ALLOW);
    end(program, start);

    static const uint32_t personalities[] = {0, 8, 0x20000, 0x20008, 0xffffffff};
    start = begin(program, SYS_personality);
    load_argument(program, 0);
    for (int i = 0; i < 5; i++) answer_to(program, personalities[i], SECCOMP_RET_ALLOW);
    answer(program, refused);
    end(program, start);

    start = begin(program, SYS_setrlimit);
    load_argument(program, 0);
    answer_to(program, RLIMIT_CORE, SECCOMP_RET_ERRNO | 0);
    answer(program, SECCOMP_RET_ALLOW);
    end(program, start);

    // Without new limits, a pointer, it only reads.
    start = begin(program, SYS_prlimit64);
    load_argument(program, 1);
    add(program, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, RLIMIT_CORE);
    answer(program, SECCOMP_RET_ALLOW);
    load_argument(program, 2);
    add(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0);
    load(program, offsetof(struct seccomp_data, args) + 2 * sizeof(uint64_t) + sizeof(uint32_t));
    answer_to(program, 0, SECCOMP_RET_ALLOW);
    answer(program, SECCOMP_RET_ERRNO | 0);
    end(program, start);
}

// The program for a container with these capabilities.
static void compile(struct program *program, uint64_t capabilities) {
    unsigned char allowed[CALLS + 1] = {0};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++) allowed[always[i]] = 1;
    for (size_t i = 0; i < sizeof granted / sizeof *granted; i++)
        if (capabilities >> granted[i].capability & 1) allowed[granted[i].call] = 1;
    program->length = 0;
    load(program, offsetof(struct seccomp_data, arch));
    add(program, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, OWN_ARCHITECTURE);
    answer(program, unknown);
    load(program, offsetof(struct seccomp_data, nr));
    add_conditions(program);
    // Ranges of allowed calls, ascending. The kernel remembers which numbers are allowed whatever their arguments.
    for (int first = 0, last; first < CALLS; first = last + 1) {
        for (last = first; allowed[last + 1] && allowed[first]; last++) {}
        if (!allowed[first]) continue;
        add(program, BPF_JMP | BPF_JGE | BPF_K, 1, 0, (uint32_t)first);
        answer(program, refused);
        add(program, BPF_JMP | BPF_JGT | BPF_K, 1, 0, (uint32_t)last);
        answer(program, SECCOMP_RET_ALLOW);
    }
    add(program, BPF_JMP | BPF_JGT | BPF_K, 0, 1, NR_newest);
    answer(program, unknown);
    answer(program, refused);
}

int seccomp_file(uint64_t capabilities) {
    struct program program;
    compile(&program, capabilities);
    int descriptor = memfd_create("seccomp", MFD_CLOEXEC);
    ssize_t length = (ssize_t)(program.length * sizeof *program.code);
    if (descriptor < 0) return -1;
    if (write(descriptor, program.code, (size_t)length) == length && lseek(descriptor, 0, SEEK_SET) == 0)
        return descriptor;
    close(descriptor);
    return -1;
}

int seccomp_enter(uint64_t capabilities) {
    struct program program;
    compile(&program, capabilities);
    struct sock_fprog whole = {program.length, program.code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole, 0, 0);
}
