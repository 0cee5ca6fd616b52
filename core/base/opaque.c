/* opaque.c: see opaque.h. */
#include "base/opaque.h"

#include "base/crypto.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

/* struct points: a string as code points; it may be a password, and is wiped. */
struct points {
    ucs4_t at[OPAQUE_MAX_LEN + 1];
    size_t count;
};

bool opaque_is_plain(struct view text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < 0x20 || text.at[i] > 0x7E)
            return false;
    return text.len > 0;
}

/* ---- contextual rules, RFC 5892 appendix A ---- */

#define VIRAMA 9 /* the canonical combining class */

static bool is_script(ucs4_t point, const char *name)
{
    const uc_script_t *script = uc_script(point);
    return script && strcmp(script->name, name) == 0;
}

/* joins: going `step` from `at` over transparent ones, whether there is one that joins on that side. */
static bool joins(const struct points *text, size_t at, int step, int side)
{
    for (size_t i = at + (size_t)step; i < text->count; i += (size_t)step) { /* below 0 it wraps, and is beyond the end */
        const int type = uc_joining_type(text->at[i]);
        if (type != UC_JOINING_TYPE_T)
            return type == UC_JOINING_TYPE_D || type == side;
    }
    return false;
}

static bool joiner_fits(const struct points *text, size_t at)
{
    if (at > 0 && uc_combining_class(text->at[at - 1]) == VIRAMA)
        return true;
    return text->at[at] == 0x200C && joins(text, at, -1, UC_JOINING_TYPE_L) && joins(text, at, 1, UC_JOINING_TYPE_R);
}

static bool has_kana_or_han(const struct points *text)
{
    for (size_t i = 0; i < text->count; i++)
        if (is_script(text->at[i], "Hiragana") || is_script(text->at[i], "Katakana") || is_script(text->at[i], "Han"))
            return true;
    return false;
}

/* Arabic-Indic digits and the extended ones are not mixed. */
static bool has_digit_from(const struct points *text, ucs4_t first)
{
    for (size_t i = 0; i < text->count; i++)
        if (text->at[i] >= first && text->at[i] <= first + 9)
            return true;
    return false;
}

static bool fits_context(const struct points *text, size_t at)
{
    const ucs4_t before = at > 0 ? text->at[at - 1] : 0, after = at + 1 < text->count ? text->at[at + 1] : 0;
    switch (text->at[at]) {
        case 0x00B7: /* MIDDLE DOT, of Catalan */
            return before == 'l' && after == 'l';
        case 0x0375: /* GREEK LOWER NUMERAL SIGN */
            return is_script(after, "Greek");
        case 0x05F3: /* HEBREW PUNCTUATION GERESH, GERSHAYIM */
        case 0x05F4:
            return is_script(before, "Hebrew");
        case 0x30FB: /* KATAKANA MIDDLE DOT */
            return has_kana_or_han(text);
        default:
            return !has_digit_from(text, text->at[at] < 0x06F0 ? 0x06F0 : 0x0660);
    }
}

/* ---- the FreeformClass, RFC 8264 sections 8 and 9: the rules in their order ---- */

enum property { ALLOWED, IN_CONTEXT, JOINER, DISALLOWED };

/* The exceptions of RFC 5892 section 2.6 that the rules behind them would judge otherwise. */
static const struct {
    ucs4_t first, last;
    enum property property;
} exceptions[] = {
    {0x00B7, 0x00B7, IN_CONTEXT}, {0x0375, 0x0375, IN_CONTEXT}, {0x05F3, 0x05F4, IN_CONTEXT}, {0x0640, 0x0640, DISALLOWED},
    {0x0660, 0x0669, IN_CONTEXT}, {0x06F0, 0x06F9, IN_CONTEXT}, {0x07FA, 0x07FA, DISALLOWED}, {0x302E, 0x302F, DISALLOWED},
    {0x3031, 0x3035, DISALLOWED}, {0x303B, 0x303B, DISALLOWED}, {0x30FB, 0x30FB, IN_CONTEXT},
};

static bool is_old_hangul_jamo(ucs4_t point)
{
    return (point >= 0x1100 && point <= 0x11FF) || (point >= 0xA960 && point <= 0xA97C) || (point >= 0xD7B0 && point <= 0xD7FB);
}

static enum property property_of(ucs4_t point)
{
    for (size_t i = 0; i < sizeof exceptions / sizeof *exceptions; i++)
        if (point >= exceptions[i].first && point <= exceptions[i].last)
            return exceptions[i].property;
    if (uc_is_property_join_control(point))
        return JOINER;
    if (uc_is_property_unassigned_code_value(point) || is_old_hangul_jamo(point) || uc_is_property_default_ignorable_code_point(point) ||
        uc_is_property_not_a_character(point))
        return DISALLOWED;
    return uc_is_general_category_withtable(point, UC_CATEGORY_MASK_L | UC_CATEGORY_MASK_M | UC_CATEGORY_MASK_N | UC_CATEGORY_MASK_S |
                                                       UC_CATEGORY_MASK_P | UC_CATEGORY_MASK_Zs)
               ? ALLOWED
               : DISALLOWED;
}

static bool is_allowed(const struct points *text, size_t at)
{
    switch (property_of(text->at[at])) {
        case ALLOWED:
            return true;
        case IN_CONTEXT:
            return fits_context(text, at);
        case JOINER:
            return joiner_fits(text, at);
        default:
            return false;
    }
}

/* ---- bytes and code points ---- */

static int refuse(char why[OPAQUE_WHY_MAX], int err, const char *reason)
{
    snprintf(why, OPAQUE_WHY_MAX, "%s", reason);
    return err;
}

static int points_read(struct view text, struct points *out)
{
    out->count = 0;
    for (size_t at = 0; at < text.len;) {
        const int used = u8_mbtoucr(&out->at[out->count], text.at + at, text.len - at);
        if (used < 0)
            return ERR_BAD;
        at += (size_t)used;
        out->count++;
    }
    return 0;
}

static int points_write(const struct points *text, char *out, size_t *len)
{
    *len = 0;
    for (size_t i = 0; i < text->count; i++) {
        const int used = u8_uctomb((uint8_t *)out + *len, text->at[i], (ptrdiff_t)(OPAQUE_MAX_LEN - *len));
        if (used < 0)
            return ERR_RANGE;
        *len += (size_t)used;
    }
    out[*len] = 0;
    return 0;
}

/* normalize: in place; false: it grows beyond the room, or there is no memory. */
static bool normalize(struct points *text, uninorm_t form)
{
    ucs4_t room[OPAQUE_MAX_LEN + 1];
    size_t count = sizeof room / sizeof *room;
    ucs4_t *made = u32_normalize(form, text->at, text->count, room, &count);
    const bool fits = made && count <= OPAQUE_MAX_LEN;
    if (fits) {
        memcpy(text->at, made, count * sizeof *made);
        text->count = count;
    }
    if (made != room)
        free(made);
    crypto_wipe(room, sizeof room);
    return fits;
}

static int check(const struct points *text, char why[OPAQUE_WHY_MAX])
{
    for (size_t i = 0; i < text->count; i++) {
        if (is_allowed(text, i))
            continue;
        snprintf(why, OPAQUE_WHY_MAX, "has U+%04X, which RFC 8265 does not allow%s", (unsigned)text->at[i],
                 property_of(text->at[i]) == DISALLOWED ? "" : " there");
        return ERR_BAD;
    }
    return 0;
}

/* enforce: the rules of RFC 8265 section 4.2.2 that change something, in their order, then what must hold of the result. */
static int enforce(struct points *text, char why[OPAQUE_WHY_MAX])
{
    for (size_t i = 0; i < text->count; i++)
        if (uc_is_general_category_withtable(text->at[i], UC_CATEGORY_MASK_Zs))
            text->at[i] = ' ';
    return normalize(text, UNINORM_NFC) ? check(text, why) : refuse(why, ERR_RANGE, "is too long");
}

int opaque_enforce(struct view text, char out[OPAQUE_MAX_LEN + 1], size_t *len, char why[OPAQUE_WHY_MAX])
{
    struct points points;
    if (text.len == 0)
        return refuse(why, ERR_BAD, "is empty");
    if (text.len > OPAQUE_MAX_LEN)
        return refuse(why, ERR_RANGE, "is too long");
    if (opaque_is_plain(text)) {
        memcpy(out, text.at, text.len);
        out[ *len = text.len] = 0;
        return 0;
    }
    int err = points_read(text, &points) ? refuse(why, ERR_BAD, "is not UTF-8") : enforce(&points, why);
    if (!err && points_write(&points, out, len) != 0)
        err = refuse(why, ERR_RANGE, "is too long");
    crypto_wipe(&points, sizeof points);
    return err;
}

struct view opaque_prepared(struct view text, char out[OPAQUE_MAX_LEN + 1])
{
    char why[OPAQUE_WHY_MAX];
    size_t len = 0;
    if (opaque_is_plain(text))
        return text;
    return opaque_enforce(text, out, &len, why) == 0 ? view_of(out, len) : view_of(NULL, 0);
}

/* Of what RFC 3454 table B.1 drops, a prepared string can only have these. */
static bool is_dropped(ucs4_t point)
{
    return point == 0x1806 || point == 0x200C || point == 0x200D;
}

struct view opaque_saslprep(struct view prepared, char out[OPAQUE_MAX_LEN + 1])
{
    struct points points;
    size_t kept = 0, len;
    if (opaque_is_plain(prepared) || prepared.len > OPAQUE_MAX_LEN || points_read(prepared, &points) != 0)
        return prepared;
    for (size_t i = 0; i < points.count; i++)
        if (!is_dropped(points.at[i]))
            points.at[kept++] = points.at[i];
    points.count = kept;
    const bool has_form = normalize(&points, UNINORM_NFKC) && points_write(&points, out, &len) == 0 && len > 0;
    crypto_wipe(&points, sizeof points);
    if (!has_form)
        return prepared;
    return view_equal(view_of(out, len), prepared) ? prepared : view_of(out, len);
}
