/* SPDX-License-Identifier: MIT */
/*
 * The envelope in which Custom Vision tells of trainings and exports:
 * `{"version":"1.0","type":"Export","Content":{"projectId":...,"exportStatus":...}}`. Only event/
 * includes this; another envelope would be another file beside it.
 */
#ifndef EVENT_CUSTOM_VISION_H
#define EVENT_CUSTOM_VISION_H

#include "base/alloc.h"

struct event;
struct json;

/* Fills a zeroed event but for its encoding. Returns NULL, or why the document is no event (see
 * event_decode); the event may then be half filled and is the caller's to free all the same. */
const char *custom_vision_decode(const struct json *document, struct event *event) MUST_CHECK;

#endif
