/* Names of messages: see message.h. */
#include "membership/message.h"

const char *message_kind_name(enum message_kind kind)
{
    static const char *const name[] = {"?",        "PREVOTE_ASK", "PREVOTE",  "VOTE_ASK", "VOTE",
                                       "BEAT",     "BEAT_ANSWER", "ABDICATE", "ACK",      "FORWARD_ASK",
                                       "SYNC_ASK", "SYNC",        "BATCH",    "FORWARD"};

    return kind < MESSAGE_PREVOTE_ASK || kind > MESSAGE_FORWARD ? name[0] : name[kind];
}
