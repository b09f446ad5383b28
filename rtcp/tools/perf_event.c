/* The event-driven face of rtcp-perf: one loop on each side, callbacks, no thread. See perf.h. */
#include "rtcp/base/status.h"
#include "rtcp/tools/perf_wire.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>

static void serve(const struct perf_options *o, void (*ready)(void *user), void *user)
{
    const struct perf_wire *wires[2] = {&perf_rtcp, &perf_tcp};
    struct ev_loop *loop = ev_default_loop(0);
    char address[PERF_ADDRESS];

    for (unsigned i = 0; i < 2; i++) {
        void *context = wires[i]->open(loop, o);

        (void)snprintf(address, sizeof address, "%s:%u", o->host, o->port + i);
        if (context == NULL) {
            return; /* it was said why */
        }
        if (wires[i]->listen(context, address, perf_server_accept, (void *)(uintptr_t)wires[i]) < 0) {
            fprintf(stderr, "rtcp-perf: cannot listen at %s: %s\n", address, strerror(errno));
            return;
        }
    }
    ready(user);
    ev_run(loop, 0);
}

static int measure(const struct perf_options *o, bool is_tcp, const char *address, struct perf_run *run)
{
    const struct perf_wire *wire = is_tcp ? &perf_tcp : &perf_rtcp;
    struct ev_loop *loop = ev_default_loop(0);
    void *context = wire->open(loop, o);
    int status;

    if (context == NULL) {
        return BASE_E_SYSTEM;
    }
    status = perf_client_run(loop, wire, context, address, run);
    wire->close(context);
    return status;
}

const struct perf_face perf_event = {"event", serve, measure};
