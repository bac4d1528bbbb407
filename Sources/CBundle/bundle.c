#include "CBundle.h"

const struct espalier_bundled_file espalier_bundled_files[] = {
    {0, 0, 0},
};
const size_t espalier_bundled_file_count = 0;
