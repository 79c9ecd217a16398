"""The scenarios of aiokafka: scenarios.py HOST:PORT [SCENARIO].

Prints one line per observation to stdout, the same on every run against a fresh broker: no ids, no ports,
no times of the broker.
"""

import asyncio
import logging
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, OffsetAndMetadata, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

BASE_TIME = 1_700_000_000_000


def error_name(code):
    return "ok" if code == 0 else for_code(code).__name__


async def outcome(awaitable):
    """What a call comes to: its value, or the name of the error."""
    try:
        value = await awaitable
    except Exception as error:  # every error is an observation
        return type(error).__name__
    return "ok" if value is None else value


async def named(awaitable):
    """The name of the error of a call, or ok."""
    value = await outcome(awaitable)
    return value if isinstance(value, str) else "ok"


class Here:
    """The broker under test and an admin client."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)

    def producer(self, **changes):
        return AIOKafkaProducer(bootstrap_servers=self.bootstrap, retry_backoff_ms=20, **changes)

    def consumer(self, **changes):
        changes = {"auto_offset_reset": "earliest", "fetch_max_wait_ms": 100, **changes}
        return AIOKafkaConsumer(bootstrap_servers=self.bootstrap, group_id=None, enable_auto_commit=False, **changes)

    async def create_error(self, name, partitions=1, replicas=1, configs=None, validate_only=False):
        topic = NewTopic(name, partitions, replicas, topic_configs=configs or {})
        response = await self.admin.create_topics([topic], validate_only=validate_only)
        return error_name(response.topic_errors[0][1])

    async def create(self, name, partitions, **configs):
        error = await self.create_error(name, partitions, configs={k.replace("_", "."): v for k, v in configs.items()})
        assert error == "ok", f"{name}: {error}"
        await until(lambda: self.has_partitions(name, partitions))

    async def partitions(self, name):
        found = await self.admin.describe_topics([name])
        leaders = [p for p in found[0]["partitions"] if p["leader"] >= 0]
        return found[0]["error_code"], len(leaders)

    async def has_partitions(self, name, count):
        return await self.partitions(name) == (0, count)

    async def gone(self, name):
        """Whether it is listed no more; describing it would create it."""
        return name not in await self.admin.list_topics()


async def until(so):
    deadline = time.monotonic() + 30
    while not await so():
        if time.monotonic() > deadline:
            raise TimeoutError("waited 30 s")
        await asyncio.sleep(0.01)


async def cluster(here):
    found = await here.admin.describe_cluster()
    print("brokers ->", len(found["brokers"]))
    print("controller is a broker ->", found["controller_id"] in [b["node_id"] for b in found["brokers"]])
    print("cluster id length ->", len(found["cluster_id"]))


async def topics(here):
    print("create ->", await here.create_error("topics.a", 3))
    await until(lambda: here.has_partitions("topics.a", 3))
    for name in ["topics.a", "", ".", "..", "a/b", "größe", "l" * 250, "topics_a"]:
        print(f"create '{name[:20]}' ->", await here.create_error(name))
    print("no partitions ->", await here.create_error("topics.zero", 0))
    print("two replicas ->", await here.create_error("topics.two", 1, 2))
    print("unknown key ->", await here.create_error("topics.key", configs={"no.such.key": "1"}))
    print("bad value ->", await here.create_error("topics.value", configs={"retention.ms": "soon"}))
    print("validate ->", await here.create_error("topics.dry", validate_only=True))
    print("list ->", sorted(name for name in await here.admin.list_topics() if name.startswith("topics.")))
    for count in (5, 5, 2):
        print(f"grow to {count} ->", await named(here.admin.create_partitions({"topics.a": NewPartitions(count)})))
    await until(lambda: here.has_partitions("topics.a", 5))
    print("grow unknown ->", await named(here.admin.create_partitions({"topics.absent": NewPartitions(2)})))
    for name in ("topics.a", "topics.absent"):
        response = await here.admin.delete_topics([name])
        print(f"delete {name} ->", error_name(response.topic_error_codes[0][1]))
    await until(lambda: here.gone("topics.a"))
    await here.create("topics.a", 2)
    print("recreated ->", await here.partitions("topics.a"))


async def configs(here):
    await here.create("configs.a", 1, segment_ms="444000", index_interval_bytes="8192")
    keys = ["cleanup.policy", "compression.type", "max.message.bytes", "message.timestamp.type", "index.interval.bytes", "segment.ms"]
    for name in ("configs.a", "configs.absent"):
        resource = ConfigResource(ConfigResourceType.TOPIC, name)
        for response in await here.admin.describe_configs([resource]):
            code, _, _, _, entries = response.resources[0]
            print(f"describe {name} ->", error_name(code))
            by_name = {entry[0]: entry for entry in entries}
            for key in keys:
                if key in by_name:
                    print(f"{key} ->", by_name[key][1], f"read_only={by_name[key][2]}", f"source={by_name[key][3]}")


def shown(record):
    headers = " ".join(f"{key}={value.decode() if value is not None else None}" for key, value in record.headers)
    key = record.key.decode() if record.key is not None else None
    value = record.value.decode() if record.value is not None else None
    return f"{record.topic}-{record.partition}@{record.offset} +{record.timestamp - BASE_TIME} {key}={value} {headers}"


async def send(producer, topic, partition, number):
    return await producer.send_and_wait(
        topic, f"value-{number}".encode(), key=f"key-{number}".encode(), partition=partition,
        timestamp_ms=BASE_TIME + number * 1000, headers=[("n", str(number).encode()), ("null", None)])


async def read(consumer, count):
    """The next records, in order of topic, partition and offset."""
    records = []
    deadline = time.monotonic() + 20
    while len(records) < count and time.monotonic() < deadline:
        for batch in (await consumer.getmany(timeout_ms=100)).values():
            records.extend(batch)
    return sorted(records, key=lambda r: (r.topic, r.partition, r.offset))


async def produce(here):
    await here.create("produce.a", 2)
    modes = {"idempotent": {"enable_idempotence": True}, "all": {"acks": "all"}, "1": {"acks": 1}, "0": {"acks": 0}}
    for name, changes in modes.items():
        async with here.producer(**changes) as producer:
            for number in range(4):
                sent = await send(producer, "produce.a", number % 2, number)
                place = f"{sent.partition}@{sent.offset}" if name != "0" else "sent"
                print(f"{name} produce[{number}] ->", place)
    async with here.consumer() as consumer:
        consumer.assign([TopicPartition("produce.a", 0), TopicPartition("produce.a", 1)])
        for record in await read(consumer, 16):
            print("read ->", shown(record))


async def codecs(here):
    for codec in (None, "gzip", "snappy", "lz4", "zstd"):
        topic = f"codecs.{codec}"
        await here.create(topic, 1)
        async with here.producer(compression_type=codec, linger_ms=30) as producer:
            waiting = [await producer.send(topic, b"v" * 300 + str(n).encode(), timestamp_ms=BASE_TIME + n) for n in range(20)]
            await asyncio.gather(*waiting)
        async with here.consumer() as consumer:
            consumer.assign([TopicPartition(topic, 0)])
            records = await read(consumer, 20)
        good = [r.value == b"v" * 300 + str(n).encode() and r.offset == n for n, r in enumerate(records)]
        print(f"{codec} -> {sum(good)} of {len(records)} records")


async def errors(here):
    await here.create("errors.small", 1, max_message_bytes="500")
    async with here.producer(request_timeout_ms=5000) as producer:
        async def attempt(what, topic, **record):
            print(f"{what} ->", await named(producer.send_and_wait(topic, **{"value": b"v", **record})))

        await attempt("too large", "errors.small", value=b"v" * 2000)
        await attempt("fits", "errors.small")
        await attempt("invalid topic", "a/b")
        await attempt("in the future", "errors.small", timestamp_ms=int(time.time() * 1000) + 3 * 3_600_000)


async def autocreate(here):
    async with here.producer() as producer:
        sent = await producer.send_and_wait("autocreate.made", b"v")
        print("producer ->", f"{sent.partition}@{sent.offset}")
    print("made ->", await here.partitions("autocreate.made"))


async def offsets(here):
    await here.create("offsets.a", 2)
    full, empty = TopicPartition("offsets.a", 0), TopicPartition("offsets.a", 1)
    async with here.producer() as producer:
        for number in (0, 1, 2, 5, 3, 4):
            await send(producer, "offsets.a", 0, number)
    for isolation in ("read_uncommitted", "read_committed"):
        async with here.consumer(isolation_level=isolation) as consumer:
            print(f"{isolation} begin ->", sorted((await consumer.beginning_offsets([full, empty])).values()))
            print(f"{isolation} end ->", sorted((await consumer.end_offsets([full, empty])).values()))
            for after in (-1, 0, 1, 2500, 5000, 5001):
                found = (await consumer.offsets_for_times({full: BASE_TIME + after}))[full]
                print(f"{isolation} at {after:+} ->", found and (found.offset, found.timestamp - BASE_TIME))
            consumer.assign([full])
            consumer.seek(full, 4)
            print(f"{isolation} seek 4 ->", shown((await read(consumer, 1))[0]))
            await consumer.seek_to_end(full)
            print(f"{isolation} position at the end ->", await consumer.position(full))
    async with here.consumer(auto_offset_reset="none") as consumer:
        consumer.assign([full])
        consumer.seek(full, 100)
        print("seek 100 without reset ->", await outcome(consumer.getone()))


async def sessions(here):
    """One consumer over six partitions, of which some have news in each round."""
    await here.create("sessions.a", 6)
    places = [TopicPartition("sessions.a", partition) for partition in range(6)]
    async with here.consumer() as consumer, here.producer() as producer:
        consumer.assign(places)
        for number in range(8):
            fed = range(6) if number == 4 else (number % 6, (number * 5 + 2) % 6)
            for partition in dict.fromkeys(fed):
                await send(producer, "sessions.a", partition, number)
            records = await read(consumer, len(set(fed)))
            print(f"round {number} ->", " ".join(f"{r.partition}@{r.offset}" for r in records))


def owned(consumer):
    return sorted(place.partition for place in consumer.assignment())


class Listener(ConsumerRebalanceListener):
    """Writes down what a rebalance takes and gives."""

    def __init__(self):
        self.events = []

    async def on_partitions_revoked(self, revoked):
        self.events.append(f"revoked {len(revoked)}")

    async def on_partitions_assigned(self, assigned):
        self.events.append(f"assigned {len(assigned)}")


async def groups(here):
    await here.create("groups.a", 4)
    async with here.producer() as producer:
        for number in range(40):
            await send(producer, "groups.a", number % 4, number)

    def member(group, **changes):
        changes = {"session_timeout_ms": 10_000, "heartbeat_interval_ms": 200, "retry_backoff_ms": 20, **changes}
        changes = {"auto_offset_reset": "earliest", "fetch_max_wait_ms": 100, **changes}
        return AIOKafkaConsumer(bootstrap_servers=here.bootstrap, group_id=group, enable_auto_commit=False, **changes)

    first = member("groups")
    await first.start()
    listener = Listener()
    first.subscribe(["groups.a"], listener=listener)
    print("first life ->", len(await read(first, 40)), "records")
    print("commit ->", await outcome(first.commit()))
    place = TopicPartition("groups.a", 0)
    print("committed ->", await first.committed(place))
    print("alone ->", owned(first))
    second = member("groups")
    await second.start()
    second.subscribe(["groups.a"])
    await until(lambda: balanced(2, first, second))
    print("two ->", sorted(owned(first) + owned(second)))
    await second.stop()
    await until(lambda: balanced(4, first))
    print("after a leave ->", owned(first))
    print("first event ->", listener.events[0], "then", listener.events[1])
    await first.stop()
    async with here.producer() as producer:
        for number in range(8):
            await send(producer, "groups.a", number % 4, number)
    third = member("groups")
    await third.start()
    third.subscribe(["groups.a"])
    print("second life ->", len(await read(third, 8)), "records")
    third.seek(place, 3)
    print("after a seek ->", await third.position(place))
    noted = {place: OffsetAndMetadata(5, "größer")}
    print("commit with a note ->", await outcome(third.commit(noted)))
    print("committed ->", await third.committed(place))
    long = {place: OffsetAndMetadata(5, "m" * 5000)}
    print("note too long ->", await named(third.commit(long)))
    await third.stop()
    found = await here.admin.list_consumer_group_offsets("groups")
    print("offsets ->", found[place].offset, found[place].metadata)
    listed = await here.admin.list_consumer_groups()
    print("listed ->", sorted(group for group in listed if group[0].startswith("groups")))
    pattern = member("groups.regex", metadata_max_age_ms=300)
    await pattern.start()
    pattern.subscribe(pattern="^groups[.]a$")
    await until(lambda: balanced(4, pattern))
    print("pattern ->", owned(pattern))
    await pattern.stop()


async def balanced(count, *consumers):
    for consumer in consumers:
        await consumer.getmany(timeout_ms=20)
    return all(len(owned(consumer)) == count for consumer in consumers)


SCENARIOS = [cluster, topics, configs, produce, codecs, errors, autocreate, offsets, sessions, groups]


async def main():
    logging.disable(logging.CRITICAL)
    here = Here(sys.argv[1])
    await here.admin.start()
    for scenario in SCENARIOS:
        if len(sys.argv) < 3 or sys.argv[2] == scenario.__name__:
            print("#", scenario.__name__, flush=True)
            await scenario(here)
    await here.admin.close()


asyncio.run(main())
