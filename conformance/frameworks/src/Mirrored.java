import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.connect.mirror.RemoteClusterUtils;

/**
 * Looks at one direction of a MirrorMaker 2 that runs: {@code Mirrored SOURCE ALIAS TARGET TOPIC GROUP RECORDS}.
 *
 * <p>Half of the records are written and the group commits their end; then the other half, and the group commits
 * again. Each time the target must have what the source has, and the group's translated position must be where the
 * group is: a reader that moves over reads nothing twice and misses nothing.
 */
public final class Mirrored {
    private static final long LIMIT_MS = 120_000;

    private final Map<String, Object> source;
    private final Map<String, Object> target;
    private final String alias;
    private final String topic;
    private final String remote;
    private final String group;

    private Mirrored(String[] args) {
        source = properties(args[0]);
        target = properties(args[2]);
        alias = args[1];
        topic = args[3];
        remote = alias + "." + topic;
        group = args[4];
    }

    private static Map<String, Object> properties(String bootstrap) {
        // What is asked for before MirrorMaker has made it must not come to be by the question.
        return Map.of("bootstrap.servers", bootstrap, "enable.auto.commit", false, "allow.auto.create.topics", false,
            "default.api.timeout.ms", 5000);
    }

    public static void main(String[] args) throws Exception {
        Mirrored mirrored = new Mirrored(args);
        int records = Integer.parseInt(args[5]);
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[0]))) {
            NewTopic wanted = new NewTopic(mirrored.topic, 2, (short) 1).configs(Map.of("max.message.bytes", "654321"));
            admin.createTopics(List.of(wanted)).all().get();
        }
        mirrored.write(0, records / 2);
        Map<Integer, Long> half = mirrored.arrived(records / 2);
        mirrored.commit(half);
        mirrored.translated(half);
        mirrored.write(records / 2, records);
        Map<Integer, Long> whole = mirrored.arrived(records);
        Map<Integer, Long> before = mirrored.translation();
        if (!before.equals(half)) {
            throw new IllegalStateException("the group is at " + half + ", translated to " + before);
        }
        int rest = read(mirrored.target, mirrored.remote, before).size();
        System.out.printf("%d records moved; a reader that moved over at the middle read %d%n", records, rest);
        mirrored.commit(whole);
        mirrored.translated(whole);
        mirrored.committed(whole);
        Map<Integer, Long> start = new TreeMap<>(Map.of(0, 0L, 1, 0L));
        List<String> here = read(mirrored.source, mirrored.topic, start);
        List<String> there = read(mirrored.target, mirrored.remote, start);
        if (rest != records - records / 2 || here.size() != records || !here.equals(there)) {
            throw new IllegalStateException(here.size() + " records here, " + there.size() + " there, " + rest + " rest");
        }
        System.out.println("equal records in equal order, translated offsets equal, the group's offsets synced");
    }

    private void write(int from, int to) throws Exception {
        StringSerializer text = new StringSerializer();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(source, text, text)) {
            for (int number = from; number < to; number++) {
                producer.send(new ProducerRecord<>(topic, number % 2, "key-" + number, "value-" + number));
            }
            producer.flush();
        }
    }

    /** Waits until the target has that many records; where they end, by partition. */
    private Map<Integer, Long> arrived(int records) throws Exception {
        try (KafkaConsumer<String, String> consumer = consumer(target)) {
            Map<Integer, Long> ends = new TreeMap<>();
            until(records + " records on the target", () -> {
                ends.clear();
                if (!consumer.listTopics().containsKey(remote)) {
                    return false;
                }
                consumer.endOffsets(partitions(remote)).forEach((one, end) -> ends.put(one.partition(), end));
                return ends.values().stream().mapToLong(Long::longValue).sum() == records;
            });
            return ends;
        }
    }

    private void commit(Map<Integer, Long> ends) {
        Map<String, Object> member = new HashMap<>(source);
        member.put("group.id", group);
        try (KafkaConsumer<String, String> consumer = consumer(member)) {
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            ends.forEach((one, end) -> offsets.put(new TopicPartition(topic, one), new OffsetAndMetadata(end)));
            consumer.commitSync(offsets);
        }
    }

    /** Waits until the group's position is translated to the same offsets: mirroring began with an empty topic. */
    private void translated(Map<Integer, Long> wanted) throws Exception {
        until("the translated position " + wanted, () -> translation().equals(wanted));
    }

    private Map<Integer, Long> translation() throws Exception {
        Map<Integer, Long> found = new TreeMap<>();
        RemoteClusterUtils.translateOffsets(target, alias, group, Duration.ofSeconds(20)).forEach((one, offset) -> {
            if (one.topic().equals(remote)) {
                found.put(one.partition(), offset.offset());
            }
        });
        return found;
    }

    /** Waits until MirrorMaker has committed for the group on the target. */
    private void committed(Map<Integer, Long> wanted) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", target.get("bootstrap.servers")))) {
            until("the synced position " + wanted, () -> {
                Map<Integer, Long> found = new TreeMap<>();
                admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().forEach((one, offset) -> {
                    if (one.topic().equals(remote) && offset != null) {
                        found.put(one.partition(), offset.offset());
                    }
                });
                return found.equals(wanted);
            });
        }
    }

    /** What stands from these offsets to the end, by partition. */
    private static List<String> read(Map<String, Object> cluster, String topic, Map<Integer, Long> from) {
        List<String> found = new ArrayList<>();
        try (KafkaConsumer<String, String> consumer = consumer(cluster)) {
            for (TopicPartition one : partitions(topic)) {
                consumer.assign(List.of(one));
                consumer.seek(one, from.get(one.partition()));
                long end = consumer.endOffsets(List.of(one)).get(one);
                while (consumer.position(one) < end) {
                    for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                        found.add(one.partition() + " " + record.key() + " " + record.value());
                    }
                }
            }
        }
        return found;
    }

    private static List<TopicPartition> partitions(String topic) {
        return List.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1));
    }

    private static KafkaConsumer<String, String> consumer(Map<String, Object> properties) {
        return new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
    }

    private static void until(String what, Callable<Boolean> so) throws Exception {
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(LIMIT_MS);
        while (true) {
            try {
                if (so.call()) {
                    return;
                }
            } catch (UnknownTopicOrPartitionException | TimeoutException notYet) {
                // The topic is on its way.
            }
            if (System.nanoTime() > end) {
                throw new IllegalStateException("waited " + LIMIT_MS + " ms for " + what);
            }
            TimeUnit.MILLISECONDS.sleep(200);
        }
    }
}
