#ifndef ESPALIER_BUNDLE_H
#define ESPALIER_BUNDLE_H
#include <stddef.h>

/* The YAML files that are part of the binary: the resource definitions of crds/ and of the built-in kinds. */
struct espalier_bundled_file {
    const char *name;
    const unsigned char *bytes;
    size_t count;
};

extern const struct espalier_bundled_file espalier_bundled_files[];
extern const size_t espalier_bundled_file_count;

/* The protobuf messages of the standard kinds; its head says in which form. */
extern const struct espalier_bundled_file espalier_protobuf_messages;

/* The file at `index`; NULL from the count on. */
const struct espalier_bundled_file *espalier_bundled_file_at(size_t index);

#endif
