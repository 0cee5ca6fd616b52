/* json.h: strings of JSON, as we write them. */
#ifndef RELAY_BASE_JSON_H
#define RELAY_BASE_JSON_H

#include "base/bytes.h"

/* json_put_text: a JSON string; bytes that are not UTF-8 are read as Latin-1, so nothing that a client sent is lost. */
void json_put_text(struct slab *, const char *text, size_t len);

#endif
