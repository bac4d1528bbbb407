// The root of a container from an image, made in a mount namespace of its own and nowhere else: when the container's
// last process has gone, the kernel takes everything here away, whoever was killed meanwhile.
//
// What the image and the volumes hold is somebody else's. No path in them is followed by its name: each is resolved
// by the kernel as if they were the root (openat2), and mounted at through the descriptor that came of it. Only what
// we have mounted ourselves, `/.espalier` and `/sys`, and the folders `/proc` and `/dev`, which may not be links, are
// left for bubblewrap to reach by name.
#define _GNU_SOURCE
#include "shim_private.h"
#include <errno.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>

enum { MAX_STEPS = 64, OVERLAY_OPTIONS = 4096 };
// Of the calls that work on mounts not yet attached; where there are headers for them, they differ.
enum { CLONE_TREE = 1, FROM_DESCRIPTOR = 4, TO_DESCRIPTOR = 0x40, ONLY_READ = 1, NO_SUID = 2, NO_DEVICES = 4 };

static int open_below(int root, const char *path, uint64_t flags, uint64_t resolve) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC | flags, .resolve = resolve | RESOLVE_NO_MAGICLINKS};
    // EAGAIN: something was renamed meanwhile, by another container of the pod in a volume that they share.
    for (int attempt = 0; attempt < 100; attempt++) {
        int descriptor = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
        if (descriptor >= 0 || errno != EAGAIN) return descriptor;
    }
    return -1;
}

// The path of what a descriptor stands for, to mount at.
static const char *at(int descriptor) {
    static char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return path;
}

// Opens `path` as a process whose root is `root` would, making what is missing: folders, and at the end what is asked
// for. A link to nothing is made to point to something. The descriptor, or -1.
static int reach(int root, const char *path, int is_folder, uint64_t resolve, int depth) {
    int found = open_below(root, path, 0, resolve);
    if (found >= 0 || errno != ENOENT) return found;
    if (depth > MAX_STEPS) return errno = ELOOP, -1;
    char above[PATH_MAX], *name;
    if (snprintf(above, sizeof above, "%s", path) >= (int)sizeof above) return errno = ENAMETOOLONG, -1;
    for (size_t length = strlen(above); length > 1 && above[length - 1] == '/'; length--) above[length - 1] = 0;
    name = strrchr(above, '/');
    char leaf[NAME_MAX + 1];
    if (snprintf(leaf, sizeof leaf, "%s", name ? name + 1 : above) >= (int)sizeof leaf)
        return errno = ENAMETOOLONG, -1;
    if (!name) strcpy(above, ".");
    else name[name == above] = 0;
    int folder = reach(root, above, 1, resolve, depth + 1);
    if (folder < 0) return -1;
    char target[PATH_MAX], whole[PATH_MAX];
    ssize_t length = readlinkat(folder, leaf, target, sizeof target - 1);
    if (length >= 0) {
        close(folder);
        target[length] = 0;
        int written = *target == '/' ? snprintf(whole, sizeof whole, "%s", target)
                                     : snprintf(whole, sizeof whole, "%s/%s", above, target);
        if (written >= (int)sizeof whole) return errno = ENAMETOOLONG, -1;
        return reach(root, whole, is_folder, resolve, depth + 1);
    }
    int file = is_folder ? -1 : openat(folder, leaf, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (is_folder && mkdirat(folder, leaf, 0755) == 0) {
        // As its folder is: whoever owns a volume owns its parts.
        struct stat info;
        if (fstat(folder, &info) == 0 && resolve & RESOLVE_BENEATH
            && fchownat(folder, leaf, info.st_uid, info.st_gid, AT_SYMLINK_NOFOLLOW) == 0)
            fchmodat(folder, leaf, info.st_mode & 07777, 0);
    }
    if (file >= 0) close(file);
    close(folder);
    return open_below(root, path, 0, resolve);
}

static int mount_overlay(const struct root *root, struct failure *failure) {
    if (mkdir(root->upper, 0755) != 0 && errno != EEXIST) return fail(failure, "cannot make %s", root->upper);
    if (mkdir(root->work, 0700) != 0 && errno != EEXIST) return fail(failure, "cannot make %s", root->work);
    // Descriptors for names: hundreds of layers fit into the page that their names have to share, and no name has a
    // character that means something there.
    char options[OVERLAY_OPTIONS];
    size_t length = (size_t)snprintf(options, sizeof options, "lowerdir=");
    int first = -1;
    for (int i = 0; i < root->layer_count; i++) {
        int layer = open(root->layers[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (layer < 0) return fail(failure, "cannot open the layer %s", root->layers[i]);
        if (first < 0) first = layer;
        if (length < sizeof options)
            length += (size_t)snprintf(options + length, sizeof options - length, i ? ":%d" : "%d", layer);
    }
    int upper = open(root->upper, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int work = open(root->work, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat info;
    // The root folder itself is the upper one: as the image has it.
    if (upper < 0 || work < 0 || fstat(first, &info) != 0 || chmod(root->upper, info.st_mode & 07777) != 0
        || chown(root->upper, info.st_uid, info.st_gid) != 0)
        return fail(failure, "cannot prepare %s", root->upper);
    if (length < sizeof options)
        length += (size_t)snprintf(
            options + length, sizeof options - length,
            ",upperdir=%d,workdir=%d,index=off,metacopy=off,redirect_dir=nofollow", upper, work);
    if (length + sizeof ",volatile" > sizeof options)
        return errno = E2BIG, fail(failure, "cannot mount an image of %d layers", root->layer_count);
    if (chdir("/proc/self/fd") != 0) return fail(failure, "cannot enter /proc/self/fd");
    // Nothing of a container's own layer is kept: without `volatile` its end would wait for the disk.
    strcpy(options + length, ",volatile");
    int failed = mount("overlay", root->upper, "overlay", MS_NODEV | MS_NOSUID, options) != 0;
    options[length] = 0;
    if (failed && errno == EINVAL)
        failed = mount("overlay", root->upper, "overlay", MS_NODEV | MS_NOSUID, options) != 0;
    if (failed) return fail(failure, "cannot mount the image's %d layers over %s", root->layer_count, root->upper);
    return chdir("/");
}

// Mounts one folder or file of the host's at a path of the container's.
static int mount_one(int root, const struct bind *bind, struct failure *failure) {
    int source = open(bind->source, O_PATH | O_CLOEXEC);
    struct stat info;
    if (source >= 0 && bind->part) {
        int whole = source;
        source = reach(whole, bind->part, 1, RESOLVE_BENEATH, 0);
        close(whole);
    }
    if (source < 0 || fstat(source, &info) != 0)
        return fail(failure, "cannot open what is to be mounted at %s", bind->path);
    int target = reach(root, bind->path, S_ISDIR(info.st_mode), RESOLVE_IN_ROOT, 0);
    if (target < 0) return fail(failure, "cannot reach the mount path %s", bind->path);
    // Protected before anybody can reach it.
    int tree = (int)syscall(SYS_open_tree, source, "", CLONE_TREE | AT_EMPTY_PATH | O_CLOEXEC);
    struct { uint64_t set, clear, propagation, users; } flags = {
        NO_SUID | NO_DEVICES | (bind->is_read_only ? ONLY_READ : 0), 0, 0, 0};
    if (tree < 0 || syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &flags, sizeof flags) != 0
        || syscall(SYS_move_mount, tree, "", target, "", FROM_DESCRIPTOR | TO_DESCRIPTOR) != 0)
        return fail(failure, "cannot mount at %s", bind->path);
    close(tree);
    close(target);
    close(source);
    return 0;
}

// A folder directly below the root, made where it is missing; -1 where the image has something else there.
static int own_folder(int root, const char *name, struct failure *failure) {
    mkdirat(root, name, 0755);
    int folder = open_below(root, name, O_DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH);
    if (folder < 0) fail(failure, "/%s of the image is no folder", name);
    return folder;
}

// Hides a folder or file of /sys that says more of the machine than a container need know.
static void mask(int root, const char *path) {
    int target = open_below(root, path, 0, RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH);
    if (target < 0) return;
    if (mount("tmpfs", at(target), "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=555") != 0)
        mount("/dev/null", at(target), NULL, MS_BIND, NULL);
    close(target);
}

// /sys of the network namespace we are in, read-only, with the container's own control groups.
static int mount_sys(int root, const struct specification *wanted, struct failure *failure) {
    int folder = own_folder(root, "sys", failure);
    const unsigned long closed = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (folder < 0) return -1;
    if (mount("sysfs", at(folder), "sysfs", closed, NULL) != 0) return fail(failure, "cannot mount /sys");
    close(folder);
    mask(root, "sys/firmware");
    mask(root, "sys/devices/virtual/powercap");
    int groups = open_below(root, "sys/fs/cgroup", O_DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH);
    if (groups < 0 || wanted->cgroup_count == 0) return 0;
    int is_unified = !*wanted->cgroups[0].name;
    if (!is_unified && mount("tmpfs", at(groups), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,mode=755") != 0)
        return fail(failure, "cannot mount /sys/fs/cgroup");
    close(groups);
    for (int i = 0; i < wanted->cgroup_count; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "/sys/fs/cgroup/%s", wanted->cgroups[i].name);
        struct bind bind = {.source = wanted->cgroups[i].folder, .path = path, .is_read_only = 1};
        if (mount_one(root, &bind, failure) != 0) return -1;
    }
    groups = is_unified ? -1 : open_below(root, "sys/fs/cgroup", O_DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH);
    if (groups >= 0) mount(NULL, at(groups), NULL, MS_REMOUNT | closed, NULL);
    close(groups);
    return 0;
}

// The program that becomes the container's user still has our rights when it starts. It lies in a file system of its
// own, which nobody else can change: a folder of the image might be a volume that another container writes to.
static int mount_shim(int root, const char *shim, struct failure *failure) {
    int folder = own_folder(root, ".espalier", failure);
    if (folder < 0) return -1;
    if (mount("tmpfs", at(folder), "tmpfs", MS_NOSUID | MS_NODEV, "size=4k,mode=755") != 0)
        return fail(failure, "cannot mount /.espalier");
    close(folder);
    struct bind bind = {.source = shim, .path = "/.espalier/espalier-shim", .is_read_only = 1};
    if (mount_one(root, &bind, failure) != 0) return -1;
    folder = own_folder(root, ".espalier", failure);
    int failed = folder < 0 || mount(NULL, at(folder), NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) != 0;
    close(folder);
    return failed ? fail(failure, "cannot protect /.espalier") : 0;
}

int root_make(const struct specification *wanted, struct failure *failure) {
    const struct root *image = &wanted->root;
    if (unshare(CLONE_NEWNS) != 0) return fail(failure, "a container from an image needs a mount namespace of its own");
    // What the machine unmounts goes here too; what is mounted here is seen by nobody else.
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0) return fail(failure, "cannot keep mounts to ourselves");
    if (mount_overlay(image, failure) != 0) return -1;
    int root = open(image->upper, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return fail(failure, "cannot open the container's root");
    for (int i = 0; i < wanted->bind_count; i++)
        if (mount_one(root, &wanted->binds[i], failure) != 0) return -1;
    if (image->folder) {
        int folder = reach(root, image->folder, 1, RESOLVE_IN_ROOT, 0);
        if (folder < 0) return fail(failure, "cannot make the working directory %s", image->folder);
        close(folder);
    }
    if (mount_sys(root, wanted, failure) != 0 || mount_shim(root, image->shim, failure) != 0) return -1;
    for (int i = 0; i < 2; i++) {
        int folder = own_folder(root, i ? "dev" : "proc", failure);
        if (folder < 0) return -1;
        close(folder);
    }
    close(root);
    return 0;
}
