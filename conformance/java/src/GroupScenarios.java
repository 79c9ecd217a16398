import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** What the Java consumer and Admin show of consumer groups, by the classic protocol. */
final class GroupScenarios {
    private static final Duration SHORT = Duration.ofMillis(50);

    private GroupScenarios() {}

    private static void fill(Scenarios here, String topic, int partitions, int from, int to) throws Exception {
        try (KafkaProducer<String, String> producer = here.producer(Map.of())) {
            for (int i = from; i < to; i++) {
                producer.send(new ProducerRecord<>(topic, i % partitions, "k" + i, "v" + i)).get();
            }
        }
    }

    private static KafkaConsumer<String, String> member(Scenarios here, String group, String... more) {
        Map<String, String> all = new TreeMap<>(Map.of("group.id", group, "group.protocol", "classic",
            "session.timeout.ms", "10000", "heartbeat.interval.ms", "200", "retry.backoff.ms", "20"));
        for (int i = 0; i < more.length; i += 2) {
            all.put(more[i], more[i + 1]);
        }
        return here.consumer(all);
    }

    /** Reads until nothing has come for a while after at least count records. */
    private static int read(KafkaConsumer<String, String> consumer, int count) throws Exception {
        Set<String> seen = new TreeSet<>();
        int[] records = {0};
        Scenarios.until(count + " records", () -> {
            for (ConsumerRecord<String, String> record : consumer.poll(SHORT)) {
                records[0]++;
                seen.add(record.topic() + record.partition() + "@" + record.offset());
            }
            return records[0] >= count;
        });
        for (int i = 0; i < 4; i++) {
            records[0] += consumer.poll(SHORT).count();
        }
        if (seen.size() != Math.min(records[0], count)) {
            Scenarios.say("read -> %d records, %d different", records[0], seen.size());
        }
        return records[0];
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
        List<String> names = new ArrayList<>();
        partitions.forEach(partition -> names.add(partition.toString()));
        names.sort(null);
        return names.toString();
    }

    static void groups(Scenarios here) throws Exception {
        here.create("groups.a", 4);
        fill(here, "groups.a", 4, 0, 40);
        commitAndResume(here);
        joinAndLeave(here, "range");
        joinAndLeave(here, "cooperative");
        seekAndPattern(here);
        commitErrors(here);
    }

    private static void commitAndResume(Scenarios here) throws Exception {
        TopicPartition first = new TopicPartition("groups.a", 0);
        try (KafkaConsumer<String, String> consumer = member(here, "groups.resume")) {
            consumer.subscribe(List.of("groups.a"));
            Scenarios.say("first life -> %d records", read(consumer, 40));
            consumer.commitSync();
            Scenarios.say("assigned -> %s", shown(consumer.assignment()));
            Scenarios.say("generation -> %d", consumer.groupMetadata().generationId());
            Scenarios.say("committed -> %s", consumer.committed(Set.of(first)).get(first).offset());
        }
        fill(here, "groups.a", 4, 40, 50);
        try (KafkaConsumer<String, String> consumer = member(here, "groups.resume")) {
            consumer.subscribe(List.of("groups.a"));
            Scenarios.say("second life -> %d records", read(consumer, 10));
            consumer.commitSync(Map.of(first, new OffsetAndMetadata(3, java.util.Optional.empty(), "größer")));
            OffsetAndMetadata committed = consumer.committed(Set.of(first)).get(first);
            Scenarios.say("committed with a note -> %d %s", committed.offset(), committed.metadata());
        }
        try (KafkaConsumer<String, String> consumer = member(here, "groups.resume", "enable.auto.commit", "true")) {
            consumer.subscribe(List.of("groups.a"));
            balanced("an assignment", () -> consumer.assignment().size() == 4, consumer);
            Scenarios.say("third life begins -> %d", consumer.position(first) >= 3 ? 3 : consumer.position(first));
        }
        Scenarios.say("closed with auto commit -> %s",
            here.admin.listConsumerGroupOffsets("groups.resume").partitionsToOffsetAndMetadata().get().get(first).offset());
        try (KafkaConsumer<String, String> consumer = member(here, "groups.latest", "auto.offset.reset", "none")) {
            consumer.subscribe(List.of("groups.a"));
            Scenarios.say("no offset, reset none -> %s", Scenarios.outcome(() -> {
                balanced("never", () -> false, consumer);
                return "read";
            }));
        }
    }

    private static void joinAndLeave(Scenarios here, String kind) throws Exception {
        String group = "groups." + kind;
        String assignor = kind.equals("range") ? "org.apache.kafka.clients.consumer.RangeAssignor"
            : "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
        String[] more = {"partition.assignment.strategy", assignor};
        try (KafkaConsumer<String, String> one = member(here, group, more)) {
            List<String> events = new ArrayList<>();
            one.subscribe(List.of("groups.a"), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    events.add("revoked " + partitions.size());
                }

                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    events.add("assigned " + partitions.size());
                }
            });
            balanced("all four", () -> one.assignment().size() == 4, one);
            Scenarios.say("%s alone -> %s", kind, shown(one.assignment()));
            try (KafkaConsumer<String, String> two = member(here, group, more)) {
                two.subscribe(List.of("groups.a"));
                balanced("two each", () -> one.assignment().size() == 2 && two.assignment().size() == 2, one, two);
                Set<TopicPartition> both = new java.util.HashSet<>(one.assignment());
                both.addAll(two.assignment());
                Scenarios.say("%s two -> %s", kind, shown(both));
                ConsumerGroupDescription about = describe(here, group);
                Scenarios.say("%s described -> %s %s %d members", kind, about.groupState(), about.partitionAssignor(),
                    about.members().size());
            }
            balanced("all four again", () -> one.assignment().size() == 4, one);
            Scenarios.say("%s after a leave -> %s", kind, shown(one.assignment()));
            Scenarios.say("%s events begin -> %s", kind, events.get(0));
        }
        Scenarios.say("%s all left -> %s", kind, describe(here, group).groupState());
    }

    private static ConsumerGroupDescription describe(Scenarios here, String group) throws Exception {
        return here.admin.describeConsumerGroups(List.of(group)).all().get().get(group);
    }

    private static void seekAndPattern(Scenarios here) throws Exception {
        TopicPartition first = new TopicPartition("groups.a", 0);
        try (KafkaConsumer<String, String> consumer = member(here, "groups.seek")) {
            consumer.subscribe(List.of("groups.a"));
            balanced("an assignment", () -> consumer.assignment().size() == 4, consumer);
            consumer.seek(first, 7);
            Scenarios.say("after a seek -> %d", consumer.position(first));
            consumer.seekToEnd(List.of(first));
            Scenarios.say("after a seek to the end -> %s", consumer.position(first) > 7);
            consumer.commitSync(Map.of(first, new OffsetAndMetadata(7)));
            Scenarios.say("committed -> %d", consumer.committed(Set.of(first)).get(first).offset());
        }
        here.create("groups.pattern-1", 1);
        try (KafkaConsumer<String, String> consumer = member(here, "groups.regex", "metadata.max.age.ms", "300")) {
            consumer.subscribe(Pattern.compile("groups\\.pattern-.*"));
            balanced("the first topic", () -> consumer.assignment().size() == 1, consumer);
            here.create("groups.pattern-2", 2);
            balanced("the second topic", () -> consumer.assignment().size() == 3, consumer);
            Scenarios.say("pattern -> %s", shown(consumer.assignment()));
        }
    }

    private static void commitErrors(Scenarios here) throws Exception {
        TopicPartition first = new TopicPartition("groups.a", 0);
        try (KafkaConsumer<String, String> consumer = member(here, "groups.errors")) {
            consumer.assign(List.of(first));
            Scenarios.say("assigned commits -> %s", Scenarios.outcome(() -> {
                consumer.commitSync(Map.of(first, new OffsetAndMetadata(1)));
                return consumer.committed(Set.of(first)).get(first).offset();
            }));
            Scenarios.say("metadata too large -> %s", Scenarios.outcome(() -> {
                consumer.commitSync(Map.of(first, new OffsetAndMetadata(1, "m".repeat(5000))));
                return "ok";
            }));
        }
        Map<String, String> bad = Map.of("group.id", "groups.session", "group.protocol", "classic", "session.timeout.ms", "1000",
            "heartbeat.interval.ms", "300");
        try (KafkaConsumer<String, String> consumer = here.consumer(bad)) {
            consumer.subscribe(List.of("groups.a"));
            Scenarios.say("session too short -> %s", Scenarios.outcome(() -> {
                balanced("never", () -> false, consumer);
                return "ok";
            }));
        }
        try (KafkaConsumer<String, String> one = member(here, "groups.mixed");
                KafkaConsumer<String, String> two = member(here, "groups.mixed", "partition.assignment.strategy",
                    "org.apache.kafka.clients.consumer.StickyAssignor")) {
            one.subscribe(List.of("groups.a"));
            balanced("an assignment", () -> one.assignment().size() == 4, one);
            two.subscribe(List.of("groups.a"));
            Scenarios.say("no common assignor -> %s", Scenarios.outcome(() -> {
                balanced("never", () -> false, two);
                return "ok";
            }));
        }
    }

    static void statics(Scenarios here) throws Exception {
        here.create("statics.a", 4);
        String[] id = {"group.instance.id", "statics-1", "session.timeout.ms", "30000"};
        int generation;
        String before;
        try (KafkaConsumer<String, String> consumer = member(here, "statics", id)) {
            consumer.subscribe(List.of("statics.a"));
            balanced("an assignment", () -> consumer.assignment().size() == 4, consumer);
            generation = consumer.groupMetadata().generationId();
            before = consumer.groupMetadata().memberId();
            Scenarios.say("first -> generation %d, %s", generation, shown(consumer.assignment()));
        }
        Scenarios.say("closed -> %s with %d member", describe(here, "statics").groupState(), describe(here, "statics").members().size());
        try (KafkaConsumer<String, String> consumer = member(here, "statics", id)) {
            consumer.subscribe(List.of("statics.a"));
            balanced("an assignment", () -> consumer.assignment().size() == 4, consumer);
            Scenarios.say("restarted -> same generation %s, same id %s", generation == consumer.groupMetadata().generationId(),
                before.equals(consumer.groupMetadata().memberId()));
            try (KafkaConsumer<String, String> twin = member(here, "statics", id)) {
                twin.subscribe(List.of("statics.a"));
                balanced("its assignment", () -> twin.assignment().size() == 4, twin);
                Scenarios.say("first of twins -> %s", Scenarios.outcome(() -> {
                    balanced("never", () -> false, consumer);
                    return "ok";
                }));
            }
        }
        ConsumerGroupDescription about = describe(here, "statics");
        Scenarios.say("described -> %s", about.members().isEmpty() ? "none"
            : about.members().iterator().next().groupInstanceId().orElse("none"));
        Scenarios.say("remove a static member -> %s", Scenarios.outcome(() -> here.admin.removeMembersFromConsumerGroup("statics",
            new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("statics-1")))).all().get()));
        Scenarios.say("then -> %s", describe(here, "statics").groupState());
    }

    static void groupadmin(Scenarios here) throws Exception {
        here.create("groupadmin.a", 2);
        fill(here, "groupadmin.a", 2, 0, 10);
        TopicPartition zero = new TopicPartition("groupadmin.a", 0);
        TopicPartition one = new TopicPartition("groupadmin.a", 1);
        Scenarios.say("set offsets -> %s", Scenarios.outcome(() -> here.admin.alterConsumerGroupOffsets("groupadmin.set",
            Map.of(zero, new OffsetAndMetadata(2, "note"), one, new OffsetAndMetadata(3))).all().get()));
        Scenarios.say("offsets -> %s", offsets(here, "groupadmin.set"));
        Scenarios.say("offsets of nobody -> %s", offsets(here, "groupadmin.nobody"));
        Scenarios.say("offsets of an unknown partition -> %s", Scenarios.outcome(() -> here.admin.alterConsumerGroupOffsets(
            "groupadmin.set", Map.of(new TopicPartition("groupadmin.a", 9), new OffsetAndMetadata(2))).all().get()));
        try (KafkaConsumer<String, String> consumer = member(here, "groupadmin.live")) {
            consumer.subscribe(List.of("groupadmin.a"));
            Scenarios.say("read -> %d", read(consumer, 10));
            consumer.commitSync();
            Scenarios.say("listed -> %s", listed(here));
            Scenarios.say("set offsets of a live group -> %s", Scenarios.outcome(() -> here.admin.alterConsumerGroupOffsets(
                "groupadmin.live", Map.of(zero, new OffsetAndMetadata(0))).all().get()));
            Scenarios.say("delete subscribed offsets -> %s", Scenarios.outcome(() -> here.admin.deleteConsumerGroupOffsets(
                "groupadmin.live", Set.of(zero)).all().get()));
            Scenarios.say("delete a live group -> %s", Scenarios.outcome(() -> here.admin.deleteConsumerGroups(
                List.of("groupadmin.live")).all().get()));
            Scenarios.say("remove all members -> %s", Scenarios.outcome(() -> here.admin.removeMembersFromConsumerGroup(
                "groupadmin.live", new RemoveMembersFromConsumerGroupOptions()).all().get()));
        }
        Scenarios.say("delete offsets -> %s", Scenarios.outcome(() -> here.admin.deleteConsumerGroupOffsets("groupadmin.set",
            Set.of(zero)).all().get()));
        Scenarios.say("offsets -> %s", offsets(here, "groupadmin.set"));
        Scenarios.say("delete -> %s", Scenarios.outcome(() -> here.admin.deleteConsumerGroups(List.of("groupadmin.set",
            "groupadmin.live")).all().get()));
        Scenarios.say("delete again -> %s", Scenarios.outcome(() -> here.admin.deleteConsumerGroups(List.of("groupadmin.set")).all().get()));
        Scenarios.say("describe nobody -> %s", Scenarios.outcome(() -> describe(here, "groupadmin.nobody").groupState()));
        Scenarios.say("listed -> %s", listed(here));
        Scenarios.say("offsets go with the topic -> %s", Scenarios.outcome(() -> {
            here.admin.alterConsumerGroupOffsets("groupadmin.gone", Map.of(zero, new OffsetAndMetadata(1))).all().get();
            here.admin.deleteTopics(List.of("groupadmin.a")).all().get();
            Scenarios.until("the offsets to go", () -> offsets(here, "groupadmin.gone").equals("{}"));
            return "gone";
        }));
    }

    private static String offsets(Scenarios here, String group) throws Exception {
        Map<String, String> all = new TreeMap<>();
        here.admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get()
            .forEach((partition, at) -> all.put(partition.toString(), at.offset() + "'" + at.metadata() + "'"));
        return all.toString();
    }

    private static String listed(Scenarios here) throws Exception {
        TreeSet<String> all = new TreeSet<>();
        for (GroupListing group : here.admin.listGroups(new ListGroupsOptions()).all().get()) {
            if (group.groupId().startsWith("groupadmin")) {
                all.add(group.groupId() + "/" + group.type().map(Object::toString).orElse("-") + "/" + group.protocol() + "/"
                    + group.groupState().map(Object::toString).orElse("-"));
            }
        }
        return all.toString();
    }
}
