/* See ringmem_loop.h. A driver: it maps memory. */
#include "rtcp/base/ringmem_loop.h"

#include "rtcp/base/status.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define PLAIN_MAX 65536u

/* A descriptor per large ring is worth it as long as there are plenty; sockets come first. */
static int keep(int fd)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)fd < limit.rlim_cur / 2) {
        return fd;
    }
    close(fd); /* the mappings keep the memory */
    return -1;
}

static int take_mirrored(size_t size, bool has_pages, struct base_ringmem *ret_ring)
{
    int fd = memfd_create("holdfast-ring", MFD_CLOEXEC);
    uint8_t *at;

    if (fd < 0) {
        return BASE_E_NOMEM;
    }
    at = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || ftruncate(fd, (off_t)size) < 0 ||
        mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
        mmap(at + size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
        if (at != MAP_FAILED) {
            munmap(at, 2 * size);
        }
        close(fd);
        return BASE_E_NOMEM;
    }
    *ret_ring = (struct base_ringmem){.at = at, .size = size, .is_mirrored = true, .handle = has_pages ? keep(fd) : -1};
    if (!has_pages) {
        close(fd); /* the mappings keep the memory; no descriptor per stream */
    }
    return 0;
}

static int take(size_t size, bool has_pages, struct base_ringmem *ret_ring)
{
    uint8_t *at;

    if (size > PLAIN_MAX && take_mirrored(size, has_pages, ret_ring) == 0) {
        return 0;
    }
    at = malloc(size);
    if (at == NULL) {
        return BASE_E_NOMEM;
    }
    *ret_ring = (struct base_ringmem){.at = at, .size = size, .is_mirrored = false, .handle = -1};
    return 0;
}

static int take_without_pages(void *user, size_t size, struct base_ringmem *ret_ring)
{
    (void)user;
    return take(size, false, ret_ring);
}

static int take_with_pages(void *user, size_t size, struct base_ringmem *ret_ring)
{
    (void)user;
    return take(size, true, ret_ring);
}

static void give(void *user, struct base_ringmem *ring)
{
    (void)user;
    if (ring->is_mirrored) {
        munmap(ring->at, 2 * ring->size);
        if (ring->handle >= 0) {
            close(ring->handle); /* never used again: a queue of the kernel may still refer to its pages (rule 5) */
        }
    } else {
        free(ring->at);
    }
    ring->at = NULL;
}

const struct base_ringmem_source *base_ringmem_system(void)
{
    static const struct base_ringmem_source source = {NULL, take_without_pages, give};

    return &source;
}

const struct base_ringmem_source *base_ringmem_pages(void)
{
    static const struct base_ringmem_source source = {NULL, take_with_pages, give};

    return &source;
}
