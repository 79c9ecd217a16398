"""The Python client of the gRPC suite: does the scenario of go/main.go and prints the same lines.

    scenario.py HOST:PORT TOPIC    TOPIC must not exist yet; broker_pb2 is generated beside it
"""

import json
import sys

import grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

import broker_pb2 as pb
import broker_pb2_grpc

PATIENCE_S = 60
TIME_0 = 1_700_000_000_000


class Scenario:
    def __init__(self, channel, topic):
        self.client = broker_pb2_grpc.BrokerStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)
        self.topic = topic
        self.consumer = "consumer-of-" + topic

    def say(self, what, seen):
        """One observation; the name of the topic is each run's own."""
        print(f"{what} -> {seen}".replace(self.topic, "TOPIC"), flush=True)

    def ask(self, what, method, request, show, *facts):
        try:
            answer = method(request, timeout=PATIENCE_S)
        except grpc.RpcError as error:
            self.say(what, told(error, facts))
        else:
            self.say(what, show(answer))

    def topics(self):
        print("# topics")
        for request in [
            pb.CreateTopicRequest(topic=self.topic, partitions=3, configs={"segment.bytes": "1048576"}),
            pb.CreateTopicRequest(topic=self.topic, partitions=3),
            pb.CreateTopicRequest(topic=".."),
            pb.CreateTopicRequest(topic="a/b"),
            pb.CreateTopicRequest(topic=self.topic + "-new", partitions=0),
            pb.CreateTopicRequest(topic=self.topic + "-new", configs={"segment.byte": "1"}),
        ]:
            self.ask(
                f"CreateTopic {request.topic} {number(request, 'partitions')}",
                self.client.CreateTopic,
                request,
                lambda made: f"{made.topic}, {number(made, 'partitions')} partitions, "
                f"id of {len(made.topic_id)} characters",
                "topic",
            )
        for partitions in [4, 4]:
            self.ask(
                f"AddPartitions {partitions}",
                self.client.AddPartitions,
                pb.AddPartitionsRequest(topic=self.topic, partitions=partitions),
                lambda grown: number(grown, "partitions"),
                "current_partitions",
            )
        self.ask("ListTopics", self.client.ListTopics, pb.ListTopicsRequest(), self.listed)
        self.describe()

    def listed(self, answer):
        found = [topic for topic in answer.topics if topic.topic == self.topic]
        return f"{found[0].topic} {number(found[0], 'partitions')}" if found else "not there"

    def describe(self):
        def show(answer):
            words = [
                f"{number(it, 'partition')}: {number(it, 'start_offset')} to {number(it, 'end_offset')} "
                f"in {number(it, 'segments')}"
                for it in answer.partitions
            ]
            return f"{'; '.join(words)}, segment.bytes {answer.configs['segment.bytes']}"

        request = pb.DescribeTopicRequest(topic=self.topic)
        self.ask("DescribeTopic", self.client.DescribeTopic, request, show, "topic")

    def produce_one(self, what, request, *facts):
        def show(answer):
            return (
                f"partition {number(answer, 'partition')} offset {number(answer, 'offset')} "
                f"time {shown_time(answer)}"
            )

        self.ask("Produce " + what, self.client.Produce, request, show, *facts)

    def produce(self):
        print("# produce")
        topic = self.topic
        headers = [
            pb.Header(key="trace", value=b"abc"),
            pb.Header(key="empty", value=b""),
            pb.Header(key="none"),
        ]
        self.produce_one("first", pb.ProduceRequest(topic=topic, payload=b"first"))
        self.produce_one(
            "whole",
            pb.ProduceRequest(topic=topic, payload=b"second", key=b"key", timestamp_ms=TIME_0, headers=headers),
        )
        self.produce_one("empty", pb.ProduceRequest(topic=topic, key=b"", timestamp_ms=0))
        for key in ["a", "b", "order-17"]:
            request = pb.ProduceRequest(topic=topic, partition=-1, key=key.encode())
            self.produce_one("chosen " + key, request)
        self.produce_one("nowhere", pb.ProduceRequest(topic=topic + "-nowhere"), "topic")
        self.produce_one("partition 9", pb.ProduceRequest(topic=topic, partition=9), "partition", "partitions")
        self.produce_one("partition -2", pb.ProduceRequest(topic=topic, partition=-2), "partition")
        self.produce_one("time -1", pb.ProduceRequest(topic=topic, timestamp_ms=-1), "timestamp_ms")
        self.produce_one(
            "1048588 bytes", pb.ProduceRequest(topic=topic, payload=bytes(1048588)), "limit_bytes"
        )
        self.produce_one("2000000 bytes", pb.ProduceRequest(topic=topic, payload=bytes(2000000)))

    def produce_stream(self):
        print("# produce stream")
        topic = self.topic
        self.stream(
            "1000",
            [
                pb.ProduceRequest(topic=topic, partition=1 + index % 2, payload=str(index).encode())
                for index in range(1000)
            ],
        )
        self.stream(
            "2 and a bad one",
            [
                pb.ProduceRequest(topic=topic, partition=3, payload=b"x"),
                pb.ProduceRequest(topic=topic, partition=3, payload=b"y"),
                pb.ProduceRequest(topic=topic + "-nowhere"),
                pb.ProduceRequest(topic=topic, partition=3, payload=b"never"),
            ],
        )
        self.describe()

    def stream(self, what, requests):
        """Sends all requests while answers are read, and tells how many came in which order."""
        following, count, order, end = {}, 0, "in order", "the end"
        try:
            for answer in self.client.ProduceStream(iter(requests), timeout=PATIENCE_S):
                partition = answer.partition
                expected = following.get(partition, answer.offset)
                if answer.offset != expected or partition != requests[count].partition:
                    order = "out of order"
                following[partition] = answer.offset + 1
                count += 1
        except grpc.RpcError as error:
            end = told(error, ["topic"])
        self.say("ProduceStream " + what, f"{count} answers {order}, then {end}")

    def records(self, what, request, *facts):
        """Tells all that a Consume gives, up to its end."""
        request.topic = self.topic
        end = "the end"
        try:
            for record in self.client.Consume(request, timeout=PATIENCE_S):
                self.say("Consume " + what, shown(record))
        except grpc.RpcError as error:
            end = told(error, facts)
        self.say("Consume " + what, end)

    def consume(self):
        print("# consume")
        self.records("all", pb.ConsumeRequest(offset=0, until_end=True))
        self.records("from 1, one", pb.ConsumeRequest(offset=1, max_messages=1))
        self.records("from 2, 50 ms", pb.ConsumeRequest(offset=2, max_wait_ms=50))
        self.records("from the end", pb.ConsumeRequest(partition=1, offset=501, until_end=True))
        beyond = pb.ConsumeRequest(partition=1, offset=502)
        self.records("beyond the end", beyond, "first_offset", "last_offset", "end_offset")
        self.records("from -1", pb.ConsumeRequest(offset=-1), "offset")
        self.records("partition 9", pb.ConsumeRequest(partition=9), "partition")
        self.follow()

    def follow(self):
        """Begins at the end of the log and sees what is written then."""
        request = pb.ConsumeRequest(topic=self.topic, partition=3, offset=2)
        stream = self.client.Consume(request, timeout=PATIENCE_S)
        # The answer's head says that the stream has begun.
        stream.initial_metadata()
        for payload in ["new", "newer"]:
            self.produce_one(
                payload, pb.ProduceRequest(topic=self.topic, partition=3, payload=payload.encode())
            )
            self.say("follow", shown(next(stream)))
        stream.cancel()

    def consumers(self):
        print("# consumers")

        def by(most, **more):
            return pb.ConsumeRequest(partition=1, consumer=self.consumer, max_messages=most, **more)

        self.records("two", by(2))
        self.records("two more", by(2))
        self.records("without advance", by(1, auto_advance=False))
        self.records("without advance", by(1, auto_advance=False))
        for offset in [0, -1, 502, 400]:
            self.ask(
                f"CommitOffset {offset}",
                self.client.CommitOffset,
                pb.CommitOffsetRequest(consumer=self.consumer, topic=self.topic, partition=1, offset=offset),
                lambda stored: number(stored, "offset"),
                "first_offset",
                "last_offset",
            )
        self.records("after the commit", by(1))
        self.seek("offset 300", pb.SeekRequest(offset=300))
        self.records("after the seek", by(1))
        self.seek("start", pb.SeekRequest(start=True))
        self.seek("end", pb.SeekRequest(end=True))
        self.seek("time 0", pb.SeekRequest(timestamp_ms=0))
        self.seek("offset 502", pb.SeekRequest(offset=502), "end_offset")
        self.seek("nowhere", pb.SeekRequest())

    def seek(self, what, request, *facts):
        request.consumer, request.topic, request.partition = self.consumer, self.topic, 1
        self.ask("Seek " + what, self.client.Seek, request, lambda moved: number(moved, "offset"), *facts)

    def offsets(self):
        print("# offsets")

        def show(answer):
            return "; ".join(
                f"{number(it, 'partition')}: {number(it, 'start_offset')} to {number(it, 'end_offset')} "
                f"at {number(it, 'offset_at_timestamp')}"
                for it in answer.partitions
            )

        for request in [
            pb.GetOffsetsRequest(),
            pb.GetOffsetsRequest(partition=0, timestamp_ms=TIME_0 + 1),
            pb.GetOffsetsRequest(partition=0, timestamp_ms=1 << 60),
            pb.GetOffsetsRequest(partition=9),
        ]:
            request.topic = self.topic
            what = f"GetOffsets {number(request, 'partition')} {number(request, 'timestamp_ms')}"
            self.ask(what, self.client.GetOffsets, request, show, "partition")

    def end(self):
        print("# end")
        for service in ["", "broker.Broker"]:
            self.ask(
                f'Check "{service}"',
                self.health.Check,
                health_pb2.HealthCheckRequest(service=service),
                lambda answer: health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status),
            )
        for _ in range(2):
            request = pb.DeleteTopicRequest(topic=self.topic)
            self.ask("DeleteTopic", self.client.DeleteTopic, request, lambda deleted: deleted.topic, "topic")
        self.describe()


def told(error, facts):
    """An error: its code, its reason and the facts asked for."""
    words = [error.code().name]
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            words.append(f"{info.domain}/{info.reason}")
            words += [f"{fact}={info.metadata[fact]}" for fact in facts]
    return " ".join(words)


def number(message, field):
    return str(getattr(message, field)) if message.HasField(field) else "absent"


def shown_time(message):
    """Hides the broker's own clock."""
    is_now = message.HasField("timestamp_ms") and message.timestamp_ms > TIME_0 + 1_000_000_000
    return "NOW" if is_now else number(message, "timestamp_ms")


def text(message, field):
    return json.dumps(getattr(message, field).decode()) if message.HasField(field) else "absent"


def shown(record):
    words = (
        f"{record.topic}-{number(record, 'partition')}@{number(record, 'offset')} "
        f"time {shown_time(record)} key {text(record, 'key')} payload {text(record, 'payload')}"
    )
    return " ".join([words] + [f"{header.key}:{text(header, 'value')}" for header in record.headers])


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: scenario.py HOST:PORT TOPIC")
    with grpc.insecure_channel(sys.argv[1]) as channel:
        scenario = Scenario(channel, sys.argv[2])
        scenario.topics()
        scenario.produce()
        scenario.produce_stream()
        scenario.consume()
        scenario.consumers()
        scenario.offsets()
        scenario.end()


main()
