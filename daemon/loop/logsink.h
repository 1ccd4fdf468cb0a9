/* SPDX-License-Identifier: MIT */
/* Where the log goes and in which form, by where the program runs. */
#ifndef LOOP_LOGSINK_H
#define LOOP_LOGSINK_H

enum logsink_format {
    LOGSINK_AUTO,    /* journal when stderr is the journal's; JSON in a container; else text */
    LOGSINK_JOURNAL, /* native fields: CVN_QUEUE, CVN_HOOK, ... */
    LOGSINK_TEXT,
    LOGSINK_JSON, /* one object a line on stderr */
};

void logsink_choose(enum logsink_format format);

#endif
