/* SPDX-License-Identifier: MIT */
/* What the end of a try says about a right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "azure/queue_right.h"
#include "azure/storage_error.h"
#include "base/alloc.h"

static const enum queue_right all[] = {QUEUE_RIGHT_GET, QUEUE_RIGHT_DELETE, QUEUE_RIGHT_UPDATE,
                                       QUEUE_RIGHT_PUT, QUEUE_RIGHT_METADATA};

/* What is made of the service's answer. */
static enum queue_verdict judge(enum queue_right right, int status, const char *code)
{
    struct err err;

    storage_error_explain(
        &(struct storage_answer){.status = status, .error_code = code, .request_id = "1"},
        queue_right_needs(right)->operation, &err);
    return queue_right_judge(right, &err);
}

static void what_is_asked_for_holds(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(all); i++)
        assert_int_equal(queue_right_judge(all[i], NULL), QUEUE_HOLDS);
}

static void a_fault_of_the_parameters_means_that_the_right_is_there(void **state)
{
    static const char *const codes[] = {"OutOfRangeQueryParameterValue",
                                        "InvalidQueryParameterValue", "OutOfRangeInput"};

    (void)state;
    for (size_t i = 0; i < array_size(codes); i++) {
        assert_int_equal(judge(QUEUE_RIGHT_GET, 400, codes[i]), QUEUE_HOLDS);
        assert_int_equal(judge(QUEUE_RIGHT_PUT, 400, codes[i]), QUEUE_HOLDS);
        /* The receipt. */
        assert_int_equal(judge(QUEUE_RIGHT_DELETE, 400, codes[i]), QUEUE_HOLDS);
        assert_int_equal(judge(QUEUE_RIGHT_UPDATE, 400, codes[i]), QUEUE_HOLDS);
        /* It has none to be wrong. */
        assert_int_not_equal(judge(QUEUE_RIGHT_METADATA, 400, codes[i]), QUEUE_HOLDS);
    }
}

static void a_message_that_is_not_there_means_that_the_right_is(void **state)
{
    static const enum queue_right on_messages[] = {QUEUE_RIGHT_DELETE, QUEUE_RIGHT_UPDATE};

    (void)state;
    for (size_t i = 0; i < array_size(on_messages); i++) {
        assert_int_equal(judge(on_messages[i], 404, "MessageNotFound"), QUEUE_HOLDS);
        assert_int_equal(judge(on_messages[i], 400, "PopReceiptMismatch"), QUEUE_HOLDS);
    }
    assert_int_equal(judge(QUEUE_RIGHT_GET, 404, "MessageNotFound"), QUEUE_UNKNOWN);
}

static void a_missing_right_is_told_from_a_bad_credential(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(all); i++) {
        assert_int_equal(judge(all[i], 403, "AuthorizationPermissionMismatch"), QUEUE_LACKS);
        assert_int_equal(judge(all[i], 403, "InsufficientAccountPermissions"), QUEUE_LACKS);
        assert_int_equal(judge(all[i], 403, "AuthenticationFailed"), QUEUE_REFUSED);
        assert_int_equal(judge(all[i], 403, "AuthorizationFailure"), QUEUE_REFUSED);
        assert_int_equal(judge(all[i], 401, "InvalidAuthenticationInfo"), QUEUE_REFUSED);
        assert_int_equal(judge(all[i], 400, "InvalidAuthenticationInfo"), QUEUE_REFUSED);
        assert_int_equal(judge(all[i], 403, NULL), QUEUE_REFUSED);
    }
}

static void a_missing_queue_is_told_as_such(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(all); i++) {
        assert_int_equal(judge(all[i], 404, "QueueNotFound"), QUEUE_NO_QUEUE);
        assert_int_equal(judge(all[i], 404, "ResourceNotFound"), QUEUE_NO_QUEUE);
        assert_int_equal(judge(all[i], 409, "QueueBeingDeleted"), QUEUE_NO_QUEUE);
        assert_int_equal(judge(all[i], 404, NULL), QUEUE_NO_QUEUE);
    }
}

static void what_others_may_have_answered_tells_nothing(void **state)
{
    static const int statuses[] = {301, 400, 408, 413, 429, 500, 502, 503};
    struct err err;

    (void)state;
    for (size_t i = 0; i < array_size(all); i++) {
        for (size_t k = 0; k < array_size(statuses); k++)
            assert_int_equal(judge(all[i], statuses[k], NULL), QUEUE_UNKNOWN);
        assert_int_equal(judge(all[i], 400, "InvalidHeaderValue"), QUEUE_UNKNOWN);
        assert_int_equal(judge(all[i], 500, "OutOfRangeQueryParameterValue"), QUEUE_UNKNOWN);
        err_set(&err, ERR_NETWORK, "no answer");
        assert_int_equal(queue_right_judge(all[i], &err), QUEUE_UNKNOWN);
    }
}

static void each_right_has_a_name_a_letter_and_a_role(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(all); i++) {
        assert_non_null(queue_right_needs(all[i]));
        assert_int_equal(strlen(queue_right_needs(all[i])->letter), 1);
        assert_int_equal(strncmp(queue_right_needs(all[i])->role, "Storage Queue Data ", 19), 0);
    }
    assert_string_equal(queue_right_name(QUEUE_RIGHT_UPDATE), "update");
    assert_string_equal(queue_right_needs(QUEUE_RIGHT_UPDATE)->letter, "u");
    assert_string_equal(queue_right_needs(QUEUE_RIGHT_PUT)->letter, "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_for_holds),
        cmocka_unit_test(a_fault_of_the_parameters_means_that_the_right_is_there),
        cmocka_unit_test(a_message_that_is_not_there_means_that_the_right_is),
        cmocka_unit_test(a_missing_right_is_told_from_a_bad_credential),
        cmocka_unit_test(a_missing_queue_is_told_as_such),
        cmocka_unit_test(what_others_may_have_answered_tells_nothing),
        cmocka_unit_test(each_right_has_a_name_a_letter_and_a_role),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
