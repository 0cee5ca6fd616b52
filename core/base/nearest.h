/* nearest.h: the known word that an unknown one was probably meant to be.
 *
 * Counted are the letters to insert, delete, change or swap with their neighbour; a third of the word's length, or two, is near, but a letter
 * must stay.
 */
#ifndef RELAY_BASE_NEAREST_H
#define RELAY_BASE_NEAREST_H

#include <stddef.h>

/* nearest: the nearest of `count` words (the first of equals), or NULL if none is near. Words of more than 63 bytes are near to nothing. */
const char *nearest(const char *word, const char *const *words, size_t count);

#endif
