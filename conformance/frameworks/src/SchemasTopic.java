import static java.nio.charset.StandardCharsets.UTF_8;

import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Makes the calls that Confluent's and Karapace's registries make on {@code _schemas}, one life of a registry:
 * {@code SchemasTopic HOST:PORT FROM TO} writes the schemas of these numbers.
 *
 * <p>A registry makes the topic or checks it, reads it from the beginning up to a record of its own that says nothing,
 * and waits after each write until it has read it. What it knows is printed when it has come up and when it ends.
 */
public final class SchemasTopic {
    private static final String TOPIC = "_schemas";
    private static final TopicPartition PARTITION = new TopicPartition(TOPIC, 0);
    private static final String NOTHING = "{\"keytype\":\"NOOP\",\"magic\":0}";
    private static final long LIMIT_MS = 30_000;
    private static final int SUBJECTS = 25;

    private final KafkaProducer<byte[], byte[]> producer;
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final Map<String, String> known = new TreeMap<>();

    private SchemasTopic(KafkaProducer<byte[], byte[]> producer, KafkaConsumer<byte[], byte[]> consumer) {
        this.producer = producer;
        this.consumer = consumer;
    }

    public static void main(String[] args) throws Exception {
        Map<String, Object> common = Map.of("bootstrap.servers", args[0]);
        try (Admin admin = Admin.create(common)) {
            makeOrCheck(admin);
        }
        Map<String, Object> writing = new TreeMap<>(common);
        writing.putAll(Map.of("acks", "-1", "retries", 0, "enable.idempotence", false));
        Map<String, Object> reading = new TreeMap<>(common);
        reading.putAll(Map.of("group.id", "schema-registry-localhost-8081", "auto.offset.reset", "earliest",
            "enable.auto.commit", false));
        ByteArraySerializer out = new ByteArraySerializer();
        ByteArrayDeserializer in = new ByteArrayDeserializer();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(writing, out, out);
                KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(reading, in, in)) {
            require(consumer.partitionsFor(TOPIC).size() == 1, "one partition for the consumer");
            consumer.assign(List.of(PARTITION));
            consumer.seekToBeginning(List.of(PARTITION));
            SchemasTopic registry = new SchemasTopic(producer, consumer);
            registry.put(NOTHING, null);
            registry.show("came up");
            for (int number = Integer.parseInt(args[1]); number < Integer.parseInt(args[2]); number++) {
                registry.register(number);
            }
            registry.show("ended");
        }
    }

    private static void makeOrCheck(Admin admin) throws Exception {
        if (!admin.listTopics().names().get().contains(TOPIC)) {
            require(!admin.describeCluster().nodes().get().isEmpty(), "a node");
            NewTopic topic = new NewTopic(TOPIC, 1, (short) 1).configs(Map.of("cleanup.policy", "compact"));
            admin.createTopics(List.of(topic)).all().get();
        }
        require(admin.describeTopics(List.of(TOPIC)).allTopicNames().get().get(TOPIC).partitions().size() == 1,
            "one partition");
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, TOPIC);
        String policy = admin.describeConfigs(List.of(resource)).all().get().get(resource).get("cleanup.policy").value();
        require("compact".equals(policy), "cleanup.policy compact, not " + policy);
    }

    /** A new version of one of the subjects; some change the subject's config, some are deleted again. */
    private void register(int number) throws Exception {
        String subject = "subject-" + number % SUBJECTS;
        String key = "{\"keytype\":\"SCHEMA\",\"subject\":\"" + subject + "\",\"version\":" + (number / SUBJECTS + 1)
            + ",\"magic\":1}";
        put(key, "{\"subject\":\"" + subject + "\",\"id\":" + number + ",\"schema\":\"\\\"string\\\"\"}");
        if (number % 3 == 0) {
            put("{\"keytype\":\"CONFIG\",\"subject\":\"" + subject + "\",\"magic\":0}",
                "{\"compatibilityLevel\":\"" + (number % 2 == 0 ? "FULL" : "BACKWARD") + "\",\"by\":" + number + "}");
        }
        if (number % 7 == 0) {
            put(key, null);
        }
    }

    /** Writes, and reads until it has been read. */
    private void put(String key, String value) throws Exception {
        byte[] bytes = value == null ? null : value.getBytes(UTF_8);
        long offset = producer.send(new ProducerRecord<>(TOPIC, 0, key.getBytes(UTF_8), bytes))
            .get(LIMIT_MS, TimeUnit.MILLISECONDS).offset();
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(LIMIT_MS);
        while (consumer.position(PARTITION) <= offset) {
            require(System.nanoTime() < end, "offset " + offset + " within " + LIMIT_MS + " ms");
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
                String read = new String(record.key(), UTF_8);
                if (record.value() == null) {
                    known.remove(read);
                } else {
                    known.put(read, new String(record.value(), UTF_8));
                }
            }
        }
    }

    private void show(String when) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        known.forEach((key, value) -> digest.update((key + value + "\n").getBytes(UTF_8)));
        String sum = HexFormat.of().formatHex(digest.digest(), 0, 8);
        System.out.println(when + ": " + known.size() + " keys, " + sum);
    }

    private static void require(boolean so, String what) {
        if (!so) {
            throw new IllegalStateException("expected " + what);
        }
    }
}
