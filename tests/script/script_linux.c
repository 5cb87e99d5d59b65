/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel as the side under test. Not here yet. */
#include "script_play.h"

static bool linux_open(struct play *play)
{
    play_fail(play, "no kernel");
    return false;
}

const struct play_side play_linux = {.open = linux_open};
