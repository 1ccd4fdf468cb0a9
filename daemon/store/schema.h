/* SPDX-License-Identifier: MIT */
/*
 * A database's schema by versions: version n is what the first n steps of SQL have made. The version is
 * kept in the file (PRAGMA user_version), so an older file is brought up to date when it is opened, in
 * one transaction.
 */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include <stdbool.h>

#include "base/alloc.h"

struct database;
struct err;

/* ERR_CONFIG when a newer program has written the file; it is left as it is. A step that fails leaves
 * the old version whole. A file of no version that has no place for the first step is somebody else's,
 * and counts as damaged. */
bool schema_update(struct database *database, const char *const *steps, unsigned count,
                   struct err *err) MUST_CHECK;

#endif
