"""The scenarios of confluent-kafka, which is librdkafka at its newest: confluent.py HOST:PORT [SCENARIO].

Prints one line per observation to stdout, the same on every run against a fresh broker: no ids, no ports,
no times of the broker.
"""

import sys
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType)

BASE_TIME = 1_700_000_000_000


def outcome(call):
    """What a call comes to: its value, ok for none, or the name of the error."""
    try:
        value = call()
    except KafkaException as error:
        return error.args[0].name()
    return "ok" if value is None else value


def each(futures):
    """The outcome of the only future of an admin call."""
    (future,) = futures.values()
    return outcome(lambda: future.result(30))


def named(value):
    return value if isinstance(value, str) else "ok"


def until(so):
    deadline = time.monotonic() + 30
    while not so():
        if time.monotonic() > deadline:
            raise TimeoutError("waited 30 s")
        time.sleep(0.01)


class Here:
    """The broker under test and an admin client."""

    def __init__(self, bootstrap):
        self.bootstrap = {"bootstrap.servers": bootstrap, "log_level": 0, "topic.metadata.refresh.interval.ms": 300}
        self.admin = AdminClient(self.bootstrap)

    def producer(self, **changes):
        return Producer({**self.bootstrap, **named_as_config(changes)})

    def consumer(self, group, **changes):
        fixed = {"group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
        return Consumer({**self.bootstrap, **fixed, "fetch.wait.max.ms": 100, **named_as_config(changes)})

    def partitions(self, topic):
        found = self.admin.list_topics(timeout=10).topics.get(topic)
        return len(found.partitions) if found else 0

    def create(self, topic, partitions, **configs):
        made = each(self.admin.create_topics([NewTopic(topic, partitions, 1, config=named_as_config(configs))]))
        assert made == "ok", f"{topic}: {made}"
        until(lambda: self.partitions(topic) == partitions)


def named_as_config(changes):
    return {key.replace("_", "."): value for key, value in changes.items()}


def cluster(here):
    found = here.admin.list_topics(timeout=10)
    print("cluster id length ->", len(found.cluster_id))
    print("brokers ->", len(found.brokers))
    print("controller is a broker ->", found.controller_id in found.brokers)
    described = here.admin.describe_cluster().result(30)
    print("described ->", len(described.nodes), "nodes, the same id", described.cluster_id == found.cluster_id)


def topics(here):
    def create(topic, partitions=1, replicas=1, **configs):
        return each(here.admin.create_topics([NewTopic(topic, partitions, replicas, config=configs)]))

    print("create ->", create("topics.a", 3))
    until(lambda: here.partitions("topics.a") == 3)
    for name in ("topics.a", ".", "a/b", "größe", "l" * 250, "topics_a"):
        print(f"create '{name[:20]}' ->", create(name))
    print("no partitions ->", create("topics.zero", 0))
    print("two replicas ->", create("topics.two", 1, 2))
    print("unknown key ->", create("topics.key", **{"no.such.key": "1"}))
    print("by default ->", create("topics.default", -1, -1))
    listed = here.admin.list_topics(timeout=10).topics
    print("list ->", sorted(name for name in listed if name.startswith("topics.")))
    for count in (5, 5, 2):
        print(f"grow to {count} ->", each(here.admin.create_partitions([NewPartitions("topics.a", count)])))
    for name in ("topics.a", "topics.missing"):
        print(f"delete {name} ->", each(here.admin.delete_topics([name])))
    until(lambda: here.partitions("topics.a") == 0)
    here.create("topics.a", 2)
    print("recreated ->", here.partitions("topics.a"))


def configs(here):
    here.create("configs.a", 1, segment_ms="444000")
    keys = ("max.message.bytes", "segment.ms", "message.timestamp.type")

    def described(name):
        found = each(here.admin.describe_configs([ConfigResource(ResourceType.TOPIC, name)]))
        if isinstance(found, str):
            return found
        return " ".join(f"{key}={found[key].value}/{found[key].source}" for key in keys)

    def alter(key, value, operation):
        entry = ConfigEntry(key, value, incremental_operation=operation)
        resource = ConfigResource(ResourceType.TOPIC, "configs.a", incremental_configs=[entry])
        return each(here.admin.incremental_alter_configs([resource]))

    print("described ->", described("configs.a"))
    print("absent ->", described("configs.absent"))
    print("set ->", alter("max.message.bytes", "100000", AlterConfigOpType.SET))
    print("set to nonsense ->", alter("max.message.bytes", "many", AlterConfigOpType.SET))
    print("delete ->", alter("segment.ms", None, AlterConfigOpType.DELETE))
    until(lambda: "segment.ms=604800000" in described("configs.a"))
    print("described ->", described("configs.a"))


def produced(producer, topic, partition, number, **changes):
    """Sends a record and gives its place, or the name of the error."""
    told = []
    producer.produce(
        topic, f"value-{number}", f"key-{number}", partition, timestamp=BASE_TIME + number * 1000,
        headers=[("n", str(number)), ("null", None)], on_delivery=lambda error, message: told.append((error, message)),
        **changes)
    producer.flush(30)
    error, message = told[0]
    return error.name() if error else f"{message.partition()}@{message.offset()}"


def shown(message):
    headers = " ".join(f"{key}={value and value.decode()}" for key, value in message.headers() or [])
    time_ms = message.timestamp()[1] - BASE_TIME
    return f"{message.partition()}@{message.offset()} +{time_ms} {message.key().decode()}={message.value().decode()} {headers}"


def read(consumer, count):
    """The next records, in order of partition and offset."""
    records = []
    deadline = time.monotonic() + 20
    while len(records) < count and time.monotonic() < deadline:
        records += [m for m in consumer.consume(count - len(records), 0.1) if not m.error()]
    return sorted(records, key=lambda m: (m.partition(), m.offset()))


def produce(here):
    here.create("produce.a", 2)
    modes = {"idempotent": {"enable_idempotence": True}, "all": {"acks": "all"}, "1": {"acks": "1"}, "0": {"acks": "0"}}
    for name, changes in modes.items():
        producer = here.producer(**changes)
        for number in range(4):
            place = produced(producer, "produce.a", number % 2, number)
            print(f"{name} produce[{number}] ->", "sent" if name == "0" else place)
    consumer = here.consumer("produce")
    consumer.assign([TopicPartition("produce.a", partition, 0) for partition in (0, 1)])
    for message in read(consumer, 16):
        print("read ->", shown(message))
    consumer.close()


def codecs(here):
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        topic = f"codecs.{codec}"
        here.create(topic, 1)
        producer = here.producer(compression_type=codec, linger_ms=30)
        for number in range(20):
            producer.produce(topic, "v" * 300 + str(number))
        producer.flush(30)
        consumer = here.consumer("codecs")
        consumer.assign([TopicPartition(topic, 0, 0)])
        records = read(consumer, 20)
        good = [m.value().decode() == "v" * 300 + str(n) and m.offset() == n for n, m in enumerate(records)]
        print(f"{codec} -> {sum(good)} of {len(records)} records")
        consumer.close()


def errors(here):
    here.create("errors.small", 1, max_message_bytes="500")
    producer = here.producer(linger_ms=0, message_timeout_ms=5000)

    def attempt(what, topic, **record):
        told = []
        producer.produce(topic, **{"value": "v", **record}, on_delivery=lambda error, _: told.append(error))
        producer.flush(30)
        print(f"{what} ->", told[0].name() if told[0] else "ok")

    attempt("too large", "errors.small", value="v" * 2000)
    attempt("fits", "errors.small")
    attempt("in the future", "errors.small", timestamp=int(time.time() * 1000) + 3 * 3_600_000)
    attempt("an unknown topic", "errors.made")


def offsets(here):
    here.create("offsets.a", 2)
    producer = here.producer()
    for number in (0, 1, 2, 5, 3, 4):
        produced(producer, "offsets.a", 0, number)
    full, empty = TopicPartition("offsets.a", 0), TopicPartition("offsets.a", 1)
    consumer = here.consumer("offsets")
    for place in (full, empty):
        print(f"watermarks of {place.partition} ->", consumer.get_watermark_offsets(place, timeout=10))
    for after in (-1, 0, 1, 2500, 5000, 5001):
        asked = [TopicPartition("offsets.a", 0, BASE_TIME + after)]
        print(f"at {after:+} ->", consumer.offsets_for_times(asked, timeout=10)[0].offset)
    for name in ("earliest", "latest", "max_timestamp"):
        found = each(here.admin.list_offsets({full: getattr(OffsetSpec, name)()}))
        time_ms = found.timestamp - BASE_TIME if found.timestamp >= 0 else found.timestamp
        print(f"{name} ->", found.offset, time_ms)
    consumer.assign([TopicPartition("offsets.a", 0, 4)])
    print("from 4 ->", " ".join(str(m.offset()) for m in read(consumer, 2)))
    consumer.seek(TopicPartition("offsets.a", 0, 2))
    print("seek 2 ->", " ".join(str(m.offset()) for m in read(consumer, 4)))
    consumer.close()


class Member:
    """A member of a group that keeps what it owns."""

    def __init__(self, here, group, topics, **changes):
        self.owned = []
        self.consumer = here.consumer(group, session_timeout_ms=10_000, heartbeat_interval_ms=200, **changes)
        self.consumer.subscribe(topics, on_assign=self.take, on_revoke=self.give)

    def take(self, _, places):
        self.owned = sorted(place.partition for place in places)

    def give(self, _, __):
        self.owned = []


def balanced(count, *members):
    for member in members:
        member.consumer.consume(10, 0.02)
    return all(len(member.owned) == count for member in members)


def groups(here):
    here.create("groups.a", 4)
    producer = here.producer()
    for number in range(40):
        produced(producer, "groups.a", number % 4, number)
    first = Member(here, "groups", ["groups.a"])
    print("first life ->", len(read(first.consumer, 40)), "records")
    print("commit ->", sum(place.offset for place in first.consumer.commit(asynchronous=False)))
    print("alone ->", first.owned)
    second = Member(here, "groups", ["groups.a"])
    until(lambda: balanced(2, first, second))
    print("two ->", sorted(first.owned + second.owned))
    second.consumer.close()
    until(lambda: balanced(4, first))
    print("after a leave ->", first.owned)
    first.consumer.close()
    for number in range(8):
        produced(producer, "groups.a", number % 4, number)
    third = Member(here, "groups", ["groups.a"])
    print("second life ->", len(read(third.consumer, 8)), "records")
    place = TopicPartition("groups.a", 0, 5, metadata="größer")
    third.consumer.commit(offsets=[place], asynchronous=False)
    print("committed ->", third.consumer.committed([place], timeout=10)[0].offset)
    described = each(here.admin.describe_consumer_groups(["groups"]))
    print("described ->", described.state.name, described.partition_assignor, len(described.members), described.is_simple_consumer_group)
    print("delete a live group ->", named(each(here.admin.delete_consumer_groups(["groups"]))))
    third.consumer.close()
    group_offsets(here)


def group_offsets(here):
    def kept():
        found = each(here.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("groups")]))
        rows = sorted(found.topic_partitions, key=lambda row: row.partition)
        return " ".join(f"{row.partition}@{row.offset}" for row in rows)

    print("offsets ->", kept())
    changed = ConsumerGroupTopicPartitions("groups", [TopicPartition("groups.a", 1, 4)])
    print("alter ->", named(each(here.admin.alter_consumer_group_offsets([changed]))))
    print("offsets ->", kept())
    listed = here.admin.list_consumer_groups().result(30).valid
    print("listed ->", sorted((group.group_id, group.state.name) for group in listed if group.group_id == "groups"))
    print("delete ->", named(each(here.admin.delete_consumer_groups(["groups"]))))
    print("delete again ->", named(each(here.admin.delete_consumer_groups(["groups"]))))


def members(here):
    """Static members, a pattern and cooperative rebalances."""
    here.create("members.a", 4)
    static = {"group_instance_id": "one", "partition_assignment_strategy": "range"}
    first = Member(here, "members.static", ["members.a"], **static)
    until(lambda: balanced(4, first))
    first.consumer.close()
    second = Member(here, "members.static", ["members.a"], **static)
    until(lambda: balanced(4, second))
    described = each(here.admin.describe_consumer_groups(["members.static"]))
    print("static ->", [member.group_instance_id for member in described.members], second.owned)
    second.consumer.close()
    pattern = Member(here, "members.pattern", ["^members[.].*"])
    until(lambda: balanced(4, pattern))
    print("pattern ->", pattern.owned)
    here.create("members.b", 1)
    until(lambda: balanced(5, pattern))
    print("pattern, a topic more ->", pattern.owned)
    pattern.consumer.close()


class Young:
    """A member of the new protocol (KIP-848): it keeps what it owns and what it has read."""

    def __init__(self, here, group, topics, **changes):
        self.owned, self.read = set(), 0
        self.consumer = here.consumer(group, group_protocol="consumer", **changes)
        self.consumer.subscribe(topics, on_assign=self.take, on_revoke=self.give)

    def take(self, _, places):
        self.owned |= {(place.topic, place.partition) for place in places}

    def give(self, _, places):
        self.owned -= {(place.topic, place.partition) for place in places}

    def turn(self):
        self.read += sum(1 for record in self.consumer.consume(10, 0.02) if not record.error())


def young_have(count, *members):
    for member in members:
        member.turn()
    return sum(len(member.owned) for member in members) == count and all(member.owned for member in members)


def young_read(member, count):
    until(lambda: member.turn() or member.read >= count)
    return member.read


def newgroups(here):
    here.create("newgroups.a", 4)
    here.create("newgroups.b", 1)

    def fill(count):
        producer = here.producer()
        for number in range(count):
            producer.produce("newgroups.a", f"v{number}", partition=number % 4)
        assert producer.flush(30) == 0

    fill(40)
    first = Young(here, "newgroups", ["newgroups.a"])
    until(lambda: young_have(4, first))
    print("first life ->", young_read(first, 40), "records")
    print("commit ->", len(outcome(lambda: first.consumer.commit(asynchronous=False))), "partitions")
    second = Young(here, "newgroups", ["newgroups.a"])
    until(lambda: young_have(4, first, second))
    print("two ->", sorted([len(first.owned), len(second.owned)]))
    described = each(here.admin.describe_consumer_groups(["newgroups"]))
    print("described ->", described.type.name, described.partition_assignor, len(described.members))
    second.consumer.close()
    until(lambda: young_have(4, first))
    print("after a leave ->", len(first.owned))
    print("delete a live group ->", named(each(here.admin.delete_consumer_groups(["newgroups"]))))
    first.consumer.close()
    fill(8)
    third = Young(here, "newgroups", ["newgroups.a"])
    print("second life ->", young_read(third, 8), "records")
    third.consumer.close()
    for life in ("static ->", "static restarted ->"):
        static = Young(here, "newgroups.static", ["newgroups.a"], group_instance_id="one")
        until(lambda: young_have(4, static))
        print(life, len(static.owned))
        static.consumer.close()
    ranged = Young(here, "newgroups.range", ["newgroups.a"], group_remote_assignor="range")
    until(lambda: young_have(4, ranged))
    print("range ->", each(here.admin.describe_consumer_groups(["newgroups.range"])).partition_assignor)
    ranged.consumer.close()
    pattern = Young(here, "newgroups.pattern", ["^newgroups[.][ab]"])
    until(lambda: young_have(5, pattern))
    print("pattern ->", sorted(pattern.owned))
    pattern.consumer.close()
    for group in ("newgroups", "newgroups.range"):
        print("delete ->", named(each(here.admin.delete_consumer_groups([group]))))


SCENARIOS = [cluster, topics, configs, produce, codecs, errors, offsets, groups, members, newgroups]


def main():
    here = Here(sys.argv[1])
    for scenario in SCENARIOS:
        if len(sys.argv) < 3 or sys.argv[2] == scenario.__name__:
            print("#", scenario.__name__, flush=True)
            scenario(here)


main()
