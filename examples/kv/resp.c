/* See resp.h.
 *
 * hiredis's reader was made for replies, which have the same grammar as commands but allow more. Our object functions
 * take bulk strings inside one array and refuse everything else; a refusal leaves its reason in `error`. The reader
 * would wait for a bulk string of any size, so its length is looked at while it is still the unread head of the input.
 */
#include "examples/kv/resp.h"

#include "examples/kv/args.h"
#include "examples/kv/inline.h"
#include "examples/kv/limits.h"
#include "examples/kv/require.h"

#include <hiredis/hiredis.h>
#include <hiredis/sds.h>
#include <stdio.h>

static void *refuse(struct kv_resp *r, const char *why)
{
    if (r->error[0] == '\0') {
        (void)snprintf(r->error, sizeof r->error, "Protocol error: %s", why);
    }
    return NULL; /* for the reader: no memory; it stops */
}

static void *not_a_bulk(struct kv_resp *r, char type)
{
    char why[32];

    (void)snprintf(why, sizeof why, "expected '$', got '%c'", type >= ' ' && type <= '~' ? type : '?');
    return refuse(r, why);
}

static void *create_string(const redisReadTask *task, char *bytes, size_t size)
{
    struct kv_resp *r = task->privdata;

    if (task->type != REDIS_REPLY_STRING) {
        return not_a_bulk(r, task->type == REDIS_REPLY_STATUS ? '+' : '-');
    }
    if (size > KV_BULK_MAX) {
        return refuse(r, "invalid bulk length");
    }
    kv_command_add(&r->command, (struct base_bytes){(const uint8_t *)bytes, size});
    return r->command.is_full ? refuse(r, "the command is too large") : r;
}

static void *create_array(const redisReadTask *task, int count)
{
    struct kv_resp *r = task->privdata;

    if (task->parent != NULL) {
        return not_a_bulk(r, '*');
    }
    if (count < 0 || (size_t)count > KV_ARGS_MAX) {
        return refuse(r, "invalid multibulk length");
    }
    return r;
}

static void *create_integer(const redisReadTask *task, long long number)
{
    (void)number;
    return not_a_bulk(task->privdata, ':');
}

/* "*-1" is an empty command, as for Redis; "$-1" is not an argument. */
static void *create_nil(const redisReadTask *task)
{
    struct kv_resp *r = task->privdata;

    return task->parent == NULL ? r : refuse(r, "invalid bulk length");
}

static void free_object(void *object)
{
    (void)object; /* all objects are the kv_resp itself */
}

static redisReader *new_reader(struct kv_resp *r)
{
    static redisReplyObjectFunctions functions = {
        create_string, create_array, create_integer, create_nil, free_object,
    };
    redisReader *reader = redisReaderCreateWithFunctions(&functions);

    kv_require(reader != NULL, "there is memory");
    reader->privdata = r;
    return reader;
}

void kv_resp_init(struct kv_resp *r)
{
    *r = (struct kv_resp){.reader = NULL};
    kv_buffer_init(&r->command, KV_COMMAND_MAX);
}

void kv_resp_deinit(struct kv_resp *r)
{
    if (r->reader != NULL) {
        redisReaderFree(r->reader);
        r->reader = NULL;
    }
    kv_buffer_deinit(&r->command);
}

void kv_resp_feed(struct kv_resp *r, const void *data, size_t size)
{
    if (r->error[0] != '\0') {
        return;
    }
    if (r->reader == NULL) {
        r->reader = new_reader(r);
        kv_command_begin(&r->command);
    }
    kv_require(redisReaderFeed(r->reader, data, size) == REDIS_OK, "there is memory");
}

size_t kv_resp_size(const struct kv_resp *r)
{
    return r->reader == NULL ? 0 : r->reader->len - r->reader->pos + kv_buffer_size(&r->command);
}

/* ------------------------------------------------------------------------------------------------ reading */

static bool is_between_commands(const redisReader *reader)
{
    return reader->ridx == -1 || (reader->ridx == 0 && reader->rstack[0].type == -1);
}

static struct base_bytes unread(const redisReader *reader)
{
    return (struct base_bytes){(const uint8_t *)reader->buf + reader->pos, reader->len - reader->pos};
}

/* The reader forgets what it has read now and then; lines that it never sees are forgotten here. */
static void trim(redisReader *reader)
{
    if (reader->pos > 0) {
        sdsrange(reader->buf, (int)reader->pos, -1);
        reader->pos = 0;
        reader->len = sdslen(reader->buf);
    }
}

static enum kv_resp_result fail(struct kv_resp *r, const char *why)
{
    (void)refuse(r, why);
    kv_resp_deinit(r);
    return KV_RESP_ERROR;
}

static enum kv_resp_result next_line(struct kv_resp *r)
{
    redisReader *reader = r->reader;
    struct base_bytes rest = unread(reader);
    const uint8_t *end = memchr(rest.data, '\n', rest.size);
    struct base_bytes line = {rest.data, end == NULL ? rest.size : (size_t)(end - rest.data)};

    if (line.size > KV_INLINE_MAX) {
        return fail(r, "too big inline request");
    }
    if (end == NULL) {
        trim(reader);
        return KV_RESP_MORE;
    }
    reader->pos += line.size + 1;
    line.size -= line.size > 0 && line.data[line.size - 1] == '\r' ? 1 : 0;
    if (kv_inline_parse(line, &r->command) < 0) {
        return fail(r, "unbalanced quotes in request");
    }
    return KV_RESP_COMMAND;
}

static bool is_bulk_size(struct base_bytes text)
{
    int64_t size = 0;

    return kv_number_parse(text, &size) && size >= 0 && (uint64_t)size <= KV_BULK_MAX;
}

static enum kv_resp_result refuse_type(struct kv_resp *r, char type)
{
    (void)not_a_bulk(r, type);
    return fail(r, "");
}

/* The input ends inside an array. The reader has taken the type of the element it waits for; its length, as far as it
 * is there, is the head of what is unread and must be within the limits. */
static enum kv_resp_result check_head(struct kv_resp *r)
{
    static const char types[] = {[REDIS_REPLY_INTEGER] = ':', [REDIS_REPLY_STATUS] = '+', [REDIS_REPLY_ERROR] = '-'};
    int type = r->reader->rstack[r->reader->ridx].type;
    struct base_bytes head = unread(r->reader);
    const uint8_t *end = memchr(head.data, '\r', head.size < KV_HEAD_MAX ? head.size : KV_HEAD_MAX);

    if (type > 0 && type < (int)sizeof types && types[type] != '\0') {
        return refuse_type(r, types[type]);
    }
    if (end == NULL) {
        return head.size < KV_HEAD_MAX ? KV_RESP_MORE : fail(r, "too big length of a bulk or an array");
    }
    if (type == REDIS_REPLY_STRING && !is_bulk_size((struct base_bytes){head.data, (size_t)(end - head.data)})) {
        return fail(r, "invalid bulk length");
    }
    return KV_RESP_MORE;
}

static enum kv_resp_result reader_failed(struct kv_resp *r)
{
    const char *text = r->reader->errstr;

    if (strstr(text, "ulti-bulk") != NULL) {
        return fail(r, "invalid multibulk length");
    }
    if (strstr(text, "ulk string") != NULL) {
        return fail(r, "invalid bulk length");
    }
    return fail(r, strstr(text, "integer") != NULL ? "expected '$', got ':'" : "expected '$'");
}

static enum kv_resp_result next_array(struct kv_resp *r)
{
    void *whole = NULL;

    if (redisReaderGetReply(r->reader, &whole) != REDIS_OK) {
        return reader_failed(r);
    }
    return whole != NULL ? KV_RESP_COMMAND : check_head(r);
}

enum kv_resp_result kv_resp_next(struct kv_resp *r, struct base_bytes *ret_command)
{
    enum kv_resp_result result = KV_RESP_COMMAND;

    if (r->error[0] != '\0') {
        return KV_RESP_ERROR;
    }
    while (result == KV_RESP_COMMAND && r->reader != NULL) {
        struct base_bytes rest = unread(r->reader);

        if (is_between_commands(r->reader)) {
            kv_command_begin(&r->command);
        }
        if (rest.size == 0) {
            trim(r->reader);
            return KV_RESP_MORE;
        }
        result = is_between_commands(r->reader) && rest.data[0] != '*' ? next_line(r) : next_array(r);
        if (result == KV_RESP_COMMAND && kv_command_count(&r->command) > 0) {
            *ret_command = kv_buffer_bytes(&r->command);
            return KV_RESP_COMMAND;
        }
    }
    return result == KV_RESP_COMMAND ? KV_RESP_MORE : result;
}
