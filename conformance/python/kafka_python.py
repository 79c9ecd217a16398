"""The scenarios of kafka-python: kafka_python.py HOST:PORT [SCENARIO].

Prints one line per observation to stdout, the same on every run against a fresh broker: no ids, no ports,
no times of the broker.
"""

import logging
import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

BASE_TIME = 1_700_000_000_000


def outcome(call):
    """What a call comes to: ok, or the name of the error."""
    try:
        call()
    except KafkaError as error:
        return type(error).__name__
    return "ok"


def until(so):
    deadline = time.monotonic() + 30
    while not so():
        if time.monotonic() > deadline:
            raise TimeoutError("waited 30 s")
        time.sleep(0.01)


class Here:
    """The broker under test and an admin client."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = KafkaAdminClient(bootstrap_servers=bootstrap)

    def producer(self, **changes):
        return KafkaProducer(bootstrap_servers=self.bootstrap, retry_backoff_ms=20, **changes)

    def consumer(self, *topics, group=None, **changes):
        fixed = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "fetch_max_wait_ms": 100}
        if group:
            fixed |= {"session_timeout_ms": 10_000, "heartbeat_interval_ms": 200, "retry_backoff_ms": 20}
        return KafkaConsumer(*topics, bootstrap_servers=self.bootstrap, group_id=group, **{**fixed, **changes})

    def create(self, topic, partitions, **configs):
        configs = {key.replace("_", "."): value for key, value in configs.items()}
        self.admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs)], wait_for_metadata=True)


def topics(here):
    def create(topic, partitions=1, replicas=1, **configs):
        return outcome(lambda: here.admin.create_topics([NewTopic(topic, partitions, replicas, topic_configs=configs)]))

    def count():
        return len(here.admin.describe_topics(["topics.a"])[0]["partitions"])

    print("create ->", create("topics.a", 3))
    until(lambda: count() == 3)
    for name in ("topics.a", ".", "a/b", "größe", "topics_a"):
        print(f"create '{name}' ->", create(name))
    print("no partitions ->", create("topics.zero", 0))
    print("two replicas ->", create("topics.two", 1, 2))
    print("unknown key ->", create("topics.key", **{"no.such.key": "1"}))
    print("list ->", sorted(name for name in here.admin.list_topics() if name.startswith("topics.")))
    for wanted in (5, 5, 2):
        grow = lambda: here.admin.create_partitions({"topics.a": NewPartitions(wanted)})
        print(f"grow to {wanted} ->", outcome(grow))
    until(lambda: count() == 5)
    for name in ("topics.a", "topics.absent"):
        print(f"delete {name} ->", outcome(lambda: here.admin.delete_topics([name])))


def configs(here):
    here.create("configs.a", 1, segment_ms="444000")
    keys = ("max.message.bytes", "segment.ms", "message.timestamp.type")

    def described():
        resource = ConfigResource(ConfigResourceType.TOPIC, "configs.a")
        found = here.admin.describe_configs([resource], config_filter="all")["topic"]["configs.a"]
        return " ".join(f"{key}={found[key]['value']}/{found[key]['config_source']}" for key in keys)

    def alter(**changes):
        changes = {key.replace("_", "."): value for key, value in changes.items()}
        resource = ConfigResource(ConfigResourceType.TOPIC, "configs.a", changes)
        return outcome(lambda: here.admin.alter_configs([resource]))

    print("described ->", described())
    print("set ->", alter(max_message_bytes="100000"))
    until(lambda: "max.message.bytes=100000" in described())
    print("described ->", described())


def send(producer, topic, partition, number):
    headers = [("n", str(number).encode())]
    key, value = f"key-{number}".encode(), f"value-{number}".encode()
    sent = producer.send(topic, value, key, headers, partition, BASE_TIME + number * 1000)
    return sent.get(30)


def shown(record):
    headers = " ".join(f"{key}={value.decode()}" for key, value in record.headers)
    time_ms = record.timestamp - BASE_TIME
    return f"{record.partition}@{record.offset} +{time_ms} {record.key.decode()}={record.value.decode()} {headers}"


def read(consumer, count):
    """The next records, in order of partition and offset."""
    records = []
    deadline = time.monotonic() + 20
    while len(records) < count and time.monotonic() < deadline:
        for batch in consumer.poll(timeout_ms=100).values():
            records.extend(batch)
    return sorted(records, key=lambda r: (r.partition, r.offset))


def produce(here):
    here.create("produce.a", 2)
    modes = {"idempotent": {}, "all": {"enable_idempotence": False, "acks": "all"},
             "1": {"enable_idempotence": False, "acks": 1}, "0": {"enable_idempotence": False, "acks": 0}}
    for name, changes in modes.items():
        producer = here.producer(**changes)
        for number in range(4):
            sent = send(producer, "produce.a", number % 2, number)
            print(f"{name} produce[{number}] ->", "sent" if name == "0" else f"{sent.partition}@{sent.offset}")
        producer.close()
    consumer = here.consumer()
    consumer.assign([TopicPartition("produce.a", partition) for partition in (0, 1)])
    for record in read(consumer, 16):
        print("read ->", shown(record))
    consumer.close()


def errors(here):
    here.create("errors.small", 1, max_message_bytes="500")
    producer = here.producer(enable_idempotence=False)

    def attempt(what, topic, **record):
        print(f"{what} ->", outcome(lambda: producer.send(topic, **{"value": b"v", **record}).get(30)))

    attempt("too large", "errors.small", value=b"v" * 2000)
    attempt("fits", "errors.small")
    attempt("in the future", "errors.small", timestamp_ms=int(time.time() * 1000) + 3 * 3_600_000)
    attempt("an unknown topic", "errors.made")
    producer.close()


def offsets(here):
    here.create("offsets.a", 2)
    producer = here.producer()
    for number in (0, 1, 2, 5, 3, 4):
        send(producer, "offsets.a", 0, number)
    producer.close()
    full, empty = TopicPartition("offsets.a", 0), TopicPartition("offsets.a", 1)
    consumer = here.consumer()
    print("begin ->", sorted(consumer.beginning_offsets([full, empty]).values()))
    print("end ->", sorted(consumer.end_offsets([full, empty]).values()))
    for after in (-1, 0, 1, 2500, 5000, 5001):
        found = consumer.offsets_for_times({full: BASE_TIME + after})[full]
        print(f"at {after:+} ->", found and (found.offset, found.timestamp - BASE_TIME))
    consumer.assign([full])
    consumer.seek(full, 4)
    print("seek 4 ->", shown(read(consumer, 2)[0]))
    consumer.seek_to_end(full)
    print("position at the end ->", consumer.position(full))
    consumer.close()


def balanced(count, *consumers):
    for consumer in consumers:
        consumer.poll(timeout_ms=20)
    return all(len(consumer.assignment()) == count for consumer in consumers)


def owned(*consumers):
    return sorted(place.partition for consumer in consumers for place in consumer.assignment())


def groups(here):
    here.create("groups.a", 4)
    producer = here.producer()
    for number in range(40):
        send(producer, "groups.a", number % 4, number)
    first = here.consumer("groups.a", group="groups")
    print("first life ->", len(read(first, 40)), "records")
    print("commit ->", outcome(first.commit))
    place = TopicPartition("groups.a", 0)
    print("committed ->", first.committed(place))
    print("alone ->", owned(first))
    second = here.consumer("groups.a", group="groups")
    until(lambda: balanced(2, first, second))
    print("two ->", owned(first, second))
    second.close()
    until(lambda: balanced(4, first))
    print("after a leave ->", owned(first))
    first.close()
    for number in range(8):
        send(producer, "groups.a", number % 4, number)
    producer.close()
    third = here.consumer("groups.a", group="groups")
    print("second life ->", len(read(third, 8)), "records")
    third.commit({place: OffsetAndMetadata(5, "größer", -1)})
    print("committed ->", third.committed(place, metadata=True).metadata)
    described = here.admin.describe_groups(["groups"])["groups"]
    print("described ->", described["group_state"], described["protocol_data"], len(described["members"]))
    third.close()
    group_offsets(here, place)
    pattern = here.consumer(group="groups.pattern", metadata_max_age_ms=300)
    pattern.subscribe(pattern="^groups[.]a$")
    until(lambda: balanced(4, pattern))
    print("pattern ->", owned(pattern))
    pattern.close()


def group_offsets(here, place):
    def kept():
        found = here.admin.list_group_offsets(["groups"])["groups"]
        return " ".join(f"{row.partition}@{found[row].offset}" for row in sorted(found))

    print("offsets ->", kept())
    here.admin.alter_group_offsets("groups", {place: OffsetAndMetadata(4, "", -1)})
    print("altered ->", kept())
    listed = [group for group in here.admin.list_groups() if group["group_id"] == "groups"]
    print("listed ->", [(group["protocol_type"], group["group_state"], group["group_type"]) for group in listed])
    print("deleted ->", here.admin.delete_groups(["groups"]))


SCENARIOS = [topics, configs, produce, errors, offsets, groups]


def main():
    logging.disable(logging.CRITICAL)
    here = Here(sys.argv[1])
    for scenario in SCENARIOS:
        if len(sys.argv) < 3 or sys.argv[2] == scenario.__name__:
            print("#", scenario.__name__, flush=True)
            scenario(here)
    here.admin.close()


main()
