"""The crash producer of librdkafka: produce.py HOST:PORT TOPIC PARTITIONS RATE FILE.

Writes records to every partition in turn, idempotently, until stdin ends, and rides through a broker that goes
away and comes back. Every acknowledgement becomes a line of FILE: partition, offset, sequence. The key of a
record is the producer's name and the record's sequence in its partition.
"""

import os
import random
import sys
import threading
import time

from confluent_kafka import Producer

NAME = "librdkafka"
PAUSE = 0.01


def main(bootstrap, topic, partitions, rate, path):
    problems = []

    def on_error(error):
        # That the broker is away is what this is about; only what ends the producer counts.
        if error.fatal():
            problems.append(f"fatal: {error}")

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 2,
            "message.timeout.ms": 0,  # never given up
            "retry.backoff.ms": 50,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 200,
            "queue.buffering.max.messages": 10_000,
            "log_level": 0,
            "error_cb": on_error,
        }
    )
    told = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), told.set()), daemon=True).start()
    sequences = [0] * partitions
    partition = 0
    with open(path, "w", encoding="ascii") as acks:

        def on_delivery(sequence):
            def take(error, message):
                if error is not None:
                    problems.append(f"record {sequence} of partition {message.partition()}: {error}")
                else:
                    acks.write(f"{message.partition()} {message.offset()} {sequence}\n")

            return take

        while not told.wait(PAUSE) and not problems:
            for _ in range(max(int(rate * PAUSE), 1)):
                sequence = sequences[partition]
                value = os.urandom(random.randrange(1000))
                while True:
                    try:
                        producer.produce(
                            topic,
                            key=f"{NAME} {sequence}".encode(),
                            value=value,
                            partition=partition,
                            on_delivery=on_delivery(sequence),
                        )
                        break
                    except BufferError:  # the queue is full while the broker is away
                        producer.poll(PAUSE)
                sequences[partition] += 1
                partition = (partition + 1) % partitions
            producer.poll(0)
            acks.flush()
        left = producer.flush(60)
        if left:
            problems.append(f"{left} records were not acknowledged within a minute")
    if problems:
        sys.exit("crash/python: " + "; ".join(problems[:10]))


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit("usage: produce.py HOST:PORT TOPIC PARTITIONS RATE FILE")
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
