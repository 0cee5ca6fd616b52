/* nearest.c: edit distance with swaps of neighbours (optimal string alignment). */
#include "base/nearest.h"

#include <string.h>

#define WORD_MAX 63

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][WORD_MAX + 1]; /* row i is rows[i % 3]: the cost from the first i letters of a to the first j of b */
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        const size_t *before = rows[(i + 1) % 3], *last = rows[(i - 1) % 3];
        size_t *row = rows[i % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

const char *nearest(const char *word, const char *const *words, size_t count)
{
    const size_t len = strlen(word);
    size_t far = least((len / 3 > 2 ? len / 3 : 2) + 1, len); /* something must be left of the word */
    const char *best = NULL;
    if (len > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const size_t known = strlen(words[i]);
        const size_t cost = known > WORD_MAX ? far : distance(word, len, words[i], known);
        if (cost < far) {
            far = cost;
            best = words[i];
        }
    }
    return best;
}
