/* Addresses as text, as data and as sockaddr. A driver: names are looked up here, and that blocks. */
#include "rtcp/inside_loop.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

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

int rtcp_address_parse(const char *text, bool is_listening, struct rtcp_address out[RTCP_ADDRESSES_MAX])
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    char host[256];
    char port[8];
    int count = 0;

    if (text == NULL || !split(text, host, port)) {
        return BASE_E_INVALID;
    }
    if (host[0] == '\0') {
        if (!is_listening) {
            return BASE_E_INVALID;
        }
        base_copy(host, "0.0.0.0", sizeof "0.0.0.0");
    }
    if (!is_listening && strcmp(port, "0") == 0) {
        return BASE_E_INVALID;
    }
    if (getaddrinfo(host, port, &hints, &found) != 0) {
        return BASE_E_NOTFOUND;
    }
    for (struct addrinfo *i = found; i != NULL && count < RTCP_ADDRESSES_MAX; i = i->ai_next) {
        if (i->ai_family == AF_INET || i->ai_family == AF_INET6) {
            struct sockaddr_storage s;

            base_zero(&s, sizeof s);
            base_copy(&s, i->ai_addr, i->ai_addrlen);
            rtcp_address_from_sock(&s, &out[count++]);
        }
    }
    freeaddrinfo(found);
    return count > 0 ? count : BASE_E_NOTFOUND;
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
