/* Records and offsets, as librdkafka's producer and its assigning consumer show them. */
#include "common.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What a delivery report says about the one record in flight. */
struct delivery {
    int done;
    rd_kafka_resp_err_t error;
    int64_t offset;
    int partition;
};

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    (void)rk;
    (void)opaque;
    struct delivery *report = message->_private;
    if (report) {
        *report = (struct delivery){1, message->err, message->offset, message->partition};
    }
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf) {
    char why[512];
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
    if (!rk) {
        give_up("client", why);
    }
    return rk;
}

rd_kafka_t *producer(const char *const *pairs) {
    rd_kafka_conf_t *conf = configuration(pairs);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    return client(RD_KAFKA_PRODUCER, conf);
}

/* librdkafka wants a group name even of a consumer that only assigns; no group request is sent. */
rd_kafka_t *consumer(const char *const *pairs) {
    rd_kafka_conf_t *conf = configuration(pairs);
    char why[512];
    rd_kafka_conf_set(conf, "group.id", "unused", why, sizeof why);
    rd_kafka_conf_set(conf, "enable.auto.commit", "false", why, sizeof why);
    rd_kafka_conf_set(conf, "fetch.wait.max.ms", "100", why, sizeof why);
    return client(RD_KAFKA_CONSUMER, conf);
}

static struct delivery wait_for(rd_kafka_t *rk, struct delivery *report) {
    for (int waited = 0; !report->done && waited < 2 * WAIT_MS; waited += 100) {
        rd_kafka_poll(rk, 100);
    }
    if (!report->done) {
        give_up("delivery", "no report");
    }
    return *report;
}

rd_kafka_resp_err_t deliver(rd_kafka_t *rk, const char *topic, int partition, int number, int64_t *offset) {
    struct delivery report = {0};
    char key[32], value[32], header[32];
    snprintf(key, sizeof key, "key-%d", number);
    snprintf(value, sizeof value, "value-%d", number);
    snprintf(header, sizeof header, "%d", number);
    rd_kafka_resp_err_t error = rd_kafka_producev(
        rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY(key, strlen(key)),
        RD_KAFKA_V_VALUE(value, strlen(value)), RD_KAFKA_V_TIMESTAMP(BASE_TIME + number * INT64_C(1000)),
        RD_KAFKA_V_HEADER("n", header, -1), RD_KAFKA_V_HEADER("null", NULL, 0),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(&report), RD_KAFKA_V_END);
    if (error) {
        return error;
    }
    wait_for(rk, &report);
    if (offset) {
        *offset = report.offset;
    }
    return report.error;
}

static void show(const char *what, const rd_kafka_message_t *message) {
    rd_kafka_timestamp_type_t type;
    int64_t time = rd_kafka_message_timestamp(message, &type);
    printf("%s -> %s-%d@%" PRId64 " +%" PRId64 " %.*s=%.*s", what, rd_kafka_topic_name(message->rkt), message->partition,
           message->offset, time - BASE_TIME, (int)message->key_len, (const char *)message->key, (int)message->len,
           (const char *)message->payload);
    rd_kafka_headers_t *headers;
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char *name;
        const void *value;
        size_t size;
        for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &size); i++) {
            printf(" %s=%.*s", name, value ? (int)size : 4, value ? (const char *)value : "null");
        }
    }
    printf("\n");
}

static void assign(rd_kafka_t *rk, const char *topic, int partitions, int64_t offset) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int partition = 0; partition < partitions; partition++) {
        rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    }
    rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

/* The next record or error of a consumer; NULL if none comes in time. */
static rd_kafka_message_t *next(rd_kafka_t *rk, int wait_ms) {
    for (int waited = 0; waited < wait_ms; waited += 100) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 100);
        if (message) {
            return message;
        }
    }
    return NULL;
}

/* A consumer that may not create topics. */
static const char *const no_create[] = {"allow.auto.create.topics", "false", NULL};

/* Reads from an offset of one partition and shows the first records. */
static void read_from(const char *what, const char *topic, int64_t offset, int count, const char *const *pairs) {
    rd_kafka_t *rk = consumer(pairs);
    int wait_ms = pairs == no_create ? 1500 : WAIT_MS; /* nothing is what should come */
    assign(rk, topic, 1, offset);
    for (int i = 0; i < count; i++) {
        rd_kafka_message_t *message = next(rk, wait_ms);
        if (!message || message->err) {
            printf("%s -> %s\n", what, message ? rd_kafka_err2name(message->err) : "nothing");
        } else {
            show(what, message);
        }
        if (message) {
            rd_kafka_message_destroy(message);
        }
    }
    rd_kafka_destroy(rk);
}

void scenario_produce(void) {
    static const struct {
        const char *name;
        const char *pairs[5];
    } modes[] = {
        {"idempotent", {"enable.idempotence", "true", NULL}},
        {"acks=all", {"acks", "all", NULL}},
        {"acks=1", {"acks", "1", NULL}},
        {"acks=0", {"acks", "0", NULL}},
    };
    make_topic("produce.a", 2, NULL);
    for (size_t mode = 0; mode < sizeof modes / sizeof *modes; mode++) {
        rd_kafka_t *rk = producer(modes[mode].pairs);
        for (int i = 0; i < 4; i++) {
            int64_t offset = -1;
            rd_kafka_resp_err_t error = deliver(rk, "produce.a", i % 2, i, &offset);
            printf("%s produce[%d] -> %s partition=%d offset=%" PRId64 "\n", modes[mode].name, i, outcome(error), i % 2,
                   strcmp(modes[mode].name, "acks=0") ? offset : -1);
        }
        rd_kafka_flush(rk, WAIT_MS);
        rd_kafka_destroy(rk);
    }
    read_from("read", "produce.a", RD_KAFKA_OFFSET_BEGINNING, 8, NULL);
}

void scenario_codecs(void) {
    static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++) {
        char topic[32];
        snprintf(topic, sizeof topic, "codecs.%s", codecs[i]);
        make_topic(topic, 1, NULL);
        rd_kafka_t *rk = producer((const char *const[]){"compression.codec", codecs[i], "linger.ms", "50", NULL});
        char value[600];
        memset(value, 'v', sizeof value);
        struct delivery reports[20] = {{0}};
        for (int number = 0; number < 20; number++) {
            rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_VALUE(value, sizeof value),
                              RD_KAFKA_V_KEY(codecs[i], strlen(codecs[i])), RD_KAFKA_V_TIMESTAMP(BASE_TIME + number),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(&reports[number]), RD_KAFKA_V_END);
        }
        for (int number = 0; number < 20; number++) {
            struct delivery report = wait_for(rk, &reports[number]);
            if (report.error || report.offset != number) {
                printf("%s produce[%d] -> %s %" PRId64 "\n", codecs[i], number, outcome(report.error), report.offset);
            }
        }
        rd_kafka_destroy(rk);
        rd_kafka_t *reader = consumer(NULL);
        assign(reader, topic, 1, RD_KAFKA_OFFSET_BEGINNING);
        int good = 0;
        for (int number = 0; number < 20; number++) {
            rd_kafka_message_t *message = next(reader, WAIT_MS);
            if (!message) {
                break;
            }
            good += !message->err && message->offset == number && message->len == sizeof value &&
                    memcmp(message->payload, value, sizeof value) == 0;
            rd_kafka_message_destroy(message);
        }
        rd_kafka_destroy(reader);
        printf("%s -> %d of 20 records\n", codecs[i], good);
    }
}

static void try_produce(rd_kafka_t *rk, const char *what, const char *topic, int partition, const char *key, size_t size,
                        int64_t time) {
    struct delivery report = {0};
    char *value = calloc(1, size + 1);
    memset(value, 'v', size);
    rd_kafka_resp_err_t error = rd_kafka_producev(
        rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_VALUE(value, size),
        RD_KAFKA_V_KEY(key, key ? strlen(key) : 0), RD_KAFKA_V_TIMESTAMP(time), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_OPAQUE(&report), RD_KAFKA_V_END);
    free(value);
    if (!error) {
        error = wait_for(rk, &report).error;
    }
    printf("%s -> %s\n", what, outcome(error));
}

void scenario_errors(void) {
    make_topic("errors.small", 1, (const char *const[]){"max.message.bytes", "500", NULL});
    rd_kafka_t *rk = producer((const char *const[]){"message.timeout.ms", "5000", NULL});
    try_produce(rk, "too large", "errors.small", 0, "k", 2000, BASE_TIME);
    try_produce(rk, "fits", "errors.small", 0, "k", 10, BASE_TIME);
    try_produce(rk, "partition 9", "errors.small", 9, "k", 10, BASE_TIME);
    try_produce(rk, "in the future", "errors.small", 0, "k", 10, (time(NULL) + 3 * 3600) * INT64_C(1000));
    rd_kafka_destroy(rk);
}

void scenario_autocreate(void) {
    rd_kafka_t *rk = producer(NULL);
    int64_t offset = -1;
    rd_kafka_resp_err_t error = deliver(rk, "autocreate.made", RD_KAFKA_PARTITION_UA, 1, &offset);
    printf("producer -> %s offset=%" PRId64 "\n", outcome(error), offset);
    rd_kafka_destroy(rk);
    read_from("consumer that may not", "autocreate.absent", 0, 1, no_create);
}

static void offset_at(rd_kafka_t *rk, const char *topic, int64_t after) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = BASE_TIME + after;
    rd_kafka_resp_err_t error = rd_kafka_offsets_for_times(rk, list, WAIT_MS);
    printf("at %+" PRId64 " -> %s %" PRId64 "\n", after, outcome(error ? error : list->elems[0].err), list->elems[0].offset);
    rd_kafka_topic_partition_list_destroy(list);
}

static void watermarks(rd_kafka_t *rk, const char *topic, int partition) {
    int64_t low = -1, high = -1;
    rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(rk, topic, partition, &low, &high, 3000);
    printf("watermarks of %s-%d -> %s low=%" PRId64 " high=%" PRId64 "\n", topic, partition, outcome(error), low, high);
}

void scenario_offsets(void) {
    static const int numbers[] = {0, 1, 2, 5, 3, 4};
    make_topic("offsets.a", 2, NULL);
    rd_kafka_t *rk = producer(NULL);
    for (int i = 0; i < 6; i++) {
        deliver(rk, "offsets.a", 0, numbers[i], NULL);
    }
    watermarks(rk, "offsets.a", 0);
    watermarks(rk, "offsets.a", 1);
    static const int64_t times[] = {-1, 0, 1, 2500, 5000, 5001};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        offset_at(rk, "offsets.a", times[i]);
    }
    rd_kafka_destroy(rk);
    read_from("from 4", "offsets.a", 4, 2, NULL);
    read_from("two before the end", "offsets.a", RD_KAFKA_OFFSET_TAIL(2), 1, NULL);
    read_from("from 100, earliest", "offsets.a", 100, 1, (const char *const[]){"auto.offset.reset", "earliest", NULL});
    read_from("from 100, error", "offsets.a", 100, 1, (const char *const[]){"auto.offset.reset", "error", NULL});
    read_from("read committed", "offsets.a", 5, 1, (const char *const[]){"isolation.level", "read_committed", NULL});
    read_from("end of partition", "offsets.a", 6, 1, (const char *const[]){"enable.partition.eof", "true", NULL});
    read_from("unknown topic", "offsets.absent", 0, 1, no_create);
}

/* One consumer over six partitions, of which one has news in each round. */
void scenario_sessions(void) {
    make_topic("sessions.a", 6, NULL);
    rd_kafka_t *reader = consumer(NULL);
    assign(reader, "sessions.a", 6, RD_KAFKA_OFFSET_BEGINNING);
    rd_kafka_t *rk = producer(NULL);
    for (int round = 0; round < 8; round++) {
        deliver(rk, "sessions.a", round * 5 % 6, round, NULL);
        rd_kafka_message_t *message = next(reader, WAIT_MS);
        if (!message) {
            printf("round %d -> nothing\n", round);
            continue;
        }
        char what[32];
        snprintf(what, sizeof what, "round %d", round);
        show(what, message);
        rd_kafka_message_destroy(message);
    }
    rd_kafka_destroy(rk);
    rd_kafka_destroy(reader);
}
