/* SPDX-License-Identifier: MIT */
/* What an identity shows to a service: a refusal is explained in the words of its own world. */
#ifndef IDENTITY_PROOF_H
#define IDENTITY_PROOF_H

enum identity_proof {
    IDENTITY_PROOF_UNKNOWN,
    IDENTITY_PROOF_SAS,   /* has permissions, letters */
    IDENTITY_PROOF_KEY,   /* may do all */
    IDENTITY_PROOF_TOKEN, /* is of a principal, which has roles */
};

#endif
