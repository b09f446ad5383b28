/* Reads a pre-shared key from a file or from the environment; implements rtcp_key_read of rtcp.h. */
#include "rtcp/rtcp.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int rtcp_key_read(const char *path, uint8_t ret_key[RTCP_KEY_MAX], size_t *ret_size)
{
    uint8_t bytes[RTCP_KEY_MAX + 2]; /* a newline, and one more to see that it is too long */
    size_t size = 0;

    if (path == NULL) {
        const char *value = getenv("HOLDFAST_KEY");

        if (value == NULL) {
            return BASE_E_NOTFOUND;
        }
        size = strnlen(value, sizeof bytes);
        base_copy(bytes, value, size);
    } else {
        FILE *file = fopen(path, "re");
        int error;

        if (file == NULL) {
            return BASE_E_SYSTEM;
        }
        setvbuf(file, NULL, _IONBF, 0); /* no copy of the key stays in a buffer */
        size = fread(bytes, 1, sizeof bytes, file);
        error = ferror(file) != 0 ? errno : 0;
        fclose(file);
        if (error != 0) {
            sodium_memzero(bytes, sizeof bytes);
            errno = error;
            return BASE_E_SYSTEM;
        }
    }
    if (size > 0 && bytes[size - 1] == '\n') {
        size--;
    }
    if (size >= RTCP_KEY_MIN && size <= RTCP_KEY_MAX) {
        base_copy(ret_key, bytes, size);
        *ret_size = size;
    }
    sodium_memzero(bytes, sizeof bytes);
    return size >= RTCP_KEY_MIN && size <= RTCP_KEY_MAX ? 0 : BASE_E_RANGE;
}
