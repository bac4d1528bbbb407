// The espalier binary is its own shim when it is started under that name: checked before any Swift runs.
#define _GNU_SOURCE
#include "CShim.h"
#include <stdlib.h>
#include <string.h>

__attribute__((constructor)) static void become_shim(int argc, char **argv) {
    if (argc < 1 || !argv || !argv[0]) return;
    const char *slash = strrchr(argv[0], '/');
    if (!strcmp(slash ? slash + 1 : argv[0], "espalier-shim")) _exit(espalier_shim_main(argc, argv));
}
