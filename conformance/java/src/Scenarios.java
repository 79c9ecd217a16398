import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The scenarios of Kafka's Java client: {@code Scenarios HOST:PORT [SCENARIO]}.
 *
 * <p>Prints one line per observation to stdout, the same on every run against a fresh broker: no ids, no
 * ports, no times of the broker.
 */
public final class Scenarios {
    /** One scenario; its topics begin with its name. */
    interface Scenario {
        void run(Scenarios here) throws Exception;
    }

    private static final Map<String, Scenario> ALL = new TreeMap<>(Map.ofEntries(
        Map.entry("alter", AlterScenarios::alter),
        Map.entry("cluster", AdminScenarios::cluster),
        Map.entry("configs", AdminScenarios::configs),
        Map.entry("node", AlterScenarios::node),
        Map.entry("partitions", AdminScenarios::partitions),
        Map.entry("topics", AdminScenarios::topics),
        Map.entry("autocreate", RecordScenarios::autoCreate),
        Map.entry("codecs", RecordScenarios::codecs),
        Map.entry("offsets", RecordScenarios::offsets),
        Map.entry("produce", RecordScenarios::produce),
        Map.entry("producers", AlterScenarios::producers),
        Map.entry("sessions", RecordScenarios::sessions),
        Map.entry("epochs", RecordScenarios::epochs),
        Map.entry("groups", GroupScenarios::groups),
        Map.entry("newgroups", ConsumerGroupScenarios::newgroups),
        Map.entry("statics", GroupScenarios::statics),
        Map.entry("groupadmin", GroupScenarios::groupadmin)));

    final String bootstrap;
    final Admin admin;

    private Scenarios(String bootstrap) {
        this.bootstrap = bootstrap;
        this.admin = Admin.create(properties(Map.of()));
    }

    public static void main(String[] args) throws Exception {
        Scenarios here = new Scenarios(args[0]);
        for (Map.Entry<String, Scenario> each : ALL.entrySet()) {
            if (args.length < 2 || args[1].equals(each.getKey())) {
                System.out.println("# " + each.getKey());
                each.getValue().run(here);
            }
        }
        here.admin.close();
    }

    static void say(String format, Object... values) {
        System.out.println(String.format(format, values));
    }

    /** What a call comes to: its value, or the name of the error behind it. */
    static String outcome(Callable<?> call) {
        try {
            Object value = call.call();
            return value == null ? "ok" : value.toString();
        } catch (ExecutionException e) {
            return e.getCause().getClass().getSimpleName();
        } catch (Exception e) {
            return e.getClass().getSimpleName();
        }
    }

    Properties properties(Map<String, ?> changes) {
        Properties all = new Properties();
        all.put("bootstrap.servers", bootstrap);
        all.put("request.timeout.ms", "15000");
        all.putAll(changes);
        return all;
    }

    KafkaProducer<String, String> producer(Map<String, ?> changes) {
        return new KafkaProducer<>(properties(changes), new StringSerializer(), new StringSerializer());
    }

    KafkaConsumer<String, String> consumer(Map<String, ?> changes) {
        Properties all = properties(Map.of("enable.auto.commit", "false", "auto.offset.reset", "earliest"));
        all.putAll(changes);
        return new KafkaConsumer<>(all, new StringDeserializer(), new StringDeserializer());
    }

    void create(String topic, int partitions) throws Exception {
        create(topic, partitions, Map.of());
    }

    void create(String topic, int partitions, Map<String, String> configs) throws Exception {
        admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(configs))).all().get();
        until("topic " + topic, () -> AdminScenarios.partitionCount(this, topic) == partitions);
    }

    /** Waits for what follows a moment after an answer. */
    static void until(String what, Callable<Boolean> done) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (!done.call()) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("waited 30 s for " + what);
            }
            TimeUnit.MILLISECONDS.sleep(10);
        }
    }
}
