/* Topics, partitions, configs and the cluster, as librdkafka's admin interface shows them. */
#define _DEFAULT_SOURCE /* usleep */
#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void give_up(const char *what, const char *why) {
    fprintf(stderr, "librdkafka: %s: %s\n", what, why);
    exit(1);
}

const char *outcome(rd_kafka_resp_err_t error) {
    return error == RD_KAFKA_RESP_ERR_NO_ERROR ? "ok" : rd_kafka_err2name(error);
}

rd_kafka_conf_t *configuration(const char *const *pairs) {
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *const always[] = {"bootstrap.servers", bootstrap, "log_level", "0", "topic.metadata.refresh.sparse",
                                  "true", "reconnect.backoff.max.ms", "1000", NULL};
    const char *const *lists[] = {always, pairs};
    for (int list = 0; list < 2; list++) {
        for (const char *const *pair = lists[list]; pair && *pair; pair += 2) {
            if (rd_kafka_conf_set(conf, pair[0], pair[1], why, sizeof why) != RD_KAFKA_CONF_OK) {
                give_up(pair[0], why);
            }
        }
    }
    return conf;
}

/* One client for all admin calls. */
static rd_kafka_t *admin(void) {
    static rd_kafka_t *one;
    if (!one) {
        one = consumer(NULL); /* a producer's metadata requests would create what they ask for */
    }
    return one;
}

/* Takes the one event of an admin call from its queue. */
static rd_kafka_event_t *answer(rd_kafka_queue_t *queue) {
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    if (!event) {
        give_up("admin call", "no answer");
    }
    return event;
}

rd_kafka_resp_err_t create_topic(const char *topic, int partitions, int replication, const char *const *configs) {
    char why[512];
    rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic, partitions, replication, why, sizeof why);
    if (!wanted) {
        return RD_KAFKA_RESP_ERR__INVALID_ARG;
    }
    for (const char *const *pair = configs; pair && *pair; pair += 2) {
        rd_kafka_NewTopic_set_config(wanted, pair[0], pair[1]);
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin());
    rd_kafka_CreateTopics(admin(), &wanted, 1, NULL, queue);
    rd_kafka_event_t *event = answer(queue);
    rd_kafka_resp_err_t error = rd_kafka_event_error(event);
    size_t count = 0;
    const rd_kafka_topic_result_t **results =
        error ? NULL : rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    if (count) {
        error = rd_kafka_topic_result_error(results[0]);
    }
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(wanted);
    return error;
}

void make_topic(const char *topic, int partitions, const char *const *configs) {
    rd_kafka_resp_err_t error = create_topic(topic, partitions, 1, configs);
    if (error) {
        give_up(topic, rd_kafka_err2name(error));
    }
    for (int tries = 0; partition_count(topic) != partitions; tries++) {
        if (tries > 500) {
            give_up(topic, "not in the metadata");
        }
        usleep(10000);
    }
}

rd_kafka_resp_err_t delete_topic(const char *topic) {
    rd_kafka_DeleteTopic_t *wanted = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin());
    rd_kafka_DeleteTopics(admin(), &wanted, 1, NULL, queue);
    rd_kafka_event_t *event = answer(queue);
    rd_kafka_resp_err_t error = rd_kafka_event_error(event);
    size_t count = 0;
    const rd_kafka_topic_result_t **results =
        error ? NULL : rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    if (count) {
        error = rd_kafka_topic_result_error(results[0]);
    }
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_DeleteTopic_destroy(wanted);
    return error;
}

rd_kafka_resp_err_t grow_topic(const char *topic, int count) {
    char why[512];
    rd_kafka_NewPartitions_t *wanted = rd_kafka_NewPartitions_new(topic, (size_t)count, why, sizeof why);
    if (!wanted) {
        return RD_KAFKA_RESP_ERR__INVALID_ARG;
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin());
    rd_kafka_CreatePartitions(admin(), &wanted, 1, NULL, queue);
    rd_kafka_event_t *event = answer(queue);
    rd_kafka_resp_err_t error = rd_kafka_event_error(event);
    size_t results_count = 0;
    const rd_kafka_topic_result_t **results =
        error ? NULL
              : rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &results_count);
    if (results_count) {
        error = rd_kafka_topic_result_error(results[0]);
    }
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewPartitions_destroy(wanted);
    return error;
}

int partition_count(const char *topic) {
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(admin(), topic, NULL);
    int count = -1;
    if (rd_kafka_metadata(admin(), 0, handle, &metadata, WAIT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        count = metadata->topics[0].partition_cnt;
        for (int i = 0; i < metadata->topics[0].partition_cnt; i++) {
            if (metadata->topics[0].partitions[i].leader < 0) {
                count = -1;
            }
        }
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(handle);
    return count;
}

static void describe(rd_kafka_ResourceType_t kind, const char *name, const char *const *keys) {
    rd_kafka_ConfigResource_t *wanted = rd_kafka_ConfigResource_new(kind, name);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin());
    rd_kafka_DescribeConfigs(admin(), &wanted, 1, NULL, queue);
    rd_kafka_event_t *event = answer(queue);
    size_t count = 0, entry_count = 0;
    const rd_kafka_ConfigResource_t **results =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
    if (!count) {
        printf("describe %s -> %s\n", name, outcome(rd_kafka_event_error(event)));
    } else {
        printf("describe %s -> %s\n", name, outcome(rd_kafka_ConfigResource_error(results[0])));
        const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(results[0], &entry_count);
        for (const char *const *key = keys; *key; key++) {
            for (size_t i = 0; i < entry_count; i++) {
                if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), *key) == 0) {
                    printf("%s -> %s %s readonly=%d sensitive=%d\n", *key, rd_kafka_ConfigEntry_value(entries[i]),
                           rd_kafka_ConfigSource_name(rd_kafka_ConfigEntry_source(entries[i])),
                           rd_kafka_ConfigEntry_is_read_only(entries[i]), rd_kafka_ConfigEntry_is_sensitive(entries[i]));
                }
            }
        }
    }
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_ConfigResource_destroy(wanted);
}

void scenario_cluster(void) {
    char *id = rd_kafka_clusterid(admin(), WAIT_MS);
    printf("cluster id length -> %zu\n", id ? strlen(id) : 0);
    rd_kafka_mem_free(admin(), id);
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(admin(), 1, NULL, &metadata, WAIT_MS)) {
        give_up("metadata", "no answer");
    }
    printf("brokers -> %d\n", metadata->broker_cnt);
    printf("controller is a broker -> %d\n", rd_kafka_controllerid(admin(), WAIT_MS) == metadata->brokers[0].id);
    rd_kafka_metadata_destroy(metadata);
}

void scenario_topics(void) {
    char long_name[251];
    memset(long_name, 'l', 250);
    long_name[250] = 0;
    make_topic("topics.a", 3, NULL);
    printf("create -> %d partitions\n", partition_count("topics.a"));
    const char *const names[] = {"topics.a", ".", "..", "a/b", "a b", "gr\xc3\xb6\xc3\x9f" "e", long_name, "topics_a"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        printf("create '%.20s' -> %s\n", names[i], outcome(create_topic(names[i], 1, 1, NULL)));
    }
    printf("two replicas -> %s\n", outcome(create_topic("topics.two", 1, 2, NULL)));
    printf("no partitions -> %s\n", outcome(create_topic("topics.zero", 0, 1, NULL)));
    printf("by default -> %s\n", outcome(create_topic("topics.default", -1, -1, NULL)));
    printf("unknown key -> %s\n", outcome(create_topic("topics.key", 1, 1, (const char *const[]){"no.such.key", "1", NULL})));
    printf("bad value -> %s\n", outcome(create_topic("topics.value", 1, 1, (const char *const[]){"retention.ms", "soon", NULL})));
    printf("grow -> %s\n", outcome(grow_topic("topics.a", 5)));
    printf("grow to the same -> %s\n", outcome(grow_topic("topics.a", 5)));
    printf("shrink -> %s\n", outcome(grow_topic("topics.a", 2)));
    printf("grow unknown -> %s\n", outcome(grow_topic("topics.absent", 2)));
    printf("delete -> %s\n", outcome(delete_topic("topics.a")));
    printf("delete unknown -> %s\n", outcome(delete_topic("topics.absent")));
    for (int tries = 0; partition_count("topics.a") > 0 && tries < 500; tries++) {
        usleep(10000);
    }
    make_topic("topics.a", 2, NULL);
    printf("recreated -> %d partitions\n", partition_count("topics.a"));
}

void scenario_configs(void) {
    static const char *const keys[] = {"cleanup.policy", "compression.type", "index.interval.bytes", "max.message.bytes",
                                       "message.timestamp.type", "retention.bytes", "segment.ms", NULL};
    make_topic("configs.a", 1, (const char *const[]){"segment.ms", "333000", "index.interval.bytes", "8192", NULL});
    describe(RD_KAFKA_RESOURCE_TOPIC, "configs.a", keys);
    describe(RD_KAFKA_RESOURCE_TOPIC, "configs.absent", keys);
    describe(RD_KAFKA_RESOURCE_TOPIC, "..", keys);
}
