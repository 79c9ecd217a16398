/* What the scenarios share: one connection's settings, printing, waiting. */
#ifndef OTTLA_CONFORMANCE_COMMON_H
#define OTTLA_CONFORMANCE_COMMON_H

#include <librdkafka/rdkafka.h>
#include <stdint.h>

#define BASE_TIME INT64_C(1700000000000)
#define WAIT_MS 20000

/* Prints why and ends the program: a step around the observations failed. */
void give_up(const char *what, const char *why);

/* A configuration with the broker's address and name-value pairs, ended by NULL. */
rd_kafka_conf_t *configuration(const char *const *pairs);

rd_kafka_t *producer(const char *const *pairs);
rd_kafka_t *consumer(const char *const *pairs);

/* The name of an error as librdkafka spells it, or "ok". */
const char *outcome(rd_kafka_resp_err_t error);

/* Creates a topic (name-value pairs of configs may be NULL) and says how it went. */
rd_kafka_resp_err_t create_topic(const char *topic, int partitions, int replication, const char *const *configs);
/* The same for the steps that have to succeed; waits until metadata has it. */
void make_topic(const char *topic, int partitions, const char *const *configs);
rd_kafka_resp_err_t delete_topic(const char *topic);
rd_kafka_resp_err_t grow_topic(const char *topic, int count);
int partition_count(const char *topic);
void describe_topic(const char *topic, const char *const *keys);

/* Sends one record and waits for its delivery; fills the offset. */
rd_kafka_resp_err_t deliver(rd_kafka_t *rk, const char *topic, int partition, int number, int64_t *offset);

extern const char *bootstrap;

void scenario_cluster(void);
void scenario_topics(void);
void scenario_configs(void);
void scenario_produce(void);
void scenario_codecs(void);
void scenario_errors(void);
void scenario_autocreate(void);
void scenario_offsets(void);
void scenario_sessions(void);

#endif
