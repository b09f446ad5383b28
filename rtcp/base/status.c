/* Texts of the status codes. Owns the table built from the list in status.h; pure. */
#include "rtcp/base/status.h"

#include <stddef.h>

static const struct {
    int status;
    const char *name;
    const char *text;
} rows[] = {
#define BASE_STATUS_ROW(name, number, text) {-(number), #name, text},
    BASE_STATUS(BASE_STATUS_ROW)
#undef BASE_STATUS_ROW
};

const char *base_status_text(int status)
{
    if (status >= 0) {
        return "done";
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].status == status) {
            return rows[i].text;
        }
    }
    return "an unknown status: the library and its caller were built from different versions";
}

const char *base_status_name(int status)
{
    if (status >= 0) {
        return "OK";
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].status == status) {
            return rows[i].name;
        }
    }
    return "?";
}
