import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/** What the Java producer and consumer show of records. The consumer assigns; there is no group. */
final class RecordScenarios {
    private static final long BASE_TIME = 1_700_000_000_000L;

    private RecordScenarios() {}

    static void produce(Scenarios here) throws Exception {
        here.create("produce.a", 3);
        for (String acks : List.of("all", "1", "0")) {
            Map<String, String> changes = Map.of("acks", acks, "enable.idempotence", String.valueOf(acks.equals("all")));
            try (KafkaProducer<String, String> producer = here.producer(changes)) {
                for (int i = 0; i < 6; i++) {
                    RecordMetadata at = producer.send(record("produce.a", i % 3, i)).get();
                    Scenarios.say("acks=%s produce[%d] -> partition=%d offset=%s timestamp=%d", acks, i, at.partition(),
                        at.hasOffset() ? at.offset() : "none", at.timestamp());
                }
                producer.flush();
            }
        }
        readBack(here, "produce.a", 3, 6);
        byKey(here);
        produceErrors(here);
    }

    private static void byKey(Scenarios here) throws Exception {
        here.create("produce.keys", 7);
        try (KafkaProducer<String, String> producer = here.producer(Map.of())) {
            for (String key : List.of("a", "b", "c", "größe", "", "key-5")) {
                Scenarios.say("key '%s' -> partition %d", key, producer.send(new ProducerRecord<>("produce.keys", key, "v")).get().partition());
            }
            Scenarios.say("tombstone -> %s", Scenarios.outcome(() -> producer.send(new ProducerRecord<>("produce.keys", 0, "k", null)).get().partition()));
            Scenarios.say("metadata -> %d partitions", producer.partitionsFor("produce.keys").size());
        }
    }

    private static void produceErrors(Scenarios here) throws Exception {
        here.create("produce.small", 1, Map.of("max.message.bytes", "500"));
        Map<String, String> quick = Map.of("max.block.ms", "3000", "delivery.timeout.ms", "16000");
        try (KafkaProducer<String, String> producer = here.producer(quick)) {
            Scenarios.say("too large -> %s", Scenarios.outcome(() -> producer.send(new ProducerRecord<>("produce.small", "v".repeat(2_000))).get()));
            Scenarios.say("fits -> %s", Scenarios.outcome(() -> producer.send(new ProducerRecord<>("produce.small", "v")).get().offset()));
            Scenarios.say("invalid topic -> %s", Scenarios.outcome(() -> producer.send(new ProducerRecord<>("a/b", "v")).get()));
            Scenarios.say("partition 9 -> %s", Scenarios.outcome(() -> producer.send(new ProducerRecord<>("produce.small", 9, "k", "v")).get()));
            long far = System.currentTimeMillis() + TimeUnit.HOURS.toMillis(3);
            Scenarios.say("time in the future -> %s", Scenarios.outcome(() -> producer.send(new ProducerRecord<>("produce.small", 0, far, "k", "v")).get()));
        }
    }

    static void codecs(Scenarios here) throws Exception {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            String topic = "codecs." + codec;
            here.create(topic, 1);
            Map<String, String> changes = Map.of("compression.type", codec, "linger.ms", "50");
            try (KafkaProducer<String, String> producer = here.producer(changes)) {
                for (int i = 0; i < 20; i++) {
                    producer.send(record(topic, 0, i));
                }
            }
            try (KafkaConsumer<String, String> consumer = here.consumer(Map.of())) {
                List<ConsumerRecord<String, String>> records = drain(consumer, List.of(new TopicPartition(topic, 0)), 20);
                Scenarios.say("%s -> %d records, first %s, last %s", codec, records.size(), show(records.get(0)), show(records.get(19)));
            }
        }
    }

    static void autoCreate(Scenarios here) throws Exception {
        try (KafkaProducer<String, String> producer = here.producer(Map.of())) {
            Scenarios.say("producer -> offset %d", producer.send(new ProducerRecord<>("autocreate.made", "v")).get().offset());
        }
        Scenarios.say("made -> %d partitions", AdminScenarios.partitionCount(here, "autocreate.made"));
        try (KafkaConsumer<String, String> consumer = here.consumer(Map.of("allow.auto.create.topics", "false", "default.api.timeout.ms", "2000"))) {
            Scenarios.say("partitions for an absent topic -> %s", consumer.partitionsFor("autocreate.absent"));
            consumer.assign(List.of(new TopicPartition("autocreate.absent", 0)));
            Scenarios.say("poll an absent topic -> %d records", consumer.poll(Duration.ofMillis(300)).count());
        }
        Scenarios.say("not made -> %d partitions", AdminScenarios.partitionCount(here, "autocreate.absent"));
    }

    static void offsets(Scenarios here) throws Exception {
        here.create("offsets.a", 2);
        TopicPartition a = new TopicPartition("offsets.a", 0);
        TopicPartition empty = new TopicPartition("offsets.a", 1);
        try (KafkaProducer<String, String> producer = here.producer(Map.of("linger.ms", "0"))) {
            for (int i : new int[] {0, 1, 2, 5, 3, 4}) {
                producer.send(record("offsets.a", 0, i)).get();
            }
        }
        Map<String, OffsetSpec> specs = new TreeMap<>(Map.of("earliest", OffsetSpec.earliest(), "latest", OffsetSpec.latest(),
            "max timestamp", OffsetSpec.maxTimestamp(), "at 2", OffsetSpec.forTimestamp(BASE_TIME + 2_000),
            "beyond", OffsetSpec.forTimestamp(BASE_TIME + 60_000), "earliest local", OffsetSpec.earliestLocal(),
            "latest tiered", OffsetSpec.latestTiered()));
        for (Map.Entry<String, OffsetSpec> spec : specs.entrySet()) {
            for (TopicPartition partition : List.of(a, empty)) {
                var at = here.admin.listOffsets(Map.of(partition, spec.getValue())).all().get().get(partition);
                Scenarios.say("admin %s of %d -> offset=%d timestamp=%d", spec.getKey(), partition.partition(), at.offset(), at.timestamp());
            }
        }
        Scenarios.say("admin absent partition -> %s", Scenarios.outcome(() ->
            here.admin.listOffsets(Map.of(new TopicPartition("offsets.a", 9), OffsetSpec.latest()),
                new org.apache.kafka.clients.admin.ListOffsetsOptions().timeoutMs(2_000)).all().get()));
        consumerOffsets(here, a, empty);
    }

    private static void consumerOffsets(Scenarios here, TopicPartition a, TopicPartition empty) throws Exception {
        for (String isolation : List.of("read_uncommitted", "read_committed")) {
            try (KafkaConsumer<String, String> consumer = here.consumer(Map.of("isolation.level", isolation))) {
                Scenarios.say("%s begin -> %s", isolation, new TreeMap<>(text(consumer.beginningOffsets(List.of(a, empty)))));
                Scenarios.say("%s end -> %s", isolation, new TreeMap<>(text(consumer.endOffsets(List.of(a, empty)))));
                for (long after : new long[] {-1, 0, 1, 2_500, 5_000, 5_001}) {
                    var found = consumer.offsetsForTimes(Map.of(a, BASE_TIME + after)).get(a);
                    Scenarios.say("%s at %+d -> %s", isolation, after, found == null ? "none" : found.offset() + "@" + (found.timestamp() - BASE_TIME));
                }
                consumer.assign(List.of(a));
                consumer.seek(a, 4);
                ConsumerRecord<String, String> next = drain(consumer, 1).get(0);
                Scenarios.say("%s seek 4 -> %s", isolation, show(next));
                consumer.seekToEnd(List.of(a));
                Scenarios.say("%s position at end -> %d", isolation, consumer.position(a));
            }
        }
        try (KafkaConsumer<String, String> strict = here.consumer(Map.of("auto.offset.reset", "none"))) {
            strict.assign(List.of(a));
            strict.seek(a, 100);
            Scenarios.say("seek 100 without reset -> %s", Scenarios.outcome(() -> drain(strict, 1)));
        }
        try (KafkaConsumer<String, String> lenient = here.consumer(Map.of())) {
            lenient.assign(List.of(a));
            lenient.seek(a, 100);
            Scenarios.say("seek 100 with reset -> %s", show(drain(lenient, 1).get(0)));
        }
    }

    private static Map<String, Long> text(Map<TopicPartition, Long> offsets) {
        Map<String, Long> all = new TreeMap<>();
        offsets.forEach((partition, offset) -> all.put(partition.toString(), offset));
        return all;
    }

    /** A long-lived consumer of many partitions, of which a few have news in each round: incremental fetches. */
    static void sessions(Scenarios here) throws Exception {
        List<TopicPartition> all = new ArrayList<>();
        for (String topic : List.of("sessions.a", "sessions.b", "sessions.c")) {
            here.create(topic, 4);
            for (int partition = 0; partition < 4; partition++) {
                all.add(new TopicPartition(topic, partition));
            }
        }
        try (KafkaConsumer<String, String> consumer = here.consumer(Map.of("fetch.max.wait.ms", "100"));
                KafkaProducer<String, String> producer = here.producer(Map.of())) {
            consumer.assign(all);
            for (int round = 0; round < 8; round++) {
                List<TopicPartition> fed = round == 4 ? all : List.of(all.get(round), all.get(11 - round));
                for (TopicPartition partition : fed) {
                    producer.send(record(partition.topic(), partition.partition(), round)).get();
                }
                if (round == 6) { // forget half, then have it again
                    consumer.assign(all.subList(0, 6));
                    consumer.poll(Duration.ofMillis(150)).forEach(r -> consumer.seek(new TopicPartition(r.topic(), r.partition()), r.offset()));
                    consumer.assign(all);
                    consumer.seekToBeginning(all.subList(6, 12));
                }
                Map<String, String> seen = new TreeMap<>();
                int wanted = round == 6 ? -1 : fed.size();
                List<ConsumerRecord<String, String>> records = wanted < 0 ? settled(consumer, all) : drain(consumer, wanted);
                records.forEach(r -> seen.merge(r.topic() + "-" + r.partition(), String.valueOf(r.offset()), (x, y) -> x + "," + y));
                Scenarios.say("round %d -> %s", round, seen);
            }
        }
    }

    /** Reads until the position of every partition is its end. */
    private static List<ConsumerRecord<String, String>> settled(KafkaConsumer<String, String> consumer, List<TopicPartition> all)
            throws Exception {
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        Map<TopicPartition, Long> ends = consumer.endOffsets(all);
        Scenarios.until("the ends", () -> {
            consumer.poll(Duration.ofMillis(100)).forEach(records::add);
            return all.stream().allMatch(p -> consumer.position(p) == ends.get(p));
        });
        return records;
    }

    /** Positions that carry a leader epoch are validated with OffsetForLeaderEpoch before the first fetch. */
    static void epochs(Scenarios here) throws Exception {
        here.create("epochs.a", 1);
        TopicPartition a = new TopicPartition("epochs.a", 0);
        try (KafkaProducer<String, String> producer = here.producer(Map.of())) {
            for (int i = 0; i < 4; i++) {
                producer.send(record("epochs.a", 0, i)).get();
            }
        }
        try (KafkaConsumer<String, String> consumer = here.consumer(Map.of())) {
            ConsumerRecord<String, String> first = drain(consumer, List.of(a), 4).get(0);
            Scenarios.say("record has an epoch -> %s", first.leaderEpoch().isPresent());
            consumer.seek(a, new OffsetAndMetadata(2, first.leaderEpoch(), ""));
            Scenarios.say("validated seek -> %s", show(drain(consumer, 1).get(0)));
        }
        try (KafkaConsumer<String, String> consumer = here.consumer(Map.of("auto.offset.reset", "none"))) {
            consumer.assign(List.of(a));
            int epoch = here.admin.listOffsets(Map.of(a, OffsetSpec.latest())).all().get().get(a).leaderEpoch().orElse(-1);
            consumer.seek(a, new OffsetAndMetadata(50, Optional.of(epoch), ""));
            Scenarios.say("position beyond the epoch's end -> %s", Scenarios.outcome(() -> drain(consumer, 1)));
        }
    }

    private static void readBack(Scenarios here, String topic, int partitions, int each) throws Exception {
        try (KafkaConsumer<String, String> consumer = here.consumer(Map.of())) {
            for (int partition = 0; partition < partitions; partition++) {
                for (ConsumerRecord<String, String> record : drain(consumer, List.of(new TopicPartition(topic, partition)), each)) {
                    Scenarios.say("read -> %s", show(record));
                }
            }
        }
    }

    private static ProducerRecord<String, String> record(String topic, int partition, int i) {
        List<Header> headers = List.of(new RecordHeader("n", String.valueOf(i).getBytes(StandardCharsets.UTF_8)),
            new RecordHeader("null", null));
        return new ProducerRecord<>(topic, partition, BASE_TIME + i * 1_000L, "key-" + i, "value-" + i, headers);
    }

    private static List<ConsumerRecord<String, String>> drain(KafkaConsumer<String, String> consumer, List<TopicPartition> from, int count) {
        consumer.assign(from);
        consumer.seekToBeginning(from);
        return drain(consumer, count);
    }

    private static List<ConsumerRecord<String, String>> drain(KafkaConsumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> all = new ArrayList<>();
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        while (all.size() < count && System.nanoTime() < deadline) {
            consumer.poll(Duration.ofMillis(100)).forEach(all::add);
        }
        return all;
    }

    private static String show(ConsumerRecord<String, String> record) {
        StringBuilder headers = new StringBuilder();
        for (Header header : record.headers()) {
            headers.append(' ').append(header.key()).append('=')
                .append(header.value() == null ? "null" : new String(header.value(), StandardCharsets.UTF_8));
        }
        return record.topic() + "-" + record.partition() + "@" + record.offset() + " " + record.timestampType() + "+"
            + (record.timestamp() - BASE_TIME) + " " + record.key() + "=" + record.value() + headers;
    }
}
