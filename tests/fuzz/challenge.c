/* SPDX-License-Identifier: MIT */
/* identity/arc_key: the path in a challenge of Azure Arc's agent. */
#include "identity/arc_key.h"

#include <ctype.h>

#include "fuzz.h"

#define DIRECTORY ARC_KEY_DIRECTORY "/"

/* A file right in the directory, whatever was asked for. */
static void check_path(const char *path)
{
    check(str_starts(path, DIRECTORY) && str_ends(path, ".key"));
    const char *name = path + strlen(DIRECTORY);
    check(isalnum((unsigned char)*name) || *name == '-' || *name == '_');
    for (; *name != '\0'; name++)
        check(isalnum((unsigned char)*name) || strchr("-_.", *name) != NULL);
}

/* Written as the agent does, it is the same; quoted, too. */
static void check_again(const char *path)
{
    static const char *const forms[][2] = {{"Basic realm=", ""}, {"basic REALM=\"", "\"  "}};

    for (size_t i = 0; i < array_size(forms); i++) {
        autofree char *challenge = xasprintf("%s%s%s", forms[i][0], path, forms[i][1]);
        autofree char *again = NULL;
        struct err err;

        check(arc_key_path(challenge, ARC_KEY_DIRECTORY, &again, &err));
        check(str_equal(path, again));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *challenge = fuzz_text(data, size);
    autofree char *path = NULL;
    struct err err;

    if (!arc_key_path(challenge, ARC_KEY_DIRECTORY, &path, &err)) {
        check(path == NULL && err.code == ERR_AUTH && fuzz_is_sentence(err.text));
        return 0;
    }
    check_path(path);
    check_again(path);
    return 0;
}
