/* SPDX-License-Identifier: Apache-2.0
 *
 * The two PRECIS string classes over ICU's character properties. A code point is judged by the
 * order of RFC 8264 section 8; the context rules are those of RFC 5892 appendix A, the bidi rule
 * that of RFC 5893 section 2.
 *
 * A profile is applied until it changes nothing more (RFC 8264 section 7 warns that once need not
 * be enough), so what comes out is a fixed point: prepared text prepared again stays as it is. */
#include "precis.h"

#include <unicode/uchar.h>
#include <unicode/uidna.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/ustring.h>

/* UTF-16 units: a mapped or normalised code point grows at most threefold (NFC, UAX 15), and the
 * result must be at most PRECIS_INPUT_SIZE_MAX octets anyway. */
#define UNITS_MAX (3 * (int32_t)PRECIS_INPUT_SIZE_MAX)
#define ROUNDS_MAX 4u

/* UTF-16, as ICU's whole-string functions take it. */
struct units {
    int32_t size;
    UChar at[UNITS_MAX];
};

/* Code points, as the rules speak of them. */
struct points {
    int32_t size;
    UChar32 at[UNITS_MAX];
};

/* What a class says of a code point. */
enum verdict {
    VERDICT_VALID,
    VERDICT_FREEFORM_ONLY, /* ID_DIS or FREE_PVAL */
    VERDICT_CONTEXT,       /* CONTEXTJ, CONTEXTO */
    VERDICT_DISALLOWED,
};

static enum error result_of(UErrorCode status)
{
    if (status == U_BUFFER_OVERFLOW_ERROR || status == U_STRING_NOT_TERMINATED_WARNING)
        return ERROR_TOO_LARGE;
    return U_FAILURE(status) ? ERROR_INVALID : ERROR_NONE;
}

static enum error units_of(struct bytes text, struct units *units)
{
    if (text.size > PRECIS_INPUT_SIZE_MAX)
        return ERROR_TOO_LARGE;
    UErrorCode status = U_ZERO_ERROR;
    u_strFromUTF8(units->at, UNITS_MAX, &units->size, (const char *)text.at, (int32_t)text.size,
                  &status);
    return result_of(status);
}

static enum error write_units(const struct units *units, struct writer *into)
{
    char text[PRECIS_INPUT_SIZE_MAX + 1];
    int32_t size = 0;
    UErrorCode status = U_ZERO_ERROR;
    u_strToUTF8(text, (int32_t)sizeof(text), &size, units->at, units->size, &status);
    enum error error = result_of(status);
    if (error)
        return error;
    write_bytes(into, bytes_of(text, (size_t)size));
    return into->is_overflown ? ERROR_TOO_LARGE : ERROR_NONE;
}

static enum error points_of(const struct units *units, struct points *points)
{
    UErrorCode status = U_ZERO_ERROR;
    u_strToUTF32(points->at, UNITS_MAX, &points->size, units->at, units->size, &status);
    return result_of(status);
}

static enum error units_of_points(const struct points *points, struct units *units)
{
    UErrorCode status = U_ZERO_ERROR;
    u_strFromUTF32(units->at, UNITS_MAX, &units->size, points->at, points->size, &status);
    return result_of(status);
}

static enum error normalise(struct units *units)
{
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *nfc = unorm2_getNFCInstance(&status);
    if (U_FAILURE(status))
        return ERROR_UNAVAILABLE;
    struct units from = *units;
    units->size = unorm2_normalize(nfc, from.at, from.size, units->at, UNITS_MAX, &status);
    return result_of(status);
}

/* ---- classes ---- */

/* RFC 8264 9.6, the code points of RFC 5892 2.6. */
static bool find_exception(UChar32 c, enum verdict *verdict)
{
    switch (c) {
    case 0x00df:
    case 0x03c2:
    case 0x06fd:
    case 0x06fe:
    case 0x0f0b:
    case 0x3007:
        *verdict = VERDICT_VALID;
        return true;
    case 0x00b7:
    case 0x0375:
    case 0x05f3:
    case 0x05f4:
    case 0x30fb:
        *verdict = VERDICT_CONTEXT;
        return true;
    case 0x0640:
    case 0x07fa:
    case 0x302e:
    case 0x302f:
    case 0x303b:
        *verdict = VERDICT_DISALLOWED;
        return true;
    default:
        break;
    }
    if ((c >= 0x0660 && c <= 0x0669) || (c >= 0x06f0 && c <= 0x06f9)) {
        *verdict = VERDICT_CONTEXT;
        return true;
    }
    *verdict = VERDICT_DISALLOWED;
    return c >= 0x3031 && c <= 0x3035;
}

static bool is_old_hangul_jamo(UChar32 c)
{
    int32_t type = u_getIntPropertyValue(c, UCHAR_HANGUL_SYLLABLE_TYPE);
    return type == U_HST_LEADING_JAMO || type == U_HST_VOWEL_JAMO || type == U_HST_TRAILING_JAMO;
}

/* RFC 8264 9.17: has a compatibility equivalent. */
static bool has_compatible(UChar32 c)
{
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *nfkc = unorm2_getNFKCInstance(&status);
    UChar from[2];
    UChar to[32];
    int32_t from_size = 0;
    u_strFromUTF32(from, 2, &from_size, &c, 1, &status);
    int32_t to_size = unorm2_normalize(nfkc, from, from_size, to, 32, &status);
    return U_FAILURE(status) || u_strCompare(from, from_size, to, to_size, false) != 0;
}

static enum verdict judge_category(UChar32 c)
{
    uint32_t mask = U_GET_GC_MASK(c);
    if ((mask & (U_GC_LL_MASK | U_GC_LU_MASK | U_GC_LO_MASK | U_GC_ND_MASK | U_GC_LM_MASK |
                 U_GC_MN_MASK | U_GC_MC_MASK)) != 0)
        return VERDICT_VALID;
    if ((mask & (U_GC_LT_MASK | U_GC_NL_MASK | U_GC_NO_MASK | U_GC_ME_MASK | U_GC_ZS_MASK |
                 U_GC_S_MASK | U_GC_P_MASK)) != 0)
        return VERDICT_FREEFORM_ONLY;
    return VERDICT_DISALLOWED; /* unassigned too */
}

/* RFC 8264 section 8, in its order. */
static enum verdict judge(UChar32 c)
{
    enum verdict verdict;
    if (find_exception(c, &verdict))
        return verdict;
    if (c >= 0x21 && c <= 0x7e)
        return VERDICT_VALID;
    if (u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL))
        return VERDICT_CONTEXT;
    if (is_old_hangul_jamo(c) || u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) ||
        u_hasBinaryProperty(c, UCHAR_NONCHARACTER_CODE_POINT) || u_iscntrl(c))
        return VERDICT_DISALLOWED;
    if (has_compatible(c))
        return VERDICT_FREEFORM_ONLY;
    return judge_category(c);
}

/* ---- context rules, RFC 5892 appendix A ---- */

/* The code point at a position; -1 past either border. */
static UChar32 point_at(const struct points *points, int32_t at)
{
    return at >= 0 && at < points->size ? points->at[at] : -1;
}

static bool is_script(UChar32 c, UScriptCode script)
{
    return c >= 0 && u_getIntPropertyValue(c, UCHAR_SCRIPT) == (int32_t)script;
}

static bool is_virama(UChar32 c)
{
    return c >= 0 && u_getCombiningClass(c) == 9;
}

static int32_t joining_type(UChar32 c)
{
    return u_getIntPropertyValue(c, UCHAR_JOINING_TYPE);
}

/* A.1: (L|D) T* ZWNJ T* (R|D). */
static bool joins_around(const struct points *points, int32_t at)
{
    int32_t back = at - 1;
    while (back >= 0 && joining_type(points->at[back]) == U_JT_TRANSPARENT)
        back--;
    int32_t forth = at + 1;
    while (forth < points->size && joining_type(points->at[forth]) == U_JT_TRANSPARENT)
        forth++;
    if (back < 0 || forth >= points->size)
        return false;
    int32_t left = joining_type(points->at[back]);
    int32_t right = joining_type(points->at[forth]);
    return (left == U_JT_LEFT_JOINING || left == U_JT_DUAL_JOINING) &&
           (right == U_JT_RIGHT_JOINING || right == U_JT_DUAL_JOINING);
}

/* A.7: some Hiragana, Katakana or Han anywhere. */
static bool has_japanese(const struct points *points)
{
    for (int32_t at = 0; at < points->size; at++) {
        UChar32 c = points->at[at];
        if (is_script(c, USCRIPT_HIRAGANA) || is_script(c, USCRIPT_KATAKANA) ||
            is_script(c, USCRIPT_HAN))
            return true;
    }
    return false;
}

static bool has_between(const struct points *points, UChar32 first, UChar32 last)
{
    for (int32_t at = 0; at < points->size; at++)
        if (points->at[at] >= first && points->at[at] <= last)
            return true;
    return false;
}

static bool context_is_right(const struct points *points, int32_t at)
{
    UChar32 c = points->at[at];
    if (c >= 0x0660 && c <= 0x0669) /* A.8: not mixed with the extended digits */
        return !has_between(points, 0x06f0, 0x06f9);
    if (c >= 0x06f0 && c <= 0x06f9) /* A.9 */
        return !has_between(points, 0x0660, 0x0669);
    switch (c) {
    case 0x200c:
        return is_virama(point_at(points, at - 1)) || joins_around(points, at);
    case 0x200d: /* A.2 */
        return is_virama(point_at(points, at - 1));
    case 0x00b7: /* A.3: between two l */
        return point_at(points, at - 1) == 'l' && point_at(points, at + 1) == 'l';
    case 0x0375: /* A.4 */
        return is_script(point_at(points, at + 1), USCRIPT_GREEK);
    case 0x05f3: /* A.5, A.6 */
    case 0x05f4:
        return is_script(point_at(points, at - 1), USCRIPT_HEBREW);
    case 0x30fb:
        return has_japanese(points);
    default:
        return false;
    }
}

static bool is_of_class(const struct points *points, enum verdict widest)
{
    for (int32_t at = 0; at < points->size; at++) {
        /* The space is the one ASCII character that only the freeform class has. */
        enum verdict verdict =
            points->at[at] == ' ' ? VERDICT_FREEFORM_ONLY : judge(points->at[at]);
        if (verdict == VERDICT_DISALLOWED)
            return false;
        if (verdict == VERDICT_CONTEXT && !context_is_right(points, at))
            return false;
        if (verdict == VERDICT_FREEFORM_ONLY && widest != VERDICT_FREEFORM_ONLY)
            return false;
    }
    return points->size > 0;
}

/* ---- bidi rule, RFC 5893 section 2 ---- */

#define BIDI(direction) (1u << (direction))
#define BIDI_RIGHT (BIDI(U_RIGHT_TO_LEFT) | BIDI(U_RIGHT_TO_LEFT_ARABIC))
#define BIDI_NEUTRAL                                                                               \
    (BIDI(U_EUROPEAN_NUMBER) | BIDI(U_EUROPEAN_NUMBER_SEPARATOR) |                                 \
     BIDI(U_COMMON_NUMBER_SEPARATOR) | BIDI(U_EUROPEAN_NUMBER_TERMINATOR) |                        \
     BIDI(U_OTHER_NEUTRAL) | BIDI(U_BOUNDARY_NEUTRAL) | BIDI(U_DIR_NON_SPACING_MARK))

static bool obeys_bidi_rule(const struct points *points)
{
    uint32_t all = 0;
    uint32_t first = 0;
    uint32_t last = 0; /* not counting non-spacing marks at the end */
    for (int32_t at = 0; at < points->size; at++) {
        uint32_t bit = BIDI(u_charDirection(points->at[at]));
        all |= bit;
        first = first == 0 ? bit : first;
        last = bit == BIDI(U_DIR_NON_SPACING_MARK) ? last : bit;
    }
    if ((all & (BIDI_RIGHT | BIDI(U_ARABIC_NUMBER))) == 0)
        return true;
    uint32_t both = BIDI(U_EUROPEAN_NUMBER) | BIDI(U_ARABIC_NUMBER);
    if ((first & BIDI_RIGHT) != 0)
        return (all & ~(BIDI_RIGHT | BIDI(U_ARABIC_NUMBER) | BIDI_NEUTRAL)) == 0 &&
               (last & (BIDI_RIGHT | both)) != 0 && (all & both) != both;
    /* Some right-to-left character stands in what starts otherwise: rules 1 and 5. */
    return false;
}

/* ---- profiles ---- */

/* RFC 8265 3.3.1: fullwidth and halfwidth forms become what they stand for. */
static enum error map_width(struct units *units)
{
    struct points points;
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *nfkc = unorm2_getNFKCInstance(&status);
    enum error error = U_FAILURE(status) ? ERROR_UNAVAILABLE : points_of(units, &points);
    if (error)
        return error;
    for (int32_t at = 0; at < points.size; at++) {
        int32_t type = u_getIntPropertyValue(points.at[at], UCHAR_DECOMPOSITION_TYPE);
        if (type != U_DT_WIDE && type != U_DT_NARROW)
            continue;
        UChar to[4];
        int32_t size = unorm2_getRawDecomposition(nfkc, points.at[at], to, 4, &status);
        if (U_FAILURE(status) || size != 1) /* each is one character of the BMP */
            return ERROR_INVALID;
        points.at[at] = to[0];
    }
    return units_of_points(&points, units);
}

static enum error map_case(struct units *units)
{
    UErrorCode status = U_ZERO_ERROR;
    struct units from = *units;
    units->size = u_strToLower(units->at, UNITS_MAX, from.at, from.size, "", &status);
    return result_of(status);
}

static enum error username_once(struct units *units)
{
    enum error error = map_width(units);
    if (!error)
        error = map_case(units);
    return error ? error : normalise(units);
}

static enum error opaque_once(struct units *units)
{
    /* RFC 8265 4.2.1: every space is the ASCII space; all of them lie in the BMP. */
    for (int32_t at = 0; at < units->size; at++)
        if (u_charType(units->at[at]) == U_SPACE_SEPARATOR)
            units->at[at] = ' ';
    return normalise(units);
}

static enum error settle(struct units *units, enum error (*apply)(struct units *units))
{
    for (uint32_t round = 0; round < ROUNDS_MAX; round++) {
        struct units old = *units;
        enum error error = apply(units);
        if (error)
            return error;
        if (u_strCompare(old.at, old.size, units->at, units->size, false) == 0)
            return ERROR_NONE;
    }
    return ERROR_INVALID;
}

/* The profile's mapping, then both views of what came out. */
static enum error map_text(struct bytes text, enum error (*apply)(struct units *units),
                           struct units *units, struct points *points)
{
    enum error error = units_of(text, units);
    if (!error)
        error = settle(units, apply);
    return error ? error : points_of(units, points);
}

enum error precis_username(struct bytes text, struct writer *into)
{
    struct units units;
    struct points points;
    enum error error = map_text(text, username_once, &units, &points);
    if (error)
        return error;
    if (!is_of_class(&points, VERDICT_VALID) || !obeys_bidi_rule(&points))
        return ERROR_INVALID;
    return write_units(&units, into);
}

enum error precis_opaque(struct bytes text, struct writer *into)
{
    struct units units;
    struct points points;
    enum error error = map_text(text, opaque_once, &units, &points);
    if (error)
        return error;
    return is_of_class(&points, VERDICT_FREEFORM_ONLY) ? write_units(&units, into) : ERROR_INVALID;
}

enum error precis_domain(struct bytes text, struct writer *into)
{
    if (text.size > PRECIS_INPUT_SIZE_MAX)
        return ERROR_TOO_LARGE;
    UErrorCode status = U_ZERO_ERROR;
    UIDNA *idna = uidna_openUTS46(UIDNA_USE_STD3_RULES | UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ |
                                      UIDNA_CHECK_CONTEXTO | UIDNA_NONTRANSITIONAL_TO_UNICODE,
                                  &status);
    if (U_FAILURE(status))
        return ERROR_UNAVAILABLE;
    char name[PRECIS_INPUT_SIZE_MAX + 1];
    UIDNAInfo found = UIDNA_INFO_INITIALIZER;
    int32_t size = uidna_nameToUnicodeUTF8(idna, (const char *)text.at, (int32_t)text.size, name,
                                           (int32_t)sizeof(name), &found, &status);
    uidna_close(idna);
    enum error error = result_of(status);
    if (error)
        return error;
    if (found.errors != 0)
        return ERROR_INVALID;
    write_bytes(into, bytes_of(name, (size_t)size));
    return into->is_overflown ? ERROR_TOO_LARGE : ERROR_NONE;
}
