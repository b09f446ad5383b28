/* Addresses as text, as data and as sockaddr. A driver: rtcp_address_parse looks names up, and that blocks. */
#include "rtcp/inside_loop.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#define PLACE_TEXT 280 /* "[host]:port" with its end */

/* Splits "host:port" or "[host]:port"; false when it is neither. */
static bool split(const char *text, char host[256], char port[8])
{
    const char *colon = strrchr(text, ':');
    const char *from = text;
    size_t size;

    if (colon == NULL || strlen(colon + 1) == 0 || strlen(colon + 1) > 5) {
        return false;
    }
    size = (size_t)(colon - text);
    if (size >= 2 && text[0] == '[' && text[size - 1] == ']') {
        from++;
        size -= 2;
    } else if (memchr(text, ':', size) != NULL) {
        return false; /* an IPv6 address needs brackets */
    }
    if (size > 255) {
        return false;
    }
    base_copy(host, from, size);
    host[size] = '\0';
    base_copy(port, colon + 1, strlen(colon + 1) + 1);
    return strspn(port, "0123456789") == strlen(port) && strtol(port, NULL, 10) <= 65535;
}

/* Takes the next "host:port" off a list that commas separate; false: too long. */
static bool next_of_list(const char **text, char one[PLACE_TEXT])
{
    size_t size = strcspn(*text, ",");

    if (size >= PLACE_TEXT) {
        return false;
    }
    base_copy(one, *text, size);
    one[size] = '\0';
    *text += size + ((*text)[size] == ',' ? 1 : 0);
    return true;
}

/* Appends what a place has: BASE_E_NOTFOUND where it has nothing; BASE_E_AGAIN where that cannot be told now. */
static int find(const char *host, const char *port, int flags, struct rtcp_address *out, int *count)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
    struct addrinfo *found;
    int error = getaddrinfo(host, port, &hints, &found);

    if (error != 0) {
        return error == EAI_NONAME || error == EAI_FAMILY || error == EAI_NODATA ? BASE_E_NOTFOUND : BASE_E_AGAIN;
    }
    for (struct addrinfo *i = found; i != NULL && *count < RTCP_ADDRESSES_MAX; i = i->ai_next) {
        if (i->ai_family == AF_INET || i->ai_family == AF_INET6) {
            struct sockaddr_storage s;

            base_zero(&s, sizeof s);
            base_copy(&s, i->ai_addr, i->ai_addrlen);
            rtcp_address_from_sock(&s, &out[(*count)++]);
        }
    }
    freeaddrinfo(found);
    return 0;
}

int rtcp_address_look_up(const char *text, int flags, struct rtcp_address out[RTCP_ADDRESSES_MAX])
{
    int status = BASE_E_NOTFOUND;
    int places = 0;
    int count = 0;

    if (text == NULL || *text == '\0') {
        return BASE_E_INVALID;
    }
    while (*text != '\0') {
        char one[PLACE_TEXT];
        char host[256];
        char port[8];
        int found;

        if (++places > RTCP_ADDRESSES_MAX || !next_of_list(&text, one) || !split(one, host, port) || host[0] == '\0' ||
            strtol(port, NULL, 10) == 0) {
            return BASE_E_INVALID;
        }
        found = find(host, port, flags, out, &count);
        status = found < 0 && status == BASE_E_NOTFOUND ? found : status;
    }
    return count > 0 ? count : status;
}

bool rtcp_address_has_names(const char *text)
{
    while (*text != '\0') {
        struct rtcp_address out[RTCP_ADDRESSES_MAX];
        char one[PLACE_TEXT];

        if (!next_of_list(&text, one) || rtcp_address_look_up(one, AI_NUMERICHOST, out) < 0) {
            return true;
        }
    }
    return false;
}

int rtcp_address_parse(const char *text, struct rtcp_address out[RTCP_ADDRESSES_MAX])
{
    char host[256];
    char port[8];
    int count = 0;

    if (text == NULL || !split(text, host, port)) {
        return BASE_E_INVALID;
    }
    if (host[0] == '\0') {
        base_copy(host, "0.0.0.0", sizeof "0.0.0.0");
    }
    return find(host, port, 0, out, &count) < 0 || count == 0 ? BASE_E_NOTFOUND : count;
}

void rtcp_address_print(const struct rtcp_address *a, char out[RTCP_ADDRESS_TEXT])
{
    char ip[INET6_ADDRSTRLEN] = "";

    if (a->family == 0) {
        out[0] = '\0';
        return;
    }
    inet_ntop(a->family == 6 ? AF_INET6 : AF_INET, a->ip, ip, sizeof ip);
    if (a->family == 6 && a->scope != 0) {
        snprintf(out, RTCP_ADDRESS_TEXT, "[%s%%%u]:%u", ip, a->scope, a->port);
    } else {
        snprintf(out, RTCP_ADDRESS_TEXT, a->family == 6 ? "[%s]:%u" : "%s:%u", ip, a->port);
    }
}

socklen_t rtcp_address_to_sock(const struct rtcp_address *a, struct sockaddr_storage *out)
{
    base_zero(out, sizeof *out);
    if (a->family == 6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)out;

        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(a->port);
        in6->sin6_scope_id = a->scope;
        base_copy(&in6->sin6_addr, a->ip, 16);
        return sizeof *in6;
    }
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)out;

    in->sin_family = AF_INET;
    in->sin_port = htons(a->port);
    base_copy(&in->sin_addr, a->ip, 4);
    return sizeof *in;
}

void rtcp_address_from_sock(const struct sockaddr_storage *in, struct rtcp_address *out)
{
    base_zero(out, sizeof *out);
    if (in->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)in;

        out->family = 6;
        out->port = ntohs(in6->sin6_port);
        out->scope = in6->sin6_scope_id;
        base_copy(out->ip, &in6->sin6_addr, 16);
    } else if (in->ss_family == AF_INET) {
        const struct sockaddr_in *in4 = (const struct sockaddr_in *)(const void *)in;

        out->family = 4;
        out->port = ntohs(in4->sin_port);
        base_copy(out->ip, &in4->sin_addr, 4);
    }
}
