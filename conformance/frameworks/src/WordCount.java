import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.InvalidStateStoreException;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;

/**
 * Counts the words of the topic {@code text} until the store holds as many as it is told, prints {@code word count}
 * lines and ends: {@code WordCount HOST:PORT STATE-FOLDER WORDS}.
 *
 * <p>The count goes through a repartition topic and a store with a changelog, which a run with an empty folder reads.
 */
public final class WordCount {
    private WordCount() {}

    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        properties.putAll(Map.of(
            "application.id", "word-count",
            "bootstrap.servers", args[0],
            "state.dir", args[1],
            "processing.guarantee", "at_least_once",
            "commit.interval.ms", "200",
            "repartition.purge.interval.ms", "500",
            // A member that ends says nothing: the next run waits for its session.
            "session.timeout.ms", "6000",
            "heartbeat.interval.ms", "500",
            "default.key.serde", Serdes.StringSerde.class.getName(),
            "default.value.serde", Serdes.StringSerde.class.getName()));
        long wanted = Long.parseLong(args[2]);
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream("text")
            .flatMapValues(line -> List.of(line.split(" ")))
            .groupBy((key, word) -> word)
            .count(Materialized.as("counts"))
            .toStream()
            .mapValues(String::valueOf)
            .to("word-counts");
        AtomicReference<Throwable> failure = new AtomicReference<>();
        try (KafkaStreams streams = new KafkaStreams(builder.build(), properties)) {
            streams.setUncaughtExceptionHandler(thrown -> {
                failure.set(thrown);
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            Map<String, Long> table = table(streams);
            while (sum(table) < wanted) {
                if (failure.get() != null) {
                    throw new IllegalStateException(failure.get());
                }
                TimeUnit.MILLISECONDS.sleep(100);
                table = table(streams);
            }
            table.forEach((word, count) -> System.out.println(word + " " + count));
        }
    }

    private static long sum(Map<String, Long> table) {
        return table.values().stream().mapToLong(Long::longValue).sum();
    }

    /** The store's content; empty while it is not there yet. */
    private static Map<String, Long> table(KafkaStreams streams) {
        Map<String, Long> table = new TreeMap<>();
        try {
            ReadOnlyKeyValueStore<String, Long> store = streams.store(
                StoreQueryParameters.fromNameAndType("counts", QueryableStoreTypes.keyValueStore()));
            try (KeyValueIterator<String, Long> all = store.all()) {
                all.forEachRemaining(entry -> table.put(entry.key, entry.value));
            }
        } catch (InvalidStateStoreException moving) {
            return Map.of();
        }
        return table;
    }
}
