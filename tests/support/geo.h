/* geo.h: the smallest MaxMind DB that says something: one node, IPv4: 128.0.0.0/1 is a country. */
#ifndef RELAY_TESTS_GEO_H
#define RELAY_TESTS_GEO_H

#include "test.h"

#define GEO(left, right, country)                                                                                                          \
    left right                                             /* the node: 1 is nothing, 17 (1 node and 16 zeros) the first data */           \
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"                                                                                                 \
        "\xe1\x47" "country" "\xe1\x48" "iso_code" "\x42" country                                                                          \
        "\xab\xcd\xefMaxMind.com"                                                                                                          \
        "\xe9\x5b" "binary_format_major_version" "\xa1\x02"                                                                                \
        "\x5b" "binary_format_minor_version" "\xa1\x00"                                                                                    \
        "\x4b" "build_epoch" "\x01\x02\x01"                                                                                                \
        "\x4d" "database_type" "\x41" "t"                                                                                                  \
        "\x4b" "description" "\xe1\x42" "en" "\x41" "t"                                                                                    \
        "\x4a" "ip_version" "\xa1\x04"                                                                                                     \
        "\x49" "languages" "\x01\x04\x42" "en"                                                                                             \
        "\x4a" "node_count" "\xc1\x01"                                                                                                     \
        "\x4b" "record_size" "\xa1\x18"

#define GEO_NOTHING "\0\0\x01"
#define GEO_DATA "\0\0\x11"

/* geo_write: `bytes` as the file `name` of a directory, in place of one that is there. */
static inline void geo_write(const char *directory, const char *name, const void *bytes, size_t len)
{
    char path[160], next[176];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    snprintf(next, sizeof next, "%s.new", path);
    FILE *file = fopen(next, "wb");
    if (!file || fwrite(bytes, 1, len, file) != len || fclose(file) || rename(next, path))
        test_failed(path, 0, "cannot be written");
}

#endif
