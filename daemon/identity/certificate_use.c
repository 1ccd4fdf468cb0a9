/* SPDX-License-Identifier: MIT */
/* A certificate in use by an application. */
#include "identity/certificate_use.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/unit.h"
#include "codec/certificate.h"
#include "codec/date.h"
#include "identity/assertion.h"
#include "identity/identity.h"

static bool is_same(const struct certificate *a, const struct certificate *b)
{
    return a != NULL &&
           memcmp(certificate_sha256(a), certificate_sha256(b), CERTIFICATE_SHA256_SIZE) == 0;
}

bool certificate_use_adopt(struct certificate_use *use, const struct secret *pem, struct err *err)
{
    struct certificate *certificate;

    if (!certificate_read(secret_reveal(pem), pem->len, &certificate, err))
        return err_prefix(err, "certificate");
    if (!is_same(use->certificate, certificate))
        expiry_watch_begin(&use->watch, certificate_not_after_ms(certificate));
    certificate_free(use->certificate);
    use->certificate = certificate;
    return true;
}

void certificate_use_done(struct certificate_use *use)
{
    certificate_free(use->certificate);
    use->certificate = NULL;
}

bool certificate_use_check(const char *pem, const char *permissions, struct err *err)
{
    autocertificate *certificate = NULL;

    (void)permissions;
    return certificate_read(pem, strlen(pem), &certificate, err);
}

bool certificate_use_facts(const char *pem, struct identity_facts *ret_facts)
{
    autocertificate *certificate = NULL;
    struct err err;

    if (!certificate_read(pem, strlen(pem), &certificate, &err))
        return false;
    *ret_facts = (struct identity_facts){.what = "certificate",
                                         .has_expiry = true,
                                         .expiry_ms = certificate_not_after_ms(certificate)};
    return true;
}

static void warn(const struct certificate_use *use, const char *label, int64_t left_ms)
{
    const struct log_field fields[] = {{"identity", label}, {NULL, NULL}};
    char date[DATE_TEXT_MAX], left[UNIT_TEXT_MAX];

    date_format_iso(use->watch.expiry_ms, date);
    if (left_ms > 0)
        log_warning(fields, "the certificate expires in %s, at %s: give the application a new one",
                    unit_duration_human(left_ms, left), date);
    else
        log_warning(fields,
                    "the certificate expired at %s by this machine's clock: give the application a "
                    "new one",
                    date);
}

bool certificate_use_sign(struct certificate_use *use, const struct assertion *assertion,
                          const char *label, struct secret *ret_assertion, struct err *err)
{
    int64_t left_ms;

    if (expiry_watch_is_due(&use->watch, &left_ms))
        warn(use, label, left_ms);
    return assertion_make(assertion, use->certificate, ret_assertion, err);
}

bool certificate_use_is_stale(const struct certificate_use *use, int64_t read_ms)
{
    return expiry_watch_is_stale(&use->watch, read_ms);
}

/* As the portal shows it. */
static void add_thumbprint(const struct certificate *certificate, struct err *err)
{
    char text[2 * CERTIFICATE_SHA1_SIZE + 1] = "";

    for (size_t i = 0; i < CERTIFICATE_SHA1_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02X", certificate_sha1(certificate)[i]);
    identity_add_reason(err, "the certificate's thumbprint is %s", text);
}

void certificate_use_explain(const struct certificate_use *use, bool is_refused, struct err *err)
{
    int64_t now_ms = clock_wall_ms();
    char date[DATE_TEXT_MAX];

    if (is_refused)
        add_thumbprint(use->certificate, err);
    if (now_ms > certificate_not_after_ms(use->certificate)) {
        date_format_iso(certificate_not_after_ms(use->certificate), date);
        identity_add_reason(err, "the certificate expired at %s", date);
    } else if (now_ms < certificate_not_before_ms(use->certificate)) {
        date_format_iso(certificate_not_before_ms(use->certificate), date);
        identity_add_reason(err, "the certificate is valid from %s only", date);
    }
}
