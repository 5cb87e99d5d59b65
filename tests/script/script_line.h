/* SPDX-License-Identifier: Apache-2.0
 *
 * One line of a script: its time, and a packet or a command. */
#ifndef STENTOR_TESTS_SCRIPT_SCRIPT_LINE_H
#define STENTOR_TESTS_SCRIPT_SCRIPT_LINE_H

#include "script.h"

/* step->text into the step's other fields. False with a sentence in fault (SCRIPT_FAULT_MAX). */
bool script_line_read(struct script_step *step, char *fault);
/* "1.5" to 1500000000; false when no number stands there. *at moves on. */
bool script_read_seconds(const char **at, uint64_t *ns);

#endif
