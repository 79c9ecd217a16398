import java.time.Duration;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** What the Java consumer and Admin show of consumer groups, by the new protocol (KIP-848). */
final class ConsumerGroupScenarios {
    private static final Duration SHORT = Duration.ofMillis(50);
    private static final String TOPIC = "newgroups.a";

    private ConsumerGroupScenarios() {}

    private static KafkaConsumer<String, String> member(Scenarios here, String group, String... more) {
        Map<String, String> all = new TreeMap<>(Map.of("group.id", group, "group.protocol", "consumer", "retry.backoff.ms", "20"));
        for (int i = 0; i < more.length; i += 2) {
            all.put(more[i], more[i + 1]);
        }
        return here.consumer(all);
    }

    private static KafkaConsumer<String, String> classic(Scenarios here, String group) {
        return here.consumer(Map.of("group.id", group, "group.protocol", "classic", "session.timeout.ms", "10000",
            "heartbeat.interval.ms", "200", "retry.backoff.ms", "20",
            "partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"));
    }

    @SafeVarargs
    private static void balanced(String what, Callable<Boolean> done, KafkaConsumer<String, String>... all) throws Exception {
        Scenarios.until(what, () -> {
            for (KafkaConsumer<String, String> one : all) {
                one.poll(SHORT);
            }
            return done.call();
        });
    }

    private static String shown(Collection<TopicPartition> partitions) {
        return partitions.stream().map(TopicPartition::toString).sorted().toList().toString();
    }

    private static ConsumerGroupDescription describe(Scenarios here, String group) throws Exception {
        return here.admin.describeConsumerGroups(List.of(group)).all().get().get(group);
    }

    private static String about(Scenarios here, String group) throws Exception {
        ConsumerGroupDescription about = describe(here, group);
        return about.type() + " " + about.groupState() + " " + about.members().size() + " members";
    }

    static void newgroups(Scenarios here) throws Exception {
        here.create(TOPIC, 4);
        try (KafkaProducer<String, String> producer = here.producer(Map.of())) {
            for (int i = 0; i < 40; i++) {
                producer.send(new ProducerRecord<>(TOPIC, i % 4, "k" + i, "v" + i)).get();
            }
        }
        commitAndResume(here);
        joinAndLeave(here, "uniform");
        joinAndLeave(here, "range");
        growAndPattern(here);
        statics(here);
        migrate(here);
        refusals(here);
    }

    private static void commitAndResume(Scenarios here) throws Exception {
        TopicPartition first = new TopicPartition(TOPIC, 0);
        try (KafkaConsumer<String, String> consumer = member(here, "newgroups.resume")) {
            consumer.subscribe(List.of(TOPIC));
            int[] records = {0};
            Scenarios.until("40 records", () -> {
                records[0] += consumer.poll(SHORT).count();
                return records[0] >= 40;
            });
            Scenarios.say("first life -> %d records of %s", records[0], shown(consumer.assignment()));
            consumer.commitSync();
            Scenarios.say("committed -> %d", consumer.committed(Set.of(first)).get(first).offset());
        }
        try (KafkaConsumer<String, String> consumer = member(here, "newgroups.resume", "enable.auto.commit", "true")) {
            consumer.subscribe(List.of(TOPIC));
            balanced("an assignment", () -> consumer.assignment().size() == 4, consumer);
            Scenarios.say("second life begins -> %d", consumer.position(first));
            consumer.commitSync(Map.of(first, new OffsetAndMetadata(3, java.util.Optional.empty(), "größer")));
            OffsetAndMetadata committed = consumer.committed(Set.of(first)).get(first);
            Scenarios.say("committed with a note -> %d %s", committed.offset(), committed.metadata());
        }
        Scenarios.say("all left -> %s", about(here, "newgroups.resume"));
    }

    private static void joinAndLeave(Scenarios here, String assignor) throws Exception {
        String group = "newgroups." + assignor;
        String[] more = {"group.remote.assignor", assignor};
        try (KafkaConsumer<String, String> one = member(here, group, more)) {
            one.subscribe(List.of(TOPIC));
            balanced("all four", () -> one.assignment().size() == 4, one);
            Scenarios.say("%s alone -> %s", assignor, shown(one.assignment()));
            try (KafkaConsumer<String, String> two = member(here, group, more)) {
                two.subscribe(List.of(TOPIC));
                balanced("two each", () -> one.assignment().size() == 2 && two.assignment().size() == 2, one, two);
                Set<TopicPartition> both = new HashSet<>(one.assignment());
                both.addAll(two.assignment());
                Scenarios.say("%s two -> %s", assignor, shown(both));
                ConsumerGroupDescription about = describe(here, group);
                Scenarios.say("%s described -> %s, %s", assignor, about(here, group), about.partitionAssignor());
            }
            balanced("all four again", () -> one.assignment().size() == 4, one);
            Scenarios.say("%s after a leave -> %s", assignor, shown(one.assignment()));
        }
    }

    private static void growAndPattern(Scenarios here) throws Exception {
        here.create("newgroups.pattern-1", 1);
        try (KafkaConsumer<String, String> consumer = member(here, "newgroups.regex", "metadata.max.age.ms", "300")) {
            consumer.subscribe(new SubscriptionPattern("newgroups\\.pattern-[0-9]+"));
            balanced("the first topic", () -> consumer.assignment().size() == 1, consumer);
            Scenarios.say("pattern -> %s", shown(consumer.assignment()));
            ConsumerGroupDescription about = describe(here, "newgroups.regex");
            Scenarios.say("described -> %s, %s", about.groupState(), about.members().size());
        }
        try (KafkaConsumer<String, String> consumer = member(here, "newgroups.grow", "metadata.max.age.ms", "300")) {
            consumer.subscribe(List.of("newgroups.pattern-1"));
            balanced("one", () -> consumer.assignment().size() == 1, consumer);
            here.admin.createPartitions(Map.of("newgroups.pattern-1",
                org.apache.kafka.clients.admin.NewPartitions.increaseTo(3))).all().get();
            balanced("three", () -> consumer.assignment().size() == 3, consumer);
            Scenarios.say("grown -> %s", shown(consumer.assignment()));
        }
        try (KafkaConsumer<String, String> consumer = member(here, "newgroups.bad")) {
            consumer.subscribe(new SubscriptionPattern("a("));
            Scenarios.say("bad pattern -> %s", Scenarios.outcome(() -> {
                balanced("never", () -> false, consumer);
                return "ok";
            }));
        }
    }

    private static void statics(Scenarios here) throws Exception {
        String[] id = {"group.instance.id", "newgroups-1"};
        int epoch;
        try (KafkaConsumer<String, String> consumer = member(here, "newgroups.statics", id)) {
            consumer.subscribe(List.of(TOPIC));
            balanced("an assignment", () -> consumer.assignment().size() == 4, consumer);
            epoch = consumer.groupMetadata().generationId();
        }
        Scenarios.say("static closed -> %d members", describe(here, "newgroups.statics").members().size());
        try (KafkaConsumer<String, String> consumer = member(here, "newgroups.statics", id)) {
            consumer.subscribe(List.of(TOPIC));
            balanced("an assignment", () -> consumer.assignment().size() == 4, consumer);
            Scenarios.say("static restarted -> same epoch %s", epoch == consumer.groupMetadata().generationId());
            try (KafkaConsumer<String, String> twin = member(here, "newgroups.statics", id)) {
                twin.subscribe(List.of(TOPIC));
                Scenarios.say("its twin -> %s", Scenarios.outcome(() -> {
                    balanced("never", () -> false, twin);
                    return "ok";
                }));
            }
        }
    }

    private static void migrate(Scenarios here) throws Exception {
        String group = "newgroups.migrate";
        try (KafkaConsumer<String, String> old = classic(here, group)) {
            old.subscribe(List.of(TOPIC));
            balanced("all four", () -> old.assignment().size() == 4, old);
            Scenarios.say("classic alone -> %s", about(here, group));
            try (KafkaConsumer<String, String> young = member(here, group)) {
                young.subscribe(List.of(TOPIC));
                balanced("two each", () -> old.assignment().size() == 2 && young.assignment().size() == 2, old, young);
                Set<TopicPartition> both = new HashSet<>(old.assignment());
                both.addAll(young.assignment());
                Scenarios.say("both protocols -> %s", shown(both));
                Scenarios.say("converted -> %s", about(here, group));
            }
            balanced("all four again", () -> old.assignment().size() == 4, old);
            Scenarios.say("back -> %s", about(here, group));
        }
        try (KafkaConsumer<String, String> young = member(here, group)) {
            young.subscribe(List.of(TOPIC));
            balanced("all four", () -> young.assignment().size() == 4, young);
            Scenarios.say("nobody classic any more -> %s", about(here, group));
        }
    }

    private static void refusals(Scenarios here) throws Exception {
        try (KafkaConsumer<String, String> consumer = member(here, "newgroups.assignor", "group.remote.assignor", "nonsense")) {
            consumer.subscribe(List.of(TOPIC));
            Scenarios.say("unknown assignor -> %s", Scenarios.outcome(() -> {
                balanced("never", () -> false, consumer);
                return "ok";
            }));
        }
        TreeMap<String, String> listed = new TreeMap<>();
        for (GroupListing group : here.admin.listGroups(new ListGroupsOptions()).all().get()) {
            if (group.groupId().startsWith("newgroups")) {
                listed.put(group.groupId(), group.type().map(Object::toString).orElse("-") + "/" + group.protocol());
            }
        }
        Scenarios.say("listed -> %s", listed);
        Scenarios.say("delete -> %s", Scenarios.outcome(() -> here.admin.deleteConsumerGroups(List.of("newgroups.uniform")).all().get()));
    }
}
