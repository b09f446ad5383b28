/* A program outside the project: uses what is installed, through public headers only. Ends well when it was linked. */
#include "rtcp/rtcp.h"
#ifdef HAVE_MEMBERSHIP
#include "membership/membership.h"
#endif
#ifdef HAVE_REPLICATION
#include "replication/replication.h"
#endif

#include <stdio.h>

int main(void)
{
    struct rtcp_stream_options options;

    rtcp_stream_options_default(&options);
#ifdef HAVE_MEMBERSHIP
    group_close(NULL);
#endif
#ifdef HAVE_REPLICATION
    replica_close(NULL);
#endif
    printf("ring %u, %s\n", (unsigned)options.ring_max, base_status_name(BASE_E_AGAIN));
    return options.ring_max == 0;
}
