import static java.util.stream.Collectors.joining;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.TopicListing;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;

/** What the Java Admin client shows of topics, configs and the cluster. */
final class AdminScenarios {
    private AdminScenarios() {}

    static int partitionCount(Scenarios here, String topic) {
        try {
            return here.admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
        } catch (Exception e) {
            return 0;
        }
    }

    static void cluster(Scenarios here) throws Exception {
        DescribeClusterResult cluster = here.admin.describeCluster();
        Scenarios.say("nodes -> %d", cluster.nodes().get().size());
        Scenarios.say("controller is a node -> %s", cluster.nodes().get().contains(cluster.controller().get()));
        Scenarios.say("cluster id length -> %d", cluster.clusterId().get().length());
        Scenarios.say("authorized operations unless asked -> %s", cluster.authorizedOperations().get());
        Scenarios.say("broker rack -> %s", cluster.nodes().get().iterator().next().rack());
    }

    static void topics(Scenarios here) throws Exception {
        CreateTopicsResult made = here.admin.createTopics(List.of(new NewTopic("topics.a", 3, (short) 1)));
        made.all().get();
        Scenarios.say("create -> partitions=%d replication=%d id=%s", made.numPartitions("topics.a").get(),
            made.replicationFactor("topics.a").get(), !made.topicId("topics.a").get().equals(Uuid.ZERO_UUID));
        Scenarios.until("topics.a", () -> partitionCount(here, "topics.a") == 3);
        createErrors(here);
        NewTopic defaults = new NewTopic("topics.defaults", Optional.empty(), Optional.empty());
        CreateTopicsResult byDefault = here.admin.createTopics(List.of(defaults));
        Scenarios.say("create by defaults -> partitions=%d replication=%d",
            byDefault.numPartitions("topics.defaults").get(), byDefault.replicationFactor("topics.defaults").get());
        NewTopic assigned = new NewTopic("topics.assigned", Map.of(0, List.of(node(here)), 1, List.of(node(here))));
        Scenarios.say("create assigned -> %s", Scenarios.outcome(() -> here.admin.createTopics(List.of(assigned)).all().get()));
        describe(here);
        delete(here);
    }

    private static int node(Scenarios here) throws Exception {
        return here.admin.describeCluster().controller().get().id();
    }

    private static void createErrors(Scenarios here) {
        List<NewTopic> bad = new ArrayList<>(List.of(
            new NewTopic("topics.a", 1, (short) 1), new NewTopic("", 1, (short) 1), new NewTopic(".", 1, (short) 1),
            new NewTopic("..", 1, (short) 1), new NewTopic("a/b", 1, (short) 1), new NewTopic("größe", 1, (short) 1),
            new NewTopic("l".repeat(250), 1, (short) 1), new NewTopic("topics_a", 1, (short) 1),
            new NewTopic("topics.zero", 0, (short) 1), new NewTopic("topics.two", 1, (short) 2),
            new NewTopic("topics.stranger", Map.of(0, List.of(4711)))));
        bad.add(new NewTopic("topics.key", 1, (short) 1).configs(Map.of("no.such.key", "1")));
        bad.add(new NewTopic("topics.value", 1, (short) 1).configs(Map.of("retention.ms", "soon")));
        for (NewTopic topic : bad) {
            String shown = topic.name().length() > 100 ? "(long)" : topic.name();
            Scenarios.say("create '%s' -> %s", shown,
                Scenarios.outcome(() -> here.admin.createTopics(List.of(topic)).all().get()));
        }
        CreateTopicsOptions dry = new CreateTopicsOptions().validateOnly(true);
        NewTopic fine = new NewTopic("topics.dry", 1, (short) 1);
        Scenarios.say("validate -> %s", Scenarios.outcome(() -> here.admin.createTopics(List.of(fine), dry).all().get()));
        Scenarios.say("validated only -> %s", Scenarios.outcome(() -> here.admin.describeTopics(List.of("topics.dry")).allTopicNames().get()));
    }

    private static void describe(Scenarios here) throws Exception {
        TopicDescription a = here.admin.describeTopics(List.of("topics.a")).allTopicNames().get().get("topics.a");
        Scenarios.say("describe -> internal=%s %s", a.isInternal(), a.partitions().stream()
            .map(p -> p.partition() + ":leader=" + (p.leader() != null) + ":replicas=" + p.replicas().size()
                + ":isr=" + p.isr().size()).collect(joining(" ")));
        TopicCollection ids = TopicCollection.ofTopicIds(List.of(a.topicId()));
        Scenarios.say("describe by id -> %s", here.admin.describeTopics(ids).allTopicIds().get().get(a.topicId()).name());
        TopicCollection strange = TopicCollection.ofTopicIds(List.of(new Uuid(7, 7)));
        Scenarios.say("describe unknown id -> %s", Scenarios.outcome(() -> here.admin.describeTopics(strange).allTopicIds().get()));
        Scenarios.say("describe unknown -> %s", Scenarios.outcome(() -> here.admin.describeTopics(List.of("topics.absent")).allTopicNames().get()));
        Collection<TopicListing> listed = here.admin.listTopics().listings().get();
        Scenarios.say("list -> %s", listed.stream().map(TopicListing::name).filter(n -> n.startsWith("topics.")).sorted().toList());
    }

    private static void delete(Scenarios here) throws Exception {
        Uuid before = id(here, "topics.a");
        Scenarios.say("delete -> %s", Scenarios.outcome(() -> here.admin.deleteTopics(List.of("topics.a")).all().get()));
        Scenarios.until("topics.a gone", () -> partitionCount(here, "topics.a") == 0);
        Scenarios.say("delete again -> %s", Scenarios.outcome(() -> here.admin.deleteTopics(List.of("topics.a")).all().get()));
        here.create("topics.a", 2);
        Uuid after = id(here, "topics.a");
        Scenarios.say("recreated -> partitions=%d new id=%s", partitionCount(here, "topics.a"), !before.equals(after));
        Scenarios.say("delete by old id -> %s", Scenarios.outcome(() -> here.admin.deleteTopics(TopicCollection.ofTopicIds(List.of(before))).all().get()));
        Scenarios.say("delete by id -> %s", Scenarios.outcome(() -> here.admin.deleteTopics(TopicCollection.ofTopicIds(List.of(after))).all().get()));
    }

    private static Uuid id(Scenarios here, String topic) throws Exception {
        return here.admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).topicId();
    }

    static void partitions(Scenarios here) throws Exception {
        here.create("partitions.a", 2);
        for (int count : new int[] {4, 4, 3, 0, -1}) {
            Scenarios.say("to %d -> %s", count, grow(here, "partitions.a", NewPartitions.increaseTo(count)));
            if (count == 4) {
                Scenarios.until("four partitions", () -> partitionCount(here, "partitions.a") == 4);
            }
        }
        Scenarios.say("of absent -> %s", grow(here, "partitions.absent", NewPartitions.increaseTo(4)));
        Scenarios.say("assigned -> %s", grow(here, "partitions.a", NewPartitions.increaseTo(5, List.of(List.of(node(here))))));
        Scenarios.say("assigned to a stranger -> %s", grow(here, "partitions.a", NewPartitions.increaseTo(6, List.of(List.of(4711)))));
        Scenarios.until("five partitions", () -> partitionCount(here, "partitions.a") == 5);
    }

    private static String grow(Scenarios here, String topic, NewPartitions to) {
        return Scenarios.outcome(() -> here.admin.createPartitions(Map.of(topic, to)).all().get());
    }

    private static final List<String> KEYS = List.of("cleanup.policy", "compression.type", "delete.retention.ms",
        "file.delete.delay.ms", "flush.messages", "flush.ms", "index.interval.bytes", "max.compaction.lag.ms",
        "max.message.bytes", "message.timestamp.after.max.ms", "message.timestamp.before.max.ms",
        "message.timestamp.type", "min.cleanable.dirty.ratio", "min.compaction.lag.ms", "preallocate",
        "retention.bytes", "segment.index.bytes", "segment.jitter.ms", "segment.ms",
        "unclean.leader.election.enable");

    static void configs(Scenarios here) throws Exception {
        here.create("configs.a", 1, Map.of("index.interval.bytes", "8192", "segment.ms", "777000"));
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, "configs.a");
        DescribeConfigsOptions full = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
        var config = here.admin.describeConfigs(List.of(topic), full).all().get().get(topic);
        for (String key : KEYS) {
            var entry = config.get(key);
            Scenarios.say("%s -> %s source=%s type=%s readonly=%s sensitive=%s documented=%s synonyms=%s", key, entry.value(),
                entry.source(), entry.type(), entry.isReadOnly(), entry.isSensitive(), entry.documentation() != null,
                entry.synonyms().stream().map(s -> s.name() + "=" + s.value() + "@" + s.source()).toList());
        }
        Scenarios.say("segment.bytes -> %s", config.get("segment.bytes").value());
        for (var bad : new TreeMap<>(Map.of("absent topic", new ConfigResource(ConfigResource.Type.TOPIC, "configs.absent"),
                "invalid topic", new ConfigResource(ConfigResource.Type.TOPIC, ".."),
                "not a broker", new ConfigResource(ConfigResource.Type.BROKER, "first"))).entrySet()) {
            Scenarios.say("%s -> %s", bad.getKey(), Scenarios.outcome(() -> here.admin.describeConfigs(List.of(bad.getValue())).all().get()));
        }
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, String.valueOf(node(here)));
        var ofBroker = here.admin.describeConfigs(List.of(broker)).all().get().get(broker);
        for (String key : List.of("auto.create.topics.enable", "default.replication.factor", "message.max.bytes", "num.partitions")) {
            Scenarios.say("broker %s -> %s", key, ofBroker.get(key) == null ? "absent" : ofBroker.get(key).value());
        }
    }
}
