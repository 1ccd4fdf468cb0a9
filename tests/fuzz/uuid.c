/* SPDX-License-Identifier: MIT */
/* codec/uuid, against a picture of one. */
#include "codec/uuid.h"

#include <ctype.h>

#include "fuzz.h"

static bool looks_like(const char *text, const char *picture)
{
    for (; *picture != '\0'; picture++, text++) {
        if (*picture == 'x' ? !isxdigit((unsigned char)*text) : *text != *picture)
            return false;
    }
    return *text == '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char picture[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    autofree char *text = fuzz_text(data, size);
    char made[UUID_TEXT_MAX];

    check(uuid_is_valid(text) == looks_like(text, picture));
    uuid_new(made);
    check(uuid_is_valid(made) && looks_like(made, picture));
    return 0;
}
