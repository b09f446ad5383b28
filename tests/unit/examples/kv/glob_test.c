/* Tests of examples/kv/glob.c: patterns fit what Redis says they fit, in bounded time. */
#include "examples/kv/glob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

static bool fits(const char *pattern, const char *text)
{
    return kv_glob_fits((struct base_bytes){(const uint8_t *)pattern, strlen(pattern)},
                        (struct base_bytes){(const uint8_t *)text, strlen(text)});
}

static void patterns_fit(void **state)
{
    static const struct {
        const char *pattern;
        const char *text;
        bool fits;
    } rows[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "abc", true},
        {"a*", "abc", true},
        {"*c", "abc", true},
        {"a*c", "abbbc", true},
        {"a*c", "abbbd", false},
        {"a*b*c", "axbxbc", true},
        {"**a**", "a", true},
        {"?", "a", true},
        {"?", "", false},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"[abc]", "b", true},
        {"[abc]", "d", false},
        {"[a-c]x", "bx", true},
        {"[c-a]x", "bx", true},
        {"[a-c]", "d", false},
        {"[^a]", "b", true},
        {"[^a]", "a", false},
        {"[^a-c]", "b", false},
        {"h[^e]llo", "hallo", true},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"\\", "\\", true},
        {"[\\]]", "]", true},
        {"[a", "a", true},
        {"[", "a", false},
        {"key:*:x", "key:1:x", true},
        {"key:*:x", "key:1:y", false},
        {"a", "A", false},
        {"[]", "a", false},
        {"abc", "ab", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (fits(rows[i].pattern, rows[i].text) != rows[i].fits) {
            fail_msg("pattern %s on %s", rows[i].pattern, rows[i].text);
        }
    }
}

/* A matcher that tries all ways needs longer than the age of the world for this. */
static void a_hostile_pattern_ends_soon(void **state)
{
    char text[2001];

    (void)state;
    memset(text, 'a', 2000);
    text[2000] = '\0';

    assert_false(fits("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_fit),
        cmocka_unit_test(a_hostile_pattern_ends_soon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
